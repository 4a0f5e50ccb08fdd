"""The table at the end of a batch."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirnet_cli.errors import ExitCode
from mirnet_cli.places import Place
from mirnet_cli.restore.result import DONE_BEFORE, NOT_STARTED, REASONS, UNREADABLE

if TYPE_CHECKING:
    from mirnet_cli.batches.run import Report
    from mirnet_cli.cli.console import Console
    from mirnet_cli.photo.formats import Unreadable


@dataclass(frozen=True)
class _Counted:
    """What the table says of one photo."""

    outcome: str
    megapixels: float
    unreadable: "Unreadable | None"


_ALWAYS = ("done", DONE_BEFORE, "failed")
"""Outcomes that have a column even where there are none."""
_NAMED = 3
"""Files that are named of those that cannot be read."""


class Tally:
    """Counts what came of each photo; the outcomes add up to what was found.

    Of a photo that came again, changed, the last counts.
    """

    def __init__(self) -> None:
        # Needed at the end, where a signal may leave no time to load it.
        import rich.table  # noqa: F401

        self._begun = time.monotonic()
        self._photos: dict[str, _Counted] = {}
        self._why = ""

    def add(self, report: "Report") -> None:
        """Count one photo."""
        result = report.outcome.result
        pixels = result.megapixels or 0.0 if result.status == "done" else 0.0
        unreadable = report.item.unreadable
        self._photos[report.item.key] = _Counted(result.outcome, pixels, unreadable)
        if report.left:
            self._why = (result.error or "").removeprefix(f"{NOT_STARTED}: ")

    def _count(self, outcome: str) -> int:
        return sum(each.outcome == outcome for each in self._photos.values())

    @property
    def exit_code(self) -> ExitCode:
        """0 only if every photo is done, in this run or before."""
        wrong = any(self._count(each) for each in ("failed", UNREADABLE, NOT_STARTED))
        return ExitCode.FAILED if wrong else ExitCode.OK

    def show(self, console: "Console", into: Place) -> None:
        """Write the table to stderr; also when the run was interrupted."""
        unreadable = {key: each.unreadable for key, each in self._photos.items()}
        tell_unreadable(console, unreadable)
        if left := self._count(NOT_STARTED):
            photos = "photo was" if left == 1 else "photos were"
            console.error(f"{left} {photos} not started: {self._why}")
        if console.quiet or not self._photos:
            return
        import sys

        from rich.console import Console as Terminal
        from rich.table import Table
        from rich.text import Text

        from mirnet_cli.files import printable

        seconds = time.monotonic() - self._begun
        outcomes = ("done", *REASONS, "failed")
        shown = [each for each in outcomes if each in _ALWAYS or self._count(each)]
        table = Table(show_header=True, title_justify="left")
        for name in ("found", *shown, "megapixels"):
            # On a narrow terminal headings break between words, and not within one.
            table.add_column(name, justify="right", min_width=max(map(len, name.split())))
        table.add_column("time", justify="right")
        counts = [len(self._photos), *map(self._count, shown)]
        pixels = sum(each.megapixels for each in self._photos.values())
        table.add_row(*map(str, counts), f"{pixels:.1f}", clock(seconds))
        terminal = Terminal(file=sys.stderr, force_interactive=False)
        terminal.print(table)
        terminal.print(Text(f"results in {printable(str(into))}"), soft_wrap=True)


def tell_unreadable(console: "Console", files: "Mapping[str, Unreadable | None]") -> None:
    """Say which kinds of files cannot be read here, a line for each with its remedy.

    Args:
        console: told, whatever else it says.
        files: by their paths; None for those that can be read.
    """
    kinds: dict[Unreadable, list[str]] = {}
    for path, why in files.items():
        if why is not None:
            kinds.setdefault(why, []).append(path)
    for why, paths in kinds.items():
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        names = ", ".join(paths[:_NAMED]) + more
        count = f"{len(paths)} {why.kind} file{'s' if len(paths) > 1 else ''}"
        console.error(f"{count} cannot be read here ({names}): {why.what}; {why.remedy}")


def clock(seconds: float) -> str:
    """Seconds as people read them: ``4.2 s``, ``3:07``, ``1:02:03``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
