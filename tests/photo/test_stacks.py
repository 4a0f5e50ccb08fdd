"""Files of several pictures, described within them: what is written holds one and says so."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from mirnet_cli.photo import decode, encode, ifd
from mirnet_cli.photo.regions import enlarged
from tests.photo.pictures import noise
from tests.photo.test_tiff import built

STACK = noise(20, 30, 5).transpose(2, 0, 1).copy()


def stacked(**options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, STACK, photometric="minisblack", **options)
    return buffer.getvalue()


KINDS: dict[str, dict[str, Any]] = {
    "ImageJ": {"imagej": True, "metadata": {"axes": "ZYX", "unit": "um", "spacing": 2.0}},
    "ImageJ's labels": {"imagej": True, "metadata": {"axes": "ZYX", "Labels": list("abcde")}},
    "OME": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.1}},
    "shaped": {"metadata": {"axes": "ZYX", "where": "here"}},
    "shaped in one directory": {"metadata": {"axes": "ZYX"}, "contiguous": True},
}


@pytest.mark.parametrize("format", ["TIFF", "PNG"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_picture_of_a_stack_is_described_as_one(kind: str, format: str) -> None:
    found = decode(stacked(**KINDS[kind]))
    assert found.header.frames == 5
    assert any("4 are left out" in text for text in found.warnings)
    data = encode(decode(encode(found, format=format).data), format="TIFF").data
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert len(file.series) == 1
        np.testing.assert_array_equal(file.asarray(), STACK[0])
        text = file.pages[0].description  # type: ignore[union-attr]
        for word in ("images=", "slices=", "shape", "<OME", "spacing"):
            assert word not in text
        assert not {50838, 50839} & {tag.code for tag in file.pages[0].tags}  # type: ignore[union-attr]
        assert ("unit=" in text) == (kind == "ImageJ")
        assert ("here" in text) == (kind == "shaped")


@pytest.mark.parametrize(
    ("kind", "said"), [("OME", "OME-XML"), ("ImageJ's labels", "ImageJ"), ("ImageJ", "")]
)
def test_what_is_lost_of_a_stack_is_said(kind: str, said: str) -> None:
    warnings = [text for text in decode(stacked(**KINDS[kind])).warnings if "says of" in text]
    assert len(warnings) == bool(said)
    assert all(said in text for text in warnings)


@pytest.mark.parametrize(
    ("description", "frames"),
    [
        (b"ImageJ=1.53t\nimages=5\nslices=5\nunit=micron\n\0", 5),
        (b"ImageJ=1.53t\nunit=micron\n\0", 1),
        (b"ImageJ=1.53t\nimages=" + b"9" * 5000 + b"\n\0", 1),
        (b'{"shape": [5, 20, 30], "truncated": true}\0', 5),
        (b'{"shape": [5, 20, 30]}\0', 1),
        (b'{"shape": ' + b"[" * 5000 + b"\0", 1),
        (b"A photo of five images=5\0", 1),
    ],
)
def test_pictures_behind_each_other_in_one_directory_are_counted(
    description: bytes, frames: int
) -> None:
    numbers = {256: [30], 257: [20], 258: [8], 262: [1], 277: [1]}
    data = with_field(STACK.tobytes(), numbers, 270, ifd.bytes_field(ifd.ASCII, description))
    found = decode(data)
    assert found.header.frames == frames
    assert len(found.warnings) == (frames > 1)
    np.testing.assert_array_equal(found.pixels, STACK[0])


def test_planes_of_metamorph_are_counted() -> None:
    planes = ifd.Field(ifd.RATIONAL, 5, struct.pack("<10I", *[1] * 10))
    numbers = {256: [30], 257: [20], 258: [8], 262: [1], 277: [1]}
    found = decode(with_field(STACK.tobytes(), numbers, 33629, planes))
    assert found.header.frames == 5
    assert "what MetaMorph says of the pictures in the file is not kept" in found.warnings


def with_field(body: bytes, numbers: dict[int, list[int]], tag: int, field: ifd.Field) -> bytes:
    plain = built([body], numbers)
    reader = ifd.Reader(plain)
    tree, _ = ifd.read_tree(reader, reader.first)
    tree.fields[tag] = field
    return plain[: reader.first] + ifd.build(tree, "<", reader.first)


@pytest.mark.parametrize("unit", [1, 3])
def test_pixels_of_a_measured_picture_become_smaller(unit: int) -> None:
    options = {"resolution": (10, 5), "resolutionunit": unit}
    found = decode(stacked(**KINDS["ImageJ"], **options))
    large = enlarged(found, found.pixels.repeat(2, axis=0).repeat(2, axis=1), None)
    with tifffile.TiffFile(io.BytesIO(encode(large).data)) as file:
        tags = file.pages[0].tags  # type: ignore[union-attr]
        across, down = (tags[tag].value[0] / tags[tag].value[1] for tag in (282, 283))
        assert tags[296].value == unit
    assert (across, down) == pytest.approx((20, 10))
