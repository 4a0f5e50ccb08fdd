"""What has to change in an EXIF block when its picture does, and nothing else.

The block is patched where it lies: no value moves, so that maker notes, whose inner offsets
nobody documents, and unknown tags stay as they are. Source: EXIF 2.32 (CIPA DC-008).
"""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

from mirnet_cli.photo.ifd import LONG, MAKER_NOTE, RATIONAL, SHORT, Directory, Entry, Reader
from mirnet_cli.photo.source import DamageError

PREFIX = b"Exif\0"
ORIENTATION = 0x0112
EXIF_POINTER = 0x8769

_WIDTHS = ((0x0100, False), (0xA002, True))
_HEIGHTS = ((0x0101, False), (0xA003, True))
_THUMBNAIL_AT, _THUMBNAIL_SIZE = 0x0201, 0x0202
_SUBJECTS = (0x9214, 0xA214)
"""SubjectArea and SubjectLocation."""
_COLOUR_SPACE, _INTEROPERABILITY = 0xA001, 0xA005
_SPEEDS = (0x8827, 0x8833, 0x8832, 0x8831)
"""PhotographicSensitivity, which ends at 65535, and the longer tags beside it."""
_UNSAID = 0xFFFF, 0xFFFFFFFF
_RESOLUTIONS = (0x011A, 0x011B)
_SENSOR = (0xA20E, 0xA20F)
"""FocalPlaneXResolution and FocalPlaneYResolution: pixels of the picture on the sensor."""
_RELATED = (0x1001, 0x1002)
"""RelatedImageWidth and RelatedImageLength (DCF 2.0), in the interoperability directory."""
_UNSIGNED = {SHORT: ("H", 0xFFFF), LONG: ("I", 0xFFFFFFFF)}
_MAP = {33550, 33922, 34264, 50844}
"""GeoTIFF 1.1: ModelPixelScale, ModelTiepoint, ModelTransformation; GDAL: RPC coefficients."""
_STRIP_AT, _STRIP_SIZE = 0x0111, 0x0117


def without_prefix(block: bytes) -> bytes:
    """An EXIF block without the "Exif" and two bytes that JPEG (and some WebP files) put before."""
    return block[6:] if block[:5] == PREFIX else block


def orientation(exif: bytes | None) -> int | None:
    """The orientation tag, 1 to 8; 1 where it is out of range, None where there is none."""
    if exif is None:
        return None
    try:
        reader = Reader(exif)
        entry = reader.directory(reader.first).entries.get(ORIENTATION)
        if entry is None:
            return None
        value = reader.integer(entry, 1)
    except DamageError:
        return None
    return value if 1 <= value <= 8 else 1


def upright(exif: bytes) -> bytes:
    """The block with orientation 1, for the picture and for its thumbnail."""
    patched = bytearray(exif)
    reader = Reader(exif)
    top = reader.directory(reader.first)
    for directory in (top, _second(reader, top)):
        entry = None if directory is None else directory.entries.get(ORIENTATION)
        if entry is not None:
            _put(patched, reader, entry, 1)
    return bytes(patched)


def of_turned(exif: bytes | None, warnings: list[str]) -> bytes | None:
    """The block of a picture that its container turns, upright; one that is damaged is left out."""
    try:
        return None if exif is None else upright(exif)
    except DamageError:
        warnings.append("the EXIF data is damaged and is not kept")
        return None


def without_orientation(exif: bytes) -> bytes:
    """The block with the orientation tag taken out of its directory; no value moves.

    Empty if there is nothing else in it.
    """
    reader = Reader(exif)
    top = reader.directory(reader.first)
    entry = top.entries.get(ORIENTATION)
    if entry is None or reader.big:
        return exif
    patched = bytearray(exif)
    (count,) = struct.unpack_from(reader.order + "H", exif, reader.first)
    end = top.next_at + 4
    patched[entry.at : end - 12] = exif[entry.at + 12 : end]
    patched[end - 12 : end] = bytes(12)
    struct.pack_into(reader.order + "H", patched, reader.first, count - 1)
    if count == 1 and not top.next:
        return b""
    return bytes(patched)


def resized(
    exif: bytes, width: int, height: int, thumbnail: Callable[[int], bytes | None]
) -> bytes:
    """The block for a picture of another size and look.

    Pixel dimensions that it states are corrected (none are added). A JPEG thumbnail is replaced
    where the new one fits into its place, else taken out; one of another kind is taken out.

    Args:
        exif: the block.
        width, height: of the picture now.
        thumbnail: makes a JPEG of at most so many bytes, or None.
    """
    patched = bytearray(exif)
    reader = Reader(exif)
    top = reader.directory(reader.first)
    inner = _child(reader, top, EXIF_POINTER)
    further = None if inner is None else _child(reader, inner, _INTEROPERABILITY)
    for tags, related, value in ((_WIDTHS, 0, width), (_HEIGHTS, 1, height)):
        found = [(tag, inner if deep else top) for tag, deep in tags]
        for tag, directory in (*found, (_RELATED[related], further)):
            entry = None if directory is None else directory.entries.get(tag)
            if entry is not None:
                _put(patched, reader, entry, value)
    small = _second(reader, top)
    if small is not None:
        _renew(patched, reader, top, small, thumbnail)
    return bytes(patched)


