"""BMP. Source: Microsoft, "Bitmap Header Types" (BITMAPCOREHEADER to BITMAPV5HEADER)."""

import struct
from io import BytesIO

from mirnet_cli.photo.codec import Layout, Order, Raster
from mirnet_cli.photo.picture import Metadata
from mirnet_cli.photo.source import DamageError, Data

DEPTHS = ("uint8",)
GREY = True
ALPHA = False
HOLDS = frozenset({"dpi"})
MAX_SIDE = 2**31 - 1

_UNCOMPRESSED = {0, 3, 6}


def header(data: Data) -> Layout:
    """Read the information header, and see that the file is as long as its pixels need."""
    head = data[14:40]
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
    if width <= 0 or depth not in (1, 2, 4, 8, 16, 24, 32):
        raise DamageError("its header is not one of a BMP")
    start = int.from_bytes(data[10:14], "little")
    needed = (width * depth + 31) // 32 * 4 * height
    # Padding after the last row is missing in some files; whole rows are not.
    if compression in _UNCOMPRESSED and len(data) - start < needed - 3:
        raise DamageError("it ends before the picture is complete")
    return Layout(width, height)


def metadata(data: Data) -> tuple[Metadata, list[str]]:
    """Read the resolution: BMP has nothing else in common use."""
    head = data[14:54]
    if int.from_bytes(head[:4], "little") < 40 or len(head) < 32:
        return Metadata(), []
    across, down = struct.unpack_from("<ii", head, 24)
    if across <= 0 or down <= 0:
        return Metadata(), []
    return Metadata(dpi=(across * 0.0254, down * 0.0254)), []


def pixels(data: bytes, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
    """Decode with Pillow."""
    from PIL import BmpImagePlugin

    from mirnet_cli.photo.raster import from_pillow

    with BytesIO(data) as stream:
        return from_pillow(BmpImagePlugin.BmpImageFile(stream), orientation, None)


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with Pillow, 8 bits grey or 24 bits."""
    from mirnet_cli.photo.raster import to_pillow

    buffer = BytesIO()
    to_pillow(order.pixels, None).save(buffer, "BMP", dpi=order.metadata.dpi or (0, 0))
    return [buffer.getvalue()], []
