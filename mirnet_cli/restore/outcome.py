"""One photo from file to file, with every failure turned into an outcome."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from mirnet_cli import stores
from mirnet_cli.errors import (
    DiskFullError,
    InputError,
    MirnetError,
    OutOfMemoryError,
    OutputError,
    ResultError,
    TransferError,
)
from mirnet_cli.files import make_folder, not_written, reason
from mirnet_cli.places import Place
from mirnet_cli.restore.options import PhotoOptions
from mirnet_cli.restore.result import NOT_STARTED, Result

if TYPE_CHECKING:
    from mirnet_cli.restore.restorer import Restorer

Tiles = Callable[[int, int], None]
"""Told how many tiles of how many are done."""
STOPPED = "the run was stopped; run again to continue"
"""Why a photo was not started, after a signal."""


@dataclass(frozen=True)
class Outcome:
    """What came of one photo.

    Attributes:
        result: as the Python API and ``--json`` give it.
        error: the exception, where it failed.
        lasting: whether trying again would fail again (the photo is to blame, not the disk).
        full: whether the disk is full, so that nothing further can be written.
    """

    result: Result
    error: Exception | None = None
    lasting: bool = False
    full: bool = False


def perform(
    restorer: "Restorer",
    source: Place | bytes,
    target: Place | BinaryIO,
    options: PhotoOptions,
    tiles: Tiles | None = None,
) -> Outcome:
    """Do one photo; what goes wrong with it is returned, not raised.

    The folder of ``target`` is made if it does not exist. Only what ends the whole run is
    raised: Ctrl-C, signals, a reader of standard output that went away.
    """
    try:
        check(source, target)
        work = restorer.read(source, target, options)
        restorer.improve(work, options, tiles)
        result = restorer.write(work, options)
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
    if target is not None and not isinstance(target, Place):
        return OutputError(text, "check where the output goes", subject="standard output")
    return InputError(text, "check the file and the disk")


def make_result(
    status: Literal["skipped", "failed"],
    source: Place | bytes,
    target: Place | BinaryIO | None,
    *,
    restorer: "Restorer | None" = None,
    error: str | None = None,
    warnings: tuple[str, ...] = (),
    reason: str | None = None,
) -> Result:
    """A result for a photo that no network has seen: skipped or failed."""
    return Result.by(
        restorer,
        source,
        output=str(target) if isinstance(target, Place) and status == "skipped" else None,
        status=status,
        warnings=warnings,
        error=error,
        reason=reason,
    )


def not_started(
    source: Place | bytes,
    target: Place | BinaryIO | None,
    why: str,
    restorer: "Restorer | None" = None,
) -> Result:
    """A result for a photo that is still to be done, because the run ended first."""
    error = f"{NOT_STARTED}: {why}"
    return make_result(
        "skipped", source, target, restorer=restorer, error=error, reason=NOT_STARTED
    )


def check(source: Place | bytes, target: Place | BinaryIO) -> None:
    """Refuse now what would be refused later, and make the folder of ``target``.

    Objects are looked at when they are read; targets by the restorer, before it reads.

    Raises:
        InputError: the source is no file that can be opened.
        OutputError: the folder cannot be made.
    """
    if isinstance(source, Path):
        stores.of(source).check_source(source)
    if isinstance(target, Path):
        try:
            make_folder(target.parent)
        except OSError as error:
            raise not_written(target, error) from error


def told(error: MirnetError) -> str:
    """What is wrong and the remedy, where the photo is named already."""
    return f"{error.what}; {error.remedy}" if error.remedy else error.what
