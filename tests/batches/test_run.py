"""Batches: what is done, skipped, failed; and what the journal makes of a rerun."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mirnet_cli
from mirnet_cli.batches import journal
from mirnet_cli.batches.journal import NAME, Journal
from mirnet_cli.batches.plan import Item, Selection, make_plan
from mirnet_cli.batches.run import Report, Run
from mirnet_cli.errors import OutputError, UsageError
from mirnet_cli.files import PART_SUFFIX
from mirnet_cli.restore.options import PhotoOptions
from tests import fakes

Statuses = list[str]
Batch = Callable[..., Statuses]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.jpg").write_text(f"photo {name}")
    return folder


@pytest.fixture
def do(restorer: fakes.Restorer, photos: Path, tmp_path: Path) -> Batch:
    """Run a batch over the photos; return the statuses in the order of names."""

    def run(paths: Sequence[Path] | None = None, **options: Any) -> Statuses:
        results = list(
            mirnet_cli.batch(restorer, paths or [photos], into=tmp_path / "out", **options)
        )
        names = [result.input for result in results]
        assert len(set(names)) == len(names)
        return [result.status for result in sorted(results, key=lambda each: each.input)]

    return run


def test_all_are_done_and_a_rerun_does_nothing(do: Batch, restorer: fakes.Restorer) -> None:
    assert do() == ["done"] * 4
    assert do() == ["skipped"] * 4
    assert len(restorer.calls) == 4


def test_a_bad_photo_does_not_stop_the_others(
    do: Batch, photos: Path, restorer: fakes.Restorer
) -> None:
    (photos / "b.jpg").write_text("BAD")
    assert do() == ["done", "failed", "done", "done"]
    assert do() == ["skipped", "failed", "skipped", "skipped"]
    assert len(restorer.calls) == 4
    assert do(retry_failed=True) == ["skipped", "failed", "skipped", "skipped"]
    assert len(restorer.calls) == 5
    (photos / "b.jpg").write_text("better")
    assert do() == ["skipped", "done", "skipped", "skipped"]


def test_a_failure_that_is_not_the_photos_is_tried_again(
    do: Batch, photos: Path, restorer: fakes.Restorer
) -> None:
    (photos / "b.jpg").write_text("DENIED")
    do()
    do()
    assert len(restorer.calls) == 5


def test_only_what_is_missing_is_done(do: Batch, photos: Path, tmp_path: Path) -> None:
    do()
    (tmp_path / "out/c.jpg").unlink()
    (photos / "e.jpg").write_text("new")
    assert do() == ["skipped", "skipped", "done", "skipped", "done"]


def test_content_decides_not_time(do: Batch, photos: Path) -> None:
    do()
    os.utime(photos / "a.jpg", (1, 1))
    assert do() == ["skipped"] * 4
    (photos / "a.jpg").write_text("photo A")
    assert do() == ["failed", "skipped", "skipped", "skipped"]
    assert do(overwrite=True) == ["done"] * 4


def test_other_options_or_weights_do_not_pass_for_the_same(
    do: Batch, restorer: fakes.Restorer, tmp_path: Path
) -> None:
    do()
    assert do(strength=0.5) == ["failed"] * 4
    restorer.sha256 = "cd" * 32
    assert do() == ["failed"] * 4
    assert do(overwrite=True) == ["done"] * 4
    assert do() == ["skipped"] * 4


def test_numbers_of_numpy_are_the_same_options(do: Batch) -> None:
    assert do(crop=(0, 0, 8, 8), strength=0.5) == ["done"] * 4
    numbers = np.array([0, 0, 8, 8])
    for crop in (tuple(numbers), numbers, iter(numbers)):
        assert do(crop=crop, strength=np.float32(0.5)) == ["skipped"] * 4


def test_what_only_decides_how_it_is_computed_does_not_count(
    do: Batch, restorer: fakes.Restorer
) -> None:
    do()
    restorer.device = "cuda"
    restorer.precision = "fp16"
    assert do(preserve=True) == ["skipped"] * 4


def test_files_of_others_are_left_alone(do: Batch, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.jpg").write_text("mine")
    assert do() == ["skipped", "done", "done", "done"]
    assert (tmp_path / "out/a.jpg").read_text() == "mine"
    assert do(overwrite=True) == ["done"] * 4
    assert (tmp_path / "out/a.jpg").read_text() == "denoise 1:photo a"


def test_a_result_that_was_edited_is_left_alone(do: Batch, tmp_path: Path) -> None:
    do()
    (tmp_path / "out/a.jpg").write_text("edited")
    assert do() == ["skipped"] * 4
    assert (tmp_path / "out/a.jpg").read_text() == "edited"


def test_a_full_disk_stops_at_once(do: Batch, photos: Path, restorer: fakes.Restorer) -> None:
    (photos / "b.jpg").write_text("FULL")
    assert do() == ["done", "failed", "skipped", "skipped"]
    assert len(restorer.calls) == 2
    (photos / "b.jpg").write_text("photo b")
    assert do() == ["skipped", "done", "done", "done"]


def test_what_is_under_way_when_the_disk_is_found_full_comes_to_its_end(
    do: Batch, photos: Path, restorer: fakes.Restorer
) -> None:
    (photos / "b.jpg").write_text("DISK")
    (photos / "c.jpg").write_text("WAIT")
    assert do() == ["done", "failed", "done", "skipped"]
    assert len(restorer.calls) == 3
    (photos / "b.jpg").write_text("photo b")
    assert do() == ["skipped", "done", "skipped", "done"]


def test_time_that_is_over(do: Batch, restorer: fakes.Restorer) -> None:
    assert do(max_time=0.0) == ["skipped"] * 4
    assert not restorer.calls
    assert do() == ["done"] * 4


@pytest.mark.parametrize("time", [float("nan"), -1.0, "soon"])
def test_a_time_that_is_none(do: Batch, tmp_path: Path, time: Any) -> None:
    with pytest.raises(UsageError, match=r"max_time: .* is not a time"):
        do(max_time=time)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("event", "first"), [("started", "d.jpg"), ("done", "b.jpg")])
def test_a_journal_that_cannot_be_written_any_more(
    restorer: fakes.Restorer,
    photos: Path,
    tmp_path: Path,
    event: str,
    first: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No photo is blamed for it, and each is reported once."""
    real = Journal._append

    def append(self: Journal, line: Any) -> None:
        if line["event"] == event and line["key"] >= first:
            raise OutputError("cannot be written (input/output error)", "look at the disk")
        real(self, line)

    monkeypatch.setattr(Journal, "_append", append)
    plan = make_plan([photos], tmp_path / "out", Selection())
    found: dict[str, str] = {}

    def tell(reports: Iterator[Report]) -> None:
        for each in reports:
            assert each.item.key not in found
            found[each.item.key] = each.outcome.result.status

    with Run(Journal(plan.into), restorer, PhotoOptions()) as going:  # type: ignore[arg-type]
        with pytest.raises(OutputError, match="look at the disk"):
            tell(going.do(plan))
        tell(going.rest("it was stopped"))
    assert len(found) == 4
    assert set(found.values()) == {"done", "skipped"}
    written = {path.name for path in plan.into.glob("*.jpg")}
    assert {key for key, status in found.items() if status == "done"} == written


