"""JPEG XL: depths, colours, profiles, and what is around the codestream."""

import base64
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mirnet_cli.errors import InputError
from mirnet_cli.photo import Metadata, cicp, decode, encode, jxl_header, jxl_icc
from mirnet_cli.photo.isobmff import box, boxes
from mirnet_cli.photo.jxl_codes import Bits
from mirnet_cli.photo.source import DamageError
from mirnet_cli.photo.space import space_of
from tests.photo.pictures import XMP, grey_profile, noise, photo, profile_of, smooth
from tests.photo.test_extras import bits_of, needs

pytestmark = needs("JXL")

ADOBE = cicp.adobe_rgb()

# cjxl -d 0 and -d 1 of 8x8 pixels (128, 128, 128) with ADOBE as their profile.
LOSSLESS = base64.b64decode(
    "/wpBQAhXCgMS5gFQy1jasLFct+UBzH+hc/+q0MKPXAkRFoWPWWGBc4GdIbUzVs+4elg6F3wjkH8bSyv+AodLXScEWHbw"
    "tRU2lDZVlLUM8DaVFg0wkPRVtAxQ8lAICEpMTg5O4tPpp9iXT6xDIA+118oB6DQNylkEn5bgRfkQ2gYUFAb3rUBMIizk"
    "QX3d8GZkAggCAQBUAEsYixXCSUFeIAKAAAAAAAAAAAAAAA=="
)
LOSSY = base64.b64decode(
    "/wpBQApXCgMS5gFQy1jasLFct+UBzH+hc/+q0MKPXAkRFoWPWWGBc4GdIbUzVs+4elg6F3wjkH8bSyv+AodLXScEWHbw"
    "tRU2lDZVlLUM8DaVFg0wkPRVtAxQ8lAICEpMTg5O4tPpp9iXT6xDIA+118oB6DQNylkEn5bgRfkQ2gYUFAb3rUBMIizk"
    "QX3d8GZkAgASiAIA0ABd5RIAABUqo4wbvJzr+fJDh8W0jesMbbVtYUmiyDg2SSdwSBKLMMYFGIYBAMzcwDCaShIA"
)


@pytest.mark.parametrize("data", [LOSSLESS, LOSSY], ids=["lossless", "lossy"])
def test_a_profile_is_read_and_stays(data: bytes) -> None:
    found = decode(data)
    assert found.metadata.icc == ADOBE
    assert np.abs(found.pixels.astype(int) - 128).max() <= 1
    assert found.warnings == ()
    again = encode(found)
    assert again.warnings == ()
    assert decode(again.data).metadata.icc == ADOBE
    assert np.abs(decode(again.data).pixels.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_pixels_with_a_profile_come_back(dtype: str, lossless: bool, with_alpha: bool) -> None:
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    pixels = (smooth(40, 60) / 255 * full).astype(dtype)
    pixels[:9, :9, 0], pixels[:9, :9, 1:] = full, 0  # beyond sRGB
    alpha = noise(40, 60, 1, dtype) if with_alpha else None
    source = photo(pixels, alpha, format="JXL", metadata=Metadata(icc=ADOBE))
    encoded = encode(replace(source, lossless=lossless))
    assert ["without loss" in text for text in encoded.warnings] == (
        [True] if with_alpha and not lossless else []
    )
    found = decode(encoded.data)
    assert found.metadata.icc == ADOBE
    assert found.pixels.dtype == dtype
    if lossless or with_alpha:
        np.testing.assert_array_equal(found.pixels, pixels)
    else:
        assert np.abs(found.pixels.astype(float) - pixels).mean() < 0.02 * full
        assert found.pixels[2:7, 2:7, 0].min() > 0.96 * full
    if alpha is not None:
        np.testing.assert_array_equal(found.alpha, alpha)


@pytest.mark.parametrize("lossless", [False, True])
def test_grey_with_its_profile_comes_back(lossless: bool) -> None:
    icc = grey_profile()
    pixels = np.ascontiguousarray(smooth(40, 60)[..., 1])
    source = photo(pixels, format="JXL", metadata=Metadata(icc=icc))
    found = decode(encode(replace(source, lossless=lossless)).data)
    assert found.metadata.icc == icc
    assert np.abs(found.pixels.astype(int) - pixels).mean() < 4


def test_a_profile_that_cannot_be_computed_with_is_written_without_loss() -> None:
    icc = profile_of(b"RGB ", A2B0=b"mft2" + bytes(40))
    assert space_of(icc, grey=False)[1]
    source = photo(noise(20, 30), format="JXL", metadata=Metadata(icc=icc))
    encoded = encode(source)
    assert "without loss" in encoded.warnings[0]
    found = decode(encoded.data)
    assert found.metadata.icc == icc
    np.testing.assert_array_equal(found.pixels, source.pixels)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 5000])
