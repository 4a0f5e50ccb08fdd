"""A batch from its plan to its last photo: decide, do, note in the journal."""

import contextlib
import math
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mirnet_cli import restore, stores
from mirnet_cli.batches.job import Executor, Job, Nobody
from mirnet_cli.batches.journal import Choice, Decision, Journal, digest
from mirnet_cli.batches.pipeline import Pipeline
from mirnet_cli.batches.plan import BatchOptions, Item, Plan, make_plan
from mirnet_cli.errors import MirnetError, OutputError, UsageError
from mirnet_cli.files import remove_leftovers
from mirnet_cli.options import as_arguments, declared, in_python
from mirnet_cli.places import Fingerprint, Place, place
from mirnet_cli.restore.options import LoadOptions, PhotoOptions
from mirnet_cli.restore.outcome import Outcome, make_result, not_started
from mirnet_cli.restore.result import DONE_BEFORE, KEPT, UNREADABLE

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


def shared_light(
    restorer: "Restorer",
    decided: Iterable[tuple[Item, Decision]],
    options: PhotoOptions,
    wanted: Callable[[], bool] = lambda: True,
) -> dict[Place, float]:
    """Stops of light for each photo that waits, the same for those shot together.

    Those that are done already count too: a run that was stopped goes on as it began. Empty where
    each photo is to have its own.

    Args:
        restorer: of a network of light.
        decided: all photos, and what is to be done about them.
        options: what is done to each.
        wanted: asked before each photo; where it says no, nothing more is read.
    """
    if not options.same_light or not isinstance(options.ev, str):
        return {}
    from mirnet_cli.restore.series import amounts

    every = list(decided)
    folders = {item.source.parent for item, known in every if known.choice is Choice.RUN}
    sources = [item.source for item, _ in every if item.source.parent in folders]
    return amounts(restorer, sources, options, wanted)


class Run:
    """A batch under way; a context manager.

    Every photo that is given to :meth:`do` is reported exactly once, by it or, where it was left
    early, by :meth:`rest`.

    Args:
        journal: of the folder or prefix for the results; closed with the run.
        restorer: loaded weights.
        options: what is done to each photo.
        executor: does the work; by default this process.
        retry_failed: try again what failed before.
        max_time: start nothing new after this many seconds.
    """

    def __init__(
        self,
        journal: Journal,
        restorer: "Restorer",
        options: PhotoOptions,
        *,
        executor: Executor | None = None,
        retry_failed: bool = False,
        max_time: float | None = None,
    ) -> None:
        restorer.check(options)
        self._restorer = restorer
        self._options = options
        self._digest = digest(restorer, options)
        self._journal = journal
        self._executor = executor or Pipeline(restorer)
        self._retry_failed = retry_failed
        self._end = math.inf if max_time is None else time.monotonic() + max_time
        self._stop = ""
        self._pending: dict[str, Item] = {}
        self._fingerprints: dict[str, Fingerprint | None] = {}
        self._amounts: dict[Place, float] = {}

    @property
    def over(self) -> bool:
        """Whether nothing more is to be begun."""
        if not self._stop and time.monotonic() >= self._end:
            self._stop = "time is up; run again to continue"
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
        self._journal.begin(self._digest, overwrite=self._options.overwrite)
        self._amounts = shared_light(self._restorer, decided, self._options, lambda: not self.over)
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
        yield from self.left(why)

    def left(self, why: str) -> Iterator[Report]:
        """What was not reported, as still to be done, without a look at what came of it.

        Also from another thread than the one that does the work.

        Args:
            why: the reason.
        """
        for item in list(self._pending.values()):
            yield self._report(_left(item, why, self._restorer))

    def _decide(self, plan: Plan) -> list[tuple[Item, Decision]]:
        overwrite, again = self._options.overwrite, self._retry_failed
        found = decide(plan, self._journal, self._digest, overwrite=overwrite, retry_failed=again)
        return list(found)

    def _jobs(self, waiting: deque[Item]) -> Iterator[Job]:
        while waiting and not self.over:
            item = waiting.popleft()
            self._fingerprints[item.key] = self._journal.started(item, self._digest)
            ev = self._amounts.get(item.source, self._options.ev)
            yield Job(item, replace(self._options, ev=ev))

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
        self._pending.pop(report.item.key, None)
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
            "failed",
            item.source,
            item.target,
            restorer=restorer,
            error=decision.reason,
            reason=None if item.unreadable is None else UNREADABLE,
        )
    else:
        result = make_result(
            "skipped",
            item.source,
            item.target,
            restorer=restorer,
            warnings=() if decision.reason == DONE_BEFORE else (decision.reason,),
            reason=DONE_BEFORE if decision.reason == DONE_BEFORE else KEPT,
        )
    return Report(item, Outcome(result), tried=False)


