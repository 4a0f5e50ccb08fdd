"""HEIC, JPEG XL and camera RAW: formats whose libraries are extras."""

import re
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli import installation
from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.folders import FileBytes
from mirnet_cli.photo import (
    Metadata,
    cicp,
    decode,
    encode,
    exif,
    formats,
    ifd,
    jxl_header,
    probe,
    raw_check,
)
from mirnet_cli.photo import raw as raw_files
from mirnet_cli.photo.ifd import Field, Tree
from mirnet_cli.photo.isobmff import box, boxes
from mirnet_cli.photo.regions import part
from mirnet_cli.photo.source import DamageError
from mirnet_cli.photo.space import space_of
from mirnet_cli.photo.view import View
from tests.photo import test_regions
from tests.photo.pictures import IPTC, XMP, exif_block, noise, photo, saved, smooth

P3 = cicp.from_points(12, 13) or b""
WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}


def needs(format: str) -> Any:
    """Skips where the library of a format is not installed."""
    here = formats.FORMATS[format].missing is None
    return pytest.mark.skipif(not here, reason=f"the library for {format} is not installed")


heic, jxl, raw = needs("HEIC"), needs("JXL"), needs("RAW")
BOTH = [pytest.param("HEIC", marks=heic), pytest.param("JXL", marks=jxl)]


def unit(array: Any) -> Any:
    return array / WHITE[array.dtype.name]


