"""PNG: chunks, metadata, and 8 and 16 bits in and out.

Source: PNG Specification, third edition (W3C, 2025).
"""

import re
import struct
import zlib
from functools import cached_property

from mirnet_cli.photo import exif, photoshop, png_pixels
from mirnet_cli.photo.codec import Capacity, Layout, OpenFile, Order, Raster
from mirnet_cli.photo.deflate import inflate
from mirnet_cli.photo.picture import Metadata, Part, shape_of
from mirnet_cli.photo.png_chunks import COLOUR, SIGNATURE, Chunk, checked, pack, walk
from mirnet_cli.photo.source import DamageError, Data

CAPACITY = Capacity(
    frozenset({"exif", "xmp", "icc", "iptc", "dpi", "aspect", "comment", "resources", "parts"}),
    depths=("uint8", "uint16"),
    grey_alpha=True,
)

MAX_TEXT = 16 << 20
"""Bytes a compressed text or profile may unpack to."""

_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
# About the samples, the moment of writing, frames, or a canvas: none of it holds any longer.
_STALE = {b"bKGD", b"hIST", b"sBIT", b"sPLT", b"tIME", b"tRNS", b"iDOT"}
_STALE |= {b"acTL", b"fcTL", b"fdAT", b"orNT", b"caNv", b"vpAg", b"oFFs"}
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_PROFILE = re.compile(rb"Raw profile type (exif|APP1|iptc|8bim|xmp|icc|icm)$")
_HEX = re.compile(rb"\n?[^\n]*\n\s*(\d+)\s+([0-9a-fA-F\s]*)$")


def _meaning(name: bytes) -> str:
    if name == b"iCCP":
        return "the colour profile"
    if name == b"eXIf":
        return "the EXIF data"
    return f"a {name.decode()} chunk"


class _Reading:
    """Metadata in the making, chunk by chunk."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.found: dict[str, bytes] = {}
        self.dpi: tuple[float, float] | None = None
        self.aspect: tuple[int, int] | None = None
        self.parts: list[Part] = []

    def take(self, name: bytes, body: bytes) -> None:
        if name == b"iCCP":
            _, _, rest = body.partition(b"\0")
            self.found.setdefault("icc", inflate(rest[1:], MAX_TEXT))
        elif name == b"eXIf":
            self.found["exif"] = exif.without_prefix(body)
        elif name == b"pHYs":
            if len(body) == 9 and body[8] < 2:
                across, down = struct.unpack_from(">II", body)
                if not body[8]:
                    self.aspect = shape_of(across, down)
                elif across and down:
                    self.dpi = across * 0.0254, down * 0.0254
        elif name in _TEXTS:
            self.text(name, body)
        elif name in COLOUR or name[3:4].islower():
            self.parts.append(Part("PNG", name.decode(), body))
        elif name == b"caBX":
            self.warnings.append("content credentials (JUMBF) are no longer valid and are not kept")
        else:
            # A capital last letter: not to be copied into a changed picture (section 5.4).
            self.warnings.append(f"a {name.decode()} chunk is not kept")

    def text(self, name: bytes, body: bytes) -> None:
        keyword, _, rest = body.partition(b"\0")
        profile = _PROFILE.match(keyword)
        if keyword == _XMP_KEYWORD and name == b"iTXt":
            self.found.setdefault("xmp", _international(rest))
        elif profile is not None:
            self.profile(profile[1], _latin(name, rest))
        elif keyword == b"Comment" and "comment" not in self.found:
            text = _international(rest) if name == b"iTXt" else _latin(name, rest)
            if name != b"iTXt":
                text = text.decode("latin-1").encode()
            self.found["comment"] = text
        else:
            self.parts.append(Part("PNG", name.decode(), body))

    def profile(self, kind: bytes, text: bytes) -> None:
        """A profile in hexadecimal, as ImageMagick and ExifTool store it.

        What is there counts, as for ExifTool, and not the length that is stated before it.
        """
        match = _HEX.match(text)
        try:
            block = bytes.fromhex("" if match is None else match[2].decode())
        except ValueError:
            block = b""
        if not block:
            raise DamageError("its text is no profile")
        if kind in (b"exif", b"APP1") and block.startswith(exif.PREFIX):
            self.found.setdefault("exif", exif.without_prefix(block))
        elif kind in (b"iptc", b"8bim"):
            if not block.startswith(b"8BIM"):
                self.found.setdefault("iptc", block)
                return
            iptc, resources = photoshop.split(block)
            if iptc is not None:
                self.found.setdefault("iptc", iptc)
            if resources is not None:
                self.found["resources"] = self.found.get("resources", b"") + resources
        elif kind in (b"icc", b"icm"):
            self.found.setdefault("icc", block)
        else:
            self.found.setdefault("xmp", block.removeprefix(b"http://ns.adobe.com/xap/1.0/\0"))

    def result(self) -> Metadata:
        return Metadata(
            exif=self.found.get("exif"),
            xmp=self.found.get("xmp"),
            icc=self.found.get("icc"),
            iptc=self.found.get("iptc"),
            dpi=self.dpi,
            aspect=self.aspect,
            comment=self.found.get("comment"),
            resources=self.found.get("resources"),
            parts=tuple(self.parts),
        )


def _latin(name: bytes, rest: bytes) -> bytes:
    return inflate(rest[1:], MAX_TEXT) if name == b"zTXt" else rest


def _international(rest: bytes) -> bytes:
    if len(rest) < 2:
        raise DamageError("its text is cut short")
    compressed = rest[0] == 1
    _, _, rest = rest[2:].partition(b"\0")
    _, _, text = rest.partition(b"\0")
    return inflate(text, MAX_TEXT) if compressed else text


class File(OpenFile):
    """A PNG."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def header(self) -> Layout:
        """Read IHDR, and acTL for the number of frames."""
        claimed, found = 1, 0
        head: png_pixels.Head | None = None
        for chunk in walk(self._data):
            if head is None:
                head = _head(self._data, chunk)
            elif chunk.name == b"acTL" and chunk.size == 8:
                claimed = int.from_bytes(self._data[chunk.at : chunk.at + 4], "big")
            elif chunk.name == b"fcTL":
                found += 1
            elif chunk.name == b"IDAT" and claimed == 1:
                break
        if head is None:
            raise DamageError("it has no header")
        return Layout(head.width, head.height, max(1, min(claimed, found)))

    @cached_property
    def _chunks(self) -> list[Chunk]:
        """All of them; the header is in the first few."""
        return list(walk(self._data))

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Read the ancillary chunks; those with a wrong checksum are left out with a warning."""
        reading = _Reading()
        for chunk in self._chunks:
            if chunk.name in _CRITICAL or chunk.name in _STALE:
                continue
            try:
                reading.take(chunk.name, checked(self._data, chunk))
            except DamageError as error:
                reading.warnings.append(f"{_meaning(chunk.name)} is not kept: {error}")
        return reading.result(), reading.warnings

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode with Pillow, 16 bits with OpenCV, after all checksums were right."""
        essential: list[tuple[bytes, bytes]] = []
        for chunk in self._chunks:
            if chunk.name in _CRITICAL or chunk.name == b"tRNS":
                essential.append((chunk.name, checked(self._data, chunk)))
            elif chunk.name[0:1].isupper():
                raise DamageError(f"it has an unknown critical chunk {chunk.name.decode()}")
        head = _head(self._data, self._chunks[0])
        return png_pixels.decode(head, essential, orientation, metadata.icc)


