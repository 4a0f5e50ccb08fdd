"""Estimates: against noise of known strength, and how they grow."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import mirnet_cli
from mirnet_cli.restore import Restorer, estimates
from mirnet_cli.restore.picture import Picture

SCENE = Path(__file__).parents[2] / "docs" / "images" / "rocket-dusk.jpg"


@pytest.fixture(scope="module")
def denoise() -> Restorer:
    return mirnet_cli.load("denoise", device="cpu")


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """A photo without noise: reduced, and lifted so that little of it is clipped."""
    pixels = np.asarray(Image.open(SCENE).convert("RGB"))
    small = cv2.resize(pixels, (448, 448 * pixels.shape[0] // pixels.shape[1]), interpolation=3)
    return np.rint(60 + small * 0.5).astype(np.uint8)


def with_noise(clean: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize("sigma", [1, 2, 5, 10, 20, 35, 50])
def test_noise_is_measured(denoise: Restorer, clean: np.ndarray, sigma: float) -> None:
    found = estimates.noise(denoise, Picture(with_noise(clean, sigma)))
    assert found == pytest.approx(sigma, rel=0.2)


@pytest.mark.parametrize("sigma", [20, 35, 50])
def test_noise_that_jpeg_leaves_is_measured(
    denoise: Restorer, clean: np.ndarray, sigma: float
) -> None:
    noisy, left = as_jpeg(with_noise(clean, sigma)), as_jpeg(clean)
    true = float((noisy.astype(float) - left).std())
    assert estimates.noise(denoise, Picture(noisy)) == pytest.approx(true, rel=0.2)


@pytest.mark.parametrize("sigma", [4, 10, 20, 50])
def test_noise_that_reducing_leaves_is_measured(
    denoise: Restorer, clean: np.ndarray, sigma: float
) -> None:
    height, width = (side // 2 for side in clean.shape[:2])
    noisy, left = (
        cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA)
        for each in (with_noise(clean, sigma), clean)
    )
    true = float((noisy.astype(float) - left).std())
    assert estimates.noise(denoise, Picture(noisy)) == pytest.approx(true, rel=0.2)


def test_a_clean_photo_has_little(denoise: Restorer, clean: np.ndarray) -> None:
    assert estimates.noise(denoise, Picture(clean)) < 0.6


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 17, 3), (100, 90, 3)])
def test_any_size_has_estimates(denoise: Restorer, shape: tuple[int, ...]) -> None:
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        picture = Picture(np.full(shape, white // 3 if white > 1 else 0.3, dtype))
        assert 0 <= estimates.noise(denoise, picture) < 0.6
        assert 0 <= estimates.blur(picture) <= 1


def test_depths_agree(denoise: Restorer, clean: np.ndarray) -> None:
    noisy = with_noise(clean, 10)
    found = [
        estimates.noise(denoise, Picture(each))
        for each in (noisy, noisy.astype(np.uint16) * 257, noisy.astype(np.float32) / 255)
    ]
    assert max(found) - min(found) < 0.05


def test_blur_grows(clean: np.ndarray) -> None:
    found = [
        estimates.blur(Picture(cv2.GaussianBlur(clean, (0, 0), s) if s else clean))
        for s in (0, 1, 2, 4)
    ]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.1