@pytest.mark.parametrize("format", BOTH)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_pixels_come_back(format: str, dtype: str, with_alpha: bool, grey: bool) -> None:
    factor = {"uint8": 1, "uint16": 257}[dtype]
    pixels = (smooth(41, 60) * np.array(factor, dtype)).astype(dtype)
    alpha = pixels[..., 1].copy() if with_alpha else None
    pixels = pixels[..., 0].copy() if grey else pixels
    made = encode(photo(pixels, alpha), format=format)
    found = decode(made.data)
    assert (found.header.format, found.header.width, found.header.height) == (format, 60, 41)
    assert found.pixels.dtype == pixels.dtype
    if found.pixels.ndim > pixels.ndim:
        pixels = pixels[..., None]
    assert np.abs(unit(found.pixels) - unit(pixels)).max() < 0.05
    assert (found.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.abs(unit(found.alpha) - unit(alpha)).max() < 0.03
    said = ["16 bits became 12 bits, which is what HEIC holds"] * (
        format == "HEIC" and dtype == "uint16"
    )
    assert list(made.warnings) == said
    assert found.warnings == ()


@heic
def test_premultiplied_colours_of_an_heic_become_straight() -> None:
    import pillow_heif

    stored = np.full((32, 32, 4), (100, 50, 25, 128), np.uint8)
    buffer = BytesIO()
    pillow_heif.from_bytes("RGBa", (32, 32), stored.tobytes()).save(buffer, quality=95)
    found = decode(buffer.getvalue())
    assert np.abs(found.pixels.astype(int) - (199, 100, 50)).max() <= 4
    assert found.alpha is not None
    assert np.abs(found.alpha.astype(int) - 128).max() <= 1


@heic
def test_white_is_white_in_ten_bits() -> None:
    white = np.full((16, 16, 3), 65535, np.uint16)
    assert decode(encode(photo(white), format="HEIC").data).pixels.min() > 65200


@heic
@pytest.mark.parametrize("twelve", [False, True])
def test_an_heic_of_ten_or_twelve_bits_loses_none(
    twelve: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pillow_heif

    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", twelve)
    buffer = BytesIO()
    samples = noise(16, 16, 3, np.uint16)
    pillow_heif.from_bytes("RGB;16", (16, 16), samples.tobytes()).save(buffer, quality=90)
    found = decode(buffer.getvalue())
    assert found.pixels.dtype == np.uint16
    assert encode(found).warnings == ()
    assert encode(found, format="PNG").warnings == ()


@pytest.mark.parametrize("format", BOTH)
def test_metadata_comes_back_upright(format: str) -> None:
    metadata = Metadata(exif=exif_block(1), xmp=XMP, icc=P3 if format == "HEIC" else None)
    made = encode(photo(smooth(30, 50), metadata=metadata), format=format)
    found = decode(made.data)
    assert found.pixels.shape == (30, 50, 3)
    assert found.metadata.icc == metadata.icc
    assert exif.orientation(found.metadata.exif) == 1
    assert b"MAKER" in (found.metadata.exif or b"")
    assert b"dc:format" in (found.metadata.xmp or b"")
    again = encode(found)
    assert again.warnings == ()
    assert decode(again.data).metadata.icc == metadata.icc


@pytest.mark.parametrize("format", BOTH)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_a_file_cut_short_is_damage(format: str, keep: float) -> None:
    data = encode(photo(noise(64, 64)), format=format).data
    with pytest.raises(InputError, match=r"damaged|not a picture"):
        decode(data[: int(len(data) * keep)])


@pytest.mark.parametrize("format", BOTH)
def test_too_large_is_refused_before_decoding(format: str) -> None:
    data = encode(photo(smooth(40, 60)), format=format).data
    with pytest.raises(InputError, match="--max-pixels"):
        decode(data, max_pixels=2000)


@jxl
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_jpeg_xl_without_loss_stays_so(dtype: str) -> None:
    pixels = noise(20, 30, dtype=dtype)
    found = decode(encode(replace(photo(pixels, format="JXL"), lossless=True)).data)
    assert found.lossless
    # imagecodecs says of deep samples that they are linear; what is written is sRGB.
    assert found.metadata.icc is None
    np.testing.assert_array_equal(found.pixels, pixels)
    assert not decode(encode(found, quality=90).data).lossless


@jxl
def test_linear_jpeg_xl_is_known_to_be_linear() -> None:
    import imagecodecs

    pixels = noise(20, 30, dtype=np.uint16)
    found = decode(bytes(imagecodecs.jpegxl_encode(pixels, lossless=True)))
    np.testing.assert_array_equal(found.pixels, pixels)
    space, _ = space_of(found.metadata.icc, grey=False)
    assert space is not None
    light = np.full((1, 3), 0.2140, np.float32)
    np.testing.assert_allclose(space.shown(light), 0.5, atol=1e-3)


@jxl
@pytest.mark.parametrize(
    "shape", [(1, 1), (8, 8), (256, 256), (5, 3000), (300, 200), (90, 160), (33, 40, 4)]
)
def test_the_size_in_a_jpeg_xl_header(shape: tuple[int, ...]) -> None:
    import imagecodecs

    for dtype in (np.uint8, np.uint16):
        stream = bytes(imagecodecs.jpegxl_encode(np.zeros(shape, dtype), usecontainer=False))
        assert probe(stream).width == shape[1]
        assert probe(stream).height == shape[0]


def bits_of(*fields: tuple[int, int]) -> bytes:
    """A codestream's header from (value, bits)."""
    total = at = 0
    for value, count in fields:
        total |= value << at
        at += count
    return b"\xff\x0a" + total.to_bytes(-(-at // 8) + 80, "little")


def test_jpeg_xl_tells_turn_and_colours() -> None:
    size = [(1, 1), (4, 5), (0, 3), (9, 5)]
    found = jxl_header.parse(
        bits_of(
            *size,  # 80x40
            *[(0, 1), (1, 1), (5, 3), (0, 3)],  # fields, turn 6, no size, preview, animation
            *[(0, 1), (0, 2), (1, 1), (0, 2)],  # 8 bits, 16-bit buffers, no channels
            *[(1, 1), (0, 1), (0, 1), (0, 2)],  # XYB; colours: no profile, RGB
            *[(1, 2), (2, 2), (9, 4)],  # white D65, primaries 2 + 9
            *[(0, 1), (2, 2), (11, 4), (1, 2)],  # transfer 2 + 11, intent
        )
    )
    assert (found.width, found.height) == (40, 80)
    assert (found.xyb, found.colours.icc, found.animation) == (True, False, False)
    assert found.colours.where[0] == (0.68, 0.32)
    assert (found.colours.transfer, found.colours.gamma) == (13, None)


@jxl
@pytest.mark.parametrize("grey", [False, True])
def test_premultiplied_colours_of_a_jpeg_xl_become_straight(grey: bool) -> None:
    import imagecodecs

    alpha = np.arange(1, 226).astype(np.uint8).reshape(15, 15)
    straight = noise(15, 15, 1 if grey else 3)
    colours = straight.reshape(15, 15, -1)
    stored = np.rint(colours * (alpha[..., None] / 255)).astype(np.uint8)
    samples = np.concatenate([stored, alpha[..., None]], axis=2)
    made = bytes(imagecodecs.jpegxl_encode(samples, lossless=True, usecontainer=False))
    np.testing.assert_array_equal(decode(made).pixels, stored[..., 0] if grey else stored)

    # The header of alpha, which says that all is as usual in one bit, is written out instead.
    fields = ((0, 1), (0, 2), (0, 1), (3, 2), (7, 6), (0, 2), (0, 2), (1, 1))
    header = int.from_bytes(bits_of(*fields)[2:], "little")
    at = place_of_alpha(made)
    bits = int.from_bytes(made, "little")
    rest = bits >> (at + 1) << (at + 17)
    bits = rest | header << at | bits & ((1 << at) - 1)
    found = decode(bits.to_bytes(len(made) + 2, "little"))
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha, alpha)
    difference = np.abs(found.pixels.reshape(15, 15, -1).astype(int) - colours)
    assert (difference <= np.ceil(255 / alpha / 2)[..., None]).all()


def place_of_alpha(stream: bytes) -> int:
    """The bit at which the header of the first further channel is."""
    places = []

    def noted(bits: Any) -> tuple[int, bool]:
        places.append(bits.at)
        return extra(bits)

    extra = jxl_header._extra
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jxl_header, "_extra", noted)
        jxl_header.parse(stream)
    return places[0]


@jxl
def test_compressed_metadata_of_a_jpeg_xl_is_kept() -> None:
    import imagecodecs

    made = encode(
        photo(smooth(20, 30), metadata=Metadata(exif=exif_block(6), xmp=XMP)), format="JXL"
    )
    plain = decode(made.data)
    pieces = [made.data[:12]]
    for name, body in boxes(made.data[12:]):
        if name in (b"Exif", b"xml "):
            name, body = b"brob", name + bytes(imagecodecs.brotli_encode(body))
        pieces += box(name, body)
    found = decode(b"".join(pieces))
    assert b"brob" in b"".join(pieces)
    assert found.metadata == plain.metadata
    assert found.metadata.exif is not None
    assert found.metadata.xmp is not None
    assert found.warnings == ()


@jxl
@pytest.mark.parametrize("kind", [b"Exif", b"xml "])
@pytest.mark.parametrize("damage", ["cut", "bomb"])
def test_compressed_metadata_that_is_damaged_is_named(kind: bytes, damage: str) -> None:
    import imagecodecs

    made = encode(photo(smooth(20, 30), metadata=Metadata(xmp=XMP)), format="JXL").data
    packed = bytes(imagecodecs.brotli_encode(bytes(20 << 20) if damage == "bomb" else XMP))
    further = b"".join(box(b"brob", kind + packed[: None if damage == "bomb" else -9]))
    found = decode(made + 9 * further)
    assert found.metadata.xmp == decode(made).metadata.xmp
    assert found.warnings == ("compressed metadata is damaged or too large and is not kept",)


@jxl
def test_a_jpeg_kept_as_jpeg_xl_was_not_coded_without_loss() -> None:
    import imagecodecs

    data = saved(Image.fromarray(smooth(40, 60)), "JPEG", quality=80)
    found = decode(bytes(imagecodecs.jpegxl_encode_jpeg(data, usecontainer=True)))
    assert not found.lossless


@jxl
def test_high_dynamic_range_is_refused() -> None:
    header = bits_of(
        *[(1, 1), (4, 5), (0, 3), (9, 5)],
        *[(0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (0, 2)],
        *[(1, 1), (0, 1), (0, 1), (0, 2), (1, 2), (2, 2), (7, 4), (0, 1), (2, 2), (14, 4)],
    )
    with pytest.raises(InputError, match=r"high dynamic range \(PQ\)"):
        decode(header)


def bayer_dng(
    height: int = 48,
    width: int = 64,
    orientation: int = 1,
    subject: tuple[int, ...] = (),
    taken: dict[int, Field] | None = None,
    more: dict[int, Field] | None = None,
) -> bytes:
    """A DNG of one grey, uncompressed."""
    samples = np.full((height, width), 16384, "<u2").tobytes()

    def numbers(kind: int, *values: int) -> Field:
        return ifd.integers_field(kind, "<", *values)

    def rationals(kind: int, *values: int) -> Field:
        pairs = [part for value in values for part in (value, 10000)]
        return Field(kind, len(values), struct.pack(f"<{len(pairs)}i", *pairs))

    matrix = (4124, 3576, 1805, 2126, 7152, 722, 193, 1192, 9505)
    inverse = np.rint(np.linalg.inv(np.array(matrix).reshape(3, 3) / 1e4) * 1e4).astype(int)
    inner = Tree({0x829A: rationals(5, 5), 0x8827: numbers(3, 3200)} if taken is None else taken)
    if subject:
        inner.fields[0x9214] = numbers(3, *subject)
    fields = {
        254: numbers(4, 0), 256: numbers(4, width), 257: numbers(4, height), 258: numbers(3, 16),
        259: numbers(3, 1), 262: numbers(3, 32803), 271: ifd.bytes_field(2, b"Maker\0"),
        272: ifd.bytes_field(2, b"Model\0"), 273: numbers(4, 8), 274: numbers(3, orientation),
        277: numbers(3, 1), 278: numbers(4, height), 279: numbers(4, len(samples)),
        284: numbers(3, 1), 33421: numbers(3, 2, 2),
        33422: ifd.bytes_field(1, bytes((0, 1, 1, 2))),
        50706: ifd.bytes_field(1, bytes((1, 4, 0, 0))), 50708: ifd.bytes_field(2, b"Maker Model\0"),
        50717: numbers(4, 65535), 50721: rationals(10, *inverse.ravel().tolist()),
        50728: rationals(5, 10000, 10000, 10000), 50778: numbers(3, 21),
    }  # fmt: skip
    fields |= more or {}
    directory = ifd.build(Tree(fields, {0x8769: inner}), "<", 8 + len(samples))
    return ifd.header("<", 8 + len(samples)) + samples + directory


@heic
@pytest.mark.parametrize(("kind", "code"), [(b"jpeg", "JPEG"), (b"j2k1", "JPEG 2000")])
def test_an_heif_of_another_code_is_not_damaged(kind: bytes, code: str) -> None:
    data = encode(photo(smooth(64, 64)), format="HEIC").data
    assert b"hvc1" in data
    with pytest.raises(InputError, match=rf"an HEIF \({code}\) that is not read here"):
        decode(data.replace(b"hvc1", kind))


@raw
def test_a_raw_photo_is_developed() -> None:
    found = decode(bayer_dng())
    assert found.header.format == "RAW"
    assert found.pixels.dtype == np.uint16
    assert found.pixels.shape == (48, 64, 3)
    middle = found.pixels[10:-10, 10:-10].reshape(-1, 3).mean(axis=0) / 65535
    # A quarter of white in linear light is 0.537 in sRGB.
    np.testing.assert_allclose(middle, 0.537, atol=0.02)
    assert found.metadata.icc is None
    block = found.metadata.exif or b""
    assert b"Model" in block
    assert b"Maker Model" not in block
    assert found.warnings == ()


def taken(block: bytes | None) -> dict[int, bytes]:
    """The tags of EXIF's own directory."""
    reader = ifd.Reader(block or b"")
    tree, damaged = ifd.read_tree(reader, reader.first)
    assert damaged == 0
    return {tag: each.data for tag, each in tree.children[0x8769].fields.items()}


@raw
def test_what_a_raw_photo_tells_goes_into_the_tiff() -> None:
    iso, crs = ifd.integers_field(3, "<", 800), "http://ns.adobe.com/camera-raw-settings/1.0/"
    packet = XMP.replace(
        b"tiff:Orientation", f'xmlns:c="{crs}" c:Exposure2012="+1" tiff:Orientation'.encode()
    )
    more = {
        0x8827: iso,
        700: ifd.bytes_field(1, packet),
        33723: ifd.bytes_field(7, IPTC),
        0x4746: ifd.integers_field(3, "<", 4),
        0xC634: ifd.bytes_field(1, b"Adobe\0MakN"),
    }
    note = ifd.bytes_field(7, b"Nikon\0\2\x10" + bytes(60))
    lens = ifd.bytes_field(2, b"35mm lens\0")
    found = decode(bayer_dng(taken={0x927C: note, 0xA434: lens}, more=more))
    assert [
        [word in each for word in ("private data", "Camera Raw")] for each in found.warnings
    ] == [
        [True, False],
        [False, True],
    ]
    written = decode(encode(found).data).metadata
    told = taken(written.exif)
    assert (told[0x8827], told[0xA434], told[0x927C]) == (iso.data, lens.data, note.data)
    assert written.iptc == IPTC
    assert (b"image/x" in (written.xmp or b""), b"Exposure2012" in (written.xmp or b"")) == (
        *(True, False),
    )
    assert b'tiff:Orientation="1"' in (written.xmp or b"")


@raw
@pytest.mark.parametrize(
    ("baseline", "offset", "told"),
    [
        ((2, 1), None, "+2 EV"),
        ((-2, 1), (1, 2), "-1.5 EV"),
        ((1, 4), (1, 4), "+0.5 EV"),
        ((1, 4), None, None),
        ((1, 0), None, None),
        ((2**31 - 1, 1), None, None),
        ((-(2**31), 1), None, None),
    ],
)
def test_light_that_a_dng_asks_for_is_told_not_added(
    baseline: tuple[int, int], offset: tuple[int, int] | None, told: str | None
) -> None:
    given = {0xC62A: baseline} | ({} if offset is None else {0xC7A5: offset})
    more = {
        tag: Field(ifd.SRATIONAL, 1, struct.pack("<ii", *ratio)) for tag, ratio in given.items()
    }
    found = decode(bayer_dng(more=more))
    np.testing.assert_array_equal(found.pixels, decode(bayer_dng()).pixels)
    assert [f"asks for {told} " in each for each in found.warnings] == ([True] if told else [])


@raw
def test_light_that_a_dng_asks_for_without_a_sign_is_told() -> None:
    more = {0xC7A5: Field(ifd.RATIONAL, 1, struct.pack("<II", 3, 2))}
    assert "asks for +1.5 EV " in decode(bayer_dng(more=more)).warnings[0]


@raw
def test_a_maker_s_note_of_a_raw_photo_stays_where_its_offsets_lead() -> None:
    note = b"\0\0" + b"note" * 15
    inner = {0x927C: ifd.bytes_field(7, note), 0x8827: ifd.integers_field(3, "<", 100)}
    data = bayer_dng(taken=inner)
    found = decode(data)
    assert found.warnings == ()
    written = encode(found)
    assert written.warnings == ()
    assert written.data.index(note) == data.index(note)
    assert taken(decode(written.data).metadata.exif)[0x927C] == note


def test_an_rw2_s_tags_are_those_of_the_jpeg_in_it() -> None:
    block = exif_block(6)
    inside = saved(Image.fromarray(np.zeros((8, 8, 3), np.uint8)), "JPEG", exif=b"Exif\0\0" + block)
    tree = Tree({0x2E: ifd.bytes_field(7, inside), 0x17: ifd.integers_field(3, "<", 80)})
    data = b"IIU\0" + ifd.header("<", 8)[4:] + ifd.build(tree, "<", 8)
    metadata, warnings = raw_files.File(data).metadata()
    assert warnings == []
    assert metadata.exif == exif.upright(block)


@raw
def test_what_exif_does_not_tell_is_what_libraw_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    known = SimpleNamespace(iso_speed=6400.0, shutter_speed=1 / 50, aperture=2.8, focal_length=35)
    monkeypatch.setattr(raw_check.LibRaw, "taken", lambda self: known)
    told = taken(raw_files.File(bayer_dng(taken={})).metadata()[0].exif)
    assert told[0x8827] == struct.pack("<H", 6400)
    assert told[0x829A] == struct.pack("<II", 1, 50)
    assert told[0x829D] == struct.pack("<II", 14, 5)
    assert told[0x920A] == struct.pack("<II", 35, 1)


def test_the_tags_of_a_cr3_are_read() -> None:
    def tiff_of(fields: dict[int, Field]) -> bytes:
        return ifd.header("<", 8) + ifd.build(Tree(fields), "<", 8)

    blocks = {
        b"CMT1": tiff_of({0x0110: ifd.bytes_field(2, b"Canon EOS\0")}),
        b"CMT2": tiff_of({0x8827: ifd.integers_field(3, "<", 1600)}),
        b"CMT4": tiff_of({1: ifd.bytes_field(2, b"N\0")}),
    }
    own = b"".join(b"".join(box(name, block)) for name, block in blocks.items())
    uuid = b"".join(box(b"uuid", raw_files._CANON + own))
    data = b"".join([*box(b"ftyp", b"crx \0\0\0\1crx isom"), *box(b"moov", uuid)])
    data += b"".join(box(b"uuid", raw_files._PACKET + XMP + b"\0"))
    metadata, warnings = raw_files.File(data).metadata()
    assert warnings == []
    assert taken(metadata.exif) == {0x8827: struct.pack("<H", 1600)}
    assert (b"Canon EOS" in (metadata.exif or b""), metadata.xmp) == (True, XMP)


@raw
def test_a_raw_photo_is_turned_and_written_as_tiff() -> None:
    found = decode(bayer_dng(orientation=6))
    assert found.pixels.shape == (64, 48, 3)
    assert (found.header.width, found.header.height) == (48, 64)
    assert probe(bayer_dng(orientation=6)) == found.header
    made = encode(found)
    again = decode(made.data)
    assert again.header.format == "TIFF"
    np.testing.assert_array_equal(again.pixels, found.pixels)
    assert exif.orientation(again.metadata.exif) in (1, None)


@raw
def test_a_damaged_raw_photo() -> None:
    with pytest.raises(InputError, match=r"damaged (RAW|TIFF) file"):
        decode(bayer_dng()[:400])
    with pytest.raises(InputError, match="RAW file"):
        decode(b"FUJIFILMCCD-RAW " + bytes(500))


def dng_of(stored: bytes, tags: dict[int, int], taken: dict[int, Field] | None = None) -> bytes:
    """The DNG of :func:`bayer_dng` with its data stored in one tile, behind the directory."""
    reader = ifd.Reader(bayer_dng(taken=taken))
    tree, _ = ifd.read_tree(reader, reader.first)
    for tag in (273, 278, 279):
        del tree.fields[tag]
    for tag, value in ({322: 64, 323: 48, 324: 0, 325: len(stored)} | tags).items():
        tree.fields[tag] = ifd.integers_field(4 if tag > 321 else 3, "<", value)
    tree.fields[324] = ifd.integers_field(4, "<", 8 + len(ifd.build(tree, "<", 8)))
    return ifd.header("<", 8) + ifd.build(tree, "<", 8) + stored


@raw
def test_a_raw_photo_without_its_data_is_no_picture(capfd: pytest.CaptureFixture[str]) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    ramp = np.broadcast_to(np.linspace(900, 60000, 64).astype(np.uint16), (48, 64)).copy()
    stored = bytes(imagecodecs.ljpeg_encode(ramp, bitspersample=16))
    data = dng_of(stored, {259: 7})
    row = decode(data).pixels.mean(axis=(0, 2))
    assert (np.diff(row) > -1).all()
    for kept in (0, 1, 40, len(stored) // 2, len(stored) - 1):
        with pytest.raises(InputError, match="ends before the picture is complete"):
            decode(data[: len(data) - len(stored) + kept])
    with pytest.raises(InputError, match="empty"):
        decode(dng_of(bytes(64 * 48 * 2), {259: 1}))
    untold = dng_of(stored, {259: 7}, taken={})  # how it was taken is asked of LibRaw
    with pytest.raises(InputError, match="ends before the picture is complete"):
        decode(untold[:-40])
    assert capfd.readouterr().err == ""


@raw
def test_what_libraw_finds_corrupt_is_damage_and_stays_off_the_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    stored = bytes(imagecodecs.ljpeg_encode(noise(48, 64, 1, np.uint16), bitspersample=16))
    at = stored.index(b"\xff\xda") + 40
    data = dng_of(stored[:at] + b"\xff\xd9" + bytes(len(stored) - at - 2), {259: 7})
    with pytest.raises(InputError, match="corrupt"):
        decode(data)
    assert capfd.readouterr().err == ""


@raw
@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_a_deflate_that_libraw_misreads_is_refused(floats: bool, predictor: int) -> None:
    ramp = np.broadcast_to(np.linspace(0.02, 1, 64), (48, 64))
    rows = ramp.astype("<f4") if floats else np.rint(ramp * 65535).astype("<u2")
    size = rows.dtype.itemsize
    if predictor == 3:
        planes = rows.copy().view(np.uint8).reshape(48, 64, size)[..., ::-1].swapaxes(1, 2)
        rows = np.diff(planes.reshape(48, -1), axis=1, prepend=np.uint8(0)).astype(np.uint8)
    data = dng_of(
        zlib.compress(rows.tobytes()),
        {258: 8 * size, 259: 8, 317: predictor, 339: 3 if floats else 1, 50717: 1},
    )
    if floats and predictor == 3:
        found = decode(data).pixels.mean(axis=(0, 2))
        assert (np.diff(found) > -1).all()
        assert found[-1] > 60000
    else:
        with pytest.raises(InputError, match="Deflate"):
            decode(data)


@raw
@pytest.mark.parametrize("form", [4, 6])
def test_a_panasonic_without_its_data_is_damage(form: int) -> None:
    tags = {2: 64, 3: 48, 0x2D: form, 0x118: 400}
    fields = {tag: ifd.integers_field(4, "<", value) for tag, value in tags.items()}
    data = ifd.header("<", 8) + ifd.build(Tree(fields), "<", 8)
    data = (b"IIU\0" + data[4:]).ljust(400, b"\0")
    full = data + noise(1, 64 * 48 * 16 // 14, 1).tobytes()
    with pytest.raises(DamageError, match="ends before"):
        raw_check.LibRaw(full[:-1]).check()
    raw_check.LibRaw(full).check()


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(60), installation.add("pillow", again=True)),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60), installation.add_extra("heif")),
        (b"\xff\x0a" + bytes(60), installation.add_extra("jxl")),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), installation.add_extra("jxl")),
        (b"FUJIFILMCCD-RAW " + bytes(60), installation.add_extra("raw")),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(60), installation.add_extra("raw")),
        (bayer_dng(), installation.add_extra("raw")),
    ],
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, head: bytes, wanted: str
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    path = tmp_path / "photo"
    path.write_bytes(head)
    with pytest.raises(InputError, match=re.escape(f"; {wanted}")) as caught:
        decode(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["avif", "heic", "jxl"])
