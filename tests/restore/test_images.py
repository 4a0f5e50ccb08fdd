"""Pillow's images in, Pillow's images out: mode, profile and EXIF stay."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.restore import Restorer
from tests.restore.fakes import photo_like

Make = Callable[..., Restorer]

PHOTO = photo_like(20, 30)
GREY = PHOTO[..., 0]
ALPHA = np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30)
IMAGES = {
    "L": Image.fromarray(GREY),
    "LA": Image.fromarray(np.dstack([GREY, ALPHA])),
    "RGB": Image.fromarray(PHOTO),
    "RGBA": Image.fromarray(np.dstack([PHOTO, ALPHA])),
    "I;16": Image.fromarray(GREY.astype(np.uint16) * 257),
    "F": Image.fromarray(GREY.astype(np.float32) / 255),
}


@pytest.mark.parametrize("mode", IMAGES)
@pytest.mark.parametrize("scale", [1, 2])
def test_mode_and_what_belongs_to_it_come_back(restorer: Make, mode: str, scale: int) -> None:
    image = IMAGES[mode].copy()
    image.info = {"icc_profile": None, "dpi": (300, 300), "exif": b"Exif\0\0"}
    before = image.tobytes()
    made = restorer(scales=(scale,), scale=scale)(image)
    assert (made.mode, made.size) == (mode, (30 * scale, 20 * scale))
    assert made.info == image.info
    assert image.tobytes() == before
    if mode not in ("LA", "RGBA"):
        expected = restorer(scales=(scale,), scale=scale)(np.asarray(image))
        assert np.array_equal(np.asarray(made), expected)
    elif scale == 1:
        assert np.array_equal(np.asarray(made)[..., -1], ALPHA)


@pytest.mark.parametrize(
    ("mode", "expected"), [("1", "L"), ("P", "RGB"), ("PA", "RGBA"), ("I;16B", "I;16")]
)
def test_a_mode_that_cannot_hold_the_result(restorer: Make, mode: str, expected: str) -> None:
    source = IMAGES["I;16" if mode == "I;16B" else "RGB"]
    image = Image.new(mode, source.size) if mode == "I;16B" else source.convert("P").convert(mode)
    assert restorer()(image).mode == expected


def test_a_transparent_colour_becomes_alpha(restorer: Make) -> None:
    image = IMAGES["RGB"].copy()
    image.putpixel((3, 2), (1, 2, 3))
    image.info["transparency"] = (1, 2, 3)
    made = restorer()(image)
    assert (made.mode, made.info) == ("RGBA", {})
    assert made.getpixel((3, 2))[3] == 0
    assert made.getpixel((4, 2))[3] == 255


def test_the_profile_is_used_and_kept(restorer: Make) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = IMAGES["RGB"].copy()
    image.info["icc_profile"] = profile
    with pytest.warns(UserWarning, match="profile"):
        made = restorer()(image)
    assert made.info["icc_profile"] == profile


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB", "I", "RGBX", "RGBa", "La"])
def test_other_modes_are_refused(restorer: Make, mode: str) -> None:
    with pytest.raises(UsageError, match=rf'an image of mode {mode}; convert it .*"RGB"'):
        restorer()(Image.new(mode, (8, 8)))


def test_an_image_that_cannot_be_decoded(restorer: Make) -> None:
    stream = io.BytesIO()
    IMAGES["RGB"].save(stream, "png")
    with pytest.raises(InputError, match="cannot be decoded"):
        restorer()(Image.open(io.BytesIO(stream.getvalue()[:-200])))
