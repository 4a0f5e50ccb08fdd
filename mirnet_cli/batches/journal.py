"""What a batch has done: a file of JSON lines beside the results.

Lines are appended and never changed, so that a run that is killed loses at most the line it was
writing. Each run of a shard has a file of its own (appending from several machines is not atomic
on network file systems); all of them are read, in the order of time. Lines that cannot be read are
passed over.

A run that writes holds a lock on its file, which the system gives back when the process ends,
however it ends. Two runs that could do the same photos therefore never go on side by side: two
without shards, the same shard twice, or shards of different numbers.

Of results in an object store the files are kept here (:mod:`mirnet_cli.batches.remote_journal`).

A line is one event:

``{"event": "run", "settings": …, "overwrite": …, "pid": …, "host": …}`` and ``{"event": "end"}``
    around a run that came to its end.
``{"event": "started" | "done" | "failed", "key": …, "settings": …, "input": …, …}``
    about one photo; the last one counts.
"""

import contextlib
import errno
import hashlib
import heapq
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mirnet_cli import stores
from mirnet_cli.batches.plan import Item
from mirnet_cli.batches.remote_journal import RemoteJournal
from mirnet_cli.errors import DiskFullError, MirnetError, OutputError
from mirnet_cli.files import is_folder, lock, make_folder, not_written, reason, sync
from mirnet_cli.places import Fingerprint, Place, below
from mirnet_cli.restore.options import PhotoOptions

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer

NAME = ".mirnet-journal.jsonl"
_START = ".mirnet-journal"
_PATTERN = f"{_START}*.jsonl"
_SHARD = re.compile(r"\.mirnet-journal\.\d+-of-(\d+)\.jsonl")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def digest(restorer: "Restorer", options: PhotoOptions) -> str:
    """Identify everything that makes a result what it is.

    What only decides where and how fast it is computed does not count: the device, the
    runtime, the precision and the size of tiles change a result within the stated tolerance.
    """
    what = restorer.fingerprint() | options.fingerprint()
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """The last that the journal says of one photo."""

    event: str
    settings: str
    input: Fingerprint | None
    output: str | None
    written: Fingerprint | None
    existed: bool
    error: str | None


class Choice(Enum):
    """What is to be done about one photo."""

    RUN = "run"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True)
class Decision:
    """A choice, and why where that is worth a word."""

    choice: Choice
    reason: str = ""


_RUN = Decision(Choice.RUN)


