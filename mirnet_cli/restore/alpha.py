"""Transparency: kept beside the colours, and kept from leaking into them."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.restore.picture import Picture, store
from mirnet_cli.restore.resample import BICUBIC_REACH, enlarge

_BAND = 256


def without_hidden(pixels: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """The colours with those of fully transparent pixels replaced by the nearest visible one.

    Nobody sees what colour a fully transparent pixel has, often black; a network does, and draws
    edges from it.

    Args:
        pixels: ``(H, W)`` or ``(H, W, 3)``.
        alpha: ``(H, W)``, 0 is transparent.

    Returns:
        A new array, or ``pixels`` itself where nothing, or everything, is transparent.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every visible pixel has a label of its own, which hidden pixels share with the nearest.
    colours = np.zeros((int(labels.max()) + 1, *pixels.shape[2:]), pixels.dtype)
    colours[labels[~hidden]] = pixels[~hidden]
    filled = pixels.copy()
    filled[hidden] = colours[labels[hidden]]
    return filled


def enlarged_alpha(alpha: NDArray[Any], scale: int, out: NDArray[Any]) -> None:
    """Enlarge transparency bicubically, band by band.

    Args:
        alpha: ``(H, W)``.
        scale: a whole factor.
        out: ``(scale * H, scale * W)``, of the same type; filled.
    """
    picture = Picture(alpha)
    columns = (-BICUBIC_REACH, picture.width + BICUBIC_REACH)
    for start in range(0, picture.height, _BAND):
        end = min(start + _BAND, picture.height)
        band = picture.clamped((start - BICUBIC_REACH, end + BICUBIC_REACH), columns)
        values = enlarge(np.ascontiguousarray(band[..., 0]), scale)
        store(np.clip(values, 0, 1), out[start * scale : end * scale])
