"""What is said and where: messages and progress on stderr, data on stdout.

Nothing here passes a file's name or content through Rich's markup, and everything that came from
one is escaped for the terminal.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from mirnet_cli.errors import MirnetError
from mirnet_cli.files import REFUSED, printable
from mirnet_cli.photo.options import QUALITY_UNUSED

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


_MOST = 10_000
"""Characters of a line; two of the longest paths that Linux knows, and what is said of them."""


def write_stderr(line: str) -> None:
    """Write one line to stderr; whoever closed stderr does not want to read it."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def _one_line(text: str) -> str:
    """Text made safe for terminals; of what is absurdly long the ends."""
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]} … {text[-_MOST // 2 :]}"
    return printable(text)


def write_error(text: str) -> None:
    """Write ``mirnet: TEXT`` as one line, made safe for terminals."""
    write_stderr(_one_line(f"mirnet: {text}"))


class Console:
    """The voice of one run.

    Args:
        json: print one JSON object a line for each result.
        quiet: say nothing but errors.
        verbose: say details too.
        json_to_stderr: stdout is taken by a picture. What is only worth a note is left out then,
            so that stderr can be read by a program.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        json_to_stderr: bool = False,
    ) -> None:
        self.json = json
        self.quiet = quiet or (json and json_to_stderr)
        self.verbose = verbose
        self._json_stream = sys.stderr if json_to_stderr else sys.stdout
        self._live: Progress | None = None
        self._said: set[str] = set()

    def error(self, error: MirnetError | str) -> None:
        """Say what is wrong and what to do about it, in one line, whatever else is asked for."""
        self._line(f"mirnet: {error}")

    def warn(self, subject: str, text: str) -> None:
        """Say what went differently from what may be expected; of a disk or an option once."""
        if self.quiet or text in self._said:
            return
        if text.startswith((*REFUSED, QUALITY_UNUSED)):
            # True of every photo that goes to this disk, or of this format.
            self._said.add(text)
        self._line(f"mirnet: {subject}: warning: {text}")

    def note(self, text: str) -> None:
        """Say how it is going."""
        if not self.quiet:
            self._line(text)

    def detail(self, text: str) -> None:
        """Say what only --verbose asks for."""
        if self.verbose and not self.quiet:
            self._line(text)

    def record(self, values: Mapping[str, Any]) -> None:
        """Print one JSON object, pure ASCII, on a line of its own; nothing without --json."""
        if self.json:
            self._write(self._json_stream, json.dumps(values, default=str))

    def data(self, line: str) -> None:
        """Print a line of what was asked for on stdout, whatever else is said."""
        self._write(sys.stdout, line)

    def _write(self, stream: TextIO | None, line: str) -> None:
        if stream is None:
            return
        with self._without_bar(stream):
            stream.write(line + "\n")
            stream.flush()

    @contextmanager
    def _without_bar(self, stream: TextIO) -> Iterator[None]:
        """Take the progress bar away while a line goes to what may be the same terminal."""
        bar = self._live if stream.isatty() else None
        if bar is None:
            yield
            return
        bar.stop()
        try:
            yield
        finally:
            bar.start()

    def _line(self, text: str) -> None:
        line = _one_line(text)
        if self._live is None:
            write_stderr(line)
            return
        from rich.text import Text

        self._live.console.print(Text(line), soft_wrap=True)

    def display(self, *, files: int) -> "Display":
        """What a person at a terminal sees while the work goes on.

        Args:
            files: how many photos there are.
        """
        return Display(self, files=files, live=not self.quiet and stderr_is_terminal())


def stderr_is_terminal() -> bool:
    """Whether stderr is a terminal.

    Asked of the stream itself: FORCE_COLOR makes Rich believe in terminals that are pipes.
    """
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


class Display:
    """A progress bar with tiles and time left; nothing where stderr is no terminal.

    A context manager. With ``pixels`` known, a second bar shows the whole batch.
    """

    def __init__(self, console: Console, *, files: int, live: bool) -> None:
        self._console = console
        self._files = files
        self._live = live
        self._progress: Progress | None = None
        self._tiles: TaskID | None = None
        self._whole: TaskID | None = None
        self._before = 0.0
        self._size = 0.0
        self._started: set[str] = set()

    def __enter__(self) -> Self:
        if self._live:
            from rich.console import Console as Terminal
            from rich.progress import (
                BarColumn,
                Progress,
                TaskProgressColumn,
                TextColumn,
                TimeRemainingColumn,
            )

            terminal = Terminal(file=sys.stderr)
            if terminal.is_dumb_terminal:
                self._live = False
                return self
            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                TaskProgressColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeRemainingColumn(),
                console=terminal,
                transient=True,
                # Data goes to stdout, also while this is shown.
                redirect_stdout=False,
                expand=True,
            )
            self._progress.start()
            self._console._live = self._progress
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take it from the screen; nothing is shown after that."""
        self._console._live = None
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.stop()

    @property
    def live(self) -> bool:
        """Whether anyone sees this."""
        return self._live

    def whole(self, size: float) -> None:
        """Show a bar for all photos together; ``size`` is their sum, say in pixels."""
        if self._progress is None:
            return
        if self._whole is not None:
            self._progress.update(self._whole, total=size or None)
        else:
            self._whole = self._progress.add_task("all", total=size or None, detail="")
        if self._tiles is None:
            self._tiles = self._progress.add_task("reading", total=None, detail="")

    def start(self, name: str, size: float = 0.0, *, doing: str = "reading") -> None:
        """Begin with the photo ``name``, which is ``size`` of the whole."""
        # One whose process died is begun again.
        self._started.add(name)
        self._size = size
        if self._progress is None:
            return
        short = printable(name)
        short = short if len(short) <= 40 else f"…{short[-39:]}"
        if self._tiles is not None:
            self._progress.remove_task(self._tiles)
        self._tiles = self._progress.add_task(short, total=None, detail=self._detail(doing))

    def tiles(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` tiles of the current photo are done."""
        self.steps(done, total, self._detail(f"tile {done}/{total}"))
        if self._progress is not None and self._whole is not None:
            part = self._size * done / max(total, 1)
            self._progress.update(self._whole, completed=self._before + part)
        if self._progress is not None and self._tiles is not None and done >= total:
            # How long encoding takes nobody knows: the bar pulses.
            self._progress.reset(self._tiles, total=None, detail=self._detail("writing"))

    def steps(self, done: int, total: int, detail: str) -> None:
        """Say that ``done`` of ``total`` steps are done, and a word about them."""
        if self._progress is not None and self._tiles is not None:
            self._progress.update(self._tiles, completed=done, total=total, detail=detail)

    def bytes(self, done: int, total: int) -> None:
        """Say how many bytes of a file have come."""
        self.steps(done, total, f"{done / 1e6:.1f} of {total / 1e6:.1f} MB")

    def finish(self, size: float | None = None) -> None:
        """End with the current photo, or count ``size`` of the whole as done without work."""
        self._before += self._size if size is None else size
        self._size = 0.0
        if self._progress is not None and self._whole is not None:
            self._progress.update(self._whole, completed=self._before)

    def _detail(self, what: str) -> str:
        return f"{what}, photo {len(self._started)} of {self._files}" if self._files > 1 else what
