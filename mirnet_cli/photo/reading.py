"""From a file to a photo."""

from importlib import import_module
from typing import cast

from mirnet_cli.errors import InputError, MirnetError, OutOfMemoryError
from mirnet_cli.files import reason
from mirnet_cli.photo import exif, formats, xmp
from mirnet_cli.photo.codec import Codec, Layout, OpenFile, OtherFormatError, Raster
from mirnet_cli.photo.options import MAX_PIXELS
from mirnet_cli.photo.picture import Header, Metadata, Photo
from mirnet_cli.photo.source import DamageError, Data, opened, whole
from mirnet_cli.places import Place

_UNKNOWN = ("unsupported", "unknown pixel mode", "cannot handle", "not implemented")
"""What Pillow says of files that are whole but of a rare kind."""

_TURN_THEMSELVES = {"AVIF", "HEIC", "JXL", "RAW"}
_MAX_BYTES_PER_PIXEL = 16
_ANOTHER = "use another copy"
_MAX_OVERHEAD = 256 << 20


def codec_of(format: str) -> Codec:
    """The module that reads and writes a format."""
    return cast(Codec, import_module(f"mirnet_cli.photo.{formats.FORMATS[format].module}"))


def probe(source: Place | bytes, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Read what a file says of itself, decoding nothing.

    Args:
        source: a path, or the content itself.
        max_pixels: pictures with more are refused.

    Raises:
        InputError: missing, not a regular file, not a picture of :data:`READABLE`, damaged so
            far that its header cannot be read, or too large.
    """
    subject = None if isinstance(source, bytes) else source
    format = None
    with opened(source) as data:
        try:
            format, file, layout = _opened(data, max_pixels)
            turn = _turn(format, file.metadata()[0])
        except Exception as error:
            raise _explained(error, subject, format) from error
    return _header(format, layout, turn)


def decode(source: Place | bytes, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo with everything its file carries.

    Args:
        source: a path, or the content itself.
        max_pixels: pictures with more are refused before anything is decoded.

    Returns:
        Upright pixels at the file's own depth (8 bits for less), alpha if there is any,
        metadata whose orientation is 1. A palette becomes RGB, CMYK and L*a*b* become sRGB. What
        could not be kept is in ``warnings``.

    Raises:
        InputError: as :func:`probe`, or the pixels are cut short or corrupt.
        OutOfMemoryError: the pixels do not fit into memory.
    """
    subject = None if isinstance(source, bytes) else source
    format = None
    with opened(source) as data:
        try:
            format, file, layout = _opened(data, max_pixels)
            if not file.piecemeal:
                _take_whole(data, layout)
            metadata, turn, warnings = _metadata(format, file)
            raster = _pixels(file, layout, metadata, turn)
        except Exception as error:
            raise _explained(error, subject, format) from error
    metadata, colour_warnings = _fitting(metadata, raster)
    misplaced: tuple[str, ...] = ()
    if layout.crop is not None:
        from mirnet_cli.photo.regions import moved
        from mirnet_cli.photo.view import View

        metadata, misplaced = moved(metadata, View(*layout.stored, crop=layout.crop))
    if turn != 1 or layout.turned != 1:
        from mirnet_cli.photo.regions import moved
        from mirnet_cli.photo.view import View

        sides = (layout.width, layout.height)
        if layout.turned >= 5:
            sides = sides[::-1]
        view = View(*sides, layout.turned if turn == 1 else turn)
        metadata, further = moved(metadata, view)
        misplaced = tuple(dict.fromkeys((*misplaced, *further)))
    if layout.frames > 1:
        rest = layout.frames - 1
        warnings.append(
            f"only the first of {layout.frames} pictures in the file was read; "
            f"{rest} {'is' if rest == 1 else 'are'} left out"
        )
    return Photo(
        pixels=raster.pixels,
        alpha=raster.alpha,
        header=_header(format, layout, turn),
        metadata=metadata,
        jpeg=raster.jpeg,
        lossless=raster.lossless,
        warnings=(*warnings, *raster.warnings, *colour_warnings),
        misplaced=misplaced,
    )


def _take_whole(data: Data, layout: Layout) -> None:
    """Have the file in memory, if it is not absurdly large for its picture."""
    limit = _MAX_BYTES_PER_PIXEL * layout.width * layout.height + _MAX_OVERHEAD
    if len(data) > limit:
        raise InputError("the file is much larger than its picture can be", _ANOTHER)
    whole(data)


def _opened(data: Data, max_pixels: int) -> tuple[str, OpenFile, Layout]:
    format = formats.recognise(data[0 : formats.HEAD])
    try:
        try:
            file = _here(format).File(data)
            layout = file.header()
        except OtherFormatError as other:
            format = str(other)
            file = _here(format).File(data)
            layout = file.header()
    except Exception as error:
        raise _explained(error, None, format) from error
    pixels = layout.width * layout.height
    if layout.width <= 0 or layout.height <= 0:
        raise InputError(f"damaged {format} file: it has no pixels", _ANOTHER)
    if pixels > max_pixels:
        raise InputError(
            f"{layout.width}x{layout.height} pixels are more than --max-pixels allows",
            f"if the picture is genuine, use --max-pixels {-(-pixels // 1_000_000)}M",
        )
    return format, file, layout


def _here(format: str) -> Codec:
    """The codec of a format, if its library is installed."""
    entry = formats.FORMATS[format]
    if missing := entry.missing:
        raise InputError(f"{_CALLED[format]} needs {missing.name}", missing.remedy)
    return codec_of(format)


_CALLED = {
    "AVIF": "an AVIF picture",
    "HEIC": "an HEIC picture",
    "JXL": "a JPEG XL picture",
    "RAW": "a camera RAW file",
}


def _turn(format: str, metadata: Metadata) -> int:
    """The orientation, 1 to 8: EXIF's, else that of XMP in a PNG without EXIF.

    There Adobe's programs leave it, and have no other place for it. In other formats it may be what
    a program left that has turned the pixels: browsers take no notice of it. Some formats have an
    orientation of their own, and their codecs turn by that.
    """
    turn = exif.orientation(metadata.exif)
    if turn is None and format == "PNG" and metadata.exif is None:
        turn = xmp.orientation(metadata.xmp)
    return turn or 1


def _metadata(format: str, file: OpenFile) -> tuple[Metadata, int, list[str]]:
    """Everything beside the pixels, the orientation as it was, and what was damaged.

    This reads the container alone and hands nothing to a decoder: Pillow, asked for EXIF before
    the pixels, passes over damage in them.
    """
    from dataclasses import replace

    metadata, warnings = file.metadata()
    turn = _turn(format, metadata)
    said = None if format in _TURN_THEMSELVES else xmp.orientation(metadata.xmp)
    if said not in (None, turn) and exif.orientation(metadata.exif) is None:
        warnings.append(
            f"only XMP says that the picture is turned (orientation {said}): it was not"
        )
    if metadata.exif is not None:
        try:
            damaged = exif.check(metadata.exif)
            metadata = replace(metadata, exif=exif.upright(metadata.exif))
            if damaged:
                warnings.append("some of the EXIF data is damaged; it is kept as it is")
        except DamageError:
            warnings.append("the EXIF data is damaged and is not kept")
            metadata = replace(metadata, exif=None)
    return metadata, turn, warnings


def _pixels(file: OpenFile, layout: Layout, metadata: Metadata, turn: int) -> Raster:
    from mirnet_cli.photo.pillow import tamed

    with tamed():
        raster = file.pixels(layout, metadata, turn)
    sides = (layout.width, layout.height) if turn >= 5 else (layout.height, layout.width)
    if raster.pixels.shape[:2] != sides:
        raise DamageError("its pixels and its header disagree about the size")
    return raster


def _fitting(metadata: Metadata, raster: Raster) -> tuple[Metadata, list[str]]:
    """Drop a profile that the pixels have gone through, or that is not for such pixels."""
    from dataclasses import replace

    from mirnet_cli.photo.colour import kind_of

    if raster.profile_used:
        return replace(metadata, icc=None, exif=exif.in_srgb(metadata.exif)), []
    if metadata.icc is None:
        return metadata, []
    space = kind_of(metadata.icc)
    if space is None:
        return replace(metadata, icc=None), ["the colour profile is damaged and is not kept"]
    if space == "RGB" or (space == "GRAY" and raster.pixels.ndim == 2):
        return metadata, []
    kind = "grey" if raster.pixels.ndim == 2 else "RGB"
    return replace(metadata, icc=None), [
        f"the colour profile is for {space} pixels, not {kind}, and is not kept"
    ]


def _header(format: str, layout: Layout, turn: int) -> Header:
    width, height = layout.width, layout.height
    if turn >= 5:
        width, height = height, width
    return Header(format, width, height, layout.frames)


def _explained(error: Exception, subject: Place | None, format: str | None) -> MirnetError:
    """An error about this input, in one line, whatever a codec raised.

    Decoders fed with hostile files raise nearly anything; all of it means the same to a user.
    """
    if isinstance(error, MirnetError):
        return type(error)(error.what, error.remedy, subject=subject or error.subject)
    if isinstance(error, MemoryError):
        return OutOfMemoryError("its pixels do not fit into memory", subject=subject)
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"cannot be read: {reason(error)}", subject=subject)
    text = str(error)
    if any(word in text.lower() for word in _UNKNOWN):
        return InputError(
            f"a kind of {format} file that this tool does not read",
            "save it again with another program",
            subject=subject,
        )
    if not isinstance(error, DamageError):
        text = "its pixels cannot be decoded"
    return InputError(f"damaged {format} file: {text}", _ANOTHER, subject=subject)
