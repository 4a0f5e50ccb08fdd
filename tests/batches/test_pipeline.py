"""Reading ahead and writing behind: what overlaps, what stays the same, what is dropped."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mirnet_cli
from mirnet_cli.batches import pipeline
from mirnet_cli.batches.journal import Journal
from mirnet_cli.batches.memory_budget import Cost, fits
from mirnet_cli.batches.plan import Item, Plan
from mirnet_cli.batches.run import Run
from mirnet_cli.models.catalogue import Model
from mirnet_cli.restore.options import PhotoOptions
from tests import fakes
from tests.models.builders import tiny_network


def plan(folder: Path, **contents: str) -> Plan:
    items = []
    for name, content in contents.items():
        source = folder / f"{name}.jpg"
        source.write_text(content)
        items.append(Item(source.name, source, folder / "out" / source.name))
    return Plan(folder / "out", tuple(items))


def statuses(restorer: fakes.Restorer, made: Plan) -> dict[str, str]:
    with Run(Journal(made.into), restorer, PhotoOptions()) as going:  # type: ignore[arg-type]
        return {each.item.key: each.outcome.result.status for each in going.do(made)}


def test_the_next_is_read_and_the_last_written_while_one_is_computed(
    restorer: fakes.Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: dict[str, threading.Event] = {}
    seen: list[str] = []

    def event(name: str) -> threading.Event:
        return events.setdefault(name, threading.Event())

    def wrap(name: str, waits: Callable[[str], str | None]) -> None:
        real = getattr(restorer, name)

        def step(*given: Any, **more: Any) -> Any:
            key = Path(given[0] if name == "read" else given[0].source).stem
            event(f"{name} {key}").set()
            if (other := waits(key)) is not None and event(other).wait(20):
                seen.append(other)
            return real(*given, **more)

        monkeypatch.setattr(restorer, name, step)

    wrap("read", lambda key: None)
    # Each waits for what only goes on if the steps of different photos overlap.
    wrap("improve", lambda key: {"a": "read b", "c": "write b"}.get(key))
    wrap("write", lambda key: {"b": "improve c"}.get(key))
    made = plan(tmp_path, a="1", b="2", c="3")
    assert set(statuses(restorer, made).values()) == {"done"}
    assert sorted(seen) == ["improve c", "read b", "write b"]


def test_one_photo_at_a_time_where_memory_is_short(
    restorer: fakes.Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[str] = []
    most = 0

    def step(name: str) -> None:
        real = getattr(restorer, name)

        def wrapped(*given: Any, **more: Any) -> Any:
            nonlocal most
            key = str(given[0] if name == "read" else given[0].source)
            if name == "read":
                inside.append(key)
                most = max(most, len(inside))
            made = real(*given, **more)
            if name == "write":
                inside.remove(key)
            return made

        monkeypatch.setattr(restorer, name, wrapped)

    for name in ("read", "improve", "write"):
        step(name)
    made = plan(tmp_path, a="1", b="2", c="3", d="4")
    monkeypatch.setattr(pipeline, "cost", lambda *_: Cost(10, 90, 10))
    restorer.max_memory = 99
    assert set(statuses(restorer, made).values()) == {"done"}
    assert most == 1
    monkeypatch.setattr(pipeline, "cost", lambda *_: None)
    restorer.max_memory = 1 << 40
    more = Plan(tmp_path / "more", tuple(Item(i.key, i.source, tmp_path / "more" / i.key)
                                         for i in made.items))  # fmt: skip
    assert set(statuses(restorer, more).values()) == {"done"}
    assert most == 1


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 100))), st.integers(0, 50))
def test_what_fits_never_exceeds_the_ceiling(queue: list[tuple[int, int]], writing: int) -> None:
    costs = [Cost(reading, computing) for reading, computing in queue]
    wanted = all(
        each.computing + sum(later.reading for later in costs[n + 1 :]) + writing <= 120
        for n, each in enumerate(costs)
    )
    assert fits(costs, writing, 120) == wanted


def test_an_error_of_each_step_is_its_own_photos(restorer: fakes.Restorer, tmp_path: Path) -> None:
    made = plan(tmp_path, a="1", b="READ", c="2", d="BAD", e="3", f="LATE", g="4")
    with Run(Journal(made.into), restorer, PhotoOptions()) as going:  # type: ignore[arg-type]
        reports = {each.item.key: each.outcome.result for each in going.do(made)}
    found = {key: result.error for key, result in reports.items()}
    assert {key for key, error in found.items() if error} == {"b.jpg", "d.jpg", "f.jpg"}
    assert "cannot be decoded" in str(found["b.jpg"])
    assert "not a picture" in str(found["d.jpg"])
    assert "cannot be encoded" in str(found["f.jpg"])


def test_stopped_while_one_is_written(restorer: fakes.Restorer, tmp_path: Path) -> None:
    made = plan(tmp_path, a="LONG", b="INTERRUPT", c="3", d="4")
    with Run(Journal(made.into), restorer, PhotoOptions()) as going:  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            list(going.do(made))
        rest = {each.item.key: each for each in going.rest("stopped")}
    assert list(rest) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert rest["a.jpg"].outcome.result.status == "done"
    assert all(rest[key].left for key in ("b.jpg", "c.jpg", "d.jpg"))
    assert [path.name for path in made.into.glob("*.jpg")] == ["a.jpg"]
    assert statuses(restorer, plan(tmp_path, a="LONG", b="2", c="3", d="4")) == {
        "a.jpg": "skipped", "b.jpg": "done", "c.jpg": "done", "d.jpg": "done"
    }  # fmt: skip


def test_memory_that_neighbours_took_is_asked_for_again(
    restorer: fakes.Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = restorer.read, set[str]()

    def read(source: Path, target: Path, options: PhotoOptions) -> Any:
        if source.stem == "b" and source.stem not in failed:
            failed.add(source.stem)
            raise MemoryError
        return real(source, target, options)

    monkeypatch.setattr(restorer, "read", read)
    assert set(statuses(restorer, plan(tmp_path, a="1", b="2")).values()) == {"done"}
    assert failed == {"b"}


def test_the_bytes_are_those_of_one_photo_alone(
    shipped: Callable[..., Model], tmp_path: Path
) -> None:
    shipped("denoise", ("denoise",), network=tiny_network(3))
    restorer = mirnet_cli.load("denoise")
    photos, alone = tmp_path / "in", tmp_path / "alone"
    photos.mkdir()
    alone.mkdir()
    random = np.random.default_rng(0)
    for n, name in enumerate(("a.png", "b.jpg", "c.tif", "d.webp", "e.png")):
        pixels = random.integers(0, 256, (40 + 20 * n, 90 - 10 * n, 3), np.uint8)
        Image.fromarray(pixels).save(photos / name)
        restorer.file(photos / name, alone / name)
    results = list(mirnet_cli.batch(restorer, [photos], into=tmp_path / "out"))
    assert [result.status for result in results] == ["done"] * 5
    for path in alone.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
