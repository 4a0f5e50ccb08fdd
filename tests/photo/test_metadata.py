"""What a file carries beside its pixels survives, and follows the picture where it must."""

import io
import struct
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.photo import Metadata, Part, Photo, decode, encode, exif, formats, ifd
from mirnet_cli.photo.ifd import Reader
from mirnet_cli.photo.space import space_of_photo
from tests.photo.pictures import (
    IPTC,
    MAKER_NOTE,
    RESOURCES,
    XMP,
    chunk,
    exif_block,
    grey_profile,
    jpeg_with,
    noise,
    photo,
    png,
    rgb_profile,
    saved,
    small_jpeg,
    smooth,
)

FULL = Metadata(
    exif=exif_block(),
    xmp=XMP,
    icc=rgb_profile(),
    iptc=IPTC,
    dpi=(300.0, 240.0),
    comment="Grüße".encode(),
    resources=RESOURCES,
)
HELD = {
    "JPEG": {"exif", "xmp", "icc", "iptc", "dpi", "comment", "resources"},
    "PNG": {"exif", "xmp", "icc", "iptc", "dpi", "comment", "resources"},
    "TIFF": {"exif", "xmp", "icc", "iptc", "dpi", "resources"},
    "WEBP": {"exif", "xmp", "icc"},
    "AVIF": {"exif", "xmp", "icc"},
    "BMP": {"dpi"},
}


def tag(block: bytes, number: int, *, inside: int | None = None) -> Any:
    """A tag's bytes, of the top directory or of a sub-directory."""
    reader = Reader(block)
    directory = reader.directory(reader.first)
    if inside is not None:
        directory = reader.directory(reader.integer(directory.entries[inside]))
    entry = directory.entries.get(number)
    return None if entry is None else reader.value(entry)


def number(block: bytes, wanted: int, *, inside: int | None = None) -> int:
    reader = Reader(block)
    directory = reader.directory(reader.first)
    if inside is not None:
        directory = reader.directory(reader.integer(directory.entries[inside]))
    return reader.integer(directory.entries[wanted])


@pytest.mark.parametrize("format", HELD)
def test_every_format_keeps_what_it_can_and_names_the_rest(format: str) -> None:
    source = photo(smooth(12, 16), metadata=FULL)
    encoded = encode(source, format=format)
    found = decode(encoded.data).metadata

    for field in ("exif", "xmp", "icc", "iptc", "dpi", "comment", "resources"):
        value = getattr(found, field)
        if field not in HELD[format]:
            assert value is None
        elif field == "dpi":
            assert value == pytest.approx((300, 240), abs=0.02)
        elif field == "exif":
            assert tag(value, 0x010F) == b"Make\0"
            assert tag(value, 0xC7FF) == b"\1\2unknwn"
            assert tag(value, 0x927C, inside=0x8769) == MAKER_NOTE
            assert tag(value, 0x0001, inside=0x8825) == b"N\0"
            assert number(value, 0xA002, inside=0x8769) == 16
            assert number(value, 0xA003, inside=0x8769) == 12
        elif field == "xmp":
            assert b'dc:format="image/x"' in value
            assert b'tiff:Orientation="1"' in value
            assert b'tiff:ImageWidth="16"' in value
            assert b"<tiff:ImageLength>12<" in value
            assert b'exif:PixelYDimension="12"' in value
        else:
            assert value == getattr(FULL, field), field
    lost = len(set(HELD["JPEG"]) - HELD[format])
    assert len(encoded.warnings) == lost, encoded.warnings


@pytest.mark.parametrize("order", "<>")
def test_exif_is_patched_where_it_lies(order: str) -> None:
    block = exif_block(6, order=order, extra=b"a trailer nobody knows")
    patched = exif.resized(exif.upright(block), 70000, 20, lambda room: None)
    assert len(patched) == len(block)
    assert exif.orientation(block) == 6
    assert exif.orientation(patched) == 1
    assert number(patched, 0xA002, inside=0x8769) == 70000, "a SHORT has become a LONG"
    differing = {at for at in range(len(block)) if block[at] != patched[at]}
    # The orientation's value (entry 2 of the top directory), and two entries of the Exif one.
    assert differing <= {*range(8 + 2 + 12, 8 + 2 + 24), *range(100 + 2 + 12, 100 + 2 + 36)}


