"""Places that metadata names follow the picture when it is turned, cut and made larger."""

import struct
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mirnet_cli.photo import Photo, decode, encode, ifd
from mirnet_cli.photo.ifd import Reader
from mirnet_cli.photo.picture import Metadata, Part
from mirnet_cli.photo.regions import enlarged, moved, part
from mirnet_cli.photo.view import View
from tests.photo.pictures import chunk, png

NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "area": "http://ns.adobe.com/xmp/sType/Area#",
    "dim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "reg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "exif": "http://ns.adobe.com/exif/1.0/",
}
WIDTH, HEIGHT = 60, 40
LEFT, TOP, ACROSS, DOWN = 10, 4, 10, 8
MIDDLE = LEFT + ACROSS // 2, TOP + DOWN // 2
SHARES = MIDDLE[0] / WIDTH, MIDDLE[1] / HEIGHT, ACROSS / WIDTH, DOWN / HEIGHT


def block(turn: int, *subject: int, more: dict[int, ifd.Field] | None = None) -> bytes:
    inner = ifd.Tree({0x9214: ifd.integers_field(3, ">", *subject)})
    inner.fields[0xA214] = ifd.integers_field(3, ">", *subject[:2])
    inner.fields[0xA002] = ifd.integers_field(4, ">", WIDTH)
    top = ifd.Tree({0x0112: ifd.integers_field(3, ">", turn)} | (more or {}), {0x8769: inner})
    return ifd.header(">", 8) + ifd.build(top, ">", 8)


def packet(form: str = "elements", width: int = WIDTH) -> bytes:
    x, y, w, h = SHARES

    def stated(name: str, **values: object) -> str:
        if form == "attributes":
            inside = " ".join(f"{key.replace('_', ':')}='{value}'" for key, value in values.items())
            return f"<{name} {inside}/>"
        named = {key.replace("_", ":"): value for key, value in values.items()}
        inside = "".join(f"<{key}>{value}</{key}>" for key, value in named.items())
        return f'<{name} rdf:parseType="Resource">{inside}</{name}>'

    area = stated("rs:Area", area_x=x, area_y=y, area_w=w, area_h=h, area_unit="normalized")
    size = stated("rs:AppliedToDimensions", dim_w=width, dim_h=HEIGHT, dim_unit="pixel")
    microsoft = stated("rdf:Description", reg_Rectangle=f"{x - w / 2}, {y - h / 2},{w}, {h}")
    numbers = "".join(f"<rdf:li>{n}</rdf:li>" for n in (*MIDDLE, ACROSS, DOWN))
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in NAMES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {spaces}><rdf:Description rdf:about="">'
        f"<rs:Regions>{size}<rs:RegionList><rdf:Bag><rdf:li>{area}</rdf:li></rdf:Bag>"
        f"</rs:RegionList></rs:Regions><reg:L><rdf:Bag><rdf:li>{microsoft}</rdf:li></rdf:Bag></reg:L>"
        f"<exif:SubjectArea><rdf:Seq>{numbers}</rdf:Seq></exif:SubjectArea>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def source(
    turn: int = 1, xmp: bytes | None = None, more: dict[int, ifd.Field] | None = None
) -> Photo:
    """A photo with a white box, and its place in metadata of all kinds."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[TOP : TOP + DOWN, LEFT : LEFT + ACROSS] = 255
    exif = block(turn, *MIDDLE, ACROSS, DOWN, more=more)
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + (xmp or packet())
    chunks = chunk(b"eXIf", exif), chunk(b"iTXt", text)
    return decode(png((WIDTH, HEIGHT, 8, 2), pixels.tobytes(), *chunks))


def white(pixels: NDArray[Any]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the white box."""
    down, across = np.nonzero(pixels[..., 0])
    left, top = int(across.min()), int(down.min())
    return left, top, int(across.max()) + 1 - left, int(down.max()) + 1 - top


def numbers(found: Photo, tag: int) -> tuple[int, ...] | None:
    reader = Reader(found.metadata.exif or b"")
    inner = reader.directory(reader.integer(reader.directory(reader.first).entries[0x8769]))
    assert inner.entries[0xA002].count == 1
    return reader.integers(inner.entries[tag]) if tag in inner.entries else None