def test_a_format_that_cannot_be_written_here(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="-m pip install"):
        formats.format_from_option(name)


def test_raw_cannot_be_written() -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        formats.format_from_option("dng")
    assert "RAW" not in formats.WRITABLE
    assert formats.written_extension("a.NEF") == "tif"
    assert formats.written_extension("a.jpg") is None


def turned_heic(turn: int, pixels: Any, **options: Any) -> bytes:
    """An HEIC whose pixels libheif turns (irot, imir), with the same orientation in EXIF."""
    import pillow_heif

    file = pillow_heif.from_bytes("RGB", pixels.shape[1::-1], pixels.tobytes())
    buffer = BytesIO()
    usual = {"quality": 95, "exif": stored_block(turn), "xmp": test_regions.packet()}
    file.save(buffer, **usual | options)
    return buffer.getvalue()


def turned_avif(turn: int, pixels: Any, **options: Any) -> bytes:
    """An AVIF of the same kind, with EXIF as a camera writes it: not as Pillow would."""
    block = stored_block(turn)
    place, rotation = Image.Exif(), Image.Exif()
    place[0xC7FF] = rotation[0xC7FF] = b"+" * len(block)
    rotation[0x0112] = turn
    data = saved(
        *(Image.fromarray(pixels), "AVIF"),
        **{"quality": 95, "subsampling": "4:4:4", "exif": rotation, "xmp": test_regions.packet()}
        | options,
    )
    there = exif.without_prefix(place.tobytes())
    assert data.count(there) == 1
    return data.replace(there, block.ljust(len(there), b"\0"))


