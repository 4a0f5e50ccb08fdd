"""Training for 8-bit integers: a network learns to do in them what it does in float32.

Quantisation-aware training: each step rounds weights and inputs of convolutions as the integers
will, and lets the gradient pass as if it had not (straight-through; Jacob et al., CVPR 2018). Steps
of the inputs' levels are learnt with the weights (Esser et al., LSQ, ICLR 2020), as logarithms, so
that all of them move by shares of themselves; they begin with what the float network shows on a few
batches. That network is also the teacher: results are to be like its results, and a little like the
targets. Photos come noisier and more glaring than any that the network is trained for, and its
features are then wider than levels that suit its own recipe: some samples are louder, and single
pixels count that are far from the teacher's, as they are where levels end.

The first convolution, which meets the picture, the last (the last two, but of a lean network), the
attention's 5x5 (two channels) and whatever works on pooled vectors stay in float: rounding them
costs much and gains little.
"""

import copy
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.compact import CompactMIRNet
from mirnet_cli.networks.integers import rounded
from mirnet_cli.networks.spec import LEVELS, MOST
from mirnet_cli.training.degrade import draw
from mirnet_cli.training.degrade.noise import sensor_noise
from mirnet_cli.training.losses import LOSSES

_SAMPLE = 1000
"""Pixels of a batch that levels begin with."""
_LEAST_STEP = 16
"""Times that the largest step of a tensor's channels may be the smallest, to begin with."""

_FLOAT = re.compile(r"conv_in|heads\.|.*\.(spatial|channel|squeeze|expand)\b")
"""Names of convolutions that stay in float."""

TEACHER, TARGET, WORST = 1.0, 0.1, 0.05
"""Weights of the distances to the teacher's result and to the target (nearly all there is to learn
from targets is learnt already), and of the pixel that is farthest from the teacher's."""

_NOISY = 0.75
"""Share of the loud samples that are noisy; the others are glaring."""
_NOISE = (8.0, 60.0)
"""Standard deviation of their noise, in levels of 255."""
_CONTRAST = (1.0, 4.0)
"""Times that the contrast of the others is raised."""


