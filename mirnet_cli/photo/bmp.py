"""BMP. Source: Microsoft, "Bitmap Header Types" (BITMAPCOREHEADER to BITMAPV5HEADER)."""

import struct
from io import BytesIO

from mirnet_cli.photo import formats
from mirnet_cli.photo.codec import Capacity, Layout, OpenFile, Order, Raster
from mirnet_cli.photo.picture import Array, Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

CAPACITY = Capacity(frozenset({"dpi"}))

_MAX_PROFILE = 16 << 20
_UNCOMPRESSED = {0, 3, 6}


class File(OpenFile):
    """A BMP."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def header(self) -> Layout:
        """Read the information header, and see that the file is as long as its pixels need."""
        head = self._data[14:40]
        if len(head) < 12:
            raise DamageError("it ends within its header")
        size = int.from_bytes(head[:4], "little")
        if size == 12:
            width, height, _, depth = struct.unpack_from("<HHHH", head, 4)
            compression = 0
        elif len(head) < 20:
            raise DamageError("it ends within its header")
        elif size == 16:
            width, height, _, depth = struct.unpack_from("<iiHH", head, 4)
            compression = 0
        else:
            width, height, _, depth, compression = struct.unpack_from("<iiHHI", head, 4)
        height = abs(height)
        if compression in (4, 5) and size >= 40 and size != 64:  # OS/2 has a code of its own there
            raise formats.unreadable("a JPEG or PNG within a BMP")
        if width <= 0 or depth not in (1, 2, 4, 8, 16, 24, 32):
            raise DamageError("its header is not one of a BMP")
        start = int.from_bytes(self._data[10:14], "little")
        needed = (width * depth + 31) // 32 * 4 * height
        # Padding after the last row is missing in some files; whole rows are not.
        if compression in _UNCOMPRESSED and len(self._data) - start < needed - 3:
            raise DamageError("it ends before the picture is complete")
        return Layout(width, height)

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Read the resolution and the profile: BMP has nothing else."""
        head = self._data[14 : 14 + 124]
        if int.from_bytes(head[:4], "little") < 40 or len(head) < 40:
            return Metadata(), []
        across, down = struct.unpack_from("<ii", head, 24)
        dpi = (across * 0.0254, down * 0.0254) if across > 0 and down > 0 else None
        return Metadata(icc=_profile(self._data, head), dpi=dpi), []

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode whatever the header may say, as ImageMagick and browsers do."""
        from mirnet_cli.photo import bmp_pixels

        return bmp_pixels.decode(whole(self._data), layout, orientation)


def _profile(data: Data, head: bytes) -> bytes | None:
    """The profile that a header of version 5 says is embedded ("MBED")."""
    if int.from_bytes(head[:4], "little") != 124 or head[56:60] != b"DEBM":
        return None
    at, size = struct.unpack_from("<II", head, 112)
    return data[14 + at : 14 + at + min(size, _MAX_PROFILE)] or None


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with Pillow, 8 bits grey or 24 bits; with alpha here, which Pillow does not write."""
    if order.alpha is not None:
        return _with_alpha(order.pixels, order.alpha, order.metadata), []
    from mirnet_cli.photo.raster import to_pillow

    buffer = BytesIO()
    to_pillow(order.pixels, None).save(buffer, "BMP", dpi=order.metadata.dpi or (0, 0))
    return [buffer.getvalue()], []


def _with_alpha(pixels: Array, alpha: Array, metadata: Metadata) -> list[bytes]:
    """32 bits with a header of version 4, which has a mask for alpha."""
    import numpy as np

    height, width = pixels.shape[:2]
    rows = np.empty((height, width, 4), np.uint8)
    rows[..., :3] = pixels[::-1, :, None] if pixels.ndim == 2 else pixels[::-1, :, ::-1]
    rows[..., 3] = alpha[::-1]
    across, down = (round(value / 0.0254) for value in metadata.dpi or (0, 0))
    start = 14 + 108
    head = struct.pack("<2sIHHI", b"BM", start + rows.nbytes, 0, 0, start)
    head += struct.pack(
        "<IiiHHIIiiII", 108, width, height, 1, 32, 3, rows.nbytes, across, down, 0, 0
    )
    head += struct.pack("<4I4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")
    return [head.ljust(start, b"\0"), rows.tobytes()]
