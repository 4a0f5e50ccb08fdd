"""What phones put behind a picture is named, and no longer claimed by what is written."""

import struct

import pytest
from PIL import Image

from mirnet_cli.photo import decode, encode, probe
from tests.photo.pictures import jpeg_with, noise, saved, smooth

GOOGLE = "http://ns.google.com/photos/1.0/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CLAIMS = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": "Version",
    "http://ns.apple.com/HDRGainMap/1.0/": "HDRGainMapVersion",
    GOOGLE + "camera/": "MotionPhotoVersion",
    "http://ns.oplus.com/photos/1.0/camera/": "VideoLength",
    "http://ns.google.com/photos/dd/1.0/device/": "Profiles",
}
GAIN, DEPTH, VIDEO = "a gain map (for high dynamic range)", "a depth map", "a video"
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 4
SAMSUNG = b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + MP4 + b"SEFH" + bytes(20) + b"SEFT"


def packet(*semantics: str) -> bytes:
    spaces = "".join(f" xmlns:n{i}='{space}'" for i, space in enumerate(CLAIMS))
    stated = "".join(f" n{i}:{name}='1'" for i, name in enumerate(CLAIMS.values()))
    items = "".join(
        f"<r:li r:parseType='Resource'><c:Item i:Mime='image/jpeg' i:Semantic='{each}'/></r:li>"
        for each in ("Primary", *semantics)
    )
    return (
        f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='{RDF}'><r:Description r:about=''"
        f" xmlns:c='{GOOGLE}container/' xmlns:i='{GOOGLE}container/item/' xmlns:d='urn:d'"
        f" d:Kept='1'{spaces}{stated}><c:Directory><r:Seq>{items}</r:Seq></c:Directory>"
        "</r:Description></r:RDF></x:xmpmeta>"
    ).encode()


def small(name: bytes = b"") -> bytes:
    plain = saved(Image.fromarray(noise(8, 8)), "JPEG")
    return jpeg_with(plain, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + name)) if name else plain


def phone(*pictures: tuple[int, bytes], behind: bytes = b"", xmp: bytes | None = None) -> bytes:
    """A JPEG with an index of further pictures (their kinds, their files), and what is behind."""
    xmp = xmp or packet()
    count = 1 + len(pictures)
    plain = saved(Image.fromarray(smooth(16, 24)), "JPEG")

    def whole(start: int, at: int) -> bytes:
        table = struct.pack("<IIIHH", 0x030000, at, 0, 0, 0)
        for kind, data in pictures:
            table += struct.pack("<IIIHH", kind, len(data), at - start, 0, 0)
            at += len(data)
        index = b"MPF\0II*\0\x08\0\0\0" + struct.pack("<H", 1)
        index += struct.pack("<HHIII", 0xB002, 7, 16 * count, 26, 0) + table
        gain = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"
        standard = (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
        return jpeg_with(plain, *(() if not pictures else ((0xE2, index),)), standard, (0xE2, gain))

    length = len(whole(0, 0))
    # The index counts from its own header, which is behind SOI, marker, length and name.
    made = whole(10, length)
    assert len(made) == length
    return made + b"".join(data for _, data in pictures) + behind


APPLE = b"<a AuxiliaryImageType='urn:com:apple:photo:2020:aux:hdrgainmap'/>"
ULTRA = b"<a xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'/>"


@pytest.mark.parametrize(
    ("data", "frames", "said"),
    [
        (phone((0, small(ULTRA)), behind=MP4), 1, [GAIN, VIDEO]),
        (phone((0, small(APPLE))), 1, [GAIN]),
        (phone((0, small()), xmp=packet("GainMap")), 1, [GAIN]),
        (phone((0, small()), (0, small()), xmp=packet("GainMap", "Depth")), 1, [GAIN, DEPTH]),
        (phone((0, small(b"urn:com:apple:photo:2018:aux:portraiteffectsmatte"))), 1, ["a matte"]),
        (phone((0x020002, small()), behind=MP4), 2, [VIDEO]),
        (phone((0, small())), 2, []),
        (phone((0x010001, small())), 1, []),
        (phone((0x010001, small()), behind=SAMSUNG), 1, [VIDEO]),
        (phone(behind=MP4), 1, [VIDEO]),
        (phone(behind=small(ULTRA) + MP4), 1, [GAIN, VIDEO]),
        (phone(behind=small()), 1, ["another picture"]),
        (phone(behind=b"\0\0\1\x0a\x0e\0\0\0Image_UTC_Data1700000000000" + bytes(40) + b"SEFT"), 1,
         ["Samsung's data"]),
        (phone(behind=bytes(90) + b"crop" + b"\xa1\xb2\xc3\xd4"), 1, ["FotoStation's data"]),
        (phone(behind=b"DualShot_DepthMap_1" + bytes(99) + b"SEFT"), 1, [DEPTH]),
    ],
)  # fmt: skip
def test_each_is_named_and_none_is_claimed(data: bytes, frames: int, said: list[str]) -> None:
    assert probe(data).frames == frames
    found = decode(data)
    wanted = [f"what follows the picture in the file is not kept: {', '.join(said)}"] * bool(said)
    left_out = [each for each in found.warnings if "only the first" in each]
    assert [each for each in found.warnings if each not in left_out] == wanted
    assert len(left_out) == frames - 1
    written = encode(found).data
    assert b"Kept='1'" in (decode(written).metadata.xmp or b"")
    for claim in (
        b"MPF\0",
        b"21496",
        b"Directory",
        b"ftyp",
        b"SEFT",
        *map(str.encode, CLAIMS.values()),
    ):
        assert claim not in written
    assert decode(written).warnings == ()
