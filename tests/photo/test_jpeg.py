"""What only JPEG has: kinds of coding, subsampling, and damage that libjpeg warns of alone."""

import base64
import io
import struct

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageFile

from mirnet_cli.errors import InputError
from mirnet_cli.photo import decode, encode, isobmff, jpeg
from tests.photo.pictures import jpeg_with, noise, saved, smooth

# cjpeg -arithmetic -progressive -quality 60 of 16x16 pixels (16 x, 16 y, 128): conditioning
# markers stand between its scans.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywt"
    "QFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09P"
    "T09PT09PT09PT09PT09PT09PT0//ygARCAAQABADASIAAhEBAxEB/8wABgAQARD/2gAMAwEAAhADEAAAAf7RzjrbcP/M"
    "AAQQBf/aAAgBAQABBQIeqNU3sP/MAAQRBf/aAAgBAwEBPwEVmLT/zAAEEQX/2gAIAQIBAT8BPdqA/8wABBAF/9oACAEB"
    "AAY/AsD/zAAEEAX/2gAIAQEAAT8hpjHe/9oADAMBAAIAAwAAABDI/8wABBEF/9oACAEDAQE/ENUe/8wABBEF/9oACAEC"
    "AQE/EKYg/8wABBAF/9oACAEBAAE/ECdalv/Z"
)


def damaged(data: bytes, seed: int, count: int = 64) -> bytes:
    """With ``count`` bytes inside the pixels overwritten by noise that holds no marker."""
    start = data.index(b"\xff\xda") + 20
    at = start + seed * 97 % (len(data) - start - count - 64)
    return data[:at] + bytes(noise(1, count, 1, seed=seed) // 2) + data[at + count :]


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}]
)
def test_damage_inside_a_scan_is_refused(options: dict[str, int]) -> None:
    data = saved(Image.fromarray(smooth(400, 400)), "JPEG", quality=95, **options)
    decode(data)
    refused = 0
    for seed in range(20):
        hurt = damaged(data, seed)
        try:
            simplejpeg.decode_jpeg(hurt)
        except ValueError:
            refused += 1
            with pytest.raises(InputError, match="compressed data is corrupt"):
                decode(hurt)
        else:
            decode(hurt)
    assert refused > 10


@pytest.mark.parametrize(("rest", "passes"), [(b"\0" * 40, True), (b"\x5a\x17" * 20, False)])
def test_padding_before_the_end_is_no_damage(rest: bytes, passes: bool) -> None:
    data = saved(Image.fromarray(smooth(16, 24)), "JPEG")
    longer = data[:-2] + rest + data[-2:]
    if passes:
        np.testing.assert_array_equal(decode(longer).pixels, decode(data).pixels)
    else:
        with pytest.raises(InputError, match="corrupt"):
            decode(longer)


def test_odd_numbers_in_the_scan_header_of_a_sequential_picture_mean_nothing() -> None:
    data = bytearray(saved(Image.fromarray(smooth(16, 24)), "JPEG"))
    at = data.index(b"\xff\xda")
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    wanted = decode(bytes(data)).pixels
    data[end - 3 : end] = b"\0\0\0"
    np.testing.assert_array_equal(decode(bytes(data)).pixels, wanted)


def test_arithmetic_codes_of_any_length_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = np.full((16, 16, 3), 128)
    wanted[..., 0] = np.arange(16) * 16
    wanted[..., 1] = np.arange(16)[:, None] * 16
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 64)
    found = decode(ARITHMETIC)
    assert np.abs(found.pixels - wanted).mean() < 8
    with Image.open(io.BytesIO(encode(found).data)) as image:
        assert "progressive" in image.info
    with pytest.raises(InputError):
        decode(ARITHMETIC[:-60] + ARITHMETIC[-2:])


@pytest.mark.parametrize(
    ("marker", "body"), [(0xE0, b"JFIF\0"), (0xE0, b"JFIF\0\1\1\1\0"), (0xEE, b"Adobe\0")]
)
def test_a_segment_too_short_for_its_kind_is_passed_over(marker: int, body: bytes) -> None:
    data = saved(Image.fromarray(smooth(16, 24)), "JPEG")
    without = data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]
    found = decode(jpeg_with(without, (marker, body)))
    np.testing.assert_array_equal(found.pixels, decode(data).pixels)
    assert found.metadata.dpi is None


