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

LUMINANCE = (0.299, 0.587, 0.114)
SCENE = Path(__file__).parents[2] / "docs" / "images" / "rocket-dusk.jpg"


@pytest.fixture(scope="module")
def denoise() -> Restorer:
    return mirnet_cli.load("denoise", device="cpu")


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """A photo without noise: reduced, and lifted so that little of it is clipped."""
    pixels = np.asarray(Image.open(SCENE).convert("RGB"))
    small = cv2.resize(pixels, (448, 448 * pixels.shape[0] // pixels.shape[1]), interpolation=3)
    return np.asarray(np.rint(60 + small * 0.5), np.uint8)


def with_noise(clean: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
    return np.asarray(np.clip(np.rint(clean + noise), 0, 255), np.uint8)


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream))


def flat_parts(clean: np.ndarray) -> np.ndarray:
    """Where a photo without noise is flat: the quarter of its blocks that changes least."""
    height, width = (side // 8 * 8 for side in clean.shape[:2])
    cells = clean[:height, :width].reshape(height // 8, 8, width // 8, 8, 3)
    unrest = cells.var(axis=(1, 3)).mean(axis=2)
    chosen = unrest <= np.quantile(unrest, 0.25)
    whole = np.zeros(clean.shape[:2], bool)
    whole[:height, :width] = chosen.repeat(8, 0).repeat(8, 1)
    return whole


def left(noisy: np.ndarray, clean: np.ndarray) -> float:
    """The noise in flat parts."""
    return float((noisy.astype(float) - clean)[flat_parts(clean)].std())


@pytest.mark.parametrize("sigma", [1, 2, 5, 10, 20, 35, 50])
def test_noise_is_measured(clean: np.ndarray, sigma: float) -> None:
    assert estimates.noise(Picture(with_noise(clean, sigma))) == pytest.approx(sigma, rel=0.2)


@pytest.mark.parametrize("sigma", [20, 35, 50])
@pytest.mark.parametrize("level", [0.35, 1.0])
def test_noise_that_white_and_black_cut_off_is_measured(sigma: float, level: float) -> None:
    """Strong noise of a photo that is not lifted reaches black and white nearly everywhere."""
    pixels = np.asarray(Image.open(SCENE).convert("RGB"))
    scene = np.rint(pixels * level).astype(np.uint8)
    assert estimates.noise(Picture(with_noise(scene, sigma))) == pytest.approx(sigma, rel=0.2)


@pytest.mark.parametrize("sigma", [5, 10, 20, 35, 50])
def test_noise_that_jpeg_leaves_is_measured(clean: np.ndarray, sigma: float) -> None:
    noisy = as_jpeg(with_noise(clean, sigma))
    true = left(noisy, as_jpeg(clean))
    assert estimates.noise(Picture(noisy)) == pytest.approx(true, rel=0.2)


@pytest.mark.parametrize("sigma", [2, 4, 10, 20, 50])
def test_noise_that_reducing_leaves_is_measured(clean: np.ndarray, sigma: float) -> None:
    height, width = (side // 2 for side in clean.shape[:2])
    noisy, small = (
        cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA)
        for each in (with_noise(clean, sigma), clean)
    )
    assert estimates.noise(Picture(noisy)) == pytest.approx(left(noisy, small), rel=0.2)


def test_grey_is_measured(clean: np.ndarray) -> None:
    grey = with_noise(clean, 8)[..., 1]
    assert estimates.noise(Picture(grey)) == pytest.approx(8, rel=0.2)


def removed(denoise: Restorer, pixels: np.ndarray) -> float:
    return estimates.removed(denoise, estimates.Places.of(Picture(pixels)))


def test_a_clean_photo_has_little(denoise: Restorer, clean: np.ndarray) -> None:
    assert estimates.noise(Picture(clean)) < 0.6
    assert removed(denoise, clean) < 0.6


def test_what_is_removed_grows(denoise: Restorer, clean: np.ndarray) -> None:
    found = [removed(denoise, with_noise(clean, sigma)) for sigma in (0, 1, 2, 4, 8, 16)]
    assert found == sorted(found)
    # White noise is told from the picture nearly as a whole.
    assert found[-1] == pytest.approx(16 * np.sqrt(np.square(LUMINANCE).sum()), rel=0.15)


def test_texture_in_few_places_does_not_count(denoise: Restorer, clean: np.ndarray) -> None:
    part = clean.copy()
    part[: len(part) // 4] = with_noise(clean, 12)[: len(part) // 4]
    assert removed(denoise, part) < 1.2 * removed(denoise, clean) + 0.2


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 17, 3), (100, 90, 3)])
def test_any_size_has_estimates(denoise: Restorer, shape: tuple[int, ...]) -> None:
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        pixels = np.full(shape, white // 3 if white > 1 else 0.3, dtype)
        assert 0 <= estimates.noise(Picture(pixels)) < 0.1
        assert 0 <= removed(denoise, pixels) < 0.6
        assert 0 <= estimates.blur(Picture(pixels)) <= 1


def test_depths_agree(clean: np.ndarray) -> None:
    noisy = with_noise(clean, 10)
    found = [
        estimates.noise(Picture(each))
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


def test_a_sky_is_not_blurred() -> None:
    sky = np.linspace(60, 200, 400).astype(np.uint8)[:, None, None].repeat(300, 1).repeat(3, 2)
    assert estimates.blur(Picture(sky)) < 0.1