def test_killed_and_gone_on_with_under_another_name(
    do: Batch, photos: Path, tmp_path: Path
) -> None:
    (photos / "b.jpg").write_text("INTERRUPT")
    with pytest.raises(KeyboardInterrupt):
        do([photos / "b.jpg"])
    (tmp_path / "out/b-x.jpg").write_text("of another program")
    assert do([photos / "b.jpg"], suffix="-x") == ["failed"]
    assert (tmp_path / "out/b-x.jpg").read_text() == "of another program"


def test_killed_between_the_result_and_its_line(
    do: Batch, photos: Path, tmp_path: Path, restorer: fakes.Restorer
) -> None:
    do()
    journal = tmp_path / "out" / NAME
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if b'"done"' in line)
    journal.write_bytes(b"".join(lines[:last]) + lines[last][:20])
    assert do() == ["skipped"] * 4
    (tmp_path / "out/d.jpg").unlink()
    assert do() == ["skipped", "skipped", "skipped", "done"]
    assert do() == ["skipped"] * 4
    assert len(restorer.calls) == 5
    # The half line stays by itself.
    assert lines[last][:20] in journal.read_bytes().splitlines()


def test_every_cut_of_the_journal_can_be_gone_on_from(
    do: Batch, tmp_path: Path, restorer: fakes.Restorer
) -> None:
    do()
    journal = tmp_path / "out" / NAME
    whole = journal.read_bytes()
    for end in range(0, len(whole), 97):
        journal.write_bytes(whole[:end])
        assert do() == ["skipped"] * 4
    assert len(restorer.calls) == 4


def test_overwriting_goes_on_where_it_was_stopped(
    do: Batch, photos: Path, restorer: fakes.Restorer
) -> None:
    do()
    (photos / "c.jpg").write_text("FULL")
    do(overwrite=True)
    assert len(restorer.calls) == 4 + 3
    (photos / "c.jpg").write_text("photo c")
    assert do(overwrite=True) == ["skipped", "skipped", "done", "done"]
    assert do(overwrite=True) == ["done"] * 4