def test_pillow_reads_the_patched_block() -> None:
    data = saved(Image.fromarray(smooth(24, 40)), "JPEG", exif=b"Exif\0\0" + exif_block(6))
    encoded = encode(decode(data))
    with Image.open(io.BytesIO(encoded.data)) as image:
        tags = image.getexif()
        assert tags[0x0112] == 1
        assert tags[0x010F] == "Make"
        inner = tags.get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (24, 40)
        assert inner[0x927C] == MAKER_NOTE
    assert encoded.warnings == ()


def test_a_stale_thumbnail_is_replaced() -> None:
    old = small_jpeg((200, 20, 20))
    data = saved(
        Image.fromarray(smooth(60, 90)), "JPEG", exif=b"Exif\0\0" + exif_block(6, thumbnail=old)
    )
    block = decode(encode(decode(data)).data).metadata.exif
    assert block is not None
    assert old[-200:] not in block
    with Image.open(io.BytesIO(thumbnail_of(block))) as small:
        assert small.size == (60, 90)
        assert small.convert("RGB").getpixel((5, 5)) != (200, 20, 20)


def thumbnail_of(block: bytes) -> bytes:
    reader = Reader(block)
    small = reader.directory(reader.directory(reader.first).next)
    assert reader.integer(small.entries[0x0112]) == 1
    start = reader.integer(small.entries[0x0201])
    return block[start : start + reader.integer(small.entries[0x0202])]


def test_a_thumbnail_that_fits_nowhere_is_taken_out() -> None:
    block = exif_block(thumbnail=small_jpeg()[:300])
    patched = exif.resized(block, 10, 10, lambda room: None)
    reader = Reader(patched)
    assert reader.directory(reader.first).next == 0
    assert patched[400:] == bytes(300)


def test_an_exif_block_without_its_orientation_for_avif() -> None:
    block = exif_block(6, thumbnail=small_jpeg()[:300])
    without = exif.without_orientation(block)
    reader = Reader(without)
    top = reader.directory(reader.first)
    assert 0x0112 not in top.entries
    assert set(top.entries) == {0x010F, 0x8769, 0x8825, 0xC7FF}
    assert top.next == 300
    assert tag(without, 0x927C, inside=0x8769) == MAKER_NOTE


def test_a_large_profile_is_kept_to_the_byte_in_every_format() -> None:
    profile = rgb_profile(400_000)
    for format in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF"):
        encoded = encode(photo(smooth(8, 8), metadata=Metadata(icc=profile)), format=format)
        assert decode(encoded.data).metadata.icc == profile, format


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_grey_profile_stays_with_grey_pixels(format: str) -> None:
    source = photo(noise(8, 8, 1), metadata=Metadata(icc=grey_profile()))
    encoded = encode(source, format=format)
    assert encoded.warnings == ()
    assert decode(encoded.data).metadata.icc == grey_profile()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_grey_profile_is_never_in_an_rgb_file(format: str) -> None:
    source = photo(noise(8, 8, 3), metadata=Metadata(icc=grey_profile()))
    encoded = encode(source, format=format)
    assert decode(encoded.data).metadata.icc is None
    assert any("profile" in warning for warning in encoded.warnings)
    wrong = saved(Image.fromarray(noise(8, 8)), format, icc_profile=grey_profile())
    read = decode(wrong)
    assert read.metadata.icc is None
    assert any("profile" in warning for warning in read.warnings)


