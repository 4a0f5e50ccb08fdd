"""Bytes to read from: a file opened with care, or bytes in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from mirnet_cli import stores
from mirnet_cli.places import Place
from mirnet_cli.stores import Data as Data


class DamageError(Exception):
    """A file contradicts its format; the text says how, in half a sentence."""


class Bytes:
    """A file's bytes, read where they are sliced until :func:`whole` has put all into memory."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, span: slice, /) -> bytes:
        return self._data[span]

    def whole(self) -> bytes:
        """See :func:`whole`."""
        self._data = found = whole(self._data)
        return found


def whole(data: Data) -> bytes:
    """All of it in memory, read once; what is there already is not copied."""
    if isinstance(data, Bytes):
        return data.whole()
    return data if isinstance(data, bytes) else data[0 : len(data)]


@contextmanager
def opened(source: Place | bytes) -> Iterator[Data]:
    """Give access to a file's bytes.

    Raises:
        InputError: what is there cannot be read, or is no file.
    """
    if isinstance(source, bytes):
        yield source
        return
    with stores.of(source).opened(source) as data:
        yield Bytes(data)
