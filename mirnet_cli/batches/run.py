"""A batch from its plan to its last photo: decide, do, note in the journal."""

import contextlib
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mirnet_cli import stores
from mirnet_cli.batches.journal import Choice, Decision, Fingerprint, Journal
from mirnet_cli.batches.pipeline import Pipeline
from mirnet_cli.batches.plan import Item, Plan, Selection, make_plan
from mirnet_cli.batches.work import (
    Executor,
    Job,
    Nobody,
    Outcome,
    Settings,
    make_result,
)
from mirnet_cli.errors import OutputError, UsageError
from mirnet_cli.files import remove_leftovers
from mirnet_cli.places import place

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer, Result


@dataclass(frozen=True)
class Report:
    """One photo of a batch, as it was dealt with.

    Attributes:
        item: the photo.
        outcome: what came of it.
        tried: whether work was done on it in this run.
        left: whether it is still to be done, because the run ended first.
    """

    item: Item
    outcome: Outcome
    tried: bool = True
    left: bool = False


def decide(
    plan: Plan, journal: Journal, digest: str, *, overwrite: bool, retry_failed: bool
) -> Iterator[tuple[Item, Decision]]:
    """What is to be done about each photo of a plan."""
    for item in plan.items:
        if item.error is not None:
            yield item, Decision(Choice.FAIL, item.error)
        else:
            yield (
                item,
                journal.decide(item, digest, overwrite=overwrite, retry_failed=retry_failed),
            )


class Run:
    """A batch under way; a context manager.

    Every photo that is given to :meth:`do` is reported exactly once, by it or, where it was left
    early, by :meth:`rest`.

    Args:
        journal: of the folder or prefix for the results; closed with the run.
        restorer: loaded weights.
        settings: how each photo is treated.
        executor: does the work; by default this process.
        retry_failed: try again what failed before.
        max_time: start nothing new after this many seconds.

    Raises:
        UsageError: a time that is none.
    """

    def __init__(
        self,
        journal: Journal,
        restorer: "Restorer",
        settings: Settings,
        *,
        executor: Executor | None = None,
        retry_failed: bool = False,
        max_time: float | None = None,
    ) -> None:
        if max_time is not None and not (isinstance(max_time, Real) and max_time >= 0):
            raise UsageError(f"a time of {max_time!r}", "use a number of seconds, 0 or more")
        self._restorer = restorer
        self._settings = settings
        self._digest = settings.digest(restorer)
        self._journal = journal
        self._executor = executor or Pipeline(restorer)
        self._retry_failed = retry_failed
        self._end = math.inf if max_time is None else time.monotonic() + max_time
        self._stop = ""
        self._pending: dict[str, Item] = {}
        self._fingerprints: dict[str, Fingerprint | None] = {}

    @property
    def over(self) -> bool:
        """Whether nothing more is to be begun."""
        if not self._stop and time.monotonic() >= self._end:
            self._stop = "the time is over; run again to go on"
        return bool(self._stop)

    def do(self, plan: Plan) -> Iterator[Report]:
        """Do what is missing of a plan.

        Photos that need no work come first. A photo that fails does not stop the others; a full
        disk does. What is left then, or when the time is over, is reported as not started.

        Raises:
            OutputError: another batch writes in the folder; at once, before any work.
            DiskFullError, OutputError: the journal cannot be written.
        """
        decided = self._decide(plan)
        # Before the first word: what others do at the same time may change what there is to do.
        if any(decision.choice is Choice.RUN for _, decision in decided) and self._journal.lock():
            decided = self._decide(plan)
        self._pending |= {item.key: item for item in plan.items}
        return self._do(decided)

    def _do(self, decided: list[tuple[Item, Decision]]) -> Iterator[Report]:
        waiting: deque[Item] = deque()
        for item, decision in decided:
            if decision.choice is Choice.RUN:
                waiting.append(item)
            else:
                yield self._report(_without_work(item, decision, self._restorer))
        if not waiting:
            return
        _tidy(waiting)
        self._journal.begin(self._digest, overwrite=self._settings.overwrite)
        outcomes = self._executor.run(self._jobs(waiting), lambda: not self.over)
        with closing(outcomes):  # type: ignore[type-var]
            for job, outcome in outcomes:
                yield from self._note(job, outcome)
        if self._pending:
            yield from self.rest(self._stop)
        else:
            self._journal.end()

    def rest(self, why: str) -> Iterator[Report]:
        """What :meth:`do` has not reported, because it was left early.

        Args:
            why: the reason, for those that are still to be done.
        """
        for job, outcome in self._executor.finished():
            # A journal that cannot be written was why it was left, or is no reason to say less now.
            with contextlib.suppress(OutputError):
                yield from self._note(job, outcome)
        for item in list(self._pending.values()):
            yield self._report(_left(item, why, self._restorer))

    def _decide(self, plan: Plan) -> list[tuple[Item, Decision]]:
        settings, again = self._settings, self._retry_failed
        found = decide(
            plan, self._journal, self._digest, overwrite=settings.overwrite, retry_failed=again
        )
        return list(found)

    def _jobs(self, waiting: deque[Item]) -> Iterator[Job]:
        while waiting and not self.over:
            item = waiting.popleft()
            self._fingerprints[item.key] = self._journal.started(item, self._digest)
            yield Job(item, self._settings)

    def _note(self, job: Job, outcome: Outcome) -> Iterator[Report]:
        """Write down what came of a photo, and report it whether that can be written or not."""
        try:
            self._write_down(job, outcome)
        finally:
            yield self._report(Report(job.item, outcome))

    def _write_down(self, job: Job, outcome: Outcome) -> None:
        fingerprint = self._fingerprints.pop(job.item.key, None)
        if outcome.error is None:
            self._journal.done(job.item, self._digest, fingerprint)
        elif outcome.lasting:
            error = outcome.result.error or ""
            self._journal.failed(job.item, self._digest, fingerprint, error)
        elif outcome.full:
            self._stop = "the disk is full; free some space and run again"

    def _report(self, report: Report) -> Report:
        del self._pending[report.item.key]
        return report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.close()
        self._journal.close()


