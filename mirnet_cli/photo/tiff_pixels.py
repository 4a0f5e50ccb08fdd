"""The samples of a TIFF, at the depth they have.

Pillow cuts 16-bit RGB to 8 bits, and OpenCV knows few layouts. So strips and tiles of 8, 16 and
32-bit samples are put together here; where they are compressed in a way that zlib does not
know, Pillow's libtiff unpacks them as if they were rows of plain bytes. All other kinds (palette,
CMYK, YCbCr, bits, JPEG or fax compression) have 8 bits at most and are left to Pillow.
Source: TIFF 6.0 sections 3 to 15 and 18.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mirnet_cli.photo import tiff_libtiff, tiff_predictors
from mirnet_cli.photo.codec import Raster
from mirnet_cli.photo.ifd import Directory, Reader
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.raster import unpremultiply, upright
from mirnet_cli.photo.source import DamageError

_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773
_LZMA, _ZSTD = 34925, 50000
_UNPACKABLE = {_NONE, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS, _LZMA, _ZSTD}
_TOGETHER = 256
"""Strips or tiles that libtiff unpacks at a time."""


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
        return tiff_libtiff.decode(reader, top, orientation, icc)
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
    tiled = tiff_libtiff.OFFSETS[1] in top.entries
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
        offsets=reader.integers(top.entries.get(tiff_libtiff.OFFSETS[tiled])),
        sizes=reader.integers(top.entries.get(tiff_libtiff.SIZES[tiled])),
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
        if s.dtype.itemsize == 8:
            warnings.append(
                "floating-point samples of 64 bits became 32 bits, the most that is kept"
            )
        if s.dtype.kind == "f":
            warnings += _clip(pixels) + ([] if alpha is None else _clip(alpha))
        if s.inverted:
            np.subtract(_white(pixels), pixels, out=pixels)
        if premultiplied and alpha is not None:
            unpremultiply(pixels, alpha)
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
        samples = tiff_libtiff.unpack_rows(
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
            return tiff_predictors.floating(raw, shape, s.dtype.itemsize)
        samples = np.frombuffer(raw, s.dtype).reshape(shape)
        if s.predictor == 2 and s.dtype.kind == "u":
            return tiff_predictors.integers(samples)
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
