"""Random numbers for degradations: one value a sample, from an explicit generator on one device."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def exactly(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` without gradients and in full float32.

    Training steps run under autocast and may allow TF32; both would round a JPEG coefficient or a
    resampling weight to 8 or 11 bits, which is a visible degradation nobody asked for.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            with (
                torch.no_grad(),
                torch.autocast("cpu", enabled=False),
                torch.autocast("cuda", enabled=False),
                torch.backends.cudnn.flags(
                    enabled=True, benchmark=False, deterministic=True, allow_tf32=False
                ),
            ):
                return function(*args, **kwargs)
        finally:
            torch.set_float32_matmul_precision(precision)

    return wrapped


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


def field(shape: tuple[int, int, int, int], generator: torch.Generator) -> Tensor:
    """Standard normal noise of the given shape."""
    return torch.randn(shape, generator=generator, device=generator.device)
