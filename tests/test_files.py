"""Writing is all or nothing, whatever fails and whenever; names print safely."""

import errno
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnet_cli import files
from mirnet_cli.errors import DiskFullError, OutputError
from mirnet_cli.files import printable, remove_leftovers, same_file, write_atomically


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


OLD, NEW = b"old", b"new content"
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


@pytest.fixture(params=["unnamed", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of writing: through a file without a name, and where there is no such thing."""
    if request.param == "named":
        monkeypatch.setattr(files, "_open_unnamed", lambda folder: None)
    return str(request.param)


def test_a_new_file_is_there_with_its_content(tmp_path: Path, way: str) -> None:
    path = tmp_path / "x.jpg"
    write_atomically(path, [b"new ", b"", b"content"], overwrite=False)
    assert path.read_bytes() == NEW
    assert listed(tmp_path) == ["x.jpg"]


def test_an_existing_file_is_refused_or_replaced(tmp_path: Path, way: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(OLD)
    with pytest.raises(OutputError, match=r"exists already; use --overwrite") as caught:
        write_atomically(path, NEW, overwrite=False)
    assert caught.value.subject == str(path)
    assert path.read_bytes() == OLD
    write_atomically(path, NEW, overwrite=True)
    assert path.read_bytes() == NEW
    assert listed(tmp_path) == ["x.jpg"]


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, way: str) -> None:
    path = tmp_path / "x.jpg"

    def pieces() -> Iterator[bytes]:
        yield NEW
        path.write_bytes(OLD)

    with pytest.raises(OutputError, match="exists already"):
        write_atomically(path, pieces(), overwrite=False)
    assert path.read_bytes() == OLD
    assert listed(tmp_path) == ["x.jpg"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, RuntimeError])
@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_left_when_the_data_fails(
    tmp_path: Path, way: str, error: type[BaseException], overwrite: bool
) -> None:
    path = tmp_path / "x.jpg"
    if overwrite:
        path.write_bytes(OLD)

    def pieces() -> Iterator[bytes]:
        yield NEW
        raise error

    with pytest.raises(error):
        write_atomically(path, pieces(), overwrite=overwrite)
    assert listed(tmp_path) == (["x.jpg"] if overwrite else [])
    assert not overwrite or path.read_bytes() == OLD


CALLS = ("open", "write", "fsync", "link", "replace", "rename", "unlink", "close", "fstat")
CALLS += ("fchmod", "fchown", "utime", "stat", "lstat")


@posix
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EINTR])
@pytest.mark.parametrize("exists", [False, True])
def test_every_call_may_fail(
    tmp_path: Path, way: str, code: int, exists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail the n-th call into the system for n = 1, 2, 3 ... until the run succeeds."""
    source = tmp_path / "source.jpg"
    source.write_bytes(OLD)
    status = source.stat()
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "x.jpg"
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS}
    for failing in range(1, 200):
        path.unlink(missing_ok=True)
        if exists:
            path.write_bytes(OLD)
        count = 0

        def call(name: str, *arguments: Any, wrong: int = failing, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == wrong:
                if name == "close":
                    real[name](*arguments)  # the descriptor is gone even then (close(2))
                raise OSError(code, os.strerror(code))
            return real[name](*arguments, **options)

        with monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, lambda *a, _name=name, **o: call(_name, *a, **o))
            try:
                write_atomically(path, [NEW], overwrite=exists, times_from=status, mode_from=status)
                failed = None
            except OutputError as error:
                failed = error
        assert listed(folder) in ([], ["x.jpg"])
        if failed is None:
            assert path.read_bytes() == NEW
        else:
            assert (path.read_bytes() if path.exists() else None) == (OLD if exists else None)
            full = code in (errno.ENOSPC, errno.EDQUOT)
            assert isinstance(failed, DiskFullError) == full
        if count < failing:
            return
    pytest.fail("never came to an end")


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    """Let a call into the system fail."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, fail)
    if name == "utime":
        monkeypatch.setattr(os, "supports_fd", {*os.supports_fd, fail})


@posix
@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOENT])
def test_a_link_that_cannot_be_made_is_a_rename(
    tmp_path: Path, way: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "link", code)
    path = tmp_path / "x.jpg"
    path.write_bytes(OLD)
    path.chmod(0o640)
    data = os.urandom(3 << 20)
    with pytest.raises(OutputError, match="exists already"):
        write_atomically(path, data, overwrite=False)
    assert path.read_bytes() == OLD
    assert write_atomically(path, data, overwrite=True) == ()
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.unlink()
    write_atomically(path, [NEW[:3], NEW[3:]], overwrite=False)
    assert path.read_bytes() == NEW
    assert listed(tmp_path) == ["x.jpg"]


@posix
@pytest.mark.parametrize(
    ("call", "code", "what"),
    [
        ("fchmod", errno.EPERM, "permissions"),
        ("fchmod", errno.EOPNOTSUPP, "permissions"),
        ("fchmod", 0, "permissions"),
        ("utime", errno.EPERM, "times"),
        ("utime", errno.EACCES, "times"),
        ("fsync", errno.EINVAL, "write at once"),
        ("fsync", errno.ENOSYS, "write at once"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_what_a_disk_does_not_know_stops_nothing(
    tmp_path: Path,
    way: str,
    call: str,
    code: int,
    what: str,
    exists: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, source = tmp_path / "x.jpg", tmp_path / "source.jpg"
    source.write_bytes(OLD)
    source.chmod(0o600)
    if exists:
        path.write_bytes(OLD)
    status = source.stat()
    with monkeypatch.context() as patch:
        if code:
            refuse(patch, call, code)
        else:
            patch.setattr(os, call, lambda *_: None)
        said = write_atomically(path, NEW, overwrite=exists, mode_from=status, times_from=status)
    assert path.read_bytes() == NEW
    assert len(said) == 1
    assert said[0].startswith(files.REFUSED)
    assert what in said[0]
    assert listed(tmp_path) == ["source.jpg", "x.jpg"]


@posix
def test_what_need_not_be_set_is_not_missed(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.jpg"
    write_atomically(source, OLD, overwrite=False)
    refuse(monkeypatch, "fchmod", errno.EPERM)
    status = source.stat()
    assert write_atomically(tmp_path / "x.jpg", NEW, overwrite=False, mode_from=status) == ()


@posix
def test_a_disk_that_fails_is_no_disk_without_syncing(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(OutputError):
        write_atomically(tmp_path / "x.jpg", NEW, overwrite=False)
    assert listed(tmp_path) == []


@posix
def test_a_disk_whose_locks_are_refused(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def fail(*arguments: Any) -> None:
        raise OSError(errno.EACCES, "no locks here")

    monkeypatch.setattr(fcntl, "flock", fail)
    write_atomically(tmp_path / "x.jpg", NEW, overwrite=False)
    files.write_replaceable(tmp_path / "y", NEW)
    assert listed(tmp_path) == ["x.jpg", "y"]


@pytest.fixture
def everyones(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk where permissions cannot be changed."""
    if shutil.which("bindfs") is None:
        pytest.skip("there is no bindfs")
    (tmp_path / "behind").mkdir()
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ("--chmod-deny", "--chown-deny", "--chgrp-deny", "--xattr-none", "--perms=0755")
    mounted = subprocess.run(["bindfs", *options, tmp_path / "behind", folder], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted")
    yield folder
    subprocess.run(["fusermount", "-u", folder], check=True)


@posix
def test_a_disk_mounted_for_everyone(everyones: Path) -> None:
    source = everyones.parent / "source.jpg"
    source.write_bytes(OLD)
    source.chmod(0o600)
    os.utime(source, ns=(10**18, 10**18))
    status, path = source.stat(), everyones / "x.jpg"
    for overwrite in (False, True):
        said = write_atomically(path, NEW, overwrite=overwrite, mode_from=status, times_from=status)
        assert said == (f"{files.REFUSED[0]}keep permissions; the file itself is whole",)
        assert path.read_bytes() == NEW
        assert path.stat().st_mtime_ns == 10**18
        assert listed(everyones) == ["x.jpg"]


@posix
def test_a_file_system_without_unnamed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1):
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "x.jpg", NEW, overwrite=False)
    assert listed(tmp_path) == ["x.jpg"]