class Journal:
    """The journal of one output folder.

    Args:
        into: the folder, made when the first line is written, or a prefix in a store.
        shard: (i, n) of the run that writes.
    """

    def __init__(self, into: Place, shard: tuple[int, int] | None = None) -> None:
        self.into = into
        self._remote: RemoteJournal | None = None
        if isinstance(into, Path):
            self._home = into
        else:
            self._remote = RemoteJournal(into)
            self._home = self._remote.folder
        name = NAME if shard is None else f".mirnet-journal.{shard[0]}-of-{shard[1]}.jsonl"
        self.path = self._home / name
        self._count = None if shard is None else shard[1]
        self._descriptor: int | None = None
        self._load()

    @property
    def outputs(self) -> frozenset[str]:
        """Keys of all files that the journal says were written, or begun, in the folder."""
        return frozenset(self._outputs)

    def _load(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._outputs: set[str] = set()
        self._fresh: set[str] = set()
        self._unfinished: str | None = None
        if self._remote is not None:
            self._remote.fetch(_START)
        self._read = self._state()
        for _, path, line in heapq.merge(*map(_timed, self._files()), key=itemgetter(0)):
            self._take(line, own=path == self.path)

    def _files(self) -> list[Path]:
        return sorted(self._home.glob(_PATTERN)) if is_folder(self._home) else []

    def _state(self) -> dict[Path, int]:
        """How much has been written so far."""
        found = {}
        for path in self._files():
            with contextlib.suppress(OSError):
                found[path] = path.stat().st_size
        return found

    def _take(self, line: Mapping[str, Any], *, own: bool) -> None:
        """Learn from a line."""
        event, key = line.get("event"), line.get("key")
        if event == "run" and own:
            self._unfinished = str(line.get("settings")) if line.get("overwrite") else None
            self._fresh = set()
        elif event == "end" and own:
            self._unfinished = None
        elif isinstance(key, str) and event in ("started", "done", "failed"):
            entry = _entry(str(event), line)
            self._entries[key] = entry
            if own:
                self._fresh.add(key)
            # A failed second attempt does not undo what the first one wrote.
            if entry.output:
                self._outputs.add(entry.output)

    def refresh(self) -> None:
        """Read it again if others have written since; of this run's own lines it knows."""
        now = self._state()
        if self._descriptor is not None:
            now.pop(self.path, None)
        if any(size != self._read.get(path) for path, size in now.items()):
            self._load()

    def lock(self) -> bool:
        """Take the folder for this run, until :meth:`close`.

        Returns:
            Whether others have written since it was read; it is read again then, and what was
            decided has to be decided anew.

        Raises:
            OutputError: another run writes there, or the journal cannot be written.
        """
        if self._descriptor is not None:
            return False
        before = self._read
        try:
            self._descriptor = self._open()
            self._take_lock(self.path, self._descriptor)
            for path in self._files():
                if path != self.path and self._excludes(path):
                    self._check_free(path)
        except OSError as error:
            self.close()
            raise self._unwritable(error) from error
        except BaseException:
            self.close()
            raise
        now = self._state()
        if now == before or {path: size for path, size in now.items() if size} == before:
            return False
        self._load()
        return True

    def _excludes(self, other: Path) -> bool:
        """Whether a run with that journal may do the same photos."""
        found = _SHARD.fullmatch(other.name)
        return self._count is None or found is None or int(found[1]) != self._count

    def _check_free(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        except (PermissionError, FileNotFoundError):
            return
        try:
            self._take_lock(path, descriptor)
        finally:
            os.close(descriptor)

    def _take_lock(self, path: Path, descriptor: int) -> None:
        try:
            lock(descriptor)
        except BlockingIOError as error:
            raise OutputError(
                f"another batch is writing here{_whose(path)}",
                "wait until it ends, name another folder with -o, or split the work with --shard",
                subject=self.into,
            ) from error

    def decide(
        self, item: Item, settings: str, *, overwrite: bool = False, retry_failed: bool = False
    ) -> Decision:
        """What to do about a photo, by content and settings, not by order.

        Args:
            item: the photo.
            settings: digest of everything that makes the result what it is.
            overwrite: replace results; those that an unfinished run with ``overwrite`` has
                replaced already count as done.
            retry_failed: try again what failed before.
        """
        entry = self._entries.get(item.key)
        there = self._look(item.target)
        exists = there is not None
        fresh = self._unfinished == settings and item.key in self._fresh
        again = overwrite and not fresh
        known = (
            entry is not None
            and entry.settings == settings
            and entry.input is not None
            and _matches(item.source, entry.input)
            # What stands under another name (--suffix) was not begun by that run.
            and (entry.event != "started" or entry.output == below(item.target, self.into))
        )
        if entry is None or not known:
            return self._unknown(item, entry, exists=exists, overwrite=overwrite)
        if again:
            return _RUN
        if entry.event == "failed":
            if retry_failed:
                return _RUN
            return Decision(
                Choice.FAIL, f"failed before: {entry.error}; --retry-failed tries again"
            )
        if there is None:
            return _RUN
        if entry.event == "started":
            # Results appear under their name whole or not at all: this one was finished.
            return _RUN if entry.existed else Decision(Choice.SKIP, "done before")
        if entry.written is not None and not _matches(there, entry.written):
            if overwrite:
                return _RUN
            what = f"{item.target.name} was changed since it was written, and is left as it is"
            return Decision(Choice.SKIP, what)
        return Decision(Choice.SKIP, "done before")

    def _look(self, target: Place) -> Place | None:
        """An output that is there; of an object with its version when the journal was read."""
        if self._remote is not None:
            return self._remote.look(target)
        return target if stores.exists(target) else None

    @staticmethod
    def _unknown(item: Item, entry: Entry | None, *, exists: bool, overwrite: bool) -> Decision:
        if not exists or overwrite:
            return _RUN
        if entry is None or entry.event == "failed":
            what = f"{item.target.name} exists already; --overwrite replaces it"
            return Decision(Choice.SKIP, what)
        return Decision(
            Choice.FAIL,
            f"{item.target.name} exists, made from another version of the photo or with other "
            "options; use --overwrite or another -o",
        )

    def begin(self, settings: str, *, overwrite: bool) -> None:
        """Note that a run begins (or goes on after it was stopped)."""
        if not (overwrite and self._unfinished == settings):
            who = {"pid": os.getpid(), "host": platform.node()}
            self._append({"event": "run", "settings": settings, "overwrite": overwrite, **who})

    def end(self) -> None:
        """Note that the run came to its end."""
        self._append({"event": "end"})
        if self._remote is not None:
            self._remote.copy(self.path, now=True)

    def started(self, item: Item, settings: str) -> Fingerprint | None:
        """Note that work on a photo begins; returns what it is, None where it cannot be read."""
        fingerprint = _fingerprint(item.source)
        if fingerprint is not None:
            existed = self._look(item.target) is not None
            self._note("started", item, settings, fingerprint, existed=existed)
        return fingerprint

    def done(self, item: Item, settings: str, fingerprint: Fingerprint | None) -> None:
        """Note that the result of a photo is there."""
        written = _fingerprint(item.target)
        self._note("done", item, settings, fingerprint, written=written)

    def failed(
        self, item: Item, settings: str, fingerprint: Fingerprint | None, error: str
    ) -> None:
        """Note that a photo failed for a reason of its own."""
        if fingerprint is not None:
            self._note("failed", item, settings, fingerprint, error=error)

    def _note(
        self,
        event: str,
        item: Item,
        settings: str,
        fingerprint: Fingerprint | None,
        *,
        written: Fingerprint | None = None,
        **more: Any,
    ) -> None:
        line: dict[str, Any] = {"event": event, "key": item.key, "settings": settings}
        line["output"] = below(item.target, self.into)
        line["input"] = None if fingerprint is None else _as_line(fingerprint)
        if written is not None:
            line["written"] = _as_line(written)
        self._append(line | more)
        if self._remote is not None and event != "started":
            self._remote.copy(self.path)

    def _append(self, line: Mapping[str, Any]) -> None:
        """Add one line in one write, and see it to the disk."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        stamped = {**line, "time": now.replace("+00:00", "Z")}
        data = json.dumps(stamped).encode("ascii") + b"\n"
        self.lock()
        assert self._descriptor is not None
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            sync(self._descriptor)
        except OSError as error:
            raise self._unwritable(error) from error
        self._take(line, own=True)
        if self._remote is not None:
            self._remote.changed = True

    def _unwritable(self, error: OSError) -> OutputError:
        if error.errno in _FULL:
            return DiskFullError(
                "no space left for the journal", "free some space and run again", subject=self.path
            )
        return not_written(self.path, error, "check the folder's permissions")

    def _open(self) -> int:
        make_folder(self._home)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, flags | getattr(os, "O_CLOEXEC", 0), 0o666)
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                # A killed run left half a line; ours must not become part of it.
                os.write(descriptor, b"\n")
        return descriptor

    def close(self) -> None:
        """Close the file, which gives the folder free."""
        if self._descriptor is not None:
            if self._remote is not None:
                with contextlib.suppress(MirnetError):
                    self._remote.copy(self.path, now=True)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _whose(path: Path) -> str:
    """Which process writes a journal, where it says so."""
    try:
        runs = [line for line in _lines(path) if line.get("event") == "run"]
    except OutputError:
        return ""
    if not runs or "pid" not in runs[-1]:
        return ""
    last = runs[-1]
    return f" (process {last['pid']} on {last.get('host')}, since {last.get('time')})"


def _fingerprint(path: Place) -> Fingerprint | None:
    try:
        return stores.of(path).fingerprint(path)
    except (OSError, MirnetError):
        return None


def _matches(path: Place, known: Fingerprint) -> bool:
    try:
        return stores.of(path).matches(path, known)
    except (OSError, MirnetError):
        return False


def _as_line(fingerprint: Fingerprint) -> dict[str, Any]:
    return {name: value for name, value in asdict(fingerprint).items() if name != "tag" or value}


def _timed(path: Path) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    """The lines of a journal with their times, which never go back."""
    latest = ""
    for line in _lines(path):
        latest = max(latest, str(line.get("time", "")))
        yield latest, path, line


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open("rb") as stream:
            for raw in stream:
                try:
                    line = json.loads(raw)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    yield line
    except OSError as error:
        raise OutputError(
            f"cannot be read ({reason(error)})",
            "check its permissions, or remove it",
            subject=path,
        ) from error


def _entry(event: str, line: Mapping[str, Any]) -> Entry:
    output, error = line.get("output"), line.get("error")
    return Entry(
        event=event,
        settings=str(line.get("settings")),
        input=_read_fingerprint(line.get("input")),
        output=output if isinstance(output, str) else None,
        written=_read_fingerprint(line.get("written")),
        existed=bool(line.get("existed")),
        error=error if isinstance(error, str) else None,
    )


def _read_fingerprint(value: object) -> Fingerprint | None:
    if not isinstance(value, dict):
        return None
    size, mtime, digest = value.get("size"), value.get("mtime_ns"), value.get("sha256")
    if isinstance(size, int) and isinstance(mtime, int) and isinstance(digest, str):
        return Fingerprint(size, mtime, digest, str(value.get("tag") or ""))
    return None