def test_grey_with_its_profile_becomes_srgb_where_there_is_no_grey() -> None:
    source = photo(np.full((8, 8), 100, np.uint8), metadata=Metadata(icc=grey_profile(1.0)))
    encoded = encode(source, format="WEBP", quality=100)
    found = decode(encoded.data).pixels
    # 100/255 of linear light is 0.66 in sRGB's curve.
    assert abs(int(found[4, 4, 0]) - 168) <= 3
    assert any("grey became sRGB" in warning for warning in encoded.warnings)


@pytest.mark.parametrize("format", ["WEBP", "AVIF", "HEIC"])
def test_transparent_grey_with_its_profile_becomes_srgb_too(format: str) -> None:
    if formats.FORMATS[format].missing:
        pytest.skip(f"the library for {format} is not installed")
    grey = np.full((16, 16), 100 * 257, np.uint16)
    metadata = Metadata(icc=grey_profile(1.0))
    encoded = encode(photo(grey, grey, metadata=metadata), format=format, quality=100)
    found = decode(encoded.data)
    assert (found.metadata.icc, found.warnings) == (None, ())
    white = np.iinfo(found.pixels.dtype).max
    assert abs(found.pixels[8, 8, 0] / white - 168 / 255) < 0.02
    assert found.alpha is not None
    assert abs(found.alpha[8, 8] / white - 100 / 255) < 0.02
    assert any("grey became sRGB" in warning for warning in encoded.warnings)


def test_a_broken_profile_is_a_warning() -> None:
    for profile in (b"no profile", rgb_profile()[:200]):
        data = saved(Image.fromarray(smooth(8, 8)), "JPEG", icc_profile=profile)
        found = decode(data)
        assert found.metadata.icc is None
        assert "profile" in found.warnings[0]


def test_an_incomplete_profile_is_a_warning() -> None:
    data = saved(Image.fromarray(smooth(8, 8)), "JPEG", icc_profile=rgb_profile(150_000))
    at = data.index(b"ICC_PROFILE\0\2")
    length = struct.unpack_from(">H", data, at - 2)[0]
    found = decode(data[: at - 4] + data[at - 2 + length :])
    assert found.metadata.icc is None
    assert "incomplete" in found.warnings[0]


