"""A batch from its plan to its last photo: decide, do, note in the journal."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirnet_cli.batches.journal import Choice, Decision, Fingerprint, Journal
from mirnet_cli.batches.plan import Item, Plan, Selection, make_plan
from mirnet_cli.batches.work import (
    Executor,
    Job,
    LocalExecutor,
    Outcome,
    Settings,
    make_result,
)
from mirnet_cli.errors import UsageError
from mirnet_cli.files import remove_leftovers

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


def run(
    plan: Plan,
    restorer: "Restorer",
    settings: Settings,
    *,
    executor: Executor | None = None,
    retry_failed: bool = False,
    max_time: float | None = None,
    started: Callable[[Item], None] | None = None,
) -> Iterator[Report]:
    """Do what is missing; every photo of the plan is reported exactly once.

    Photos that need no work come first. A photo that fails does not stop the others; a full disk
    does. What is left then, or when ``max_time`` seconds are over, is reported as not started.

    Args:
        plan: what there is.
        restorer: loaded weights.
        settings: how each photo is treated.
        executor: does the work; by default this process.
        retry_failed: try again what failed before.
        max_time: start nothing new after this many seconds.
        started: told of each photo before work on it begins.

    Raises:
        DiskFullError, OutputError: the journal cannot be written.
    """
    begun = time.monotonic()
    digest = settings.digest(restorer)
    with Journal(plan.into, plan.shard) as journal:
        waiting: deque[Item] = deque()
        choices = decide(
            plan, journal, digest, overwrite=settings.overwrite, retry_failed=retry_failed
        )
        for item, decision in choices:
            if decision.choice is Choice.RUN:
                waiting.append(item)
            else:
                yield _without_work(item, decision, restorer)
        if not waiting:
            return
        _tidy(waiting)
        journal.begin(digest, overwrite=settings.overwrite)
        fingerprints: dict[str, Fingerprint | None] = {}
        stop = ""

        def jobs() -> Iterator[Job]:
            while waiting and not stop:
                if max_time is not None and time.monotonic() - begun >= max_time:
                    return
                item = waiting.popleft()
                fingerprints[item.key] = journal.started(item, digest)
                if started is not None:
                    started(item)
                yield Job(item, settings)

        for job, outcome in (executor or LocalExecutor(restorer)).run(jobs()):
            fingerprint = fingerprints.pop(job.item.key, None)
            if outcome.error is None:
                journal.done(job.item, digest, fingerprint)
            elif outcome.lasting:
                journal.failed(job.item, digest, fingerprint, outcome.result.error or "")
            elif outcome.full:
                stop = "the disk is full; free some space and run again"
            yield Report(job.item, outcome)
        if waiting:
            stop = stop or "the time is over; run again to go on"
            for item in waiting:
                yield _left(item, stop, restorer)
        else:
            journal.end()


def _tidy(items: Iterable[Item]) -> None:
    """Remove temporary files that a killed run left in the folders that are about to be used."""
    for folder in {item.target.parent for item in items}:
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
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
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
        paths: files, and folders whose photos are taken.
        into: the folder for the results and the journal that says what is done. A photo in a
            folder of ``paths`` keeps its place below it.
        recursive: folders within folders too.
        include: only photos whose name matches one of these patterns (``*.jpg``).
        exclude: no photo whose name matches one of these.
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
        UsageError: clashing names, or an output that is an input; before any work.
        InputError: a folder cannot be read.
        DiskFullError, OutputError: the journal cannot be written.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    try:
        how = Settings(**settings, format=format_of(format))
    except TypeError as error:
        raise UsageError(str(error), "see help(mirnet_cli.batch)") from error
    selection = Selection(
        recursive=recursive,
        include=tuple(include),
        exclude=tuple(exclude),
        suffix=suffix,
        extension=None if format is None else format.lstrip(".").lower(),
        shard=shard,
    )
    folder = Path(into)
    plan = make_plan(
        [Path(path) for path in paths], folder, selection, outputs=Journal(folder).outputs
    )
    executor = LocalExecutor(restorer, progress)
    reports = run(
        plan, restorer, how, executor=executor, retry_failed=retry_failed, max_time=max_time
    )
    return (report.outcome.result for report in reports)


def format_of(extension: str | None) -> str | None:
    """The format that an extension given by the user stands for; None for None.

    Raises:
        UsageError: no format that can be written has this extension.
    """
    if extension is None:
        return None
    from mirnet_cli.photo.formats import format_from_option

    return format_from_option(extension)
