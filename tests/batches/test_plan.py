"""Which photos a batch takes, and where their results go."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnet_cli import folders
from mirnet_cli.batches.plan import Selection, in_shard, make_plan
from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.restore.names import refuse_clashes


def tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def keys(root: Path, into: Path, **selection: object) -> list[str]:
    made = make_plan([root], into, Selection(**selection))  # type: ignore[arg-type]
    return [item.key for item in made.items]


def test_only_photos_and_nothing_hidden(tmp_path: Path) -> None:
    tree(tmp_path / "in", "b.JPG", "a.png", "notes.txt", ".c.jpg", "._a.png", "d/e.jpg", ".f/g.jpg")
    assert keys(tmp_path / "in", tmp_path / "out") == ["a.png", "b.JPG"]
    assert keys(tmp_path / "in", tmp_path / "out", recursive=True) == ["a.png", "b.JPG", "d/e.jpg"]


def test_the_tree_is_mirrored(tmp_path: Path) -> None:
    tree(tmp_path / "in", "d/e.jpg")
    into = tmp_path / "out"
    selection = Selection(recursive=True, suffix="-s", extension="png")
    (item,) = make_plan([tmp_path / "in"], into, selection).items
    assert item.target == into / "d" / "e-s.png"


def test_the_output_folder_is_never_read(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "out/a.jpg", "other/b.jpg")
    assert keys(tmp_path, tmp_path / "out", recursive=True) == ["a.jpg", "other/b.jpg"]
    (tmp_path / "link").symlink_to("out")
    assert keys(tmp_path, tmp_path / "link", recursive=True) == ["a.jpg", "other/b.jpg"]


def test_links_to_folders_lead_nowhere(tmp_path: Path) -> None:
    tree(tmp_path / "in", "a.jpg", "d/b.jpg")
    (tmp_path / "in/d/up").symlink_to("..")
    (tmp_path / "in/c.jpg").symlink_to("a.jpg")
    (tmp_path / "in/gone.jpg").symlink_to("nowhere")
    found = keys(tmp_path / "in", tmp_path / "out", recursive=True)
    assert found == ["a.jpg", "c.jpg", "d/b.jpg", "gone.jpg"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*.jpg",), (), ["a.JPG", "d/c.jpg"]),
        (("d/*",), (), ["d/c.jpg"]),
        ((), ("*.png",), ["a.JPG", "d/c.jpg"]),
        ((), ("d/*",), ["a.JPG", "b.png"]),
        (("a*", "b*"), ("*.png",), ["a.JPG"]),
    ],
)
def test_patterns(
    tmp_path: Path, include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    tree(tmp_path / "in", "a.JPG", "b.png", "d/c.jpg")
    into = tmp_path / "out"
    assert keys(tmp_path / "in", into, recursive=True, include=include, exclude=exclude) == expected


def test_patterns_choose_among_single_files_too(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.png", "d/c.jpg", "raw.dat")
    files = [tmp_path / name for name in ("a.jpg", "b.png", "d/c.jpg", "raw.dat")]
    selection = Selection(exclude=("*.png", "d/*"))
    plan = make_plan(files, tmp_path / "out", selection, root=tmp_path)
    assert [item.key for item in plan.items] == ["a.jpg", "raw.dat"]


def test_clashing_results(tmp_path: Path) -> None:
    tree(tmp_path / "in", "a.jpg", "a.png")
    assert len(keys(tmp_path / "in", tmp_path / "out")) == 2
    with pytest.raises(UsageError, match="would both be written here; leave one out with --excl"):
        keys(tmp_path / "in", tmp_path / "out", extension="png")
    assert keys(tmp_path / "in", tmp_path / "out", extension="png", exclude=("*.jpg",))


def test_results_in_the_folder_itself(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    with pytest.raises(UsageError):
        keys(tmp_path, tmp_path)
    assert keys(tmp_path, tmp_path, suffix="-s") == ["a.jpg"]
    tree(tmp_path, "a-s.jpg")
    with pytest.raises(UsageError, match="is an input and the output of"):
        keys(tmp_path, tmp_path, suffix="-s")
    plan = make_plan([tmp_path], tmp_path, Selection(suffix="-s"), outputs=["a-s.jpg"])
    assert [item.key for item in plan.items] == ["a.jpg"]


def test_listed_files(tmp_path: Path) -> None:
    tree(tmp_path, "in/d/a.jpg", "else/b.dat")
    paths = [tmp_path / "in/d/a.jpg", tmp_path / "else/b.dat", tmp_path / "in/missing.jpg"]
    plan = make_plan(paths, tmp_path / "out", Selection(), root=tmp_path / "in")
    assert [item.key for item in plan.items] == ["b.dat", "d/a.jpg", "missing.jpg"]


def test_listed_files_of_one_name(tmp_path: Path) -> None:
    tree(tmp_path, "x/a.jpg", "y/a.jpg")
    with pytest.raises(UsageError):
        make_plan([tmp_path / "x/a.jpg", tmp_path / "y/a.jpg"], tmp_path / "out", Selection())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (item,) = make_plan([tmp_path / "gone.jpg"], tmp_path / "out", Selection()).items
    assert item.key == "gone.jpg"


def test_an_unreadable_folder_is_a_failure_not_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "in", "a.jpg", "d/b.jpg")
    import os

    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "d":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    plan = make_plan([tmp_path / "in"], tmp_path / "out", Selection(recursive=True))
    assert [bool(item.error) for item in plan.items] == [False, True]
    with pytest.raises(InputError):
        make_plan([tmp_path / "in/d"], tmp_path / "out", Selection())


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 7))
def test_each_photo_is_in_one_shard(names: list[str], count: int) -> None:
    for name in names:
        assert sum(in_shard(name, index, count) for index in range(1, count + 1)) == 1


def test_shards_do_not_depend_on_how_accents_are_composed() -> None:
    assert [in_shard("é.jpg", i, 5) for i in range(1, 6)] == [
        in_shard("e\u0301.jpg", i, 5) for i in range(1, 6)
    ]


def test_a_shard_is_the_same_whatever_else_is_there(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(20)]
    tree(tmp_path / "one", *names)
    tree(tmp_path / "two", *names[5:])
    one = keys(tmp_path / "one", tmp_path / "out", shard=(2, 3))
    two = keys(tmp_path / "two", tmp_path / "out", shard=(2, 3))
    assert set(two) == set(one) & set(names[5:])
    assert 2 < len(one) < 12


@pytest.mark.parametrize("folds", [False, True])
def test_names_that_differ_by_case_clash_where_the_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folds: bool
) -> None:
    monkeypatch.setattr("mirnet_cli.restore.names.folds_case", lambda folder: folds)
    tree(tmp_path, "a.jpg", "b.jpg")
    out = tmp_path / "out"
    pairs = [(tmp_path / "a.jpg", out / "X.jpg"), (tmp_path / "b.jpg", out / "x.jpg")]
    if folds:
        with pytest.raises(UsageError, match="both be written"):
            refuse_clashes(pairs)
    else:
        refuse_clashes(pairs)


def test_a_junction_of_windows_is_a_link() -> None:
    class Entry:
        def __init__(self, tag: int) -> None:
            self.tag = tag

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            return not follow_symlinks

        def stat(self, *, follow_symlinks: bool) -> SimpleNamespace:
            return SimpleNamespace(st_reparse_tag=self.tag)

    assert folders._is_folder(Entry(0))  # type: ignore[arg-type]
    assert not folders._is_folder(Entry(0xA0000003))  # type: ignore[arg-type]
