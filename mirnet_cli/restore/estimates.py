"""What a photo is like, before anything is done to it: how much noise, light and blur it has.

Each estimate is a number that grows without steps with what it measures, so that strengths can
follow from it without cliffs. They cost little: noise is looked at in a few flat places, light in a
thumbnail, blur in a reduced copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import ResultError
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

_CELL = 8
"""Side of the blocks that noise is measured in; JPEG's."""
_ALONG = 96
"""Blocks along each side of the picture."""
_FLATTEST = 0.05
_SMALLEST = {3: 0.93, 1: 0.87}
"""What the flattest twentieth of blocks has of white noise, by the number of channels."""
_KEPT = 0.65, 0.85
"""Fine detail over all detail in the flattest blocks: below, coding took the noise's away."""
_LEAST = (0.0, 0.3, 0.9, 1.45, 2.39, 3.91, 7.63, 11.8, 23.4, 33.0, 255.0)
_LEFT = (0.0, 0.3, 1.9, 2.6, 3.59, 5.59, 9.71, 14.0, 24.2, 33.0, 255.0)
"""What the flattest blocks have of noise after JPEG, and flat parts: measured at quality 75."""
_EDGES = 1.0, 3.0
"""Change from pixel to pixel, of 255, of which edges have more."""
_CLIPPED = 1.5 / 255
_CUT = 0.25
"""Values this near to black or white are clipped, and the share of a block's that may be."""
_DARK = 30, 50
"""Luminance, of 255, that is dark as a whole, and from which on nothing is."""
_APART, _LEAST_APART = 2.0, 10
_ROUNDS, _ENOUGH = 3, 0.25
"""Times the noise that a block is from black and white, how often that is looked at, and the share
of the blocks that has to be."""
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Estimates:
    """What a photo is like.

    Attributes:
        noise: standard deviation in flat parts, of 255, after gamma.
        removed: what ``denoise`` takes from the light and shade of a usual place, of 255.
        light: stops of light that it asks for, 0 to 5.
        blur: 0 is sharp and 1 is blurred.
        sharpened: how much ``upscale`` to the same size changes a place at most, of 255; 0 where
            that was not looked at.
        shade: share of it that is dark, 0 to 1.
        speed: the ISO that it was shot at, by its EXIF; None where that is not said.
    """

    noise: float
    removed: float
    light: float
    blur: float
    sharpened: float = 0.0
    shade: float = 0.0
    speed: int | None = None

    @property
    def iso(self) -> int:
        """The ISO at which a camera of recent years with a large sensor has about such noise.

        Shot noise grows with the root of the ISO; at ISO 6400 about 4.5 of 255 is usual.
        """
        exact = 6400 * (self.noise / 4.5) ** 2
        return int(100 * 2 ** max(0, min(10, round(np.log2(max(exact, 1) / 100)))))


def noise(picture: Picture) -> float:
    """The standard deviation of a picture's noise in its flat parts, of 255.

    Blocks of eight pixels all over the picture are freed of what a quadratic surface explains; the
    flattest twentieth has noise alone (Liu, Freeman, Szeliski and Kang, "Noise estimation from a
    single image", CVPR 2006: the lowest variances are those of noise), and of it the finest detail
    has least of the picture (Ponomarenko, Lukin, Zriakhov, Kaarna and Astola, "An automatic
    approach to lossy compression of AVIRIS images", IGARSS 2007: the DCT's high frequencies of such
    blocks). Where that is missing, JPEG took it: what is left then is known by the rest.

    Args:
        picture: of any size.

    Returns:
        0 to 255, as if nothing of it were clipped. Blocks that are largely black or white are left
        out where there are others.
    """
    blocks = _blocks(picture)
    total = len(blocks)
    clipped = ((blocks < _CLIPPED) | (blocks > 1 - _CLIPPED)).mean(axis=2)
    within = clipped.max(axis=1) <= _CUT
    if within.sum() >= _ALONG:
        blocks, clipped = blocks[within], clipped[within]
    rest = blocks * np.float32(255)
    rest -= (rest @ _SMOOTH) @ _SMOOTH.T
    rest /= np.sqrt(np.interp(clipped, *_UNCUT))[..., None].astype(np.float32)
    channels = rest.shape[1]
    variances = np.square(rest).sum(axis=(1, 2)) / (channels * (_CELL**2 - _SMOOTH.shape[1]))
    means = blocks.mean(axis=2) * 255
    room = np.minimum(means, 255 - means).min(axis=1)
    found = _level(rest, variances)
    for _ in range(_ROUNDS):
        # Of what was reduced or coded afterwards, what was clipped can no longer be seen.
        chosen = room >= max(_APART * found, _LEAST_APART)
        if chosen.sum() < _ENOUGH * total:
            break
        found = _level(rest[chosen], variances[chosen])
    return found


