"""Small blurs and reductions, one kernel a sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_taps(sigma: Tensor, radius: int) -> Tensor:
    """Sampled Gaussians: sigma (N,...) in pixels, at least about 0.2 -> N,2*radius+1, sum one."""
    at = torch.arange(-radius, radius + 1, device=sigma.device, dtype=torch.float32)
    taps = torch.exp(-at.square() / (2 * sigma.reshape(-1, 1).square()))
    return taps / taps.sum(dim=1, keepdim=True)


def _along(pictures: Tensor, taps: Tensor, axis: int) -> Tensor:
    size = pictures.shape[axis]
    radius = taps.shape[1] // 2
    pad = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
    padded = F.pad(pictures, pad, mode="reflect" if size > radius else "replicate")
    total = padded.narrow(axis, 0, size) * taps[:, 0].view(-1, 1, 1, 1)
    for i in range(1, 2 * radius + 1):
        total.addcmul_(padded.narrow(axis, i, size), taps[:, i].view(-1, 1, 1, 1))
    return total


def separable(pictures: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Filter N,C,H,W down the columns (`down`, N,K, K odd) and along the rows (`across`, N,K)."""
    return _along(_along(pictures, down, 2), across, 3)
