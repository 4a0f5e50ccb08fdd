"""The tile plan: which rectangles of a picture a network sees, and which part of each is kept.

Pure integers. A picture is padded once, at the right and the bottom, to the network's stride. Along
each axis it is covered by tiles of one size, evenly spread, with origins on the stride's grid, the
last one ending at the padded border. Neighbours share at least twice the overlap; the seam between
them lies in the middle of what they share, again on the grid. The *core* of a tile is what lies
between its seams: cores cover the padded picture exactly once, so pooled sums over cores are sums
over the picture, and every pixel of a core has at least ``overlap`` pixels of its tile between
itself and any border that the picture does not have.

Around each seam the two tiles are blended over ``2 * feather`` pixels. A blended pixel has
``overlap - feather`` pixels of tile around it, at least.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise


def round_up(value: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not less than ``value``."""
    return -(-value // step) * step


@dataclass(frozen=True)
class Axis:
    """One axis of a plan, in pixels.

    Attributes:
        length: of the picture.
        padded: of the picture padded to the stride.
        size: of every tile.
        origins: of the tiles, ascending.
        seams: borders of the cores, from 0 to ``padded``; one more than there are tiles.
        feather: half the width of the blend around each inner seam.
    """

    length: int
    padded: int
    size: int
    origins: tuple[int, ...]
    seams: tuple[int, ...]
    feather: int

    def __len__(self) -> int:
        return len(self.origins)

    def core(self, index: int) -> tuple[int, int]:
        """Start and end of a tile's core, in the padded picture."""
        return self.seams[index], self.seams[index + 1]

    def support(self, index: int) -> tuple[int, int]:
        """Start and end of the part of a tile that reaches the result: its core and its blends."""
        start, end = self.core(index)
        if index > 0:
            start -= self.feather
        if index < len(self) - 1:
            end += self.feather
        return start, end


@dataclass(frozen=True)
class Tile:
    """One tile: half-open ranges in the padded picture, each ``(start, end)``.

    Attributes:
        row, column: its place among the tiles.
        rows, columns: the rectangle that the network sees.
        core_rows, core_columns: what counts for pooling.
    """

    row: int
    column: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    core_rows: tuple[int, int]
    core_columns: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]


@dataclass(frozen=True)
class TilePlan:
    """How a picture is cut; see the module's text."""

    rows: Axis
    columns: Axis
    stride: int
    overlap: int

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    @property
    def whole(self) -> bool:
        """Whether one tile is the picture."""
        return len(self) == 1

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of every tile."""
        return self.rows.size, self.columns.size

    def __iter__(self) -> Iterator[Tile]:
        """Tiles from left to right, then from top to bottom."""
        for row, top in enumerate(self.rows.origins):
            for column, left in enumerate(self.columns.origins):
                yield Tile(
                    row,
                    column,
                    (top, top + self.rows.size),
                    (left, left + self.columns.size),
                    self.rows.core(row),
                    self.columns.core(column),
                )


def plan(
    height: int,
    width: int,
    tile: int,
    overlap: int,
    stride: int,
    *,
    feather: int | None = None,
    fixed: tuple[int, int] | None = None,
) -> TilePlan:
    """Plan the tiles of a picture.

    Args:
        height, width: of the picture, in pixels, at least 1.
        tile: the largest side of a tile, rounded down to the stride (but at least one stride); 0
            makes one tile of the whole picture. Tiles are smaller where fewer pixels then need to
            be computed twice; all tiles of one plan have the same size.
        overlap: what a tile sees beyond its core on each inner side, rounded up to the stride.
        stride: the sides and origins of tiles are multiples of it.
        feather: half the width of the blend around a seam, at most ``overlap``; a quarter of the
            overlap by default, so that blended pixels keep three quarters of it around them.
            Narrow cores narrow it.
        fixed: height and width of every tile, whatever ``tile`` says; smaller pictures are padded.

    Raises:
        ValueError: for a picture without pixels, or an overlap that leaves no room in a tile.
    """
    if height < 1 or width < 1 or stride < 1 or tile < 0 or overlap < 0:
        raise ValueError("sizes must be positive")
    overlap = round_up(overlap, stride)
    half_blend = overlap // 4 if feather is None else min(feather, overlap)
    side = max(tile // stride, 1) * stride
    if fixed is not None:
        rows, columns = (
            _axis(max(length, each), each, overlap, stride, half_blend, fixed=True)
            for length, each in zip((height, width), fixed, strict=True)
        )
        rows, columns = replace(rows, length=height), replace(columns, length=width)
        return TilePlan(rows, columns, stride, overlap)
    rows, columns = (
        _axis(length, side if tile else round_up(length, stride), overlap, stride, half_blend)
        for length in (height, width)
    )
    return TilePlan(rows, columns, stride, overlap)


def _axis(
    length: int, tile: int, overlap: int, stride: int, feather: int, *, fixed: bool = False
) -> Axis:
    padded = round_up(length, stride)
    if padded <= tile:
        return Axis(length, padded, padded, (0,), (0, padded), 0)
    if tile - 2 * overlap < stride:
        raise ValueError(f"an overlap of {overlap} leaves no room in tiles of {tile}")
    count = -(-(padded - 2 * overlap) // (tile - 2 * overlap))
    size = tile if fixed else round_up(-(-(padded + (count - 1) * 2 * overlap) // count), stride)
    # In units of the stride, so that rounding down keeps every origin on the grid. Neighbours then
    # still share 2 * overlap: the average step is at most size - 2 * overlap, which is on the grid.
    free = (padded - size) // stride
    origins = tuple(i * free // (count - 1) * stride for i in range(count))
    inner = [
        right + (left + size - right) // (2 * stride) * stride for left, right in pairwise(origins)
    ]
    seams = (0, *inner, padded)
    narrowest = min(end - start for start, end in pairwise(seams))
    return Axis(length, padded, size, origins, seams, min(feather, narrowest // 2))