def _left(item: Item, why: str, restorer: "Restorer") -> Report:
    result = not_started(item.source, item.target, why, restorer)
    return Report(item, Outcome(result), tried=False, left=True)


class Batch:
    """Photos, the folder for their results, and its journal.

    Args:
        paths: files, and folders whose photos are taken.
        into: the folder or prefix for the results.
        options: which photos, and how the batch goes on.
        photo: what is done to each photo.
        root: single files below this folder keep their place below it.

    Raises:
        UsageError: an address is of no store that is known here.
    """

    def __init__(
        self,
        paths: Sequence[Place],
        into: Place,
        options: BatchOptions,
        photo: PhotoOptions,
        root: Place | None = None,
    ) -> None:
        stores.check(into, writing=True)
        self.options, self.photo = options, photo
        self.journal = Journal(into, options.shard)
        self._paths, self._root = paths, root
        self._selection = replace(options, extension=photo.format)

    def plan(self, known: Collection[str] | None = None) -> Plan:
        """What the batch would do now; see :func:`mirnet_cli.batches.plan.make_plan`."""
        if known is not None:
            self.journal.refresh()
        return make_plan(
            self._paths,
            self.journal.into,
            self._selection,
            root=self._root,
            outputs=self.journal.outputs,
            known=known,
        )

    def run(self, restorer: "Restorer", executor: Executor | None = None) -> "Run":
        """Begin; the work is done by this process unless there is another ``executor``."""
        return Run(
            self.journal,
            restorer,
            self.photo,
            executor=executor,
            retry_failed=self.options.retry_failed,
            max_time=self.options.max_time,
        )


@in_python("into")
def batch(
    restorer: "Restorer | str | os.PathLike[str]",
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    options: BatchOptions | None = None,
    *,
    into: str | os.PathLike[str],
    photo: PhotoOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
    **named: Any,
) -> Iterator["Result"]:
    """Do many photos, resumably; what ``mirnet batch`` does.

    Args:
        restorer: from :func:`mirnet_cli.load`, or what that takes: a task, a model, weights.
        paths: files, and folders whose photos are taken; also addresses (``s3://bucket/scans``).
        options: which photos, and how the batch goes on.
        into: the folder or prefix for the results and the journal that says what is done. A photo
            in a folder of ``paths`` keeps its place below it.
        photo: what is done to each photo.
        progress: called with the number of tiles done, and of all tiles, of the current photo.
        **named: options by their names, in the place of those that are given whole; those of
            :func:`mirnet_cli.load` too, where it is to be called here.

    Yields:
        One result for each photo, in the order of ``paths`` and, within a folder, of names: done,
        skipped (done before) or failed (``error`` says why). ``input`` says of which photo.

    Raises:
        UsageError: wrong arguments, clashing names, an output that is an input; before any work.
        InputError: a folder cannot be read.
        DiskFullError, OutputError: the journal cannot be written.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if not os.fspath(into):
        raise UsageError("an empty name", "check the variable that it came from", subject="into")
    own = {name: named.pop(name) for name in [*named] if name in declared(BatchOptions)}
    options = BatchOptions.of(options, own)
    if isinstance(restorer, str | os.PathLike):
        loading = {each.name for each in fields(LoadOptions)}
        said = {name: named.pop(name) for name in [*named] if name in loading}
        photo = PhotoOptions.of(photo, named)
        restorer, named = restore.load(os.fspath(restorer), **said), {}
    made = Batch(
        [place(path) for path in paths], place(into), options, PhotoOptions.of(photo, named)
    )
    plan = made.plan()
    going = made.run(restorer, Pipeline(restorer, None if progress is None else _Tiles(progress)))

    def results() -> Iterator["Result"]:
        try:
            with going, closing(going.do(plan)) as reports:  # type: ignore[type-var]
                for result in _in_order(plan, reports):
                    told = (as_arguments(each, "into") for each in result.warnings)
                    error = result.error and as_arguments(result.error, "into")
                    yield replace(result, warnings=tuple(told), error=error)
        except MirnetError as error:
            error.reword(lambda text: as_arguments(text, "into"))
            raise

    return results()


def _in_order(plan: Plan, reports: Iterable[Report]) -> Iterator["Result"]:
    """The results in the order of the plan; what was done before it waits for its turn."""
    waiting = deque(item.key for item in plan.items)
    early: dict[str, Result] = {}
    try:
        for report in reports:
            early[report.item.key] = report.outcome.result
            while waiting and waiting[0] in early:
                yield early.pop(waiting.popleft())
    except MirnetError:
        yield from (early[key] for key in waiting if key in early)
        raise


class _Tiles(Nobody):
    """Passes the tiles on."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress

    def tiles(self, done: int, total: int) -> None:
        self._progress(done, total)
