"""Names of outputs and clashes among them."""

import os
from pathlib import Path

import pytest

from mirnet_cli.errors import UsageError
from mirnet_cli.restore import names
from mirnet_cli.restore.names import ending, output_name, refuse_clashes


@pytest.mark.parametrize(
    ("name", "suffix", "extension", "expected"),
    [
        ("a.jpg", "-x2", None, "a-x2.jpg"),
        ("a.b.JPG", "-x2", None, "a.b-x2.JPG"),
        ("a", "-x2", None, "a-x2"),
        (".hidden", "-x2", None, ".hidden-x2"),
        ("a.jpg", "", "png", "a.png"),
        ("a", "", "png", "a.png"),
    ],
)
def test_output_name(name: str, suffix: str, extension: str | None, expected: str) -> None:
    assert output_name(name, suffix=suffix, extension=extension) == expected


def test_ending() -> None:
    assert [ending("enhance"), ending("denoise"), ending("upscale", 3)] == [
        "enhanced",
        "denoised",
        "x3",
    ]


def test_clashes(tmp_path: Path) -> None:
    a, b, out = tmp_path / "a", tmp_path / "b", tmp_path / "out"
    a.touch()
    b.touch()
    refuse_clashes([(a, out / "a"), (b, out / "b")])
    for pairs in ([(a, out), (b, out)], [(a, a)], [(a, out), (b, a)], [(a, out), (a, b / "c")]):
        if pairs[1:] and pairs[0][1] != pairs[1][1] and pairs[1][1] not in (a, b):
            continue
        with pytest.raises(UsageError):
            refuse_clashes(pairs)
    refuse_clashes([(a, a)], in_place=True)
    with pytest.raises(UsageError):
        refuse_clashes([(a, b), (b, out)], in_place=True)


def test_clashes_are_seen_through_links_and_dots(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    a, b = tmp_path / "a", tmp_path / "b"
    a.touch()
    b.touch()
    with pytest.raises(UsageError):
        refuse_clashes([(a, tmp_path / "real/x"), (b, tmp_path / "link/x")])
    with pytest.raises(UsageError):
        refuse_clashes([(a, tmp_path / "new/x"), (b, tmp_path / "new/../new/x")])


def test_results_may_be_hard_links_of_each_other_but_not_of_an_input(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    out, other, soft = tmp_path / "out", tmp_path / "other", tmp_path / "soft"
    for path in (a, b, out):
        path.touch()
    os.link(out, other)
    soft.symlink_to("out")
    refuse_clashes([(a, out), (b, other)])
    for target in (out, soft):
        with pytest.raises(UsageError, match="would both be written here"):
            refuse_clashes([(a, out), (b, target)])
    os.link(a, tmp_path / "linked")
    for pairs in ([(a, tmp_path / "linked")], [(b, tmp_path / "linked"), (a, out)]):
        with pytest.raises(UsageError, match="input"):
            refuse_clashes(pairs)


def test_hard_links_where_letter_case_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "x.jpg"):
        (tmp_path / name).touch()
    os.link(tmp_path / "x.jpg", tmp_path / "X.jpg")
    pairs = [(tmp_path / "a", tmp_path / "x.jpg"), (tmp_path / "b", tmp_path / "X.jpg")]
    refuse_clashes(pairs)
    monkeypatch.setattr(names, "folds_case", lambda folder: True)
    with pytest.raises(UsageError, match="would both be written here"):
        refuse_clashes(pairs)