def moved(
    exif: bytes, moved: Callable[[Sequence[int]], tuple[int, ...] | None]
) -> tuple[bytes, bool]:
    """The block with the main subject's place in pixels as ``moved`` says; None takes it out.

    Returns:
        The block, and whether all places fit into it; one that is too large is taken out.
    """
    fits = True
    for tag in _SUBJECTS:
        reader = Reader(exif)
        at = reader.integer(reader.directory(reader.first).entries.get(EXIF_POINTER))
        inner = _child(reader, reader.directory(reader.first), EXIF_POINTER)
        entry = None if inner is None else inner.entries.get(tag)
        if inner is None or entry is None or not 2 <= entry.count <= 4:
            continue
        if entry.kind not in _UNSIGNED:
            continue
        new = moved(reader.integers(entry))
        letter, most = _UNSIGNED[entry.kind]
        if new is not None and max(new) > most:
            fits, new = False, None
        if new is None:
            exif = _without_entry(exif, reader, at, inner, entry)
        else:
            patched = bytearray(exif)
            layout = f"{reader.order}{entry.count}{letter}"
            struct.pack_into(layout, patched, entry.value_at, *new)
            exif = bytes(patched)
    return exif, fits


def without_note(exif: bytes) -> bytes:
    """The block without the entry of the camera maker's note; no value moves."""
    reader = Reader(exif)
    at = reader.integer(reader.directory(reader.first).entries.get(EXIF_POINTER))
    inner = _child(reader, reader.directory(reader.first), EXIF_POINTER)
    entry = None if inner is None else inner.entries.get(MAKER_NOTE)
    if inner is None or entry is None:
        return exif
    return _without_entry(exif, reader, at, inner, entry)


def _without_entry(exif: bytes, reader: Reader, at: int, inner: Directory, entry: Entry) -> bytes:
    patched = bytearray(exif)
    (count,) = struct.unpack_from(reader.order + "H", exif, at)
    struct.pack_into(reader.order + "H", patched, at, count - 1)
    patched[entry.at : inner.next_at - 12] = exif[entry.at + 12 : inner.next_at]
    patched[inner.next_at - 12 : inner.next_at] = bytes(12)
    return bytes(patched)


def description(exif: bytes | None) -> bytes:
    """What the block says of the picture; empty where there is nothing."""
    if exif is None:
        return b""
    reader = Reader(exif)
    entry = reader.directory(reader.first).entries.get(0x010E)
    return b"" if entry is None else reader.value(entry)


def iso(exif: bytes | None) -> int | None:
    """The ISO that a photo was shot at; None where the block does not say it."""
    try:
        reader = Reader(exif or b"")
        inner = _child(reader, reader.directory(reader.first), EXIF_POINTER)
        speeds = [reader.integer(inner.entries.get(tag)) for tag in _SPEEDS] if inner else []
    except DamageError:
        return None
    return next((speed for speed in speeds if speed > 0 and speed not in _UNSAID), None)


def finer(exif: bytes, scale: float) -> bytes:
    """The block with resolutions so many times as high."""
    patched = bytearray(exif)
    reader = Reader(exif)
    entries = reader.directory(reader.first).entries
    for tag in _RESOLUTIONS:
        entry, value = entries.get(tag), reader.rational(entries.get(tag))
        if entry is not None and value is not None and entry.size == 8:
            numbers = Fraction(value * scale).limit_denominator(1_000_000)
            if numbers.numerator <= 0xFFFFFFFF:
                layout = reader.order + "II"
                struct.pack_into(layout, patched, entry.value_at, *numbers.as_integer_ratio())
    return bytes(patched)


def with_axes_swapped(exif: bytes) -> bytes:
    """The block with the resolutions across and down exchanged, on paper and on the sensor."""
    reader = Reader(exif)
    top = reader.directory(reader.first)
    inner = _child(reader, top, EXIF_POINTER)
    patched = bytearray(exif)
    for directory, tags in ((top, _RESOLUTIONS), (inner, _SENSOR)):
        across, down = _rationals(directory, tags)
        if across is not None and down is not None:
            patched[across.value_at : across.value_at + 8] = reader.value(down)
            patched[down.value_at : down.value_at + 8] = reader.value(across)
    return bytes(patched)


def _rationals(directory: Directory | None, tags: tuple[int, int]) -> list[Entry | None]:
    entries = [None if directory is None else directory.entries.get(tag) for tag in tags]
    return [
        entry if entry is not None and entry.kind == RATIONAL and entry.size == 8 else None
        for entry in entries
    ]


