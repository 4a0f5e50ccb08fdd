"""Photos one after the other in this process; the next are read and the last written meanwhile."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirnet_cli.batches.job import Job, Nobody, Watcher
from mirnet_cli.batches.memory_budget import Cost, cost, fits
from mirnet_cli.errors import OutOfMemoryError
from mirnet_cli.restore.outcome import Outcome, check, failure

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer

AHEAD = 2
"""Photos that are read before their turn, and as many that are still being written."""


@dataclass
class _Step:
    """A job and the step that it is in."""

    job: Job
    cost: Cost | None
    future: "Future[Any]"


class Pipeline:
    """Computes one photo at a time, in the thread that asks for the outcomes.

    Decoding and encoding run in threads of their own, as far ahead and behind as the memory
    allows; the results are the same. Where :meth:`run` is left early (signals reach the thread that
    computes), what is being written becomes whole, everything else is dropped.

    Args:
        restorer: does the work.
        watcher: told how it goes on.
        ahead: how many photos may be read before their turn.
        patience: seconds to wait for reading and writing where :meth:`run` is left early; by
            default as long as they take. What takes longer goes on, and nobody is told of it: for
            a process that ends then.
    """

    def __init__(
        self,
        restorer: "Restorer",
        watcher: Watcher | None = None,
        ahead: int = AHEAD,
        patience: float | None = None,
    ) -> None:
        self._restorer = restorer
        self._watcher = watcher or Nobody()
        self._ahead = ahead
        self._patience = patience
        self._next: tuple[Job, Cost | None] | None = None
        self._reading: deque[_Step] = deque()
        self._writing: deque[_Step] = deque()

    def run(self, jobs: Iterable[Job], wanted: Callable[[], bool]) -> Iterator[tuple[Job, Outcome]]:
        """See :class:`mirnet_cli.batches.job.Executor`."""
        source = iter(jobs)
        self._next = None
        self._reading.clear()
        self._writing.clear()
        readers = ThreadPoolExecutor(self._ahead, "mirnet-read")
        writers = ThreadPoolExecutor(self._ahead, "mirnet-write")
        try:
            while True:
                self._read_ahead(source, readers, None)
                if not self._reading:
                    if self._next is None or not wanted():
                        break
                    yield self._written()
                    continue
                while not self._has_room():
                    yield self._written()
                yield from self._done_by_now()
                if not wanted():
                    break
                step = self._reading.popleft()
                outcome = self._turn(step, source, readers, writers)
                if outcome is not None:
                    yield step.job, outcome
            while self._writing:
                yield self._written()
        finally:
            self._drop()
            for pool in (readers, writers):
                pool.shutdown(wait=self._patience is None)

    def _turn(
        self,
        step: _Step,
        source: Iterator[Job],
        readers: ThreadPoolExecutor,
        writers: ThreadPoolExecutor,
    ) -> Outcome | None:
        """Compute a photo and hand it on to be written; the outcome where it failed before."""
        try:
            work = self._read(step)
        except Exception as error:
            return self._failure(error, step.job)
        # Only now: what is read for later must not take the place of what was read for this. Where
        # no further job can be had, this photo is not to blame.
        self._read_ahead(source, readers, step)
        try:
            self._compute(step.job, work)
        except Exception as error:
            return self._failure(error, step.job)
        step.future = writers.submit(self._write, step.job, work)
        self._writing.append(step)
        return None

    def finished(self) -> Iterator[tuple[Job, Outcome]]:
        """See :class:`mirnet_cli.batches.job.Executor`."""
        while self._writing:
            step = self._writing.popleft()
            if step.future.done() and not step.future.cancelled():
                yield step.job, step.future.result()

    def close(self) -> None:
        """See :class:`mirnet_cli.batches.job.Executor`; nothing is held between runs."""

    def _drop(self) -> None:
        """Begin nothing more; what is running gets its time to come to its end."""
        for step in (*self._reading, *self._writing):
            step.future.cancel()
        self._reading.clear()
        wait([step.future for step in self._writing], self._patience)

    def _read_ahead(
        self, source: Iterator[Job], readers: ThreadPoolExecutor, current: _Step | None
    ) -> None:
        """Begin to read as many photos as there is room for beside the one that is computed."""
        while len(self._reading) < self._ahead:
            if self._next is None:
                job = next(source, None)
                if job is None:
                    return
                self._next = job, cost(self._restorer, job.item, job.options)
            job, price = self._next
            before = [*([current] if current else []), *self._reading]
            if (before or self._writing) and not self._fit(
                [*(step.cost for step in before), price]
            ):
                return
            self._next = None
            self._reading.append(_Step(job, price, readers.submit(self._decode, job)))

    def _has_room(self) -> bool:
        """Whether the next photo can be computed beside those that are still being written."""
        if not self._writing:
            return True
        costs = [other.cost for other in self._reading]
        return len(self._writing) < self._ahead and self._fit(costs)

    def _fit(self, costs: list[Cost | None]) -> bool:
        known = [each for each in costs if each is not None]
        writing = sum(step.cost.writing for step in self._writing if step.cost)
        return len(known) == len(costs) and fits(known, writing, self._restorer.max_memory)

    def _decode(self, job: Job) -> Any:
        source, target = job.item.source, job.item.target
        check(source, target)
        return self._restorer.read(source, target, job.options)

    def _read(self, step: _Step) -> Any:
        try:
            work = step.future.result()
        except (MemoryError, OutOfMemoryError):
            # Neighbours may have taken what it needs.
            for other in self._writing:
                other.future.exception()
            work = self._decode(step.job)
        # The future would keep the pixels until the photo is written.
        step.future = Future()
        return work

    def _compute(self, job: Job, work: Any) -> None:
        self._watcher.begin(job.item)
        try:
            self._restorer.improve(work, job.options, self._watcher.tiles)
        finally:
            self._watcher.end(job.item)

    def _write(self, job: Job, work: Any) -> Outcome:
        try:
            return Outcome(self._restorer.write(work, job.options))
        except Exception as error:
            return self._failure(error, job)

    def _written(self) -> tuple[Job, Outcome]:
        """Wait for the photo that is written longest."""
        outcome = self._writing[0].future.result()
        return self._writing.popleft().job, outcome

    def _done_by_now(self) -> Iterator[tuple[Job, Outcome]]:
        while self._writing and self._writing[0].future.done():
            yield self._written()

    def _failure(self, error: Exception, job: Job) -> Outcome:
        return failure(error, job.item.source, job.item.target, restorer=self._restorer)
