"""Files written whole or not at all, compared by identity, and their names made printable.

:func:`write_atomically` is the only way in which the project writes what a user keeps.
"""

import contextlib
import errno
import os
import stat
import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mirnet_cli.errors import DiskFullError, OutputError
from mirnet_cli.places import LONGEST, Place

PART_SUFFIX = ".mirnet-part"
"""Ends the name of every temporary file this module writes; the name starts with a dot."""
_temporary: set[Path] = set()
"""What :func:`abandon` removes; some of it was never there."""

_LONGEST = os.pathconf("/", "PC_PATH_MAX") if hasattr(os, "pathconf") else LONGEST
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_FOR_WANT_OF_LINKS = {*_FULL, errno.EIO, errno.EEXIST}
"""Errors of linking that another way of naming a file would meet, too."""
_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}
_FAR = 1 << 40
_MOMENT = 60.0
"""Seconds in which a file that was opened is locked for sure."""
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_CHUNK = 1 << 20
REFUSED = ("this disk cannot ", "this store cannot ")
"""Begins what is said of a file system or store that lacks something."""


def expanded(text: str | Path) -> Path:
    """A path whose ``~`` stands for a home folder; as it is where the system knows of none."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - pathlib's raises RuntimeError there


def write_atomically(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    overwrite: bool,
    times_from: os.stat_result | None = None,
    mode_from: os.stat_result | None = None,
) -> tuple[str, ...]:
    """Write a file so that at every moment the old one or the whole new one is there.

    The data goes to an unnamed file (Linux) or a hidden temporary one beside the target, is
    brought to the disk, and only then gets its name. Nothing is left behind when this raises; on
    Linux nothing is left behind by a killed process either, but for the instant in which an
    existing file is replaced.

    Args:
        path: the file to write. A symbolic link is followed where it is overwritten.
        data: the content, or its pieces in order.
        overwrite: whether an existing file may be replaced. If not, the check and the appearance
            of the new file are one step wherever the file system has hard links.
        times_from: of a file whose access and modification times are taken over.
        mode_from: of a file whose permissions are taken over; by default those of the file that is
            replaced, else what the umask leaves. Owner, extended attributes and access list are
            those of the file that is replaced wherever the system allows it.

    Returns:
        One warning where the file is whole, but the file system does not keep its permissions or
        times (NTFS, exFAT and SMB mounted for everyone), or cannot be told to write at once.

    Raises:
        DiskFullError: no space or quota is left.
        OutputError: the target exists (and ``overwrite`` is off), is not a regular file, or
            cannot be written.
    """
    pieces = (data,) if isinstance(data, bytes) else data
    try:
        target = _checked_target(path, overwrite)
        mode, owner = _permissions(target, mode_from)
        refused = _write(target, pieces, overwrite, _Dress(mode, owner, times_from))
    except FileExistsError as error:
        raise exists_already(path) from error
    except OSError as error:
        raise not_written(path, error) from error
    except ValueError as error:
        raise OutputError(f"not a usable file name: {error}", subject=path) from error
    return (f"{REFUSED[0]}{' or '.join(refused)}; the file itself is whole",) if refused else ()


def write_replaceable(path: Path, data: bytes | memoryview) -> None:
    """Write a file that can be made again: whole or absent, in the place of an old one.

    Unlike :func:`write_atomically` it does not wait for the disk. Several processes may write the
    same file at the same time.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{os.urandom(8).hex()}{PART_SUFFIX}")
    _temporary.add(temporary)
    try:
        with temporary.open("xb") as file:
            # Those that are not locked are a killed process's: see remove_leftovers.
            with contextlib.suppress(BlockingIOError):
                lock(file.fileno())
            file.write(data)
        temporary.replace(path)
    except BaseException:
        _discard(temporary)
        raise
    finally:
        _temporary.discard(temporary)


def abandon(code: int) -> NoReturn:
    """End the process at once, whatever its threads do; they leave whole files or none."""
    for each in list(_temporary):
        with contextlib.suppress(OSError):
            each.unlink()
    os._exit(code)


