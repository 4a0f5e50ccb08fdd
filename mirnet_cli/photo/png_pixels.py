"""The samples of a PNG: decoding by Pillow and OpenCV, encoding with all five row filters.

Neither library writes grey with alpha at 16 bits, so encoding is done here for all kinds.
Source: PNG Specification, third edition, sections 7.2, 9 and 12.7 (filter heuristic).
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.photo.codec import Order, Raster
from mirnet_cli.photo.deflate import compress_as_one
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.png_chunks import rebuilt
from mirnet_cli.photo.source import DamageError

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_BLOCK = 1 << 20
"""Bytes deflated at a time; fixed, so that the result does not depend on the machine."""


@dataclass(frozen=True)
class Head:
    """The content of IHDR."""

    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool

    @classmethod
    def parse(cls, body: bytes) -> "Head":
        """Read 13 bytes. Raises DamageError for a combination that does not exist."""
        width, height, depth, kind, packing, filtering, interlace = struct.unpack(">IIBBBBB", body)
        if depth not in _DEPTHS.get(kind, ()) or packing or filtering or interlace > 1:
            raise DamageError("its header is not one of a PNG")
        return cls(width, height, depth, kind, interlace == 1)

    @classmethod
    def of(cls, order: Order) -> "Head":
        """The header for pixels that are to be written."""
        height, width = order.pixels.shape[:2]
        kind = (2 if order.pixels.ndim == 3 else 0) + (0 if order.alpha is None else 4)
        return cls(width, height, 8 * order.pixels.dtype.itemsize, kind, False)

    def pack(self) -> bytes:
        """The 13 bytes."""
        return struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.kind, 0, 0, 0)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of samples, without the filter byte."""
        return (self.width * _CHANNELS[self.kind] * self.depth + 7) // 8


def decode(
    head: Head, essential: list[tuple[bytes, bytes]], orientation: int, icc: bytes | None
) -> Raster:
    """Decode from the critical chunks and tRNS.

    A transparent colour of grey and RGB pictures is applied here, at the depth it was given in:
    OpenCV applies it to some kinds only, Pillow without regard to depths below 8.
    """
    essential, transparent = _known_to_libpng(head, essential)
    key: tuple[int, ...] | None = None
    if head.kind != 3 and transparent is not None:
        # Of a number larger than samples are, the lower bits count (section 11.3.1.1).
        most = (1 << head.depth) - 1
        key = tuple(k & most for k in struct.unpack(f">{_CHANNELS[head.kind]}H", transparent))
    if not any(name == b"IDAT" for name, _ in essential):
        raise DamageError("it has no pixels")
    _check_stream(head, [body for name, body in essential if name == b"IDAT"])
    stream = rebuilt(essential)
    essential.clear()
    if head.depth == 16:
        raster = _decode_16(head, stream.getbuffer(), orientation)
    else:
        from PIL import PngImagePlugin

        from mirnet_cli.photo.raster import from_pillow

        image = PngImagePlugin.PngImageFile(stream)
        image.load()
        stream.close()
        raster = from_pillow(image, orientation, icc)
    if key is None:
        return raster
    from mirnet_cli.photo.raster import opaque_except

    scale = 1 if head.depth >= 8 else 255 // (2**head.depth - 1)
    return Raster(raster.pixels, opaque_except(raster.pixels, tuple(k * scale for k in key)))


def _known_to_libpng(
    head: Head, essential: list[tuple[bytes, bytes]]
) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """The chunks without those that libpng, and so nearly every program, leaves out; and tRNS.

    Raises:
        DamageError: the palette is missing, or not one.
    """
    kept: list[tuple[bytes, bytes]] = []
    palette: bytes | None = None
    transparent: bytes | None = None
    begun = False
    for name, body in essential:
        if name == b"PLTE" and head.kind == 3:
            if palette is not None or begun or not 0 < len(body) <= 768 or len(body) % 3:
                raise DamageError("its palette is not one of a PNG")
            palette = body
        elif name == b"tRNS":
            entries = len(palette or b"") // 3
            numbers = 2 * _CHANNELS[head.kind]
            fits = 0 < len(body) <= entries if head.kind == 3 else len(body) == numbers
            if begun or transparent is not None or head.kind in (4, 6) or not fits:
                continue
            transparent = body
            if head.kind != 3:
                continue
        elif name == b"PLTE":
            continue
        begun = begun or name == b"IDAT"
        kept.append((name, body))
    if head.kind == 3 and palette is None:
        raise DamageError("it has no palette")
    return kept, transparent