def _level(rest: Floats, variances: Floats) -> float:
    """The noise of blocks ``(N, C, 64)``, of 255, that are free of their surfaces."""
    channels = rest.shape[1]
    order = np.argsort(variances, kind="stable")
    flattest = order[: max(len(order) // 10, 1)]
    fine = float(np.sqrt(np.square(rest[flattest] @ _FINE).mean()))
    least = float(np.sqrt(variances[order[int(_FLATTEST * (len(order) - 1))]]))
    least, fine = least / _SMALLEST[channels], fine / _SMALLEST[channels]
    coded = float(np.interp(least, _LEAST, _LEFT))
    white = _ramp(fine / max(least, 1e-6), _KEPT)
    return white * min(fine, least) + (1 - white) * coded


def _blocks(picture: Picture) -> Floats:
    """``(N, C, 64)`` in 0..1: blocks evenly spaced all over a picture; one channel of grey."""
    if min(picture.height, picture.width) < _CELL:
        picture = picture.mirrored(_CELL)
    rows, columns = (
        np.unique(np.linspace(0, side // _CELL - 1, min(side // _CELL, _ALONG)).astype(np.int64))
        for side in (picture.height, picture.width)
    )
    lines, places = ((each[:, None] * _CELL + np.arange(_CELL)).ravel() for each in (rows, columns))
    pixels = picture.read(lines, places)[..., : 1 if picture.grey else 3]
    cells = pixels.reshape(len(rows), _CELL, len(columns), _CELL, -1)
    made: Floats = cells.transpose(0, 2, 4, 1, 3).reshape(-1, cells.shape[-1], _CELL**2)
    return made


def _surfaces() -> Floats:
    """``(64, 6)``: orthonormal quadratic surfaces on a block."""
    y, x = (each.ravel() / _CELL for each in np.mgrid[:_CELL, :_CELL])
    made, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1))
    return made.astype(np.float32)


def _uncut() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of white noise that are cut off on one side, and what is left of its variance."""
    normal = NormalDist()
    found = [(0.0, 1.0)]
    for share in np.linspace(0.002, 0.5, 250):
        at = normal.inv_cdf(share)
        mean = normal.pdf(at) + at * share
        square = at * at * share + (1 - share) + at * normal.pdf(at)
        found.append((float(share), square - mean**2))
    shares, left = np.array(found).T
    return shares, left


def _finest() -> Floats:
    """``(64, 21)``: the DCT's functions on a block whose frequencies sum to nine or more."""
    k = np.arange(_CELL)
    waves = np.cos(np.pi * (2 * k + 1) * k[:, None] / (2 * _CELL)) * np.sqrt(2 / _CELL)
    waves[0] /= np.sqrt(2)
    chosen = [np.outer(waves[u], waves[v]).ravel() for u in k for v in k if u + v > _CELL]
    return np.stack(chosen, axis=1).astype(np.float32)


_SMOOTH, _FINE, _UNCUT = _surfaces(), _finest(), _uncut()


def _ramp(value: float, bounds: tuple[float, float]) -> float:
    return min(max((value - bounds[0]) / (bounds[1] - bounds[0]), 0.0), 1.0)


@dataclass(frozen=True)
class Places:
    """Places of a picture, the flattest first.

    Attributes:
        picture: whose they are.
        side: of one, in pixels.
        corners: top and left of each.
    """

    picture: Picture
    side: int
    corners: list[tuple[int, int]]

    @classmethod
    def of(cls, picture: Picture) -> "Places":
        """Places all over a picture, of any size."""
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
                found.append((_unrest(green), int(top), int(left)))
        found.sort()
        return cls(picture, side, [(top, left) for _, top, left in found])

    def shown(self, wanted: Sequence[int]) -> list[Floats]:
        """``(side, side, 3)`` in 0..1 of each of those wanted, by their rank."""
        span = np.arange(self.side)
        return [
            self.picture.read(top + span, left + span)
            for top, left in (self.corners[n % len(self.corners)] for n in wanted)
        ]


def removed(denoise: "Restorer", places: Places) -> float:
    """What ``denoise`` takes from the light and shade of a picture's usual places, of 255.

    The network is shown twelve places side by side, from the flattest to the least flat, and the
    median counts: noise is everywhere, while texture and grain that are taken for noise are in few.
    Colours are left aside, which pictures without noise lose more of than light and shade.
    """
    return float(np.median(_changed(denoise, places)))


def sharpened(upscale: "Restorer", places: Places) -> float:
    """How much ``upscale`` to the same size changes a place at most, of 255.

    What is blurred changes by some levels; by far more where a network makes things up, as it may
    of a regular pattern.
    """
    return float(_changed(upscale, places).max())


def _changed(step: "Restorer", places: Places) -> Floats:
    """Standard deviation, of 255, of what a network changes of the luminance of twelve places."""
    count = _ROWS * _COLUMNS
    ranks = [(2 * n + 1) * len(places.corners) // (2 * count) for n in range(count)]
    tiles, side = places.shown(ranks), places.side
    mosaic = np.vstack([np.hstack(tiles[n : n + _COLUMNS]) for n in range(0, count, _COLUMNS)])
    try:
        made, _ = step.array(mosaic, StepOptions(), clip=True)
    except ResultError:
        return np.full(count, 255, np.float32)
    changed = ((mosaic - made) * 255) @ _LUMINANCE
    halo = min(_HALO, side // 6)
    parts = changed.reshape(_ROWS, side, _COLUMNS, side)[:, halo:-halo, :, halo:-halo]
    found: Floats = parts.std(axis=(1, 3)).ravel()
    return found


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


def shade(picture: Picture) -> float:
    """The share of a picture that is dark, 0 to 1, on a grid of some thousand pixels.

    Dark is a luminance (Rec. 601, after gamma) below 30 of 255; up to 50 a pixel counts in part.
    """
    rows, columns = (
        np.linspace(0, side - 1, min(side, _ALONG)).astype(np.int64)
        for side in (picture.height, picture.width)
    )
    levels = picture.read(rows, columns)[..., :3] @ _LUMINANCE * 255
    return float(np.clip((_DARK[1] - levels) / (_DARK[1] - _DARK[0]), 0, 1).mean())


def blur(picture: Picture) -> float:
    """How blurred a picture is, 0 to 1, by how little it changes when it is blurred again.

    Crete, Dolmiere, Ladret and Nicolas, "The blur effect: perception and estimation with a new
    no-reference perceptual blur metric" (SPIE 6492, 2007), on the middle of the picture. Where that
    has no edges, as in a sky, nothing is known to be blurred.
    """
    side = 512
    height, width = picture.height, picture.width
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    part = picture.read(
        np.arange(top, min(height, top + side)), np.arange(left, min(width, left + side))
    )
    grey = np.ascontiguousarray(part.mean(axis=2))
    worst = steepest = 0.0
    for axis, size in ((0, (1, 9)), (1, (9, 1))):
        again = cv2.blur(grey, size)
        before, after = np.abs(np.diff(grey, axis=axis)), np.abs(np.diff(again, axis=axis))
        if before.size:
            steepest = max(steepest, float(np.quantile(before, 0.99)) * 255)
        lost = np.maximum(before - after, 0).sum()
        worst = max(worst, 1 - float(lost) / max(float(before.sum()), 1e-6))
    return worst * _ramp(steepest, _EDGES)
