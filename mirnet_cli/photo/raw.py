"""Camera RAW, developed by rawpy's LibRaw. Read only: what is written is a TIFF.

Sources: LibRaw, "API datastruct" (sizes, output parameters); TIFF/EP (ISO 12234-2).
"""

import struct
from fractions import Fraction
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from mirnet_cli.photo import exif, ifd, isobmff, jpeg, raw_check, xmp
from mirnet_cli.photo.codec import Layout, OpenFile, Raster
from mirnet_cli.photo.ifd import Reader, Tree
from mirnet_cli.photo.picture import Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

if TYPE_CHECKING:
    import rawpy


_ABOUT = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298}
_ABOUT |= {exif.EXIF_POINTER, 0x8825, *range(0x9C9B, 0x9CA0)}
"""Tags that are about the photo; the others describe how the sensor's data is stored."""

_TAKEN = {0x829A, 0x829D, 0x8822, *range(0x8827, 0x8836), *range(0x9000, 0x9293)}
_TAKEN |= set(range(0xA000, 0xA500))
"""Tags of how the photo was taken, which TIFF/EP has in its first directory and EXIF in its own."""

_XMP, _IPTC = 700, 33723
_ISO, _TIME, _APERTURE, _LENGTH = 0x8827, 0x829A, 0x829D, 0x920A
_PRIVATE = 0xC634
_EXPOSURES = (0xC62A, 0xC7A5)
"""DNG's BaselineExposure and BaselineExposureOffset, in EV, of which LibRaw applies neither."""

_LEAST_EXPOSURE = 0.3
"""EV: the steps in which cameras are set are thirds; less is not what makes a photo too dark."""
_MOST_EXPOSURE = 20.0
"""EV: sunlight is not further from starlight; more is a damaged value."""
_RATIOS = {ifd.RATIONAL: "II", ifd.SRATIONAL: "ii"}
"""Both are read, whichever a writer takes for what is not negative."""

_PANASONIC_PREVIEW = 0x2E
"""JpgFromRaw: a whole JPEG, with all that the camera writes into its own."""

