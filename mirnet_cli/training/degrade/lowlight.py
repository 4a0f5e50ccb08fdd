"""Under-exposure: what a well-exposed photo would have looked like with too little or bad light.

Light is taken away in linear light: less exposure, uneven light, deep shadows beside lit parts, the
colour of lamps (von Kries gains); then come the noise of the sensor, flat contrast, faded colour, 8
bits and JPEG. Some samples stay as they are, so that a network learns to leave good photos alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mirnet_cli.training.degrade import camera, draw
from mirnet_cli.training.degrade.jpeg import random_jpeg
from mirnet_cli.training.degrade.noise import sensor_noise

# Rec. 709 luminance of linear light.
_LUMINANCE = (0.2126, 0.7152, 0.0722)
# Mean linear light an input keeps at least; below it 8 bits hold hardly a picture.
_DARKEST = 3e-4
# Share of the photos whose black is set.
_SET = 0.8
# The same of those that are brought out of the dark: their shadows mostly stay open.
_SET_IN_THE_DARK = 0.15
# Share of their pixels that become black, and the highest level that does.
_BLACK = 0.005
_HIGHEST_BLACK = 1 / 6
# Linear light that shadows of contrasty scenes have from everywhere.
_SHADOW = 0.03
# Mean of sRGB values; darker pictures are dark on purpose.
_LOW_KEY = 0.2


def _luminance(light: Tensor) -> Tensor:
    weights = torch.tensor(_LUMINANCE, device=light.device).view(1, 3, 1, 1)
    return (light * weights).sum(dim=1, keepdim=True)


def _uneven(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Smooth random fields N,1,H,W with mean zero and deviation about one, from coarse grids."""
    n, _, h, w = pictures.shape
    field = torch.zeros(n, 1, h, w, device=pictures.device)
    for grid, weight in ((3, 1.0), (6, 0.5)):
        coarse = draw.field((n, 1, grid, grid), generator)
        field += weight * F.interpolate(coarse, (h, w), mode="bicubic", align_corners=True)
    return field - field.mean(dim=(2, 3), keepdim=True)


def _lamps(mild: Tensor, generator: torch.Generator) -> Tensor:
    """Gains of red, green and blue for the colour of the light: N,3,1,1 around one.

    Along warm to cool first (dark scenes are more often warm), across it (green to magenta) less.
    """
    n = len(mild)
    warm = torch.where(
        mild,
        0.10 * draw.normal(n, generator),
        0.10 + 0.35 * draw.normal(n, generator),
    ).clamp_(-0.9, 0.9)
    tint = torch.where(mild, 0.04, 0.12) * draw.normal(n, generator).clamp_(-2.5, 2.5)
    # A third of the dark scenes was lit by white light or balanced by the camera.
    warm = torch.where(draw.chance(n, 0.33, generator), 0.2 * warm, warm)
    return torch.cat([warm, tint, -1.2 * warm], dim=1).exp2()


def set_black(pictures: Tensor) -> Tensor:
    """Pictures whose darkest pixels are black, as whoever retouches them would have it.

    The brightness (mean of the channels) that half a percent of the pixels stays below, up to a
    sixth of white, becomes zero; white stays.

    Args:
        pictures: N,3,H,W sRGB 0..1, whole ones: a piece of a photo need not have any black.

    Returns: N,3,H,W sRGB 0..1.
    """
    brightness = pictures.mean(dim=1).flatten(1)
    black = torch.quantile(brightness, _BLACK, dim=1).clamp(max=_HIGHEST_BLACK).view(-1, 1, 1, 1)
    return ((pictures - black) / (1 - black)).clamp_(0, 1)