def remove_leftovers(folder: Path) -> int:
    """Remove temporary files that a killed process left in ``folder``; return how many.

    A file that a living process still writes is locked and stays; so does one that it has just
    opened.
    """
    removed = 0
    for entry in folder.iterdir():
        if not (entry.name.startswith(".") and entry.name.endswith(PART_SUFFIX)):
            continue
        with contextlib.suppress(OSError):
            status = entry.lstat()
            if not status.st_size and time.time() - status.st_ctime < _MOMENT:
                # Nothing is written before the lock is taken.
                continue
            descriptor = os.open(entry, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                lock(descriptor)
            finally:
                os.close(descriptor)
            entry.unlink()
            removed += 1
    return removed


def sync(descriptor: int) -> bool:
    """Bring what was written to the disk.

    Returns:
        Whether the file system knows such a thing: some network and FUSE ones do not.

    Raises:
        OSError: it does, and failed.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
        return False
    return True


def lock(descriptor: int) -> None:
    """Take a file for this process until it is closed; a process that dies gives it back.

    By flock(2), which NFS passes on to its server, and by locking(2) of Windows. Where the file
    system has no locks, nothing happens.

    Args:
        descriptor: open for writing.

    Raises:
        BlockingIOError: another process has it.
    """
    try:
        import fcntl
    except ImportError:
        _lock_on_windows(descriptor)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            raise BlockingIOError(error.errno, "another process has it") from error


def _lock_on_windows(descriptor: int) -> None:
    """Lock a byte far beyond the end: what is locked there cannot even be read by others."""
    import msvcrt

    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _FAR, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in _TAKEN:
            raise BlockingIOError(error.errno, "another process has it") from error
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)


def same_file(first: Path, second: Path) -> bool:
    """Whether two paths name one file: by inode, so through links and whatever the letter case.

    Paths of which one does not exist are the same only if they resolve to the same place.
    """
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        pass
    try:
        return resolved(first) == resolved(second)
    except (OSError, ValueError):
        return False


def resolved(path: Path) -> Path:
    """Where a path leads through all links; the path itself where it is too long for the system.

    To find that out for each of its folders would take long.

    Raises:
        ValueError: it holds a NUL.
    """
    return Path(os.path.realpath(path)) if _nameable(path) else path.absolute()


def _nameable(path: Path) -> bool:
    """Whether the system can be asked for a path of this length."""
    return len(os.fsencode(path)) < _LONGEST


def exists(path: Path) -> bool:
    """Whether something has this name, if only a link that leads nowhere."""
    return os.path.lexists(path)


def ends_as_folder(text: str) -> bool:
    """Whether a name can only be that of a folder."""
    return text.endswith(tuple(filter(None, (os.sep, os.altsep))))


def is_folder(path: Path) -> bool:
    """Whether a folder is there; a name that is too long or leads in circles leads to none."""
    # Path.is_dir raises for such names before Python 3.14.
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Whether a file is there; a name that is too long leads to none."""
    return os.path.isfile(path)  # noqa: PTH113 - as above


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is to be in, however many; it may be there.

    Raises:
        OSError: it cannot be made.
    """
    # Path.mkdir calls itself once for each, and ends at Python's limit.
    missing: list[Path] = []
    while True:
        try:
            folder.mkdir(exist_ok=True)
            break
        except FileNotFoundError:
            if folder.parent == folder:
                raise
            missing.append(folder)
            folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)


def nearest_folder(path: Path) -> Path | None:
    """A folder, or the nearest of those that it would be in; None where a file is in the way."""
    while _nameable(path) and not exists(path) and path.parent != path:
        path = path.parent
    return path if is_folder(path) else None


def printable(text: str) -> str:
    r"""``text`` with everything escaped that could move, hide or restyle what a terminal shows.

    Control characters, line and paragraph separators, direction marks, private and unassigned
    characters become ``\n``, ``\x1b``, ``\u202e`` ...; bytes of a file name that are not UTF-8
    (lone surrogates, PEP 383) become ``\xff``. The joiners inside emoji stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_printable_character(character) for character in text)


