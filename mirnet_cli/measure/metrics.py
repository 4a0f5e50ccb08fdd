"""PSNR and SSIM of 8-bit scale, each defined to the last choice.

Neither number means anything without its implementation: the same pictures give SSIM values that
differ in the second digit between programs. The texts :data:`PSNR_NAME` and :func:`ssim_name` say
which this is, and go wherever the numbers go.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.generic]

PSNR_NAME = "peak 255, mean squared error over all pixels and channels"

_K1, _K2, _PEAK = 0.01, 0.03, 255.0
WINDOW, _SIGMA = 11, 1.5
_BAND = 256


def ssim_name(luma: bool = False) -> str:
    """The SSIM implementation in words."""
    channels = "of luma" if luma else "per RGB channel then mean"
    return f"Wang 2004, Gaussian 11x11 sigma 1.5, {channels}, valid area"


def psnr_name(luma: bool = False) -> str:
    """The PSNR implementation in words."""
    return "peak 255, of luma (BT.601, 16 to 235)" if luma else PSNR_NAME


def psnr(first: Picture, second: Picture) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures.

    Args:
        first, second: of one shape, ``(H, W)`` or ``(H, W, C)``, uint8, uint16 (scaled to 8 bits,
            not rounded) or floats in 0..1.

    Raises:
        ValueError: for shapes that differ.
    """
    first, second = _same_shape(first, second)
    total = 0.0
    for band in _bands(first.shape[0]):
        difference = _eight_bit(first[band]) - _eight_bit(second[band])
        total += float(np.vdot(difference, difference))
    if total == 0:
        return math.inf
    return 10 * math.log10(_PEAK**2 * first.size / total)


def ssim(first: Picture, second: Picture) -> float:
    """Mean structural similarity, 1 for equal pictures.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13 (2004), equation 13 with the Gaussian window of section III-C,
    K1 = 0.01, K2 = 0.03, weighted moments as they are (no sample correction), no downsampling. Only
    windows that lie wholly inside the picture count; channels count alike.

    Args:
        first, second: as for :func:`psnr`, at least 11 pixels on each side.

    Raises:
        ValueError: for shapes that differ or pictures smaller than the window.
    """
    first, second = _same_shape(first, second)
    height, width = first.shape[:2]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs {WINDOW} pixels on each side, not {width}x{height}")
    total = 0.0
    margin = WINDOW - 1
    for band in _bands(height - margin):
        # Windows that begin in this band reach beyond its end.
        rows = slice(band.start, min(band.stop, height - margin) + margin)
        total += _ssim_sum(_eight_bit(first[rows]), _eight_bit(second[rows]))
    return total / float((height - margin) * (width - margin) * _channels(first))


def luma(picture: Picture) -> NDArray[np.float32]:
    """Luma of BT.601 in studio range as floats, so that 8-bit scale gives 16 to 235.

    The channel on which papers on super-resolution measure (Y of MATLAB's ``rgb2ycbcr``, not
    rounded).

    Args:
        picture: ``(H, W, 3)`` RGB or ``(H, W)`` grey; as for :func:`psnr`.

    Returns:
        ``(H, W)`` floats in 0..1.
    """
    values = _eight_bit(picture)
    weights = np.array([65.481, 128.553, 24.966])
    scaled = values @ weights if values.ndim == 3 else values * weights.sum()
    result: NDArray[np.float32] = ((scaled / _PEAK + 16) / _PEAK).astype(np.float32)
    return result


def crop(picture: Picture, border: int) -> Picture:
    """The picture without ``border`` pixels on each side.

    Raises:
        ValueError: where nothing would be left.
    """
    if border == 0:
        return picture
    height, width = picture.shape[:2]
    if border < 0 or min(height, width) <= 2 * border:
        raise ValueError(f"a border of {border} pixels leaves nothing of {width}x{height}")
    return picture[border:-border, border:-border]


def _same_shape(first: Picture, second: Picture) -> tuple[Picture, Picture]:
    if first.shape != second.shape:
        raise ValueError(f"the shapes {first.shape} and {second.shape} differ")
    if 0 in first.shape:
        raise ValueError("the pictures are empty")
    return first, second


def _channels(picture: Picture) -> int:
    return 1 if picture.ndim == 2 else picture.shape[2]


def _bands(height: int) -> list[slice]:
    """Rows in parts, so that memory does not grow with the picture."""
    return [slice(top, top + _BAND) for top in range(0, height, _BAND)]


def _eight_bit(values: Picture) -> NDArray[np.float64]:
    if values.dtype == np.uint8:
        scale = 1.0
    elif values.dtype == np.uint16:
        scale = 1 / 257
    elif np.issubdtype(values.dtype, np.floating):
        scale = _PEAK
    else:
        raise ValueError(f"pixels of type {values.dtype} have no 8-bit scale")
    return values.astype(np.float64) * scale


def _ssim_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """SSIM summed over all windows and channels of a band."""
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float((numerator / denominator).sum())


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian means over the windows that lie inside ``values``."""
    kernel = cv2.getGaussianKernel(WINDOW, _SIGMA, cv2.CV_64F)
    reach = WINDOW // 2
    blurred: NDArray[Any] = cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel)
    return blurred[reach:-reach, reach:-reach]
