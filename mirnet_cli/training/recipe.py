"""What is trained and how: one recipe for each network that ships, as data."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mirnet_cli.errors import UsageError
from mirnet_cli.networks.compact import CompactConfig
from mirnet_cli.training import degrade
from mirnet_cli.training.transfer import guided_transfer


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        inputs: the network's input ``(N, 3 or 6, H, W)``.
        base: what the residual is added to ``(N, 3, sH, sW)``.
        targets: what should come out ``(N, 3, sH, sW)``.
        scale: s.
    """

    inputs: Tensor
    base: Tensor
    targets: Tensor
    scale: int = 1


Degrade = Callable[[Tensor, torch.Generator, int], Batch]


@dataclass(frozen=True)
class Stage:
    """A part of the run: up to which share of the steps, with which crops and how many."""

    until: float
    crop: int
    batch: int


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        task: the task of the product that it serves.
        part: its place in the weights file, "network" or "thumbnail".
        base: what the residual is added to, by the name in the weights file.
        config: sizes of the network.
        degrade: clean crops -> batch.
        stages: crops and batches over the run; crops are output pixels.
        learning_rate: of AdamW at its highest.
        steps: length of the full run.
        whole: crops show most of a photo, reduced, instead of a piece at full scale.
        pair_share: share of the steps that take given pairs, where there are any.
        context, overlap: defaults written into the weights file.
    """

    task: str
    part: str
    base: str
    config: CompactConfig
    degrade: Degrade
    stages: tuple[Stage, ...] = (
        Stage(0.45, 64, 16),
        Stage(0.85, 96, 8),
        Stage(1.0, 144, 4),
    )
    learning_rate: float = 8e-4
    steps: int = 60_000
    whole: bool = False
    pair_share: float = 0.5
    context: str = "whole"
    overlap: int = 32
    scales: tuple[int, ...] = field(default=(1,))


def as_batch(task_base: str, inputs: Tensor, targets: Tensor) -> Batch:
    """Given pairs of one size (recorded, not made) as a batch."""
    if task_base == "guided":
        base = guided_transfer(inputs, targets, 4)
        return Batch(torch.cat([inputs, base], 1), base, targets)
    return Batch(inputs, inputs, targets)


def _denoise(clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    noisy, target = degrade.denoise_pair(clean, generator)
    return Batch(noisy, noisy, target)


def _enhance(clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    dark, target = degrade.enhance_pair(clean, generator)
    return Batch(dark, dark, target)


def _enhance_detail(clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    dark, target = degrade.enhance_pair(clean, generator)
    reduction = (2, 4, 8)[int(torch.randint(3, (1,), generator=generator))]
    return as_batch("guided", dark, target) if reduction == 4 else _detail(dark, target, reduction)


def _detail(dark: Tensor, target: Tensor, reduction: int) -> Batch:
    base = guided_transfer(dark, target, reduction)
    return Batch(torch.cat([dark, base], 1), base, target)


def _upscale(clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    small, target = degrade.upscale_pair(clean, scale, generator)
    base = small if scale == 1 else degrade.enlarge(small, scale)
    return Batch(small, base, target, scale)


_PLAIN = CompactConfig(widths=(32, 64, 128), groups=2, blocks=1)

RECIPES: dict[str, Recipe] = {
    "denoise": Recipe("denoise", "network", "input", _PLAIN, _denoise),
    "enhance": Recipe(
        "enhance",
        "thumbnail",
        "guided",
        _PLAIN,
        _enhance,
        stages=(Stage(0.6, 96, 12), Stage(0.9, 160, 4), Stage(1.0, 224, 2)),
        whole=True,
    ),
    "enhance-detail": Recipe(
        "enhance",
        "network",
        "guided",
        CompactConfig(inputs=6, widths=(32, 64, 128), groups=2, blocks=1),
        _enhance_detail,
    ),
    "upscale": Recipe(
        "upscale",
        "network",
        "bicubic",
        CompactConfig(widths=(32, 64, 128), groups=2, blocks=1, unshuffle=1, scales=(2, 3, 4)),
        _upscale,
        # Multiples of 48: of every scale, and of the body's stride at the small size.
        stages=(Stage(0.5, 96, 16), Stage(0.85, 144, 8), Stage(1.0, 192, 4)),
        scales=(2, 3, 4),
    ),
    "upscale-x1": Recipe("upscale", "network", "input", _PLAIN, _upscale),
}


def find(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        UsageError: if there is none.
    """
    if name not in RECIPES:
        raise UsageError("no such recipe", f"choose from {', '.join(RECIPES)}", subject=name)
    return RECIPES[name]
