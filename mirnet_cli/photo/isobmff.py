"""Boxes, in which HEIC, AVIF and JPEG XL keep what they hold.

Their names are those of ISO/IEC 14496-12 (meta, pitm, iinf, iloc; clap, the part that is shown) and
23008-12 (ipco, ipma; irot and imir, which turn a picture whatever EXIF says); that they are read
rightly is seen on files of libheif and libavif.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from mirnet_cli.photo import behind
from mirnet_cli.photo.picture import shape_of
from mirnet_cli.photo.source import DamageError, Data

_VIDEO = "a video behind the picture is not kept"
CROP = "its crop (clean aperture) cannot be applied: the whole picture was read"

_MOST = 10_000
"""Boxes of one level."""

_CORNERS = {
    **{(0, 1, 2, 3): 1, (1, 0, 3, 2): 2, (2, 3, 0, 1): 3, (3, 2, 1, 0): 4},
    **{(0, 3, 2, 1): 5, (3, 0, 1, 2): 6, (2, 1, 0, 3): 7, (1, 2, 3, 0): 8},
}
"""EXIF's orientation by the corners that come to the top left, and on clockwise."""


def boxes(data: Data) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes, one after the other. Raises as :func:`spans`."""
    for name, start, end in spans(data):
        yield name, data[start:end]


def spans(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Names of the boxes, and where what they hold begins and ends.

    Raises:
        DamageError: one reaches beyond the data.
    """
    at = 0
    for _ in range(_MOST):
        head = data[at : at + 16]
        if len(head) < 8:
            return
        size, start = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), at + 16
        end = len(data) if size == 0 else at + size
        if end < start or end > len(data):
            raise DamageError("it ends before the picture is complete")
        yield head[4:8], start, end
        at = end


def box(name: bytes, body: bytes) -> list[bytes]:
    """A box in pieces."""
    size = len(body) + 8
    if size < 1 << 32:
        return [struct.pack(">I4s", size, name), body]
    return [struct.pack(">I4sQ", 1, name, size + 8), body]


@dataclass(frozen=True)
class Cut:
    """What clap cuts out of a picture, before it is turned (MIAF 7.3.6.7).

    Attributes:
        stored: width and height of what is stored.
        part: x, y, width and height of what is shown, at least to the pixel before; None where
            that is no part of it.
        exact: whether it is of whole pixels.
    """

    stored: tuple[int, int]
    part: tuple[int, int, int, int] | None = None
    exact: bool = False


_CODES = {
    b"unci": "uncompressed", b"jpeg": "JPEG", b"j2k1": "JPEG 2000", b"avc1": "AVC", b"vvc1": "VVC",
    b"evc1": "EVC",
}  # fmt: skip


