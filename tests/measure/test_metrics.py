"""PSNR and SSIM against their definitions, written out a second way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirnet_cli.measure import metrics


def _picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _plain_ssim(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Equation 13 of the paper, window by window, of one channel."""
    at = np.arange(11) - 5
    window = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            a, b = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            both = (window * (a - mean_a) * (b - mean_b)).sum()
            values.append(
                (2 * mean_a * mean_b + c1)
                * (2 * both + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
    return float(np.mean(values))


@pytest.mark.parametrize("shape", [(11, 11), (11, 30), (24, 17)])
def test_ssim_is_the_paper_s(shape: tuple[int, int]) -> None:
    x, y = _picture(*shape, 1), _picture(*shape, 2)
    y = (x * 0.7 + y * 0.3).astype(np.uint8)
    plain = np.mean(
        [_plain_ssim(x[..., c].astype(float), y[..., c].astype(float)) for c in range(3)]
    )
    assert metrics.ssim(x, y) == pytest.approx(plain, abs=1e-10)


def test_ssim_is_scikit_image_s() -> None:
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    y = (x * 0.7 + random.integers(0, 256, (40, 50, 3)) * 0.3).astype(np.uint8)
    # structural_similarity with gaussian_weights, sigma 1.5, use_sample_covariance off.
    assert metrics.ssim(x, y) == pytest.approx(0.8847852863555475, abs=1e-12)


def test_bands_do_not_show() -> None:
    x, y = _picture(600, 20, 1), _picture(600, 20, 2)
    y = (x * 0.5 + y * 0.5).astype(np.uint8)
    parts = [metrics.ssim(x[r : r + 11], y[r : r + 11]) for r in range(590)]
    assert metrics.ssim(x, y) == pytest.approx(np.mean(parts), abs=1e-10)
    error = np.mean((x.astype(float) - y) ** 2)
    assert metrics.psnr(x, y) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-10)


def test_psnr_of_one_level_everywhere() -> None:
    x = np.full((5, 7, 3), 100, np.uint8)
    assert metrics.psnr(x, x + 1) == pytest.approx(48.1308036, abs=1e-6)
    assert metrics.psnr(x, x) == math.inf
    assert metrics.ssim(*[np.full((11, 11), 9, np.uint8)] * 2) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(11, 40), width=st.integers(11, 40))
def test_depths_agree(seed: int, height: int, width: int) -> None:
    x, y = _picture(height, width, seed), _picture(height, width, seed + 1)
    for measure in (metrics.psnr, metrics.ssim):
        eight = measure(x, y)
        sixteen = measure(x.astype(np.uint16) * 257, y.astype(np.uint16) * 257)
        floats = measure(x.astype(np.float64) / 255, y.astype(np.float64) / 255)
        assert sixteen == pytest.approx(eight, abs=1e-6)
        assert floats == pytest.approx(eight, abs=1e-6)
        assert measure(y, x) == pytest.approx(eight, abs=1e-9)


def test_ssim_without_room_for_the_window() -> None:
    with pytest.raises(ValueError, match="11 pixels"):
        metrics.ssim(_picture(10, 50), _picture(10, 50))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ"):
        metrics.psnr(_picture(4, 5), _picture(5, 4))
    with pytest.raises(ValueError, match="empty"):
        metrics.psnr(_picture(0, 5), _picture(0, 5))


def test_luma_of_black_white_and_green() -> None:
    pixels = np.array([[[0, 0, 0], [255, 255, 255], [0, 255, 0]]], np.uint8)
    expected = np.array([[16, 235, 16 + 128.553]]) / 255
    np.testing.assert_allclose(metrics.luma(pixels), expected, atol=1e-6)
    np.testing.assert_allclose(metrics.luma(pixels[..., 0])[0, :2] * 255, [16, 235], atol=1e-4)


def test_crop() -> None:
    picture = _picture(9, 11)
    np.testing.assert_array_equal(metrics.crop(picture, 2), picture[2:7, 2:9])
    assert metrics.crop(picture, 0) is picture
    with pytest.raises(ValueError, match="leaves nothing"):
        metrics.crop(picture, 5)
