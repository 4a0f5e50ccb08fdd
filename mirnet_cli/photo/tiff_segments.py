"""Strips and tiles of a TIFF: where they are, and what they unpack to.

Deflate is zlib's; LZW, PackBits, LZMA, Zstandard and fax are unpacked by Pillow's libtiff as rows
of plain bytes or bits; JPEG, JPEG 2000, PNG and WebP are decoded by Pillow from streams of their
own.
Sources: TIFF 6.0 sections 9 to 15 and 22; TIFF Technical Note 2 (JPEG).
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import TypeVar

import numpy as np
from PIL import Image

from mirnet_cli.errors import InputError
from mirnet_cli.photo import jpeg_segments, tiff_libtiff
from mirnet_cli.photo.ifd import Directory, Reader
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.source import DamageError

NONE, _LZW, _JPEG, _DEFLATE, _PACKBITS = 1, 5, 7, 8, 32773
_OLD_DEFLATE, _LZMA, _ZSTD = 32946, 34925, 50000
_FAX = {2, 3, 4, 32771}
_PREDICTED = {_LZW, _DEFLATE, _OLD_DEFLATE, _LZMA, _ZSTD}
_STREAMS = {33005: "JPEG2000", 34712: "JPEG2000", 34933: "PNG", 50001: "WEBP"}
"""Whole files in a strip or tile, as Pillow calls them."""

_READ = _PREDICTED | _FAX | {NONE, 6, _JPEG, _PACKBITS} | _STREAMS.keys()
_UNREAD = {
    33003: "JPEG 2000 in YCbCr",
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    34676: "LogLuv", 34677: "LogLuv", 34887: "LERC",
    32766: "NeXT", 32809: "ThunderScan", 32908: "PixarFilm", 32909: "PixarLog", 34661: "JBIG",
}  # fmt: skip
_RESAVE = "save it with LZW or Deflate"
_TOGETHER = 256
"""Strips or tiles that libtiff unpacks at a time."""

_BLOCK = TypeVar("_BLOCK")


def check(compression: int) -> None:
    """Raise InputError for a compression that is not read, by its name."""
    if compression not in _READ:
        name = _UNREAD.get(compression, f"number {compression}")
        raise InputError(f"its compression ({name}) is not read", _RESAVE)


def spans(reader: Reader, top: Directory) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where strips or tiles are, and how long each is; empty where nothing is said.

    Old programs name the places of tiles in the tags of strips: libtiff takes one for the other.
    """
    tiled = reader.integer(top.entries.get(322)) > 0

    def either(strips: int, tiles: int) -> tuple[int, ...]:
        tags = (tiles, strips) if tiled else (strips, tiles)
        return next((reader.integers(top.entries[tag]) for tag in tags if tag in top.entries), ())

    return either(273, 324), either(279, 325)


@dataclass(frozen=True)
class Packing:
    """How all strips or tiles of a picture are packed.

    Attributes:
        compression: TIFF's number.
        width: of a strip or tile, in pixels.
        reversed: whether the lowest bit of each byte is the first (FillOrder 2).
        fax: T4Options or T6Options.
        tables: of JPEG, for all streams (JPEGTables).
        is_ycc: whether JPEG streams of three components have YCbCr colours.
    """

    compression: int
    width: int
    reversed: bool
    fax: int
    tables: bytes = field(repr=False)
    is_ycc: bool

    @classmethod
    def of(cls, reader: Reader, top: Directory) -> "Packing":
        """From the tags of a directory."""
        entries = top.entries
        compression = reader.integer(entries.get(259), 1)
        return cls(
            compression=compression,
            width=reader.integer(entries.get(322)) or reader.integer(entries.get(256)),
            reversed=reader.integer(entries.get(266), 1) == 2,
            fax=reader.integer(entries.get(293 if compression == 4 else 292)),
            tables=reader.value(entries[347]) if 347 in entries else b"",
            is_ycc=reader.integer(entries.get(262)) == 6,
        )

    @property
    def predicts(self) -> bool:
        """Whether a predictor counts: libtiff does not look at the tag with other compressions."""
        return self.compression in _PREDICTED


