"""The samples of a BMP: palettes, run lengths, and bit fields of any mask.

Sources: Microsoft, "Bitmap Compression" and "BITMAPV5HEADER"; ImageMagick for runs that go beyond
a row (on into the next, which has its own runs or none) and for pixels that no run reaches (the
first colour).
"""

import struct

import numpy as np

from mirnet_cli.errors import InputError
from mirnet_cli.photo.codec import NUMBERS, Layout, Raster
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.raster import bands, upright
from mirnet_cli.photo.source import DamageError

_RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 1, 2, 3, 6
_OS2_V2 = (16, 64)
_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 24: (), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_NIBBLES = [bytes((value >> 4, value & 15)) for value in range(256)]


def decode(data: bytes, layout: Layout, orientation: int) -> Raster:
    """Decode the pixels of a file whose header has been read, upright.

    Raises:
        DamageError: what the header promises is not there.
        InputError: a kind that is not read.
    """
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        _, stored_height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression, used = 0, 0
    else:
        head = data[18 : 14 + size].ljust(36, b"\0")
        _, stored_height, _, depth, compression = struct.unpack_from("<iiHHI", head)
        (used,) = struct.unpack_from("<I", head, 28)
        if size == 16:
            compression, used = 0, 0
    if compression not in (0, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS) or (
        size in _OS2_V2 and compression in (_FIELDS, _ALPHA_FIELDS)
    ):
        raise InputError("its compression is not read", "save it again with another program")
    (start,) = struct.unpack_from("<I", data, 10)
    fields = compression in (_FIELDS, _ALPHA_FIELDS)
    turned = _Turned(layout, orientation, top_down=stored_height < 0)
    if depth > 8:
        masks = _masks(data, size, compression) if fields else _MASKS[depth]
        return turned.of_fields(_rows(data, start, layout, depth), depth, masks)
    if fields or (compression and depth != {_RLE8: 8, _RLE4: 4}[compression]):
        raise DamageError("its compression is not one for its depth")
    first = 14 + size
    table = _palette(data, first, start, 3 if size == 12 else 4, used or 1 << depth)
    if compression:
        indices = _unrolled(data[start:], layout, compression == _RLE4)
    else:
        rows = _rows(data, start, layout, depth)
        flags = np.unpackbits(rows, axis=1, count=layout.width * depth) if depth < 8 else rows
        indices = flags[:, : layout.width * depth] if depth < 8 else rows[:, : layout.width]
        if depth < 8:
            parts = indices.reshape(layout.height, layout.width, depth)
            indices = np.zeros(parts.shape[:2], np.uint8)
            for bit in range(depth):
                indices = indices << 1 | parts[..., bit]
    return turned.of_palette(indices, table)


def _rows(data: bytes, start: int, layout: Layout, depth: int) -> Array:
    """Rows of bytes as they are stored; padding behind the last may be missing."""
    stride = (layout.width * depth + 31) // 32 * 4
    needed = stride * layout.height
    found = np.frombuffer(data, np.uint8, min(needed, len(data) - start), start)
    if len(found) < needed:
        found = np.concatenate([found, np.zeros(needed - len(found), np.uint8)])
    return found.reshape(layout.height, stride)


def _masks(data: bytes, size: int, compression: int) -> tuple[int, ...]:
    """The masks of red, green, blue and alpha; they follow a header that has no place for them."""
    with_alpha = size >= 56 or compression == _ALPHA_FIELDS
    count = 4 if with_alpha else 3
    if len(data) < 54 + 4 * count:
        raise DamageError("it ends within its header")
    masks = struct.unpack_from(f"<{count}I", data, 54)
    return (*masks, 0)[:4]


def _palette(data: bytes, first: int, start: int, entry: int, count: int) -> Array:
    """Up to 256 colours x 3; as many as stand before the pixels."""
    room = max(0, min(start, len(data)) - first) // entry
    count = min(count, 256, room)
    if not count:
        raise DamageError("it has no palette")
    table = np.frombuffer(data, np.uint8, count * entry, first).reshape(count, entry)
    return table[:, 2::-1]