def darken(
    pictures: Tensor, mild: Tensor, generator: torch.Generator, *, whole: bool = False
) -> Tensor:
    """Take light, contrast and colour from sRGB pictures.

    Args:
        pictures: N,3,H,W sRGB 0..1, well exposed.
        mild: N,1,1,1 bool: a photo as a raw converter renders it before retouching (+0.2 to -1.4
            EV, flat, a little faded); else a dark one (-0.5 to -7 EV).
        generator: the source of all randomness, on the pictures' device.
        whole: the pictures are whole photos: those that are dark lose little light (mild, and a
            stop at most), since they are so on purpose.

    Returns: N,3,H,W sRGB 0..1, not rounded to 8 bits.
    """
    n = len(pictures)
    light = camera.to_light(pictures, camera.random_curve(n, generator))
    luminance = _luminance(light)
    low_key = whole & (pictures.mean(dim=(1, 2, 3), keepdim=True) < _LOW_KEY)
    mild = mild | low_key

    stops = torch.where(
        mild, draw.uniform(n, -1.4, 0.2, generator), draw.uniform(n, -7.0, -0.5, generator)
    )
    stops = torch.where(low_key, 0.7 * stops, stops)
    # Deep shadows beside lit parts: the darker a pixel, the more it loses. In half of such scenes
    # (a room against its windows, a street under lamps) what is bright keeps its light.
    contrasty = ~mild & draw.chance(n, 0.45, generator)
    backlit = contrasty & draw.chance(n, 0.5, generator)
    power = draw.uniform(n, 0.2, 1.1, generator)
    power = torch.where(backlit, 1.5 * power, power)
    stops = torch.where(backlit, 0.1 * stops, torch.where(contrasty, 0.5 * stops, stops))
    swing = torch.where(mild, 0.12, torch.where(backlit, 1.2, 0.6)) * draw.uniform(
        n, 0, 1, generator
    )
    swing = torch.where(draw.chance(n, 0.5, generator), swing, 0.0)
    change = stops + swing * _uneven(pictures, generator)
    # Even shadows have some light, so that a dark room keeps its shades.
    floor = torch.where(backlit, _SHADOW, 1e-3)
    shade = torch.log2((luminance + floor) / (1 + floor))
    change += torch.where(contrasty, power, 0.0) * shade
    left = (luminance * change.exp2()).mean(dim=(2, 3), keepdim=True)
    change += torch.log2((_DARKEST / left.clamp(min=1e-9)).clamp(min=1))
    change = torch.minimum(change, torch.tensor(0.4, device=change.device))
    dim = light * (_lamps(mild, generator) * change.exp2())

    # Shown by another curve than the one the photo was made with, mostly one without contrast.
    shown = camera.to_display(dim, camera.random_curve(n, generator, curved=0.25))
    grey = shown.mean(dim=1, keepdim=True)
    faded = torch.where(
        mild, draw.uniform(n, 0.45, 1.0, generator), draw.uniform(n, 0.4, 1.15, generator)
    )
    shown = grey + (shown - grey) * faded
    # Stray light and careful rendering lift black; white comes down with the contrast.
    lift = torch.where(mild, 0.14, 0.03 * draw.uniform(n, 0, 1, generator))
    drop = torch.where(mild, 0.25, 0.0)
    lift, drop = (most * draw.uniform(n, 0, 1, generator) for most in (lift, drop))
    return (lift + shown * (1 - lift - drop)).clamp_(0, 1)


@draw.exactly
def enhance_pair(
    clean: Tensor,
    generator: torch.Generator,
    *,
    whole: bool = False,
    noise: float = 1.0,
    identity: float = 0.2,
    mild: float = 0.4,
    compressed: float = 0.4,
) -> tuple[Tensor, Tensor]:
    """Make training pairs for enhancement: a dark or dull photo, and the good one.

    Args:
        clean: N,3,H,W float32 sRGB, 0..1: well-exposed photos, whole and reduced or crops.
        generator: the source of all randomness, on `clean`'s device.
        whole: the pictures are whole photos. Black is set (:func:`set_black`) in most of those that
            are mild or left alone, and in a few of the others; dark ones stay dark
            (:func:`darken`).
        noise: factor on the strength of the sensor noise; 0 leaves it out (and its cost), for
            pictures so much reduced that nothing of it would remain.
        identity: share of the samples whose input is the target (in 8 bits).
        mild: share of the samples that want retouching only.
        compressed: share of the samples that pass through JPEG (quality 75 to 98).

    Returns: (input, target), both N,3,H,W float32 in 0..1; input lies on the levels of 8 bits.

    Raises:
        ValueError: wrong shape, dtype or device.
    """
    draw.check(clean, generator)
    n = len(clean)
    same, gentle, dark = draw.split(n, (identity, mild), generator)
    if whole:
        share = torch.full((n, 1, 1, 1), _SET, device=clean.device)
        share[dark] = _SET_IN_THE_DARK
        is_set = draw.uniform(n, 0, 1, generator) < share
        clean = torch.where(is_set, set_black(clean), clean)
    changed = torch.cat([gentle, dark])
    softly = (torch.arange(len(changed), device=clean.device) < len(gentle)).view(-1, 1, 1, 1)
    given = darken(clean[changed], softly, generator, whole=whole)
    if noise > 0:
        low, high = 0.15, torch.where(softly, 2.0, 4.0)
        drawn = low * (high / low) ** draw.uniform(len(changed), 0, 1, generator)
        given = sensor_noise(given, noise * drawn / 255, generator)
    result = torch.empty_like(clean)
    result[changed] = random_jpeg(given, compressed, generator, lowest=75, usual=0.2)
    result[same] = random_jpeg(clean[same], 0.5 * compressed, generator, lowest=88, usual=0)
    return result, clean
