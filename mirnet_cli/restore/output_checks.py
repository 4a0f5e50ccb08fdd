"""Results that are numbers, but not of this picture: black, white, or off in colour.

Half precision, drivers and damaged memory give such tiles without any error. The limits are far
from what networks do on purpose: over 1500 tiles of 256 pixels of noisy, dark and ordinary photos
the shipped weights moved the mean of a channel by 0.021 at most where they denoise or enlarge.
Where they enhance, they darkened by 0.021 at most, and a channel left its share of the brightness
by 0.13.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import ResultError
from mirnet_cli.restore.resample import Floats

Means = NDArray[np.float64]

_SHIFT = 0.1
_CAST = 0.25
_BLACK = 0.02
"""Below this mean a picture is black anyway."""
_HAZE = 0.25
"""Enhancing takes haze of up to a sixth of white away: this much darker may be on purpose, which
float32 confirms."""
_WHITE, _NOT_WHITE = 0.97, 0.6
_SAME = 0.02
_SAMPLED = 3
_FEW = 96
"""Shorter sides have every pixel counted."""


def means(x: Floats) -> Means:
    """The mean of each channel of ``(h, w, C)``, from every third row and column."""
    # Every one where they are few, which a third of them may not stand for.
    step = _SAMPLED if min(x.shape[:2]) >= _FEW else 1
    sampled: Means = x[::step, ::step].mean(axis=(0, 1), dtype=np.float64)
    return sampled


def black(before: Means, after: Means, *, dark: float = _BLACK) -> bool:
    """Whether a result is black where the picture is not; ``dark`` pictures may become black."""
    bright = float(before.mean())
    return bright > dark and float(np.clip(after, 0, 1).mean()) < bright / 4


def fault(task: str, before: Means, after: Means, *, haze: bool = False) -> str | None:
    """What is wrong with a result, in words; None where nothing is.

    Args:
        task: "enhance" may change brightness, all others leave the means where they are.
        before, after: means of red, green and blue, of what the network saw and of what it made.
        haze: enhancing may also take away the haze of a whole tile.
    """
    hazy = haze and task == "enhance"
    if black(before, after, dark=_HAZE if hazy else _BLACK):
        return "black where the picture is not"
    if task != "enhance":
        moved = float(np.abs(after - before).max())
        return "off in mean colour" if moved > _SHIFT else None
    bright, became = float(before.mean()), float(np.clip(after, 0, 1).mean())
    if became < bright - (_HAZE if hazy else _SHIFT):
        return "darker than the picture"
    if became > _WHITE and bright < _NOT_WHITE:
        return "white where the picture is not"
    if bright < _BLACK:
        # The colours of next to nothing may become any.
        return None
    gained = before * (became / bright)
    moved = float(np.abs(np.clip(after, 0, 1) - np.clip(gained, 0, 1)).max())
    return "off in mean colour" if moved > _CAST else None


@dataclass
class Watch:
    """Looks at the results of one network for one picture.

    Weights that are known to stay within the limits are held to them. Others may be made for other
    things: their results are refused where they are black, and told of where they are beyond the
    limits in float32 too.

    Attributes:
        task: what the network is for.
        known: as the weights say.
        odd: how many results are beyond the limits, and the same in float32.
    """

    task: str
    known: bool
    odd: int = 0
    _usual: bool = field(default=False, repr=False)

    def suspects(self, before: Means, after: Means) -> bool:
        """Whether a result has to be computed again in float32."""
        if self._usual:
            return black(before, after)
        return fault(self.task, before, after) is not None

    def better(self, before: Means, first: Means, again: Means) -> bool:
        """Whether what float32 gave for a suspect is within the limits.

        Raises:
            ResultError: it is no better.
        """
        same = float(np.abs(first - again).max()) < _SAME
        what = fault(self.task, before, again, haze=True)
        if what is not None:
            if self.known or what.startswith("black"):
                raise ResultError(
                    f"the network's result is {what}, in float32 too",
                    "the picture or the weights do not suit this network; try another model",
                )
            self.odd += 1
        # It is the way of these weights, or of this picture: not every tile has to be computed
        # twice.
        self._usual = self._usual or same
        return not same