@pytest.mark.parametrize("block", [b"", b"garbage", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08"])
def test_broken_exif_beside_good_pixels_is_a_warning(block: bytes) -> None:
    plain = saved(Image.fromarray(smooth(8, 12)), "JPEG")
    found = decode(jpeg_with(plain, (0xE1, b"Exif\0\0" + block)))
    np.testing.assert_array_equal(found.pixels, decode(plain).pixels)
    assert found.metadata.exif is None
    assert "EXIF" in found.warnings[0]


def test_an_exif_value_outside_the_block_is_a_warning_and_stays() -> None:
    block = bytearray(exif_block())
    struct.pack_into("<I", block, 10 + 8, 1 << 30)
    data = saved(Image.fromarray(smooth(8, 12)), "JPEG", exif=b"Exif\0\0" + bytes(block))
    found = decode(data)
    assert "damaged" in found.warnings[0]
    assert tag(found.metadata.exif or b"", 0x927C, inside=0x8769) == MAKER_NOTE


def test_jpeg_keeps_segments_it_does_not_know() -> None:
    plain = saved(Image.fromarray(smooth(8, 12)), "JPEG")
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"G" * 40
    data = jpeg_with(
        plain, (0xE3, b"Meta\0"), (0xE1, extended), (0xFE, b"first"), (0xFE, b"second")
    )
    again = decode(encode(decode(data)).data).metadata
    assert again.comment == b"first"
    assert again.parts == (
        Part("JPEG", "APP3", b"Meta\0"),
        Part("JPEG", "APP1", extended),
        Part("JPEG", "COM", b"second"),
    )
    lost = encode(decode(data), format="PNG").warnings
    assert lost == ("parts of the file cannot be kept in PNG: JPEG APP1, JPEG APP3, JPEG COM",)


def test_png_keeps_text_and_colour_chunks() -> None:
    kept = (
        (b"gAMA", struct.pack(">I", 45455)),
        (b"tEXt", b"Title\0Sunset"),
        (b"zTXt", b"Author\0\0x\x9c\x03\0\0\0\0\1"),
        (b"prVt", b"private and safe to copy"),
    )
    stale = (chunk(b"tIME", bytes(7)), chunk(b"bKGD", bytes(6)))
    data = png((2, 2, 8, 2), noise(2, 2).tobytes(), *(chunk(*pair) for pair in kept), *stale)
    encoded = encode(decode(data)).data
    parts = decode(encoded).metadata.parts
    assert set(parts) == {Part("PNG", name.decode(), body) for name, body in kept}
    assert b"tIME" not in encoded
    assert b"bKGD" not in encoded


def test_png_metadata_may_follow_the_pixels() -> None:
    tail = chunk(b"eXIf", exif_block(3)) + chunk(b"tEXt", b"Comment\0late")
    pixels = noise(2, 3)
    found = decode(png((3, 2, 8, 2), pixels.tobytes(), after=tail))
    np.testing.assert_array_equal(found.pixels, pixels[::-1, ::-1])
    assert found.metadata.comment == b"late"


def test_png_reads_the_profiles_of_imagemagick() -> None:
    block = b"Exif\0\0" + exif_block(8)
    text = b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n"
    data = png(
        (3, 2, 8, 2), noise(2, 3).tobytes(), chunk(b"tEXt", b"Raw profile type exif\0" + text)
    )
    found = decode(data)
    assert found.pixels.shape == (3, 2, 3)
    assert tag(found.metadata.exif or b"", 0x010F) == b"Make\0"


def test_a_png_chunk_with_a_wrong_checksum_is_a_warning_unless_it_is_critical() -> None:
    bad = bytearray(chunk(b"tEXt", b"Title\0Sunset"))
    bad[-1] ^= 1
    found = decode(png((2, 2, 8, 2), noise(2, 2).tobytes(), bytes(bad)))
    assert "checksum" in found.warnings[0]


def test_endless_text_and_profiles_are_not_unpacked() -> None:
    import zlib

    bomb = zlib.compress(bytes(64 << 20), 9)
    data = png(
        (2, 2, 8, 2),
        noise(2, 2).tobytes(),
        chunk(b"iCCP", b"bomb\0\0" + bomb),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb),
    )
    found = decode(data)
    assert found.metadata == Metadata()
    assert len(found.warnings) == 2
    assert "colour profile" in found.warnings[0]


def test_tiff_tags_go_round_by_way_of_jpeg() -> None:
    import tifffile

    buffer = io.BytesIO()
    tags = [(315, 2, 6, "Artist", True), (51000, 7, 6, b"secret", True)]
    tifffile.imwrite(
        buffer, noise(8, 9), photometric="rgb", extratags=tags, resolution=(150, 100),
        resolutionunit="INCH", description="a caption", metadata=None, software="camera",
    )  # fmt: skip
    jpeg = encode(decode(buffer.getvalue()), format="JPEG")
    assert jpeg.warnings == ()
    back = encode(decode(jpeg.data), format="TIFF").data
    with tifffile.TiffFile(io.BytesIO(back)) as file:
        found = file.pages.first.tags
        assert found["Artist"].value == "Artist"
        assert found[51000].value == b"secret"
        assert found["ImageDescription"].value == "a caption"
        assert found["Software"].value == "camera"
        assert found["XResolution"].value == (1500000, 10000)
    assert decode(back).metadata.dpi == (150, 100)


@pytest.mark.parametrize("order", "<>")
def test_tiff_takes_exif_of_either_byte_order(order: str) -> None:
    pixels = noise(9, 8, 3, np.uint16)
    source = photo(pixels, metadata=Metadata(exif=exif_block(1, order=order)))
    data = encode(source, format="TIFF").data
    found = decode(data)
    np.testing.assert_array_equal(found.pixels, pixels)
    block = found.metadata.exif
    assert block is not None
    assert tag(block, 0x927C, inside=0x8769) == MAKER_NOTE
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get_ifd(0x8769)[0xA002] == 8
        assert image.getexif().get_ifd(0x8825)[1] == "N"


def test_strip_leaves_pixels_and_colours() -> None:
    for format in HELD:
        encoded = encode(
            photo(smooth(8, 8), metadata=FULL), format=format, strip=True, provenance={"tool": "t"}
        )
        found = decode(encoded.data).metadata
        wanted = Metadata(icc=FULL.icc) if "icc" in HELD[format] else Metadata()
        assert found == wanted, format


def test_strip_leaves_of_a_png_s_chunks_those_of_colours_alone() -> None:
    kinds = ("gAMA", "cHRM", "sRGB", "cICP", "mDCV", "cLLI", "skMf", "meTa", "gIFx", "cpIp")
    parts = tuple(Part("PNG", kind, bytes(4)) for kind in kinds)
    source = photo(smooth(8, 8), metadata=Metadata(parts=parts))
    assert decode(encode(source, format="PNG").data).metadata.parts == parts
    assert decode(encode(source, format="PNG", strip=True).data).metadata.parts == parts[:6]


def history(packet: bytes) -> list[dict[str, str]]:
    start, end = packet.index(b"<x:xmpmeta"), packet.index(b"</x:xmpmeta>") + 12
    tree = ElementTree.fromstring(packet[start:end])
    return [
        {field.tag.partition("}")[2]: field.text or "" for field in event}
        for event in tree.iterfind(".//{*}History/{*}Seq/{*}li")
    ]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("packet", [None, XMP], ids=["none", "some"])
def test_what_was_done_is_recorded_each_time(format: str, packet: bytes | None) -> None:
    source = photo(smooth(8, 8), metadata=Metadata(xmp=packet))
    done: Photo = source
    for task in ("denoise", "<up&scale>"):
        encoded = encode(done, format=format, provenance={"tool": "mirnet 1", "task": task})
        done = decode(encoded.data)
    events = history(done.metadata.xmp or b"")
    assert [event["parameters"] for event in events] == ["task=denoise", "task=<up&scale>"]
    assert {event["softwareAgent"] for event in events} == {"mirnet 1"}


def packet(inside: str, attributes: str = "") -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about=""{attributes}>{inside}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
GOOGLE = "http://ns.google.com/photos/1.0/"
ATTACHED = (
    f'xmlns:c="{GOOGLE}container/" xmlns:i="{GOOGLE}container/item/" xmlns:g="{GOOGLE}camera/"'
)
ATTACHED += ' xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/"'


@pytest.mark.parametrize("form", ["attributes", "elements"])
def test_what_was_behind_the_picture_is_no_longer_claimed(form: str) -> None:
    claims = {"g:MotionPhoto": "1", "g:MicroVideoOffset": "99", "h:Version": '1>"0', "g:Zoom": "2"}
    items = '<c:Directory><rdf:Seq><rdf:li><c:Item i:Semantic="GainMap"/></rdf:li></rdf:Seq>'
    items += "</c:Directory><g:Rest>kept</g:Rest>"
    if form == "attributes":
        stated = "".join(f"\n {name}='{value}'" for name, value in claims.items())
        before = packet(items, f" {ATTACHED}{stated}")
        after = packet("<g:Rest>kept</g:Rest>", f" {ATTACHED}\n g:Zoom='2'")
    else:
        stated = "".join(f"<{name}>{value}</{name}>" for name, value in claims.items())
        before = packet(stated + items, f" {ATTACHED}")
        after = packet("<g:Zoom>2</g:Zoom><g:Rest>kept</g:Rest>", f" {ATTACHED}")
    source = photo(smooth(8, 8), metadata=Metadata(xmp=before))
    assert decode(encode(source).data).metadata.xmp == after


def test_xmp_of_another_kind_is_kept_and_not_recorded_in() -> None:
    packet = XMP.decode().encode("utf-16")
    source = photo(smooth(8, 8), metadata=Metadata(xmp=packet))
    encoded = encode(source, provenance={"tool": "mirnet 1"})
    assert decode(encoded.data).metadata.xmp == packet
    assert ["stays as it was" in each for each in encoded.warnings] == [True, False]
    assert "not recorded" in encoded.warnings[1]


def test_room_left_in_xmp_is_used_where_a_jpeg_has_no_other() -> None:
    room = b" " * (65400 - len(XMP))
    packet = XMP.replace(b"<?xpacket end", room + b"\n<?xpacket end")
    data = jpeg_with(
        saved(Image.fromarray(smooth(8, 8)), "JPEG"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet),
    )
    encoded = encode(decode(data), provenance={"tool": "mirnet 1", "task": "denoise"})
    assert encoded.warnings == ()
    found = decode(encoded.data).metadata.xmp or b""
    assert b'dc:format="image/x"' in found
    assert [event["parameters"] for event in history(found)] == ["task=denoise"]


def test_an_old_canon_s_own_segment_is_kept() -> None:
    plain = saved(Image.fromarray(smooth(8, 12)), "JPEG")
    before = b"II\x1a\0\0\0HEAPJPGM" + bytes(50)
    end = 4 + int.from_bytes(plain[4:6], "big")
    data = plain[:end] + jpeg_with(b"\xff\xd8", (0xE0, b"JFXX\0\x10"), (0xE0, before))[2:]
    data += plain[end:]
    encoded = encode(decode(data))
    assert decode(encoded.data).metadata.parts == (Part("JPEG", "APP0", before),)
    assert b"JFXX" not in encoded.data
    with Image.open(io.BytesIO(encoded.data)) as image:
        image.load()


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_resolutions_turn_with_the_picture(format: str, turn: int) -> None:
    image = Image.fromarray(smooth(20, 40))
    tags = Image.Exif()
    tags.update({0x0112: turn, 0x011A: 204.0, 0x011B: 98.0, 0x0128: 2})
    data = saved(image, format, exif=tags, dpi=(204, 98))
    across, down = (98, 204) if turn >= 5 else (204, 98)
    with Image.open(io.BytesIO(encode(decode(data)).data)) as found:
        assert found.size == ((20, 40) if turn >= 5 else (40, 20))
        assert tuple(map(float, found.info["dpi"])) == (across, down)
        assert (found.getexif()[0x011A], found.getexif()[0x011B]) == (across, down)


@pytest.mark.parametrize("format", ["AVIF", "HEIC"])
def test_a_video_behind_a_picture_is_not_lost_in_silence(format: str) -> None:
    if formats.FORMATS[format].missing is not None:
        pytest.skip(f"the library for {format} is not installed")
    data = encode(photo(smooth(16, 16)), format=format).data
    assert decode(data).warnings == ()
    video = struct.pack(">I4s", 508, b"mpvd") + bytes(500)
    assert decode(data + video).warnings == ("a video behind the picture is not kept",)


def test_depth_and_gain_maps_of_an_avif_are_not_lost_in_silence() -> None:
    alpha = encode(photo(smooth(16, 16), smooth(16, 16)[..., 0]), format="AVIF").data
    exif = encode(photo(smooth(16, 16), metadata=Metadata(exif=exif_block())), format="AVIF").data
    said = "what goes with the picture is not kept: "
    assert decode(alpha).warnings == decode(exif).warnings == ()
    deep = alpha.replace(b"auxiliary:alpha", b"auxiliary:depth")
    assert decode(deep).warnings == (said + "a depth map",)
    at = exif.index(b"Exif")
    mapped = decode(exif[:at] + b"tmap" + exif[at + 4 :])
    assert mapped.warnings == (said + "a gain map (for high dynamic range)",)


def camera_block(space: int, index: bytes = b"R03\0") -> bytes:
    interop = ifd.Tree({1: ifd.bytes_field(2, index)})
    inner = ifd.Tree({0xA001: ifd.integers_field(3, "<", space)}, {0xA005: interop})
    return ifd.header("<", 8) + ifd.build(ifd.Tree({}, {0x8769: inner}), "<", 8)


def said_of_colours(block: bytes | None) -> tuple[int, str]:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + (block or b""))
    inner = tags.get_ifd(0x8769)
    return inner[0xA001], tags.get_ifd(0xA005)[1]