def _tidy(items: Iterable[Item]) -> None:
    """Remove temporary files that a killed run left in the folders that are about to be used."""
    targets = (item.target for item in items)
    for folder in {target.parent for target in targets if isinstance(target, Path)}:
        with contextlib.suppress(OSError):
            remove_leftovers(folder)


def _without_work(item: Item, decision: Decision, restorer: "Restorer") -> Report:
    if decision.choice is Choice.FAIL:
        result = make_result(
            "failed", item.source, item.target, restorer=restorer, error=decision.reason
        )
    else:
        result = make_result(
            "skipped",
            item.source,
            item.target,
            restorer=restorer,
            warnings=() if decision.reason == "done before" else (decision.reason,),
        )
    return Report(item, Outcome(result), tried=False)


def _left(item: Item, why: str, restorer: "Restorer") -> Report:
    result = make_result(
        "skipped", item.source, item.target, restorer=restorer, error=f"not started: {why}"
    )
    return Report(item, Outcome(result), tried=False, left=True)


def batch(
    restorer: "Restorer",
    paths: Iterable[str | os.PathLike[str]],
    *,
    into: str | os.PathLike[str],
    recursive: bool = False,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    suffix: str = "",
    format: str | None = None,
    shard: tuple[int, int] | None = None,
    retry_failed: bool = False,
    max_time: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Iterator["Result"]:
    """Do many photos, resumably; what ``mirnet batch`` does.

    Args:
        restorer: from :func:`mirnet_cli.load`.
        paths: files, and folders whose photos are taken; also addresses (``s3://bucket/scans``).
        into: the folder or prefix for the results and the journal that says what is done. A photo
            in a folder of ``paths`` keeps its place below it.
        recursive: folders within folders too.
        include: only photos whose name matches this pattern (``*.jpg``), or one of these.
        exclude: no photo whose name matches this pattern, or one of these.
        suffix: put before the extension of each result.
        format: extension of each result; as the input by default.
        shard: (i, n), only part i of n, counted from 1.
        retry_failed: try again what failed in an earlier run.
        max_time: start nothing new after this many seconds.
        progress: called with the number of tiles done, and of all tiles, of the current photo.
        **settings: ``strength``, ``ensemble``, ``crop``, ``quality``, ``strip``, ``preserve``,
            ``overwrite``, ``max_pixels``, as of :meth:`Restorer.file`.

    Yields:
        One result for each photo: done, skipped (done before) or failed (``error`` says why).

    Raises:
        UsageError: wrong arguments, clashing names, an output that is an input; before any work.
        InputError: a folder cannot be read.
        DiskFullError, OutputError: the journal cannot be written.
    """
    from mirnet_cli.restore.photos import as_crop, check_options

    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    try:
        how = Settings(**settings, format=format_of(format))
    except TypeError as error:
        raise UsageError(str(error), "see help(mirnet_cli.batch)") from error
    how = replace(how, crop=as_crop(how.crop))
    check_options(strength=how.strength, quality=how.quality)
    match shard:
        case None:
            pass
        case (int(index), int(count)) if 1 <= index <= count:
            pass
        case _:
            raise UsageError(f"a shard of {shard!r}", "use (i, n) with i from 1 to n")
    if not os.fspath(into):
        raise UsageError("an empty name", "look at the variable that it came from", subject="into")
    selection = Selection(
        recursive=recursive,
        include=_patterns(include),
        exclude=_patterns(exclude),
        suffix=suffix,
        extension=None if format is None else format.lstrip(".").lower(),
        shard=shard,
    )
    folder = place(into)
    stores.check(folder, writing=True)
    journal = Journal(folder, shard)
    plan = make_plan([place(path) for path in paths], folder, selection, outputs=journal.outputs)
    executor = Pipeline(restorer, None if progress is None else _Tiles(progress))
    going = Run(
        journal,
        restorer,
        how,
        executor=executor,
        retry_failed=retry_failed,
        max_time=max_time,
    )

    def results() -> Iterator["Result"]:
        with going, closing(going.do(plan)) as reports:  # type: ignore[type-var]
            for report in reports:
                yield report.outcome.result

    return results()


def _patterns(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


class _Tiles(Nobody):
    """Passes the tiles on."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress

    def tiles(self, done: int, total: int) -> None:
        self._progress(done, total)


def format_of(extension: str | None) -> str | None:
    """The format that an extension given by the user stands for; None for None.

    Raises:
        UsageError: no format that can be written has this extension.
    """
    if extension is None:
        return None
    from mirnet_cli.photo.formats import format_from_option

    return format_from_option(extension)
