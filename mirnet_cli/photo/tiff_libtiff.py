"""What Pillow's libtiff decodes: compressions that zlib does not know, and whole rare pictures."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
from PIL import TiffImagePlugin

from mirnet_cli.errors import InputError
from mirnet_cli.photo import ifd
from mirnet_cli.photo.codec import Raster
from mirnet_cli.photo.ifd import Directory, Entry, Field, Reader, Tree
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.pillow import libtiff_errors
from mirnet_cli.photo.raster import from_pillow
from mirnet_cli.photo.source import DamageError

OFFSETS, SIZES = (273, 324), (279, 325)
"""Tags of where strips and tiles are, and how long."""

# What Pillow needs to decode a picture: storage alone, nothing that could turn or mislead it.
_FOR_PILLOW = (
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325,
    338, 339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532,
)  # fmt: skip
# None, fax (2 to 4, 32771), LZW, JPEG (6, 7), Deflate (8, 32946), PackBits, LZMA, Zstandard.
_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000}
_UNKNOWN = {
    **dict.fromkeys((33003, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    34676: "LogLuv", 34677: "LogLuv", 34887: "LERC", 34933: "PNG", 50001: "WebP",
}  # fmt: skip
_CONVERT = "convert it to 8 or 16 bits, grey or RGB"
_MAX_PACKED = 256 << 20


def unpack_rows(
    blocks: Sequence[bytes], row_bytes: int, rows: Sequence[int], compression: int
) -> Array:
    """Unpack strips of equal height (the last may be lower) by libtiff, as rows of bytes."""
    offsets = [8]
    for block in blocks:
        offsets.append(offsets[-1] + len(block))
    short, long = ifd.SHORT, ifd.LONG
    fields = {
        256: ifd.integers_field(long, "<", row_bytes),
        257: ifd.integers_field(long, "<", sum(rows)),
        258: ifd.integers_field(short, "<", 8),
        259: ifd.integers_field(short, "<", compression),
        262: ifd.integers_field(short, "<", 1),
        273: ifd.integers_field(long, "<", *offsets[:-1]),
        277: ifd.integers_field(short, "<", 1),
        278: ifd.integers_field(long, "<", rows[0]),
        279: ifd.integers_field(long, "<", *map(len, blocks)),
    }
    end = offsets[-1] + offsets[-1] % 2
    body = b"".join(blocks).ljust(end - 8, b"\0")
    file = ifd.header("<", end) + body + ifd.build(Tree(fields), "<", end)
    with (
        libtiff_errors() as errors,
        BytesIO(file) as stream,
        TiffImagePlugin.TiffImageFile(stream) as image,
    ):
        image.load()
        samples = np.asarray(image)
    if errors:
        raise DamageError("its compressed data is corrupt")
    return samples


def decode(reader: Reader, top: Directory, orientation: int, icc: bytes | None) -> Raster:
    """Decode by Pillow, from a copy whose directory has the storage tags alone.

    Pillow would turn the picture itself, and look at whatever else is in the file.
    """
    channels = reader.integer(top.entries.get(277), 1)
    compression = reader.integer(top.entries.get(259), 1)
    if compression not in _COMPRESSIONS:
        name = _UNKNOWN.get(compression, f"number {compression}")
        raise InputError(f"its compression ({name}) is not read", "save it with LZW or Deflate")
    if channels > 6:
        raise InputError(f"it has {channels} channels of a kind photos do not have", _CONVERT)
    fields: dict[int, Field] = {}
    for tag in _FOR_PILLOW:
        entry = top.entries.get(tag)
        if entry is not None:
            fields[tag] = _narrow(reader, entry)
    body = _gathered(reader, top, fields)
    end = 8 + len(body) + len(body) % 2
    directory = ifd.build(Tree(fields), reader.order, end)
    file = b"".join((ifd.header(reader.order, end), body, b"\0" * (len(body) % 2), directory))
    del body
    warnings: tuple[str, ...] = ()
    with libtiff_errors() as errors, BytesIO(file) as stream:
        image = TiffImagePlugin.TiffImageFile(stream)
        bits = max(reader.integers(top.entries.get(258)) or (1,))
        if image.mode in ("I", "F"):
            raise InputError(
                f"its samples are {bits}-bit numbers, which photos do not have", _CONVERT
            )
        if bits > 8 and not image.mode.startswith("I;16"):
            warnings = (f"its {bits} bits were read as 8",)
        raster = from_pillow(image, orientation, icc)
    if errors:
        raise DamageError("its compressed data is corrupt")
    if bits == 12 and raster.pixels.dtype == np.uint16:
        wide = raster.pixels
        np.bitwise_or(wide << 4, wide >> 8, out=wide)
    return replace(raster, warnings=warnings + raster.warnings)


def _gathered(reader: Reader, top: Directory, fields: dict[int, Field]) -> bytes:
    """The strips or tiles of a picture one after another, from byte 8 on; adapts the offsets.

    Where others point into the file too (old-style JPEG), the file as it is.
    """
    tiled = OFFSETS[1] in top.entries
    offsets = reader.integers(top.entries.get(OFFSETS[tiled]))
    sizes = reader.integers(top.entries.get(SIZES[tiled]))
    total = len(reader.data) if 513 in fields or len(offsets) != len(sizes) else sum(sizes)
    if total > _MAX_PACKED + 16 * reader.integer(top.entries.get(256)) * reader.integer(
        top.entries.get(257)
    ):
        raise DamageError("it is much larger than its picture can be")
    if 513 in fields or len(offsets) != len(sizes):
        return reader.data[8 : len(reader.data)]
    blocks = [reader.data[start : start + size] for start, size in zip(offsets, sizes, strict=True)]
    if any(len(block) < size for block, size in zip(blocks, sizes, strict=True)):
        raise DamageError("it ends before the picture is complete")
    places = [8]
    for size in sizes:
        places.append(places[-1] + size)
    fields[OFFSETS[tiled]] = ifd.integers_field(ifd.LONG, reader.order, *places[:-1])
    return b"".join(blocks)


def _narrow(reader: Reader, entry: Entry) -> Field:
    """An entry as a field of a classic TIFF."""
    data = reader.value(entry)
    if entry.kind not in (16, 18):
        return Field(entry.kind, entry.count, data)
    values = reader.integers(entry)
    if max(values, default=0) > 0xFFFFFFFF:
        raise DamageError("it is larger than 4 GiB and compressed in a way that cannot be read")
    return ifd.integers_field(ifd.LONG, reader.order, *values)
