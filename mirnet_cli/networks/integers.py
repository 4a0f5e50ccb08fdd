"""Convolutions in 8-bit integers, computed in torch as what the integers stand for.

A network that was trained for it (:mod:`mirnet_cli.training.integers`) has for some of its
convolutions, beside their weights, another version of them: whole numbers from -64 to 64 with one
scale for each output channel, and, of the 256 levels that the input is rounded to, how far they are
apart in each channel and which of them is 0 in all. Processors with AVX2 alone add two products of
8 bits in 16 bits, and what does not fit is cut off: weights of 7 bits always fit, so that every
processor gives the same.

This is the reference that other runtimes are held to, on any device; it is not faster than float32.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.spec import LEVELS


def rounded(x: Tensor, step: Tensor | float, zero: Tensor | float) -> Tensor:
    """The nearest of 256 levels, ``step`` apart, of which number ``zero`` is 0, counted from it."""
    return (x / step).add_(zero).round_().clamp_(0, LEVELS - 1).sub_(zero)


class IntegerConv(nn.Module):
    """A convolution of stride 1 that keeps the size, of integers.

    Args:
        weight: what they stand for where the input is in levels, ``(outputs, inputs, k, k)``.
        bias: ``(outputs,)``, or none.
        step: of the levels of each input channel, ``(inputs,)``.
        zero: of all of them.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, step: Tensor, zero: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.step = nn.Parameter(step.reshape(-1, 1, 1))
        self._zero = zero

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of the rounded input."""
        levels = rounded(x, self.step, self._zero)
        return F.conv2d(levels, self.weight, self.bias, padding=self.weight.shape[-1] // 2)


def use_integers(network: nn.Module, integers: Mapping[str, NDArray[Any]]) -> None:
    """Replace the convolutions of a network that have a version in integers by that.

    Args:
        network: with its numbers.
        integers: of a :class:`~mirnet_cli.networks.spec.NetworkSpec`.
    """
    for key in integers:
        name, _, what = key.rpartition(".")
        if what != "weight":
            continue
        scale = integers[f"{name}.scale"].reshape(-1, 1, 1, 1)
        weight = torch.from_numpy(integers[key].astype(np.float32) * scale)
        step = torch.from_numpy(np.array(integers[f"{name}.step"]))
        zero = float(integers[f"{name}.zero"][0])
        bias = network.get_submodule(name).bias
        conv = IntegerConv(weight, bias if isinstance(bias, Tensor) else None, step, zero)
        network.set_submodule(name, conv)
