"""What a photo is like, before anything is done to it: how much noise, light and blur it has.

Each estimate is a number that grows without steps with what it measures, so that strengths can
follow from it without cliffs. They cost little: noise is looked at in a few flat places, light in a
thumbnail, blur in a reduced copy.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.restore.options import StepOptions
from mirnet_cli.restore.picture import PEAKS, Picture
from mirnet_cli.restore.resample import Floats

if TYPE_CHECKING:
    from mirnet_cli.restore.restorer import Restorer

_PATCH, _HALO = 96, 16
"""Side of a place that is looked at, and what does not count on each side of it, in pixels."""
_ROWS, _COLUMNS = 3, 4
"""Places in the mosaic that the network is shown."""
_GRID = 24
"""Candidates along each side of the picture."""
_BLOCK = 16

_REMOVED = (0.0, 0.50, 1.0, 1.6, 4.5, 9.1, 17.8, 31.0, 43.0, 80.0)
_SIGMA = (0.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 35.0, 50.0, 96.0)
"""What ``denoise`` removes of white noise, and the noise: measured on 23 photos kept apart."""


@dataclass(frozen=True)
class Estimates:
    """What a photo is like.

    Attributes:
        noise: standard deviation in flat parts, of 255, after gamma.
        light: stops of light that it asks for, 0 to 5.
        blur: 0 is sharp and 1 is blurred.
    """

    noise: float
    light: float
    blur: float

    @property
    def iso(self) -> int:
        """The ISO at which a camera of recent years with a large sensor has about such noise.

        Shot noise grows with the root of the ISO; at ISO 6400 about 4.5 of 255 is usual.
        """
        exact = 6400 * (self.noise / 4.5) ** 2
        return int(100 * 2 ** max(0, min(10, round(np.log2(max(exact, 1) / 100)))))


def noise(denoise: "Restorer", picture: Picture) -> float:
    """The standard deviation of a picture's noise in its flattest places, of 255.

    A denoising network is shown these places side by side, and what it removes is measured: texture
    and grain that it knows for detail do not count, blotches and remains of JPEG do. What a given
    noise makes it remove was measured with white noise (:data:`_SIGMA`).

    Finding flat places is that of Liu, Freeman, Szeliski and Kang, "Noise estimation from a single
    image" (CVPR 2006): the lowest variances are those of noise alone.

    Args:
        denoise: with the weights that the measure was made with, or others of the kind.
        picture: of any size.

    Returns:
        0 to 96. Places that are all but black or white are left out where there are others.
    """
    mosaic, side = _flat(picture)
    made, _ = denoise.array(mosaic, StepOptions(), clip=True)
    removed = (mosaic - made) * 255
    halo = min(_HALO, side // 6)
    parts = removed.reshape(_ROWS, side, _COLUMNS, side, 3)[:, halo:-halo, :, halo:-halo]
    variances = parts.var(axis=(1, 3)).mean(axis=2)
    return float(np.interp(np.sqrt(np.median(variances)), _REMOVED, _SIGMA))


def _flat(picture: Picture) -> tuple[Floats, int]:
    """The flattest places of a picture, side by side, and the side of one."""
    height, width = picture.height, picture.width
    side = min(_PATCH, height, width) // 2 * 2
    if side < _BLOCK:
        picture = picture.mirrored(_BLOCK)
        height, width, side = picture.height, picture.width, _BLOCK
    found = []
    for top in _places(height, side):
        for left in _places(width, side):
            part = picture.pixels[top : top + side : 2, left : left + side : 2]
            green = part if part.ndim == 2 else part[..., 1]
            found.append((_unrest(green), top, left))
    found.sort()
    wanted = _ROWS * _COLUMNS
    chosen = [found[n % len(found)] for n in range(wanted)]
    tiles = [
        picture.read(np.arange(top, top + side), np.arange(left, left + side))
        for _, top, left in chosen
    ]
    rows = [np.hstack(tiles[n : n + _COLUMNS]) for n in range(0, wanted, _COLUMNS)]
    return np.vstack(rows), side


def _places(length: int, side: int) -> NDArray[np.int64]:
    count = min(_GRID, max(1, 2 * (length - side) // side + 1))
    return np.linspace(0, length - side, count).astype(np.int64)


def _unrest(green: NDArray[np.generic]) -> float:
    """How much a place changes within blocks, slopes aside; more than all where it is clipped."""
    values = green.astype(np.float32) / np.float32(PEAKS[green.dtype.name])
    smooth = cv2.boxFilter(values, -1, (5, 5))
    clipped = float(((values < 0.008) | (values > 0.992)).mean())
    unrest = float(np.median(np.abs(values - smooth)))
    return unrest + clipped / 2


def blur(picture: Picture) -> float:
    """How blurred a picture is, 0 to 1, by how little it changes when it is blurred again.

    Crete, Dolmiere, Ladret and Nicolas, "The blur effect: perception and estimation with a new
    no-reference perceptual blur metric" (SPIE 6492, 2007), on the middle of the picture.
    """
    side = 512
    height, width = picture.height, picture.width
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    part = picture.read(
        np.arange(top, min(height, top + side)), np.arange(left, min(width, left + side))
    )
    grey = np.ascontiguousarray(part.mean(axis=2))
    worst = 0.0
    for axis, size in ((0, (1, 9)), (1, (9, 1))):
        again = cv2.blur(grey, size)
        before, after = np.abs(np.diff(grey, axis=axis)), np.abs(np.diff(again, axis=axis))
        lost = np.maximum(before - after, 0).sum()
        worst = max(worst, 1 - float(lost) / max(float(before.sum()), 1e-6))
    return worst
