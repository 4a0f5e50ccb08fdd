"""Several processes: the same results, and what happens when one dies."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mirnet_cli
from mirnet_cli.batches.job import Nobody
from mirnet_cli.batches.journal import Journal
from mirnet_cli.batches.plan import Item, Selection, make_plan
from mirnet_cli.batches.processes import Processes
from mirnet_cli.batches.run import Run
from mirnet_cli.batches.worker_parts import share, split_cores
from mirnet_cli.models import weights
from mirnet_cli.restore.options import LoadOptions, PhotoOptions
from mirnet_cli.runtime.memory import USEFUL
from tests.models.builders import some_weights, tiny_network


class Killer(Nobody):
    """Kills the process that gets a photo, as the system does when memory runs out."""

    def __init__(self, times: int) -> None:
        self.left = {"b.png": times}
        self.under_way: list[str] = []
        self.executor: Processes | None = None

    def begin(self, item: Item) -> None:
        assert item.key not in self.under_way
        self.under_way.append(item.key)
        if self.left.get(item.key, 0) > 0 and self.executor is not None:
            self.left[item.key] -= 1
            for worker in self.executor._workers:
                if worker is not None and worker.job is not None and worker.job.item is item:
                    os.kill(worker.process.pid, signal.SIGKILL)

    def end(self, item: Item) -> None:
        self.under_way.remove(item.key)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    weights.save(path, some_weights(network=tiny_network(3)))
    (tmp_path / "in").mkdir()
    random = np.random.default_rng(0)
    for name in "abcde":
        pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{name}.png")
    return path


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_they_do_what_one_does_and_survive_each_other(small: Path, tmp_path: Path) -> None:
    restorer = mirnet_cli.load(small)
    alone = [*mirnet_cli.batch(restorer, [tmp_path / "in"], into=tmp_path / "alone")]
    assert {result.status for result in alone} == {"done"}
    for times, status in ((1, "done"), (2, "failed")):
        into = tmp_path / f"out{times}"
        killer = Killer(times)
        executor = Processes(restorer, LoadOptions(weights=str(small)), 2, killer)
        killer.executor = executor
        plan = make_plan([tmp_path / "in"], into, Selection())
        with Run(Journal(into), restorer, PhotoOptions(), executor=executor) as going:
            found = {each.item.key: each.outcome.result for each in going.do(plan)}
        assert {key: result.status for key, result in found.items()} == {
            **dict.fromkeys(("a.png", "c.png", "d.png", "e.png"), "done"),
            "b.png": status,
        }
        for path in into.glob("*.png"):
            assert path.read_bytes() == (tmp_path / "alone" / path.name).read_bytes()
        assert not any(into.glob(".*part"))
        assert executor._workers == [None, None]
        assert killer.under_way == []
    assert "it crashed 2 worker processes (SIGKILL)" in str(found["b.png"].error)


def test_memory_and_cores_are_shared() -> None:
    assert share(8 << 30, 8 << 30, 4) == 2 << 30
    assert share(64 << 30, None, 4) == USEFUL
    assert share(4 << 30, None, 4) == 1 << 30
    parts = split_cores(3)
    assert len(parts) == 3
    if hasattr(os, "sched_getaffinity"):
        cores = os.sched_getaffinity(0)
        assert frozenset().union(*parts) <= cores
        assert all(parts)
