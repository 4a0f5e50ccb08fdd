"""Files in the folders of this machine, as a store."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mirnet_cli import files
from mirnet_cli.errors import InputError, OutputError
from mirnet_cli.files import reason, resolved, write_atomically
from mirnet_cli.places import Entry, Fingerprint, Place

_JUNCTION = 0xA0000003
"""IO_REPARSE_TAG_MOUNT_POINT, which the module stat has on Windows alone."""


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


class Folders:
    """See :class:`mirnet_cli.stores.Store`."""

    far = False
    keeps_times = True

    def check(self, place: Path, *, writing: bool = False) -> None:
        """Any path may be used."""

    def check_source(self, place: Path) -> None:
        """Opening a FIFO would wait for ever."""
        try:
            mode = place.stat().st_mode
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            said = reason(error) if isinstance(error, OSError) else str(error)
            what = "no such file" if missing else f"cannot be read ({said})"
            remedy = "check the name" if missing else "check the name and permissions"
            raise InputError(what, remedy, subject=place) from error
        if stat.S_ISDIR(mode):
            raise InputError("is a folder", "use 'mirnet batch' for folders", subject=place)
        if not stat.S_ISREG(mode):
            raise InputError("is not a regular file", "copy it to a file first", subject=place)

    def check_target(self, place: Path) -> None:
        if files.is_folder(place):
            raise OutputError("is a folder", "name a file", subject=place)
        if not files.is_folder(place.parent):
            remedy = f"make {place.parent}"
            raise OutputError("has no folder to be written to", remedy, subject=place)

    def exists(self, place: Path) -> bool:
        return files.exists(place)

    def is_folder(self, place: Path) -> bool:
        return files.is_folder(place)

    def means_folder(self, place: Path, text: str) -> bool:
        return files.ends_as_folder(text) or files.is_folder(place)

    def same(self, place: Path, other: Place) -> bool:
        return isinstance(other, Path) and files.same_file(place, other)

    def resolved(self, place: Path) -> Path:
        return resolved(place)

    def listed(self, folder: Path, path: Path) -> Path:
        below = folder / path
        return below if not files.exists(path) and files.exists(below) else path

    def listing(self, folder: Path, into: Place, *, recursive: bool) -> Iterator[Entry]:
        """Links to folders are not followed, as they may lead in circles.

        Raises:
            InputError: the folder itself cannot be read.
        """
        skip = resolved(into) if isinstance(into, Path) else None
        pending = [folder]
        while pending:
            here = pending.pop()
            try:
                with os.scandir(here) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                if here == folder:
                    what = f"cannot be read ({reason(error)})"
                    remedy = "check its name and permissions"
                    raise InputError(what, remedy, subject=folder) from error
                key = here.relative_to(folder).as_posix()
                what = f"folder cannot be read ({reason(error)}); check permissions"
                yield Entry(key, here, what)
                continue
            for entry in found:
                if entry.name.startswith("."):
                    continue
                path = here / entry.name
                if _is_folder(entry):
                    if recursive and resolved(path) != skip:
                        pending.append(path)
                elif not files.is_folder(path):
                    yield Entry(path.relative_to(folder).as_posix(), path)

    @contextmanager
    def opened(self, place: Path) -> Iterator[FileBytes]:
        """A path must lead to a regular file.

        Raises:
            InputError: missing, not permitted, a folder, a FIFO or a device, or failing to read.
        """
        # A FIFO would block the opening itself; O_NONBLOCK does nothing to regular files.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            with open(place, "rb", opener=lambda path, _: os.open(path, flags)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    what = f"is {_kind(status.st_mode)}, not a picture"
                    raise InputError(what, subject=place)
                yield FileBytes(file, status.st_size)
        except FileNotFoundError as error:
            raise InputError("no such file", subject=place) from error
        except IsADirectoryError as error:
            raise InputError("is a folder, not a picture", subject=place) from error
        except OSError as error:
            raise InputError(f"cannot be read: {reason(error)}", subject=place) from error
        except ValueError as error:
            if "null byte" not in str(error) and "null character" not in str(error):
                raise
            raise InputError("not a usable file name", subject=place) from error

    def size(self, place: Path) -> int:
        try:
            return place.stat().st_size
        except OSError:
            return 0

    def fingerprint(self, place: Path) -> Fingerprint:
        """By size and time where they tell, else by SHA-256."""
        if not files.is_file(place):
            # Opening a FIFO would wait for ever.
            raise FileNotFoundError(place)
        with place.open("rb") as stream:
            status = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Fingerprint(status.st_size, status.st_mtime_ns, digest)

    def matches(self, place: Path, known: Fingerprint) -> bool:
        """The file is read only if its time differs."""
        status = place.stat()
        if status.st_size != known.size:
            return False
        if status.st_mtime_ns == known.mtime_ns:
            return True
        return self.fingerprint(place).sha256 == known.sha256

    def write(
        self,
        place: Path,
        data: bytes,
        *,
        overwrite: bool,
        kind: str,
        status: os.stat_result | None,
        preserve: bool,
    ) -> tuple[str, ...]:
        return write_atomically(
            place,
            data,
            overwrite=overwrite,
            times_from=status if preserve else None,
            # A file that is replaced keeps its own permissions; a new one has those of the photo.
            mode_from=None if files.exists(place) else status,
        )


FOLDERS = Folders()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, and not a link to one, of which Windows has another kind."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    return getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) != _JUNCTION


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"
