"""docs/fidelity.md: each word of its table is tried."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from mirnet_cli.photo import Metadata, Part, Photo, decode, encode, exif, formats, ifd, xmp
from mirnet_cli.photo.regions import enlarged, part
from tests.photo import test_extras, test_places, test_regions
from tests.photo.pictures import (
    IPTC,
    MAKER_NOTE,
    exif_block,
    photo,
    rgb_profile,
    small_jpeg,
    smooth,
)
from tests.photo.test_metadata import tag

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"
NAMES = {"JPEG": "JPEG", "PNG": "PNG", "WebP": "WEBP", "TIFF": "TIFF", "BMP": "BMP", "AVIF": "AVIF"}
NAMES |= {"HEIC": "HEIC", "JPEG XL": "JXL", "RAW": "RAW"}
BEFORE, AFTER = (0.5, 0.25), (0.5, 0.0)


def table() -> dict[str, dict[str, str]]:
    text = PAGE.read_text(encoding="utf-8").partition("\n## By format")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    head = cells[0][1:]
    return {row[0]: dict(zip(head, row[1:], strict=True)) for row in cells[2:]}


def paths(place: tuple[float, float]) -> bytes:
    content = test_places.path(place)
    return test_places.resource(2000, b"")[:-4] + struct.pack(">I", len(content)) + content


def told() -> bytes:
    """XMP of more than a segment: a region, a panorama, and a text."""
    size = test_regions.WIDTH, test_regions.HEIGHT
    sphere = test_places.packet(test_places.sphere())
    for old, new in ((80, size[0]), (40, size[1])):
        sphere = sphere.replace(b"'%d'" % old, b"'%d'" % new)
    joined = xmp.joined(test_regions.packet(), sphere)
    assert joined is not None
    return joined.replace(b"k:Kept='1'", b"k:Kept='" + b"k" * 70_000 + b"'")


def source() -> Photo:
    """A white box, and metadata of all kinds that tells where it is."""
    height, width = test_regions.HEIGHT, test_regions.WIDTH
    block = test_regions.block(1, *test_regions.MIDDLE, test_regions.ACROSS, test_regions.DOWN)
    pixels = smooth(height, width)
    metadata = Metadata(
        exif=block,
        xmp=told(),
        icc=rgb_profile(),
        iptc=IPTC,
        dpi=(300, 300),
        comment=b"a word",
        resources=paths(BEFORE),
        parts=(Part("JPEG", "APP7", b"own"), Part("PNG", "prVt", b"own")),
    )
    return photo(pixels, metadata=metadata)


WORDS = {
    "EXIF, GPS": "EXIF",
    "maker notes": "EXIF",
    "thumbnail in EXIF": "EXIF",
    "XMP, also of more than 64 KiB": "XMP",
    "IPTC": "IPTC",
    "colour profile": "profile",
    "comment": "comment",
    "Photoshop's paths": "Photoshop",
    "main subject, faces, panorama": "EXIF",
    "other segments and chunks": "parts of the file",
}


@pytest.mark.parametrize("column", [name for name in NAMES if name != "RAW"])
def test_each_cell_is_true(column: str) -> None:
    format = NAMES[column]
    if formats.FORMATS[format].missing is not None:
        pytest.skip(f"the library for {column} is not installed")
    cells = {row: each[column] for row, each in table().items()}
    original = source()
    first = encode(original, format=format)
    for row, word in WORDS.items():
        if cells[row] == "warning":
            assert any(word in each for each in first.warnings), row
    found = decode(first.data).metadata
    assert (found.icc == original.metadata.icc) == (cells["colour profile"] == "kept")
    assert (found.iptc == IPTC) == (cells["IPTC"] == "kept")
    assert (found.comment == b"a word") == (cells["comment"] == "kept")
    assert (found.dpi is not None) == (cells["dpi"] == "kept")
    assert any(each.data == b"own" for each in found.parts) == (
        cells["other segments and chunks"] == "kept"
    )
    assert (b"k" * 70_000 in (found.xmp or b"")) == cells[
        "XMP, also of more than 64 KiB"
    ].startswith("kept")
    follows = {row for row, cell in cells.items() if cell == "follows"}
    cut = part(decode(first.data), (0, 10, 60, 20))
    large = enlarged(cut, cut.pixels.repeat(2, 0).repeat(2, 1), None)
    again = decode(encode(large).data).metadata
    if "main subject, faces, panorama" in follows:
        # 15, 8 in a picture of 60x40, of which 20 rows from the tenth on stay: its lower part.
        assert test_regions.numbers(replace(cut, metadata=again), 0x9214) == (30, 2, 20, 4)
        assert test_places.geometry(again.xmp) == (120, 80, 120, 40, 0, 20)
    if "Photoshop's paths" in follows:
        head = len(test_places.resource(2000, b""))
        assert test_places.points(again.resources, head) == [AFTER]


@pytest.mark.parametrize("column", [name for name in NAMES if name != "RAW"])
def test_notes_thumbnails_and_resolution(column: str) -> None:
    format = NAMES[column]
    if formats.FORMATS[format].missing is not None:
        pytest.skip(f"the library for {column} is not installed")
    cells = {row: each[column] for row, each in table().items()}
    old = small_jpeg()
    block = exif_block(thumbnail=old)
    made = encode(
        photo(smooth(48, 64), metadata=Metadata(exif=block, dpi=(300, 300))), format=format
    )
    found = decode(made.data).metadata.exif
    if cells["EXIF, GPS"] == "warning":
        assert (found, len(made.warnings)) == (None, 1)
        return
    assert found is not None
    assert tag(found, 0x0001, inside=0x8825) == b"N\0"
    assert tag(found, 0x927C, inside=0x8769) == MAKER_NOTE
    stays = block.index(MAKER_NOTE) == found.index(MAKER_NOTE)
    assert stays == (cells["maker notes"] == "kept")
    assert old not in found
    assert (b"\xff\xd8\xff" in found) == (cells["thumbnail in EXIF"] == "renewed")
    with_dpi = ifd.Tree(
        {0x011A: ifd.rational_field("<", 300), 0x011B: ifd.rational_field("<", 300)}
    )
    stated = ifd.header("<", 8) + ifd.build(with_dpi, "<", 8)
    source = photo(smooth(48, 64), metadata=Metadata(exif=stated, dpi=(300, 300)))
    made = encode(source, format=format)
    assert made.warnings == ()
    if cells["dpi"] == "in EXIF":
        assert exif.has_resolution(decode(made.data).metadata.exif)


@test_extras.raw
def test_the_column_of_raw() -> None:
    cells = {row: each["RAW"] for row, each in table().items()}
    note = ifd.bytes_field(7, b"\0\0" + bytes(60))
    data = test_extras.bayer_dng(
        subject=(20, 10, 8, 6),
        taken={0x8827: ifd.integers_field(3, "<", 100), 0x927C: note},
        more={33723: ifd.bytes_field(7, IPTC), 700: ifd.bytes_field(1, told())},
    )
    found = decode(data)
    written = decode(encode(found).data).metadata
    assert (cells["IPTC"], written.iptc) == ("kept", IPTC)
    assert cells["XMP, also of more than 64 KiB"] == "kept"
    assert b"k" * 70_000 in (written.xmp or b"")
    assert cells["maker notes"] == "kept"
    assert test_extras.taken(written.exif)[0x927C] == note.data
    assert cells["EXIF, GPS"] == "kept"
    assert 0x8827 in test_extras.taken(written.exif)
