"""What a training run is given, and what it tells."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mirnet_cli.training.panoramas import Panorama
from mirnet_cli.training.photos import Pair
from mirnet_cli.training.recipe import Recipe

VALIDATION_CROP = 192
"""Sides of the validation's pictures."""


@dataclass(frozen=True)
class Progress:
    """What the loop tells while it runs; ``psnr`` and ``ssim`` only after a validation.

    ``loss`` is the mean since the last report; None where nothing was learned since then.
    """

    step: int
    steps: int
    seconds: float
    loss: float | None
    learning_rate: float
    psnr: float | None = None
    ssim: float | None = None
    baseline: float | None = None


@dataclass
class Run:
    """A training run: what is trained, on what, for how long, and where it is kept.

    It ends after ``steps``, or after about ``hours`` of training, whichever comes first: the number
    of steps that hours turned out to be is in the log, and gives the same weights again.

    With ``integers`` it trains what starts as ``initial`` for 8-bit integers, with that as teacher.
    """

    recipe: Recipe
    folder: Path
    photos: Sequence[Pair]
    pairs: Sequence[Pair]
    held_out_photos: Sequence[Pair]
    held_out_pairs: Sequence[Pair]
    steps: int
    panoramas: Sequence[Panorama] = ()
    held_out_panoramas: Sequence[Panorama] = ()
    seed: int = 0
    hours: float = math.inf
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    initial: dict[str, Tensor] | None = None
    integers: bool = False
    validate_every: int = 1000
    report_every: int = 50
    report: Callable[[Progress], None] = lambda progress: None
    stepped: Callable[[Progress], None] = lambda progress: None
    """Told of every step, with the usual loss by then."""
