"""A sample of a picture at full scale: patches from all over it, laid side by side.

One run of the network over such a mosaic pools nearly what a run over the whole picture would: all
its vectors belong together, and grain and detail are those of the picture, which a reduced copy has
lost. What a patch sees across its border is another patch; so only its core counts.
"""

import math
from dataclasses import dataclass

import numpy as np

from mirnet_cli.restore.picture import Range
from mirnet_cli.restore.resample import Floats
from mirnet_cli.restore.tiles import round_up

PATCH = 256
"""Side of a patch, in pixels."""

FEWEST, MOST = 3, 4
"""Patches along each side of the mosaic."""

SHARE = 16
"""The mosaic takes one in so many pixels of the picture, unless the bounds above say otherwise."""


@dataclass(frozen=True)
class Sample:
    """Where the patches are.

    Attributes:
        count: of patches along each side of the mosaic.
        side: of a patch.
        halo: what does not count on each side of a patch.
        rows, columns: of the patches, ``count`` each.
    """

    count: int
    side: int
    halo: int
    rows: tuple[Range, ...]
    columns: tuple[Range, ...]

    def mask(self) -> Floats:
        """What counts, ``(count * side, count * side, 1)``."""
        core = np.zeros((self.side, self.side, 1), np.float32)
        core[self.halo : self.side - self.halo, self.halo : self.side - self.halo] = 1
        return np.tile(core, (self.count, self.count, 1))


def sample(height: int, width: int, halo: int, stride: int, limit: int) -> Sample | None:
    """Choose patches, evenly spread.

    Args:
        height, width: of the padded picture, multiples of the stride.
        halo: overlap of tiles.
        stride: of the network.
        limit: pixels that a run may take.

    Returns:
        The sample; None where the whole picture is not much more, and may be taken.
    """
    area = height * width
    longest = max(math.isqrt(limit) // stride, 1) * stride
    side = min(round_up(PATCH, stride), longest, height, width)
    wanted = round(math.sqrt(area / SHARE) / side)
    count = max(min(max(wanted, FEWEST), MOST, longest // side), 1)
    # Of a narrow picture patches are small, and see little but each other.
    if area <= min(2 * (count * max(side, PATCH)) ** 2, limit):
        return None
    rows, columns = (_spread(length, side, count, stride) for length in (height, width))
    return Sample(count, side, min(halo, side // 4), rows, columns)


def _spread(length: int, side: int, count: int, stride: int) -> tuple[Range, ...]:
    free = (length - side) // stride
    starts = [(2 * i + 1) * free // (2 * count) * stride for i in range(count)]
    return tuple((start, start + side) for start in starts)
