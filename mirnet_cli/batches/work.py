"""Doing it: one photo at a time, every failure turned into an outcome."""

import dataclasses
import errno
import hashlib
import json
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from mirnet_cli.batches.plan import Item
from mirnet_cli.errors import (
    DiskFullError,
    InputError,
    MirnetError,
    OutOfMemoryError,
    OutputError,
    ResultError,
    TransferError,
)
from mirnet_cli.files import exists, make_folder, reason
from mirnet_cli.places import Place, Remote

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer, Result

Tiles = Callable[[int, int], None]
"""Told how many tiles of how many are done."""


@dataclass(frozen=True)
class Settings:
    """How each photo is treated; the arguments of :meth:`Restorer.file` of the same names."""

    strength: float = 1.0
    ensemble: bool = False
    crop: tuple[int, int, int, int] | None = None
    format: str | None = None
    quality: int | None = None
    strip: bool = False
    preserve: bool = False
    overwrite: bool = False
    max_pixels: int = 500_000_000

    def arguments(self) -> dict[str, Any]:
        """As keyword arguments."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def digest(self, restorer: "Restorer") -> str:
        """Identify everything that makes a result what it is.

        What only decides where and how fast it is computed does not count: the device, the
        runtime, the precision and the size of tiles change a result within the stated tolerance.
        """
        what = {
            "task": restorer.task,
            "scale": restorer.scale,
            "weights": restorer.weights.sha256,
            "context": restorer.context,
            "overlap": restorer.overlap,
            **self.arguments(),
        }
        for name in ("overwrite", "preserve", "max_pixels"):
            del what[name]
        # NumPy's numbers count as what they are.
        text = json.dumps(what, sort_keys=True, default=lambda number: number.item())
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Job:
    """One photo to be done; plain data that can be sent to another process."""

    item: Item
    settings: Settings


@dataclass(frozen=True)
class Outcome:
    """What came of one photo.

    Attributes:
        result: as the Python API and ``--json`` give it.
        error: the exception, where it failed.
        lasting: whether trying again would fail again (the photo is to blame, not the disk).
        full: whether the disk is full, so that nothing further can be written.
    """

    result: "Result"
    error: Exception | None = None
    lasting: bool = False
    full: bool = False


class Executor(Protocol):
    """Something that does jobs, here or elsewhere."""

    def run(self, jobs: Iterable[Job], wanted: Callable[[], bool]) -> Iterator[tuple[Job, Outcome]]:
        """Do the jobs, taken from ``jobs`` as there is room for them; yield each as it is done.

        Args:
            jobs: what is to be done; may be taken somewhat ahead of the work.
            wanted: asked before the long part of each job. When it says no, everything that has
                not come so far is dropped, and never yielded.
        """
        ...

    def finished(self) -> Iterator[tuple[Job, Outcome]]:
        """What came to its end although :meth:`run` was left early (Ctrl-C) and never yielded."""
        ...

    def close(self) -> None:
        """Give back what is held for further runs."""
        ...


class Watcher(Protocol):
    """Someone who is told how the work goes on."""

    def begin(self, item: Item) -> None:
        """The long part of the work on a photo begins."""

    def tiles(self, done: int, total: int) -> None:
        """So many tiles of the photo begun last are done; not told by other processes."""

    def end(self, item: Item) -> None:
        """The long part of the work on a photo is over."""


class Nobody:
    """A :class:`Watcher` that does not look."""

    def begin(self, item: Item) -> None: ...

    def tiles(self, done: int, total: int) -> None: ...

    def end(self, item: Item) -> None: ...


def perform(
    restorer: "Restorer",
    source: Place | bytes,
    target: Place | BinaryIO,
    settings: Settings,
    tiles: Tiles | None = None,
) -> Outcome:
    """Do one photo; what goes wrong with it is returned, not raised.

    The folder of ``target`` is made if it does not exist. Only what ends the whole run is
    raised: Ctrl-C, signals, a reader of standard output that went away.
    """
    try:
        check(source, target)
        result = restorer.file(source, target, progress=tiles, **settings.arguments())
    except BrokenPipeError:
        raise
    except Exception as error:
        return failure(error, source, target, restorer=restorer)
    return Outcome(result)


def failure(
    error: Exception,
    source: Place | bytes,
    target: Place | BinaryIO | None,
    *,
    restorer: "Restorer | None" = None,
) -> Outcome:
    """The outcome of a photo that failed with ``error``."""
    known = error
    if isinstance(error, MemoryError):
        known = OutOfMemoryError("not enough memory", "use a smaller --tile or --crop")
    elif isinstance(error, OSError):
        known = _of_system(error, target)
    result = make_result(
        "failed",
        source,
        target,
        restorer=restorer,
        error=told(known) if isinstance(known, MirnetError) else f"{type(error).__name__}: {error}",
    )
    return Outcome(
        result,
        known,
        lasting=isinstance(known, InputError | OutOfMemoryError | ResultError)
        and not isinstance(error, OSError | TransferError),
        full=isinstance(known, DiskFullError),
    )


def _of_system(error: OSError, target: Place | BinaryIO | None) -> MirnetError:
    """What the system refused, by whose fault it is: the disk's, a stream's or the photo's."""
    text = reason(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(text, "free some space")
    if target is not None and not isinstance(target, Path | Remote):
        return OutputError(text, "look at where the output goes", subject="standard output")
    return InputError(text, "check the file and the disk")


def make_result(
    status: Literal["skipped", "failed"],
    source: Place | bytes,
    target: Place | BinaryIO | None,
    *,
    restorer: "Restorer | None" = None,
    error: str | None = None,
    warnings: tuple[str, ...] = (),
) -> "Result":
    """A result for a photo that no network has seen: skipped or failed."""
    from mirnet_cli.restore import Result

    return Result(
        input="-" if isinstance(source, bytes) else str(source),
        output=str(target) if isinstance(target, Path | Remote) and status == "skipped" else None,
        status=status,
        task=None if restorer is None else restorer.task,
        scale=None if restorer is None else restorer.scale,
        model=None if restorer is None else restorer.weights.name,
        sha256=None if restorer is None else restorer.weights.sha256,
        runtime=None if restorer is None else restorer.runtime,
        device=None if restorer is None else restorer.device,
        precision=None if restorer is None else restorer.precision,
        warnings=warnings,
        error=error,
    )


def check(source: Place | bytes, target: Place | BinaryIO) -> None:
    """Refuse now what would be refused later, and make the folder of ``target``.

    Objects are looked at when they are read; targets by the restorer, before it reads.

    Raises:
        InputError: the source is no file that can be opened.
        OutputError: the folder cannot be made.
    """
    if isinstance(source, Path):
        check_input(source)
    if isinstance(target, Path):
        _make_folder(target.parent)


def check_input(source: Place) -> None:
    """Refuse what is no regular file, before it is opened: opening a FIFO waits for ever.

    Raises:
        InputError: saying which it is.
    """
    if isinstance(source, Remote):
        if not exists(source):
            raise InputError("no such object", "check the name", subject=source)
        return
    try:
        mode = source.stat().st_mode
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "no such file" if missing else f"cannot be read ({_reason(error)})"
        remedy = "check the name" if missing else "check the name and permissions"
        raise InputError(what, remedy, subject=source) from error
    if stat.S_ISDIR(mode):
        raise InputError("is a folder", "use 'mirnet batch' for folders", subject=source)
    if not stat.S_ISREG(mode):
        raise InputError("is not a regular file", "copy it to a file first", subject=source)


def _make_folder(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise OutputError(
            f"folder cannot be made ({_reason(error)})",
            "check its name and permissions",
            subject=folder,
        ) from error


def _reason(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)


def told(error: MirnetError) -> str:
    """What is wrong and the remedy, where the photo is named already."""
    return f"{error.what}; {error.remedy}" if error.remedy else error.what
