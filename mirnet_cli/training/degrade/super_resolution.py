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
from mirnet_cli.training.degrade.noise import sensor_noise, without_colour
from mirnet_cli.training.degrade.resize import resize

# What "shrink, then enlarge" divides the sides by: a short focal length against a long one.
_FACTORS = (1.5, 2.0, 2.5, 3.0)


def _little_noise(
    pictures: Tensor, grey: Tensor, share: float, high: float, generator: torch.Generator
) -> Tensor:
    """Sensor noise of 0.3 to `high` levels of 255 for `share` of the samples, none for the rest.

    Where `grey` (N) says so, the noise is the same in all channels, as the picture is.
    """
    noisy, _ = draw.split(len(pictures), (share,), generator)
    strength = draw.log_uniform(len(noisy), 0.3, high, generator) / 255
    pictures[noisy] = sensor_noise(pictures[noisy], strength, generator)
    pictures[grey] = without_colour(pictures[grey])
    return pictures


def _reduced(
    clean: Tensor, grey: Tensor, scale: int, plain: float, generator: torch.Generator
) -> Tensor:
    """Smaller pictures: `plain` of them by bicubic reduction alone, the others as files are."""
    n, _, h, w = clean.shape
    small = clean.new_empty(n, 3, h // scale, w // scale)
    sharp, real = draw.split(n, (plain,), generator)
    small[sharp] = resize(clean[sharp], h // scale, w // scale)
    kernel = blur.random_kernels(len(real), 0.3, 0.75 * scale, generator)
    soft = blur.convolve(clean[real], kernel)
    ways = draw.split(len(real), (0.4, 0.3), generator)
    for way, kind in zip(ways, ("bicubic", "bilinear", "box"), strict=True):
        small[real[way]] = resize(soft[way], h // scale, w // scale, kind)
    noisy = _little_noise(small[real], grey[real], 0.6, 8.0, generator)
    small[real] = random_jpeg(noisy, 0.6, generator, lowest=70, usual=0.1)
    return small


def _reduced_well(
    clean: Tensor, grey: Tensor, scale: int, plain: float, generator: torch.Generator
) -> Tensor:
    """Smaller pictures that are sharp and clean: `plain` of them by bicubic reduction alone.

    The others by any reduction, with noise of a level at most, half of them through JPEG of 90 or
    more.
    """
    n, _, h, w = clean.shape
    small = resize(clean, h // scale, w // scale)
    _, mild = draw.split(n, (plain,), generator)
    ways = draw.split(len(mild), (0.4, 0.3), generator)
    for way, kind in zip(ways[1:], ("bilinear", "box"), strict=True):
        small[mild[way]] = resize(clean[mild[way]], h // scale, w // scale, kind)
    noisy = _little_noise(small[mild], grey[mild], 0.6, 1.0, generator)
    small[mild] = random_jpeg(noisy, 0.5, generator, lowest=90, usual=0)
    return small


def _enlarged(clean: Tensor, grey: Tensor, generator: torch.Generator) -> Tensor:
    """Shrunk and enlarged again by one random factor: a short focal length against a long one."""
    n, _, h, w = clean.shape
    choice = torch.randint(len(_FACTORS), (1,), generator=generator, device=clean.device)
    factor = _FACTORS[int(choice)]
    soft = blur.convolve(clean, blur.random_kernels(n, 0.15 * factor, 0.5 * factor, generator))
    small = resize(soft, max(round(h / factor), 1), max(round(w / factor), 1))
    small = _little_noise(small, grey, 0.6, 4.0, generator)
    return resize(random_jpeg(small, 0.3, generator, lowest=80, usual=0), h, w)


def _softened(clean: Tensor, grey: Tensor, identity: float, generator: torch.Generator) -> Tensor:
    """Pictures of the same size, blurred by a lens or by enlargement, `identity` left as is."""
    n = len(clean)
    result = (clean * 255).round().clamp_(0, 255) / 255
    _, lens, far = draw.split(n, (identity, 0.5 * (1 - identity)), generator)
    kernel = blur.random_kernels(len(lens), 0.5, 2.5, generator)
    soft = _little_noise(blur.convolve(clean[lens], kernel), grey[lens], 0.6, 5.0, generator)
    result[lens] = random_jpeg(soft, 0.4, generator, lowest=75, usual=0.15)
    result[far] = random_jpeg(
        _enlarged(clean[far], grey[far], generator), 0.4, generator, lowest=75, usual=0.15
    )
    return result


@draw.exactly
def upscale_pair(
    clean: Tensor,
    scale: int,
    generator: torch.Generator,
    *,
    plain: float = 0.5,
    well: bool = False,
    identity: float = 0.1,
    grey: float = 0.08,
) -> tuple[Tensor, Tensor]:
    """Make training pairs for enlargement (scale 2, 3, 4) or sharpening at the same size (1).

    Args:
        clean: N,3,H,W float32 sRGB, 0..1; H and W multiples of `scale`.
        scale: how many times smaller the input's sides are.
        generator: the source of all randomness, on `clean`'s device.
        plain: scale 2 to 4: share of the samples that are only reduced, by Pillow's bicubic.
        well: scale 2 to 4: the other samples are as good as clean, too.
        identity: scale 1: share of the samples whose input is the target (in 8 bits).
        grey: share of black-and-white samples, whose noise is the same in all channels: a network
            that has seen none takes such noise for a part of the picture.

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
    chosen, _ = draw.split(len(clean), (grey,), generator)
    colourless = torch.zeros(len(clean), dtype=torch.bool, device=clean.device)
    colourless[chosen] = True
    target = clean.clone()
    target[colourless] = without_colour(clean[colourless])
    if scale == 1:
        return _softened(target, colourless, identity, generator), target
    reduced = _reduced_well if well else _reduced
    return reduced(target, colourless, scale, plain, generator), target