def _head(data: Data, chunk: Chunk) -> png_pixels.Head:
    if chunk.name != b"IHDR" or chunk.size != 13:
        raise DamageError("it does not begin with a header")
    return png_pixels.Head.parse(checked(data, chunk))


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode without loss, with all metadata before the pixels."""
    warnings: list[str] = []
    metadata = order.metadata
    pieces = [SIGNATURE, *pack(b"IHDR", png_pixels.Head.of(order).pack())]
    for part in metadata.parts:
        if part.kind.encode() in COLOUR:
            pieces += pack(part.kind.encode(), part.data)
    if metadata.icc is not None:
        pieces += pack(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc, 9))
    if metadata.dpi is not None:
        across, down = (min(2**31 - 1, round(value / 0.0254)) for value in metadata.dpi)
        pieces += pack(b"pHYs", struct.pack(">IIB", across, down, 1))
    elif metadata.aspect is not None:
        pieces += pack(b"pHYs", struct.pack(">IIB", *metadata.aspect, 0))
    if metadata.exif is not None:
        pieces += pack(b"eXIf", metadata.exif)
    if metadata.xmp is not None:
        pieces += pack(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp)
    if metadata.comment is not None:
        pieces += _comment(metadata.comment)
    block = photoshop.join(metadata.iptc, metadata.resources)
    if block is not None:
        text = b"\niptc\n%8d\n" % len(block) + b"\n".join(
            block[at : at + 36].hex().encode() for at in range(0, len(block), 36)
        )
        pieces += pack(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text + b"\n", 9))
    for part in metadata.parts:
        if part.kind.encode() not in COLOUR:
            pieces += pack(part.kind.encode(), part.data)
    for body in png_pixels.encode(order):
        pieces += pack(b"IDAT", body)
    pieces += pack(b"IEND", b"")
    return pieces, warnings


def _comment(comment: bytes) -> list[bytes]:
    if comment.isascii():
        return pack(b"tEXt", b"Comment\0" + comment)
    try:
        comment.decode()
    except UnicodeDecodeError:
        return pack(b"tEXt", b"Comment\0" + comment)
    return pack(b"iTXt", b"Comment\0\0\0\0\0" + comment)
