"""AVIF, by Pillow's libavif.

Sources: AV1 Image File Format 1.1; ISO/IEC 23008-12 (irot, imir); ISO/IEC 23000-22 (clap).
"""

import struct
from io import BytesIO
from typing import TYPE_CHECKING

from mirnet_cli.photo import cicp, exif, isobmff
from mirnet_cli.photo.codec import Layout, Order, Raster
from mirnet_cli.photo.picture import Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

if TYPE_CHECKING:
    from PIL import AvifImagePlugin, Image

DEPTHS = ("uint8",)
GREY = True
ALPHA = True
GREY_ALPHA = False
HOLDS = frozenset({"exif", "xmp", "icc"})
MAX_SIDE = 65535
PIECEMEAL = False

_HEAD = 1 << 16
"""Bytes in which the boxes before the pixels are looked for."""

_THREADS = 8
"""Fixed: with one thread libaom writes other bytes than with several."""

QUALITY = 90
"""AVIF does not state the quality it was written with; from here on it is 4:4:4."""


def _open(data: Data) -> "AvifImagePlugin.AvifImageFile":
    from PIL import AvifImagePlugin

    from mirnet_cli.photo.pillow import tamed

    try:
        with tamed():
            return AvifImagePlugin.AvifImageFile(BytesIO(whole(data)))
    except (OSError, ValueError, SyntaxError) as error:
        raise DamageError("it cannot be parsed") from error


def header(data: Data) -> Layout:
    """Parse the container; no pixel is decoded by that. The size is that of what is shown."""
    image = _open(data)
    size, stored, part = image.size, image.size, None
    cut = isobmff.cut(whole(data))
    # libavif takes parts of whole pixels alone.
    if cut is not None and cut.part is not None and cut.exact and cut.stored == image.size:
        part = cut.part
        size = part[2:]
    # Pillow gives the rotation (irot, imir) as EXIF's orientation, whatever the file has there.
    turn = exif.orientation(_exif(image)) or 1
    width, height = size if turn < 5 else size[::-1]
    frames = getattr(image, "n_frames", 1)
    return Layout(width, height, frames, turned=turn, crop=part, stored=stored)


def _exif(image: "AvifImagePlugin.AvifImageFile") -> bytes | None:
    block = image.info.get("exif")
    return None if block is None else exif.without_prefix(block)


def metadata(data: Data) -> tuple[Metadata, list[str]]:
    """Take what libavif found. The picture is turned by the container, so EXIF's turn is reset."""
    image = _open(data)
    warnings: list[str] = []
    # Where rotation and EXIF differ, Pillow has written EXIF anew, and not all of it.
    block = isobmff.stored_exif(whole(data))
    block = _exif(image) if block is None else exif.without_prefix(block)
    block = exif.of_turned(block, warnings)
    warnings += isobmff.maps(whole(data))
    if isobmff.has_video(whole(data)):
        warnings.append(isobmff.VIDEO)
    if (cut := isobmff.cut(whole(data))) is not None and not cut.exact:
        warnings.append(isobmff.CROP)
    icc = image.info.get("icc_profile") or _coded(data)
    shape = isobmff.aspect(whole(data))
    return Metadata(exif=block, xmp=image.info.get("xmp"), icc=icc, aspect=shape), warnings


def _coded(data: Data) -> bytes | None:
    """The profile for colours that are told by numbers (colr box, type nclx)."""
    head = data[0:_HEAD]
    at = head.find(b"colrnclx")
    if at < 0 or at + 12 > len(head):
        return None
    return cicp.from_points_or_refuse(*struct.unpack_from(">HH", head, at + 8))


def pixels(data: Data, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
    """Decode the first frame with Pillow, which gives 8 bits whatever the file has, and all of it
    whatever part is shown."""
    from mirnet_cli.photo.raster import from_pillow

    image: Image.Image = _open(data)
    if layout.crop is not None:
        x, y, width, height = layout.crop
        image = image.crop((x, y, x + width, y + height))
    raster = from_pillow(image, layout.turned, None)
    warnings = ("its 10 or 12 bits were read as 8",) if _deep(whole(data)) else ()
    return Raster(raster.pixels, raster.alpha, warnings=warnings)


def _deep(data: bytes) -> bool:
    """Whether the AV1 configuration says high_bitdepth (AV1-ISOBMFF section 2.3.3)."""
    at = data.find(b"av1C", 0, 1 << 20)
    return 0 <= at < len(data) - 7 and data[at + 4] == 0x81 and bool(data[at + 6] & 0x40)


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with Pillow; cut into tiles by size alone, so that threads change no byte."""
    from mirnet_cli.photo.raster import to_pillow

    metadata = order.metadata
    quality = order.quality or QUALITY
    block = metadata.exif
    if block is not None:
        # Pillow would write a block with this tag anew, and not all of it.
        block = exif.without_orientation(block)
    image = to_pillow(order.pixels, order.alpha)
    split = 0 if image.width * image.height < 2_000_000 else 1
    options: dict[str, object] = {} if image.mode.startswith("L") else {"subsampling": "4:4:4"}
    buffer = BytesIO()
    image.save(
        buffer,
        "AVIF",
        quality=quality,
        autotiling=False,
        max_threads=_THREADS,
        tile_rows=split,
        tile_cols=split,
        icc_profile=metadata.icc or b"",
        exif=block or b"",
        xmp=metadata.xmp or b"",
        **(options if quality >= QUALITY else {}),
    )
    image.close()
    return [buffer.getvalue()], []
