"""Who keeps photos: folders of this machine, or object stores, behind one small protocol.

:func:`of` says who keeps a place; what differs between files and objects is in
:mod:`mirnet_cli.folders` and :mod:`mirnet_cli.objects`, and nowhere else. A further kind of store
is a further class.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from mirnet_cli.places import Entry, Fingerprint, Place


class Data(Protocol):
    """Random access to bytes: ``bytes`` itself, or what :meth:`Store.opened` gives."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> bytes: ...


class Store(Protocol):
    """What keeps photos. Each method is told the place, whose kind the store knows.

    Attributes:
        far: asking it takes time, so that a name is believed where it says enough.
        keeps_times: what is written may have the time of the photo that it is made from.
    """

    far: bool
    keeps_times: bool

    def check(self, place: Any, *, writing: bool = False) -> None:
        """Refuse a place that cannot be used here, before any work (UsageError); ask nobody."""

    def check_source(self, place: Any) -> None:
        """Refuse what is no file to be read (InputError), without opening it."""

    def check_target(self, place: Any) -> None:
        """Refuse what no file can be written to (UsageError, OutputError)."""

    def exists(self, place: Any) -> bool:
        """Whether something has this name, if only a link that leads nowhere."""

    def is_folder(self, place: Any) -> bool:
        """Whether a folder, or objects below this prefix, are there."""

    def means_folder(self, place: Any, text: str) -> bool:
        """Whether an output that a user wrote as ``text`` is a folder."""

    def same(self, place: Any, other: Place) -> bool:
        """Whether two names are those of one file."""

    def resolved(self, place: Any) -> Place:
        """Where it leads through all links."""

    def listed(self, folder: Any, path: Path) -> Place:
        """The file that a list means: from the current folder, or else from ``folder``."""

    def listing(self, folder: Any, into: Place, *, recursive: bool) -> Iterator[Entry]:
        """The files in a folder, but those that are hidden or below ``into``."""

    def opened(self, place: Any) -> AbstractContextManager[Data]:
        """Give access to a file's bytes (InputError)."""

    def size(self, place: Any) -> int:
        """Bytes; 0 where that cannot be told."""

    def fingerprint(self, place: Any) -> Fingerprint:
        """Which content it has; raises OSError or MirnetError."""

    def matches(self, place: Any, known: Fingerprint) -> bool:
        """Whether it still has this content; raises OSError or MirnetError."""

    def write(
        self,
        place: Any,
        data: bytes,
        *,
        overwrite: bool,
        kind: str,
        status: os.stat_result | None,
        preserve: bool,
    ) -> tuple[str, ...]:
        """Write a file so that at every moment the old one or the whole new one is there.

        Args:
            place: its place.
            data: its content.
            overwrite: whether an existing one may be replaced.
            kind: its media type.
            status: of the file that it is made from: a new one gets its permissions.
            preserve: it gets the times of that too.

        Returns:
            Warnings: what this store lacks.

        Raises:
            OutputError: it exists, or cannot be written; nothing is left behind.
        """


def of(place: Place) -> Store:
    """Who keeps a place."""
    if isinstance(place, Path):
        from mirnet_cli.folders import FOLDERS

        return FOLDERS
    from mirnet_cli.objects import OBJECTS

    return OBJECTS


def check(place: Place, *, writing: bool = False) -> None:
    """See :meth:`Store.check`."""
    of(place).check(place, writing=writing)


def exists(place: Place) -> bool:
    """See :meth:`Store.exists`."""
    return of(place).exists(place)


def is_folder(place: Place) -> bool:
    """See :meth:`Store.is_folder`."""
    return of(place).is_folder(place)


def same_file(first: Place, second: Place) -> bool:
    """See :meth:`Store.same`."""
    return of(first).same(first, second)