class _Rounding(torch.autograd.Function):
    """As :func:`mirnet_cli.networks.integers.rounded`, with gradients for what is within the levels
    and for their step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, log_step: Tensor, zero: Tensor) -> Tensor:
        made = rounded(x, log_step.exp().view(-1, 1, 1), zero)
        ctx.save_for_backward(x, log_step, zero)
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        x, log_step, zero = ctx.saved_tensors
        step = log_step.exp().view(-1, 1, 1)
        gradient = gradient / step
        out = (x < -zero * step) | (x > (LEVELS - 1 - zero) * step)
        inside = gradient.masked_fill(out, 0)
        # Of the logarithm, in levels: those of the input move against it.
        slope = -(inside * x).sum((0, 2, 3), dtype=torch.float32)
        return inside, slope, None


class LearningConv(nn.Module):
    """A convolution that learns to be an :class:`~mirnet_cli.networks.integers.IntegerConv`."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach().clone())
        self.log_step = nn.Parameter(torch.zeros(conv.in_channels))
        self.zero: Tensor
        self.register_buffer("zero", torch.zeros(()))

    def begin(self, sample: Tensor) -> None:
        """Levels that round a sample of the inputs, ``(N, inputs)``, with the least squared error.

        Channels that hardly say anything keep steps of some size: what is small in them is made up
        for by weights, which are rounded too.
        """
        low, high = sample.amin(0).clamp_max(0), sample.amax(0).clamp_min(0)
        widest = ((high - low) / (LEVELS - 1)).clamp_min(1e-6)
        zero = round(float((-low).sum() / (high - low).sum().clamp_min(1e-6)) * (LEVELS - 1))
        widest = torch.maximum(-low / max(zero, 1), high / max(LEVELS - 1 - zero, 1))
        widest = widest.clamp_min(float(widest.max()) / _LEAST_STEP)
        shares = [share / 20 for share in range(4, 21)]
        errors = [
            (rounded(sample, widest * share, zero) - sample / (widest * share)).square()
            for share in shares
        ]
        scaled = torch.stack(
            [e.mean(0) * share**2 for e, share in zip(errors, shares, strict=True)]
        )
        best = torch.tensor(shares)[scaled.argmin(0)]
        with torch.no_grad():
            self.log_step.copy_((widest * best).log())
            self.zero.fill_(zero)

    def whole(self) -> tuple[Tensor, Tensor]:
        """The weights in the units of input levels, and what 1 stands for in those of integers.

        Returns:
            ``(outputs, inputs, k, k)``, and ``(outputs, 1, 1, 1)`` without a gradient.
        """
        weight = self.weight * self.log_step.exp().view(1, -1, 1, 1)
        most = weight.detach().abs().amax((1, 2, 3), keepdim=True)
        return weight, most.clamp_min(1e-8) / MOST

    def forward(self, x: Tensor) -> Tensor:
        """The convolution, rounded."""
        weight, scale = self.whole()
        whole = (weight.detach() / scale).round() * scale
        weight = weight + (whole - weight).detach()
        levels = _Rounding.apply(x, self.log_step, self.zero)  # type: ignore[no-untyped-call]
        return F.conv2d(levels, weight, padding=weight.shape[-1] // 2)


def learner(network: CompactMIRNet, in_float: str = "") -> nn.Module:
    """A copy of a network, some convolutions of which learn to be of integers; all else is fixed.

    Where the levels of their inputs are is still to be said; see :func:`calibrate`.

    Args:
        network: the float network.
        in_float: a regular expression for the names of further convolutions that stay in float.
    """
    made = copy.deepcopy(network).requires_grad_(False)
    last = f"groups.{network.config.groups - 1}.conv"
    for name, module in list(made.named_modules()):
        stays = name == last or _FLOAT.match(name) or (in_float and re.match(in_float, name))
        if isinstance(module, nn.Conv2d) and not stays:
            made.set_submodule(name, LearningConv(module))
    return made


def learning(network: nn.Module) -> dict[str, LearningConv]:
    """What learns, by name."""
    modules = network.named_modules()
    return {name: module for name, module in modules if isinstance(module, LearningConv)}


def calibrate(network: nn.Module, teacher: nn.Module, runs: Iterable[Any]) -> None:
    """Set levels to what suits the teacher's features.

    Args:
        network: of :func:`learner`.
        teacher: the float network.
        runs: takes the next batch through the teacher each time it is advanced.
    """
    parts = learning(network)
    samples: dict[str, list[Tensor]] = {name: [] for name in parts}

    def watch(name: str) -> Any:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].detach().float().movedim(1, -1).flatten(0, -2)
            ends = torch.stack([values.amin(0), values.amax(0)])
            samples[name].append(torch.cat([values[:: max(1, len(values) // _SAMPLE)], ends]))

        return look

    hooks = [teacher.get_submodule(n).register_forward_pre_hook(watch(n)) for n in parts]
    for _ in runs:
        pass
    for hook in hooks:
        hook.remove()
    for name, part in parts.items():
        part.begin(torch.cat(samples[name]))


def louder(inputs: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Inputs of which some have more noise, or more glaring light and colours, than recipes give.

    Args:
        inputs: ``(N, 3 or 6, H, W)`` in 0..1, of which the first three channels are the picture.
        share: of the samples.
        generator: the source of all randomness, on the same device.
    """
    noisy, glaring, _ = draw.split(len(inputs), (share * _NOISY, share * (1 - _NOISY)), generator)
    made = inputs.clone()
    strength = draw.log_uniform(len(noisy), *_NOISE, generator) / 255
    made[noisy, :3] = sensor_noise(inputs[noisy, :3], strength, generator)
    times = draw.log_uniform(len(glaring), *_CONTRAST, generator)
    pictures = inputs[glaring, :3]
    middle = pictures.mean((1, 2, 3), keepdim=True)
    made[glaring, :3] = (middle + times * (pictures - middle)).clamp_(0, 1)
    return made


def distance(residual: Tensor, taught: Tensor) -> Tensor:
    """How far results are from the teacher's, ``(N, 3, H, W)`` each: as a whole, and at worst."""
    worst = (residual - taught).abs().amax((1, 2, 3)).mean()
    return TEACHER * LOSSES["rmse"](residual, taught) + WORST * worst


def integers(network: nn.Module) -> dict[str, NDArray[Any]]:
    """What was learnt, as a :class:`~mirnet_cli.networks.spec.NetworkSpec` has it."""
    found: dict[str, NDArray[Any]] = {}
    for name, part in learning(network).items():
        weight, scale = part.whole()
        found[f"{name}.weight"] = (weight.detach() / scale).round().cpu().numpy().astype(np.int8)
        found[f"{name}.scale"] = scale.flatten().cpu().numpy()
        found[f"{name}.step"] = part.log_step.detach().exp().cpu().numpy()
        found[f"{name}.zero"] = part.zero.reshape(1).cpu().numpy()
    return found
