"""Tiles against the whole: how far a tiled photo is from the same photo in one piece."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.measure.metrics import psnr
from mirnet_cli.restore.tiles import Axis, TilePlan

Floats = NDArray[np.float32]

AMPLIFIED = 20
"""How many times larger the picture of the difference shows it."""

ENOUGH = 50.0
"""PSNR in dB from which on tiles count as equal to the whole."""

LARGEST = 5.0
"""Largest difference of a value, of 255, that still does."""

STEP = 0.1
"""Largest step at a border beyond its neighbourhood's, of 255, that still does: amplified, two
levels of 255, spread over the width of a blend."""

_STRIP = 4
_LENGTH = 64
_BAND = 256


@dataclass(frozen=True)
class Tiling:
    """How far tiles are from the whole; differences and steps in levels of 255.

    Attributes:
        tile: longer side of the tiles, in pixels of the input.
        tiles: how many.
        psnr: in dB; infinite where nothing differs.
        largest: difference of a value.
        step: at the worst border between tiles, between the means of both sides.
        nearby: the same beside that border, inside of tiles.
    """

    tile: int
    tiles: int
    psnr: float
    largest: float
    step: float
    nearby: float

    @property
    def equal(self) -> bool:
        """Whether the difference is one that nobody sees."""
        return self.psnr >= ENOUGH and self.largest <= LARGEST and self.step - self.nearby <= STEP


def compare(whole: Floats, tiled: Floats, plan: TilePlan) -> Tiling:
    """Compare a tiled result with the one of the uncut picture.

    Args:
        whole, tiled: ``(scale * H, scale * W[, 3])`` float32 in 0..1.
        plan: how the picture was cut, ``H`` by ``W``.
    """
    scale = len(whole) // plan.rows.length
    largest = 0.0
    for start in range(0, len(whole), _BAND):
        band = slice(start, start + _BAND)
        largest = max(largest, float(np.abs(tiled[band] - whole[band]).max()) * 255)
    steps = [
        *_steps(whole, tiled, plan.rows, scale, upright=False),
        *_steps(whole, tiled, plan.columns, scale, upright=True),
    ]
    worst = max(steps, key=lambda pair: pair[0] - pair[1], default=(0.0, 0.0))
    return Tiling(max(plan.tile_shape), len(plan), psnr(whole, tiled), largest, *worst)


def _steps(
    whole: Floats, tiled: Floats, axis: Axis, scale: int, *, upright: bool
) -> Iterable[tuple[float, float]]:
    """For each inner border the step across it, and that beside it."""
    for seam in axis.seams[1:-1]:
        blend = (axis.feather + _STRIP) * scale
        middle = seam * scale
        reach = 2 * blend + _STRIP * scale
        start, end = middle - 2 * reach, middle + 2 * reach
        size = whole.shape[1] if upright else whole.shape[0]
        if start < 0 or end > size:
            continue
        span = slice(start, end)
        part = (slice(None), span) if upright else (span, slice(None))
        # The border upright, in levels; colours count together.
        strip = (tiled[part] - whole[part]).astype(np.float64) * 255
        strip = strip.reshape(*strip.shape[:2], -1).mean(2)
        strip = strip if upright else strip.T
        at = 2 * reach
        beside = (_step(strip, at - reach, blend), _step(strip, at + reach, blend))
        yield _step(strip, at, blend), max(beside)


def _step(strip: NDArray[np.float64], at: int, blend: int) -> float:
    """Mean size of the step between what is left and right of a border, along it."""
    width = max(blend // 2, 1)
    jumps = strip[:, at + blend - width : at + blend].mean(1)
    jumps = jumps - strip[:, at - blend : at - blend + width].mean(1)
    # In pieces, so that noise, which is no step, averages out and steps of both signs do not.
    count = max(len(jumps) // _LENGTH, 1)
    return float(np.mean([abs(piece.mean()) for piece in np.array_split(jumps, count)]))


def amplified(whole: Floats, tiled: Floats) -> bytes:
    """The difference :data:`AMPLIFIED` times as large around mid-grey, as a PNG.

    Args:
        whole, tiled: ``(H, W[, 3])`` float32 in 0..1.
    """
    shown = np.empty(whole.shape, np.uint8)
    for start in range(0, len(whole), _BAND):
        band = slice(start, start + _BAND)
        values = (tiled[band] - whole[band]) * np.float32(AMPLIFIED * 255) + 128
        shown[band] = np.rint(values.clip(0, 255))
    done, data = cv2.imencode(".png", shown[..., ::-1] if shown.ndim == 3 else shown)
    assert done
    return data.tobytes()


def as_floats(pixels: NDArray[Any]) -> Floats:
    """Integers as float32 in 0..1, so that results come back without rounding."""
    if pixels.dtype == np.float32:
        return pixels
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def decibels(value: float) -> float | None:
    """A PSNR as JSON has it: None where it is infinite."""
    return value if math.isfinite(value) else None
