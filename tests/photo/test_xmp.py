"""XMP as old and other programs write it, and more of it and of EXIF than a segment holds."""

import io
import struct
import xml.etree.ElementTree as ElementTree
import zlib

import pytest
from PIL import Image

from mirnet_cli.photo import Metadata, decode, encode, xmp
from tests.photo.pictures import (
    IPTC,
    MAKER_NOTE,
    RESOURCES,
    chunk,
    exif_block,
    jpeg_with,
    noise,
    photo,
    png,
    saved,
    smooth,
)
from tests.photo.test_metadata import history, tag

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MANAGED = "http://ns.adobe.com/xap/1.0/mm/"
EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
TIFF = "http://ns.adobe.com/tiff/1.0/"
DONE = {"tool": "mirnet 1", "task": "denoise"}
PLAIN = saved(Image.fromarray(smooth(8, 12)), "JPEG")
STANDARD = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"


def whole(*descriptions: str) -> bytes:
    inside = "".join(descriptions)
    head = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
    return f"{head}{inside}</rdf:RDF></x:xmpmeta>".encode()


def described(inside: str = "", attributes: str = "", about: str = 'rdf:about=""') -> str:
    return f"<rdf:Description {about} {attributes}>{inside}</rdf:Description>"


def segments(data: bytes, name: bytes) -> list[bytes]:
    found, at = [], 2
    while data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        found += [body[len(name) :]] if body.startswith(name) else []
        at += 2 + size
    return found


def prefixes(packet: bytes, namespace: str) -> set[str]:
    events = ElementTree.iterparse(io.BytesIO(packet), events=("start-ns",))
    return {prefix for _, (prefix, uri) in events if uri == namespace}


SAVED = "<rdf:li rdf:parseType='Resource'><e:action>saved</e:action></rdf:li>"
ITEM = "<rdf:li e:action='saved'/>"


@pytest.mark.parametrize("prefix", ["xmpMM", "xapMM", "q"])
@pytest.mark.parametrize(
    ("inside", "before"),
    [
        ("", []),
        ("<{0}:History/>", []),
        ("<{0}:History></{0}:History>", []),
        ("<{0}:History><rdf:Seq/></{0}:History>", []),
        ("<{0}:History><rdf:Seq>" + SAVED + "</rdf:Seq></{0}:History>", ["saved"]),
        ("<{0}:History><rdf:Bag>" + SAVED + "</rdf:Bag ></{0}:History >", ["saved"]),
        ("<{0}:History><rdf:Seq>" + ITEM + "</rdf:Seq></{0}:History>", [None]),
    ],
)
@pytest.mark.parametrize("about", ["rdf:about='uuid:1'", "about='uuid:1'", "rdf:about=''", ""])
def test_namespaces_count_and_not_prefixes(
    prefix: str, inside: str, before: list[str | None], about: str
) -> None:
    spaces = f"xmlns:{prefix}='{MANAGED}' xmlns:e='{EVENT}' {prefix}:DocumentID='adobe:1'"
    old = whole(described(), described(inside.format(prefix), spaces, about))
    new = xmp.recorded(old, DONE)
    assert new is not None
    tree = ElementTree.fromstring(new)
    lists = tree.findall(f".//{{{MANAGED}}}History/*")
    assert len(lists) == 1
    actions = [event.findtext(f"{{{EVENT}}}action") for event in lists[0]]
    assert actions == [*before, "processed"]
    assert prefixes(new, MANAGED) == {prefix}
    assert prefixes(new, EVENT) == {"e"}
    abouts = {each.get(f"{{{RDF}}}about", each.get("about", "")) for each in tree[0]}
    assert abouts - {""} == ({"uuid:1"} if "uuid" in about else set())
    assert "adobe:1" in {value for each in tree.iter() for value in each.attrib.values()}