def reason(error: OSError) -> str:
    """Why the system refused, as half a sentence: "permission denied"."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def exists_already(path: Place) -> OutputError:
    """What is said where an output is there and is not to be replaced."""
    return OutputError(
        "exists already", "use --overwrite to replace it or -o to choose another name", subject=path
    )


def not_written(
    path: Path, error: OSError, remedy: str = "choose another place with -o"
) -> OutputError:
    """What is said where the system refused to write."""
    if error.errno in _FULL:
        return DiskFullError("no space is left for the output", "free some space", subject=path)
    file = blocking(path.parent)
    why = reason(error) if file is None else f"{file} is not a folder"
    return OutputError(f"cannot be written: {why}", remedy, subject=path)


def blocking(folder: Path) -> Path | None:
    """What is there, and no folder, where a folder would have to be; None where nothing is."""
    while _nameable(folder) and folder.parent != folder:
        if os.path.lexists(folder):
            return None if is_folder(folder) else folder
        folder = folder.parent
    return None


def _checked_target(path: Path, overwrite: bool) -> Path:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return path
    if not overwrite:
        raise exists_already(path)
    if stat.S_ISLNK(status.st_mode):
        # Not Path.resolve, which raises RuntimeError for a loop before Python 3.13.
        path = Path(os.path.realpath(path))
        try:
            status = path.lstat()
        except FileNotFoundError:
            return path
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise OutputError(f"is {kind}", "name a file with -o", subject=path)
    return path


def _permissions(
    target: Path, mode_from: os.stat_result | None
) -> tuple[int | None, tuple[int, int] | None]:
    """The permission bits to set, if any, and the owner of the file that is replaced."""
    mode = None if mode_from is None else stat.S_IMODE(mode_from.st_mode) & 0o777
    try:
        old = target.stat()
    except FileNotFoundError:
        return mode, None
    return (stat.S_IMODE(old.st_mode) & 0o777 if mode is None else mode), (old.st_uid, old.st_gid)


@dataclass(frozen=True)
class _Dress:
    """What a file is to have beside its content."""

    mode: int | None
    owner: tuple[int, int] | None
    times: os.stat_result | None


def _write(target: Path, pieces: Iterable[bytes], overwrite: bool, dress: _Dress) -> list[str]:
    """Write the file; what the file system does not keep of ``dress``."""
    folder = target.parent
    temporary = folder / f".{os.urandom(8).hex()}{PART_SUFFIX}"
    old = target if overwrite else None
    descriptor = _open_unnamed(folder)
    unnamed = descriptor is not None
    _temporary.add(temporary)
    try:
        if descriptor is None:
            descriptor = _open_named(temporary)
        refused = _fill(descriptor, pieces, old, dress)
        if unnamed and not _link(descriptor, temporary if overwrite else target):
            unnamed, nameless, descriptor = False, descriptor, None
            try:
                descriptor = _open_named(temporary)
                refused = _fill(descriptor, _content(nameless), old, dress)
            finally:
                os.close(nameless)
        if os.name == "nt":
            os.close(descriptor)
            descriptor = None
            refused += _set_times(temporary, dress.times)
        if not unnamed:
            _rename(temporary, target, overwrite)
        elif overwrite:
            temporary.replace(target)
    except BaseException:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        _discard(temporary)
        raise
    finally:
        _temporary.discard(temporary)
    if descriptor is not None:
        # The data is on the disk already: what closing could still report changes nothing.
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _sync_folder(folder)
    return refused


def _fill(descriptor: int, pieces: Iterable[bytes], old: Path | None, dress: _Dress) -> list[str]:
    """Give a new file its content and the rest; what the file system does not keep."""
    # Unnamed files have a temporary name for an instant, too: see remove_leftovers. Nobody else
    # can have locked it: who says so is a file system without locks.
    with contextlib.suppress(BlockingIOError):
        lock(descriptor)
    for piece in pieces:
        _write_all(descriptor, piece)
    if old is not None:
        _take_over_attributes(old, descriptor)
    refused = _dress(descriptor, dress)
    return refused if sync(descriptor) else [*refused, "write at once when told to"]


def _open_named(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o666)


def _open_unnamed(folder: Path) -> int | None:
    """A file without a name in ``folder`` (Linux O_TMPFILE), or None where there is no such thing.

    A process that is killed takes it along.
    """
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        return None
    # Whatever is wrong beside that, a file with a name meets as well.
    with contextlib.suppress(OSError):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    return None


def _link(descriptor: int, path: Path) -> bool:
    """Give a file without a name one; whether there are hard links here.

    Raises:
        FileExistsError: the name is taken.
        OSError: the disk is full or failing.
    """
    try:
        # With a folder descriptor Python calls linkat(2), which follows the link in /proc.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.link(f"/proc/self/fd/{descriptor}", path.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            # The name is there by now: no error of closing may say otherwise.
            with contextlib.suppress(OSError):
                os.close(folder)
    except OSError as error:
        if error.errno in _NOT_FOR_WANT_OF_LINKS:
            raise
        return False
    return True


def _content(descriptor: int) -> Iterator[bytes]:
    """What was written to a file that is open."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    while piece := os.read(descriptor, _CHUNK):
        yield piece


