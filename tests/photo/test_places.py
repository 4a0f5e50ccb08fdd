"""What metadata tells in pixels, or of the frame, beside regions: panoramas, paths, lenses."""

import struct
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mirnet_cli.photo import Metadata, Photo, decode, encode, ifd
from mirnet_cli.photo.ifd import Reader
from mirnet_cli.photo.regions import enlarged, moved, part
from mirnet_cli.photo.view import View
from tests.photo.pictures import photo, smooth

GPANO = "http://ns.google.com/photos/1.0/panorama/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
CRS = "http://ns.adobe.com/camera-raw-settings/1.0/"
DRONE = "http://www.dji.com/drone-dji/1.0/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SPACES = {"g": GPANO, "i": IPTC, "c": CRS, "j": DRONE, "t": "http://ns.adobe.com/tiff/1.0/"}
SPACES |= {"d": "http://ns.google.com/photos/1.0/depthmap/", "r": RDF, "k": "urn:kept"}
SPACES |= {"e": "http://ns.adobe.com/exif/1.0/", "x": "http://ns.adobe.com/xap/1.0/"}
WIDTH, HEIGHT = 80, 40
LARGER = View(WIDTH, HEIGHT, scale=3)
CUT = View(WIDTH, HEIGHT, crop=(20, 10, 40, 20))
BOTH = View(WIDTH, HEIGHT, crop=(20, 10, 40, 20), scale=2)
TURNED = View(WIDTH, HEIGHT, 6)


def packet(told: dict[str, object], inside: str = "", form: str = "attributes") -> bytes:
    spaces = "".join(f" xmlns:{prefix}='{uri}'" for prefix, uri in SPACES.items())
    stated = "".join(f" {name}='{value}'" for name, value in told.items())
    if form == "elements":
        inside += "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
        stated = ""
    return (
        f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='{RDF}'><r:Description r:about=''"
        f" {spaces} k:Kept='1'{stated}>{inside}</r:Description></r:RDF></x:xmpmeta>"
    ).encode()


def values(packet: bytes | None, prefix: str) -> dict[str, str]:
    """Simple properties of a namespace, wherever they are."""
    head = f"{{{SPACES[prefix]}}}"
    found: dict[str, str] = {}
    for node in ElementTree.fromstring(packet or b"").iter():
        if node.tag.startswith(head) and not len(node):
            found[node.tag[len(head) :]] = node.text or ""
        for name, value in node.attrib.items():
            if name.startswith(head):
                found[name[len(head) :]] = value
    return found


def sphere(**other: object) -> dict[str, object]:
    told = {"FullPanoWidthPixels": WIDTH, "FullPanoHeightPixels": HEIGHT}
    told |= {"CroppedAreaImageWidthPixels": WIDTH, "CroppedAreaImageHeightPixels": HEIGHT}
    told |= {"CroppedAreaLeftPixels": 0, "CroppedAreaTopPixels": 0}
    return {f"g:{name}": value for name, value in ({"ProjectionType": "x"} | told | other).items()}


def geometry(packet: bytes | None) -> tuple[int, ...]:
    told = values(packet, "g")
    names = ("FullPanoWidth", "FullPanoHeight", "CroppedAreaImageWidth", "CroppedAreaImageHeight")
    return tuple(int(told[f"{n}Pixels"]) for n in (*names, "CroppedAreaLeft", "CroppedAreaTop"))


