"""The eight flips and rotations of a picture."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Symmetry:
    """Flips, then an exchange of rows and columns.

    Attributes:
        flip_rows: upside down.
        flip_columns: left to right.
        transpose: exchange rows and columns afterwards.
    """

    flip_rows: bool = False
    flip_columns: bool = False
    transpose: bool = False

    def apply(self, x: NDArray[Any]) -> NDArray[Any]:
        """``(H, W, ...)`` -> ``(H, W, ...)`` or ``(W, H, ...)``; a view."""
        x = self._flip(x)
        return x.swapaxes(0, 1) if self.transpose else x

    def undo(self, x: NDArray[Any]) -> NDArray[Any]:
        """The inverse of :meth:`apply`; a view."""
        return self._flip(x.swapaxes(0, 1) if self.transpose else x)

    def _flip(self, x: NDArray[Any]) -> NDArray[Any]:
        if self.flip_rows:
            x = x[::-1]
        return x[:, ::-1] if self.flip_columns else x


IDENTITY = (Symmetry(),)
ALL = tuple(
    Symmetry(rows, columns, transpose)
    for transpose in (False, True)
    for rows in (False, True)
    for columns in (False, True)
)
