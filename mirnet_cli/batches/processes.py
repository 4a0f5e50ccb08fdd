"""Several photos at once, each in a process of its own on this machine."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import TYPE_CHECKING, Any

from mirnet_cli.batches.job import Job, Nobody, Watcher
from mirnet_cli.batches.worker_parts import died, sendable, share, split_cores, without_interrupts
from mirnet_cli.errors import MirnetError, ModelError
from mirnet_cli.files import abandon
from mirnet_cli.restore.options import LoadOptions
from mirnet_cli.restore.outcome import Outcome, perform
from mirnet_cli.signals import heeded

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer

_TRIES = 2
"""Processes that may die of a photo before it is given up."""
_PATIENCE = 1.0
"""Seconds that a process gets to leave; what computes then is given up."""


@dataclass
class _Worker:
    """A process, and what it is doing."""

    process: Any
    connection: "Connection[Any, Any]"
    job: Job | None = None


class Processes:
    """Does photos in processes, each with its own cores and its share of the memory.

    A process that dies takes nothing with it but the work on its photo, which is tried once more.

    Args:
        restorer: as each process will load it; tells this one what the results are.
        loading: what it was loaded with.
        count: how many processes.
        watcher: told which photos are under way.
    """

    def __init__(
        self,
        restorer: "Restorer",
        loading: LoadOptions,
        count: int,
        watcher: Watcher | None = None,
    ) -> None:
        self._restorer = restorer
        memory = share(restorer.max_memory, loading.max_memory, count)
        self._loading = replace(loading, max_memory=memory)
        self._cores = split_cores(count)
        self._watcher = watcher or Nobody()
        self._workers: list[_Worker | None] = [None] * count
        self._deaths: dict[str, int] = {}
        self._again: list[Job] = []
        self._done: list[tuple[Job, Outcome]] = []

    def run(self, jobs: Iterable[Job], wanted: Callable[[], bool]) -> Iterator[tuple[Job, Outcome]]:
        """See :class:`mirnet_cli.batches.job.Executor`."""
        source = iter(jobs)
        self._again.clear()
        while True:
            while wanted() and None in self._busy():
                job = self._again.pop() if self._again else next(source, None)
                if job is None:
                    break
                self._give(self._busy().index(None), job)
            if not any(self._busy()):
                return
            self._wait()
            while self._done:
                yield self._done.pop(0)

    def finished(self) -> Iterator[tuple[Job, Outcome]]:
        """See :class:`mirnet_cli.batches.job.Executor`."""
        self.close()
        while self._done:
            yield self._done.pop(0)

    def close(self) -> None:
        """End the processes: those at work as by a signal, so that they leave whole files."""
        workers = [each for each in self._workers if each is not None]
        for each in workers:
            with contextlib.suppress(OSError, ValueError):
                if each.job is None:
                    each.connection.send(None)
                else:
                    each.process.terminate()
        for each in workers:
            each.process.join(_PATIENCE)
            if each.process.is_alive():
                each.process.kill()
                each.process.join()
            self._last_word(each)
            each.connection.close()
        self._workers = [None] * len(self._workers)

    def _busy(self) -> list[Job | None]:
        return [None if each is None else each.job for each in self._workers]

    def _give(self, index: int, job: Job) -> None:
        worker = self._workers[index]
        if worker is None or not worker.process.is_alive():
            worker = self._workers[index] = self._start(index)
        worker.job = job
        self._watcher.begin(job.item)
        with contextlib.suppress(OSError):
            # A process that is gone by now is noticed when it is waited for.
            worker.connection.send(job)

    def _start(self, index: int) -> _Worker:
        # Forking a process that has threads is not safe, and takes the lock of the journal along.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work,
            args=(theirs, self._loading, self._cores[index]),
            name=f"mirnet-{index + 1}",
        )
        with without_interrupts():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _wait(self) -> None:
        """Wait until at least one process has something to say."""
        busy = [each for each in self._workers if each is not None and each.job is not None]
        said = wait([each.connection for each in busy])
        for each in busy:
            if each.connection in said:
                self._hear(each)

    def _hear(self, worker: _Worker) -> None:
        job = worker.job
        assert job is not None
        try:
            outcome = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            self._died(worker, job)
            return
        if isinstance(outcome, MirnetError):
            raise outcome
        self._over(worker, job, outcome)

    def _last_word(self, worker: _Worker) -> None:
        """Take the outcome that a process has sent before it was told to leave."""
        with contextlib.suppress(EOFError, OSError):
            if worker.job is not None and worker.connection.poll():
                outcome = worker.connection.recv()
                if isinstance(outcome, Outcome):
                    self._over(worker, worker.job, outcome)

    def _over(self, worker: _Worker, job: Job, outcome: Outcome) -> None:
        worker.job = None
        self._watcher.end(job.item)
        self._done.append((job, outcome))

    def _died(self, worker: _Worker, job: Job) -> None:
        deaths = self._deaths[job.item.key] = self._deaths.get(job.item.key, 0) + 1
        code = worker.process.exitcode
        worker.connection.close()
        self._workers[self._workers.index(worker)] = None
        if deaths < _TRIES:
            self._watcher.end(job.item)
            self._again.append(job)
            return
        remedy = "try it alone with --jobs 1, and with less --max-memory"
        self._over(
            worker, job, died(job, self._restorer, f"{deaths} worker processes", code, remedy)
        )


class _Leave(BaseException):
    """The parent wants this process to end."""


def _leave(number: int, frame: FrameType | None) -> None:
    raise _Leave


def _work(connection: "Connection[Any, Any]", loading: LoadOptions, cores: frozenset[int]) -> None:
    """What a process does, from its start to its end."""
    try:
        # Ctrl-C at a terminal reaches all processes; the parent decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _leave)
        threading.Thread(target=_follow, daemon=True).start()
        if cores:
            os.sched_setaffinity(0, cores)
        with (
            heeded({signal.SIGTERM}, _PATIENCE / 2, lambda _: abandon(0)),
            contextlib.suppress(_Leave, EOFError, BrokenPipeError),
        ):
            _serve(connection, loading)
    finally:
        # Not by way of Python's own end, which waits for threads and can be interrupted there.
        os._exit(0)


def _serve(connection: "Connection[Any, Any]", loading: LoadOptions) -> None:
    """Load the weights, then do one photo after the other."""
    try:
        from mirnet_cli import restore

        restorer = restore.load(options=loading)
    except MirnetError as error:
        connection.send(error)
        return
    except Exception as error:
        what = "not enough memory" if isinstance(error, MemoryError) else str(error)
        connection.send(
            ModelError(f"a further process could not load the weights: {what}", "use --jobs 1")
        )
        return
    while (job := connection.recv()) is not None:
        outcome = perform(restorer, job.item.source, job.item.target, job.options)
        connection.send(sendable(outcome))


def _follow() -> None:
    """End with the parent, even if it was killed: another batch may come right after it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        abandon(1)