def _rename(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
        return
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno in _NOT_FOR_WANT_OF_LINKS:
            raise
        # FAT and some network file systems have no hard links; on Windows rename refuses anyway.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "file exists", str(target)) from error
        temporary.rename(target)
    else:
        _discard(temporary)


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


_ACL = "system.posix_acl_access"


def _take_over_attributes(old: Path, descriptor: int) -> None:
    """Give a new file the extended attributes and access list (ACL) of one that may be there.

    Best effort. Comes before the mode, which may forbid it, and which the ACL's mask follows. What
    the system's security modules set (``security.``) is theirs to set again.
    """
    if not hasattr(os, "listxattr"):
        return
    with contextlib.suppress(OSError):
        names = os.listxattr(old)
        if _ACL not in names:
            # What a new file gets from the default ACL of its folder, the old one never granted.
            with contextlib.suppress(OSError):
                os.removexattr(descriptor, _ACL)
        for name in names:
            if not name.startswith("security."):
                with contextlib.suppress(OSError):
                    os.setxattr(descriptor, name, os.getxattr(old, name))


def _dress(descriptor: int, dress: _Dress) -> list[str]:
    """Set owner, permissions and times; which of the last two the file system does not keep."""
    refused = []
    if dress.owner is not None and hasattr(os, "fchown"):
        now = os.fstat(descriptor)
        if dress.owner != (now.st_uid, now.st_gid):
            # Only root may give files away; the photo is written all the same.
            with contextlib.suppress(OSError):
                os.fchown(descriptor, *dress.owner)
    if dress.mode is not None and hasattr(os, "fchmod") and _mode(descriptor) != dress.mode:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, dress.mode)
        # Some refuse, some pass over it.
        if _mode(descriptor) != dress.mode:
            refused.append("keep permissions")
    if os.utime in os.supports_fd:
        refused += _set_times(descriptor, dress.times)
    return refused


def _mode(descriptor: int) -> int:
    return stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777


def _set_times(file: int | Path, times: os.stat_result | None) -> list[str]:
    if times is not None:
        try:
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        except OSError:
            return ["keep times"]
    return []


def _discard(temporary: Path) -> None:
    for _ in range(2):
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
            return


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk; best effort, since the file itself is there already."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _printable_character(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    category = unicodedata.category(character)
    if category in {"Zl", "Zp"} or (category[0] == "C" and code not in {0x200C, 0x200D}):
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character
