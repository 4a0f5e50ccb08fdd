"""Blurs of lenses and shutters: small kernels, one a sample."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mirnet_cli.training.degrade import draw


def gaussian_taps(sigma: Tensor, radius: int) -> Tensor:
    """Sampled Gaussians: sigma (N,...) in pixels, at least about 0.05 -> N,2*radius+1, sum one."""
    at = torch.arange(-radius, radius + 1, device=sigma.device, dtype=torch.float32)
    taps = torch.exp(-at.square() / (2 * sigma.reshape(-1, 1).square()))
    return taps / taps.sum(dim=1, keepdim=True)


def _pad(pictures: Tensor, down: int, across: int) -> Tensor:
    """Reflect at the borders, or repeat them where the picture is smaller than the kernel."""
    fits = pictures.shape[2] > down and pictures.shape[3] > across
    return F.pad(pictures, (across, across, down, down), mode="reflect" if fits else "replicate")


def _along(pictures: Tensor, taps: Tensor, axis: int) -> Tensor:
    size = pictures.shape[axis]
    radius = taps.shape[1] // 2
    padded = _pad(pictures, radius if axis == 2 else 0, radius if axis == 3 else 0)
    total = padded.narrow(axis, 0, size) * taps[:, 0].view(-1, 1, 1, 1)
    for i in range(1, 2 * radius + 1):
        total.addcmul_(padded.narrow(axis, i, size), taps[:, i].view(-1, 1, 1, 1))
    return total


def separable(pictures: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Filter N,C,H,W down the columns (`down`, N,K, K odd) and along the rows (`across`, N,K)."""
    return _along(_along(pictures, down, 2), across, 3)


def kernels(major: Tensor, minor: Tensor, angle: Tensor, shape: Tensor, radius: int) -> Tensor:
    """Generalised Gaussians exp(-r^(2 shape) / 2), r the distance in units of the two widths.

    Shape 1 is the Gaussian, larger ones are flat with a sharp rim (a lens out of focus), smaller
    ones have long tails; very different widths make a streak (a hand-held shutter).

    Args:
        major, minor: N values, widths in pixels along and across the direction, above 0.
        angle: N values, the direction in radians.
        shape: N values, 0.5 to 6.
        radius: of the result, in pixels.

    Returns: N,2*radius+1,2*radius+1, each summing to one and symmetric about its centre.
    """
    at = torch.arange(-radius, radius + 1, device=major.device, dtype=torch.float32)
    y, x = at.view(1, -1, 1), at.view(1, 1, -1)
    major, minor, angle, shape = (v.reshape(-1, 1, 1) for v in (major, minor, angle, shape))
    u = (x * angle.cos() + y * angle.sin()) / major
    v = (y * angle.cos() - x * angle.sin()) / minor
    kernel = torch.exp(-0.5 * (u.square() + v.square()).clamp(min=1e-12).pow(shape))
    return kernel / kernel.sum(dim=(1, 2), keepdim=True)


def convolve(pictures: Tensor, kernel: Tensor) -> Tensor:
    """Filter every sample with its own kernel: N,C,H,W and N,K,K (K odd) -> N,C,H,W.

    By the Fourier transform: two-dimensional kernels of 21x21 pixels one by one cost several times
    as much on a CPU.
    """
    if len(pictures) == 0:
        return pictures
    h, w = pictures.shape[2:]
    radius = kernel.shape[1] // 2
    padded = _pad(pictures, radius, radius)
    size = padded.shape[2:]
    transfer = torch.fft.rfft2(kernel, s=size).unsqueeze(1)
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(padded) * transfer, s=size)
    return filtered[:, :, 2 * radius : 2 * radius + h, 2 * radius : 2 * radius + w]


def random_kernels(
    count: int, low: float, high: float, generator: torch.Generator, *, radius: int = 10
) -> Tensor:
    """Blurs of real lenses: half round Gaussians, the others oval, flat, long-tailed or streaks.

    Args:
        low, high: range of the width (one standard deviation of a Gaussian) in pixels.
        radius: of the kernels, in pixels.

    Returns: count,2*radius+1,2*radius+1, each summing to one.
    """
    major = draw.log_uniform(count, low, high, generator)
    kind = draw.stratum(count, generator)
    oval = draw.uniform(count, 0.4, 1.0, generator)
    streak = kind >= 0.9
    ratio = torch.where(kind < 0.5, 1.0, oval)
    minor = torch.where(streak, 0.4, major * ratio)
    major = torch.where(streak, 0.4 + 1.2 * major, major)
    shape = torch.where(
        kind < 0.65,
        1.0,
        torch.where(
            kind < 0.8,
            draw.uniform(count, 0.6, 0.95, generator),
            draw.log_uniform(count, 1.5, 6.0, generator),
        ),
    )
    # At equal widths a flat kernel is narrower than a Gaussian, and a long-tailed one so much wider
    # that it would leave the radius.
    spread = torch.where(shape < 1, 0.75, torch.where((shape > 1) & ~streak, 1.6, 1.0))
    major, minor = spread * major, spread * minor
    angle = draw.uniform(count, 0, math.pi, generator)
    return kernels(major, minor, angle, shape, radius)
