"""From a photo to the bytes of a file."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from mirnet_cli.errors import OutputError
from mirnet_cli.photo import exif, formats, ifd, png_chunks, xmp
from mirnet_cli.photo.codec import Codec, Order
from mirnet_cli.photo.colour import kind_of
from mirnet_cli.photo.options import QUALITY_UNUSED, WriteOptions
from mirnet_cli.photo.picture import Array, Encoded, Header, Metadata, Photo
from mirnet_cli.photo.reading import codec_of
from mirnet_cli.photo.source import DamageError

_NAMES = {
    "exif": "EXIF data",
    "xmp": "XMP data",
    "icc": "the colour profile",
    "iptc": "IPTC data",
    "aspect": "the shape of its pixels",
    "comment": "the comment",
    "resources": "Photoshop data",
}


def encode(
    photo: Photo,
    options: WriteOptions | None = None,
    *,
    provenance: Mapping[str, str] | None = None,
    **named: Any,
) -> Encoded:
    """Make a file of a photo, with all the metadata it has.

    EXIF and XMP are brought up to date with the pixels: dimensions, orientation, thumbnail.
    A JPEG input's tables and sampling are used again, lossless WebP and JPEG XL stay so, depth
    stays where the format has it; every loss is in ``warnings``.

    Args:
        photo: what to write.
        options: how. With ``strip`` all metadata is left out but what the colours need: profile,
            and PNG's equivalents.
        provenance: what was done, recorded in XMP unless stripped; "tool" and free keys.
        **named: options by their names, in the place of those of ``options``.

    Raises:
        OutputError: the format cannot hold a picture of this size.
        UsageError: there is no such format.
    """
    options = WriteOptions.of(options, named)
    height, width = photo.pixels.shape[:2]
    name = format_for(photo.header, width, height, options.format_name)
    codec = codec_of(name)
    warnings: list[str] = []
    if options.quality is not None and formats.FORMATS[name].lossless:
        warnings.append(f"{QUALITY_UNUSED}: {name} is lossless")
    photo = _with_colours(photo, codec, name, warnings)
    pixels, alpha, metadata = _shaped(photo, codec, name, warnings)
    if options.strip:
        parts = (p for p in metadata.parts if p.format == "PNG")
        colour = tuple(p for p in parts if p.kind.encode() in png_chunks.COLOUR)
        metadata = Metadata(icc=metadata.icc, parts=colour)
    else:
        warnings += photo.misplaced
        done = provenance if "xmp" in codec.CAPACITY.metadata else None
        metadata = _current(metadata, pixels, done, warnings)
    metadata = _holdable(metadata, codec, name, warnings)
    again = name == photo.header.format
    lossless = photo.lossless and again
    order = Order(pixels, alpha, metadata, options, photo.jpeg, lossless, again)
    try:
        pieces, lost = codec.write(order)
    except DamageError as error:
        raise OutputError(f"cannot be written as {name}: {error}", "use --format png") from error
    return Encoded(b"".join(pieces), (*warnings, *lost), formats.FORMATS[name].media_type)


def format_for(header: Header, width: int, height: int, format: str | None) -> str:
    """The name of the format that a photo with this header is written in, at this size.

    Args:
        header: of the photo.
        width, height: of what is written, in pixels.
        format: the name of the one asked for; None is the photo's own.

    Raises:
        OutputError: the format cannot hold a picture of this size.
    """
    name = format or formats.FORMATS[header.format].written or header.format
    limit = codec_of(name).CAPACITY.max_side
    if max(height, width) > limit:
        raise OutputError(
            f"{name} holds at most {limit} pixels a side, and these are {width}x{height}",
            "use --format png",
        )
    return name


def _with_colours(photo: Photo, codec: Codec, name: str, warnings: list[str]) -> Photo:
    """The photo with its colours told in the way the format has: a profile, or sRGB pixels."""
    from mirnet_cli.photo import cicp, raster
    from mirnet_cli.photo.space import space_of_photo

    metadata = photo.metadata
    if name != "PNG" and metadata.icc is None:
        made, doubt = cicp.from_png(metadata.parts)
        if not doubt:
            rest = tuple(part for part in metadata.parts if part.kind not in cicp.PNG_CHUNKS)
            if photo.pixels.ndim == 2 and made is not None:
                space, _ = space_of_photo(photo)
                if space is not None:
                    warnings.append(f"grey was converted to that of sRGB: {name} has no gAMA")
                    photo = photo.with_pixels(raster.in_srgb(photo.pixels, space), photo.alpha)
                made = None
            photo = replace(photo, metadata=replace(metadata, icc=made, parts=rest))
    if photo.metadata.icc is None or "icc" in codec.CAPACITY.metadata:
        return photo
    space, _ = space_of_photo(photo)
    if space is not None:
        warnings.append(f"colours were converted to sRGB: {name} holds no profile")
        photo = photo.with_pixels(raster.in_srgb(photo.pixels, space), photo.alpha)
        block = exif.in_srgb(photo.metadata.exif)
        photo = replace(photo, metadata=replace(photo.metadata, icc=None, exif=block))
    return photo


def _shaped(
    photo: Photo, codec: Codec, name: str, warnings: list[str]
) -> tuple[Array, Array | None, Metadata]:
    """Pixels in a depth and with the channels that the codec writes."""
    from mirnet_cli.photo import raster
    from mirnet_cli.photo.space import space_of_photo

    pixels, alpha, metadata = photo.pixels, photo.alpha, photo.metadata
    holds = codec.CAPACITY
    depth = pixels.dtype.name
    if depth not in holds.depths:
        target = "uint16" if "uint16" in holds.depths else "uint8"
        bits = {"uint16": "16 bits", "float32": "floating-point samples"}[depth]
        warnings.append(f"{bits} became {target[4:]} bits, which is what {name} holds")
        pixels = raster.to_depth(pixels, target)
        alpha = None if alpha is None else raster.to_depth(alpha, target)
    if alpha is not None and not holds.alpha:
        warnings.append(f"transparency became white: {name} has none")
        pixels, alpha = raster.on_white(pixels, alpha), None
    space = None if metadata.icc is None else kind_of(metadata.icc)
    if pixels.ndim == 2 and not (holds.grey if alpha is None else holds.grey_alpha):
        if space == "GRAY":
            own, _ = space_of_photo(photo)
            pixels = pixels if own is None else raster.in_srgb(pixels, own)
            metadata = replace(metadata, icc=None)
            grey = "grey with transparency" if holds.grey else "grey"
            warnings.append(f"grey became sRGB, and its profile is not kept: {name} has no {grey}")
        pixels = pixels[..., None].repeat(3, axis=2)
    elif (space == "GRAY" and pixels.ndim == 3) or (
        # PNG alone forbids this one (section 11.3.2.3); elsewhere it is seen and understood.
        space == "RGB" and pixels.ndim == 2 and name == "PNG"
    ):
        metadata = replace(metadata, icc=None)
        kind = "grey" if pixels.ndim == 2 else "RGB"
        warnings.append(f"the {space} colour profile does not fit {kind} pixels and is not kept")
    return pixels, alpha, metadata


def _current(
    metadata: Metadata,
    pixels: Array,
    provenance: Mapping[str, str] | None,
    warnings: list[str],
) -> Metadata:
    """EXIF and XMP as they have to be for these pixels."""
    from mirnet_cli.photo.raster import small_jpeg

    height, width = pixels.shape[:2]
    block = metadata.exif
    if block is not None:
        try:
            block = exif.resized(block, width, height, lambda room: small_jpeg(pixels, room))
        except DamageError as error:
            warnings.append(f"the EXIF data is damaged and is not kept: {error}")
            block = None
    packet = metadata.xmp
    if packet is not None:
        packet = xmp.updated(packet, width, height)
        if xmp.is_out_of_date(packet):
            warnings.append("the XMP data is damaged or of an unusual kind: it stays as it was")
    if provenance is not None:
        recorded = xmp.recorded(packet, provenance)
        if recorded is None:
            warnings.append("the XMP data is of an unusual kind: what was done is not recorded")
        else:
            packet = recorded
    return replace(metadata, exif=block, xmp=packet)


def _without(metadata: Metadata, field: str) -> Metadata:
    values = {item.name: getattr(metadata, item.name) for item in fields(metadata)}
    return Metadata(**{**values, field: None})


def _holdable(metadata: Metadata, codec: Codec, name: str, warnings: list[str]) -> Metadata:
    """Metadata without what the format has no place for."""
    kept, holds = metadata, codec.CAPACITY.metadata
    for field, meaning in _NAMES.items():
        if getattr(metadata, field) is not None and field not in holds:
            warnings.append(f"{meaning} cannot be kept in {name}")
            kept = _without(kept, field)
    if kept.exif is not None and kept.note_at is not None and name != "TIFF":
        warnings.append(ifd.NOTE_LOST)
        kept = replace(kept, exif=exif.without_note(kept.exif))
    if metadata.dpi is not None and "dpi" not in holds:
        if not ("exif" in holds and exif.has_resolution(metadata.exif)):
            warnings.append(f"the resolution (dpi) cannot be kept in {name}")
        kept = replace(kept, dpi=None)
    own = tuple(part for part in metadata.parts if part.format == name and "parts" in holds)
    lost = sorted(
        {f"{p.format} {p.kind}" for p in metadata.parts} - {f"{p.format} {p.kind}" for p in own}
    )
    if lost:
        warnings.append(f"parts of the file cannot be kept in {name}: {', '.join(lost)}")
    return replace(kept, parts=own)
