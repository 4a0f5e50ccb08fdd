"""Camera noise: what a sensor and its camera leave in a photo.

Shot and read noise arise in linear light, one colour a pixel behind a Bayer mosaic; demosaicking,
white balance, the colour matrix, in-camera filters, the tone curve and JPEG then shape it. Sources:
Brooks et al., "Unprocessing Images for Learned Raw Denoising" (CVPR 2019); Guo et al., "Toward
Convolutional Blind Denoising of Real Photographs" (CVPR 2019); Zhang et al., "Practical Blind Image
Denoising via Swin-Conv-UNet and Data Synthesis" (2022).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mirnet_cli.training.degrade import blur, camera, draw
from mirnet_cli.training.degrade.jpeg import random_jpeg

# Shares of a batch, and the standard deviations (levels of 255, mid-grey, before JPEG) they span.
_CLEAN = 0.20
_STRONG = 0.88
_MODERATE = (0.8, 13.0)
_HIGH = (9.0, 36.0)
_SPECKED, _LEAST_SPECKED = 0.12, 1.2 / 255
"""Share of the noisy samples that have specks, and the strength from which on they may."""


def strengths(count: int, generator: torch.Generator) -> Tensor:
    """Draw noise strengths: N,1,1,1 standard deviation at mid-grey in 0..1 units.

    A fifth of the samples has none or next to none, most are moderate (0.8 to 13 levels of 255),
    12 % strong (9 to 36). The colours' own deviation is up to twice that of their mean.
    """
    share = draw.stratum(count, generator)
    none = draw.uniform(count, 0, 0.4, generator)
    moderate = draw.log_uniform(count, *_MODERATE, generator)
    high = draw.log_uniform(count, *_HIGH, generator)
    return torch.where(share < _CLEAN, none, torch.where(share < _STRONG, moderate, high)) / 255


def unit_noise(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Noise as it lies on the sensor's grid after demosaicking, N,3,H,W, deviation about one.

    Two thirds of the samples are measured through a Bayer mosaic of random phase and filled
    bilinearly, so that neighbours and colours are correlated; the others have all three colours.
    """
    n, _, h, w = pictures.shape
    noise = draw.field((n, 3, h, w), generator)
    # Sensors differ from pixel to pixel: some are noisier than others, a few are hot or dead.
    uneven, _ = draw.split(n, (0.1,), generator)
    noise[uneven] *= _uneven((len(uneven), 3, h, w), generator)
    mosaicked, _ = draw.split(n, (0.67,), generator)
    phase = torch.randint(4, mosaicked.shape, generator=generator, device=generator.device)
    measured = noise[mosaicked, :1] * camera.bayer(h, w, pictures.device)[phase]
    noise[mosaicked] = camera.bilinear_demosaic(measured)
    return noise


def _uneven(shape: tuple[int, int, int, int], generator: torch.Generator) -> Tensor:
    """Factors of the noise of single pixels: N,C,H,W, root mean square of the most about one.

    Logarithms are normal with a deviation of 0.1 to 0.6 (their products with normal noise have
    heavy tails, as random telegraph noise gives them), and up to one pixel in 500 is 4 to 12 times
    as noisy.
    """
    n = shape[0]
    spread = draw.uniform(n, 0.1, 0.6, generator)
    factors = (draw.field(shape, generator) * spread - spread.square()).exp_()
    rate = draw.log_uniform(n, 2e-5, 2e-3, generator)
    hot = torch.rand(shape, generator=generator, device=generator.device) < rate
    return torch.where(hot, draw.uniform(n, 4, 12, generator), factors)


def _deviation(noise: Tensor) -> Tensor:
    """Root mean square of each sample: N,1,1,1, never zero."""
    return noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-6)


def _luma_taps(count: int, generator: torch.Generator) -> Tensor:
    """Filters of brightness noise: half smooth (0.3 to 1.3 pixels), a quarter sharpen: N,5."""
    smooth = blur.gaussian_taps(draw.uniform(count, 0.3, 1.3, generator), 2)
    as_is = torch.zeros(1, 5, device=smooth.device)
    as_is[0, 2] = 1
    # Unsharp masking: the picture minus a share of its blur, at the gain of cameras' presets.
    gain = draw.uniform(count, 0.1, 0.6, generator)[:, :, 0, 0]
    wide = blur.gaussian_taps(draw.uniform(count, 0.7, 1.2, generator), 2)
    sharpen = (1 + gain) * as_is - gain * wide
    kind = draw.stratum(count, generator)[:, :, 0, 0]
    return torch.where(kind < 0.5, smooth, torch.where(kind < 0.7, sharpen, as_is))


