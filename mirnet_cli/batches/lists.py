"""Lists of photos: one a line, or separated by NUL."""

import codecs
import os

from mirnet_cli.errors import InputError, UsageError

LONGEST_LIST = 1 << 28
"""Bytes of a list; there are a million long paths in so many."""

# The mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def names_in(data: bytes) -> list[str]:
    """The names in a list: separated by NUL if it holds one, else one a line.

    Args:
        data: names as the system has them, or text that begins with a byte order mark, as
            PowerShell and editors of Windows write it (UTF-8, UTF-16, UTF-32).

    Raises:
        UsageError: it is no list of files.
    """
    if len(data) > LONGEST_LIST:
        raise UsageError(f"more than {LONGEST_LIST >> 20} MiB", "name a list of files")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _split(_decoded(data[len(mark) :], encoding))
    _refuse_other(data)
    return _split(os.fsdecode(data))


def _decoded(data: bytes, encoding: str) -> str:
    if encoding == "utf-8":
        # Names may be of any bytes.
        return os.fsdecode(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        what = f"its byte-order mark says {encoding[:-3].upper()}, its content does not"
        raise UsageError(what, "save it as UTF-8") from error


def _split(text: str) -> list[str]:
    names = text.split("\0") if "\0" in text else text.replace("\r\n", "\n").split("\n")
    return [name for name in names if name]


def _refuse_other(data: bytes) -> None:
    """Refuse what holds NUL and is no list: a picture, text in UTF-16 or UTF-32 without a mark."""
    from mirnet_cli.photo.formats import HEAD, recognise

    count = data.count(0)
    if not count:
        return
    try:
        kind = recognise(data[:HEAD])
    except InputError:
        pass
    else:
        raise UsageError(f"is a picture ({kind}), not a list", "name a list of files")
    # Of four bytes one is NUL: no photos have such short names. Two in a row end no name.
    names = _split(os.fsdecode(data))
    if 4 * count >= len(data) and not (names and all(map(os.path.lexists, names))):
        what = "has NUL bytes that end no names: UTF-16 without a byte-order mark, or not text"
        raise UsageError(what, "save it as UTF-8")
