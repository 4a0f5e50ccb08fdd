"""WebP. Source: RFC 9649 (container), sections 2.7 and 3 to 5."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from io import BytesIO

from mirnet_cli.photo import exif
from mirnet_cli.photo.codec import Capacity, Layout, OpenFile, Order, Raster
from mirnet_cli.photo.picture import Metadata, Part
from mirnet_cli.photo.source import DamageError, Data

CAPACITY = Capacity(frozenset({"exif", "xmp", "icc"}), max_side=16383, grey=False)

QUALITY = 90
"""Lossy WebP does not state the quality it was written with."""

_EFFORT = 50
"""Of encoding without loss; 75 takes three times as long for the same size (measurements.md)."""

MAX_CHUNKS = 100_000

_PICTURE = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"}


def _chunks(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Names, beginnings and sizes of chunks; ends quietly where the file does."""
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    at = 12
    for _ in range(MAX_CHUNKS):
        head = data[at : at + 8]
        if at + 8 > end or len(head) < 8:
            return
        size = int.from_bytes(head[4:8], "little")
        yield head[:4], at + 8, size
        at += 8 + size + size % 2
    raise DamageError(f"it has more than {MAX_CHUNKS} chunks")


def _u16(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 2], "little")


def _u24(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 3], "little")


def _name(name: bytes) -> str:
    return name.decode("latin-1").strip()


class File(OpenFile):
    """A WebP."""

    def __init__(self, data: Data) -> None:
        self._data = data

    @cached_property
    def _chunks(self) -> list[tuple[bytes, int, int]]:
        return list(_chunks(self._data))

    def header(self) -> Layout:
        """Read the size of the canvas, and count the frames of an animation."""
        size: tuple[int, int] | None = None
        frames = 0
        for name, at, _ in self._chunks:
            body = self._data[at : at + 10]
            if name == b"VP8X" and size is None and len(body) == 10:
                size = _u24(body, 4) + 1, _u24(body, 7) + 1
            elif name == b"VP8 " and size is None and len(body) == 10:
                if body[3:6] != b"\x9d\x01\x2a":
                    raise DamageError("it has no frame header")
                size = _u16(body, 6) & 0x3FFF, _u16(body, 8) & 0x3FFF
            elif name == b"VP8L" and size is None and len(body) >= 5:
                if body[0] != 0x2F:
                    raise DamageError("it has no frame header")
                bits = int.from_bytes(body[1:5], "little")
                size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            elif name == b"ANMF":
                frames += 1
        if size is None:
            raise DamageError("it has no frame header")
        return Layout(*size, frames=max(1, frames))

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Read the metadata chunks."""
        warnings: list[str] = []
        found: dict[bytes, bytes] = {}
        parts: list[Part] = []
        for name, at, size in self._chunks:
            if name in _PICTURE:
                continue
            body = self._data[at : at + size]
            if len(body) < size:
                warnings.append(f"a {_name(name)} chunk is cut short and is not kept")
            elif name in (b"EXIF", b"XMP ", b"ICCP"):
                found.setdefault(name, body)
            else:
                parts.append(Part("WEBP", _name(name), body))
        block = found.get(b"EXIF")
        return (
            Metadata(
                exif=None if block is None else exif.without_prefix(block),
                xmp=found.get(b"XMP "),
                icc=found.get(b"ICCP"),
                parts=tuple(parts),
            ),
            warnings,
        )

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode the first frame with Pillow."""
        from PIL import WebPImagePlugin

        from mirnet_cli.photo.raster import first_frame

        lossless = False
        for name, at, size in self._chunks:
            if name == b"ANMF":
                lossless = self._data[at + 16 : at + 20] == b"VP8L"
                break
            if name in (b"VP8 ", b"VP8L"):
                if at + size > len(self._data):
                    raise DamageError("it ends before the picture is complete")
                lossless = name == b"VP8L"
                break
        raster = first_frame(WebPImagePlugin.WebPImageFile, self._data, layout, orientation)
        return replace(raster, lossless=lossless)


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with Pillow: without loss if the input was so and no quality is given."""
    from mirnet_cli.photo.raster import to_pillow

    options: dict[str, object] = {"exact": True, "method": 4}
    if order.lossless and order.quality is None:
        options |= {"lossless": True, "quality": _EFFORT}
    else:
        options |= {"lossless": False, "quality": order.quality or QUALITY}
    metadata = order.metadata
    buffer = BytesIO()
    image = to_pillow(order.pixels, order.alpha)
    image.save(
        buffer,
        "WEBP",
        icc_profile=metadata.icc or b"",
        exif=metadata.exif or b"",
        xmp=metadata.xmp or b"",
        **options,
    )
    image.close()
    return [buffer.getvalue()], []
