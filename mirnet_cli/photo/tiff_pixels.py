"""The samples of a TIFF, at the depth they have.

Whatever the photometric interpretation, depth, planes, strips or tiles: each strip or tile is
unpacked into bytes (:mod:`.tiff_segments`), its bytes become samples, and these are put in their
places here. Colours other than grey and RGB are converted by :mod:`.tiff_colours` afterwards.
Old-style JPEG alone, whose parts lie all over the file, is left to libtiff as a whole.
Source: TIFF 6.0 sections 3 to 23; libtiff for what its sections leave open.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mirnet_cli.errors import InputError
from mirnet_cli.photo import tiff_colours, tiff_libtiff, tiff_predictors, tiff_segments
from mirnet_cli.photo.codec import NUMBERS, Raster
from mirnet_cli.photo.ifd import Directory, Reader
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.raster import unpremultiply, upright
from mirnet_cli.photo.source import DamageError
from mirnet_cli.photo.tiff_segments import Packing

_OLD_JPEG, _JPEG = 6, 7
_GREY, _RGB, _PALETTE, _SEPARATED, _YCBCR = (0, 1, 4), 2, 3, 5, 6
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3}
_NAMES = {10: "ITU L*a*b*", 32844: "LogL", 32845: "LogLuv"}
_STORAGE = {
    *range(256, 260), 262, 266, 273, *range(277, 280), 284, 292, 293, 317, 320, *range(322, 326),
    332, 338, 339, 347, *range(512, 522), *range(529, 533),
}  # fmt: skip
"""Tags that say how the pixels are stored."""

_FLOATS = {16: "f2", 24: "f4", 32: "f4", 64: "f8"}
_WIDE = (24, 32)
"""Bits of whole numbers of which the upper 16 are kept."""

_CONVERT = "convert it to 8 or 16 bits, grey or RGB"
_AT_A_TIME = 1 << 20
"""Pixels whose bits are taken apart at a time."""


@dataclass(frozen=True)
class _Storage:
    """How the samples of a picture lie in the file."""

    width: int
    height: int
    bits: tuple[int, ...]
    photometric: int
    dtype: np.dtype[Any]
    predictor: int
    planar: bool
    extra: tuple[int, ...]
    subsampling: tuple[int, int]
    block_width: int
    block_height: int
    tiled: bool
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def channels(self) -> int:
        return len(self.bits)

    @property
    def colours(self) -> int:
        return _COLOURS[self.photometric]


def decode(reader: Reader, top: Directory, orientation: int, icc: bytes | None) -> Raster:
    """Decode the picture of a directory, upright.

    Raises:
        DamageError: what the directory promises is not there, or contradicts itself.
        InputError: it is of a kind that photos do not have, or that is not read.
    """
    if top.lost & _STORAGE:
        raise DamageError("what it says of how its pixels are stored lies outside the file")
    compression = reader.integer(top.entries.get(259), 1)
    tiff_segments.check(compression)
    if compression == _OLD_JPEG:
        return tiff_libtiff.decode(reader, top, tiff_segments.spans(reader, top), orientation, icc)
    packing = Packing.of(reader, top)
    return _Assembly(reader, top, _storage(reader, top, packing), packing).raster(orientation, icc)


def _storage(reader: Reader, top: Directory, packing: Packing) -> _Storage:
    def number(tag: int, default: int = 0) -> int:
        return reader.integer(top.entries.get(tag), default)

    bits = reader.integers(top.entries.get(258)) or (1,)
    channels = number(277, max(len(bits), 3 if number(262) == _RGB else 1))
    if not 0 < channels <= 64:
        raise InputError(f"it has {channels} channels, which photos do not have", _CONVERT)
    photometric = number(262, _RGB if channels >= 3 else 1)
    if photometric not in _COLOURS:
        name = _NAMES.get(photometric, f"number {photometric}")
        raise InputError(f"its colours ({name}) are not of a kind that is read", _CONVERT)
    if photometric == _SEPARATED and (number(332, 1) != 1 or channels < 4):
        raise InputError("its inks are not those of CMYK", _CONVERT)
    if channels < _COLOURS[photometric]:
        raise DamageError(f"its colours need more than {channels} channels")
    bits = (*bits, *bits[-1:] * channels)[:channels]
    formats = set(reader.integers(top.entries.get(339))[:channels]) or {1}
    planar = number(284, 1) == 2 and channels > 1
    subsampling = (1, 1)
    if photometric == _YCBCR and packing.compression == _JPEG and not planar:
        photometric = _RGB  # libjpeg has converted it
    elif photometric == _YCBCR:
        given = reader.integers(top.entries.get(530))
        across, down = given[:2] if len(given) > 1 else (2, 2)
        if across not in (1, 2, 4) or down not in (1, 2, 4):
            raise DamageError("its chroma samples stand for no area")
        subsampling = across, down
    width, height = number(256), number(257)
    tiled = number(322) > 0
    offsets, sizes = tiff_segments.spans(reader, top)
    strip_height = min(number(278, height) or height, height)
    if not tiled and packing.compression == tiff_segments.NONE and subsampling == (1, 1):
        row_bytes = (width * sum(bits[: 1 if planar else channels]) + 7) // 8
        strip_height = _strip_height(
            height, strip_height, row_bytes, len(offsets) // (channels if planar else 1), sizes
        )
    return _Storage(
        width=width,
        height=height,
        bits=bits,
        photometric=photometric,
        dtype=_dtype(reader.order, bits, formats, photometric),
        predictor=number(317, 1) if packing.predicts else 1,
        planar=planar,
        extra=reader.integers(top.entries.get(338)),
        subsampling=subsampling,
        block_width=number(322) if tiled else width,
        block_height=number(323) if tiled else strip_height,
        tiled=tiled,
        offsets=offsets,
        sizes=sizes,
    )


def _strip_height(
    height: int, said: int, row_bytes: int, strips: int, sizes: tuple[int, ...]
) -> int:
    """Rows of an uncompressed strip: what fits into one, where there are more than said."""
    if said and row_bytes and sizes and strips > -(-height // said):
        fitting = sizes[0] // row_bytes
        if fitting and -(-height // fitting) == strips:
            return fitting
    return said


def _dtype(order: str, bits: tuple[int, ...], formats: set[int], photometric: int) -> np.dtype[Any]:
    """What samples are read as: floats, bytes, or numbers of 16 bits (for 9 to 16) or 32."""
    most = max(bits)
    if formats == {3} and set(bits) <= {most} and most in _FLOATS:
        if photometric in (*_GREY, _RGB):
            return np.dtype(order + _FLOATS[most])
        raise InputError("its colours in floating-point samples are not read", _CONVERT)
    # 4 is "undefined": every reader takes such samples for unsigned numbers.
    if (
        formats <= {1, 4}
        and set(bits) <= {most}
        and most in _WIDE
        and photometric in (*_GREY, _RGB)
    ):
        return np.dtype(order + "u4")
    if not formats <= {1, 4} or not 0 < min(bits) <= most <= 16:
        signs = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
        sign = signs.get(max(formats), "")
        raise InputError(
            f"its samples are {sign}{most}-bit numbers, which photos do not have", _CONVERT
        )
    if photometric == _YCBCR and set(bits) != {8}:
        raise InputError("its YCbCr colours of other than 8 bits are not read", _CONVERT)
    return np.dtype(np.uint8 if most <= 8 else order + "u2")


@dataclass(frozen=True)
class _Block:
    """A strip or tile: which channels, where it lands, and how it is stored.

    ``across`` and ``down`` say for how many pixels a sample of it stands (chroma planes), or how
    many pixels share the chroma of a group (``grouped``); width and rows are in pixels.
    """

    index: int
    channels: slice
    top: int
    left: int
    width: int
    rows: int
    across: int = 1
    down: int = 1
    grouped: bool = False

    def stored(self, bits: tuple[int, ...]) -> tuple[int, int]:
        """Bytes a row, and rows, as they are stored."""
        across, down = -(-self.width // self.across), -(-self.rows // self.down)
        if self.grouped:
            return across * (self.across * self.down + 2), down
        return (across * sum(bits[self.channels]) + 7) // 8, down


class _Assembly:
    """Puts a picture together from its strips or tiles."""

    def __init__(self, reader: Reader, top: Directory, storage: _Storage, packing: Packing) -> None:
        self.reader = reader
        self.top = top
        self.storage = storage
        self.packing = packing
        s = storage
        if not 0 < s.block_width < 1 << 31 or not 0 < s.block_height < 1 << 31:
            raise DamageError("its tiles have no size")
        pixel = sum(s.bits) / 8
        if s.block_width * s.block_height * pixel > 4 * (s.width * s.height * pixel + (64 << 20)):
            raise DamageError("its tiles are much larger than the picture")

    def raster(self, orientation: int, icc: bytes | None) -> Raster:
        s = self.storage
        alpha_at, premultiplied, warnings = _roles(s)
        native = s.dtype.newbyteorder("=")
        if s.dtype.kind == "f":
            native = np.dtype(np.float32)
        elif s.dtype.itemsize == 4:
            native = np.dtype(np.uint16)
            warnings.append(f"its {s.bits[0]} bits were read as 16, the most that is kept")
        plain = s.photometric in (*_GREY, _RGB)
        # What has to be converted is gathered as it lies; all else lands turned.
        turn = orientation if plain else 1
        pixels, stored = upright(s.height, s.width, s.colours, native, turn)
        alpha, stored_alpha = (
            (None, None) if alpha_at is None else upright(s.height, s.width, 1, native, orientation)
        )
        if empty := sum(map(self._is_empty, self._blocks())):
            warnings.append(f"{empty} of its strips or tiles are not stored: they are 0")
        for block, samples in self._decoded():
            rows = min(block.rows, s.height - block.top)
            columns = min(block.width, s.width - block.left)
            area = (
                slice(block.top, block.top + rows),
                slice(block.left, block.left + columns),
            )
            for channel in range(block.channels.start, block.channels.stop):
                values = samples[:rows, :columns, channel - block.channels.start]
                with np.errstate(over="ignore"):  # 64 bits that are beyond 32 are infinite
                    if channel < s.colours:
                        target = stored if s.colours == 1 else stored[..., channel]
                        target[area] = values
                    elif stored_alpha is not None and channel == alpha_at:
                        stored_alpha[area] = values
        if s.dtype.itemsize == 8:
            warnings.append(
                "floating-point samples of 64 bits became 32 bits, the most that is kept"
            )
        if s.dtype.kind == "f":
            warnings += _clip(pixels) + ([] if alpha is None else _clip(alpha))
        if s.photometric == 0:
            np.subtract(pixels.dtype.type(NUMBERS[native.name]), pixels, out=pixels)
        if premultiplied and alpha is not None and s.photometric != _PALETTE:
            straight = stored_alpha if not plain else alpha
            assert straight is not None
            unpremultiply(pixels, straight)
        if plain:
            return Raster(pixels, alpha, warnings=tuple(warnings))
        colours = tiff_colours.Colours(self.reader, self.top, s.photometric)
        return colours.raster(pixels, alpha, orientation, icc, tuple(warnings))

    def _blocks(self) -> Iterator[_Block]:
        s = self.storage
        across = -(-s.width // s.block_width)
        down = -(-s.height // s.block_height)
        planes = s.channels if s.planar else 1
        count = across * down * planes
        if len(s.offsets) < count:
            raise DamageError("its table of strips is too short")
        for index in range(count):
            plane, rest = divmod(index, across * down)
            row, column = divmod(rest, across)
            top = row * s.block_height
            rows = s.block_height if s.tiled else min(s.block_height, s.height - top)
            channels = slice(plane, plane + 1) if s.planar else slice(0, s.channels)
            # Planes apart: the second and third are of fewer samples.
            shared = s.subsampling if not s.planar or plane in (1, 2) else (1, 1)
            grouped = not s.planar and shared != (1, 1)
            left = column * s.block_width
            yield _Block(index, channels, top, left, s.block_width, rows, *shared, grouped)

    def _is_empty(self, block: _Block) -> bool:
        """Whether it is not stored, as GDAL leaves out what is empty ("sparse files")."""
        s = self.storage
        return (
            not s.offsets[block.index]
            and block.index < len(s.sizes)
            and not s.sizes[block.index]
            and any(s.sizes)
        )

    def _decoded(self) -> Iterator[tuple[_Block, Array]]:
        for block in filter(self._is_empty, self._blocks()):
            yield (
                block,
                np.zeros(
                    (block.rows, block.width, block.channels.stop - block.channels.start), np.uint8
                ),
            )
        blocks = (
            (block, *self._packed(block)) for block in self._blocks() if not self._is_empty(block)
        )
        for block, raw in tiff_segments.unpacked(blocks, self.packing):
            yield block, self._samples(block, raw)

    def _packed(self, block: _Block) -> tuple[bytes, int, int]:
        """The bytes of a block as they are in the file, and what :meth:`_Block.stored` says."""
        s = self.storage
        row_bytes, rows = block.stored(s.bits)
        start, size = s.offsets[block.index], 0
        if self.packing.compression == tiff_segments.NONE:
            size = row_bytes * rows
        elif block.index < len(s.sizes):
            size = s.sizes[block.index]
        if not size:
            # The tag is missing or empty: up to the next one, as libtiff has it.
            later = bisect_right(self.in_order, start)
            ends = (*self.in_order[later : later + 1], len(self.reader.data))
            size = ends[0] - start
        packed = self.reader.data[start : start + size]
        if len(packed) < size or size <= 0 or not start:
            raise DamageError("it ends before the picture is complete")
        return packed, row_bytes, rows

    @cached_property
    def in_order(self) -> list[int]:
        """The places of all strips or tiles, from the first to the last."""
        return sorted(self.storage.offsets)

    def _samples(self, block: _Block, raw: bytes) -> Array:
        """Rows x width x channels in pixels, over the whole range of a byte or 16 bits."""
        s = self.storage
        if block.grouped:
            if s.channels != 3 or s.predictor != 1:
                raise InputError("its subsampled colours are stored in a way not read", _CONVERT)
            return _ungrouped(block, raw)
        bits = s.bits[block.channels]
        width, rows = -(-block.width // block.across), -(-block.rows // block.down)
        shape = (rows, width, len(bits))
        order = s.dtype.byteorder
        if s.predictor == 3 and s.dtype.kind == "f":
            raw, order = tiff_predictors.floating(raw, shape, bits[0] // 8), ">"
            if bits[0] != 24:
                return np.frombuffer(raw, f">f{bits[0] // 8}").reshape(shape)
        if bits[0] == 24 and s.predictor in (1, 3):
            samples = _from_triples(raw, shape, order)
            return _from_float24(samples) if s.dtype.kind == "f" else samples >> 8
        if set(bits) == {8 * s.dtype.itemsize}:
            samples = np.frombuffer(raw, s.dtype).reshape(shape)
            if s.predictor == 2:
                samples = tiff_predictors.integers(samples)
        else:
            samples = _from_bits(raw, shape, bits)
        if s.predictor not in (1, 2) or (s.predictor == 2 and bits[0] < 8):
            raise InputError(f"its predictor {s.predictor} is not one for its samples", _CONVERT)
        if s.dtype.kind != "f" and s.dtype.itemsize == 4:
            return samples >> 16
        if s.dtype.kind != "f":
            samples = self._scaled(samples, block)
        if block.across > 1 or block.down > 1:
            samples = samples.repeat(block.down, axis=0).repeat(block.across, axis=1)
        return samples

    def _scaled(self, samples: Array, block: _Block) -> Array:
        """Samples of odd depths over the whole range; indices of a palette as they are."""
        s = self.storage
        most = 8 * s.dtype.itemsize
        tables = [
            None
            if bits == most or (s.photometric == _PALETTE and channel == 0)
            else _stretched(bits, s.dtype)
            for channel, bits in enumerate(s.bits)
        ][block.channels]
        if not any(table is not None for table in tables):
            return samples
        return np.stack(
            [
                samples[..., index] if table is None else table[samples[..., index]]
                for index, table in enumerate(tables)
            ],
            axis=-1,
        )


def _stretched(bits: int, dtype: np.dtype[Any]) -> Array:
    """A table from samples of so many bits to those of a dtype, white to white."""
    white = NUMBERS[dtype.newbyteorder("=").name]
    table: Array = np.rint(np.arange(1 << bits) * (white / ((1 << bits) - 1)))
    return table.astype(dtype.newbyteorder("="))


def _from_bits(raw: bytes, shape: tuple[int, int, int], bits: tuple[int, ...]) -> Array:
    """Samples of any number of bits up to 16, the highest bit first, each row from a new byte."""
    rows, width, channels = shape
    lines = np.frombuffer(raw, np.uint8).reshape(rows, -1)
    pixel = sum(bits)
    out = np.zeros(shape, np.uint8 if max(bits) <= 8 else np.uint16)
    step = max(1, _AT_A_TIME // width)
    for start in range(0, rows, step):
        band = lines[start : start + step]
        flags = np.unpackbits(band, axis=1, count=width * pixel).reshape(len(band), width, pixel)
        at = 0
        for channel in range(channels):
            values = out[start : start + step, :, channel]
            for _ in range(bits[channel]):
                values <<= 1
                values |= flags[..., at]
                at += 1
    return out


def _from_triples(raw: bytes, shape: tuple[int, int, int], order: str) -> Array:
    """Samples of three bytes each."""
    parts = np.frombuffer(raw, np.uint8).reshape(*shape, 3)
    out: Array = np.zeros(shape, np.uint32)
    for part in (0, 1, 2) if order == ">" else (2, 1, 0):
        out <<= np.uint32(8)
        out |= parts[..., part]
    return out


def _from_float24(samples: Array) -> Array:
    """Floats of a sign, 7 bits of exponent (bias 63) and 16 of fraction, as 32-bit ones."""
    exponent = samples >> 16 & 0x7F
    fraction = samples & 0xFFFF
    found: Array = ((samples & 0x800000) << 8 | (exponent + 64) << 23 | fraction << 7).view("f4")
    found[exponent == 0x7F] = np.nan
    tiny = exponent == 0
    found[tiny] = np.ldexp(fraction[tiny].astype(np.float32), -62 - 16)
    return found


def _ungrouped(block: _Block, raw: bytes) -> Array:
    """YCbCr whose groups are stored as their luminances, then one Cb and one Cr (section 21)."""
    across, down = block.across, block.down
    shape = (-(-block.rows // down), -(-block.width // across), across * down + 2)
    groups = np.frombuffer(raw, np.uint8).reshape(shape)
    out = np.empty((shape[0] * down, shape[1] * across, 3), np.uint8)
    for y in range(down):
        for x in range(across):
            part = out[y::down, x::across]
            part[..., 0] = groups[..., y * across + x]
            part[..., 1:] = groups[..., -2:]
    return out


def _roles(s: _Storage) -> tuple[int | None, bool, list[str]]:
    """Which channel is alpha, whether it is premultiplied; and warnings."""
    extras = s.channels - s.colours
    kinds = list(s.extra[:extras])
    if extras and not kinds:
        kinds = [2]  # the tag is missing: a fourth (or second) channel is alpha to every reader
    alpha = next((index for index, kind in enumerate(kinds) if kind in (1, 2)), None)
    lost = extras - (alpha is not None)
    warnings = [f"{lost} extra channels without a meaning are not kept"] if lost else []
    if alpha is None:
        return None, False, warnings
    return s.colours + alpha, kinds[alpha] == 1, warnings


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
