"""Lost resolution: smaller pictures for enlargement, and blurred ones of the same size.

Half of the reduced pictures are plain bicubic reductions, sharp and clean; the others have what
real files have: a lens's blur, another reduction, sensor noise, JPEG. Compare Zhang et al.,
"Designing a Practical Degradation Model for Deep Blind Image Super-Resolution" (ICCV 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mirnet_cli.training.degrade import blur, draw
from mirnet_cli.training.degrade.jpeg import random_jpeg
from mirnet_cli.training.degrade.noise import sensor_noise
from mirnet_cli.training.degrade.resize import resize

# What "shrink, then enlarge" divides the sides by: a short focal length against a long one.
_FACTORS = (1.5, 2.0, 2.5, 3.0)


def _little_noise(
    pictures: Tensor, share: float, high: float, generator: torch.Generator
) -> Tensor:
    """Sensor noise of 0.3 to `high` levels of 255 for `share` of the samples, none for the rest."""
    n = len(pictures)
    strength = draw.log_uniform(n, 0.3, high, generator) / 255
    noisy = sensor_noise(pictures, strength, generator)
    return torch.where(draw.chance(n, share, generator), noisy, pictures)


def _reduced(clean: Tensor, scale: int, plain: float, generator: torch.Generator) -> Tensor:
    n, _, h, w = clean.shape
    size = (h // scale, w // scale)
    sharp = resize(clean, *size)
    kernel = blur.random_kernels(n, 0.3, 0.75 * scale, generator)
    soft = blur.convolve(clean, kernel)
    place = draw.stratum(n, generator)
    real = torch.where(
        place < 0.4,
        resize(soft, *size),
        torch.where(place < 0.7, resize(soft, *size, "bilinear"), resize(soft, *size, "box")),
    )
    real = _little_noise(real, 0.6, 8.0, generator)
    real = random_jpeg(real, 0.6, generator, lowest=70, usual=0.1)
    return torch.where(draw.stratum(n, generator) < plain, sharp, real)


def _softened(clean: Tensor, identity: float, generator: torch.Generator) -> Tensor:
    n, _, h, w = clean.shape
    place = draw.stratum(n, generator)
    # The chosen factor holds for the batch, as it decides about the sizes of tensors.
    choice = int(torch.randint(len(_FACTORS), (1,), generator=generator, device=clean.device))
    factor = _FACTORS[choice]

    shrinks = place > 0.55
    kernel = blur.random_kernels(n, 0.4, 2.2, generator)
    weak = blur.random_kernels(n, 0.2, 0.45 * factor, generator)
    soft = blur.convolve(clean, torch.where(shrinks[:, 0], weak, kernel))

    small = resize(soft, max(round(h / factor), 1), max(round(w / factor), 1))
    small = _little_noise(small, 0.5, 4.0, generator)
    small = random_jpeg(small, 0.3, generator, lowest=80, usual=0)
    enlarged = resize(small, h, w)

    lens = _little_noise(soft, 0.5, 5.0, generator)
    lens = random_jpeg(torch.where(shrinks, enlarged, lens), 0.4, generator, lowest=75, usual=0.15)
    rounded = (clean * 255).round() / 255
    return torch.where(place < identity, rounded, lens)


@draw.exactly
def upscale_pair(
    clean: Tensor,
    scale: int,
    generator: torch.Generator,
    *,
    plain: float = 0.5,
    identity: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Make training pairs for enlargement (scale 2, 3, 4) or sharpening at the same size (1).

    Args:
        clean: N,3,H,W float32 sRGB, 0..1; H and W multiples of `scale`.
        scale: how many times smaller the input's sides are.
        generator: the source of all randomness, on `clean`'s device.
        plain: scale 2 to 4: share of the samples that are only reduced, by Pillow's bicubic.
        identity: scale 1: share of the samples whose input is the target (in 8 bits).

    Returns: (input, target): N,3,H/scale,W/scale on the levels of 8 bits, and N,3,H,W; float32
        in 0..1, not shifted against each other.

    Raises:
        ValueError: wrong shape, dtype, device or scale.
    """
    draw.check(clean, generator)
    h, w = clean.shape[2:]
    if scale not in (1, 2, 3, 4):
        raise ValueError(f"scale must be 1, 2, 3 or 4, got {scale}")
    if h % scale or w % scale:
        raise ValueError(f"sides {h}x{w} are not multiples of the scale {scale}")
    if scale == 1:
        return _softened(clean, identity, generator), clean
    return _reduced(clean, scale, plain, generator), clean
