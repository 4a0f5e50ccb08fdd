"""Doing a batch: progress, a line for each photo, the table at the end."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mirnet_cli.batches.plan import Item, Plan
from mirnet_cli.batches.run import Report, Run
from mirnet_cli.batches.work import Watcher
from mirnet_cli.cli.dry_run import size_of
from mirnet_cli.cli.photos import report
from mirnet_cli.cli.process import broken_pipe
from mirnet_cli.cli.tally import Tally

if TYPE_CHECKING:
    from mirnet_cli.batches.journal import Journal
    from mirnet_cli.batches.work import Executor, Settings
    from mirnet_cli.cli.console import Console, Display
    from mirnet_cli.report.batch import BatchPage
    from mirnet_cli.restore import Restorer

_STOPPED = "it was stopped; run again to go on"


@dataclass(frozen=True)
class Watched:
    """A folder that photos still come into.

    Attributes:
        folder: what is watched.
        find: the plan anew; photos with the given keys have their place already.
    """

    folder: Path
    find: Callable[[frozenset[str]], Plan]


@dataclass(frozen=True)
class How:
    """How a batch goes on.

    Attributes:
        retry_failed: try again what failed before.
        max_time: start nothing new after this many seconds.
        watched: go on with what comes into a folder.
        page: is told of each photo, and written at the end.
    """

    retry_failed: bool = False
    max_time: float | None = None
    watched: Watched | None = None
    page: "BatchPage | None" = None


def work(
    console: "Console",
    plan: Plan,
    journal: "Journal",
    restorer: "Restorer",
    settings: "Settings",
    how: How,
    executor: "Callable[[Watcher], Executor]",
) -> int:
    """Do a plan, and what comes later where the folder is watched.

    Args:
        executor: makes what does the work, told who watches.

    Returns:
        The exit code.
    """
    tally = Tally()
    with console.display(files=len(plan.items)) as display:
        bars = _Bars(display)
        going = Run(
            journal,
            restorer,
            settings,
            executor=executor(bars),
            retry_failed=how.retry_failed,
            max_time=how.max_time,
        )

        def tell(reports: Iterator[Report]) -> None:
            with closing(reports):  # type: ignore[type-var]
                for each in reports:
                    tally.add(each)
                    if how.page is not None:
                        how.page.add(each.item.key, each.outcome.result)
                    bars.over(each.item)
                    if each.left:
                        console.record(each.outcome.result.as_dict())
                    else:
                        report(console, each.outcome)

        try:
            with going:
                try:
                    for part in _parts(console, plan, settings, how):
                        reports = going.do(part)
                        bars.expect(part)
                        tell(reports)
                        if going.over:
                            break
                except BaseException as error:
                    if not broken_pipe(error):
                        tell(going.rest(_STOPPED))
                    raise
        finally:
            tally.show(console, plan.into)
            if how.page is not None:
                how.page.write()
                console.note(f"report in {how.page.target}")
    return int(tally.exit_code)


def _parts(console: "Console", plan: Plan, settings: "Settings", how: How) -> Iterator[Plan]:
    """The plan, and then what is to be added to it."""
    if how.watched is None:
        yield plan
        return
    from mirnet_cli.batches.watch import Arrivals, looks

    watched = how.watched
    arrivals = Arrivals(settings.max_pixels)
    until = math.inf if how.max_time is None else time.monotonic() + how.max_time
    console.note(f"watching {watched.folder}; Ctrl-C ends it")
    for _ in looks(until):
        part = arrivals.ready(watched.find(arrivals.given))
        if part.items:
            yield part


class _Bars:
    """Shows on a display how the work goes on."""

    def __init__(self, display: "Display") -> None:
        self._display = display
        self._sizes: dict[str, float] = {}
        self._whole = 0.0

    def expect(self, plan: Plan) -> None:
        """Learn how large the photos are that come next."""
        if self._display.live:
            for item in plan.items:
                # Not of objects: each would have to be asked for.
                found = size_of(item) if isinstance(item.source, Path) else None
                self._sizes[item.key] = float(found[0] * found[1]) if found else 0.0
                self._whole += self._sizes[item.key]
            self._display.whole(self._whole)

    def begin(self, item: Item) -> None:
        """The display shows one photo."""
        self._display.start(item.key, self._sizes.get(item.key, 0.0))

    def tiles(self, done: int, total: int) -> None:
        """Its tiles."""
        self._display.tiles(done, total)

    def end(self, item: Item) -> None:
        """It is computed."""
        self.over(item)

    def over(self, item: Item) -> None:
        """Count a photo as done, unless it is counted already."""
        if item.key in self._sizes:
            self._display.finish(self._sizes.pop(item.key))
