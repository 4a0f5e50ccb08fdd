"""Tiles back into one picture, with floats held only where neighbours are blended.

Tiles come from left to right, then from top to bottom. What a tile contributes to blends with tiles
that are still to come is kept: one strip beside it, one strip of the picture's width below its row.
Everything else is complete at once and handed out.
"""

from dataclasses import dataclass

import numpy as np

from mirnet_cli.restore.picture import Range
from mirnet_cli.restore.resample import Floats
from mirnet_cli.restore.tiles import Tile, TilePlan


@dataclass(frozen=True)
class Finished:
    """A rectangle to which no further tile will contribute.

    Attributes:
        rows, columns: in the padded picture, at the input's size.
        values: ``(scale * h, scale * w, 3)``.
    """

    rows: Range
    columns: Range
    values: Floats


def _ramp(length: int) -> Floats:
    return ((np.arange(length) + 0.5) / max(length, 1)).astype(np.float32)


class Stitcher:
    """Joins the residuals of a plan's tiles.

    Args:
        plan: the tiles.
        scale: output pixels for each input pixel, along one axis.
    """

    def __init__(self, plan: TilePlan, scale: int) -> None:
        self._plan = plan
        self._scale = scale
        self._down = _ramp(2 * plan.rows.feather * scale)[:, None, None]
        self._across = _ramp(2 * plan.columns.feather * scale)[None, :, None]
        self._beside = np.zeros((1, 1, 1), np.float32)
        self._above = self._below = self._strip()

    def _strip(self) -> Floats:
        width = self._plan.columns.padded * self._scale
        return np.empty((len(self._down), width, 3), np.float32)

    def add(self, tile: Tile, residual: Floats) -> Finished:
        """Take the next tile.

        Args:
            tile: the next of the plan.
            residual: ``(scale * h, scale * w, 3)`` for the whole tile; overwritten.

        Returns:
            What is complete with it.
        """
        s = self._scale
        rows, columns = self._plan.rows, self._plan.columns
        top, bottom = rows.support(tile.row)
        left, right = columns.support(tile.column)
        part = residual[
            (top - tile.rows[0]) * s : (bottom - tile.rows[0]) * s,
            (left - tile.columns[0]) * s : (right - tile.columns[0]) * s,
        ]
        n, m = len(self._down), self._across.shape[1]
        if m and tile.column > 0:
            part[:, :m] *= self._across
            part[:, :m] += self._beside
        if m and tile.column < len(columns) - 1:
            self._beside = part[:, -m:] * (1 - self._across)
            part = part[:, :-m]
            right -= 2 * columns.feather
        if tile.column == 0:
            self._above, self._below = self._below, self._above
        here = slice(left * s, right * s)
        if n and tile.row > 0:
            part[:n] *= self._down
            part[:n] += self._above[:, here]
        if n and tile.row < len(rows) - 1:
            np.multiply(part[-n:], 1 - self._down, out=self._below[:, here])
            part = part[:-n]
            bottom -= 2 * rows.feather
        return Finished((top, bottom), (left, right), part)
