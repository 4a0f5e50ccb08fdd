"""The samples of a TIFF, at the depth they have.

Pillow cuts 16-bit RGB to 8 bits, and OpenCV knows few layouts. So strips and tiles of 8, 16 and
32-bit samples are put together here; where they are compressed in a way that zlib does not
know, Pillow's libtiff unpacks them as if they were rows of plain bytes. All other kinds (palette,
CMYK, YCbCr, bits, JPEG or fax compression) have 8 bits at most and are left to Pillow.
Source: TIFF 6.0 sections 3 to 15 and 18; TIFF Technical Note 3.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from PIL import TiffImagePlugin

from mirnet_cli.errors import InputError
from mirnet_cli.photo import ifd
from mirnet_cli.photo.codec import Raster
from mirnet_cli.photo.ifd import Directory, Entry, Field, Reader, Tree
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.pillow import libtiff_errors
from mirnet_cli.photo.raster import from_pillow, upright
from mirnet_cli.photo.source import DamageError

_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773
_LZMA, _ZSTD = 34925, 50000
_UNPACKABLE = {_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS, _LZMA, _ZSTD}
_MAX_PACKED = 256 << 20
_TOGETHER = 256
"""Strips or tiles that libtiff unpacks at a time."""

_CONVERT = "convert it to 8 or 16 bits, grey or RGB"

_OFFSETS, _SIZES = (273, 324), (279, 325)
# What Pillow needs to decode a picture: storage alone, nothing that could turn or mislead it.
_FOR_PILLOW = (
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325,
    338, 339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532,
)  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    """How the samples of a picture lie in the file."""

    width: int
    height: int
    channels: int
    colours: int
    dtype: np.dtype[np.generic]
    compression: int
    predictor: int
    inverted: bool
    planar: bool
    extra: tuple[int, ...]
    block_width: int
    block_height: int
    tiled: bool
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


def decode(reader: Reader, top: Directory, orientation: int, icc: bytes | None) -> Raster:
    """Decode the picture of a directory, upright.

    Raises:
        DamageError: what the directory promises is not there, or not of a kind photos have.
    """
    storage = _storage(reader, top)
    if storage is None:
        return _by_pillow(reader, top, orientation, icc)
    return _Assembly(reader, storage, orientation).raster()


def _storage(reader: Reader, top: Directory) -> _Storage | None:
    """The storage of a picture that is put together here; None for one that Pillow decodes."""

    def number(tag: int, default: int = 0) -> int:
        return reader.integer(top.entries.get(tag), default)

    bits = reader.integers(top.entries.get(258)) or (1,)
    channels = number(277, 1)
    formats = set(reader.integers(top.entries.get(339)) or (1,))
    photometric = number(262, 2 if channels >= 3 else 1)
    compression = number(259, 1)
    if len(set(bits)) != 1 or photometric not in (0, 1, 2) or compression not in _UNPACKABLE:
        return None
    kinds = {(8, 1): "u1", (16, 1): "u2", (16, 3): "f2", (32, 3): "f4", (64, 3): "f8"}
    kind = kinds.get((bits[0], formats.pop())) if len(formats) == 1 else None
    colours = 3 if photometric == 2 else 1
    if kind is None or number(266, 1) != 1 or not colours <= channels <= 64:
        return None
    tiled = _OFFSETS[1] in top.entries
    width, height = number(256), number(257)
    return _Storage(
        width=width,
        height=height,
        channels=channels,
        colours=colours,
        dtype=np.dtype(reader.order + kind),
        compression=compression,
        predictor=number(317, 1),
        inverted=photometric == 0,
        planar=number(284, 1) == 2 and channels > 1,
        extra=reader.integers(top.entries.get(338)),
        block_width=number(322) if tiled else width,
        block_height=number(323) if tiled else min(number(278, height) or height, height),
        tiled=tiled,
        offsets=reader.integers(top.entries.get(_OFFSETS[tiled])),
        sizes=reader.integers(top.entries.get(_SIZES[tiled])),
    )


@dataclass(frozen=True)
class _Block:
    """A strip or tile: which channels, where it lands, and how many rows are stored."""

    index: int
    channels: slice
    top: int
    left: int
    rows: int


class _Assembly:
    """Puts a picture together from its strips or tiles."""

    def __init__(self, reader: Reader, storage: _Storage, orientation: int) -> None:
        self.reader = reader
        self.storage = storage
        self.orientation = orientation
        self.stored_channels = 1 if storage.planar else storage.channels
        self.row_bytes = storage.block_width * self.stored_channels * storage.dtype.itemsize
        if not 0 < storage.block_width < 1 << 31 or not 0 < storage.block_height < 1 << 31:
            raise DamageError("its tiles have no size")
        if self.row_bytes * storage.block_height > 4 * (self._bytes() + (64 << 20)):
            raise DamageError("its tiles are much larger than the picture")

    def _bytes(self) -> int:
        s = self.storage
        return s.width * s.height * s.channels * s.dtype.itemsize

    def raster(self) -> Raster:
        s = self.storage
        kept, alpha_at, premultiplied, warnings = _roles(s)
        native = {"f": np.dtype(np.float32)}.get(s.dtype.kind, s.dtype.newbyteorder("="))
        pixels, stored = upright(s.height, s.width, s.colours, native, self.orientation)
        alpha, stored_alpha = (
            (None, None)
            if alpha_at is None
            else upright(s.height, s.width, 1, native, self.orientation)
        )
        for block, samples in self._decoded():
            rows = min(block.rows, s.height - block.top)
            columns = min(s.block_width, s.width - block.left)
            place = (
                slice(block.top, block.top + rows),
                slice(block.left, block.left + columns),
            )
            for channel in range(block.channels.start, block.channels.stop):
                values = samples[:rows, :columns, channel - block.channels.start]
                if channel in kept:
                    target = stored if s.colours == 1 else stored[..., channel]
                    target[place] = values
                elif stored_alpha is not None and channel == alpha_at:
                    stored_alpha[place] = values
        if s.dtype.kind == "f":
            warnings += _clip(pixels) + ([] if alpha is None else _clip(alpha))
        if s.inverted:
            np.subtract(_white(pixels), pixels, out=pixels)
        if premultiplied and alpha is not None:
            _unpremultiply(pixels, alpha)
        return Raster(pixels, alpha, warnings=tuple(warnings))

    def _blocks(self) -> Iterator[_Block]:
        s = self.storage
        across = -(-s.width // s.block_width)
        down = -(-s.height // s.block_height)
        planes = s.channels if s.planar else 1
        count = across * down * planes
        if len(s.offsets) < count or (len(s.sizes) < count and s.compression != _NONE):
            raise DamageError("its table of strips is too short")
        for index in range(count):
            plane, rest = divmod(index, across * down)
            row, column = divmod(rest, across)
            top = row * s.block_height
            rows = s.block_height if s.tiled else min(s.block_height, s.height - top)
            channels = slice(plane, plane + 1) if s.planar else slice(0, s.channels)
            yield _Block(index, channels, top, column * s.block_width, rows)

    def _decoded(self) -> Iterator[tuple[_Block, Array]]:
        waiting: list[tuple[_Block, bytes]] = []
        for block in self._blocks():
            packed = self._packed(block)
            if self.storage.compression in (_NONE, _DEFLATE, _OLD_DEFLATE):
                yield block, self._samples(block, self._unpacked(block, packed))
                continue
            waiting.append((block, packed))
            if len(waiting) == _TOGETHER or block.rows < self.storage.block_height:
                yield from self._by_libtiff(waiting)
                waiting = []
        if waiting:
            yield from self._by_libtiff(waiting)

    def _packed(self, block: _Block) -> bytes:
        s = self.storage
        start = s.offsets[block.index]
        needed = block.rows * self.row_bytes
        size = s.sizes[block.index] if block.index < len(s.sizes) else needed
        if s.compression == _NONE:
            size = needed
        packed = self.reader.data[start : start + size]
        if len(packed) < size or not size:
            raise DamageError("it ends before the picture is complete")
        return packed

    def _unpacked(self, block: _Block, packed: bytes) -> bytes:
        if self.storage.compression == _NONE:
            return packed
        needed = block.rows * self.row_bytes
        try:
            # One byte more than there may be, so that the checksum at the end is looked at.
            out = zlib.decompressobj().decompress(packed, needed + 1)
        except zlib.error as error:
            raise DamageError("its compressed data is corrupt") from error
        if len(out) < needed:
            raise DamageError("its compressed data is cut short")
        return out[:needed]

    def _by_libtiff(self, waiting: list[tuple[_Block, bytes]]) -> Iterator[tuple[_Block, Array]]:
        rows = [block.rows for block, _ in waiting]
        samples = _unpack_rows(
            [packed for _, packed in waiting], self.row_bytes, rows, self.storage.compression
        )
        top = 0
        for block, _ in waiting:
            piece = samples[top : top + block.rows]
            top += block.rows
            yield block, self._samples(block, np.ascontiguousarray(piece).tobytes())

    def _samples(self, block: _Block, raw: bytes) -> Array:
        s = self.storage
        shape = (block.rows, s.block_width, self.stored_channels)
        if s.predictor == 3 and s.dtype.kind == "f":
            return _undo_floating(raw, shape, s.dtype.itemsize)
        samples = np.frombuffer(raw, s.dtype).reshape(shape)
        if s.predictor == 2 and s.dtype.kind == "u":
            native = samples.astype(s.dtype.newbyteorder("="))
            np.add.accumulate(native, axis=1, dtype=native.dtype, out=native)
            return native
        if s.predictor not in (0, 1):
            raise DamageError(f"its predictor {s.predictor} is not one for its samples")
        return samples


def _roles(s: _Storage) -> tuple[range, int | None, bool, list[str]]:
    """Which channels are colours, which is alpha, whether it is premultiplied; and warnings."""
    extras = s.channels - s.colours
    kinds = list(s.extra[:extras])
    if extras and not kinds:
        kinds = [2]  # the tag is missing: a fourth (or second) channel is alpha to every reader
    alpha = next((index for index, kind in enumerate(kinds) if kind in (1, 2)), None)
    lost = extras - (alpha is not None)
    warnings = [f"{lost} extra channels without a meaning are not kept"] if lost else []
    if alpha is None:
        return range(s.colours), None, False, warnings
    return range(s.colours), s.colours + alpha, kinds[alpha] == 1, warnings


def _white(pixels: Array) -> float | int:
    return 1.0 if pixels.dtype.kind == "f" else int(np.iinfo(pixels.dtype).max)


def _clip(pixels: Array) -> list[str]:
    """Bring floating samples into 0..1, in place."""
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0.0 and high <= 1.0:
        return []
    odd = not (np.isfinite(low) and np.isfinite(high))
    if odd:
        np.nan_to_num(pixels, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
    np.clip(pixels, 0.0, 1.0, out=pixels)
    return ["samples outside 0..1 were clipped"]


def _unpremultiply(pixels: Array, alpha: Array) -> None:
    """Divide colours by alpha, in place; where that is 0, colours are 0."""
    white = _white(pixels)
    for row, cover in zip(pixels, alpha, strict=True):
        share = cover.astype(np.float64)[:, None] if row.ndim == 2 else cover.astype(np.float64)
        straight = np.divide(row * float(white), share, out=np.zeros(row.shape), where=share > 0)
        straight = np.minimum(straight, white)
        row[...] = straight if row.dtype.kind == "f" else np.rint(straight)


def _undo_floating(raw: bytes, shape: tuple[int, int, int], size: int) -> Array:
    """Undo predictor 3: byte planes, the highest first, as differences (Technical Note 3)."""
    rows, width, channels = shape
    planes = np.frombuffer(raw, np.uint8).reshape(rows, width * size, channels).copy()
    np.add.accumulate(planes, axis=1, dtype=np.uint8, out=planes)
    ordered = planes.reshape(rows, size, width * channels).transpose(0, 2, 1)
    return np.ascontiguousarray(ordered).view(f">f{size}").reshape(shape)


def predicted(band: Array, alpha: Array | None, byte_order: str) -> bytes:
    """Rows as a strip's bytes with the predictor applied: 2 for integers, 3 for float32.

    Args:
        band: rows x width x colours, native byte order.
        alpha: rows x width, or None.
        byte_order: "<" or ">".
    """
    if alpha is not None:
        band = np.concatenate([band, alpha[..., None]], axis=2)
    rows, width, channels = band.shape
    if band.dtype.kind == "f":
        size = band.dtype.itemsize
        flat = np.ascontiguousarray(band, f">f{size}").view(np.uint8)
        planes = flat.reshape(rows, width * channels, size).transpose(0, 2, 1)
        planes = np.ascontiguousarray(planes).reshape(rows, width * size, channels)
        planes[:, 1:] -= planes[:, :-1].copy()
        return planes.tobytes()
    differences = band.copy()
    differences[:, 1:] -= band[:, :-1]
    return differences.astype(band.dtype.newbyteorder("<" if byte_order == "<" else ">")).tobytes()


def _unpack_rows(
    blocks: Sequence[bytes], row_bytes: int, rows: Sequence[int], compression: int
) -> Array:
    """Unpack strips of equal height (the last may be lower) by libtiff, as rows of bytes."""
    offsets = [8]
    for block in blocks:
        offsets.append(offsets[-1] + len(block))
    short, long = ifd.SHORT, ifd.LONG
    fields = {
        256: ifd.integers_field(long, "<", row_bytes),
        257: ifd.integers_field(long, "<", sum(rows)),
        258: ifd.integers_field(short, "<", 8),
        259: ifd.integers_field(short, "<", compression),
        262: ifd.integers_field(short, "<", 1),
        273: ifd.integers_field(long, "<", *offsets[:-1]),
        277: ifd.integers_field(short, "<", 1),
        278: ifd.integers_field(long, "<", rows[0]),
        279: ifd.integers_field(long, "<", *map(len, blocks)),
    }
    end = offsets[-1] + offsets[-1] % 2
    body = b"".join(blocks).ljust(end - 8, b"\0")
    file = ifd.header("<", end) + body + ifd.build(Tree(fields), "<", end)
    with (
        libtiff_errors() as errors,
        BytesIO(file) as stream,
        TiffImagePlugin.TiffImageFile(stream) as image,
    ):
        image.load()
        samples = np.asarray(image)
    if errors:
        raise DamageError("its compressed data is corrupt")
    return samples


def _by_pillow(reader: Reader, top: Directory, orientation: int, icc: bytes | None) -> Raster:
    """Decode by Pillow, from a copy whose directory has the storage tags alone.

    Pillow would turn the picture itself, and look at whatever else is in the file.
    """
    channels = reader.integer(top.entries.get(277), 1)
    if channels > 6:
        raise InputError(f"it has {channels} channels of a kind photos do not have", _CONVERT)
    fields: dict[int, Field] = {}
    for tag in _FOR_PILLOW:
        entry = top.entries.get(tag)
        if entry is not None:
            fields[tag] = _narrow(reader, entry)
    body = _gathered(reader, top, fields)
    end = 8 + len(body) + len(body) % 2
    directory = ifd.build(Tree(fields), reader.order, end)
    file = b"".join((ifd.header(reader.order, end), body, b"\0" * (len(body) % 2), directory))
    del body
    warnings: tuple[str, ...] = ()
    with libtiff_errors() as errors, BytesIO(file) as stream:
        image = TiffImagePlugin.TiffImageFile(stream)
        bits = max(reader.integers(top.entries.get(258)) or (1,))
        if image.mode in ("I", "F"):
            raise InputError(
                f"its samples are {bits}-bit numbers, which photos do not have", _CONVERT
            )
        if bits > 8 and not image.mode.startswith("I;16"):
            warnings = (f"its {bits} bits were read as 8",)
        raster = from_pillow(image, orientation, icc)
    if errors:
        raise DamageError("its compressed data is corrupt")
    if bits == 12 and raster.pixels.dtype == np.uint16:
        wide = raster.pixels
        np.bitwise_or(wide << 4, wide >> 8, out=wide)
    return replace(raster, warnings=warnings + raster.warnings)


def _gathered(reader: Reader, top: Directory, fields: dict[int, Field]) -> bytes:
    """The strips or tiles of a picture one after another, from byte 8 on; adapts the offsets.

    Where others point into the file too (old-style JPEG), the file as it is.
    """
    tiled = _OFFSETS[1] in top.entries
    offsets = reader.integers(top.entries.get(_OFFSETS[tiled]))
    sizes = reader.integers(top.entries.get(_SIZES[tiled]))
    total = len(reader.data) if 513 in fields or len(offsets) != len(sizes) else sum(sizes)
    if total > _MAX_PACKED + 16 * reader.integer(top.entries.get(256)) * reader.integer(
        top.entries.get(257)
    ):
        raise DamageError("it is much larger than its picture can be")
    if 513 in fields or len(offsets) != len(sizes):
        return reader.data[8 : len(reader.data)]
    blocks = [reader.data[start : start + size] for start, size in zip(offsets, sizes, strict=True)]
    if any(len(block) < size for block, size in zip(blocks, sizes, strict=True)):
        raise DamageError("it ends before the picture is complete")
    places = [8]
    for size in sizes:
        places.append(places[-1] + size)
    fields[_OFFSETS[tiled]] = ifd.integers_field(ifd.LONG, reader.order, *places[:-1])
    return b"".join(blocks)


def _narrow(reader: Reader, entry: Entry) -> Field:
    """An entry as a field of a classic TIFF."""
    data = reader.value(entry)
    if entry.kind not in (16, 18):
        return Field(entry.kind, entry.count, data)
    values = reader.integers(entry)
    if max(values, default=0) > 0xFFFFFFFF:
        raise DamageError("it is larger than 4 GiB and compressed in a way that cannot be read")
    return ifd.integers_field(ifd.LONG, reader.order, *values)
