"""The table at the end of a batch."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirnet_cli.errors import ExitCode
from mirnet_cli.places import Place

if TYPE_CHECKING:
    from mirnet_cli.batches.run import Report
    from mirnet_cli.cli.console import Console


@dataclass(frozen=True)
class _Counted:
    """What the table says of one photo."""

    status: str
    megapixels: float
    left: bool


class Tally:
    """Counts what came of each photo; done, skipped and failed add up to what was found.

    Of a photo that came again, changed, the last counts.
    """

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._photos: dict[str, _Counted] = {}
        self._why = ""

    def add(self, report: "Report") -> None:
        """Count one photo."""
        result = report.outcome.result
        pixels = result.megapixels or 0.0 if result.status == "done" else 0.0
        self._photos[report.item.key] = _Counted(result.status, pixels, report.left)
        if report.left:
            self._why = (result.error or "").removeprefix("not started: ")

    @property
    def _left(self) -> int:
        return sum(each.left for each in self._photos.values())

    def _count(self, status: str) -> int:
        return sum(each.status == status for each in self._photos.values())

    @property
    def exit_code(self) -> ExitCode:
        """0 only if every photo is done, in this run or before."""
        wrong = self._count("failed") or self._left
        return ExitCode.FAILED if wrong else ExitCode.OK

    def show(self, console: "Console", into: Place) -> None:
        """Write the table to stderr; also when the run was interrupted."""
        if left := self._left:
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
        table = Table(show_header=True, title_justify="left")
        for name in ("found", "done", "skipped", "failed"):
            table.add_column(name, justify="right")
        table.add_column("megapixels", justify="right")
        table.add_column("time", justify="right")
        counts = [len(self._photos), *map(self._count, ("done", "skipped", "failed"))]
        pixels = sum(each.megapixels for each in self._photos.values())
        table.add_row(*map(str, counts), f"{pixels:.1f}", clock(seconds))
        terminal = Terminal(file=sys.stderr, force_interactive=False)
        terminal.print(table)
        terminal.print(Text(f"results in {printable(str(into))}"), soft_wrap=True)


def clock(seconds: float) -> str:
    """Seconds as people read them: ``4.2 s``, ``3:07``, ``1:02:03``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
