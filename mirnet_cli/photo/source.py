"""Bytes to read from: a file opened with care, or bytes in memory."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from mirnet_cli.errors import InputError
from mirnet_cli.files import reason
from mirnet_cli.places import Place, Remote


class DamageError(Exception):
    """A file contradicts its format; the text says how, in half a sentence."""


class Data(Protocol):
    """Random access to bytes: ``bytes`` itself, or :class:`FileBytes`."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> bytes: ...


def whole(data: Data) -> bytes:
    """All of it in memory; what is there already is not copied."""
    return data if isinstance(data, bytes) else data[0 : len(data)]


class FileBytes:
    """A file as a sequence of bytes, read where it is sliced and nowhere else."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice) -> bytes:
        start, stop, step = span.indices(self._size)
        if step != 1:
            raise ValueError("only contiguous spans can be read")
        self._file.seek(start)
        return self._file.read(max(0, stop - start))


@contextmanager
def opened(source: Place | bytes) -> Iterator[Data]:
    """Give access to a file's bytes; a path must lead to a regular file.

    Raises:
        InputError: missing, not permitted, a folder, a FIFO or a device, or failing to read.
    """
    if isinstance(source, bytes):
        yield source
        return
    if isinstance(source, Remote):
        from mirnet_cli import stores

        with stores.opened(source) as object:
            yield object
        return
    # A FIFO would block the opening itself; O_NONBLOCK does nothing to regular files.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(source, "rb", opener=lambda path, _: os.open(path, flags)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"is {_kind(status.st_mode)}, not a picture", subject=source)
            yield FileBytes(file, status.st_size)
    except FileNotFoundError as error:
        raise InputError("no such file", subject=source) from error
    except IsADirectoryError as error:
        raise InputError("is a folder, not a picture", subject=source) from error
    except OSError as error:
        raise InputError(f"cannot be read: {reason(error)}", subject=source) from error
    except ValueError as error:
        if "null byte" not in str(error) and "null character" not in str(error):
            raise
        raise InputError("not a usable file name", subject=source) from error


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"
