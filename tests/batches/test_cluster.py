"""Workers of a cluster: the same results, and what happens when they die, differ or are gone."""

import contextlib
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mirnet_cli
from mirnet_cli.batches import cluster, cluster_worker
from mirnet_cli.batches.cluster import Cluster
from mirnet_cli.batches.cluster_worker import Ready, Request
from mirnet_cli.batches.job import Job, Nobody
from mirnet_cli.batches.journal import Journal
from mirnet_cli.batches.plan import Item, Selection, make_plan
from mirnet_cli.batches.run import Report, Run
from mirnet_cli.batches.scheduler import News, Scheduler, connect, start
from mirnet_cli.errors import InputError, MirnetError, ModelError, UsageError
from mirnet_cli.models import weights
from mirnet_cli.restore.options import LoadOptions, PhotoOptions
from mirnet_cli.restore.outcome import Outcome, make_result
from tests.cli.conftest import ROOT
from tests.cli.test_process import until
from tests.models.builders import some_weights, tiny_network

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    """A scheduler with two workers, for all tests."""
    started = start(2)
    keys = started._client.security
    # As a user sets it up, see docs/clusters.md.
    settings = {"ca-file": keys.tls_ca_file, "client.key": keys.tls_client_key}
    settings["client.cert"] = keys.tls_client_cert
    with dask.config.set({f"distributed.comm.tls.{name}": settings[name] for name in settings}):
        yield started
    started.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, tiny weights, and what a plain batch makes of them."""
    folder = tmp_path_factory.mktemp("cluster")
    weights.save(folder / "tiny.safetensors", some_weights(network=tiny_network(3)))
    (folder / "in/day2").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name in ("a", "b", "c", "d", "day2/e"):
        # The last one takes a while, so that there is time to kill who does it.
        side = 900 if name == "day2/e" else 40
        pixels = draw.integers(0, 256, (side, 50, 3), np.uint8).repeat(side // 40, axis=1)
        Image.fromarray(pixels).save(folder / "in" / f"{name}.png")
    alone = mirnet_cli.batch(
        mirnet_cli.load(folder / "tiny.safetensors"),
        [folder / "in"],
        into=folder / "alone",
        recursive=True,
    )
    assert [result.status for result in alone] == ["done"] * 5
    return folder


NAMES = ("a.png", "b.png", "c.png", "d.png", "day2/e.png")


class Clustered:
    """Runs batches of the photos on the cluster."""

    def __init__(self, photos: Path, scheduler: Scheduler, into: Path) -> None:
        self.photos, self.scheduler, self.into = photos, scheduler, into
        self.said: list[str] = []
        self.details: list[str] = []

    def executor(self, watcher: Nobody | None = None, **loading: Any) -> Cluster:
        path = str(self.photos / "tiny.safetensors")
        return Cluster(
            mirnet_cli.load(path),
            LoadOptions(**{"weights": path, **loading}),
            self.scheduler.address,
            watcher,
            say=self.said.append,
            detail=self.details.append,
        )

    def reports(self, executor: Cluster, **how: Any) -> Iterator[Report]:
        plan = make_plan([self.photos / "in"], self.into, Selection(recursive=True))
        restorer = executor._restorer
        with Run(Journal(self.into), restorer, PhotoOptions(), executor=executor, **how) as going:
            yield from going.do(plan)

    def statuses(self, executor: Cluster) -> dict[str, str]:
        return {each.item.key: each.outcome.result.status for each in self.reports(executor)}

    def same(self, *names: str) -> bool:
        wanted = {name: (self.photos / "alone" / name).read_bytes() for name in names}
        found = {
            path.relative_to(self.into).as_posix(): path.read_bytes()
            for path in self.into.rglob("*")
            if path.is_file() and not path.name.startswith(".mirnet-journal")
        }
        return found == wanted


@pytest.fixture
def clustered(photos: Path, scheduler: Scheduler, tmp_path: Path) -> Clustered:
    return Clustered(photos, scheduler, tmp_path / "out")


class Killer(Nobody):
    """Kills the worker that gets a photo, as the system does when memory runs out."""

    def __init__(
        self, name: str, times: int, before: Callable[[Item], None] = lambda item: None
    ) -> None:
        self.left = {name: times}
        self.before = before
        self.executor: Cluster | None = None

    def begin(self, item: Item) -> None:
        if self.left.get(item.key, 0) > 0 and self.executor is not None:
            self.left[item.key] -= 1
            for worker in self.executor._workers.values():
                if worker.photos and worker.photos[0][1].item is item:
                    self.before(item)
                    os.kill(worker.pid, signal.SIGKILL)


def killing(clustered: Clustered, killer: Killer) -> Cluster:
    executor = clustered.executor(killer)
    killer.executor = executor
    return executor


def test_they_do_what_one_does(
    clustered: Clustered, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    clustered.photos = Path()
    executor = clustered.executor()
    found = [each.outcome.result for each in clustered.reports(executor)]
    # Workers have another folder; what is told is as it was given.
    assert {(each.status, each.input) for each in found} == {("done", f"in/{n}") for n in NAMES}
    assert {each.output for each in found} == {str(clustered.into / name) for name in NAMES}
    assert clustered.same(*NAMES)
    loaded = clustered.scheduler._client.run(
        lambda dask_worker: [id(each) for each in dask_worker.extensions["mirnet"].loaded.values()]
    )
    again = Clustered(photos, clustered.scheduler, clustered.into.with_name("again"))
    assert set(again.statuses(again.executor()).values()) == {"done"}
    assert loaded == clustered.scheduler._client.run(
        lambda dask_worker: [id(each) for each in dask_worker.extensions["mirnet"].loaded.values()]
    )
    assert not clustered.said


def test_a_worker_that_dies_takes_nothing_with_it(clustered: Clustered) -> None:
    executor = killing(clustered, Killer("b.png", 1))
    assert clustered.statuses(executor) == dict.fromkeys(NAMES, "done")
    assert clustered.same(*NAMES)
    assert any(line.endswith(" left") for line in clustered.details)


def test_a_result_of_a_worker_that_died_before_it_said_so(clustered: Clustered) -> None:
    def finish(item: Item) -> None:
        item.target.parent.mkdir(parents=True, exist_ok=True)
        item.target.write_bytes((clustered.photos / "alone" / item.key).read_bytes())

    executor = killing(clustered, Killer("b.png", 1, finish))
    assert clustered.statuses(executor) == dict.fromkeys(NAMES, "done")
    assert clustered.same(*NAMES)


def test_a_photo_that_kills_three_workers_is_left(clustered: Clustered) -> None:
    killer = Killer(NAMES[-1], 9)
    found = {each.item.key: each for each in clustered.reports(killing(clustered, killer))}
    error = found[NAMES[-1]].outcome.result.error
    assert error is not None
    assert error.startswith("it crashed 3 workers; ")
    assert killer.left == {NAMES[-1]: 6}
    others = NAMES[:-1]
    assert {found[name].outcome.result.status for name in others} == {"done"}
    assert clustered.same(*others)
    # It was not the photo's fault for sure, so that the next run tries it again.
    assert clustered.statuses(clustered.executor())[NAMES[-1]] == "done"


class Fleeting:
    """A scheduler whose only worker goes when it has done its last photo."""

    address, lost = "tcp://nowhere:1", False

    def __init__(self, photos: int) -> None:
        self.left = photos
        self.told: list[News] = []

    def workers(self) -> frozenset[str]:
        return frozenset(self.describe() if self.left else ())

    def describe(self) -> dict[str, Any]:
        return {"tcp://nowhere:2": {"name": "0", "resources": {}}}

    def give(self, worker: str, function: Any, request: Request, *job: Job, **how: Any) -> str:
        for each in job:
            each.item.target.parent.mkdir(parents=True, exist_ok=True)
            each.item.target.touch()
        value = Outcome(make_result("skipped", Path("a"), None)) if job else Ready(0, "")
        self.told.append(News(str(id(value)), value))
        return self.told[-1].ticket

    def news(self, seconds: float) -> Iterator[News]:
        found = self.told.pop(0)
        self.left -= isinstance(found.value, Outcome)
        yield found

    def close(self) -> None: ...


def test_the_batch_ends_though_the_last_worker_is_gone(
    clustered: Clustered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "connect", lambda address: Fleeting(len(NAMES)))
    monkeypatch.setattr(cluster, "_LOOK", 0.0)
    executor = clustered.executor()
    executor._say = pytest.fail
    assert len(clustered.statuses(executor)) == len(NAMES)


def test_other_weights_are_refused(clustered: Clustered, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes((clustered.photos / "tiny.safetensors").read_bytes())
    executor = clustered.executor(weights=str(path))
    weights.save(path, some_weights(network=tiny_network(4)))
    with pytest.raises(ModelError, match=r"worker tls://.* has other weights \("):
        clustered.statuses(executor)
    executor = clustered.executor(weights=str(path))
    path.unlink()
    with pytest.raises(ModelError, match=r"mine\.safetensors: .*\(worker tls://"):
        clustered.statuses(executor)
    assert clustered.same()


def test_other_versions_are_refused(clustered: Clustered, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {**cluster_worker.versions(), "mirnet": "9.9"}
    monkeypatch.setattr(cluster_worker, "versions", lambda: ours)
    with pytest.raises(
        UsageError, match=r"has mirnet .*, but the batch has 9\.9; install the same"
    ):
        clustered.statuses(clustered.executor())


def test_a_worker_that_does_not_see_the_photos_is_refused(photos: Path) -> None:
    found = cluster_worker.prepare(
        Request("", LoadOptions(), "", cluster_worker.versions(), sees=(str(photos), "/gone/a.png"))
    )
    assert isinstance(found, InputError)
    assert "does not see /gone/a.png" in str(found)


def test_a_gpu_has_to_be_declared(clustered: Clustered) -> None:
    with pytest.raises(UsageError, match='declares no GPU; start it with --resources "GPU=1"'):
        clustered.statuses(clustered.executor(device="cuda"))


def test_nothing_is_begun_when_the_time_is_over(clustered: Clustered) -> None:
    executor = clustered.executor()
    plan = make_plan([clustered.photos / "in"], clustered.into, Selection(recursive=True))
    with Run(
        Journal(clustered.into), executor._restorer, PhotoOptions(), executor=executor
    ) as going:
        found = []
        for each in going.do(plan):
            going._stop = "the time is over"
            found.append(each)
    done = [each.item.key for each in found if not each.left]
    assert sorted(each.item.key for each in found) == sorted(NAMES)
    assert 1 <= len(done) <= 4
    assert clustered.same(*done)


def test_left_early_there_are_whole_files_or_none(clustered: Clustered, tmp_path: Path) -> None:
    large = tmp_path / "large"
    (large / "in").mkdir(parents=True)
    for name in "abcd":
        Image.new("RGB", (900, 900), (90, 80, 70)).save(large / "in" / f"{name}.png")
    executor = clustered.executor(tile=64)
    clustered.photos = large
    waiting = clustered.reports(executor)
    begun: list[str] = []
    executor._watcher = type("Told", (Nobody,), {"begin": lambda self, item: begun.append("")})()

    def listen(seconds: float) -> None:
        if begun:
            time.sleep(0.3)
            raise KeyboardInterrupt
        Cluster._listen(executor, seconds)

    executor._listen = listen  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        list(waiting)
    del executor._listen  # type: ignore[attr-defined]
    assert executor._scheduler is None
    client = clustered.scheduler._client
    until(lambda: not any(client.processing().values()))
    assert clustered.same()


def test_others_cannot_use_the_workers_of_this_machine(scheduler: Scheduler) -> None:
    with (
        dask.config.set({"distributed.comm.tls.client.key": None}),
        pytest.raises(UsageError, match="no scheduler answers there"),
    ):
        connect(scheduler.address)
    with pytest.raises(UsageError, match="no scheduler answers there"):
        connect(scheduler.address.replace("tls:", "tcp:"))


def test_no_scheduler(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(UsageError, match=r"no scheduler answers there \(connection refused\)"):
        connect(f"tcp://127.0.0.1:{port}")
    with pytest.raises(UsageError, match="cannot be read"):
        connect(str(tmp_path / "none.json"))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UsageError, match="not a scheduler file"):
        connect(str(tmp_path / "other.json"))


def test_a_scheduler_that_goes_away(
    clustered: Clustered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = distributed.LocalCluster(
        n_workers=0, host="127.0.0.1", scheduler_port=0, dashboard_address="127.0.0.1:0"
    )
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": other.scheduler_address}))
    restorer = mirnet_cli.load(clustered.photos / "tiny.safetensors")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        other.close()

    executor = Cluster(restorer, LoadOptions(), str(path), say=say)
    with pytest.raises(
        MirnetError, match="the connection to the scheduler is lost; rerestart it and run again"
    ):
        list(clustered.reports(executor))
    assert said[0].startswith("no worker is at tcp://127.0.0.1:")


def test_a_scheduler_of_another_version(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet_cli.batches import scheduler as module

    monkeypatch.setattr(module, "_connected", lambda address: (scheduler._client, "1.2"))
    closed: list[Scheduler] = []
    monkeypatch.setattr(Scheduler, "close", lambda self: closed.append(self))
    with pytest.raises(UsageError, match=r"the scheduler has distributed 1\.2, this machine has"):
        connect(scheduler.address)
    assert len(closed) == 1


def test_commands_of_dask_in_the_documents_are_understood() -> None:
    from distributed.cli import dask_scheduler, dask_worker

    mains = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}
    page = (ROOT / "docs/clusters.md").read_text(encoding="utf-8")
    found = re.findall(r"\bdask (scheduler|worker)( [^'&`\n]*)", page)
    assert {name for name, _ in found} == set(mains)
    for name, words in found:
        mains[name].make_context(name, shlex.split(words))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "mirnet_cli", "batch", *words]


def run_in(folder: Path, *words: str, **more: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(*words),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def children(pid: int) -> list[int]:
    """Processes that Python started as workers for another."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_stopped_and_killed_it_leaves_no_processes(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "abcd":
        Image.new("RGB", (1200, 1200), (90, 80, 70)).save(tmp_path / "in" / f"{name}.png")
    words = ["in", "-o", "out", "--task", "denoise", "--cluster", "local:2", "--tile", "64"]
    words += ["--weights", str(photos / "tiny.safetensors"), "--json", "--verbose"]
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        with run_in(tmp_path, *words, start_new_session=True) as running:
            assert running.stderr is not None
            for line in running.stderr:
                if "is ready" in line:
                    break
            workers = children(running.pid)
            if number == signal.SIGINT:
                # As a terminal does, to all processes.
                os.killpg(running.pid, number)
            else:
                running.send_signal(number)
            out, said = running.communicate(timeout=60)
        assert running.returncode == code, said
        assert len(workers) == 2
        until(lambda alive=workers: not any(Path(f"/proc/{each}/exe").exists() for each in alive))
        assert not [*(tmp_path / "out").glob(".*part")]
        if number == signal.SIGINT:
            assert [json.loads(line)["status"] for line in out.splitlines()] == ["skipped"] * 4
            assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_two_hundred_photos_while_workers_are_killed_ten_times(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    draw = np.random.default_rng(0)
    ramp = np.linspace(20, 200, 320)[None, :, None]
    for n in range(200):
        pixels = np.clip(ramp + draw.normal(0, 14, (240, 320, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{n:03}.{'png' if n % 2 else 'jpg'}")
    with run_in(tmp_path, "in", "-o", "plain", "--task", "denoise", "--quiet") as plain:
        plain.communicate(timeout=600)
    assert plain.returncode == 0
    chance = random.Random(3)
    kills = 0
    words = ("in", "-o", "out", "--task", "denoise", "--cluster", "local:2", "--json")
    with run_in(tmp_path, *words) as running:
        assert running.stdout is not None
        lines = []
        while kills < 10:
            # As many photos come between two deaths as chance says.
            lines += [running.stdout.readline() for _ in range(chance.randint(1, 25))]
            workers = children(running.pid)
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
                kills += 1
        out, said = running.communicate(timeout=600)
    assert running.returncode == 0, said
    told = [json.loads(line) for line in [*lines, *out.splitlines()] if line]
    assert {(each["status"], Path(each["input"]).name) for each in told} == {
        ("done", path.name) for path in (tmp_path / "in").iterdir()
    }
    assert len(told) == 200
    for path in (tmp_path / "plain").glob("[!.]*"):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert len([*(tmp_path / "out").iterdir()]) == 201