_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_PACKET = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The boxes of a CR3 with EXIF and with XMP (Laurent Clevy, "Canon CR3")."""

_FLIPS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
"""EXIF's orientation for each of LibRaw's (bits: mirror columns, mirror rows, swap both)."""


class File(OpenFile):
    """A camera RAW file."""

    def __init__(self, data: Data) -> None:
        self._data = data

    @cached_property
    def _checked(self) -> raw_check.LibRaw:
        return raw_check.LibRaw(whole(self._data))

    @cached_property
    def _raw(self) -> "rawpy.RawPy":
        import rawpy

        try:
            return rawpy.imread(BytesIO(whole(self._data)))
        except rawpy.LibRawError as error:
            raise DamageError(f"LibRaw cannot open it ({_text(error)})") from error

    def header(self) -> Layout:
        """Read the size of the developed picture, upright; nothing is developed by that."""
        self._checked.check_opening()
        sizes = self._raw.sizes
        width, height = sizes.iwidth or sizes.width, sizes.iheight or sizes.height
        if sizes.flip & 4 and (width, height) == (sizes.width, sizes.height):
            width, height = height, width
        return Layout(width, height, turned=_FLIPS.get(sizes.flip, 1))

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Take what is told of the photo out of its TIFF tags or boxes, else out of its preview.

        What the preview and the boxes do not tell of how it was taken is what LibRaw knows.
        """
        warnings: list[str] = []
        found = _from_tiff(self._data) or _from_boxes(self._data)
        block = None
        if found is not None and (preview := found[1].fields.get(_PANASONIC_PREVIEW)) is not None:
            block, packet, iptc = _of_jpeg(preview.data)
        elif found is None:
            block, packet, iptc = self._from_preview()
        if block is not None:
            # As it is: nothing in it moves.
            told = exif.in_srgb(block)
            return Metadata(exif=told, xmp=_undeveloped(packet, warnings), iptc=iptc), warnings
        if found is not None:
            order, tree, packet, iptc = found
            if _PRIVATE in tree.fields:
                warnings.append(
                    "DNG's private data (maker notes) belongs to the raw file and is not kept"
                )
            if abs(exposure := _baseline(tree, order)) >= _LEAST_EXPOSURE:
                warnings.append(
                    f"it asks for {exposure:+.3g} EV (DNG's BaselineExposure), which developing "
                    "leaves out; mirnet enhance --ev changes the light"
                )
            tree.fields = {tag: each for tag, each in tree.fields.items() if tag in _ABOUT}
        else:
            order, tree = "<", Tree()
        inner = tree.children.setdefault(exif.EXIF_POINTER, Tree())
        if _ISO not in inner.fields:
            _fill(self._checked.taken(), order, inner)
        if not inner.fields and not inner.children:
            del tree.children[exif.EXIF_POINTER]
        block = None
        if tree.fields or tree.children:
            # What the camera says of colours is of its own JPEG.
            block = exif.in_srgb(ifd.block(tree, order))
        else:
            warnings.append("its EXIF data cannot be read and is not kept")
        note = ifd.note_of(tree)
        packet = _undeveloped(packet, warnings)
        return Metadata(exif=block, xmp=packet, iptc=iptc, note_at=ifd.far_note_at(note)), warnings

    def _from_preview(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """EXIF, XMP and IPTC of the JPEG preview."""
        import rawpy

        if not self._checked.has_preview():
            return None, None, None
        try:
            preview = self._raw.extract_thumb()
            if preview.format != rawpy.ThumbFormat.JPEG:
                return None, None, None
        except rawpy.LibRawError:
            return None, None, None
        return _of_jpeg(preview.data)

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Develop to 16 bits of sRGB with the camera's white balance, upright, not brightened."""
        import rawpy

        self._checked.check()
        try:
            with self._raw as raw:
                if raw.raw_image is not None and not raw.raw_image.any():
                    raise DamageError("the sensor's data is empty")
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


def _text(error: Exception) -> str:
    found = error.args[0] if error.args else ""
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


_Found = tuple[str, Tree, bytes | None, bytes | None]
"""Byte order, tags, XMP and IPTC."""


def _from_tiff(data: Data) -> _Found | None:
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
    inner = tree.children.setdefault(exif.EXIF_POINTER, Tree())
    for tag in _TAKEN & tree.fields.keys():
        inner.fields.setdefault(tag, tree.fields[tag])
    blocks = [tree.fields[tag].data if tag in tree.fields else None for tag in (_XMP, _IPTC)]
    return reader.order, tree, blocks[0] or None, blocks[1] or None


def _baseline(tree: Tree, order: str) -> float:
    """By how many EV a DNG asks to be brightened."""
    total = 0.0
    for tag in _EXPOSURES:
        field = tree.fields.get(tag)
        if field is not None and field.kind in _RATIOS and len(field.data) == 8:
            over, under = struct.unpack(order + _RATIOS[field.kind], field.data)
            total += over / under if under else 0.0
    return total if abs(total) <= _MOST_EXPOSURE else 0.0


def _from_boxes(data: Data) -> _Found | None:
    """The tags of a CR3, which has a TIFF for each directory."""
    if data[4:8] != b"ftyp":
        return None
    found: dict[bytes, tuple[str, Tree]] = {}
    packet: bytes | None = None
    try:
        for name, body in isobmff.boxes(whole(data)):
            if name == b"uuid" and body[:16] == _PACKET:
                packet = body[16:].rstrip(b"\0") or None
            for inside, more in isobmff.boxes(body) if name == b"moov" else ():
                if inside == b"uuid" and more[:16] == _CANON:
                    for kind, block in isobmff.boxes(more[16:]):
                        if kind in (b"CMT1", b"CMT2", b"CMT4"):
                            reader = Reader(block)
                            found[kind] = reader.order, ifd.read_tree(reader, reader.first)[0]
    except DamageError:
        return None
    if b"CMT1" not in found:
        return None
    order, tree = found[b"CMT1"]
    for kind, pointer in ((b"CMT2", exif.EXIF_POINTER), (b"CMT4", 0x8825)):
        if kind in found and found[kind][0] == order:
            tree.children[pointer] = found[kind][1]
    return order, tree, packet, None


def _fill(known: raw_check.Taken, order: str, inner: Tree) -> None:
    """Add what LibRaw knows of how the photo was taken, where EXIF does not tell it."""
    if 0 < known.iso_speed <= 0xFFFF:
        inner.fields[_ISO] = ifd.integers_field(ifd.SHORT, order, round(known.iso_speed))
    for tag, value in (
        *((_TIME, known.shutter_speed), (_APERTURE, known.aperture)),
        (_LENGTH, known.focal_length),
    ):
        if tag not in inner.fields and 0 < value < 100_000:
            ratio = Fraction(value).limit_denominator(100_000 if tag == _TIME else 100)
            packed = struct.pack(order + "II", ratio.numerator, ratio.denominator)
            inner.fields[tag] = ifd.Field(ifd.RATIONAL, 1, packed)


def _undeveloped(packet: bytes | None, warnings: list[str]) -> bytes | None:
    """The XMP packet without the settings of a raw developer: they are for the sensor's data."""
    if packet is None:
        return None
    kept = xmp.without(packet, "http://ns.adobe.com/camera-raw-settings/1.0/")
    if kept != packet:
        warnings.append("Camera Raw settings in XMP belong to the raw file and are not kept")
    return kept


def _of_jpeg(data: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    try:
        found = jpeg.File(data).metadata()[0]
        block = None if found.exif is None else exif.upright(found.exif)
    except DamageError:
        return None, None, None
    return block, found.xmp, found.iptc