def _in_camera_filter(noise: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Filter noise as cameras do: brightness a little, colour in most samples far more.

    Colour noise that was smoothed over 1 to 6 pixels is weak beside the brightness noise (0.3 to
    0.9 of it), as is seen in the JPEG files of real cameras; left alone, it keeps its strength.

    Returns: the filtered noise and the deviation of its brightness (mean of the colours), N,1,1,1.
    """
    n, _, h, w = noise.shape
    luma = noise.mean(dim=1, keepdim=True)
    chroma = noise - luma
    luma_taps = _luma_taps(n, generator)
    filtered = blur.separable(luma, luma_taps, luma_taps)

    level = _deviation(filtered)
    chroma *= level / _deviation(luma)

    smoothed, _ = draw.split(n, (0.7,), generator)
    count = len(smoothed)
    # Half size is enough for a wide blur, and costs a quarter.
    small = F.avg_pool2d(chroma[smoothed], 2, ceil_mode=True)
    taps = blur.gaussian_taps(draw.log_uniform(count, 0.55, 3.0, generator), 4)
    small = blur.separable(small, taps, taps)
    wide = F.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
    wide = wide[:, :, :h, :w]
    share = draw.log_uniform(count, 0.3, 0.9, generator)
    chroma[smoothed] = wide * (share * level[smoothed] / _deviation(wide))
    return filtered + chroma, level


def _blotches(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Low-frequency noise, as left by in-camera denoising: N,3,H,W, deviation about one."""
    total = torch.zeros(count, 3, height, width, device=generator.device)
    for step in (3, 8):
        coarse = (count, 3, height // step + 2, width // step + 2)
        large = F.interpolate(
            draw.field(coarse, generator),
            scale_factor=float(step),
            mode="bilinear",
            align_corners=False,
        )
        # Off the border, where interpolation has fewer neighbours and so a larger deviation.
        large = large[:, :, step // 2 : step // 2 + height, step // 2 : step // 2 + width]
        total.addcmul_(large, draw.uniform(count, 0.2, 1.5, generator))
    grey = total.mean(dim=1, keepdim=True)
    return grey + (total - grey) * draw.uniform(count, 0, 1.5, generator)


def _flat_relief(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """How much noise in-camera denoising leaves: 0.3 to 1 in flat parts, all of it in texture.

    Returns: N,1,H,W factors.
    """
    n = len(pictures)
    luma = pictures.mean(dim=1, keepdim=True)
    taps = blur.gaussian_taps(torch.full((n,), 1.5, device=pictures.device), 3)
    detail = (luma - blur.separable(luma, taps, taps)).abs_()
    detail = blur.separable(detail, taps, taps)
    textured = detail / (detail + draw.log_uniform(n, 0.005, 0.03, generator))
    floor = draw.uniform(n, 0.3, 1.0, generator)
    return floor + (1 - floor) * textured


def _specks(noisy: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Single pixels that stand out, as sharpening in cameras leaves them of the outliers of noise.

    Of the samples that have noise an eighth gets them: up to one pixel in 500 is 8 to 60 levels of
    255 darker, or at a quarter of the places brighter, in all colours alike.
    """
    n, _, h, w = noisy.shape
    specked = draw.chance(n, _SPECKED, generator) & (strength > _LEAST_SPECKED)
    rate = draw.log_uniform(n, 5e-5, 2e-3, generator)
    unit = torch.rand(n, 3, h, w, generator=generator, device=generator.device)
    places = (unit[:, :1] < rate) & specked
    height = 8 + 52 * unit[:, 1:2].square()
    sign = torch.where(unit[:, 2:] < 0.25, 1.0, -1.0)
    return torch.where(places, (noisy + sign * height / 255).clamp(0, 1), noisy)


def sensor_noise(pictures: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Add camera noise to sRGB pictures without changing anything else about them.

    Args:
        pictures: N,3,H,W sRGB 0..1.
        strength: N,1,1,1 standard deviation of the noise's brightness at mid-grey, 0..1 units.
        generator: the source of all randomness, on the pictures' device.

    Returns: N,3,H,W sRGB 0..1, not rounded to 8 bits.
    """
    n, _, h, w = pictures.shape
    settings = camera.random_camera(n, generator)
    light = camera.to_light(pictures, settings.curve)
    grey = camera.to_light(torch.full_like(pictures[:, :, :1, :1], 0.5), settings.curve)
    sensor = camera.mix(settings.to_sensor, light).clamp_(min=0)
    sensor_grey = camera.mix(settings.to_sensor, grey)
    # Variance is linear in the light: shot noise, and read noise as a share of it at mid-grey.
    read = draw.log_uniform(n, 1e-3, 1.0, generator) * sensor_grey[:, 1:2]
    deviation = (sensor + read).sqrt_()

    noise = camera.mix(settings.from_sensor, unit_noise(pictures, generator) * deviation)
    noise, level = _in_camera_filter(noise, generator)
    local = deviation[:, 1:2]
    average = _deviation(local)
    noise /= level
    blotchy, _ = draw.split(n, (0.45,), generator)
    blotches = _blotches(len(blotchy), h, w, generator)
    blotches *= draw.uniform(len(blotchy), 0, 0.8, generator)
    noise[blotchy] += blotches * (local[blotchy] / average[blotchy])
    banded, _ = draw.split(n, (0.05,), generator)
    rows = draw.field((len(banded), 1, h, 1), generator)
    noise[banded] += rows * draw.uniform(len(banded), 0, 0.4, generator)

    spared, _ = draw.split(n, (0.25,), generator)
    noise[spared] *= _flat_relief(pictures[spared], generator)
    # Where the sensor is full it measures nothing but full: blown highlights have no noise.
    room = ((1 - pictures.amax(dim=1, keepdim=True)) * 25).clamp_(0, 1)
    noise *= torch.where(draw.chance(n, 0.7, generator), room, 1.0)

    at_grey = camera.rise(grey, settings.curve) * (sensor_grey[:, 1:2] + read).sqrt() / average
    return camera.to_display(light + noise * (strength / at_grey), settings.curve)


def without_colour(pictures: Tensor) -> Tensor:
    """The brightness (Rec. 601) of N,3,H,W in all channels."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=pictures.device).view(1, 3, 1, 1)
    return (pictures * weights).sum(1, keepdim=True).expand_as(pictures)


def _soft_colour(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Blur what is not brightness, over 0.9 to 3.5 pixels."""
    grey = without_colour(pictures)
    taps = blur.gaussian_taps(draw.log_uniform(len(pictures), 0.9, 3.5, generator), 7)
    return (grey + blur.separable(pictures - grey, taps, taps)).clamp_(0, 1)


@draw.exactly
def denoise_pair(
    clean: Tensor,
    generator: torch.Generator,
    *,
    soften: float = 0.85,
    soften_colour: float = 0.9,
    compressed: float = 0.7,
    again: float = 0.06,
    grey: float = 0.08,
) -> tuple[Tensor, Tensor]:
    """Make training pairs for denoising: a photo as a camera delivers it, and the same noise-free.

    Input and target differ by noise and compression alone: same colours, same brightness, same
    sharpness; where JPEG halves colour it is halved in both. About a fifth of the samples has
    (nearly) no noise.

    Args:
        clean: N,3,H,W float32 sRGB, 0..1.
        generator: the source of all randomness, on `clean`'s device.
        soften: share of the samples that are slightly blurred first, in input and target alike:
            reduced photos are sharper than what a camera delivers pixel for pixel.
        soften_colour: share whose colour is blurred, too, in input and target alike: behind a
            Bayer mosaic colour has half the resolution, in most JPEG files again, and a network
            that has only seen sharp colour makes some up along edges.
        compressed: share of the samples that pass through JPEG.
        again: share that passes through it a second time, as what was edited or sent on has.
        grey: share of black-and-white samples, whose noise is the same in all channels: a network
            that has seen none takes such noise for a part of the picture.

    Returns: (noisy, target), both N,3,H,W float32 in 0..1; noisy lies on the levels of 8 bits.

    Raises:
        ValueError: wrong shape, dtype or device.
    """
    draw.check(clean, generator)
    n = len(clean)
    sigma = torch.where(
        draw.chance(n, soften, generator), draw.uniform(n, 0.5, 1.6, generator), 0.05
    )
    taps = blur.gaussian_taps(sigma, 3)
    target = blur.separable(clean, taps, taps)
    soft, _ = draw.split(n, (soften_colour,), generator)
    target[soft] = _soft_colour(target[soft], generator)
    strength = strengths(n, generator)
    noisy = sensor_noise(target, strength, generator)
    noisy = _specks(noisy, strength, generator)
    colourless, _ = draw.split(n, (grey,), generator)
    for pictures in (noisy, target):
        pictures[colourless] = without_colour(pictures[colourless])
    noisy = random_jpeg(noisy, compressed, generator, targets=target)
    return random_jpeg(noisy, again, generator, targets=target), target