def turned_jxl(turn: int, pixels: Any) -> bytes:
    """A JPEG XL made from a JPEG, whose orientation its codestream takes over."""
    import imagecodecs

    buffer = BytesIO()
    Image.fromarray(pixels).save(
        buffer, "JPEG", quality=95, subsampling=0, exif=b"Exif\0\0" + stored_block(turn)
    )
    made = imagecodecs.jpegxl_encode_jpeg(buffer.getvalue(), usecontainer=True)
    kept = [(name, body) for name, body in boxes(made) if name[:3] in (b"fty", b"jxl")]
    kept += [(b"Exif", bytes(4) + stored_block(turn)), (b"xml ", test_regions.packet())]
    packed = [struct.pack(">I4s", len(body) + 8, name) + body for name, body in kept]
    return bytes(made[:12]) + b"".join(packed)


def stored_block(turn: int) -> bytes:
    sides = test_regions.ACROSS, test_regions.DOWN
    return test_regions.block(turn, *test_regions.MIDDLE, *sides)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(turned_heic, marks=heic),
        pytest.param(turned_avif, marks=needs("AVIF")),
        pytest.param(turned_jxl, marks=needs("JXL")),
    ],
)
def test_places_follow_what_the_library_turns(make: Any, turn: int) -> None:
    pixels = test_regions.source().pixels
    found = decode(make(turn, pixels))
    assert found.pixels.shape[:2] == ((60, 40) if turn >= 5 else (40, 60))
    clean = np.where(found.pixels > 128, 255, 0).astype(np.uint8)
    test_regions.check(found.with_pixels(clean))
    assert found.misplaced == ()


