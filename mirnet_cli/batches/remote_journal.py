"""The journal of an output folder in an object store, where nothing can be appended to.

Lines are written to a file on this machine, as for any folder, and so is the lock: a killed run
loses nothing that it wrote down. The file is copied to the store now and then and at the end, and
what other machines left there is added to it before a run.
"""

import contextlib
import hashlib
import time
from pathlib import Path

from mirnet_cli import objects, settings
from mirnet_cli.errors import MirnetError, OutputError
from mirnet_cli.files import lock, make_folder, reason, sync
from mirnet_cli.places import Place, Remote

_OFTEN = 30.0
"""Seconds between two copies, at least."""
_SHARE = 20
"""Copying takes at most one part in so many of a run's time."""


class RemoteJournal:
    """Journals of one prefix, here and in its store.

    Args:
        into: the prefix.

    Attributes:
        folder: where the journals are on this machine.
        changed: whether there are lines that the store does not have.
    """

    def __init__(self, into: Remote) -> None:
        self._into = into
        name = hashlib.sha256(into.url.encode()).hexdigest()[:16]
        self.folder = settings.cache_folder() / "journals" / name
        self.changed = False
        self._objects: dict[str, Remote] = {}
        self._next = time.monotonic() + _OFTEN

    def fetch(self, start: str) -> None:
        """List the prefix, and bring its journals here.

        Args:
            start: how the names of journals begin.

        Raises:
            TransferError: the store cannot be read.
            OutputError: nothing can be written on this machine.
        """
        self._objects = {each.url: each for each in objects.listing(self._into)}
        for each in self._objects.values():
            if each.parent == self._into and each.name.startswith(start):
                try:
                    self._merge(each)
                except OSError as error:
                    what = f"the journal cannot be kept here: {reason(error)}"
                    remedy = "set MIRNET_CACHE to a folder that can be written"
                    raise OutputError(what, remedy, subject=self.folder) from error

    def look(self, target: Place) -> Remote | None:
        """An object as the last listing showed it; None where it was not there."""
        return self._objects.get(target.url) if isinstance(target, Remote) else None

    def copy(self, journal: Path, *, now: bool = False) -> None:
        """Copy a journal to the store, if it is time for that.

        Args:
            journal: the file here.
            now: do not wait; failures are raised, and not left to the next time.

        Raises:
            OutputError: it cannot be written there.
        """
        begun = time.monotonic()
        if not self.changed or (not now and begun < self._next):
            return
        target = self._into / journal.name
        with contextlib.nullcontext() if now else contextlib.suppress(MirnetError):
            kind = "application/x-ndjson"
            objects.put(target, journal.read_bytes(), overwrite=True, kind=kind)
            self.changed = False
            self._remember(target)
        ended = time.monotonic()
        self._next = ended + max(_OFTEN, _SHARE * (ended - begun))

    def _merge(self, journal: Remote) -> None:
        """Add the lines of a journal in the store that the one here does not have."""
        here = self.folder / journal.name
        seen = self._seen(journal.name)
        with contextlib.suppress(OSError):
            if journal.version and here.exists() and seen.read_text() == journal.version.tag:
                return
        data = objects.read(journal)
        make_folder(self.folder)
        with here.open("ab+") as file:
            try:
                lock(file.fileno())
            except BlockingIOError:
                # A run on this machine writes it, and knows best.
                return
            file.seek(0)
            old = file.read()
            known = set(old.splitlines())
            new = [line for line in data.splitlines() if line not in known]
            if not old.endswith(b"\n") and old:
                file.write(b"\n")
            file.write(b"".join(line + b"\n" for line in new))
            file.flush()
            sync(file.fileno())
        if journal.version:
            seen.write_text(journal.version.tag)

    def _remember(self, journal: Remote) -> None:
        """Know what was written to the store, so as not to fetch it again."""
        with contextlib.suppress(MirnetError, OSError):
            version = objects.version(journal)
            if version is not None:
                self._seen(journal.name).write_text(version.tag)

    def _seen(self, name: str) -> Path:
        return self.folder / f"{name}.seen"
