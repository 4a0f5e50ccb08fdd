"""Camera RAW, developed by rawpy's LibRaw. Read only: what is written is a TIFF.

Sources: LibRaw, "API datastruct" (sizes, output parameters); TIFF/EP (ISO 12234-2).
"""

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from mirnet_cli.photo import exif, ifd, jpeg
from mirnet_cli.photo.codec import Layout, Order, Raster
from mirnet_cli.photo.ifd import Reader
from mirnet_cli.photo.picture import Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

if TYPE_CHECKING:
    import rawpy

DEPTHS = ()
GREY = True
ALPHA = False
GREY_ALPHA = False
HOLDS: frozenset[str] = frozenset()
MAX_SIDE = 0
PIECEMEAL = False

_ABOUT = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, exif.EXIF_POINTER, 0x8825}
"""Tags that are about the photo; the others describe how the sensor's data is stored."""

_FLIPS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
"""EXIF's orientation for each of LibRaw's (bits: mirror columns, mirror rows, swap both)."""


def _open(data: Data) -> "rawpy.RawPy":
    import rawpy

    try:
        return rawpy.imread(BytesIO(whole(data)))
    except rawpy.LibRawError as error:
        raise DamageError(f"LibRaw cannot open it ({_text(error)})") from error


def _text(error: Exception) -> str:
    found = error.args[0] if error.args else ""
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def header(data: Data) -> Layout:
    """Read the size of the developed picture, upright; nothing is developed by that."""
    with _open(data) as raw:
        sizes = raw.sizes
        width, height = sizes.iwidth or sizes.width, sizes.iheight or sizes.height
        if sizes.flip & 4 and (width, height) == (sizes.width, sizes.height):
            width, height = height, width
    return Layout(width, height, turned=_FLIPS.get(sizes.flip, 1))


def metadata(data: Data) -> tuple[Metadata, list[str]]:
    """Take EXIF from the file, if it is a kind of TIFF, else from the JPEG preview in it."""
    warnings: list[str] = []
    block = _from_tiff(data) or _from_preview(data)
    if block is None:
        warnings.append("its EXIF data cannot be read and is not kept")
    # What the camera says of colours is of its own JPEG.
    return Metadata(exif=exif.in_srgb(block)), warnings


def _from_tiff(data: Data) -> bytes | None:
    head = data[0:8]
    if head[:2] not in (b"II", b"MM"):
        return None
    try:
        # Olympus and Panasonic have magic numbers of their own.
        version = b"*\0" if head[:2] == b"II" else b"\0*"
        reader = Reader(head[:2] + version + data[4 : len(data)])
        tree, _ = ifd.read_tree(reader, reader.first)
    except DamageError:
        return None
    tree.fields = {tag: kept for tag, kept in tree.fields.items() if tag in _ABOUT}
    if not tree.fields and not tree.children:
        return None
    return ifd.header(reader.order, 8) + ifd.build(tree, reader.order, 8)


def _from_preview(data: Data) -> bytes | None:
    import rawpy

    try:
        with _open(data) as raw:
            preview = raw.extract_thumb()
        if preview.format != rawpy.ThumbFormat.JPEG:
            return None
        block = jpeg.metadata(preview.data)[0].exif
        return None if block is None else exif.upright(block)
    except (rawpy.LibRawError, DamageError):
        return None


def pixels(data: Data, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
    """Develop to 16 bits of sRGB with the camera's white balance, upright, nothing brightened."""
    import rawpy

    try:
        with _open(data) as raw:
            developed = raw.postprocess(
                output_bps=16,
                use_camera_wb=True,
                no_auto_bright=True,
                gamma=(2.4, 12.92),
                output_color=rawpy.ColorSpace.sRGB,
            )
    except rawpy.LibRawError as error:
        raise DamageError(f"LibRaw cannot develop it ({_text(error)})") from error
    return Raster(np.ascontiguousarray(developed))


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Nothing writes camera RAW."""
    raise DamageError("it cannot be written")