@pytest.mark.parametrize("said", [1, 6])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(
    "make", [pytest.param(turned_heic, marks=heic), pytest.param(turned_avif, marks=needs("AVIF"))]
)
def test_the_container_turns_a_picture_whatever_exif_says(make: Any, turn: int, said: int) -> None:
    data = make(turn, test_regions.source().pixels)
    data = data.replace(stored_block(turn), stored_block(said))
    assert stored_block(said) in data
    found = decode(data)
    sides = (40, 60) if turn >= 5 else (60, 40)
    header = probe(data)
    assert (header.width, header.height) == found.pixels.shape[1::-1] == sides
    clean = np.where(found.pixels > 128, 255, 0).astype(np.uint8)
    test_regions.check(found.with_pixels(clean))
    for format in (None, "JPEG"):
        again = decode(encode(found, format=format).data)
        assert np.abs(again.pixels.astype(int) - found.pixels).mean() < 8
        assert exif.orientation(again.metadata.exif) in (None, 1)
        assert again.misplaced == ()


PLACE = b"the place of a clean aperture"[:28]
"""A profile that takes as many bytes as the property that says which part is shown."""


def with_part(data: bytes, numbers: tuple[int, ...]) -> bytes:
    """An HEIC or AVIF whose profile became a clean aperture, an essential property."""
    profile = struct.pack(">I4s4s28s", 40, b"colr", b"prof", PLACE)
    assert data.count(profile) == 1
    data = data.replace(profile, struct.pack(">I4sIIIIiIiI", 40, b"clap", *numbers))
    at = data.index(b"ipco")
    properties = boxes(data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at], "big")])
    index = [name for name, _ in properties].index(b"clap") + 1
    changed = bytearray(data)
    at = data.index(b"ipma") + 14  # one item: behind version, flags, count and number
    for place in range(at + 1, at + 1 + data[at]):
        if changed[place] == index:
            changed[place] |= 0x80
    return bytes(changed)


