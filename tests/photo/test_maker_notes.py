"""Makers' notes: what they have inside is found by offsets from the file's or block's beginning."""

import dataclasses
import struct

import pytest

from mirnet_cli.photo import Metadata, decode, encode, exif, ifd
from tests.photo.pictures import MAKER_NOTE, exif_block, noise, photo

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")


def note_in(block: bytes) -> tuple[int, bytes]:
    """Where the note of a block or TIFF is, and what is there."""
    reader = ifd.Reader(block)
    top = reader.directory(reader.first)
    inner = reader.directory(reader.integer(top.entries[exif.EXIF_POINTER]))
    entry = inner.entries.get(ifd.MAKER_NOTE)
    return (0, b"") if entry is None else (entry.value_at, reader.value(entry))


def block_of(data: bytes) -> bytes:
    found = decode(data)
    if found.header.format == "TIFF":
        return data
    assert found.metadata.exif is not None
    return found.metadata.exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("between", FORMATS)
@pytest.mark.parametrize("last", FORMATS)
def test_a_note_stays_where_its_offsets_lead(between: str, last: str, order: str) -> None:
    block = exif_block(order=order)
    place = note_in(block)
    assert place == (220, MAKER_NOTE)
    source = photo(noise(40, 50), metadata=Metadata(exif=block))
    first = encode(source, format=between)
    assert note_in(block_of(first.data)) == place
    second = encode(decode(first.data), format=last)
    assert note_in(block_of(second.data)) == place
    assert not any("maker" in text for text in (*first.warnings, *second.warnings))


def far(place: int, note: bytes = MAKER_NOTE) -> bytes:
    """A TIFF of 300 kB whose maker's note is at this place."""
    block = exif_block().replace(MAKER_NOTE, note)
    metadata = Metadata(exif=block, note_at=place)
    return encode(photo(noise(300, 400), metadata=metadata), format="TIFF").data


def test_a_note_far_from_the_beginning_stays_in_a_tiff() -> None:
    data = far(200_001)
    assert note_in(data) == (200_001, MAKER_NOTE)
    found = decode(data)
    assert found.metadata.note_at == 200_001
    again = encode(found, format="TIFF")
    assert note_in(again.data) == (200_001, MAKER_NOTE)
    assert decode(again.data).pixels.tobytes() == found.pixels.tobytes()
    small = encode(found.with_pixels(found.pixels[:9, :9].copy()), format="TIFF")
    assert note_in(small.data) == (200_001, MAKER_NOTE)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_note_that_cannot_stay_is_said(format: str) -> None:
    written = encode(decode(far(200_001)), format=format)
    assert ifd.NOTE_LOST in written.warnings
    kept = decode(written.data).metadata.exif
    assert kept is not None
    assert note_in(kept) == (0, b"")
    assert exif.check(kept) == 0


def test_a_note_beyond_the_end_is_said() -> None:
    source = photo(noise(9, 9), metadata=Metadata(exif=exif_block(), note_at=50_000_000))
    written = encode(source, format="TIFF")
    assert written.warnings == (ifd.NOTE_LOST,)
    assert note_in(written.data) == (0, b"")
    assert len(written.data) < 10_000


@pytest.mark.parametrize("start", ifd.ANYWHERE)
def test_a_note_with_offsets_of_its_own_goes_everywhere(start: bytes) -> None:
    note = start.ljust(len(MAKER_NOTE), b"\1")
    found = decode(far(200_001, note))
    assert found.metadata.note_at is None
    for format in FORMATS:
        written = encode(found, format=format)
        assert not any("maker" in text for text in written.warnings)
        assert note_in(block_of(written.data))[1] == note


def test_a_note_in_the_way_of_the_first_directory() -> None:
    """A note at the very beginning: the directory follows it."""
    tree = ifd.Tree(
        {271: ifd.bytes_field(ifd.ASCII, b"Maker\0")},
        {ifd.EXIF: ifd.Tree({ifd.MAKER_NOTE: ifd.Field(ifd.UNDEFINED, 41, bytes(41), at=9)})},
    )
    block = ifd.block(tree, "<")
    assert note_in(block) == (9, bytes(41))
    assert struct.unpack_from("<I", block, 4)[0] % 2 == 0
    source = photo(noise(9, 9), metadata=dataclasses.replace(Metadata(), exif=block))
    assert note_in(encode(source, format="TIFF").data) == (9, bytes(41))