def test_what_a_picture_in_the_history_was_stays() -> None:
    ingredient = f"<rdf:Description t:ImageWidth='7' t:Orientation='8' xmlns:t='{TIFF}'/>"
    pantry = f"<m:Pantry><rdf:Bag><rdf:li>{ingredient}</rdf:li></rdf:Bag></m:Pantry>"
    packet = whole(described(pantry, f"xmlns:m='{MANAGED}' xmlns:z='{TIFF}' z:ImageWidth='5'"))
    assert xmp.orientation(packet) is None
    new = xmp.updated(packet, 20, 10)
    assert b"t:ImageWidth='7' t:Orientation='8'" in new
    assert b"z:ImageWidth='20'" in new


@pytest.mark.parametrize("form", ["attribute", "element"])
@pytest.mark.parametrize("prefix", ["tiff", "t"])
def test_an_orientation_is_read_and_reset_whatever_its_prefix(form: str, prefix: str) -> None:
    stated = f"{prefix}:Orientation='6'", ""
    if form == "element":
        stated = "", f"<{prefix}:Orientation> 6 </{prefix}:Orientation>"
    packet = whole(described(stated[1], f"xmlns:{prefix}='{TIFF}' {stated[0]}"))
    assert xmp.orientation(packet) == 6
    assert xmp.orientation(xmp.updated(packet, 1, 1)) == 1


def test_an_rdf_that_is_empty_gets_the_history() -> None:
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="{RDF}"/></x:xmpmeta>'
    assert [event["action"] for event in history(xmp.recorded(packet.encode(), DONE) or b"")] == [
        "processed"
    ]


XMP_SPACE = "http://ns.adobe.com/xap/1.0/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"


def large(size: int) -> bytes:
    spaces = f"xmlns:xmp='{XMP_SPACE}' xmlns:ps='{PHOTOSHOP}' xmp:Rating='4' xmp:Label='red'"
    packet = whole(described("<ps:History></ps:History>", spaces, "rdf:about='uuid:9'"))
    return packet.replace(b"></ps:H", b">" + b"h" * (size - len(packet)) + b"</ps:H")


