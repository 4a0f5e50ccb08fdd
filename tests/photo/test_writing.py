"""Encoding: settings of the input again, losses said, and results others can read."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from mirnet_cli.errors import OutputError, UsageError
from mirnet_cli.photo import Metadata, decode, encode
from tests.photo.pictures import exif_block, noise, photo, saved, smooth


@pytest.mark.parametrize("quality", [30, 75, 92, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_written_as_it_was(quality: int, subsampling: str, progressive: bool) -> None:
    data = saved(
        Image.fromarray(smooth(48, 64)),
        "JPEG",
        quality=quality,
        subsampling=subsampling,
        progressive=progressive,
    )
    again = encode(decode(data)).data
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(again)) as after:
        assert after.quantization == before.quantization
        assert after.layer == before.layer
        assert ("progressive" in after.info) == progressive
    assert len(again) < 1.05 * len(data)


def test_a_jpeg_too_large_for_several_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    read = decode(saved(Image.fromarray(smooth(48, 64)), "JPEG", progressive=True))
    usual = encode(read)
    monkeypatch.setattr("mirnet_cli.photo.jpeg.BUFFERED", 48 * 64 - 1)
    large = encode(read)
    with Image.open(io.BytesIO(large.data)) as image:
        assert "progressive" not in image.info
    assert (decode(large.data).pixels == decode(usual.data).pixels).all()
    assert not usual.warnings
    assert "one scan instead of several" in large.warnings[0]


def test_a_quality_overrides_the_tables_but_not_the_sampling() -> None:
    data = saved(Image.fromarray(smooth(48, 64)), "JPEG", quality=30, subsampling="4:2:0")
    again = encode(decode(data), quality=95).data
    with Image.open(io.BytesIO(again)) as image:
        assert image.quantization[0][0] < 5
        assert image.layer[0][1:3] == (2, 2)


def test_a_grey_jpeg_and_one_made_grey() -> None:
    for image in (Image.fromarray(noise(9, 9, 1)), Image.fromarray(noise(9, 9))):
        read = decode(saved(image, "JPEG", quality=60))
        again = decode(encode(read.with_pixels(noise(9, 9, 1))).data)
        assert again.pixels.ndim == 2
        coloured = decode(encode(read.with_pixels(noise(9, 9, 3))).data)
        assert coloured.pixels.shape == (9, 9, 3)


def test_jpeg_of_noise_at_full_quality_is_written(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pixels = noise(300, 300)
    data = saved(
        Image.fromarray(smooth(9, 9)), "JPEG", quality=100, subsampling=0, progressive=True
    )
    encoded = encode(decode(data).with_pixels(pixels)).data
    assert len(encoded) > 2 * 300 * 300, "no test of what Pillow alone fails at"
    assert decode(encoded).pixels.shape == pixels.shape
    assert capfd.readouterr().err == ""


def test_webp_stays_without_loss_if_it_was() -> None:
    pixels = noise(20, 30)
    alpha = noise(20, 30, 1)
    image = Image.fromarray(np.dstack([pixels, alpha]))
    read = decode(saved(image, "WEBP", lossless=True, exact=True))
    assert read.lossless
    again = decode(encode(read).data)
    np.testing.assert_array_equal(again.pixels, pixels)
    np.testing.assert_array_equal(again.alpha, alpha)
    lossy = decode(saved(image, "WEBP", quality=50))
    assert not lossy.lossless
    assert not decode(encode(read, quality=50).data).lossless


@pytest.mark.parametrize(
    ("format", "lossless", "chosen", "own"),
    [
        ("AVIF", False, {"speed": 8}, {"speed": 6}),
        ("WEBP", True, {"quality": 50}, {"quality": 75}),
    ],
)
def test_encoders_take_less_time_than_they_would(
    format: str,
    lossless: bool,
    chosen: dict[str, int],
    own: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was measured is in docs/measurements.md: a file may not cost more than the network."""
    write = Image.Image.save
    told: list[dict[str, Any]] = []

    def spy(*given: Any, **options: Any) -> Any:
        told.append(options)
        return write(*given, **options)

    options = {"lossless": True} if lossless else {}
    # Grain for one, repetitions for the other.
    pixels = smooth(200, 300) if lossless else noise(200, 300)
    source = decode(saved(Image.fromarray(pixels), format, **options))
    monkeypatch.setattr(Image.Image, "save", spy)
    quick = encode(source).data
    assert told[-1].items() >= chosen.items()
    monkeypatch.setattr(Image.Image, "save", lambda *a, **options: write(*a, **options | own))
    slow = encode(source).data
    assert quick != slow
    assert len(quick) < 1.1 * len(slow)
    if lossless:
        np.testing.assert_array_equal(decode(quick).pixels, source.pixels)


