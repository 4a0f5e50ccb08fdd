"""JPEG XL, by imagecodecs' libjxl. What is around the codestream is read and written here.

Source: ISO/IEC 18181-2:2024 (container).
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mirnet_cli.errors import InputError
from mirnet_cli.photo import cicp, exif, jxl_header
from mirnet_cli.photo.codec import NUMBERS, Capacity, Layout, OpenFile, Order, Raster
from mirnet_cli.photo.isobmff import box, boxes, spans
from mirnet_cli.photo.picture import Array, Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

if TYPE_CHECKING:
    from mirnet_cli.photo.space import Space

CAPACITY = Capacity(
    frozenset({"exif", "xmp", "icc"}),
    depths=("uint8", "uint16", "float32"),
    max_side=1 << 18,
    grey_alpha=True,
)

QUALITY = 90

MAX_METADATA = 16 << 20
"""Bytes a compressed box may unpack to."""

CONVERTED = "the colours were converted to sRGB: its profile is not made of curves and a matrix"

_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
_TYPE = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
_HEAD = 1 << 16
_TOLD = {b"brob", b"Exif", b"xml ", b"jumb", b"jhgm"}
"""Boxes with something beside the pixels."""


class File(OpenFile):
    """A JPEG XL."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._bare = data[0:2] == b"\xff\x0a"

    def _codestream(self, most: int | None = None) -> bytes:
        """The codestream, or as much of its beginning."""
        data = self._data
        if self._bare:
            return data[0 : len(data) if most is None else most]
        pieces: list[bytes] = []
        for name, start, end in spans(data):
            if name == b"jxlc":
                return data[start : end if most is None else min(end, start + most)]
            if name == b"jxlp":
                pieces.append(data[start + 4 : end])
                if most is not None and sum(map(len, pieces)) >= most:
                    break
        if not pieces:
            raise DamageError("it has no codestream")
        return b"".join(pieces)[:most]

    @cached_property
    def _head(self) -> jxl_header.Head:
        return jxl_header.parse(self._codestream(_HEAD))

    @cached_property
    def _boxes(self) -> list[tuple[bytes, int, int]]:
        """All of them, where there is a container."""
        return [] if self._bare else list(spans(self._data))

    def header(self) -> Layout:
        """Read the codestream's header; the size is that after rotation."""
        return Layout(self._head.width, self._head.height, turned=self._head.turn)

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Read the boxes for EXIF and XMP, and the codestream's colours."""
        found = self._head
        warnings: list[str] = []
        block: bytes | None = None
        packet: bytes | None = None
        unpacked: set[bytes] = set()
        for name, start, end in self._boxes:
            if name not in _TOLD:
                continue
            body = self._data[start:end]
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
                warnings.append("content credentials (JUMBF) are no longer valid and are not kept")
            elif name == b"jhgm":
                warnings.append("a gain map for high dynamic range is not kept")
        block = exif.of_turned(block, warnings)
        if found.animation:
            warnings.append("an animation: only its first picture was read")
        if found.extras not in ((), (jxl_header.ALPHA,)):
            warnings.append("channels beside colours and transparency are not kept")
        colours = found.colours
        if colours.icc:
            icc: bytes | None = jxl_header.profile(self._codestream())
        else:
            icc = cicp.from_colours(colours.where, colours.transfer, colours.gamma)
        return Metadata(exif=block, xmp=packet, icc=icc), warnings

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode the first picture, upright.

        Colours that are coded with loss, and for which there is a profile, libjxl gives as linear
        light; here they become samples of that profile.
        """
        import imagecodecs

        from mirnet_cli.photo.raster import unpremultiply

        found = self._head
        if jxl_header.BLACK in found.extras:
            raise InputError(
                "a JPEG XL in CMYK, which this tool does not read",
                "save it again with another program",
            )
        source = whole(self._data)
        if found.as_light:
            source = jxl_header.rewritten(self._codestream(), "float32", linear=True)
        samples: Array = imagecodecs.jpegxl_decode(source, index=0)
        with_alpha = jxl_header.ALPHA in found.extras
        if found.colours.grey and found.extras and not with_alpha:
            samples = samples[0]  # other channels than alpha are put behind each other
        if found.colours.grey:
            colours = samples if samples.ndim == 2 else samples[..., 0]
        else:
            colours = samples[..., :3]
        alpha = _fitted(samples[..., -1], found) if with_alpha else None
        warnings: tuple[str, ...] = ()
        converted = False
        if found.as_light:
            colours, warnings = _of_profile(colours, metadata.icc)
            converted = bool(warnings)
        elif colours.dtype.kind == "f" and not ((colours >= 0) & (colours <= 1)).all():
            warnings = ("samples outside 0..1 were clipped",)
        kept = _fitted(colours, found)
        if alpha is not None and found.premultiplied:
            unpremultiply(kept, alpha)
        # A JPEG that can be had back out of it had been coded with loss.
        was_jpeg = any(name == b"jbrd" for name, *_ in self._boxes)
        return Raster(
            kept, alpha, converted, lossless=not (found.xyb or was_jpeg), warnings=warnings
        )


def _unpacked(packed: bytes, warnings: list[str]) -> bytes:
    """What a brob box holds; nothing where it is damaged."""
    import imagecodecs

    try:
        return bytes(imagecodecs.brotli_decode(packed, out=MAX_METADATA))
    except imagecodecs.BrotliError:
        warnings.append("compressed metadata is damaged or too large and is not kept")
        return b""


def _fitted(samples: Array, found: jxl_header.Head) -> Array:
    """Samples as arrays have them: integers of 8 or 16 bits over their whole range, or 0..1."""
    from mirnet_cli.photo.raster import to_depth

    if samples.dtype.kind == "f":
        samples = np.clip(np.nan_to_num(samples.astype(np.float32)), 0, 1)
    if found.floats or found.bits > 16:
        return np.ascontiguousarray(samples)
    name = "uint8" if found.bits <= 8 else "uint16"
    if samples.dtype.kind == "f":
        return to_depth(samples, name)
    if found.bits not in (8, 16):
        # imagecodecs has them as they are stored.
        share = np.arange(1 << found.bits) * (NUMBERS[name] / ((1 << found.bits) - 1))
        samples = np.rint(share).astype(name)[np.minimum(samples, len(share) - 1)]
    return np.ascontiguousarray(samples)


def _of_profile(light: Array, icc: bytes | None) -> tuple[Array, tuple[str, ...]]:
    """Linear light of sRGB's primaries as samples of a profile; of sRGB, which is said, if that
    cannot be computed with."""
    from mirnet_cli.photo.raster import bands
    from mirnet_cli.photo.space import space_of, srgb_encoded

    space, doubt = space_of(icc, grey=light.ndim == 2)
    out = np.empty(light.shape, np.float32)
    for top, bottom in bands(*light.shape[:2]):
        part = np.nan_to_num(light[top:bottom])
        encoded = srgb_encoded(np.clip(part, 0, 1)) if space is None else space.of_light(part)
        out[top:bottom] = encoded
    return out, ((CONVERTED,) if doubt else ())


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with imagecodecs: without loss if the input was so and no quality is given."""
    import imagecodecs

    from mirnet_cli.photo.space import space_of

    metadata, grey = order.metadata, order.pixels.ndim == 2
    warnings: list[str] = []
    lossless = order.lossless and order.quality is None
    space, doubt = space_of(metadata.icc, grey=grey)
    if not lossless and (doubt or (space is not None and order.alpha is not None)):
        # With loss it takes light in floating point, and alpha would have to be the same.
        why = "its profile is not made of curves and a matrix" if doubt else "profile and alpha"
        warnings.append(f"written without loss ({why})")
        lossless = True
    samples, alpha, depth = order.pixels, order.alpha, ""
    if not lossless and space is not None:
        samples, depth = _lit(samples, space), samples.dtype.name
    elif not lossless and samples.dtype != np.uint8:
        samples = _lit(samples, None)
    if alpha is not None:
        from mirnet_cli.photo.raster import to_depth

        samples = samples[..., None] if grey else samples
        alpha = to_depth(alpha, samples.dtype.name)
        samples = np.concatenate([samples, alpha[..., None]], axis=2)
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
    if metadata.icc is not None or samples.dtype != np.uint8:
        stream = jxl_header.rewritten(stream, depth, icc=metadata.icc, linear=False)
    further = []
    if level:
        further += box(b"jxll", level)
    if metadata.exif is not None:
        further += box(b"Exif", b"\0\0\0\0" + metadata.exif)
    if metadata.xmp is not None:
        further += box(b"xml ", metadata.xmp)
    if not further:
        return [stream], warnings
    return [_SIGNATURE, _TYPE, *further, *box(b"jxlc", stream)], warnings


def _lit(samples: Array, space: "Space | None") -> Array:
    """Colours as linear light, which is what imagecodecs takes deep samples for.

    Those of a space become float32, for some lie beyond sRGB's; sRGB's own keep their depth.
    """
    from mirnet_cli.photo.raster import bands, to_depth
    from mirnet_cli.photo.space import srgb_light

    if space is None:
        return to_depth(srgb_light(to_depth(samples, "float32")), samples.dtype.name)
    out = np.empty(samples.shape, np.float32)
    for top, bottom in bands(*samples.shape[:2]):
        out[top:bottom] = space.light(samples[top:bottom])
    return out