def _check_stream(head: Head, bodies: list[bytes]) -> None:
    """Unpack once to see that nothing is missing.

    Pillow takes missing rows for black ones, and libpng (OpenCV) writes to standard error.
    """
    inflater = zlib.decompressobj()
    stride = head.row_bytes + 1
    total = 0
    expected = head.height * stride
    try:
        for body in bodies:
            rest = body
            while rest and not inflater.eof:
                out = inflater.decompress(rest, _BLOCK)
                rest = inflater.unconsumed_tail
                if not head.interlaced and total < expected:
                    marks = np.frombuffer(out, np.uint8)[-total % stride :: stride]
                    marks = marks[: -(-(expected - total) // stride)]
                    if marks.size and marks.max() > 4:
                        raise DamageError("its compressed data is corrupt (an unknown filter)")
                total += len(out)
                if total > 2 * expected + 65536:
                    return  # more than there are pixels for; the decoder stops by itself
    except zlib.error as error:
        raise DamageError("its compressed data is corrupt") from error
    if total < (head.height * head.row_bytes if head.interlaced else expected):
        raise DamageError("it ends before the picture is complete")


def _decode_16(head: Head, stream: memoryview, orientation: int) -> Raster:
    import cv2

    from mirnet_cli.photo.raster import bands, upright

    found = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise DamageError("its pixels cannot be decoded")
    channels = 1 if found.ndim == 2 else found.shape[2]
    height, width = found.shape[:2]
    colours = 3 if head.kind in (2, 6) else 1
    pixels, stored = upright(height, width, colours, np.uint16, orientation)
    alpha, stored_alpha = None, None
    if head.kind in (4, 6):
        if channels != 4:
            raise DamageError("its pixels cannot be decoded")
        alpha, stored_alpha = upright(height, width, 1, np.uint16, orientation)
    for top, bottom in bands(height, width):
        band = found[top:bottom]
        if colours == 3:
            stored[top:bottom] = band[..., 2::-1]
        else:
            stored[top:bottom] = band if channels == 1 else band[..., 0]
        if stored_alpha is not None:
            stored_alpha[top:bottom] = band[..., 3]
    return Raster(pixels, alpha)


def encode(order: Order) -> Iterator[bytes]:
    """The contents of the IDAT chunks, one after another."""
    return compress_as_one(_filtered(order.pixels, order.alpha))


def _filtered(pixels: Array, alpha: Array | None) -> Iterator[bytes]:
    """Filtered rows in blocks of about a mebibyte."""
    height, width = pixels.shape[:2]
    channels = (3 if pixels.ndim == 3 else 1) + (0 if alpha is None else 1)
    step = channels * pixels.dtype.itemsize
    rows = max(1, _BLOCK // (width * step))
    above = np.zeros(width * step, np.uint8)
    for top in range(0, height, rows):
        band = pixels[top : top + rows].reshape(-1, width, channels - (alpha is not None))
        if alpha is not None:
            band = np.concatenate([band, alpha[top : top + rows, :, None]], axis=2)
        raw = np.ascontiguousarray(band, band.dtype.newbyteorder(">"))
        samples = raw.view(np.uint8).reshape(len(band), width * step)
        yield _filter(samples, above, step)
        above = samples[-1].copy()


def _filter(rows: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> bytes:
    """Filter each row in the way that leaves the smallest sum of absolute differences."""
    count, size = rows.shape
    up = np.vstack([above[None], rows[:-1]])
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    corner = np.zeros_like(rows)
    corner[:, step:] = up[:, :-step]
    out = np.empty((count, size + 1), np.uint8)
    best: NDArray[Any] = np.full(count, np.iinfo(np.int64).max)
    candidates: tuple[Callable[[], NDArray[np.uint8]], ...] = (
        lambda: rows,
        lambda: rows - left,
        lambda: rows - up,
        lambda: rows - ((left.astype(np.uint16) + up) >> 1).astype(np.uint8),
        lambda: rows - _paeth(left, up, corner),
    )
    for kind, candidate in enumerate(candidates):
        filtered = candidate()
        cost = np.minimum(filtered, -filtered).sum(axis=1, dtype=np.int64)
        better = cost < best
        best[better] = cost[better]
        out[better, 0] = kind
        out[better, 1:] = filtered[better]
    return out.tobytes()


def _paeth(
    left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Paeth's predictor (section 9.4): the neighbour nearest to left + up - corner."""
    a, b, c = (x.astype(np.int16) for x in (left, up, corner))
    to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, corner))