@pytest.mark.parametrize("form", ["attributes", "elements"])
@pytest.mark.parametrize(
    ("view", "told", "wanted"),
    [
        (LARGER, {}, (240, 120, 240, 120, 0, 0)),
        (CUT, {}, (80, 40, 40, 20, 20, 10)),
        (BOTH, {}, (160, 80, 80, 40, 40, 20)),
        (View(WIDTH, HEIGHT, 3), {}, (80, 40, 80, 40, 0, 0)),
        # A part of a sphere, and one that was reduced without a word to its metadata.
        (LARGER, {"FullPanoWidthPixels": 200, "CroppedAreaLeftPixels": 50},
         (600, 120, 240, 120, 150, 0)),
        (View(40, 20, crop=(20, 0, 20, 20)), {}, (40, 20, 20, 20, 20, 0)),
        (View(WIDTH, HEIGHT, 2), {"FullPanoWidthPixels": 200, "CroppedAreaLeftPixels": 50},
         (200, 40, 80, 40, 70, 0)),
        # Told of the picture as it is seen.
        (View(HEIGHT, WIDTH, 6), {}, (80, 40, 80, 40, 0, 0)),
    ],
)  # fmt: skip
def test_a_panorama_s_sizes_and_offsets_follow(
    form: str, view: View, told: dict[str, object], wanted: tuple[int, ...]
) -> None:
    found, said = moved(Metadata(xmp=packet(sphere(**told), form=form)), view)
    assert said == ()
    assert geometry(found.xmp) == wanted


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (TURNED, sphere()),
        (CUT, {"g:ProjectionType": "equirectangular"}),
        (LARGER, sphere(CroppedAreaImageHeightPixels=20)),
    ],
)
def test_a_panorama_that_cannot_follow_is_taken_out(view: View, told: dict[str, object]) -> None:
    found, said = moved(Metadata(xmp=packet(told)), view)
    assert ["panorama" in each for each in said] == [True]
    assert values(found.xmp, "g") == {}
    assert values(found.xmp, "k") == {"Kept": "1"}


def test_a_panorama_without_sizes_may_be_enlarged() -> None:
    told = packet({"g:ProjectionType": "equirectangular"})
    assert moved(Metadata(xmp=told), LARGER) == (Metadata(xmp=told), ())


def test_the_part_of_a_panorama_without_black_follows() -> None:
    inside = {f"LargestValidInteriorRect{k}": v for k, v in
              zip(("Left", "Top", "Width", "Height"), (10, 10, 60, 20), strict=True)}  # fmt: skip
    found, said = moved(Metadata(xmp=packet(sphere(**inside))), BOTH)
    assert said == ()
    told = values(found.xmp, "g")
    got = [int(told[f"LargestValidInteriorRect{k}"]) for k in ("Left", "Top", "Width", "Height")]
    assert got == [0, 0, 80, 40]


def test_all_of_it_goes_from_file_to_file() -> None:
    source = photo(smooth(HEIGHT, WIDTH), metadata=Metadata(xmp=packet(sphere())))
    found = decode(encode(source, format="JPEG").data)
    cut = part(found, (20, 10, 40, 20))
    encoded = encode(enlarged(cut, cut.pixels.repeat(2, 0).repeat(2, 1), None))
    assert encoded.warnings == ()
    assert geometry(decode(encoded.data).metadata.xmp) == (160, 80, 80, 40, 40, 20)


def path(*points: tuple[float, float]) -> bytes:
    """A path with its length, an initial fill, and knots of three equal points."""
    knots = b"".join(
        struct.pack(">H", 1 + index % 2)
        + struct.pack(">ii", round(y * 2**24), round(x * 2**24)) * 3
        for index, (x, y) in enumerate(points)
    )
    rule = struct.pack(">H24x", 6)
    return rule + struct.pack(">HH22x", 0, len(points)) + knots


def resource(number: int, content: bytes, name: bytes = b"") -> bytes:
    head = b"8BIM" + struct.pack(">H", number) + bytes([len(name)]) + name
    head += b"\0" * (len(head) % 2)
    return head + struct.pack(">I", len(content)) + content + b"\0" * (len(content) % 2)


def points(block: bytes | None, at: int) -> list[tuple[float, float]]:
    """The knots of a path behind so many bytes."""
    assert block is not None
    found = []
    for start in range(at + 52, len(block) - 25, 26):
        y, x = struct.unpack_from(">ii", block, start + 2)
        assert block[start + 2 : start + 10] * 3 == block[start + 2 : start + 26]
        found.append((x / 2**24, y / 2**24))
    return found


@pytest.mark.parametrize("number", [1025, 2000, 2998])
def test_photoshop_s_paths_stay_on_what_they_cut_out(number: int) -> None:
    head = resource(number, b"", b"Path")
    block = head[:-4] + struct.pack(">I", 104) + path((0.5, 0.25), (0.25, 0.75))
    name = resource(2999, b"\4Path\0")

    def after(view: View) -> list[tuple[float, float]]:
        found, said = moved(Metadata(resources=name + block), view)
        assert said == ()
        assert (found.resources or b"").startswith(name)
        return points(found.resources, len(name) + len(head))

    assert after(LARGER) == [(0.5, 0.25), (0.25, 0.75)]
    assert after(TURNED) == [(0.75, 0.5), (0.25, 0.25)]
    assert after(BOTH) == [(0.5, 0.0), (0.0, 1.0)]
    # What is beyond the edge stays there: a path may.
    assert after(View(WIDTH, HEIGHT, crop=(0, 0, 20, 20))) == [(2.0, 0.5), (1.0, 1.5)]