@pytest.mark.parametrize(
    ("block", "wide"),
    [
        (camera_block(0xFFFF), True),
        (camera_block(2), True),
        (camera_block(1), False),
        (camera_block(0xFFFF, b"R98\0"), False),
        (exif_block(), False),
    ],
    ids=["adobe", "two", "srgb", "another index", "nothing said"],
)
def test_adobe_rgb_of_a_camera_gets_its_profile(block: bytes, wide: bool) -> None:
    data = saved(Image.fromarray(smooth(8, 12)), "JPEG", exif=b"Exif\0\0" + block)
    found = decode(data)
    assert found.warnings == ()
    assert (found.metadata.icc is not None) == wide
    if wide:
        space, doubt = space_of_photo(found)
        assert space is not None
        assert not doubt
        # Half is 0.5 ** (563 / 256) of light; sRGB's green is (144, 255, 60) in Adobe RGB.
        np.testing.assert_allclose(space.shown(np.full((1, 3), 0.5, np.float32)), 0.504, atol=1e-3)
        green = space.encoded(np.array([[0, 1, 0]], np.float32)) * 255
        np.testing.assert_allclose(green, [[144, 255, 60]], atol=1)
    assert decode(encode(found, strip=True).data).metadata == Metadata(icc=found.metadata.icc)
    assert (decode(encode(found, format="PNG").data).metadata.icc) == found.metadata.icc