@pytest.mark.parametrize(
    ("turn", "crop"),
    [
        *((1, (6, 2, 20, 18)), (2, (38, 2, 20, 18)), (3, (38, 44, 20, 18)), (4, (6, 44, 20, 18))),
        *((5, (2, 6, 18, 20)), (6, (44, 6, 18, 20)), (7, (44, 38, 18, 20)), (8, (2, 38, 18, 20))),
    ],
)
@pytest.mark.parametrize(
    "make", [pytest.param(turned_heic, marks=heic), pytest.param(turned_avif, marks=needs("AVIF"))]
)
def test_a_clean_aperture_is_cut_out(make: Any, turn: int, crop: tuple[int, ...]) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:40, :60] = test_regions.source().pixels
    packet = re.sub(rb'(dim:[wh]="|<dim:[wh]>)[0-9]+', rb"\g<1>64", test_regions.packet())
    data = make(turn, pixels, icc_profile=PLACE, xmp=packet)
    full = decode(with_part(data, (64, 1, 64, 1, 0, 1, 0, 1)))
    assert full.pixels.shape[:2] == (64, 64)
    shown = with_part(data, (20, 1, 18, 1, -16, 1, -21, 1))
    found, wanted = decode(shown), part(full, (*crop,))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.pixels, wanted.pixels)
    assert found.metadata.exif == wanted.metadata.exif
    assert found.warnings == found.misplaced == wanted.misplaced == ()
    numbers = [
        re.findall(rb"\d+[.]\d+", each.metadata.xmp or b"") for each in (found, wanted, full)
    ]
    places = [[float(number) for number in each] for each in numbers]
    assert places[0] == pytest.approx(places[1], abs=1e-4)
    assert places[0] != pytest.approx(places[2], abs=1e-4)
    header = probe(shown)
    assert (header.width, header.height) == (crop[2], crop[3])


