"""Resampling as Pillow does it: separable filters whose support grows with the reduction.

Pillow documents its filters under "Concepts, Filters"; the bicubic one is Keys' kernel with
a = -0.5 (IEEE Trans. ASSP 29(6), 1981), widened by the factor when a picture is made smaller.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from mirnet_cli.training.degrade import draw

SUPPORT = {"box": 0.5, "bilinear": 1.0, "bicubic": 2.0}


def _weight(kind: str, at: Tensor) -> Tensor:
    distance = at.abs()
    if kind == "box":
        return ((at > -0.5) & (at <= 0.5)).to(at.dtype)
    if kind == "bilinear":
        return (1 - distance).clamp(min=0)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))


@functools.lru_cache(maxsize=64)
def matrix(size: int, target: int, kind: str, device: torch.device) -> Tensor:
    """The target x size float32 matrix that resamples one axis; rows sum to one."""
    factor = size / target
    widen = max(factor, 1.0)
    reach = SUPPORT[kind] * widen
    rows = torch.zeros(target, size, dtype=torch.float64)
    for i in range(target):
        centre = (i + 0.5) * factor
        first = max(int(centre - reach + 0.5), 0)
        last = min(math.floor(centre + reach + 0.5), size)
        at = (torch.arange(first, last, dtype=torch.float64) + 0.5 - centre) / widen
        weights = _weight(kind, at)
        rows[i, first:last] = weights / weights.sum()
    return rows.to(device, torch.float32)


def resize(pictures: Tensor, height: int, width: int, kind: str = "bicubic") -> Tensor:
    """Resample N,C,H,W (0..1) to height x width through 8 bits, like Pillow's `Image.resize`.

    Args:
        kind: "box", "bilinear" or "bicubic", all antialiased.

    Returns: N,C,height,width float32 in 0..1 on the levels of 8 bits, within one level of Pillow's.
    """
    h, w = pictures.shape[2:]
    across = matrix(w, width, kind, pictures.device)
    down = matrix(h, height, kind, pictures.device)
    # Pillow goes along the rows first and rounds in between, halves upwards.
    wide = draw.product(pictures * 255, across.T).add_(0.5).floor_().clamp_(0, 255)
    return draw.product(down, wide).add_(0.5).floor_().clamp_(0, 255).div_(255)