def _unrolled(data: bytes, layout: Layout, nibbles: bool) -> Array:
    """The indices of run-length coded rows.

    Raises:
        DamageError: the data ends before the last row does.
    """
    width, height = layout.width, layout.height
    out = bytearray(width * height)
    x = y = at = 0
    while y < height:
        code = data[at : at + 2]
        at += 2
        if len(code) < 2:
            if y * width + x >= len(out):
                break
            raise DamageError("it ends before the picture is complete")
        count, value = code
        if count == 0 and value == 0:
            x, y = 0, y + 1
            continue
        if count == 0 and value == 1:
            break
        if count == 0 and value == 2:
            step = data[at : at + 2]
            if len(step) < 2:
                raise DamageError("it ends before the picture is complete")
            x, y, at = x + step[0], y + step[1], at + 2
            continue
        if count:
            run = bytes((value,)) if not nibbles else _NIBBLES[value]
            run = (run * count)[:count]
        else:
            count = value
            stored = (count + 1) // 2 if nibbles else count
            run = data[at : at + stored]
            if len(run) < stored:
                raise DamageError("it ends before the picture is complete")
            if nibbles:
                run = b"".join(map(_NIBBLES.__getitem__, run))[:count]
            at += stored + stored % 2
        start = y * width + x
        room = max(0, min(count, len(out) - start))
        out[start : start + room] = run[:room]
        x += count
    return np.frombuffer(out, np.uint8).reshape(height, width)


class _Turned:
    """Puts rows that begin at the bottom, or not, into an upright picture."""

    def __init__(self, layout: Layout, orientation: int, *, top_down: bool) -> None:
        self.layout = layout
        self.orientation = orientation
        self.top_down = top_down

    def _new(self, channels: int, dtype: str) -> tuple[Array, Array]:
        layout = self.layout
        array, stored = upright(layout.height, layout.width, channels, dtype, self.orientation)
        return array, stored if self.top_down else stored[::-1]

    def of_palette(self, indices: Array, table: Array) -> Raster:
        """Grey where the palette is a ramp of greys, as Pillow has it; else RGB."""
        count = len(table)
        ramp = [0, 255] if count == 2 else np.arange(count)
        grey = count in (2, 256) and bool((table == np.array(ramp)[:, None]).all())
        if int(indices.max()) >= count:
            # As ImageMagick: what the palette does not have is its first colour.
            indices = np.where(indices < count, indices, 0)
        array, stored = self._new(1 if grey else 3, "uint8")
        looked = table[:, 0] if grey else table
        for top, bottom in bands(*indices.shape):
            stored[top:bottom] = looked[indices[top:bottom]]
        return Raster(array)

    def of_fields(self, rows: Array, depth: int, masks: tuple[int, ...]) -> Raster:
        """RGB, and alpha where a mask has a place for it; 16 bits if one is wider than 8."""
        width = self.layout.width
        if not masks:
            array, stored = self._new(3, "uint8")
            stored[...] = rows[:, : 3 * width].reshape(len(rows), width, 3)[..., ::-1]
            return Raster(array)
        words = rows.view("<u2" if depth == 16 else "<u4")[:, :width]
        spans = [_span(mask & ((1 << depth) - 1)) for mask in masks]
        dtype = "uint16" if max(bits for _, bits in spans) > 8 else "uint8"
        array, stored = self._new(3, dtype)
        alpha, stored_alpha = self._new(1, dtype) if spans[3][1] else (None, None)
        for top, bottom in bands(*words.shape):
            band = words[top:bottom].astype(np.uint32)
            for channel, (shift, bits) in enumerate(spans[:3]):
                stored[top:bottom, :, channel] = _field(band, shift, bits, dtype)
            if stored_alpha is not None:
                stored_alpha[top:bottom] = _field(band, *spans[3], dtype)
        return Raster(array, alpha)


def _span(mask: int) -> tuple[int, int]:
    """Where a mask begins, and how many bits it has (the highest 16 of more)."""
    if not mask:
        return 0, 0
    shift = (mask & -mask).bit_length() - 1
    bits = (mask >> shift).bit_length()
    return shift + max(0, bits - 16), min(bits, 16)


def _field(words: Array, shift: int, bits: int, dtype: str) -> Array:
    """A field over the whole range of a dtype; one without bits is 0."""
    if not bits:
        return np.zeros(words.shape, dtype)
    full = (1 << bits) - 1
    table = np.rint(np.arange(full + 1) * (NUMBERS[dtype] / full)).astype(dtype)
    found: Array = table[words >> np.uint32(shift) & np.uint32(full)]
    return found