def unpacked(
    blocks: Iterable[tuple[_BLOCK, bytes, int, int]], packing: Packing
) -> Iterator[tuple[_BLOCK, bytes]]:
    """Each block with its rows unpacked.

    Args:
        blocks: each with its packed bytes, and bytes a row and rows when unpacked.
        packing: of all.

    Raises:
        DamageError: data that is corrupt or too short.
    """
    kind = packing.compression
    waiting: list[tuple[_BLOCK, bytes, int, int]] = []
    for block in blocks:
        here, packed, row_bytes, rows = block
        if packing.reversed and kind != _JPEG and kind not in _FAX:
            packed = _mirrored(packed)
        if kind == NONE:
            yield here, packed
        elif kind in (_DEFLATE, _OLD_DEFLATE):
            yield here, _inflated(packed, row_bytes * rows)
        elif kind == _JPEG:
            yield here, _from_jpeg(packed, row_bytes, rows, packing)
        elif kind in _STREAMS:
            yield here, _from_stream(packed, row_bytes, rows, packing)
        else:
            # libtiff takes strips of equal height, of which the last may be lower.
            if waiting and (
                row_bytes != waiting[0][2] or not rows <= waiting[-1][3] == waiting[0][3]
            ):
                yield from _by_libtiff(waiting, packing)
                waiting = []
            waiting.append((here, packed, row_bytes, rows))
            if len(waiting) == _TOGETHER:
                yield from _by_libtiff(waiting, packing)
                waiting = []
    if waiting:
        yield from _by_libtiff(waiting, packing)


def _by_libtiff(
    waiting: list[tuple[_BLOCK, bytes, int, int]], packing: Packing
) -> Iterator[tuple[_BLOCK, bytes]]:
    fax = packing.compression in _FAX
    samples = tiff_libtiff.unpack_rows(
        [packed for _, packed, _, _ in waiting],
        packing.width if fax else waiting[0][2],
        [rows for *_, rows in waiting],
        packing.compression,
        packing.fax if fax else None,
        packing.reversed,
    )
    top = 0
    for here, _, _, rows in waiting:
        yield here, np.ascontiguousarray(samples[top : top + rows]).tobytes()
        top += rows


def _mirrored(packed: bytes) -> bytes:
    """Each byte with its bits in the other order."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    return np.packbits(bits).tobytes()


def _inflated(packed: bytes, needed: int) -> bytes:
    try:
        # One byte more than there may be, so that the checksum at the end is looked at.
        out = zlib.decompressobj().decompress(packed, needed + 1)
    except zlib.error as error:
        raise DamageError("its compressed data is corrupt") from error
    if len(out) < needed:
        raise DamageError("its compressed data is cut short")
    return out[:needed]


def _from_jpeg(packed: bytes, row_bytes: int, rows: int, packing: Packing) -> bytes:
    """The samples of a JPEG stream, which may be larger than its strip or tile."""
    from PIL import JpegImagePlugin

    stream = _whole_jpeg(packed, packing)
    with BytesIO(stream) as file, JpegImagePlugin.JpegImageFile(file) as image:
        samples: Array = np.asarray(image)
        if image.mode == "CMYK":
            samples = 255 - samples  # Pillow takes all of four components for Adobe's, inverted
    found = samples.reshape(len(samples), -1)
    if found.shape[0] < rows or found.shape[1] < row_bytes:
        raise DamageError("a JPEG stream in it is smaller than its place")
    return np.ascontiguousarray(found[:rows, :row_bytes]).tobytes()


def _from_stream(packed: bytes, row_bytes: int, rows: int, packing: Packing) -> bytes:
    """The samples of 8 bits of a picture in one of :data:`_STREAMS`."""
    kind = _STREAMS[packing.compression]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(row_bytes // packing.width)
    with BytesIO(packed) as file, Image.open(file, formats=[kind]) as image:
        width, height = image.size
        if width < packing.width or height < rows:
            raise DamageError(f"a {kind} stream in it is smaller than its place")
        if width * height > 4 * packing.width * rows + (1 << 20):
            raise DamageError(f"a {kind} stream in it is much larger than its place")
        # WebP leaves out alpha that is opaque.
        opaque = kind == "WEBP" and (mode, image.mode) == ("RGBA", "RGB")
        if row_bytes % packing.width or not (image.mode == mode or opaque):
            raise InputError(f"its {kind} streams are not of 8 bits a sample", _RESAVE)
        samples = np.asarray(image.convert(mode))
    found = samples.reshape(height, -1)[:rows, :row_bytes]
    return np.ascontiguousarray(found).tobytes()


def _whole_jpeg(packed: bytes, packing: Packing) -> bytes:
    """A stream with its tables, and what the tags say of its colours in place of what it says."""
    segments = list(jpeg_segments.walk(packed))
    end = jpeg_segments.check_scans(packed, segments)
    head = [b"\xff\xd8"]
    if packing.tables:
        head.append(packing.tables[2:].removesuffix(b"\xff\xd9"))
    for segment in segments[:-1]:
        frame = segment.marker in jpeg_segments.FRAMES
        if frame and segment.data[:1] != b"\x08":
            bits = segment.data[0]
            raise InputError(f"its JPEG samples of {bits} bits are not read", _RESAVE)
        if frame and segment.data[5] == 3:
            head.append(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((packing.is_ycc,)))
        if not 0xE0 <= segment.marker <= 0xEF:
            head.append(packed[segment.at : segment.end])
    return b"".join((*head, packed[segments[-1].at : end]))
