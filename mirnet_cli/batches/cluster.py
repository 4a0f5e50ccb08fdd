"""Photos done by the workers of a Dask cluster, on this machine or on others.

The client decides which worker gets which photo, and Dask carries it there: so it is known which
photo a worker had when it died, no worker has more than one photo in hand and one at hand, and
no photo is begun twice unless the worker that had it is gone.

Dask's own ``allowed-failures`` counts a death against all that a worker was given, the photo that
only waited among them, and its plugins cannot say which worker is unfit for one batch and why; so
deaths are counted here, and a worker is prepared by a call.
"""

import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirnet_cli import stores
from mirnet_cli.batches import cluster_worker
from mirnet_cli.batches.cluster_worker import Left, Ready, Request
from mirnet_cli.batches.job import Job, Nobody, Watcher
from mirnet_cli.batches.scheduler import News, Scheduler, connect, process_of, require, start
from mirnet_cli.batches.worker_parts import died, share, split_cores
from mirnet_cli.errors import MirnetError, ModelError, UsageError
from mirnet_cli.places import Place, absolute
from mirnet_cli.restore.options import LoadOptions
from mirnet_cli.restore.outcome import Outcome, failure
from mirnet_cli.restore.steps import ChainOptions

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer

LOCAL = "local:"
"""``local:N`` stands for N workers on this machine."""

_TRIES = 3
"""Workers that may die of a photo before it is given up, and in a row of loading the network."""
_DEPTH = 2
"""Photos that a worker has: one that it does, and one so that it need not wait for the next."""
_LOOK = 0.5
"""Seconds after which is looked again who is there."""
_PATIENCE = 1.0
"""Seconds that workers get to leave the photos they have."""
_GPU: Mapping[str, float] = {"GPU": 1}
_JOURNALS = ".mirnet-journal*.jsonl"


def _say_nothing(text: str) -> None: ...


@dataclass
class _Worker:
    """A worker, and the photos it has, in the order in which it does them.

    Attributes:
        preparing: ticket of what makes it ready.
        pid: number of its process, on its machine.
        process: of a worker of this machine: knows how it ended.
        ready: whether it can be given photos: not before the network is loaded, nor when it ends.
        unfit: why it is given none.
    """

    preparing: str | None = None
    pid: int = 0
    process: Any = None
    ready: bool = False
    unfit: MirnetError | None = None
    photos: "deque[tuple[str, Job]]" = field(default_factory=deque)


