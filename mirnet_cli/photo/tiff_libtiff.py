"""What Pillow's libtiff decodes: compressions that zlib does not know, and old-style JPEG."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import TiffImagePlugin

from mirnet_cli.photo import ifd
from mirnet_cli.photo.codec import Raster
from mirnet_cli.photo.ifd import Directory, Entry, Field, Reader, Tree
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.pillow import libtiff_errors
from mirnet_cli.photo.raster import from_pillow
from mirnet_cli.photo.source import DamageError

# What Pillow needs to decode a picture: storage alone, nothing that could turn or mislead it.
_FOR_PILLOW = (
    256, 257, 258, 259, 262, 266, 277, 278, 284, 322, 323, 338, 339, 347,
    512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532,
)  # fmt: skip
_MAX_PACKED = 256 << 20


def unpack_rows(
    blocks: Sequence[bytes],
    width: int,
    rows: Sequence[int],
    compression: int,
    fax: int | None = None,
    reversed: bool = False,
) -> Array:
    """Unpack strips of equal height (the last may be lower) by libtiff, as rows of bytes.

    Args:
        blocks: the strips.
        width: bytes of a row; with ``fax`` its bits.
        rows: of each strip.
        compression: TIFF's number.
        fax: T4Options or T6Options, of a compression of bits.
        reversed: whether FillOrder is 2, of a compression of bits.
    """
    offsets = [8]
    for block in blocks:
        offsets.append(offsets[-1] + len(block))
    short, long = ifd.SHORT, ifd.LONG
    fields = {
        256: ifd.integers_field(long, "<", width),
        257: ifd.integers_field(long, "<", sum(rows)),
        258: ifd.integers_field(short, "<", 8 if fax is None else 1),
        259: ifd.integers_field(short, "<", compression),
        262: ifd.integers_field(short, "<", 1),
        273: ifd.integers_field(long, "<", *offsets[:-1]),
        277: ifd.integers_field(short, "<", 1),
        278: ifd.integers_field(long, "<", rows[0]),
        279: ifd.integers_field(long, "<", *map(len, blocks)),
    }
    if fax is not None:
        fields[266] = ifd.integers_field(short, "<", 2 if reversed else 1)
        fields[293 if compression == 4 else 292] = ifd.integers_field(long, "<", fax)
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
    return samples if fax is None else np.packbits(samples, axis=1)


def decode(
    reader: Reader,
    top: Directory,
    spans: tuple[tuple[int, ...], tuple[int, ...]],
    orientation: int,
    icc: bytes | None,
) -> Raster:
    """Decode by Pillow, from a copy whose directory has the storage tags alone.

    Pillow would turn the picture itself, and look at whatever else is in the file.

    Args:
        reader, top: the picture.
        spans: offsets and sizes of its strips or tiles.
        orientation: EXIF's.
        icc: its profile.
    """
    fields: dict[int, Field] = {}
    for tag in _FOR_PILLOW:
        entry = top.entries.get(tag)
        if entry is not None:
            fields[tag] = _narrow(reader, entry)
    area = reader.integer(top.entries.get(256)) * reader.integer(top.entries.get(257))
    if len(reader.data) > _MAX_PACKED + 16 * area:
        raise DamageError("it is much larger than its picture can be")
    tags = (324, 325) if reader.integer(top.entries.get(322)) else (273, 279)
    for tag, numbers in zip(tags, spans, strict=True):
        if max(numbers, default=0) > 0xFFFFFFFF:
            raise DamageError("it is larger than 4 GiB and compressed in a way that is not read")
        if numbers:
            fields[tag] = ifd.integers_field(ifd.LONG, reader.order, *numbers)
    # Old-style JPEG has offsets in places of its own: nothing may move.
    body = reader.data[8 : len(reader.data)]
    end = 8 + len(body) + len(body) % 2
    directory = ifd.build(Tree(fields), reader.order, end)
    file = b"".join((ifd.header(reader.order, end), body, b"\0" * (len(body) % 2), directory))
    del body
    with libtiff_errors() as errors, BytesIO(file) as stream:
        raster = from_pillow(TiffImagePlugin.TiffImageFile(stream), orientation, icc)
    if errors:
        raise DamageError("its compressed data is corrupt")
    return raster


def _narrow(reader: Reader, entry: Entry) -> Field:
    """An entry as a field of a classic TIFF."""
    data = reader.value(entry)
    if entry.kind not in (16, 18):
        return Field(entry.kind, entry.count, data)
    values = reader.integers(entry)
    if max(values, default=0) > 0xFFFFFFFF:
        raise DamageError("it is larger than 4 GiB and compressed in a way that cannot be read")
    return ifd.integers_field(ifd.LONG, reader.order, *values)
