"""How large tiles are: from the picture's size and the memory that may be used, nothing else."""

import math
from dataclasses import dataclass

from mirnet_cli.errors import OutOfMemoryError, UsageError
from mirnet_cli.restore.tiles import round_up
from mirnet_cli.runtime.memory import Need

SMALLEST = 128
"""Smallest automatic tile, and where halving after "out of memory" ends."""


@dataclass(frozen=True)
class Room:
    """Memory for a picture.

    Attributes:
        ceiling: bytes that the process (or device) may take.
        taken: bytes that are taken whatever the tile: process, pictures in and out.
        need: bytes for each pixel that a network sees.
        remedy: what to do where that is too little.
    """

    ceiling: int
    taken: int
    need: Need
    remedy: str = "raise --max-memory, or use --crop"

    @property
    def whole(self) -> int:
        """Largest picture that can stay uncut, in pixels of its area; 0 without any room."""
        return max(self.ceiling - self.taken, 0) // self.need.whole

    @property
    def tile(self) -> int:
        """Largest tile, in pixels of its area; 0 without any room."""
        return max(self.ceiling - self.taken, 0) // self.need.tile


@dataclass(frozen=True)
class Forecast:
    """What a picture will take, known from its size alone.

    Attributes:
        tiles: how many; 1 where it stays in one piece.
        tile: longer side of each in pixels; 0 where it stays in one piece.
        memory: bytes of the process (or device), about, for 8 bits a sample.
        pixels: that the network will see, about, overlaps and further passes included.
    """

    tiles: int
    tile: int
    memory: int
    pixels: int


def automatic_tile(height: int, width: int, stride: int, room: Room) -> int:
    """The tile for a picture: 0 (uncut) where it fits, else the largest useful one that fits.

    Raises:
        OutOfMemoryError: where not even the smallest tile fits.
    """
    if round_up(height, stride) * round_up(width, stride) <= room.whole:
        return 0
    side = min(math.isqrt(room.tile), room.need.largest) // stride * stride
    if side < SMALLEST:
        needed = room.taken + SMALLEST**2 * room.need.tile
        raise OutOfMemoryError(
            f"{width}x{height} pixels need at least {math.ceil(needed / 2**20)} MiB of memory,"
            f" and {room.ceiling // 2**20} MiB are allowed",
            room.remedy,
        )
    return side


def fitting_overlap(tile: int, overlap: int, stride: int) -> int:
    """The default overlap, or less where it would take more than half of a tile."""
    if tile == 0:
        return overlap
    return min(overlap, tile // 4 // stride * stride)


def check_overlap(tile: int, overlap: int, stride: int) -> None:
    """Check an overlap that the user asked for.

    Raises:
        UsageError: where it is negative or leaves no room in a tile.
    """
    if overlap < 0:
        raise UsageError(f"{overlap} pixels", "use 0 or more", subject="--overlap")
    # Half of what a tile has beyond one stride, on the grid.
    most = max(tile // stride - 1, 0) // 2 * stride
    if tile and overlap > most:
        raise UsageError(
            f"{overlap} pixels leave no room in tiles of {tile}",
            f"use {most} or less",
            subject="--overlap",
        )
