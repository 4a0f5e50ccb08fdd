"""The table at the end of a batch."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mirnet_cli.errors import ExitCode

if TYPE_CHECKING:
    from mirnet_cli.batches.run import Report
    from mirnet_cli.cli.console import Console


class Tally:
    """Counts what came of each photo; done, skipped and failed add up to what was found.

    Args:
        found: how many photos there are.
    """

    def __init__(self, found: int) -> None:
        self._found = found
        self._begun = time.monotonic()
        self._counts = {"done": 0, "skipped": 0, "failed": 0}
        self._left = 0
        self._reported = 0
        self._why = ""
        self._pixels = 0.0
        self._warnings = 0

    def add(self, report: "Report") -> None:
        """Count one photo."""
        result = report.outcome.result
        self._reported += 1
        self._counts[result.status] += 1
        self._warnings += bool(result.warnings)
        if result.status == "done":
            self._pixels += result.megapixels or 0.0
        if report.left:
            self._left += 1
            self._why = (result.error or "").removeprefix("not started: ")

    @property
    def exit_code(self) -> ExitCode:
        """0 only if every photo is done, in this run or before."""
        wrong = self._counts["failed"] or self._left
        return ExitCode.FAILED if wrong else ExitCode.OK

    def show(self, console: "Console", into: Path) -> None:
        """Write the table to stderr; also when the run was interrupted."""
        if self._left:
            photos = "photo was" if self._left == 1 else "photos were"
            console.error(f"{self._left} {photos} not started: {self._why}")
        if console.quiet:
            return
        import sys

        from rich.console import Console as Terminal
        from rich.table import Table
        from rich.text import Text

        from mirnet_cli.files import printable

        seconds = time.monotonic() - self._begun
        table = Table(show_header=True, title_justify="left")
        for name in ("found", "done", "skipped", "failed"):
            table.add_column(name, justify="right")
        table.add_column("megapixels", justify="right")
        table.add_column("time", justify="right")
        counts = [str(self._found), *(str(count) for count in self._counts.values())]
        table.add_row(*counts, f"{self._pixels:.1f}", clock(seconds))
        terminal = Terminal(file=sys.stderr, force_interactive=False)
        terminal.print(table)
        if self._reported < self._found:
            missing = self._found - self._reported
            console.note(f"stopped with {missing} of {self._found} photos left; run again to go on")
        terminal.print(Text(f"results in {printable(str(into))}"), soft_wrap=True)


def clock(seconds: float) -> str:
    """Seconds as people read them: ``4.2 s``, ``3:07``, ``1:02:03``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