@pytest.mark.parametrize("size", [65_000, 65_200, 65_400, 65_502])
def test_what_was_done_pushes_nothing_out(size: int) -> None:
    data = jpeg_with(PLAIN, (0xE1, STANDARD + large(size)))
    encoded = encode(decode(data), provenance=DONE)
    assert encoded.warnings == ()
    (main,) = segments(encoded.data, STANDARD)
    assert b"xmp:Rating='4' xmp:Label='red'" in main
    assert (size > 65_300) == (b"<ps:History" not in main), "what fits stays where all look"
    found = decode(encoded.data).metadata.xmp or b""
    assert [event["parameters"] for event in history(found)] == ["task=denoise"]
    assert found.count(b"h" * 60_000) == 1
    assert b"HasExtendedXMP" not in found
    again = encode(decode(encoded.data), provenance=DONE)
    assert len(history(decode(again.data).metadata.xmp or b"")) == 2


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("size", [70_000, 200_000])
def test_large_xmp_goes_to_a_jpeg_and_back(format: str, size: int) -> None:
    source = photo(smooth(8, 12), metadata=Metadata(xmp=large(size)))
    stored = decode(encode(source, format=format).data)
    encoded = encode(stored, format="JPEG")
    assert ["extended XMP" in each for each in encoded.warnings] == [True]
    (main,) = segments(encoded.data, STANDARD)
    assert b"xmp:Rating='4'" in main
    assert b'rdf:about="uuid:9"' in main
    pieces = segments(encoded.data, EXTENSION)
    assert len(pieces) == -(-size // 65_458)
    assert {piece[:32] for piece in pieces} == {xmp.extension_name(main)}
    back = encode(decode(encoded.data), format=format)
    assert back.warnings == ()
    found = decode(back.data).metadata.xmp or b""
    (value,) = ElementTree.fromstring(found).iter(f"{{{PHOTOSHOP}}}History")
    (before,) = ElementTree.fromstring(large(size)).iter(f"{{{PHOTOSHOP}}}History")
    assert value.text == before.text


def extended(extension: bytes, *, cut: bool = False) -> bytes:
    name = b"0" * 32
    note = "xmlns:n='http://ns.adobe.com/xmp/note/' n:HasExtendedXMP='" + name.decode() + "'"
    main = whole(described("", note + f" xmlns:xmp='{XMP_SPACE}' xmp:Rating='3'"))
    half = len(extension) // 2
    pieces = [
        (0xE1, EXTENSION + name + struct.pack(">II", len(extension), at) + extension[at:end])
        for at, end in ((half, len(extension)), (0, half))
    ]
    return jpeg_with(PLAIN, *pieces[cut:], (0xE1, STANDARD + main))


def test_an_extension_is_joined_out_of_order_without_doubles() -> None:
    inside = f"<d:Data xmlns:d='urn:d'>abc</d:Data><y:Rating xmlns:y='{XMP_SPACE}'>5</y:Rating>"
    found = decode(extended(whole(described(inside))))
    packet = found.metadata.xmp or b""
    assert (found.warnings, found.metadata.parts) == ((), ())
    assert (packet.count(b"abc"), packet.count(b"Rating")) == (1, 1)
    assert b"HasExtendedXMP" not in packet
    ElementTree.fromstring(packet)


def test_an_extension_that_is_cut_short_is_said() -> None:
    found = decode(extended(whole(described("<d:Data xmlns:d='urn:d'>abc</d:Data>")), cut=True))
    assert ["missing" in each for each in found.warnings] == [True]
    assert b"HasExtendedXMP" not in (found.metadata.xmp or b"")
    assert b"xmp:Rating='3'" in (found.metadata.xmp or b"")


def test_exif_over_several_segments_stays_together() -> None:
    block = exif_block(6, extra=bytes(range(256)) * 600 + b"the end")
    pieces = [block[at : at + 60_000] for at in range(0, len(block), 60_000)]
    data = jpeg_with(PLAIN, *((0xE1, b"Exif\0\0" + piece) for piece in pieces))
    found = decode(data)
    assert found.metadata.parts == ()
    assert len(found.metadata.exif or b"") == len(block)
    encoded = encode(found, provenance=DONE)
    assert encoded.warnings == ()
    assert b"".join(segments(encoded.data, b"Exif\0\0")).endswith(b"the end")
    places = [encoded.data.index(each) for each in (b"the end", STANDARD)]
    assert places == sorted(places)
    assert tag(decode(encoded.data).metadata.exif or b"", 0x0001, inside=0x8825) == b"N\0"


def test_exif_of_more_than_a_segment_is_split_and_said() -> None:
    # A second piece must not begin as a block of its own would.
    filling = bytearray(140_000)
    at = 65_527 - len(exif_block())
    filling[at : at + 4] = b"II*\0"
    block = exif_block(extra=bytes(filling))
    encoded = encode(photo(smooth(8, 8), metadata=Metadata(exif=block)), format="JPEG")
    assert ["3 segments" in each for each in encoded.warnings] == [True]
    found = decode(encoded.data).metadata.exif or b""
    assert found[400:] == block[400:]
    assert tag(found, 0x927C, inside=0x8769) == MAKER_NOTE


@pytest.mark.parametrize("more", [b"", b"\0", b"\0\0"])
def test_iptc_in_png_as_exiftool_writes_it(more: bytes) -> None:
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + b"\0" * (len(IPTC) % 2)
    block += RESOURCES + more
    text = b"\nIPTC profile\n%8d\n" % (len(block) - 1) + block.hex().encode() + b"\n"
    for name, body in ((b"tEXt", text), (b"zTXt", b"\0" + zlib.compress(text))):
        data = png(
            (2, 2, 8, 2), noise(2, 2).tobytes(), chunk(name, b"Raw profile type iptc\0" + body)
        )
        found = decode(data)
        assert found.warnings == ()
        assert (found.metadata.iptc, found.metadata.resources) == (IPTC, RESOURCES)