def test_losses_are_said() -> None:
    source = photo(noise(8, 8, 3, np.uint16), noise(8, 8, 1, np.uint16))
    for format, words in (
        ("JPEG", ("16 bits became 8", "transparency became white")),
        ("WEBP", ("16 bits became 8",)),
        ("AVIF", ("16 bits became 8",)),
        ("BMP", ("16 bits became 8",)),
        ("PNG", ()),
        ("TIFF", ()),
    ):
        warnings = encode(source, format=format).warnings
        assert len(warnings) == len(words), format
        assert all(word in text for word, text in zip(words, warnings, strict=True)), format


def test_transparency_is_laid_on_white() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    alpha = np.full((16, 16), 51, np.uint8)
    found = decode(encode(photo(pixels, alpha), format="JPEG").data)
    np.testing.assert_array_equal(found.pixels, 204)


def test_bmp_has_alpha_too() -> None:
    for channels in (1, 3):
        pixels, alpha = noise(5, 6, channels), noise(5, 6, 1, seed=1)
        found = decode(encode(photo(pixels, alpha), format="BMP").data)
        wanted = pixels if channels == 3 else np.dstack([pixels] * 3)
        np.testing.assert_array_equal(found.pixels, wanted)
        np.testing.assert_array_equal(found.alpha, alpha)


def test_16_bits_become_8_by_rounding() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = decode(encode(photo(values), format="BMP").data)
    np.testing.assert_array_equal(found.pixels, np.rint(values / 257))


def test_floating_samples_become_16_bits_in_png() -> None:
    pixels = noise(8, 8, 3, np.float32)
    encoded = encode(photo(pixels), format="PNG")
    found = decode(encoded.data).pixels
    np.testing.assert_allclose(found / 65535, pixels, atol=1e-5)
    assert "floating-point samples became 16 bits" in encoded.warnings[0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_others_read_our_png_and_tiff(channels: int, alpha: bool, dtype: Any) -> None:
    pixels = noise(37, 53, channels, dtype)
    cover = noise(37, 53, 1, dtype, seed=1) if alpha else None
    source = photo(pixels, cover, metadata=Metadata(exif=exif_block()))
    wanted = pixels.reshape(37, 53, channels)
    if cover is not None:
        wanted = np.dstack([wanted, cover])

    with tifffile.TiffFile(io.BytesIO(encode(source, format="TIFF").data)) as file:
        np.testing.assert_array_equal(file.pages.first.asarray().reshape(wanted.shape), wanted)

    data = encode(source, format="PNG").data
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    found = found.reshape(37, 53, -1)
    if channels == 3:
        found[..., :3] = found[..., 2::-1].copy()
    elif alpha:
        found = found[..., 2:]
    np.testing.assert_array_equal(found, wanted)
    if dtype == np.uint8:
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(np.asarray(image).reshape(wanted.shape), wanted)


def test_png_finds_repetitions_too() -> None:
    tile = noise(16, 16) // 64 * 64
    pixels = np.tile(tile, (20, 20, 1))
    data = encode(photo(pixels)).data
    assert len(data) < pixels.size / 10
    np.testing.assert_array_equal(decode(data).pixels, pixels)


def test_the_number_of_cores_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    source = photo(noise(700, 900))
    for format in ("PNG", "TIFF"):
        first = encode(source, format=format).data
        monkeypatch.setattr("os.cpu_count", lambda: 1)
        assert encode(source, format=format).data == first
        monkeypatch.undo()


def test_the_output_may_have_another_size_and_depth_of_colour() -> None:
    read = decode(saved(Image.fromarray(noise(8, 12, 1)), "PNG"))
    again = decode(encode(read.with_pixels(noise(16, 24, 3))).data)
    assert again.pixels.shape == (16, 24, 3)
    assert (again.header.width, again.header.height) == (24, 16)


def test_too_large_for_the_format() -> None:
    wide = photo(np.zeros((1, 70000, 3), np.uint8))
    for format in ("JPEG", "WEBP", "AVIF"):
        with pytest.raises(OutputError, match="pixels a side"):
            encode(wide, format=format)
    assert decode(encode(wide, format="PNG").data).pixels.shape == (1, 70000, 3)


def test_an_unknown_format() -> None:
    with pytest.raises(UsageError):
        encode(photo(noise(2, 2)), format="gif")
    assert encode(photo(noise(2, 2)), format=".tif").data[:2] == b"II"


def test_float_tiffs_are_read_by_others() -> None:
    pixels = noise(20, 30, 1, "f4")
    with Image.open(io.BytesIO(encode(photo(pixels), format="TIFF").data)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