def test_killed_while_a_result_was_being_replaced(
    do: Batch, photos: Path, tmp_path: Path, restorer: fakes.Restorer
) -> None:
    do()
    journal = tmp_path / "out" / NAME
    before = journal.stat().st_size
    do(overwrite=True)
    whole = journal.read_bytes()
    lines = whole[before:].splitlines(keepends=True)
    killed = [n for n, line in enumerate(lines) if b'"done"' in line and b"d.jpg" in line]
    journal.write_bytes(whole[:before] + b"".join(lines[: killed[0]]))
    # What stands there may be the old result.
    (tmp_path / "out/d.jpg").write_text("old")
    assert do(overwrite=True) == ["skipped", "skipped", "skipped", "done"]
    assert (tmp_path / "out/d.jpg").read_text() == "denoise 1:photo d"


def test_what_a_killed_run_left_is_removed(do: Batch, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    left = tmp_path / f"out/.a.jpg.0123{PART_SUFFIX}"
    left.write_text("half a pho")
    do()
    assert not left.exists()


@pytest.mark.parametrize("shard", [(3, 2), (0, 2), (1, 0), (1,), 2, "3/2"])
def test_a_shard_that_is_none(do: Batch, tmp_path: Path, shard: Any) -> None:
    with pytest.raises(UsageError, match=r"shard: .* is not i/n with i from 1 to n"):
        do(shard=shard)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"strength": "half"},
        {"quality": 0},
        {"crop": (0, 0, 5)},
        {"sharpen": True},
        {"suffix": "/x"},
        {"suffix": "\0"},
    ],
)
def test_wrong_options_are_known_before_any_work(
    do: Batch, tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        do(**options)
    assert not (tmp_path / "out").exists()


def test_no_name_is_not_the_current_folder(
    restorer: fakes.Restorer, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    with pytest.raises(UsageError, match="an empty name"):
        mirnet_cli.batch(restorer, [photos], into="")  # type: ignore[arg-type]
    assert not (photos / NAME).exists()


def test_one_pattern_need_not_be_in_a_list(do: Batch) -> None:
    assert do(include="b.*") == ["done"]
    assert do(exclude="b.*") == ["done"] * 3


def test_of_several_journals_the_last_line_in_time_counts(
    do: Batch, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(fakes, "fail", fail)
        assert do() == ["failed"] * 4
    for index in (1, 2):
        assert set(do(shard=(index, 2), retry_failed=True)) == {"done"}
    assert do() == ["skipped"] * 4
    assert do(overwrite=True, strength=0.5) == ["done"] * 4
    assert do(strength=0.5, shard=(1, 2)) + do(strength=0.5, shard=(2, 2)) == ["skipped"] * 4


def test_shards_share_a_folder(do: Batch) -> None:
    found = [do(shard=(index, 3)) for index in (1, 2, 3)]
    assert sum(map(len, found)) == 4
    assert do() == ["skipped"] * 4


def test_a_missing_photo_in_a_list(do: Batch, photos: Path) -> None:
    assert do([photos / "a.jpg", photos / "gone.jpg"]) == ["done", "failed"]


def test_clashes_are_raised_before_work(
    restorer: fakes.Restorer, photos: Path, tmp_path: Path
) -> None:
    (photos / "a.png").write_text("other")
    with pytest.raises(UsageError):
        mirnet_cli.batch(restorer, [photos], into=tmp_path / "out", format="png")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        mirnet_cli.batch(restorer, photos, into=tmp_path / "out", strenght=1)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_results_beside_their_photos(
    restorer: fakes.Restorer, photos: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        results = list(mirnet_cli.batch(restorer, [photos], into=photos, suffix="-s"))  # type: ignore[arg-type]
        assert len(results) == 4
    assert len(list(photos.glob("*.jpg"))) == 8


def test_the_journal_can_hold_any_name(do: Batch, photos: Path) -> None:
    for name in ("ä\n.jpg", "\udcff.jpg", '"\\.jpg'):
        (photos / name).write_text(repr(name))
    assert do() == ["done"] * 7
    assert do() == ["skipped"] * 7


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the journals that are read."""
    names: list[str] = []
    known = journal._lines
    monkeypatch.setattr(journal, "_lines", lambda path: names.append(path.name) or known(path))
    return names


def test_the_journal_is_read_once(do: Batch, read: list[str]) -> None:
    do()
    assert read == []
    assert do() == ["skipped"] * 4
    assert read == [NAME]


def test_what_others_write_is_read_again(photos: Path, tmp_path: Path, read: list[str]) -> None:
    first, second = (Journal(tmp_path / "out", (n, 2)) for n in (1, 2))
    with first, second:
        for name, each in (("a.jpg", first), ("b.jpg", second)):
            each.started(Item(name, photos / name, tmp_path / "out" / name), "")
        read.clear()
        first.refresh()
        assert first.outputs == {"a.jpg", "b.jpg"}
        assert len(read) == 2
        first.started(Item("c.jpg", photos / "c.jpg", tmp_path / "out/c.jpg"), "")
        first.refresh()
        assert first.outputs == {"a.jpg", "b.jpg", "c.jpg"}
        assert len(read) == 2
