"""Photos that come while a folder is watched."""

import io
import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mirnet_cli.batches import watch
from mirnet_cli.batches.plan import Selection, make_plan
from mirnet_cli.batches.watch import PATIENCE, SETTLED, Arrivals


def picture(shade: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), (shade, 80, 70)).save(stream, "PNG")
    return stream.getvalue()


class Folder:
    """A folder and a clock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.time = 2_000_000_000.0
        self.arrivals = Arrivals(1_000_000, lambda: self.time)

    def put(self, name: str, data: bytes, age: float = 0.0) -> None:
        path = self.root / name
        path.write_bytes(data)
        os.utime(path, (self.time - age, self.time - age))

    def ready(self, wait: float = 0.0, **selection: object) -> list[str]:
        self.time += wait
        chosen = Selection(**selection)  # type: ignore[arg-type]
        into = self.root / "out"
        plan = make_plan([self.root], into, chosen, known=self.arrivals.given)
        return [item.key for item in self.arrivals.ready(plan).items]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_what_was_there_before_comes_at_once(folder: Folder) -> None:
    folder.put("a.png", picture(), age=PATIENCE + 1)
    folder.put("b.png", b"no picture", age=PATIENCE + 1)
    assert folder.ready() == ["a.png", "b.png"]
    assert folder.ready(100) == []


def test_what_comes_has_to_settle(folder: Folder) -> None:
    assert folder.ready() == []
    folder.put("a.png", picture())
    assert folder.ready(0.1) == []
    assert folder.ready(SETTLED) == ["a.png"]


def test_a_copy_under_way_waits_for_its_end(folder: Folder) -> None:
    folder.ready()
    data = picture()
    folder.put("a.png", data[:50], age=1000)
    assert folder.ready(0.1) == []
    assert folder.ready(SETTLED * 4) == []
    folder.put("a.png", data, age=1000)
    assert folder.ready(0.1) == []
    assert folder.ready(SETTLED) == ["a.png"]


def test_what_stays_broken_comes_in_the_end(folder: Folder) -> None:
    folder.ready()
    folder.put("a.png", b"no picture")
    assert folder.ready(0.1) == []
    assert folder.ready(PATIENCE / 2) == []
    assert folder.ready(PATIENCE) == ["a.png"]
    assert folder.ready(PATIENCE) == []


def test_what_changes_comes_again(folder: Folder) -> None:
    folder.put("a.png", picture(), age=100)
    assert folder.ready() == ["a.png"]
    folder.put("a.png", picture(10))
    assert folder.ready(0.1) == []
    assert folder.ready(SETTLED) == ["a.png"]


def test_patterns_hold_for_what_comes(folder: Folder) -> None:
    folder.ready(exclude=("b*",))
    folder.put("a.png", picture())
    folder.put("b.png", picture())
    folder.ready(0.1, exclude=("b*",))
    assert folder.ready(SETTLED, exclude=("b*",)) == ["a.png"]


def test_a_later_photo_may_not_take_the_place_of_an_earlier_one(folder: Folder) -> None:
    folder.put("b.png", picture(), age=100)
    assert folder.ready(extension="png") == ["b.png"]
    (folder.root / "b.jpg").write_bytes(picture())
    plan = make_plan(
        [folder.root], folder.root / "out", Selection(extension="png"), known={"b.png"}
    )
    errors = {item.key: item.error for item in plan.items}
    assert errors["b.png"] is None
    assert "would both be written here" in str(errors["b.jpg"])


def test_a_folder_that_may_not_be_entered_is_told_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.root / "shut").mkdir()
    real = os.scandir

    def scandir(path: Path) -> Any:
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert folder.ready(recursive=True) == ["shut"]
    folder.put("a.png", picture())
    assert folder.ready(0.1, recursive=True) == []
    assert folder.ready(SETTLED, recursive=True) == ["a.png"]
    assert folder.ready(100, recursive=True) == []


def test_looking_needs_nothing_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    times = [clock[0] for _ in watch.looks(until=102.5)]
    assert times == [100, 101, 102, 102.5]
    assert len(list(itertools.islice(watch.looks(), 50))) == 50