class Cluster:
    """Does photos on the workers of a Dask scheduler.

    A worker that dies takes nothing with it but the work on its photo, which goes to another. One
    that comes later is used as soon as it has loaded the network.

    Args:
        restorer: tells what the results are, and which weights all workers have to have.
        loading: what each worker loads the network with.
        address: ``local:N``, or what :func:`mirnet_cli.batches.scheduler.connect` takes.
        watcher: told which photos are under way.
        say: told in a line what the user should know: waiting, workers that cannot be used.
        detail: told which workers come and go.

    Raises:
        UsageError: the scheduler does not answer, or Dask is not installed.
    """

    def __init__(
        self,
        restorer: "Restorer",
        loading: LoadOptions,
        address: str,
        watcher: Watcher | None = None,
        *,
        say: Callable[[str], None] = _say_nothing,
        detail: Callable[[str], None] = _say_nothing,
    ) -> None:
        self._restorer = restorer
        self._watcher = watcher or Nobody()
        self._say, self._detail = say, detail
        self._count = int(address[len(LOCAL) :]) if address.startswith(LOCAL) else 0
        self._loading = _for_others(loading, restorer)
        self._resources = _GPU if loading.device.startswith("cuda") else None
        self._cores: list[frozenset[int]] = []
        if self._count:
            memory = share(restorer.max_memory, loading.max_memory, self._count)
            self._loading = replace(self._loading, max_memory=memory)
            self._cores = split_cores(self._count)
        self._batch = ""
        self._workers: dict[str, _Worker] = {}
        self._deaths: dict[str, int] = {}
        self._stillborn = 0
        self._served = False
        self._absent: dict[str, bool] = {}
        self._again: list[Job] = []
        self._sees: tuple[str, ...] = ()
        self._done: deque[tuple[Job, Outcome]] = deque()
        self._where: dict[str, str] = {}
        self._looked = 0.0
        self._waiting = False
        self._winding_up = False
        require()
        # Someone else's is looked for before any work; ours is started when there is some.
        self._scheduler = None if self._count else connect(address)

    def run(self, jobs: Iterable[Job], wanted: Callable[[], bool]) -> Iterator[tuple[Job, Outcome]]:
        """See :class:`mirnet_cli.batches.job.Executor`.

        Raises:
            MirnetError: no worker can be used, or the scheduler goes away.
        """
        source = iter(jobs)
        first = next(source, None)
        if first is None:
            return
        self._begin(first)
        exhausted = False
        while True:
            while self._done:
                yield self._done.popleft()
            if not self._winding_up and not wanted():
                self._wind_up()
            if not self._winding_up:
                # For good, even when no worker is there any more that could be given something.
                exhausted = self._hand_out(source) or exhausted
            if not self._under_way() and (self._winding_up or (exhausted and not self._again)):
                return
            self._look()
            self._listen(_LOOK)

    def finished(self) -> Iterator[tuple[Job, Outcome]]:
        """See :class:`mirnet_cli.batches.job.Executor`."""
        self.close()
        while self._done:
            yield self._done.popleft()

    def close(self) -> None:
        """Leave the cluster: photos under way are left too, so that there are whole files or none.

        Workers are asked to leave them at their next tile, and a moment is waited for those that
        come to their end. Workers of this machine end.
        """
        if self._scheduler is None:
            return
        try:
            self._winding_up = True
            if self._under_way():
                self._scheduler.tell(cluster_worker.stop, self._batch)
                until = time.monotonic() + _PATIENCE
                while self._under_way() and time.monotonic() < until and not self._scheduler.lost:
                    self._listen(0.1)
        finally:
            scheduler, self._scheduler = self._scheduler, None
            self._workers.clear()
            scheduler.close()

    @property
    def _connection(self) -> Scheduler:
        assert self._scheduler is not None
        return self._scheduler

    def _begin(self, first: Job) -> None:
        if self._scheduler is None:
            self._scheduler = start(self._count, self._resources)
        self._batch = uuid.uuid4().hex
        self._winding_up = False
        self._looked = 0.0
        self._sees = _files_of(first)
        self._deaths.clear()
        self._absent.clear()
        self._again = [first]

    def _wind_up(self) -> None:
        """Let workers begin nothing more; what they have begun comes to its end."""
        self._winding_up = True
        self._again.clear()
        if self._under_way():
            self._connection.tell(cluster_worker.begin_nothing, self._batch)

    def _under_way(self) -> bool:
        return any(worker.photos for worker in self._workers.values())

    def _hand_out(self, source: Iterator[Job]) -> bool:
        """Give each worker something to do, then to each what comes next.

        Returns:
            Whether there is nothing left in ``source``.
        """
        for depth in range(1, _DEPTH + 1):
            for address, worker in self._workers.items():
                while worker.ready and len(worker.photos) < depth:
                    job = self._again.pop() if self._again else next(source, None)
                    if job is None:
                        return True
                    self._give(address, worker, job)
        return False

    def _give(self, address: str, worker: _Worker, job: Job) -> None:
        key = job.item.key
        if key not in self._absent:
            self._absent[key] = _is_absent(job.item.target)
        elif self._absent[key]:
            # It was given before, and the worker is gone: maybe it had written the result and
            # died before it could say so, maybe it is only cut off and writes it yet. What stands
            # there now was not there when the photo was first given out, so it is this batch's
            # own (which is how the journal sees it too), and whole. It is replaced by the same
            # again, so that the report is complete; to refuse would call a photo failed that is
            # done.
            job = replace(job, options=replace(job.options, overwrite=True))
        ticket = self._connection.give(
            address, cluster_worker.work, self._request(), _absolute(job), resources=self._resources
        )
        self._where[ticket] = address
        worker.photos.append((ticket, job))
        if len(worker.photos) == 1:
            self._watcher.begin(job.item)

    def _request(self, **more: Any) -> Request:
        return Request(
            self._batch,
            self._loading,
            self._restorer.sha256,
            cluster_worker.versions(),
            **more,
        )

    def _look(self) -> None:
        """See who has come and who has gone."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        there = self._connection.workers()
        for address in self._workers.keys() - there:
            self._mourn(address, self._workers.pop(address))
        new = there - self._workers.keys()
        if new:
            known = self._connection.describe()
            for address in sorted(new & known.keys()):
                self._greet(address, known[address])
        self._check_hope()

    def _greet(self, address: str, known: Mapping[str, Any]) -> None:
        """Have a worker that has come load the network."""
        worker = self._workers[address] = _Worker()
        if any(known["resources"].get(name, 0) < n for name, n in (self._resources or {}).items()):
            error = UsageError("declares no GPU", 'start it with --resources "GPU=1"')
            self._leave_out(address, worker, error)
            return
        cores = tuple(sorted(self._cores[int(known["name"])])) if self._cores else ()
        sees = () if self._count else tuple(each for each in self._sees if os.path.lexists(each))
        worker.preparing = self._connection.give(
            address,
            cluster_worker.prepare,
            self._request(cores=cores, sees=sees),
            resources=self._resources,
        )
        self._where[worker.preparing] = address
        self._detail(f"worker {address} joined")

    def _mourn(self, address: str, worker: _Worker) -> None:
        """Take back what a worker had that is gone."""
        self._detail(f"worker {address} left")
        code = None
        if worker.process is not None:
            worker.process.join(1)
            code = worker.process.exitcode
        if worker.preparing is not None:
            self._connection.forget(worker.preparing)
            self._where.pop(worker.preparing, None)
            self._stillborn += 1
        for index, (ticket, job) in enumerate(worker.photos):
            self._connection.forget(ticket)
            self._where.pop(ticket, None)
            if index == 0:
                self._watcher.end(job.item)
                self._blame(job, code)
            else:
                self._later(job)

    def _blame(self, job: Job, code: int | None) -> None:
        """Note that a worker died while it did a photo."""
        deaths = self._deaths[job.item.key] = self._deaths.get(job.item.key, 0) + 1
        if deaths < _TRIES:
            self._later(job)
            return
        remedy = "try it alone without --cluster, and with less --max-memory"
        self._done.append((job, died(job, self._restorer, f"{deaths} workers", code, remedy)))

    def _later(self, job: Job) -> None:
        """Give a photo out once more, unless nothing more is to be begun."""
        if not self._winding_up:
            self._again.append(job)

    def _check_hope(self) -> None:
        """Say that there is nobody to do the work, or give up where that will not change."""
        workers = self._workers.values()
        if self._stillborn >= _TRIES and not any(each.ready for each in workers):
            raise ModelError(
                f"{self._stillborn} workers died while loading the weights",
                "check how much memory they have",
                subject="--cluster",
            )
        hopeful = [each for each in workers if each.unfit is None]
        unfit = [each.unfit for each in workers if each.unfit is not None]
        if unfit and not hopeful and not self._served:
            raise unfit[0]
        if hopeful:
            self._waiting = False
        elif not self._waiting and not self._count:
            self._waiting = True
            where = self._connection.address
            self._say(f"no worker is at {where} now; waiting for one (Ctrl-C stops)")

    def _leave_out(self, address: str, worker: _Worker, error: MirnetError) -> None:
        subject = f"worker {address}" if error.subject is None else error.subject
        where = "" if error.subject is None else f" (worker {address})"
        worker.unfit = type(error)(error.what + where, error.remedy, subject=subject)
        others = [each for each in self._workers.values() if each.unfit is None]
        if others:
            self._say(f"mirnet: {worker.unfit}; it is not used")

    def _listen(self, seconds: float) -> None:
        """Take what workers say, and wait so long for it."""
        for news in self._connection.news(seconds):
            address = self._where.pop(news.ticket, "")
            worker = self._workers.get(address)
            if worker is None:
                continue
            if worker.preparing == news.ticket:
                worker.preparing = None
                self._hear_of_worker(address, worker, news)
            else:
                self._hear_of_photo(worker, news)

    def _hear_of_worker(self, address: str, worker: _Worker, news: News) -> None:
        if isinstance(news.value, Ready):
            self._stillborn = 0
            worker.ready = self._served = True
            worker.pid = news.value.pid
            worker.process = process_of(worker.pid) if self._count else None
            computes = news.value.computes
            self._detail(f"worker {address} is ready: process {worker.pid}, {computes}")
        elif isinstance(news.value, MirnetError):
            self._leave_out(address, worker, news.value)
        elif _lacks_mirnet(news.error):
            error = UsageError(
                "has no mirnet-cli, or a different version", "install the same there"
            )
            self._leave_out(address, worker, error)
        elif _cancelled(news.error):
            # The cluster was started anew by someone; the worker is greeted again.
            del self._workers[address]
        else:
            text = " ".join(f"{type(news.error).__name__}: {news.error}".split())[:300]
            error = UsageError(f"cannot be used ({text})", "check its log")
            self._leave_out(address, worker, error)

    def _hear_of_photo(self, worker: _Worker, news: News) -> None:
        index = [ticket for ticket, _ in worker.photos].index(news.ticket)
        job = worker.photos[index][1]
        del worker.photos[index]
        if index == 0:
            self._watcher.end(job.item)
            if worker.photos:
                self._watcher.begin(worker.photos[0][1].item)
        if isinstance(news.value, Outcome):
            self._done.append((job, _here(news.value, job)))
        elif isinstance(news.value, Left):
            # It is about to go, or was told that nothing more is to be done.
            worker.ready = False
            self._later(job)
        elif _killed(news.error):
            # Its worker died and came back at the same address, each time before this was seen.
            self._deaths[job.item.key] = _TRIES - 1 if index == 0 else 0
            self._blame(job, None)
        elif _cancelled(news.error):
            self._later(job)
        else:
            error = news.error or RuntimeError("nothing came back")
            item = job.item
            self._done.append(
                (job, failure(error, item.source, item.target, restorer=self._restorer))
            )


def _for_others(loading: LoadOptions, restorer: "Restorer") -> LoadOptions:
    """What workers load the network with, whose working folder is another."""
    loading = replace(loading, weights=_absolute_file(loading.weights))
    if isinstance(loading, ChainOptions) and loading.then:
        then = [replace(each, weights=_absolute_file(each.weights)) for each in loading.then]
        return replace(loading, then=tuple(then))
    scale = restorer.scale if restorer.task == "upscale" else None
    return replace(loading, task=restorer.task, scale=scale)


def _absolute_file(weights: str | None) -> str | None:
    if weights is None or "://" in weights:
        return weights
    return str(Path(weights).expanduser().absolute())


def _is_absent(target: Place) -> bool:
    try:
        return not stores.exists(target)
    except MirnetError:
        # A store that cannot be asked now; the worker will find out.
        return False


def _files_of(job: Job) -> tuple[str, ...]:
    """Files that workers have to see where they see the photos and the folder of the results."""
    source, target = absolute(job.item.source), absolute(job.item.target)
    files = [source] if isinstance(source, Path) else []
    if isinstance(target, Path):
        files += sorted(target.parents[job.item.key.count("/")].glob(_JOURNALS))
    return tuple(map(str, files))


def _absolute(job: Job) -> Job:
    """The job for a worker, whose working folder is another."""
    item = job.item
    return replace(
        job, item=replace(item, source=absolute(item.source), target=absolute(item.target))
    )


def _here(outcome: Outcome, job: Job) -> Outcome:
    """The outcome with the paths that the user gave."""
    item, result, error = job.item, outcome.result, outcome.error
    names = {str(absolute(each)): str(each) for each in (item.source, item.target)}
    if isinstance(error, MirnetError) and error.subject in names:
        error = type(error)(error.what, error.remedy, subject=names[error.subject])
    output = None if result.output is None else names.get(result.output, result.output)
    return replace(
        outcome, result=replace(result, input=str(item.source), output=output), error=error
    )


def _lacks_mirnet(error: Exception | None) -> bool:
    return isinstance(error, ImportError | AttributeError)


def _cancelled(error: Exception | None) -> bool:
    from distributed import CancelledError

    return isinstance(error, CancelledError)


def _killed(error: Exception | None) -> bool:
    from distributed.scheduler import KilledWorker

    return isinstance(error, KilledWorker)
