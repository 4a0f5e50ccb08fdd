"""Random numbers for degradations: one value a sample, from an explicit generator on one device."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def exactly(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` without gradients and outside autocast, which would round it to bfloat16."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with (
            torch.no_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
        ):
            return function(*args, **kwargs)

    return wrapped


def product(left: Tensor, right: Tensor) -> Tensor:
    """The matrix product of float32 tensors in at least full float32.

    Training may allow TF32 on CUDA, whose 11 bits would be a visible degradation nobody asked for
    in a cosine transform or a resampling; float64 is beyond its reach and cheap at these sizes.
    """
    if left.is_cuda:
        return torch.matmul(left.double(), right.double()).float()
    return torch.matmul(left, right)


def check(pictures: Tensor, generator: torch.Generator) -> None:
    """Raise ValueError unless `pictures` is N,3,H,W float32 on the generator's device."""
    if pictures.ndim != 4 or pictures.shape[1] != 3 or pictures.dtype != torch.float32:
        raise ValueError(f"expected N,3,H,W float32, got {tuple(pictures.shape)} {pictures.dtype}")
    if pictures.device.type != generator.device.type:
        raise ValueError(
            f"the pictures are on {pictures.device}, the generator on {generator.device}"
        )


def uniform(
    count: int, low: float, high: float, generator: torch.Generator, *, channels: int = 1
) -> Tensor:
    """Values evenly spread over low..high, shaped count,channels,1,1."""
    unit = torch.rand(count, channels, 1, 1, generator=generator, device=generator.device)
    return low + (high - low) * unit


def log_uniform(
    count: int, low: float, high: float, generator: torch.Generator, *, channels: int = 1
) -> Tensor:
    """Values whose logarithm is evenly spread, low..high, shaped count,channels,1,1."""
    return uniform(count, math.log(low), math.log(high), generator, channels=channels).exp()


def normal(count: int, generator: torch.Generator, *, channels: int = 1) -> Tensor:
    """Standard normal values, shaped count,channels,1,1."""
    return torch.randn(count, channels, 1, 1, generator=generator, device=generator.device)


def chance(count: int, share: float, generator: torch.Generator) -> Tensor:
    """True for about `share` of the samples: bool, shaped count,1,1,1."""
    return torch.rand(count, 1, 1, 1, generator=generator, device=generator.device) < share


def stratum(count: int, generator: torch.Generator) -> Tensor:
    """One value in 0..1 a sample, evenly spread over the batch; shaped count,1,1,1.

    The samples share the unit interval in equal parts, in random order, so that shares taken from
    it (10 % of one kind, 30 % of another) hold almost exactly within every batch.
    """
    device = generator.device
    order = torch.randperm(count, generator=generator, device=device)
    unit = (order + torch.rand(count, generator=generator, device=device)) / count
    return unit.view(count, 1, 1, 1)


def split(count: int, shares: Sequence[float], generator: torch.Generator) -> list[Tensor]:
    """Deal `count` samples out at random: one group for every share, and one for the rest.

    The sizes are the shares of `count`, rounded up or down at random so that they are right on
    average. Each group can then be computed by itself, at the cost of its own samples.

    Returns: len(shares) + 1 int64 index tensors that together hold 0..count-1 once.
    """
    order = torch.randperm(count, generator=generator, device=generator.device)
    shift = torch.rand((), generator=generator, device=generator.device).item()
    ends = [min(int(end * count + shift), count) for end in itertools.accumulate(shares)]
    return [order[a:b] for a, b in itertools.pairwise([0, *ends, count])]


def field(shape: tuple[int, int, int, int], generator: torch.Generator) -> Tensor:
    """Standard normal noise of the given shape."""
    return torch.randn(shape, generator=generator, device=generator.device)
