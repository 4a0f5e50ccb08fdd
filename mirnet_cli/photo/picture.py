"""A photo in memory: pixels, and everything else its file carried."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""uint8, uint16 or float32 samples; see :class:`Photo` for the shapes."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before anything is decoded.

    Attributes:
        format: a name of :data:`mirnet_cli.photo.READABLE`.
        width, height: in pixels, upright (after the orientation tag).
        frames: how many pictures the file holds; the first is the photo.
    """

    format: str
    width: int
    height: int
    frames: int = 1


@dataclass(frozen=True)
class Part:
    """A piece of a file kept as it is, for an output of the same format.

    Attributes:
        format: whose piece it is.
        kind: a PNG or WebP chunk's name, a JPEG segment's marker ("APP4").
        data: its content, without length and checksum.
    """

    format: str
    kind: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Metadata:
    """What a file carries beside its pixels, as the bytes it was stored in.

    Attributes:
        exif: a TIFF structure ("II*" or "MM"), without the "Exif" prefix; orientation 1.
        xmp: the packet, normally UTF-8 XML.
        icc: the colour profile.
        iptc: an IPTC-IIM stream.
        dpi: pixels an inch, across and down.
        aspect: how many pixels there are across and down in the same length, where no unit is
            given and they differ.
        comment: a comment's bytes, UTF-8 where the format says so.
        resources: Photoshop image resources ("8BIM" blocks) other than IPTC and thumbnails.
        parts: what only the same format can hold.
        note_at: where the maker's note was in its file, if that is too far off for ``exif``, so
            that what it has inside cannot be found there.
    """

    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    icc: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    dpi: tuple[float, float] | None = None
    aspect: tuple[int, int] | None = None
    comment: bytes | None = None
    resources: bytes | None = field(default=None, repr=False)
    parts: tuple[Part, ...] = ()
    note_at: int | None = None


def shape_of(across: float, down: float) -> tuple[int, int] | None:
    """:attr:`Metadata.aspect` of two densities; None where they are equal, or beyond 16 bits."""
    if across <= 0 or down <= 0:
        return None
    ratio = (Fraction(across) / Fraction(down)).limit_denominator(1000)
    usual = 0 < ratio.numerator <= 0xFFFF and ratio != 1
    return (ratio.numerator, ratio.denominator) if usual else None


@dataclass(frozen=True)
class JpegSettings:
    """How a JPEG was compressed.

    Attributes:
        tables: quantisation tables of 64 steps in natural order, one for each component
            (the last holds for all further ones).
        subsampling: "4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "4:1:0", or the factors as found.
        progressive: whether it was stored in several scans.
        rgb: whether its components are R, G and B, and not YCbCr.
    """

    tables: tuple[tuple[int, ...], ...] = field(repr=False)
    subsampling: str
    progressive: bool
    rgb: bool = False


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: HxW (grey) or HxWx3 (RGB); uint8, uint16 over their whole range, or float32 in
            0..1; C-contiguous; upright. In the colours of ``metadata.icc``.
        alpha: HxW of the same dtype, straight (not premultiplied), or None.
        header: of the file it came from; the size is that of the pixels.
        metadata: the rest of the file.
        jpeg: how it was compressed, if it was a JPEG of a usual kind.
        lossless: whether a WebP or JPEG XL was stored without loss.
        warnings: what was lost or doubtful in reading.
        misplaced: what in the metadata no longer fits the pixels; said when it is written.
    """

    pixels: Array = field(repr=False)
    alpha: Array | None = field(repr=False)
    header: Header
    metadata: Metadata
    jpeg: JpegSettings | None = None
    lossless: bool = False
    warnings: tuple[str, ...] = ()
    misplaced: tuple[str, ...] = ()

    def with_pixels(self, pixels: Array, alpha: Array | None = None) -> "Photo":
        """The same photo with other pixels, of any size, and their alpha (None: opaque)."""
        height, width = pixels.shape[:2]
        header = replace(self.header, width=width, height=height)
        return replace(self, pixels=pixels, alpha=alpha, header=header)


@dataclass(frozen=True)
class Encoded:
    """A photo as the bytes of a file, and what was lost on the way."""

    data: bytes = field(repr=False)
    warnings: tuple[str, ...] = ()
    media_type: str = "image"