def enlarged(exif: bytes, scale: float) -> bytes:
    """The block with so many times the pixels on the sensor; on paper the picture grows."""
    reader = Reader(exif)
    inner = _child(reader, reader.directory(reader.first), EXIF_POINTER)
    patched = bytearray(exif)
    for entry in _rationals(inner, _SENSOR):
        if entry is not None:
            above, below = struct.unpack(reader.order + "II", reader.value(entry))
            new = Fraction(above, below or 1) * Fraction(scale).limit_denominator(1000)
            new = new.limit_denominator(10_000)
            if below and new.numerator <= 0xFFFFFFFF:
                layout = reader.order + "II"
                struct.pack_into(layout, patched, entry.value_at, new.numerator, new.denominator)
    return bytes(patched)


def is_adobe_rgb(exif: bytes | None) -> bool:
    """Whether a camera says so of a picture that has no profile (DCF 2.0: index "R03")."""
    try:
        return exif is not None and _colours(Reader(exif))[1] is not None
    except DamageError:
        return False


def in_srgb(exif: bytes | None) -> bytes | None:
    """The block of a picture whose colours are sRGB now, where it says that they are others."""
    if exif is None:
        return None
    reader = Reader(exif)
    space, index = _colours(reader)
    patched = bytearray(exif)
    if space is not None:
        _put(patched, reader, space, 1)
    if index is not None:
        patched[index.value_at : index.value_at + 3] = b"R98"
    return bytes(patched)


def _colours(reader: Reader) -> tuple[Entry | None, Entry | None]:
    """The colour space tag, and the index that says Adobe RGB, where each says other than sRGB."""
    inner = _child(reader, reader.directory(reader.first), EXIF_POINTER)
    further = None if inner is None else _child(reader, inner, _INTEROPERABILITY)
    space = None if inner is None else inner.entries.get(_COLOUR_SPACE)
    index = None if further is None else further.entries.get(1)
    if space is None or reader.integer(space, 1) == 1:
        return None, None
    if index is not None and reader.value(index)[:3] != b"R03":
        index = None
    return space, index


def has_map(exif: bytes) -> bool:
    """Whether the block says where on Earth which pixel is (GeoTIFF)."""
    reader = Reader(exif)
    return not _MAP.isdisjoint(reader.directory(reader.first).entries)


def has_resolution(exif: bytes | None) -> bool:
    """Whether the block states pixels an inch or centimetre."""
    if exif is None:
        return False
    try:
        reader = Reader(exif)
        return _RESOLUTIONS[0] in reader.directory(reader.first).entries
    except DamageError:
        return False


def check(exif: bytes) -> int:
    """How many entries of the block are damaged.

    Raises:
        DamageError: not even its first directory can be read.
    """
    reader = Reader(exif)
    top = reader.directory(reader.first)
    damaged = top.damaged
    for tag in (EXIF_POINTER, 0x8825):
        if tag in top.entries:
            inner = _child(reader, top, tag)
            damaged += 1 if inner is None else inner.damaged
    return damaged


def _child(reader: Reader, directory: Directory, tag: int) -> Directory | None:
    at = reader.integer(directory.entries.get(tag))
    if not at:
        return None
    try:
        return reader.directory(at)
    except DamageError:
        return None


def _second(reader: Reader, top: Directory) -> Directory | None:
    """The directory of the thumbnail, if there is one."""
    if not top.next or top.next == reader.first:
        return None
    try:
        return reader.directory(top.next)
    except DamageError:
        return None


def _put(patched: bytearray, reader: Reader, entry: Entry, value: int) -> None:
    """Store one number in an entry that has room for it, as SHORT or, if too large, as LONG."""
    if entry.count != 1 or entry.kind not in (1, SHORT, LONG):
        return
    kind = entry.kind
    if kind != LONG and value > (0xFFFF if kind == SHORT else 0xFF):
        kind = LONG
    struct.pack_into(reader.order + "H", patched, entry.at + 2, kind)
    layout = {1: "B3x", SHORT: "H2x", LONG: "I"}[kind]
    struct.pack_into(reader.order + layout, patched, entry.at + 8, value)


def _renew(
    patched: bytearray,
    reader: Reader,
    top: Directory,
    small: Directory,
    thumbnail: Callable[[int], bytes | None],
) -> None:
    start = reader.integer(small.entries.get(_THUMBNAIL_AT))
    length_entry = small.entries.get(_THUMBNAIL_SIZE)
    length = reader.integer(length_entry)
    if start and length_entry is not None and 0 < length <= len(patched) - start:
        new = thumbnail(length)
        if new is not None and len(new) <= length:
            patched[start : start + length] = new.ljust(length, b"\0")
            _put(patched, reader, length_entry, len(new))
            return
        patched[start : start + length] = bytes(length)
    strips = reader.integers(small.entries.get(_STRIP_AT))
    sizes = reader.integers(small.entries.get(_STRIP_SIZE))
    for at, size in zip(strips, sizes, strict=False):
        if at >= 8 and at + size <= len(patched):
            patched[at : at + size] = bytes(size)
    struct.pack_into(reader.order + "I", patched, top.next_at, 0)
