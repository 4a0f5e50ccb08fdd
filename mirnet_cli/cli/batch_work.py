"""Doing a batch: progress, a line for each photo, the table at the end."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from mirnet_cli.batches.job import Watcher
from mirnet_cli.batches.plan import Item, Plan
from mirnet_cli.batches.run import Batch, Report, Run
from mirnet_cli.cli.dry_run import size_of
from mirnet_cli.cli.photos import report
from mirnet_cli.cli.process import broken_pipe
from mirnet_cli.cli.tally import Tally
from mirnet_cli.places import Place
from mirnet_cli.restore.outcome import STOPPED
from mirnet_cli.signals import last_words

if TYPE_CHECKING:
    from mirnet_cli.cli.console import Console, Display
    from mirnet_cli.report.batch import BatchPage


def work(
    console: "Console",
    batch: Batch,
    plan: Plan,
    begin: Callable[[Watcher], Run],
    watched: Path | None = None,
    page: "BatchPage | None" = None,
) -> int:
    """Do a plan, and what comes later where the folder is watched.

    Args:
        console: told how it goes on.
        batch: that the plan is of.
        plan: what is to be done.
        begin: makes the run, told who watches it.
        watched: go on with what comes into this folder.
        page: is told of each photo, and written at the end.

    Returns:
        The exit code.
    """
    with console.display(files=len(plan.items)) as display:
        bars = _Bars(display)
        going = begin(bars)
        telling = _Telling(console, bars, page, plan.into)

        def stopped() -> None:
            display.close()
            telling.tell(going.left(STOPPED))
            telling.end()

        with last_words(stopped), going:
            try:
                for part in _parts(console, batch, plan, watched):
                    reports = going.do(part)
                    bars.expect(part)
                    telling.tell(reports)
                    if going.over:
                        break
            except BaseException as error:
                if not broken_pipe(error):
                    telling.tell(going.rest(STOPPED))
                raise
            finally:
                telling.end()
    return int(telling.tally.exit_code)


class _Telling:
    """Tells what came of each photo, and of all at the end; nothing after that.

    The end may come from another thread (:func:`mirnet_cli.signals.last_words`).
    """

    def __init__(
        self, console: "Console", bars: "_Bars", page: "BatchPage | None", into: Place
    ) -> None:
        self.tally = Tally()
        self._console, self._bars, self._page, self._into = console, bars, page, into
        self._lock = RLock()
        self._ended = False

    def tell(self, reports: Iterator[Report]) -> None:
        """Tell of photos as they are done."""
        with closing(reports):  # type: ignore[type-var]
            for each in reports:
                with self._lock:
                    if self._ended:
                        return
                    self._tell(each)

    def _tell(self, each: Report) -> None:
        self.tally.add(each)
        if self._page is not None:
            self._page.add(each.item.key, each.outcome.result)
        self._bars.over(each.item)
        if each.left:
            self._console.record(each.outcome.result.as_dict())
        else:
            report(self._console, each.outcome)

    def end(self) -> None:
        """Show the table, and write the page."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self.tally.show(self._console, self._into)
            if self._page is not None:
                self._page.write()
                self._console.note(f"report in {self._page.target}")


def _parts(console: "Console", batch: Batch, plan: Plan, watched: Path | None) -> Iterator[Plan]:
    """The plan, and then what is to be added to it."""
    if watched is None:
        yield plan
        return
    from mirnet_cli.batches.watch import Arrivals, looks

    arrivals = Arrivals(batch.photo.max_pixels)
    max_time = batch.options.max_time
    until = math.inf if max_time is None else time.monotonic() + max_time
    console.note(f"watching {watched}; Ctrl-C stops")
    for _ in looks(until):
        part = arrivals.ready(batch.plan(arrivals.given))
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