def test_photoshop_s_guides_follow_and_slices_are_left_out() -> None:
    lines = ((30 * 32, 0), (15 * 32, 1), (0, 1))
    guides = struct.pack(">IIII", 1, 576, 576, len(lines))
    guides += b"".join(struct.pack(">iB", *line) for line in lines)
    block = resource(1032, guides) + resource(1050, b"slices") + resource(1077, b"kept")
    found, said = moved(Metadata(resources=block), BOTH)
    assert len(said) == 1
    assert found.resources is not None
    assert (b"slices" in found.resources, b"kept" in found.resources) == (False, True)
    start = found.resources.index(struct.pack(">I", 26))  # the length of two guides
    count, *rest = struct.unpack_from(">12xIiBiB", found.resources, start + 4)
    assert (count, *rest) == (2, 20 * 32, 0, 10 * 32, 1)
    turned, _ = moved(Metadata(resources=resource(1032, guides)), TURNED)
    assert struct.unpack_from(">iBiBiB", turned.resources or b"", 12 + 16) == (
        *(30 * 32, 1), *((HEIGHT - 15) * 32, 0), *(HEIGHT * 32, 0),
    )  # fmt: skip


def region(shape: str, unit: str) -> str:
    sides = (WIDTH, HEIGHT) if unit == "pixel" else (1, 1)

    def at(name: str, share: float, side: int) -> str:
        value = share * sides[side]
        return f"<i:{name}>{round(value) if unit == 'pixel' else value}</i:{name}>"

    inside = {
        "rectangle": at("rbX", 0.5, 0)
        + at("rbY", 0.5, 1)
        + at("rbW", 0.25, 0)
        + at("rbH", 0.25, 1),
        "circle": at("rbX", 0.5, 0) + at("rbY", 0.5, 1) + at("rbRx", 0.125, 0),
        "polygon": "<i:rbVertices><r:Seq>"
        + "".join(
            f"<r:li r:parseType='Resource'>{at('rbX', x, 0)}{at('rbY', y, 1)}</r:li>"
            for x, y in ((0.5, 0.5), (0.75, 0.5), (0.5, 0.75))
        )
        + "</r:Seq></i:rbVertices>",
    }[shape]
    bound = f"<i:rbShape>{shape}</i:rbShape><i:rbUnit>{unit}</i:rbUnit>{inside}"
    return (
        "<i:ImageRegion><r:Bag><r:li r:parseType='Resource'><i:RegionBoundary"
        f" r:parseType='Resource'>{bound}</i:RegionBoundary></r:li></r:Bag></i:ImageRegion>"
    )


@pytest.mark.parametrize("unit", ["pixel", "relative"])
@pytest.mark.parametrize("shape", ["rectangle", "circle", "polygon"])
def test_iptc_s_regions_follow_a_crop_and_are_said_to_be_turned(shape: str, unit: str) -> None:
    text = packet({}, region(shape, unit))
    found, said = moved(Metadata(xmp=text), BOTH)
    assert said == ()
    sides = (80, 40) if unit == "pixel" else (1, 1)
    told = {
        name: float(value)
        for name, value in values(found.xmp, "i").items()
        if name in "rbXrbYrbWrbHrbRx"
    }
    places = {
        "rectangle": {"rbX": 0.5, "rbY": 0.5, "rbW": 0.5, "rbH": 0.5},
        "circle": {"rbX": 0.5, "rbY": 0.5, "rbRx": 0.25},
        "polygon": {"rbX": 0.5, "rbY": 1.0},
    }[shape]
    assert told == {n: v * sides[n in ("rbY", "rbH")] for n, v in places.items()}
    gone, said = moved(Metadata(xmp=text), View(WIDTH, HEIGHT, crop=(0, 0, 10, 10)))
    assert (said, b"RegionBoundary" in (gone.xmp or b"")) == ((), False)
    assert len(moved(Metadata(xmp=text), TURNED)[1]) == 1