@needs("AVIF")
@pytest.mark.parametrize(
    "numbers",
    [
        *((61, 1, 40, 1, 0, 1, 0, 1), (20, 1, 18, 1, 21, 1, 0, 1), (0, 1, 18, 1, 0, 1, 0, 1)),
        *((21, 1, 18, 1, 0, 1, 0, 1), (20, 1, 18, 1, 0, 0, 0, 1)),
    ],
)
def test_a_clean_aperture_that_is_no_part_is_said(numbers: tuple[int, ...]) -> None:
    data = turned_avif(1, test_regions.source().pixels, icc_profile=PLACE)
    found = decode(with_part(data, numbers))
    assert found.pixels.shape[:2] == (40, 60)
    assert "clean aperture" in found.warnings[0]


@heic
@pytest.mark.parametrize("turn", [3, 6])
def test_an_exif_orientation_alone_turns_no_heic(turn: int) -> None:
    data = turned_heic(1, test_regions.source().pixels)
    found = decode(data.replace(stored_block(1), stored_block(turn)))
    clean = np.where(found.pixels > 128, 255, 0).astype(np.uint8)
    assert test_regions.white(clean) == (10, 4, 10, 8)
    test_regions.check(found.with_pixels(clean))


def test_exif_of_an_avif_that_is_not_turned_is_kept_to_the_byte() -> None:
    pixels = test_regions.source().pixels
    data = turned_avif(1, pixels).replace(stored_block(1), stored_block(6))
    kept = decode(data).metadata.exif or b""
    assert kept.rstrip(b"\0") == stored_block(1).rstrip(b"\0")