def test_a_grey_picture_of_a_camera_gets_no_profile() -> None:
    block = camera_block(0xFFFF)
    data = saved(Image.fromarray(smooth(8, 12)[..., 0]), "JPEG", exif=b"Exif\0\0" + block)
    found = decode(data)
    assert (found.metadata.icc, found.warnings) == (None, ())


def test_exif_of_colours_that_were_converted_says_srgb() -> None:
    cmyk = Image.fromarray(noise(8, 8, 4), "CMYK")
    found = decode(saved(cmyk, "JPEG", exif=b"Exif\0\0" + camera_block(0xFFFF)))
    assert said_of_colours(found.metadata.exif) == (1, "R98")


@pytest.mark.parametrize(
    ("speeds", "said"),
    [
        ({0x8827: (ifd.SHORT, "H", 800)}, 800),
        ({0x8827: (ifd.SHORT, "HH", 800, 0)}, 800),
        ({0x8827: (ifd.LONG, "I", 800)}, 800),
        ({0x8827: (ifd.SHORT, "H", 65535), 0x8833: (ifd.LONG, "I", 102400)}, 102400),
        ({0x8827: (ifd.SHORT, "H", 0), 0x8832: (ifd.LONG, "I", 250)}, 250),
        ({0x8827: (8, "h", -800)}, None),
        ({0x8827: (9, "i", -800), 0x8831: (ifd.LONG, "I", 200)}, 200),
        ({0x8827: (ifd.LONG, "I", 0xFFFFFFFF)}, None),
        ({0x8827: (ifd.ASCII, "4s", b"800")}, None),
        ({0x8827: (ifd.RATIONAL, "II", 800, 1)}, None),
        ({}, None),
    ],
)
def test_iso_is_a_number_that_a_camera_can_have(
    speeds: dict[int, tuple[Any, ...]], said: int | None
) -> None:
    fields = {}
    for number, (kind, layout, *values) in speeds.items():
        data = struct.pack("<" + layout, *values)
        fields[number] = ifd.Field(kind, len(data) // ifd.SIZES[kind], data)
    block = ifd.block(ifd.Tree(children={ifd.EXIF: ifd.Tree(fields)}), "<")
    assert exif.iso(block) == said
    assert exif.iso(b"") is None