@pytest.mark.parametrize("kind", [b"APPL", b"MSFT", b"SGI ", b"SUNW", b"none"])
def test_any_profile_can_be_stored(size: int, kind: bytes) -> None:
    profile = bytearray(noise(1, 5000, 1).tobytes())
    profile[40:44] = kind
    value, count = jxl_icc.packed(bytes(profile[:size]))
    bits = Bits(value.to_bytes(count // 8 + 1, "little"))
    assert jxl_icc.read(bits) == profile[:size]
    assert bits.at == count


@pytest.mark.parametrize("data", [LOSSLESS, LOSSY], ids=["lossless", "lossy"])
def test_a_damaged_profile_is_damage(data: bytes) -> None:
    for at in range(8 * 4, 8 * 160, 3):
        hurt = bytearray(data)
        hurt[at // 8] ^= 1 << at % 8
        try:
            decode(bytes(hurt), max_pixels=1 << 20)
        except InputError:
            continue
    for end in range(3, 160):
        with pytest.raises(InputError):
            decode(data[:end])
    with pytest.raises(DamageError):
        jxl_header.profile(data[:100])


@pytest.mark.parametrize("bits", [1, 4, 7, 9, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_other_depths_fill_the_range(bits: int, channels: int) -> None:
    import imagecodecs

    stored = noise(12, 15, channels, np.uint16) >> (16 - bits)
    stored = stored.astype(np.uint8 if bits <= 8 else np.uint16)
    stored.flat[: 2 * channels] = [0] * channels + [(1 << bits) - 1] * channels
    data = bytes(imagecodecs.jpegxl_encode(stored, lossless=True, bitspersample=bits))
    found = decode(data)
    white = 255 if bits <= 8 else 65535
    wanted = np.rint(stored * (white / ((1 << bits) - 1))).reshape(12, 15, -1)
    colours = 3 if channels > 2 else 1
    np.testing.assert_array_equal(found.pixels.reshape(12, 15, -1), wanted[..., :colours])
    if channels in (2, 4):
        np.testing.assert_array_equal(found.alpha, wanted[..., -1])


@pytest.mark.parametrize(
    ("transfer", "light"),
    [
        ([(1, 1), (5_000_000, 24)], 0.25),
        ([(0, 1), (1, 2)], ((0.5 + 0.099) / 1.099) ** (1 / 0.45)),
        ([(0, 1), (2, 2), (15, 4)], 0.5**2.6),
        ([(0, 1), (2, 2), (6, 4)], 0.5),
    ],
    ids=["gamma", "BT.709", "DCI", "linear"],
)
def test_curves_are_what_they_are_called(transfer: list[tuple[int, int]], light: float) -> None:
    found = jxl_header.parse(
        bits_of(
            *[(1, 1), (4, 5), (0, 3), (9, 5), (0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (0, 2)],
            *[(0, 1), (0, 1), (0, 1), (0, 2), (1, 2), (1, 2), *transfer, (1, 2), (0, 2), (1, 1)],
        )
    )
    colours = found.colours
    icc = cicp.from_colours(colours.where, colours.transfer, colours.gamma)
    space, doubt = space_of(icc, grey=False)
    assert not doubt
    assert space is not None
    half = space.light(np.full((1, 3), 0.5, np.float32))
    np.testing.assert_allclose(half, light, atol=0.002)


def test_a_header_may_be_in_several_boxes() -> None:
    made = encode(photo(smooth(20, 30), metadata=Metadata(xmp=XMP)), format="JXL").data
    stream = dict(boxes(made))[b"jxlc"]
    pieces = [stream[:3], stream[3:5], stream[5:]]
    parts = [made[:32]]
    for index, piece in enumerate(pieces):
        last = 0x80000000 if index == 2 else 0
        parts += box(b"jxlp", struct.pack(">I", index | last) + piece)
    np.testing.assert_array_equal(decode(b"".join(parts)).pixels, decode(made).pixels)


def test_channels_that_photos_do_not_have_are_said() -> None:
    import imagecodecs

    planes: Any = np.stack([np.full((9, 15), value, np.uint8) for value in (50, 90)])
    data = bytes(imagecodecs.jpegxl_encode(planes, lossless=True, planar=True))
    found = decode(data)
    assert found.pixels.shape == (9, 15)
    assert (found.pixels == 50).all()
    assert found.alpha is None
    assert found.warnings == ("channels beside colours and transparency are not kept",)
