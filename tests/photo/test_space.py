"""Colour spaces that are computed with: against LittleCMS, there and back, and what is none."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from mirnet_cli.photo import Metadata, Part, cicp, colour, decode, encode
from mirnet_cli.photo.space import Space, space_of, space_of_photo
from tests.photo.pictures import (
    chunk,
    cmyk_profile,
    grey_profile,
    noise,
    photo,
    png,
    profile_of,
    rgb_profile,
)

P3, BT2020, LINEAR_P3 = (
    cicp.from_points(*points) or b"" for points in ((12, 13), (9, 14), (12, 8))
)
_ADOBE_PRIMARIES = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
ADOBE = (
    cicp.from_png(
        (
            Part("PNG", "gAMA", (45471).to_bytes(4, "big")),
            Part("PNG", "cHRM", struct.pack(">8I", *_ADOBE_PRIMARIES)),
        )
    )[0]
    or b""
)


def space(icc: bytes, *, grey: bool = False) -> Space:
    found, warning = space_of(icc, grey=grey)
    assert found is not None
    assert not warning
    return found


@pytest.mark.parametrize("icc", [P3, BT2020, ADOBE])
def test_colours_are_those_of_littlecms(icc: bytes) -> None:
    pixels = noise(40, 40)
    transform = colour.transform(icc, "RGB")
    assert transform is not None
    theirs = ImageCms.applyTransform(Image.fromarray(pixels), transform)
    ours = np.rint(space(icc).shown(pixels) * 255)
    assert np.abs(ours - np.asarray(theirs)).max() <= 1


def test_grey_is_that_of_littlecms() -> None:
    icc = grey_profile(1.4)
    pixels = np.arange(256, dtype=np.uint8)[None]
    transform = colour.transform(icc, "L", "RGB")
    assert transform is not None
    theirs = np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))[..., 0]
    assert np.abs(np.rint(space(icc, grey=True).shown(pixels) * 255) - theirs).max() <= 2


@pytest.mark.parametrize("icc", [P3, BT2020, LINEAR_P3, ADOBE])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_srgb_colours_come_back(icc: bytes, dtype: str) -> None:
    found = space(icc)
    # Clear of the borders, which rounded samples may lie beyond.
    colours = 0.2 + 0.6 * noise(30, 30, dtype="f4")
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    samples = found.encoded(colours)
    stored = (np.rint(samples * white) if white > 1 else samples).astype(dtype)
    again = found.encoded(found.shown(stored)) * white
    assert np.abs(again - stored).max() <= (0.2 if white > 1 else 1e-5)


def test_dark_sixteen_bits_come_back() -> None:
    for icc in (P3, LINEAR_P3, ADOBE):
        found = space(icc)
        grey = np.arange(3000, dtype=np.uint16)[:, None].repeat(3, axis=1)
        assert np.abs(found.encoded(found.shown(grey)) * 65535 - grey).max() < 0.5


def test_colours_beyond_are_clipped() -> None:
    shown = space(P3).shown(np.eye(3, dtype=np.uint8) * 255)
    np.testing.assert_allclose(shown, np.eye(3), atol=1e-3)


def test_a_table_with_a_step_can_be_undone() -> None:
    table = [0, 0, 0, 20000, 20000, 40000, 65535]
    curve = b"curv\0\0\0\0" + struct.pack(">I7H", 7, *table)
    found = space(profile_of(b"GRAY", kTRC=curve), grey=True)
    shown = found.shown(np.arange(256, dtype=np.uint8))
    assert (np.diff(shown) >= 0).all()
    assert np.abs(found.shown(found.encoded(shown)) - shown).max() < 1e-3


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_parametric_curves(kind: int) -> None:
    """One gamma in each way of writing it, so that all are the same curve."""
    numbers = {
        0: [2.0],
        1: [2.0, 1.0, 0.0],
        2: [2.0, 1.0, 0.0, 0.0],
        3: [2.0, 1.0, 0.0, 0.0, 0.0],
        4: [2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    }[kind]
    curve = b"para\0\0\0\0" + struct.pack(">HH", kind, 0)
    curve += b"".join(struct.pack(">i", round(n * 65536)) for n in numbers)
    samples = np.arange(256, dtype=np.uint8)
    found = space(profile_of(b"GRAY", kTRC=curve), grey=True).shown(samples)
    gamma = space(grey_profile(2.0), grey=True).shown(samples)
    assert np.abs(found - gamma).max() < 1e-5


def test_srgb_and_no_profile_are_left_alone() -> None:
    assert space_of(None, grey=False) == (None, "")
    assert space_of(rgb_profile(), grey=False) == (None, "")
    assert space_of(rgb_profile(), grey=True) == (None, "")


@pytest.mark.parametrize(
    "icc",
    [
        cmyk_profile(),
        P3[:200],
        P3.replace(b"rTRC", b"xTRC"),
        P3.replace(b"rXYZ", b"xXYZ"),
        P3.replace(b"para", b"pura"),
        profile_of(b"GRAY", kTRC=b"curv\0\0\0\0" + struct.pack(">I2H", 2, 65535, 0)),
        profile_of(b"GRAY", kTRC=b"curv\0\0\0\0" + struct.pack(">I", 1 << 31)),
    ],
)
def test_what_cannot_be_computed_with_is_said(icc: bytes) -> None:
    found, warning = space_of(icc, grey=False)
    assert found is None
    assert "for sRGB:" in warning


def png_part(name: str, data: bytes) -> Part:
    return Part("PNG", name, data)


def gama(value: float) -> Part:
    return png_part("gAMA", round(value * 100_000).to_bytes(4, "big"))


def test_what_a_png_says_without_a_profile() -> None:
    def found(*parts: Part, icc: bytes | None = None) -> tuple[Space | None, str]:
        metadata = Metadata(parts=parts, icc=icc)
        return space_of_photo(photo(noise(2, 2), metadata=metadata))

    chrm = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    pixels = noise(20, 20)
    p3, _ = found(png_part("cICP", bytes((12, 13, 0, 1))))
    same, _ = found(gama(0.45455), png_part("cHRM", chrm))
    assert p3 is not None
    assert same is not None
    np.testing.assert_allclose(p3.shown(pixels), same.shown(pixels), atol=2e-4)
    linear, _ = found(gama(1.0))
    assert linear is not None
    assert linear.shown(np.full((1, 3), 55, np.uint8)) == pytest.approx(128 / 255, abs=0.01)
    assert found(gama(0.45455)) == (None, "")
    assert found(png_part("sRGB", b"\0"), gama(1.0)) == (None, "")
    assert found(gama(1.0), icc=rgb_profile()) == (None, "")
    assert found(png_part("cICP", bytes((1, 13, 0, 1))), icc=P3) == (None, "")
    assert found(gama(0.0), png_part("cHRM", bytes(32))) == (None, "")
    none, warning = found(png_part("cICP", bytes((9, 16, 0, 1))))
    assert none is None
    assert "PQ" in warning


def test_other_formats_get_the_colours_of_a_png_as_a_profile() -> None:
    metadata = Metadata(parts=(png_part("cICP", bytes((12, 13, 0, 1))), gama(0.45455)))
    p3 = photo(noise(20, 20), metadata=metadata)
    made = encode(p3, format="TIFF")
    assert made.warnings == ()
    assert decode(made.data).metadata.icc == P3
    again = decode(encode(p3).data)
    assert again.metadata.icc is None
    assert again.metadata.parts == metadata.parts
    srgb = photo(noise(20, 20), metadata=Metadata(parts=(gama(0.45455),)))
    assert encode(srgb, format="JPEG").warnings == ()
    hdr = photo(noise(8, 8), metadata=Metadata(parts=(png_part("cICP", bytes((9, 16, 0, 1))),)))
    assert "PNG cICP" in encode(hdr, format="JPEG").warnings[0]


def test_a_format_without_profiles_gets_srgb() -> None:
    p3 = photo(noise(20, 20), metadata=Metadata(icc=P3))
    made = encode(p3, format="BMP", provenance={"tool": "test"})
    assert [*made.warnings] == ["colours were converted to sRGB: BMP holds no profile"]
    assert np.array_equal(decode(made.data).pixels, np.rint(space(P3).shown(p3.pixels) * 255))


@pytest.mark.parametrize(("gamma", "half"), [(45455, 128), (100000, 188)])
def test_grey_of_a_png_keeps_its_look_in_other_formats(gamma: int, half: int) -> None:
    pixels = np.full((8, 8), 128, np.uint8)
    source = png((8, 8, 8, 0), pixels.tobytes(), chunk(b"gAMA", struct.pack(">I", gamma)))
    made = encode(decode(source), format="TIFF")
    said = ("grey was converted to that of sRGB: TIFF has no gAMA",)
    assert made.warnings == (() if half == 128 else said)
    found = decode(made.data)
    assert found.metadata.icc is None
    np.testing.assert_array_equal(found.pixels, half)
    again = decode(encode(decode(source)).data)
    np.testing.assert_array_equal(again.pixels, pixels)


@pytest.mark.parametrize("cut", [0, 300])
def test_the_profile_of_a_bmp_counts(cut: int) -> None:
    profile = cicp.from_points(12, 13) or b""
    pixels = noise(8, 8)
    rows = pixels[::-1, :, ::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, 8, 8, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    head += bytes(16) + b"DEBM" + bytes(52) + struct.pack("<II", 124 + len(rows), len(profile))
    head = head.ljust(124, b"\0")
    data = struct.pack("<2sIHHI", b"BM", 14 + 124, 0, 0, 14 + 124) + head + rows + profile
    found = decode(data[: len(data) - cut])
    np.testing.assert_array_equal(found.pixels, pixels)
    if cut:
        assert found.metadata.icc is None
        assert found.warnings == ("the colour profile is damaged and is not kept",)
        return
    assert found.metadata.icc == profile
    assert found.metadata.dpi == pytest.approx((72, 72), abs=0.1)
    assert decode(encode(found, format="PNG").data).metadata.icc == profile
    made = encode(found)
    assert made.warnings == ("colours were converted to sRGB: BMP holds no profile",)
