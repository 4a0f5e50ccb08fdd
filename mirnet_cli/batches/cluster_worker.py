"""What a worker of a cluster does: load the network once, then one photo at a time.

It runs in Dask's processes. What it keeps belongs to the worker (``Worker.extensions``), so that
it goes when the worker goes.
"""

import os
import platform
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirnet_cli._version import __version__
from mirnet_cli.batches.job import Job
from mirnet_cli.batches.worker_parts import sendable
from mirnet_cli.errors import InputError, MirnetError, ModelError, UsageError
from mirnet_cli.restore.options import LoadOptions
from mirnet_cli.restore.outcome import Outcome, perform

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer

_KEPT = 2
"""Networks that stay loaded, of batches that use the worker by turns."""


@dataclass(frozen=True)
class Request:
    """What a batch wants of a worker; plain values, which every version of Python understands.

    Attributes:
        batch: which batch asks.
        loading: what the network is loaded with.
        sha256: of the weights, as the client has them.
        versions: of what has to be the same here and there, as of the client.
        sees: files that the client sees, and the worker has to see.
        cores: that the worker may compute on; all that it has if empty.
    """

    batch: str
    loading: LoadOptions
    sha256: str
    versions: Mapping[str, str]
    sees: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ready:
    """A worker that can begin: its process, and what computes there."""

    pid: int
    computes: str


@dataclass(frozen=True)
class Left:
    """A photo that was not done, because the worker or the batch ends; nothing was written."""


@dataclass
class _Here:
    """What a worker holds."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: "OrderedDict[str, Restorer]" = field(default_factory=OrderedDict)
    begin_nothing: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)


class _Leave(BaseException):
    """The photo under way is to be left."""


def versions() -> dict[str, str]:
    """Of what has to be the same on all machines of a batch."""
    return {
        "mirnet": __version__,
        # Of one minor version: what is sent is pickled.
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "distributed": version("distributed"),
    }


def prepare(request: Request) -> Ready | MirnetError:
    """Look whether the worker is fit for a batch, and load the network."""
    from distributed import get_worker

    for name, here in versions().items():
        there = request.versions.get(name)
        if here != there:
            return UsageError(f"has {name} {here}, but the batch has {there}", "install the same")
    for path in request.sees:
        if not os.path.lexists(path):
            return InputError(
                f"does not see {path}", "photos and results need the same paths on all machines"
            )
    if request.cores:
        _bind(request.cores)
    holder = _here(get_worker())
    try:
        with holder.lock:
            restorer = _restorer(holder, request)
    except MirnetError as error:
        return error
    except Exception as error:
        what = "not enough memory" if isinstance(error, MemoryError) else str(error)
        return ModelError(f"weights not loaded: {what}", "check the worker's machine")
    return Ready(os.getpid(), f"{restorer.runtime} on {restorer.device}, {restorer.precision}")


def work(request: Request, job: Job) -> Outcome | Left:
    """Do a photo."""
    from distributed import get_worker

    worker = get_worker()
    holder = _here(worker)

    def ending() -> bool:
        return request.batch in holder.stopped or worker.status.name in ("closing", "closed")

    def tiles(done: int, total: int) -> None:
        if ending():
            raise _Leave

    # A worker may have several threads; a photo takes all cores and the memory of one.
    with holder.lock:
        if request.batch in holder.begin_nothing or ending():
            return Left()
        try:
            restorer = _restorer(holder, request)
            item = job.item
            return sendable(perform(restorer, item.source, item.target, job.options, tiles))
        except _Leave:
            return Left()


def begin_nothing(batch: str, dask_worker: Any) -> None:
    """What a batch has given to the worker and is not begun is left; what is begun is done."""
    _here(dask_worker).begin_nothing.add(batch)


def stop(batch: str, dask_worker: Any) -> None:
    """What a batch has given to the worker is left, also what is begun."""
    _here(dask_worker).stopped.add(batch)


def _here(worker: Any) -> _Here:
    found: _Here = worker.extensions.setdefault("mirnet", _Here())
    return found


def _restorer(holder: _Here, request: Request) -> "Restorer":
    """The network of a batch, loaded when it is first asked for.

    Raises:
        ModelError: its weights are not those of the client.
    """
    from mirnet_cli import restore

    key = repr((request.sha256, request.loading))
    if key not in holder.loaded:
        while len(holder.loaded) >= _KEPT:
            holder.loaded.popitem(last=False)
        restorer = restore.load(options=request.loading)
        found = restorer.sha256
        if found != request.sha256:
            pairs = zip(found.split("+"), request.sha256.split("+"), strict=False)
            here, there = next(pair for pair in pairs if pair[0] != pair[1])
            raise ModelError(
                f"has other weights ({here[:12]}) than the batch ({there[:12]})",
                "give all machines the same file",
            )
        holder.loaded[key] = restorer
    holder.loaded.move_to_end(key)
    return holder.loaded[key]


def _bind(cores: tuple[int, ...]) -> None:
    """Let all threads of this process, and those that they start, run on these cores alone."""
    threads = [int(each.name) for each in Path("/proc/self/task").glob("*")] or [0]
    for thread in threads:
        try:
            os.sched_setaffinity(thread, cores)
        except OSError:
            # It has ended meanwhile.
            continue