def simple(found: Photo, name: str) -> str:
    """A simple property of XMP, an element's or an attribute's."""
    space, _, local = name.partition(":")
    full = f"{{{NAMES[space]}}}{local}"
    nodes = list(ElementTree.fromstring(found.metadata.xmp or b"").iter())
    elements = [node.text or "" for node in nodes if node.tag == full]
    return (elements + [node.attrib[full] for node in nodes if full in node.attrib])[0]


def check(found: Photo, *, whole: bool = True) -> None:
    """See that all places are that of the white box; its middle only where it is whole."""
    height, width = found.pixels.shape[:2]
    left, top, w, h = white(found.pixels)
    middle = left + w / 2, top + h / 2
    assert numbers(found, 0x9214) == pytest.approx((*middle, w, h), abs=0.5)
    if whole:
        assert numbers(found, 0xA214) == pytest.approx(middle, abs=0.5)
    shares = [float(simple(found, f"area:{key}")) for key in "xywh"]
    wanted = (middle[0] / width, middle[1] / height, w / width, h / height)
    assert shares == pytest.approx(wanted, abs=1e-5)
    assert (simple(found, "dim:w"), simple(found, "dim:h")) == (str(width), str(height))
    microsoft = [float(each) for each in simple(found, "reg:Rectangle").split(",")]
    wanted = (left / width, top / height, w / width, h / height)
    assert microsoft == pytest.approx(wanted, abs=1e-5)
    tree = ElementTree.fromstring(found.metadata.xmp or b"")
    area = tree.iterfind(".//exif:SubjectArea/rdf:Seq/rdf:li", NAMES)
    assert [int(each.text or "") for each in area] == list(numbers(found, 0x9214) or ())


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["attributes", "elements"])
def test_places_follow_the_picture(turn: int, form: str) -> None:
    turned = source(turn, packet(form))
    check(turned)
    left, top, w, h = white(turned.pixels)
    cut = part(turned, (left - 3, top - 2, w + 5, h + 6))
    check(cut)
    large = enlarged(cut, cut.pixels.repeat(3, 0).repeat(3, 1), None)
    check(large)
    encoded = encode(large)
    assert encoded.warnings == ()
    check(decode(encoded.data))


def test_places_end_at_the_edge_and_go_with_what_is_cut_off() -> None:
    check(part(source(), (LEFT + 4, 0, 20, TOP + 6)), whole=False)
    gone = part(source(), (LEFT + ACROSS, 0, 20, 20))
    assert (numbers(gone, 0x9214), numbers(gone, 0xA214)) == (None, None)
    for text in (b"rs:Area", b"reg:Rectangle", b"exif:SubjectArea"):
        assert text not in (gone.metadata.xmp or b"")
    ElementTree.fromstring(gone.metadata.xmp or b"")


def test_a_subject_may_be_a_point_or_a_circle() -> None:
    view = View(WIDTH, HEIGHT, 6, (4, 5, 30, 40), 2)
    assert view.size == (60, 80)
    assert view.area((10, 20)) == (2 * (20 - 4), 2 * (10 - 5))
    assert view.area((10, 20, 7)) == (32, 10, 14)
    assert view.area((1, 20)) is None
    assert View(WIDTH, HEIGHT, scale=4000).area((20, 20)) == (80000, 80000)
    assert View(WIDTH, HEIGHT, 3).area((WIDTH + 9, 5)) is None


@pytest.mark.parametrize(
    "xmp",
    [
        packet(width=2 * WIDTH),
        packet().replace(b"normalized", b"pixel"),
        packet().replace(b">0.25<", b">a quarter<"),
        packet().replace(b"sType/Area#", b"another/Area#"),
        packet().replace(b"<rs:Area", b"<&rs:Area"),
    ],
    ids=["another shape", "another unit", "no number", "another kind", "no XML"],
)
def test_regions_that_are_not_understood_stay_and_are_said(xmp: bytes) -> None:
    encoded = encode(part(source(6, xmp), (0, 0, 20, 20)))
    assert ["regions" in warning for warning in encoded.warnings] == [True]
    kept = decode(encoded.data).metadata.xmp or b""
    assert xmp[xmp.index(b"<rs:Reg") : xmp.index(b"</rs:Reg")] in kept
    assert encode(source(1, xmp)).warnings == ()


