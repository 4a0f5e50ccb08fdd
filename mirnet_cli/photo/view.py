"""How one picture came from another: turned, cut, made larger; and where a point is then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class View:
    """How one picture came from another: turned, then cut, then made larger.

    Attributes:
        width, height: of the first, in pixels.
        turn: the orientation that was applied, 1 to 8.
        crop: x, y, width and height of what is left, in pixels of the turned picture; None is all.
        scale: how much larger it is then.
    """

    width: int
    height: int
    turn: int = 1
    crop: tuple[int, int, int, int] | None = None
    scale: float = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the second picture, in pixels."""
        width, height = self._turned if self.crop is None else self.crop[2:]
        return round(width * self.scale), round(height * self.scale)

    @property
    def _turned(self) -> tuple[int, int]:
        return (self.height, self.width) if self.turn >= 5 else (self.width, self.height)

    def box(
        self, x: float, y: float, w: float, h: float
    ) -> tuple[float, float, float, float] | None:
        """A box in the second picture: its centre and sides, as shares of the picture's sides.

        Args:
            x, y, w, h: the same in the first picture; a point has sides of 0.

        Returns:
            None where it was cut off. What reaches beyond a cut ends there.
        """
        x, y = replace(self, crop=None).point(x, y)
        if self.turn >= 5:
            w, h = h, w
        if self.crop is None:
            return x, y, w, h
        left, top, width, height = self.crop
        across = _cut(x, w, self._turned[0], left, width)
        down = _cut(y, h, self._turned[1], top, height)
        return None if across is None or down is None else (across[0], down[0], across[1], down[1])

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point in the second picture, beyond it too; both as shares of the picture's sides."""
        turned = (
            *((x, y), (1 - x, y), (1 - x, 1 - y), (x, 1 - y)),
            *((y, x), (1 - y, x), (1 - y, 1 - x), (y, 1 - x)),
        )
        x, y = turned[self.turn - 1]
        if self.crop is None:
            return x, y
        left, top, width, height = self.crop
        across, down = self._turned
        return (x * across - left) / width, (y * down - top) / height

    def diameter(self, share: float) -> float:
        """A circle's diameter as a share of the second picture's shorter side."""
        return share * min(self.width, self.height) * self.scale / min(self.size)

    def area(self, numbers: Sequence[int]) -> tuple[int, ...] | None:
        """A point, a circle (centre, diameter) or a box (centre, sides) in pixels.

        Returns:
            None where it was cut off.
        """
        x, y, *rest = numbers
        w, h = rest if len(rest) == 2 else (0, 0)
        box = self.box(x / self.width, y / self.height, w / self.width, h / self.height)
        if box is None:
            return None
        (width, height), circle = self.size, [round(each * self.scale) for each in rest]
        sides = [round(box[2] * width), round(box[3] * height)] if len(rest) == 2 else circle
        found = (round(box[0] * width), round(box[1] * height), *sides)
        return None if min(found) < 0 else found


def _cut(
    middle: float, side: float, full: int, start: int, length: int
) -> tuple[float, float] | None:
    low = max(0.0, ((middle - side / 2) * full - start) / length)
    high = min(1.0, ((middle + side / 2) * full - start) / length)
    if low > high or (side and low == high):
        return None
    return (low + high) / 2, high - low