def test_a_lens_told_in_pixels_follows() -> None:
    told: dict[str, object] = {"j:CalibratedFocalLength": "3600.5"}
    told |= {"j:CalibratedOpticalCenterX": "41.0", "j:CalibratedOpticalCenterY": "19.0"}
    told |= {"j:DewarpData": "2024-01-02;3600.5,3601.5,-1.25,0.5,0.01,-0.02", "j:GimbalYaw": "+5.0"}
    found, said = moved(Metadata(xmp=packet(told)), LARGER)
    lens = values(found.xmp, "j")
    assert said == ()
    assert lens["DewarpData"] == "2024-01-02;10801.5,10804.5,-3.75,1.5,0.01,-0.02"
    assert float(lens["CalibratedFocalLength"]) == 10801.5
    assert (float(lens["CalibratedOpticalCenterX"]), lens["GimbalYaw"]) == (123, "+5.0")
    found, said = moved(Metadata(xmp=packet(told)), CUT)
    assert float(values(found.xmp, "j")["CalibratedOpticalCenterY"]) == 9
    assert ["lens" in each for each in said] == [True]


def test_depth_in_the_packet_is_left_out_where_the_frame_is_another() -> None:
    text = packet({"d:Data": "abcd", "d:Format": "RangeInverse"})
    assert moved(Metadata(xmp=text), LARGER) == (Metadata(xmp=text), ())
    for view in (CUT, TURNED):
        found, said = moved(Metadata(xmp=text), view)
        assert ["depth" in each for each in said] == [True]
        assert values(found.xmp, "d") == {}


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"c:HasCrop": "True", "c:CropTop": "0.1"}, 1),
        ({"c:HasCrop": "True", "c:CropTop": "0.1", "c:AlreadyApplied": "True"}, 0),
        ({"c:HasCrop": "False"}, 0),
        ({"c:Exposure2012": "+1.00"}, 0),
    ],
)
def test_a_crop_that_xmp_asks_for_is_said(told: dict[str, object], wanted: int) -> None:
    for view, count in ((LARGER, 0), (CUT, wanted), (TURNED, wanted)):
        found, said = moved(Metadata(xmp=packet(told)), view)
        assert (found.xmp, len(said)) == (packet(told), count)


def test_a_picture_s_small_self_in_xmp_is_left_out() -> None:
    text = packet({}, "<x:Thumbnails><r:Alt><r:li>abc</r:li></r:Alt></x:Thumbnails>")
    source = photo(smooth(8, 8), metadata=Metadata(xmp=text))
    kept = decode(encode(source).data).metadata.xmp or b""
    assert (b"Thumbnails" in kept, b"Kept" in kept) == (False, True)


def sensor(across: int, down: int) -> bytes:
    def ratio(value: int) -> ifd.Field:
        return ifd.Field(5, 1, struct.pack("<II", value, 10))

    related = ifd.Tree(
        {0x1001: ifd.integers_field(3, "<", WIDTH), 0x1002: ifd.integers_field(3, "<", HEIGHT)}
    )
    inner = ifd.Tree({0xA20E: ratio(across), 0xA20F: ratio(down)}, {0xA005: related})
    return ifd.header("<", 8) + ifd.build(ifd.Tree({}, {0x8769: inner}), "<", 8)


def on_sensor(found: Photo) -> tuple[float, ...]:
    reader = Reader(found.metadata.exif or b"")
    inner = reader.directory(reader.integer(reader.directory(reader.first).entries[0x8769]))
    related = reader.directory(reader.integer(inner.entries[0xA005]))
    sizes = [reader.integer(related.entries[tag]) for tag in (0x1001, 0x1002)]
    ratios = [reader.rational(inner.entries[tag]) or 0 for tag in (0xA20E, 0xA20F)]
    return (*ratios, *sizes)


def test_pixels_on_the_sensor_follow() -> None:
    source = photo(smooth(HEIGHT, WIDTH), metadata=Metadata(exif=sensor(50000, 40000)))
    large = enlarged(source, source.pixels.repeat(3, 0).repeat(3, 1), None)
    found = decode(encode(large, format="JPEG").data)
    assert on_sensor(found) == (15000, 12000, 3 * WIDTH, 3 * HEIGHT)
    turned, _ = moved(Metadata(exif=sensor(50000, 40000)), TURNED)
    as_photo = photo(np.zeros((2, 2, 3), np.uint8), metadata=turned)
    assert on_sensor(as_photo)[:2] == (4000, 5000)