def test_a_place_on_the_map_is_said_to_be_the_original_s() -> None:
    geo = source(more={33550: ifd.Field(12, 3, struct.pack(">3d", 1, 1, 0))})
    assert encode(geo, format="TIFF").warnings == ()
    for other in (
        part(geo, (0, 0, 9, 9)),
        enlarged(geo, geo.pixels.repeat(2, 0).repeat(2, 1), None),
    ):
        (warning,) = encode(other, format="TIFF").warnings
        assert "map" in warning


TURNED, CUT, LARGER = View(60, 40, 6), View(60, 40, crop=(0, 0, 30, 30)), View(60, 40, scale=2)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be", "utf-32"])
def test_regions_in_other_encodings_are_said(coding: str) -> None:
    text = packet().decode().encode(coding)
    found, said = moved(Metadata(xmp=text), TURNED)
    assert found.xmp == text
    assert len(said) == 1
    assert moved(Metadata(xmp="<a/>".encode(coding)), TURNED)[1] == ()


@pytest.mark.parametrize("view", [TURNED, CUT, LARGER])
def test_a_subject_alone_that_cannot_follow_is_said(view: View) -> None:
    (said,) = moved(Metadata(xmp=SUBJECT.encode("utf-16")), view)[1]
    assert "subjects" in said
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8)
    extended = (Part("JPEG", "APP1", head + SUBJECT.encode()),)
    assert moved(Metadata(parts=extended), view)[1] == (said,)


def test_a_subject_s_place_in_32_bits_follows() -> None:
    inner = ifd.Tree({0x9214: ifd.integers_field(4, "<", 40000, 20, 10, 6)})
    exif = ifd.header("<", 8) + ifd.build(ifd.Tree({}, {0x8769: inner}), "<", 8)
    found, said = moved(Metadata(exif=exif), View(60000, 40, scale=2))
    assert (said, (found.exif or b"").count(struct.pack("<4I", 80000, 40, 20, 12))) == ((), 1)


def test_regions_in_extended_xmp_are_said() -> None:
    text = packet().replace(b"SubjectArea", b"Contrast")
    middle = text.index(b"metadataworkinggroup")
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8)
    parts = tuple(Part("JPEG", "APP1", head + each) for each in (text[:middle], text[middle:]))
    assert [len(moved(Metadata(parts=parts), view)[1]) for view in (TURNED, CUT, LARGER)] == [
        *(1, 1, 0)
    ]
    assert moved(Metadata(parts=(Part("JPEG", "APP1", head + b"<a/>"),)), TURNED)[1] == ()


@pytest.mark.parametrize(
    ("xmp", "wanted"),
    [
        (b"<a><b:RegionBoundary><b:rbUnit>pixel</b:rbUnit></b:RegionBoundary></a>", [1, 1, 1]),
        (b"<a><b:RegionBoundary b:rbUnit='pixel'/></a>", [1, 1, 1]),
        (b"<a><b:RegionBoundary b:rbUnit='relative'/></a>", [1, 1, 0]),
        (b"<a xmlns:acdsee-rs='http://ns.acdsee.com/regions/'/>", [1, 1, 0]),
    ],
)
def test_regions_of_other_makers_are_said(xmp: bytes, wanted: list[int]) -> None:
    found = [len(moved(Metadata(xmp=xmp), view)[1]) for view in (TURNED, CUT, LARGER)]
    assert found == wanted


SUBJECT = (
    "<x:xmpmeta xmlns:x='adobe:ns:meta/' xmlns:exif='http://ns.adobe.com/exif/1.0/' "
    "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><exif:SubjectArea><rdf:Seq>"
    "<rdf:li>40000</rdf:li><rdf:li>10</rdf:li></rdf:Seq></exif:SubjectArea></x:xmpmeta>"
)


def test_a_subject_too_far_right_for_exif_is_said_and_stays_in_xmp() -> None:
    exif = block(1, 40000, 10, 5, 5)
    found, said = moved(Metadata(exif=exif, xmp=SUBJECT.encode()), View(60000, 40, scale=2))
    assert len(said) == 1
    assert b"<rdf:li>80000</rdf:li><rdf:li>20</rdf:li>" in (found.xmp or b"")
    assert moved(Metadata(exif=exif), View(60000, 40, crop=(0, 0, 99, 40)))[1] == ()