class Container:
    """What the boxes of an HEIC or AVIF say of its primary picture, read once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def _meta(self) -> dict[bytes, bytes]:
        """What is in the meta box; nothing where there is none (a sequence)."""
        for name, start, end in spans(self._data):
            if name == b"meta":
                return dict(boxes(self._data[start + 4 : end]))
        return {}

    def turn(self) -> int:
        """What irot and imir do to the picture of an HEIC or AVIF, as an EXIF orientation, 1 to 8.

        Raises:
            DamageError: the boxes that say so are incomplete.
        """
        corners = (0, 1, 2, 3)
        for name, body in self._properties:
            if name == b"irot" and body:
                steps = body[0] & 3
                corners = (*corners[steps:], *corners[:steps])  # type: ignore[assignment]
            elif name == b"imir" and body:
                a, b, c, d = corners
                corners = (b, a, d, c) if body[0] & 1 else (d, c, b, a)
        return _CORNERS[corners]

    def cut(self) -> Cut | None:
        """What part of an HEIC or AVIF is shown; None where that is all.

        Raises:
            DamageError: the boxes that say so are incomplete.
        """
        found = dict(self._properties)
        if len(found.get(b"clap", b"")) < 32 or len(found.get(b"ispe", b"")) < 12:
            return None
        size = struct.unpack_from(">II", found[b"ispe"], 4)
        numbers = struct.unpack(">IIIIiIiI", found[b"clap"][:32])
        if 0 in numbers[1::2]:
            return Cut(size)
        width, height, *middle = (
            Fraction(n, d) for n, d in zip(numbers[::2], numbers[1::2], strict=True)
        )
        x, y = (
            off + (full - side) / 2
            for off, full, side in zip(middle, size, (width, height), strict=True)
        )
        if min(x, y, width - 1, height - 1) < 0 or x + width > size[0] or y + height > size[1]:
            return Cut(size)
        part = (x, y, width, height)
        exact = all(value.denominator == 1 for value in part)
        return Cut(size, (int(x), int(y), int(width), int(height)), exact)

    def aspect(self) -> tuple[int, int] | None:
        """The shape of pixels that are not square (pasp), before the picture is turned.

        The box has their width and height; there are the fewer across the wider they are.
        """
        found = dict(self._properties).get(b"pasp", b"")
        if len(found) < 8:
            return None
        width, height = struct.unpack_from(">II", found)
        return shape_of(height, width)

    @cached_property
    def _properties(self) -> list[tuple[bytes, bytes]]:
        """Names and contents of the primary picture's properties, as they apply in turn."""
        meta = self._meta
        if b"pitm" not in meta or b"iprp" not in meta:
            return []
        numbers = _Numbers(meta[b"pitm"])
        primary = numbers.take(4 if numbers.version else 2)
        known: list[tuple[bytes, bytes]] = []
        used: list[int] = []
        for name, body in boxes(meta[b"iprp"]):
            if name == b"ipco":
                known = list(boxes(body))
            elif name == b"ipma":
                used += _used(_Numbers(body), primary)
        return [known[index - 1] for index in used if 0 < index <= len(known)]

    def stored_exif(self) -> bytes | None:
        """The EXIF of an HEIC or AVIF as it is stored, from its TIFF header on.

        Returns:
            None where there is none, or several.

        Raises:
            DamageError: the boxes that say where it is are incomplete.
        """
        meta = self._meta
        items = [item for item, kind in _items(meta) if kind == b"Exif"]
        if len(items) != 1 or b"iloc" not in meta:
            return None
        stored = _stored(_Numbers(meta[b"iloc"]), items[0], (self._data, meta.get(b"idat", b"")))
        if stored is None or len(stored) <= 4:
            return None
        return stored[4 + int.from_bytes(stored[:4], "big") :] or None

    def beside(self) -> list[str]:
        """Say what else is in the file and is not kept: depth, gain maps, mattes, a video.

        Raises:
            DamageError: the boxes that say so are incomplete.
        """
        meta = self._meta
        properties = dict(boxes(meta.get(b"iprp", b""))).get(b"ipco", b"")
        kinds = [
            body[4:].partition(b"\0")[0] for name, body in boxes(properties) if name == b"auxC"
        ]
        found = [behind.GAIN_MAP] if any(kind == b"tmap" for _, kind in _items(meta)) else []
        found += [
            behind.named_in(kind) or f"an auxiliary picture ({kind.decode('latin-1')})"
            for kind in kinds
            if not kind.endswith((b":alpha", b":auxid:1"))
        ]
        said = [f"what goes with the picture is not kept: {name}" for name in dict.fromkeys(found)]
        return [*said, _VIDEO] if self._has_video() else said

    def _has_video(self) -> bool:
        """Whether a video is behind the picture (Motion Photo Format 1.0: box mpvd)."""
        try:
            return any(name == b"mpvd" for name, *_ in spans(self._data))
        except DamageError:
            return False

    def rare_code(self) -> str | None:
        """What the pictures in an HEIF are coded with, where it is neither HEVC nor AV1."""
        kinds = {kind for _, kind in _items(self._meta)}
        names = [name for kind, name in _CODES.items() if kind in kinds]
        return names[0] if names and not kinds & {b"hvc1", b"av01"} else None


def _items(meta: dict[bytes, bytes]) -> list[tuple[int, bytes]]:
    """Numbers and kinds of the items that a meta box tells of."""
    if b"iinf" not in meta:
        return []
    numbers = _Numbers(meta[b"iinf"])
    numbers.take(4 if numbers.version else 2)
    items = []
    for name, body in boxes(numbers.rest()):
        entry = _Numbers(body)
        if name == b"infe" and entry.version >= 2:
            item = entry.take(4 if entry.version > 2 else 2)
            entry.take(2)
            items.append((item, entry.take(4).to_bytes(4, "big")))
    return items


class _Numbers:
    """Big-endian integers of a full box, one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self.version = self.take(1)
        self.flags = self.take(3)

    def take(self, size: int) -> int:
        piece = self._body[self._at : self._at + size]
        if len(piece) < size:
            raise DamageError("its boxes are incomplete")
        self._at += size
        return int.from_bytes(piece, "big")

    def rest(self) -> bytes:
        return self._body[self._at :]


def _used(numbers: _Numbers, wanted: int) -> list[int]:
    """Which properties an item has, in the order in which they apply."""
    wide = bool(numbers.flags & 1)
    for _ in range(numbers.take(4)):
        item = numbers.take(4 if numbers.version else 2)
        indices = [numbers.take(1 + wide) for _ in range(numbers.take(1))]
        if item == wanted:
            return [index & (0x7FFF if wide else 0x7F) for index in indices]
    return []


def _stored(numbers: _Numbers, wanted: int, sources: tuple[bytes, bytes]) -> bytes | None:
    """The bytes of an item: out of the file (construction method 0) or of idat (1)."""
    sizes = numbers.take(1), numbers.take(1)
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    later = numbers.version in (1, 2)
    index_size = sizes[1] & 15 if later else 0
    wide = 4 if numbers.version == 2 else 2
    for _ in range(numbers.take(wide)):
        item = numbers.take(wide)
        method = numbers.take(2) & 15 if later else 0
        elsewhere = numbers.take(2)
        base = numbers.take(base_size)
        spans = []
        for _ in range(numbers.take(2)):
            numbers.take(index_size)
            spans.append((base + numbers.take(offset_size), numbers.take(length_size)))
        if item != wanted:
            continue
        if method > 1 or elsewhere:
            return None
        source = sources[method]
        if sum(length for _, length in spans) > len(source):
            return None
        return b"".join(source[at : at + length] for at, length in spans)
    return None