@posix
def test_a_short_write_goes_on(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    write_atomically(tmp_path / "x.jpg", NEW, overwrite=False)
    assert (tmp_path / "x.jpg").read_bytes() == NEW


@posix
def test_permissions_and_times(tmp_path: Path, way: str) -> None:
    source, path = tmp_path / "source.jpg", tmp_path / "x.jpg"
    source.write_bytes(OLD)
    source.chmod(0o640)
    os.utime(source, ns=(1_000_000_000_123_456_789, 1_100_000_000_987_654_321))
    status = source.stat()
    write_atomically(path, NEW, overwrite=False, times_from=status, mode_from=status)
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime_ns == 1_100_000_000_987_654_321

    path.chmod(0o604)
    write_atomically(path, NEW, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604, "the replaced file's are kept"
    assert path.stat().st_mtime_ns != 1_100_000_000_987_654_321

    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "y.jpg", NEW, overwrite=False)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "y.jpg").stat().st_mode) == 0o640


def attributes(path: Path, **values: bytes) -> None:
    try:
        for name, value in values.items():
            os.setxattr(path, name.replace("__", "."), value)
    except (AttributeError, OSError) as error:
        pytest.skip(f"no such extended attributes here: {error}")


@posix
def test_extended_attributes_of_a_replaced_file(tmp_path: Path, way: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(OLD)
    attributes(path, user__xdg__tags=b"sea,summer", user__empty=b"")
    path.chmod(0o444)
    write_atomically(path, NEW, overwrite=True)
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    found = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    found = {name: value for name, value in found.items() if name.startswith("user.")}
    assert found == {"user.xdg.tags": b"sea,summer", "user.empty": b""}


@posix
def test_access_list_of_a_replaced_file(tmp_path: Path, way: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(OLD)
    # The owner rw, user 4321 r, the group r, at most r, others nothing (acl(5), posix_acl_xattr.h).
    entries = [(1, 6, 2**32 - 1), (2, 4, 4321), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1)]
    entries += [(32, 0, 2**32 - 1)]
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    attributes(path, system__posix_acl_access=listed)
    write_atomically(path, NEW, overwrite=True)
    assert os.getxattr(path, "system.posix_acl_access") == listed
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
def test_a_replaced_file_gets_no_access_list_of_its_folder(tmp_path: Path, way: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(OLD)
    path.chmod(0o640)
    nobody = 2**32 - 1
    entries = [(1, 7, nobody), (2, 6, 4321), (4, 7, nobody), (16, 7, nobody), (32, 0, nobody)]
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    attributes(tmp_path, system__posix_acl_default=listed)
    write_atomically(path, NEW, overwrite=True)
    assert "system.posix_acl_access" not in os.listxattr(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
def test_an_attribute_that_is_refused_stops_nothing(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(OLD)
    attributes(path, user__a=b"1", user__b=b"2")
    real = os.setxattr

    def refuse(file: int, name: str, value: bytes) -> None:
        if name == "user.a":
            raise OSError(errno.ENOTSUP, "not here")
        real(file, name, value)

    monkeypatch.setattr(os, "setxattr", refuse)
    write_atomically(path, NEW, overwrite=True)
    assert path.read_bytes() == NEW
    assert {"user.a", "user.b"} & set(os.listxattr(path)) == {"user.b"}


@posix
def test_a_link_stays_a_link(tmp_path: Path, way: str) -> None:
    real, link = tmp_path / "real.jpg", tmp_path / "link.jpg"
    real.write_bytes(OLD)
    link.symlink_to(real)
    with pytest.raises(OutputError, match="exists already"):
        write_atomically(link, NEW, overwrite=False)
    write_atomically(link, NEW, overwrite=True)
    assert link.is_symlink()
    assert real.read_bytes() == NEW
    dangling = tmp_path / "dangling.jpg"
    dangling.symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(OutputError, match="exists already"):
        write_atomically(dangling, NEW, overwrite=False)


@posix
def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    fifo, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    for path, what in ((tmp_path, "a folder"), (fifo, "not a regular"), (loop, "not a regular")):
        with pytest.raises(OutputError, match=what):
            write_atomically(path, NEW, overwrite=True)
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    for path in (
        tmp_path / "missing" / "x.jpg",
        tmp_path / "file" / "x.jpg",
        tmp_path / ("x" * 300),
        tmp_path / "a\0b",
    ):
        with pytest.raises(OutputError):
            write_atomically(path, NEW, overwrite=False)
    assert listed(tmp_path) == ["file"]


@posix
def test_names_of_any_bytes_and_of_full_length(tmp_path: Path, way: str) -> None:
    for name in (b"\xff\xfe.jpg", b"a\nb.jpg", b"x" * 255, b"-rf"):
        path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))  # noqa: PTH118
        write_atomically(path, NEW, overwrite=False)
        assert path.read_bytes() == NEW


KILLED = """
import sys, time
from pathlib import Path
from mirnet_cli import files
if sys.argv[2] == "named":
    files._open_unnamed = lambda folder: None
def pieces():
    yield b"half"
    print("writing", flush=True)
    time.sleep(60)
files.write_atomically(Path(sys.argv[1]), pieces(), overwrite=False)
"""


@posix
@pytest.mark.parametrize("kind", ["unnamed", "named"])
def test_a_killed_process_leaves_nothing_that_counts(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.jpg"
    command = [sys.executable, "-c", KILLED, str(path), kind]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        assert remove_leftovers(tmp_path) == 0, "it is still being written"
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = listed(tmp_path)
    if kind == "unnamed" and sys.platform == "linux":
        assert left == []
    assert not path.exists()
    assert all(name.startswith(".") for name in left)
    deadline = time.monotonic() + 10
    while listed(tmp_path) and time.monotonic() < deadline:
        remove_leftovers(tmp_path)
    assert listed(tmp_path) == []


@posix
def test_what_is_about_to_get_its_name_is_no_leftover(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(OLD)
    real = Path.replace
    seen: list[int] = []

    def replace(temporary: Path, target: Path) -> Path:
        seen.append(remove_leftovers(tmp_path))
        return real(temporary, target)

    monkeypatch.setattr(Path, "replace", replace)
    write_atomically(path, NEW, overwrite=True)
    assert seen == [0]
    assert path.read_bytes() == NEW


def test_what_was_just_opened_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f".x{files.PART_SUFFIX}").touch()
    assert remove_leftovers(tmp_path) == 0
    monkeypatch.setattr(files, "_MOMENT", 0.0)
    assert remove_leftovers(tmp_path) == 1


def test_leftovers_are_nothing_else(tmp_path: Path) -> None:
    for name in ("x.mirnet-part", ".hidden", "photo.jpg"):
        (tmp_path / name).write_bytes(OLD)
    assert remove_leftovers(tmp_path) == 0
    assert len(listed(tmp_path)) == 3


@posix
def test_same_file(tmp_path: Path) -> None:
    first, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    first.write_bytes(OLD)
    other.write_bytes(OLD)
    hard, soft, loop = tmp_path / "hard.jpg", tmp_path / "soft.jpg", tmp_path / "loop"
    os.link(first, hard)
    soft.symlink_to("a.jpg")
    loop.symlink_to(loop)
    assert same_file(first, hard)
    assert same_file(first, soft)
    assert same_file(first, tmp_path / "." / "a.jpg")
    assert not same_file(first, other)
    assert same_file(tmp_path / "new.jpg", tmp_path / "." / "new.jpg")
    assert not same_file(tmp_path / "new.jpg", first)
    assert not same_file(loop, first)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Foto 1.jpg", "Foto 1.jpg"),
        ("süß 写真 😀👨\u200d👩.jpg", "süß 写真 😀👨\u200d👩.jpg"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("gpj.\u202etxt", r"gpj.\u202etxt"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        (os.fsdecode(b"\xff.jpg"), r"\xff.jpg"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_could_move_a_terminal_is_escaped(text: str, wanted: str) -> None:
    assert printable(text) == wanted


@given(st.text(alphabet=st.characters()))
def test_printable_text_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert shown.splitlines() in ([shown], [])
    assert printable(shown) == shown


def test_a_home_folder_that_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert files.expanded("~/a") == tmp_path / "a"
    assert files.expanded("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")


DEEP = "a/" * 1500
"""Folders in folders, more than Python has calls within calls."""


def test_a_deep_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.make_folder(Path(DEEP))
    files.make_folder(Path(DEEP))
    assert Path(DEEP).is_dir()
    # What clears up after tests calls itself for each folder.
    os.removedirs(DEEP)
    files.make_folder(Path())
    (tmp_path / "file").touch()
    for below in ("file", "file/a", "file/a/b", "x\0/a"):
        with pytest.raises((OSError, ValueError)):
            files.make_folder(tmp_path / below)
    with pytest.raises(OSError, match="too long"):
        files.make_folder(Path("a/" * 20_000))


def test_the_nearest_folder(tmp_path: Path) -> None:
    assert files.nearest_folder(tmp_path) == tmp_path
    assert files.nearest_folder(tmp_path / "a/b/c") == tmp_path
    assert files.nearest_folder(tmp_path / DEEP) == tmp_path
    assert files.nearest_folder(Path("a/" * 60_000)) is None


def test_absurdly_long_paths_are_compared_by_name() -> None:
    assert same_file(Path("a/" * 60_000), Path("a/" * 60_000))
    assert not same_file(Path("a/" * 60_000), Path("a/" * 60_001))


_ABANDON = """
import sys, threading
from pathlib import Path
from mirnet_cli import files

files._open_unnamed = lambda folder: None
begun = threading.Event()

def pieces():
    yield b"half"
    begun.set()
    threading.Event().wait()

thread = threading.Thread(
    target=files._write, args=(Path("a.jpg"), pieces(), False, files._Dress(None, None, None))
)
thread.start()
begun.wait()
assert list(Path().iterdir())
files.abandon(7)
"""


def test_an_abandoned_process_leaves_no_half_file(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _ABANDON], cwd=tmp_path, check=False, timeout=60)
    assert ran.returncode == 7
    assert list(tmp_path.iterdir()) == []