@raw
@pytest.mark.parametrize("turn", range(1, 9))
def test_the_subject_of_a_raw_photo_follows_its_turn(turn: int) -> None:
    found = decode(bayer_dng(orientation=turn, subject=(20, 10, 8, 6)))
    view = View(64, 48, turn)
    reader = ifd.Reader(found.metadata.exif or b"")
    inner = reader.directory(reader.integer(reader.directory(reader.first).entries[0x8769]))
    assert reader.integers(inner.entries[0x9214]) == view.area((20, 10, 8, 6))


@pytest.mark.parametrize(
    ("extension", "opener"),
    [
        (".avif", "PIL.AvifImagePlugin.AvifImageFile"),
        (".heic", "pillow_heif.open_heif"),
        (".dng", "rawpy.imread"),
    ],
)
def test_a_library_opens_a_file_once(
    extension: str, opener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, name = opener.rpartition(".")
    library = pytest.importorskip(module)
    path = tmp_path / f"photo{extension}"
    if extension == ".dng":
        path.write_bytes(bayer_dng())
    else:
        made = decode(saved(Image.fromarray(noise(64, 48)), "PNG"))
        path.write_bytes(encode(made, format=extension[1:]).data)
    first, opened, read = getattr(library, name), [], []
    monkeypatch.setattr(library, name, lambda *a, **more: opened.append(a) or first(*a, **more))
    slices = FileBytes.__getitem__
    monkeypatch.setattr(
        FileBytes, "__getitem__", lambda self, span: read.append(span) or slices(self, span)
    )
    decode(path)
    assert len(opened) == 1
    assert [span.stop for span in read].count(path.stat().st_size) == 1
