"""JPEG XL, by imagecodecs' libjxl. What is around the codestream is read and written here.

Source: ISO/IEC 18181-2:2024 (container).
"""

import numpy as np

from mirnet_cli.photo import coded, exif, jxl_header
from mirnet_cli.photo.boxes import box, boxes
from mirnet_cli.photo.codec import Layout, Order, Raster
from mirnet_cli.photo.picture import Array, Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

DEPTHS = ("uint8", "uint16", "float32")
GREY = True
ALPHA = True
GREY_ALPHA = True
# No profile: imagecodecs writes sRGB alone.
HOLDS = frozenset({"exif", "xmp"})
MAX_SIDE = 1 << 18
PIECEMEAL = False

QUALITY = 90

MAX_METADATA = 16 << 20
"""Bytes a compressed box may unpack to."""

_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
_TYPE = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
_HEAD = 1 << 16


def _start(data: Data) -> bytes:
    """The beginning of the codestream."""
    if data[0:2] == b"\xff\x0a":
        return data[0:_HEAD]
    for name, body in boxes(data):
        if name == b"jxlc":
            return body[:_HEAD]
        if name == b"jxlp":
            return body[4 : 4 + _HEAD]
    raise DamageError("it has no codestream")


def header(data: Data) -> Layout:
    """Read the codestream's header; the size is that after rotation."""
    found = jxl_header.parse(_start(data))
    return Layout(found.width, found.height, turned=found.turn)


def metadata(data: Data) -> tuple[Metadata, list[str]]:
    """Read the boxes for EXIF and XMP, and the codestream's colours."""
    found = jxl_header.parse(_start(data))
    warnings: list[str] = []
    block: bytes | None = None
    packet: bytes | None = None
    unpacked: set[bytes] = set()
    if data[0:2] != b"\xff\x0a":
        for name, body in boxes(data):
            if name == b"brob":
                name, body = body[:4], body[4:]
                # One of a kind: each may take long to unpack.
                if name in (b"Exif", b"xml ") and name not in unpacked:
                    unpacked.add(name)
                    body = _unpacked(body, warnings)
                elif name in unpacked:
                    continue
            if name == b"Exif" and block is None and len(body) > 4:
                block = exif.without_prefix(body[4 + int.from_bytes(body[:4], "big") :])
            elif name == b"xml " and packet is None:
                packet = body or None
            elif name == b"jumb":
                warnings.append("content credentials (JUMBF) no longer hold and are not kept")
            elif name == b"jhgm":
                warnings.append("a gain map for high dynamic range is not kept")
    block = exif.of_turned(block, warnings)
    if found.animation:
        warnings.append("an animation: only its first picture was read")
    icc = None
    if found.icc:
        warnings.append("its colour profile cannot be read: the colours are taken as sRGB")
    else:
        icc = coded.from_points_or_refuse(found.primaries, found.transfer)
    return Metadata(exif=block, xmp=packet, icc=icc), warnings


def _unpacked(packed: bytes, warnings: list[str]) -> bytes:
    """What a brob box holds; nothing where it is damaged."""
    import imagecodecs

    try:
        return bytes(imagecodecs.brotli_decode(packed, out=MAX_METADATA))
    except imagecodecs.BrotliError:
        warnings.append("compressed metadata is damaged or too large and is not kept")
        return b""


def pixels(data: Data, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
    """Decode the first picture, upright."""
    import imagecodecs

    from mirnet_cli.photo.raster import unpremultiply

    found = jxl_header.parse(_start(data))
    samples: Array = imagecodecs.jpegxl_decode(whole(data), index=0)
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    warnings: tuple[str, ...] = ()
    if samples.dtype == np.float32:
        clipped = np.clip(np.nan_to_num(samples), 0, 1)
        if not np.array_equal(clipped, samples):
            warnings = ("samples outside 0..1 were clipped",)
        samples = clipped
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    colours = 3 if channels >= 3 else 1
    alpha = np.ascontiguousarray(samples[..., colours]) if channels > colours else None
    kept = samples if samples.ndim == 2 else samples[..., :colours]
    kept = kept[..., 0] if kept.ndim == 3 and colours == 1 else kept
    kept = np.ascontiguousarray(kept)
    if alpha is not None and found.premultiplied:
        unpremultiply(kept, alpha)
    return Raster(kept, alpha, lossless=not (found.xyb or _was_jpeg(data)), warnings=warnings)


def _was_jpeg(data: Data) -> bool:
    """Whether a JPEG can be had back out of it, whose samples had been coded with loss."""
    return data[0:2] != b"\xff\x0a" and any(name == b"jbrd" for name, _ in boxes(data))


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with imagecodecs: without loss if the input was so and no quality is given."""
    import imagecodecs

    samples = order.pixels
    if order.alpha is not None:
        grey = samples[..., None] if samples.ndim == 2 else samples
        samples = np.concatenate([grey, order.alpha[..., None]], axis=2)
    lossless = order.lossless and order.quality is None
    if samples.dtype != np.uint8 and not lossless:
        samples = _linear(samples, order.pixels.ndim)
    # As libjxl's JxlEncoderDistanceFromQuality does from quality 30 on.
    distance = 0.1 + (100 - max(order.quality or QUALITY, 30)) * 0.09
    stream = bytes(
        imagecodecs.jpegxl_encode(
            np.ascontiguousarray(samples),
            lossless=lossless,
            distance=None if lossless else distance,
            usecontainer=False,
        )
    )
    level = b""
    if stream[:2] != b"\xff\x0a":
        # libjxl insists on a container where a decoder has to be of level 10.
        found = dict(boxes(stream))
        level, stream = found.get(b"jxll", b""), found[b"jxlc"]
    stream = jxl_header.marked_as_srgb(stream)
    metadata = order.metadata
    further = []
    if level:
        further += box(b"jxll", level)
    if metadata.exif is not None:
        further += box(b"Exif", b"\0\0\0\0" + metadata.exif)
    if metadata.xmp is not None:
        further += box(b"xml ", metadata.xmp)
    if not further:
        return [stream], []
    return [_SIGNATURE, _TYPE, *further, *box(b"jxlc", stream)], []


def _linear(samples: Array, dimensions: int) -> Array:
    """Colours as linear light, which is what imagecodecs takes deep samples for; alpha stays."""
    from mirnet_cli.photo.raster import to_depth
    from mirnet_cli.photo.space import srgb_light

    colours = 3 if dimensions == 3 else 1
    part = samples if samples.ndim == 2 else samples[..., :colours]
    light = to_depth(srgb_light(to_depth(part, "float32")), samples.dtype.name)
    if part.shape == samples.shape:
        return light
    return np.concatenate([light, samples[..., colours:]], axis=2)
