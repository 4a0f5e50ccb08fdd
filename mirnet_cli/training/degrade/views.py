"""Views of HDR panoramas as photos that lack light, and what each place is to get.

A view is exposed for what is bright in it, as a camera would, and shown in 8 bits. What it is to be
is a fusion of exposures of the true light (Mertens, Kautz and Van Reeth, "Exposure fusion", 2007),
with black kept, and what is clipped left white.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.photo.space import srgb_encoded, srgb_light
from mirnet_cli.restore import light
from mirnet_cli.restore.resample import Floats

SIDE = 192
"""Of a view in pixels."""
MOST = 6.5
"""Stops of gain at most."""
SHIFT = 4e-4
"""Linear light added to both sides of a gain: a level of 8 bits is about as much."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
_DARK, _TRIES, _LITTLE = 0.8, 6, 0.6
"""Share of the views that are to lack more than so many stops, and how often that is tried."""


def view(around: Floats, yaw: float, pitch: float, field: float) -> Floats:
    """What a camera sees: ``(SIDE, SIDE, 3)``; angles in degrees, ``field`` of the width."""
    side = 2 * SIDE
    focal = 0.5 * side / math.tan(math.radians(field) / 2)
    place = np.arange(side, dtype=np.float32) - side / 2 + 0.5
    x, y = np.meshgrid(place / focal, -place / focal)
    length = np.sqrt(x * x + y * y + 1)
    cosine, sine = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    up, ahead = (y * cosine + sine) / length, (cosine - y * sine) / length
    longitude = np.arctan2(x / length, ahead) + math.radians(yaw)
    latitude = np.arcsin(np.clip(up, -1, 1))
    height, width = around.shape[:2]
    across = (longitude / (2 * np.pi)) % 1 * width + 7.5
    down = (0.5 - latitude / np.pi) * height - 0.5
    wide = np.concatenate([around[:, -8:], around, around[:, :8]], 1)
    seen = cv2.remap(
        wide,
        across.astype(np.float32),
        down.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    reduced: Floats = cv2.resize(seen, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return reduced


def fused(luminance: Floats, stops: list[float]) -> Floats:
    """Exposures by so many stops, each where it is well exposed, blended over a pyramid (sRGB)."""
    shown = [np.minimum(srgb_encoded(luminance * np.float32(2**each)), 1) for each in stops]
    shares = [
        (np.exp(-((each - 0.55) ** 2) / 0.08) + 1e-4) * np.clip((1 - each) / 0.06, 0, 1) + 1e-5
        for each in shown
    ]
    total = sum(shares)
    levels = max(2, int(math.log2(min(luminance.shape))) - 2)
    summed: list[Floats] | None = None
    for share, each in zip(shares, shown, strict=True):
        weight, part = _pyramid((share / total).astype(np.float32), levels), _pyramid(each, levels)
        fine = [part[i] - _larger(part[i + 1], part[i]) for i in range(levels - 1)] + [part[-1]]
        weighted = [a * b for a, b in zip(weight, fine, strict=True)]
        if summed is not None:
            weighted = [a + b for a, b in zip(summed, weighted, strict=True)]
        summed = weighted
    assert summed is not None
    result = summed[-1]
    for each in reversed(summed[:-1]):
        result = _larger(result, each) + each
    return np.clip(result, 0, 1)


def _pyramid(values: Floats, levels: int) -> list[Floats]:
    made = [values]
    for _ in range(levels - 1):
        made.append(cv2.pyrDown(made[-1]).astype(np.float32))
    return made


def _larger(values: Floats, like: Floats) -> Floats:
    enlarged: Floats = cv2.pyrUp(values, dstsize=like.shape[1::-1])
    return enlarged


def wanted(luminance: Floats, up: float, contrast: float) -> Floats:
    """The linear luminance that a view is to have, ``up`` stops at most above what it was given."""
    steps = math.ceil(up)
    stops = [float(each) for each in np.linspace(0, up, steps + 1)] if steps else [0.0]
    if (luminance > 1).mean() > 0.002:
        stops = [-1.5, -0.75, *stops]
    shown = fused(np.minimum(luminance, 6), stops)
    # The darkest stays nearly what it was.
    lifted = np.percentile(shown, 0.6) - np.percentile(srgb_encoded(luminance), 0.6)
    black = max(float(lifted), 0.0) * 0.85
    shown = np.clip((shown - black) / (1 - black), 0, 1)
    return srgb_light((shown + contrast * (shown**2 * (3 - 2 * shown) - shown)).astype(np.float32))


def gains(target: Floats, given: Floats) -> Floats:
    """Stops from one luminance to another."""
    return np.clip(np.log2((target + SHIFT) / (given + SHIFT)), 0, MOST).astype(np.float32)


def weighted_mean(stops: Floats, luminance: Floats) -> float:
    """Stops of what is dark."""
    weight = light.dark(luminance)
    return float((stops * weight).sum() / weight.sum())


def example(
    around: Floats, night: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    """A photo of a view, and its gains for the amount that it wants and for another one.

    Args:
        around: a panorama's linear light ``(H, 2 H, 3)``.
        night: some of it is to stay a night.
        rng: draws where is looked and all else.

    Returns:
        ``(SIDE, SIDE, 3)`` sRGB, and two times ``(SIDE, SIDE)`` stops.
    """
    dark = rng.random() < _DARK
    for _ in range(_TRIES):
        given, stops = _example(around, night, rng)
        luminance = light.luminance(given.astype(np.float32) / np.float32(255))
        if not dark or weighted_mean(stops[0], luminance) > _LITTLE:
            break
    return given, stops


def _example(
    around: Floats, night: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    for _ in range(8):
        seen = view(around, rng.uniform(0, 360), rng.normal(3, 9), rng.uniform(60, 105))
        if np.percentile(seen @ _LUMINANCE, 90) > 2**-11.5:
            break
    # Exposed for what is bright, and sometimes less.
    held = np.percentile(seen @ _LUMINANCE, rng.uniform(88, 99.7))
    seen *= np.float32(0.9 / max(held, 1e-6) * 2 ** -max(0.0, rng.normal(-0.3, 1.2)))
    true = seen @ _LUMINANCE
    shown = srgb_encoded(np.clip(seen, 0, 1))
    curve = rng.uniform(0, 0.7) * (rng.random() < 0.6)
    shown += np.float32(curve) * (shown**2 * (3 - 2 * shown) - shown)
    if rng.random() < 0.25:
        # Stray light.
        shown = shown * (1 - 0.03 * rng.random()) + 0.02 * rng.random()
    given = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    luminance = light.luminance(given.astype(np.float32) / np.float32(255))
    # Up to where the darker part, less what is black, becomes a middle grey.
    visible = given.max(2) > 4
    among = true[visible] if visible.mean() > 0.1 else true
    middle = np.percentile(among, rng.uniform(25, 42))
    up = float(np.clip(np.log2(rng.uniform(0.15, 0.22) / max(middle, 1e-5)), 0, 4.6))
    if night and rng.random() < 0.4:
        up *= rng.uniform(0.25, 0.6)
    other = up + rng.normal() if rng.random() < 0.5 else rng.uniform(0.3, 5.5)
    contrast = rng.uniform(0, 0.25)
    made = [
        gains(wanted(true, each, contrast), luminance)
        for each in (up, float(np.clip(other, 0.2, 5.5)))
    ]
    return given, np.stack(made)