@pytest.mark.parametrize("name", ["4:4:0", "4:1:1"])
def test_a_subsampling_that_is_not_written_is_said(name: str) -> None:
    data = simplejpeg.encode_jpeg(smooth(48, 64), 60, colorsubsampling=name.replace(":", ""))
    found = decode(data)
    assert found.jpeg is not None
    assert found.jpeg.subsampling == name
    again = encode(found)
    assert again.warnings == (f"its subsampling ({name}) became 4:4:4",)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(again.data)) as after:
        assert after.quantization == before.quantization
    assert encode(found.with_pixels(smooth(48, 64)[..., 0])).warnings == ()


@pytest.mark.parametrize(
    ("factors", "name"),
    [
        ([(2, 2), (1, 1), (1, 1)], "4:2:0"),
        ([(4, 2), (2, 1), (2, 1)], "4:2:0"),
        ([(4, 2), (1, 1), (1, 1)], "4:1:0"),
        ([(2, 2), (2, 1), (1, 1)], "2x2,2x1,1x1"),
        ([(3, 1), (2, 1), (2, 1)], "3x1,2x1,2x1"),
        ([(2, 2)], ""),
    ],
)
def test_names_of_subsamplings(factors: list[tuple[int, int]], name: str) -> None:
    assert jpeg._sampling(factors) == name


def test_a_jpeg_stored_as_rgb_stays_so() -> None:
    data = saved(Image.fromarray(smooth(48, 64)), "JPEG", keep_rgb=True, quality=60)
    again = encode(decode(data))
    assert again.warnings == ()
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(again.data)) as after:
        assert [row[0] for row in after.layer] == [row[0] for row in before.layer] == [82, 71, 66]
        assert all(table == before.quantization[0] for table in after.quantization.values())
    assert len(again.data) < 1.1 * len(data)
    assert np.abs(decode(again.data).pixels.astype(int) - smooth(48, 64)).mean() < 6


@pytest.mark.parametrize(("turn", "wanted"), [(1, (2, 1)), (6, (1, 2))])
def test_the_shape_of_pixels_without_a_unit_is_kept(turn: int, wanted: tuple[int, int]) -> None:
    tags = Image.Exif()
    tags[0x0112] = turn
    data = bytearray(saved(Image.fromarray(smooth(16, 24)), "JPEG", exif=tags))
    struct.pack_into(">BHH", data, 13, 0, 2, 1)
    found = decode(bytes(data))
    again = encode(found)
    assert again.warnings == ()
    assert struct.unpack_from(">BHH", again.data, 13) == (0, *wanted)
    assert decode(again.data).metadata.aspect == wanted
    for other in ("PNG", "TIFF"):
        written = encode(found, format=other)
        assert (decode(written.data).metadata.aspect, written.warnings) == (wanted, ())
    assert any("shape of its pixels" in text for text in encode(found, format="WEBP").warnings)
    assert not encode(found, format="WEBP", strip=True).warnings


@pytest.mark.parametrize(("turn", "wanted"), [(1, (1, 2)), (3, (1, 2)), (6, (2, 1))])
def test_avif_has_no_place_for_the_shape_of_pixels_here(turn: int, wanted: tuple[int, int]) -> None:
    tags = Image.Exif()
    tags[0x0112] = turn
    data = saved(Image.fromarray(smooth(16, 24)), "AVIF", exif=tags)
    # Pillow's AVIF says how many bits there are (pixi); that place takes a box of the same size.
    shape = b"".join(isobmff.box(b"pasp", struct.pack(">II", 2, 1)))
    at = data.index(b"pixi") - 4
    assert data[at : at + 4] == struct.pack(">I", len(shape))
    found = decode(data[:at] + shape + data[at + len(shape) :])
    assert found.metadata.aspect == wanted
    assert any("shape of its pixels" in text for text in encode(found).warnings)
