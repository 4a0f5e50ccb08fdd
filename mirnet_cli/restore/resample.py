"""Resampling that gives the same numbers for a part as for the whole.

Everything here is a sum of elementwise float32 products in a fixed order, so a rectangle computed
on its own equals the same rectangle of the whole result bit for bit. Coordinates have half-pixel
centres: output pixel ``i`` of an axis enlarged ``s`` times lies at ``(i + 0.5) / s - 0.5``.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BICUBIC_REACH = 2
"""Input pixels that an enlarged pixel depends on, on each side."""


def keys_kernel(distance: float, a: float = -0.5) -> float:
    """The cubic convolution kernel (Keys, IEEE TASSP 1981, section V, any ``a``)."""
    d = abs(distance)
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    if d < 2:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return 0.0


def bicubic_phases(scale: int) -> list[tuple[int, tuple[float, float, float, float]]]:
    """First tap and four weights for each of the ``scale`` output pixels of an input pixel."""
    phases = []
    for phase in range(scale):
        at = (phase + 0.5) / scale - 0.5
        first = int(np.floor(at)) - 1
        weights = [keys_kernel(at - (first + k)) for k in range(4)]
        phases.append((first, (weights[0], weights[1], weights[2], weights[3])))
    return phases


def enlarge(x: Floats, scale: int) -> Floats:
    """Enlarge by a whole factor with bicubic interpolation (Keys, a = -0.5), without clipping.

    Args:
        x: ``(h + 4, w + 4)`` or ``(h + 4, w + 4, C)``: the rectangle with a margin of
            :data:`BICUBIC_REACH` pixels on every side (the edge repeated where the picture ends).
        scale: 1 or more; 1 returns the rectangle itself.

    Returns:
        ``(scale * h, scale * w[, C])``.
    """
    if scale == 1:
        return x[2:-2, 2:-2]
    return _enlarge_axis(_enlarge_axis(x, scale, 0), scale, 1)


def _enlarge_axis(x: Floats, scale: int, axis: int) -> Floats:
    length = x.shape[axis] - 2 * BICUBIC_REACH
    shape = list(x.shape)
    shape[axis] = length * scale
    out = np.empty(shape, np.float32)
    lead = (slice(None),) * axis
    # Summed where neighbours lie beside each other, which in the result they do not.
    total = np.empty(x[(*lead, slice(0, length))].shape, np.float32)
    product = np.empty_like(total)
    for phase, (first, weights) in enumerate(bicubic_phases(scale)):
        for k, weight in enumerate(weights):
            start = BICUBIC_REACH + first + k
            taps = x[(*lead, slice(start, start + length))]
            if k == 0:
                np.multiply(taps, np.float32(weight), out=total)
            else:
                np.multiply(taps, np.float32(weight), out=product)
                total += product
        out[(*lead, slice(phase, None, scale))] = total
    return out


def bilinear_taps(positions: NDArray[np.int64], length: int, small: int) -> tuple[Any, Any, Floats]:
    """Where pixels of an axis of ``length`` lie on the same axis reduced to ``small`` pixels.

    Returns:
        ``(before, after, weight of after)`` for each position; half-pixel centres, edges repeated.
    """
    at = np.clip((positions + 0.5) * (small / length) - 0.5, 0, small - 1)
    before = np.floor(at).astype(np.int64)
    after = np.minimum(before + 1, small - 1)
    return before, after, (at - before).astype(np.float32)


def bilinear_at(
    grid: Floats,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    height: int,
    width: int,
) -> Floats:
    """Values of a small grid at pixels of the large picture it stands for.

    Args:
        grid: ``(h, w, C)``.
        rows, columns: pixel coordinates in the large picture.
        height, width: of the large picture.

    Returns:
        ``(len(rows), len(columns), C)``.
    """
    top, bottom, down = bilinear_taps(rows, height, grid.shape[0])
    left, right, across = bilinear_taps(columns, width, grid.shape[1])
    # Across first, on the few grid rows in reach, then down.
    first, last = int(top.min()), int(bottom.max()) + 1
    part = grid[first:last]
    w = across[None, :, None]
    lines = part[:, left] * (1 - w) + part[:, right] * w
    w = down[:, None, None]
    out: Floats = lines[top - first] * (1 - w)
    out += lines[bottom - first] * w
    return out


def reduced_shape(height: int, width: int, side: int) -> tuple[int, int]:
    """The size at which the longer side is at most ``side``; smaller pictures keep theirs."""
    longer = max(height, width)
    if longer <= side:
        return height, width
    return max(round(height * side / longer), 1), max(round(width * side / longer), 1)


def area_columns(lines: Floats, width: int) -> Floats:
    """``(h, w, 3)`` reduced to ``(h, width, 3)``: means over what a pixel covers."""
    if lines.shape[1] == width:
        return lines
    return _area(lines, (width, lines.shape[0]))


def area_rows(lines: Floats, height: int) -> Floats:
    """``(h, w, 3)`` reduced to ``(height, w, 3)``: means over what a pixel covers."""
    if lines.shape[0] == height:
        return lines
    return _area(lines, (lines.shape[1], height))


def _area(lines: Floats, size: tuple[int, int]) -> Floats:
    reduced: Floats = cv2.resize(
        np.ascontiguousarray(lines), size, interpolation=cv2.INTER_AREA
    ).reshape(size[1], size[0], lines.shape[2])
    return reduced
