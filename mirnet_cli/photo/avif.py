"""AVIF, by Pillow's libavif.

Sources: AV1 Image File Format 1.1; ISO/IEC 23008-12 (irot, imir); ISO/IEC 23000-22 (clap).
"""

import struct
from io import BytesIO
from typing import TYPE_CHECKING

from mirnet_cli.photo import cicp, exif, isobmff
from mirnet_cli.photo.codec import Capacity, Layout, OpenFile, Order, Raster
from mirnet_cli.photo.picture import Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

if TYPE_CHECKING:
    from PIL import Image

CAPACITY = Capacity(frozenset({"exif", "xmp", "icc"}), max_side=65535)

_HEAD = 1 << 16
"""Bytes in which the boxes before the pixels are looked for."""

_THREADS = 8
"""Fixed: with one thread libaom writes other bytes than with several."""

_SPEED = 8
"""Of libaom. Pillow's own is 6, which takes three to five times as long, for files 3 to 4 % smaller
(docs/measurements.md)."""

QUALITY = 90
"""AVIF does not state the quality it was written with; from here on it is 4:4:4."""


class File(OpenFile):
    """An AVIF."""

    def __init__(self, data: Data) -> None:
        from PIL import AvifImagePlugin

        from mirnet_cli.photo.pillow import tamed

        self._data = whole(data)
        self._boxes = isobmff.Container(self._data)
        try:
            with tamed():
                self._image = AvifImagePlugin.AvifImageFile(BytesIO(self._data))
        except (OSError, ValueError, SyntaxError) as error:
            raise DamageError("it cannot be parsed") from error

    def header(self) -> Layout:
        """Look at the container; no pixel is decoded by that. The size is that of what is shown."""
        size = stored = self._image.size
        part = None
        cut = self._boxes.cut()
        # libavif takes parts of whole pixels alone.
        if cut is not None and cut.part is not None and cut.exact and cut.stored == stored:
            part = cut.part
            size = part[2:]
        # Pillow gives the rotation (irot, imir) as EXIF's orientation, whatever the file has there.
        turn = exif.orientation(self._exif()) or 1
        width, height = size if turn < 5 else size[::-1]
        frames = getattr(self._image, "n_frames", 1)
        return Layout(width, height, frames, turned=turn, crop=part, stored=stored)

    def _exif(self) -> bytes | None:
        block = self._image.info.get("exif")
        return None if block is None else exif.without_prefix(block)

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Take what libavif found. The container turns the picture, so EXIF's turn is reset."""
        warnings: list[str] = []
        # Where rotation and EXIF differ, Pillow has written EXIF anew, and not all of it.
        block = self._boxes.stored_exif()
        block = self._exif() if block is None else exif.without_prefix(block)
        block = exif.of_turned(block, warnings)
        warnings += self._boxes.beside()
        if (cut := self._boxes.cut()) is not None and not cut.exact:
            warnings.append(isobmff.CROP)
        info = self._image.info
        icc = info.get("icc_profile") or _coded(self._data)
        shape = self._boxes.aspect()
        return Metadata(exif=block, xmp=info.get("xmp"), icc=icc, aspect=shape), warnings

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode the first frame with Pillow, which gives 8 bits whatever the file has, and all of
        it whatever part is shown."""
        from mirnet_cli.photo.raster import from_pillow

        image: Image.Image = self._image
        if layout.crop is not None:
            x, y, width, height = layout.crop
            image = image.crop((x, y, x + width, y + height))
        raster = from_pillow(image, layout.turned, None)
        warnings = ("its 10 or 12 bits were read as 8",) if _deep(self._data) else ()
        return Raster(raster.pixels, raster.alpha, warnings=warnings)


def _coded(data: bytes) -> bytes | None:
    """The profile for colours that are told by numbers (colr box, type nclx)."""
    head = data[:_HEAD]
    at = head.find(b"colrnclx")
    if at < 0 or at + 12 > len(head):
        return None
    return cicp.from_points_or_refuse(*struct.unpack_from(">HH", head, at + 8))


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
        speed=_SPEED,
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
