"""Pictures and metadata made by code, for the tests of this folder."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mirnet_cli.photo import Header, Metadata, Photo

XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'tiff:Orientation="6" tiff:ImageWidth="999" exif:PixelYDimension="998" dc:format="image/x">'
    b"<tiff:ImageLength>997</tiff:ImageLength></rdf:Description></rdf:RDF></x:xmpmeta>\n"
    b'<?xpacket end="w"?>'
)
IPTC = b"\x1c\x02\x78\x00\x07caption\x1c\x02\x50\x00\x06author"
RESOURCES = b"8BIM\x07\xd0\x03abc" + struct.pack(">I", 5) + b"path!\0"


def noise(height: int, width: int, channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> Any:
    """Random samples over the dtype's whole range; HxW for one channel."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.random(shape, dtype)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """An RGB gradient with structure that JPEG keeps, different at each corner."""
    down, across = np.mgrid[0:height, 0:width]
    red = 40 + 170 * across / max(1, width - 1)
    green = 40 + 170 * down / max(1, height - 1)
    blue = 120 + 60 * np.sin((across + 2 * down) / 9)
    return np.stack([red, green, blue], axis=-1).round().astype(np.uint8)


def photo(
    pixels: NDArray[Any], alpha: Any = None, format: str = "PNG", metadata: Metadata | None = None
) -> Photo:
    height, width = pixels.shape[:2]
    return Photo(pixels, alpha, Header(format, width, height), metadata or Metadata())


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


MAKER_NOTE = b"MAKER\0\x01\x02" + bytes(range(40))


def exif_block(
    orientation: int = 1,
    *,
    order: str = "<",
    width: int = 999,
    height: int = 998,
    thumbnail: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    """An EXIF block as a camera writes it: maker note, GPS, an unknown tag, a thumbnail."""

    def entry(tag: int, kind: int, count: int, value: bytes | int) -> bytes:
        if isinstance(value, int):
            value = struct.pack(order + ("H2x" if kind == 3 else "I"), value)
        return struct.pack(order + "HHI", tag, kind, count) + value

    def directory(*entries: bytes, following: int = 0) -> bytes:
        return (
            struct.pack(order + "H", len(entries))
            + b"".join(entries)
            + struct.pack(order + "I", following)
        )

    # Offsets: top directory 8, Exif 100, GPS 160, values 200, thumbnail directory 300.
    top = directory(
        entry(0x010F, 2, 5, 200),
        entry(0x0112, 3, 1, orientation),
        entry(0x8769, 4, 1, 100),
        entry(0x8825, 4, 1, 160),
        entry(0xC7FF, 7, 8, 210),
        following=0 if thumbnail is None else 300,
    )
    inner = directory(
        entry(0x927C, 7, len(MAKER_NOTE), 220),
        entry(0xA002, 3, 1, width),
        entry(0xA003, 4, 1, height),
    )
    gps = directory(entry(0x0001, 2, 2, b"N\0\0\0"))
    block = bytearray(300)
    block[0:8] = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    for at, piece in ((8, top), (100, inner), (160, gps), (200, b"Make\0"), (210, b"\1\2unknwn")):
        block[at : at + len(piece)] = piece
    block[220 : 220 + len(MAKER_NOTE)] = MAKER_NOTE
    if thumbnail is not None:
        small = directory(
            entry(0x0103, 3, 1, 6),
            entry(0x0112, 3, 1, orientation),
            entry(0x0201, 4, 1, 400),
            entry(0x0202, 4, 1, len(thumbnail)),
        )
        block += small.ljust(100, b"\0") + thumbnail
    return bytes(block) + extra


def small_jpeg(colour: tuple[int, int, int] = (200, 20, 20)) -> bytes:
    return saved(Image.new("RGB", (160, 120), colour), "JPEG", quality=100)


def _tag_table(space: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", 0, b"test", 0x02400000, kind, space, b"XYZ ")
    if space == b"CMYK":
        head = struct.pack(">I4sI4s4s4s", 0, b"test", 0x02400000, kind, space, b"Lab ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    block = head.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(block)) + block[4:]


def profile_of(space: bytes, **tags: bytes) -> bytes:
    """A display profile with a white point and these tags."""
    white = b"XYZ \0\0\0\0" + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    named = {name.encode(): content for name, content in tags.items()}
    return _tag_table(space, b"mntr", {b"wtpt": white, **named})


def grey_profile(gamma: float = 1.8) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return profile_of(b"GRAY", kTRC=curve)


def rgb_profile(size: int = 0) -> bytes:
    """An sRGB profile, filled up to at least ``size`` bytes by a private tag of noise."""
    from PIL import ImageCms

    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if size <= len(plain):
        return plain
    filling = np.random.default_rng(1).bytes(size)
    count = struct.unpack_from(">I", plain, 128)[0]
    tags = {}
    for index in range(count):
        name, at, length = struct.unpack_from(">4sII", plain, 132 + 12 * index)
        tags[name] = plain[at : at + length]
    tags[b"prvt"] = b"data\0\0\0\0" + filling
    return _tag_table(b"RGB ", b"mntr", tags)


def cmyk_profile() -> bytes:
    """A printer profile of 2x2x2x2 grid points: paper white, and inks that darken it oddly."""
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0))
    table += struct.pack(">9i", *(0x10000 if i % 4 == 0 else 0 for i in range(9)))
    table += bytes(range(256)) * 4
    for point in range(16):
        inks = [point >> (3 - i) & 1 for i in range(4)]
        lightness = 255 * (1 - 0.25 * sum(inks))
        table += bytes((round(lightness), 128 + 40 * inks[1] - 30 * inks[0], 128 + 50 * inks[2]))
    table += bytes(range(256)) * 3
    return _tag_table(b"CMYK", b"prtr", {b"A2B0": table})


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(head: tuple[int, int, int, int], raw: bytes, *before: bytes, after: bytes = b"") -> bytes:
    """A PNG of width, height, depth, colour type and unfiltered rows without filter bytes."""
    width, height, depth, kind = head
    row = len(raw) // height
    lines = b"".join(b"\0" + raw[at : at + row] for at in range(0, len(raw), row))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
        + b"".join(before)
        + chunk(b"IDAT", zlib.compress(lines))
        + after
        + chunk(b"IEND", b"")
    )


def jpeg_with(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG with further segments after its start."""
    extra = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments
    )
    return data[:2] + extra + data[2:]
