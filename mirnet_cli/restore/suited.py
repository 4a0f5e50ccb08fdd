"""Which of two sets of weights suits a picture: the networks themselves tell.

Where a picture is clean, weights for clean pictures and those for all others add about the same to
it; where it has noise, blur or the marks of JPEG, they do not. Both are shown pieces from all over
the picture, side by side.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import UsageError
from mirnet_cli.restore.picture import Picture, pad
from mirnet_cli.restore.resample import Floats

_SIDE, _HALO = 48, 8
"""Side of a piece, and what does not count on each side of it, where it meets others, in pixels."""
_PIECES = 4
"""Along each axis."""
LOOK = _SIDE * _PIECES
"""Largest side of what the networks are shown; shorter sides are shown whole."""
_APART = 0.14
"""Weights for clean pictures are taken below. Of 23 photos reduced bicubically 22 have 0.02 to
0.14, and with noise of 3 and JPEG of quality 80 0.14 to 5; see docs/measurements.md."""
_FURTHEST = 1000.0


@dataclass(frozen=True)
class Suited:
    """Which weights suit a picture.

    Attributes:
        quality: "clean" or "real"; None where there is one set of weights.
        apart: the square of what the two sets differ by over that of what the one for clean
            pictures adds, 0 to 1000; None where they were not compared.
        unsafe: how many results had to be computed again in float32.
    """

    quality: str | None = None
    apart: float | None = None
    unsafe: int = 0


def apart(
    picture: Picture,
    scale: int,
    stride: int,
    real: Callable[[Floats], Floats],
    clean: Callable[[Floats], Floats],
) -> float:
    """By how much two sets of weights differ about a picture; see :class:`Suited`.

    It follows from the picture alone, whatever its tiles are.

    Args:
        picture: as the networks see it.
        scale: of the residuals.
        stride: what the sides of the networks' input must be multiples of.
        real, clean: the networks, from ``(h, w, 3)`` in 0..1 to ``(scale * h, scale * w, 3)``.
    """
    rows, inner_rows = _pieces(picture.height)
    columns, inner_columns = _pieces(picture.width - 2 * picture.margin)
    x = pad(picture.read(rows, columns + picture.margin), stride)
    counted = np.ix_(*(_enlarged(each, scale) for each in (inner_rows, inner_columns)))
    added, other = clean(x)[counted], real(x)[counted]
    difference = float(np.square(added - other, dtype=np.float64).sum())
    whole = float(np.square(added, dtype=np.float64).sum())
    return min(difference / whole, _FURTHEST) if whole else _FURTHEST * bool(difference)


def suits(apart: float) -> str:
    """The quality of a picture about which two sets of weights differ by so much."""
    return "clean" if apart < _APART else "real"


def one_set(model: str) -> UsageError:
    """What is said where a quality is asked of weights that are one set."""
    what = f"the model {model} has one set of weights for all photos"
    return UsageError(what, "leave --input-quality out")


def _pieces(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of an axis that are shown, and the places of those among them that count."""
    if length <= LOOK:
        return np.arange(length), np.arange(length)
    starts = [n * (length - _SIDE) // (_PIECES - 1) for n in range(_PIECES)]
    shown = np.concatenate([start + np.arange(_SIDE) for start in starts])
    places = np.arange(LOOK).reshape(_PIECES, _SIDE)[:, _HALO:-_HALO]
    return shown, places.ravel()


def _enlarged(places: NDArray[np.int64], scale: int) -> NDArray[np.int64]:
    made: NDArray[np.int64] = (places[:, None] * scale + np.arange(scale)).ravel()
    return made
