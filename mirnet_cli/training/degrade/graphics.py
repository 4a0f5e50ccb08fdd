"""Pictures that are no photos: pages of text, icons, line art, screenshots and gradients.

They are drawn while training, so that a network meets what people also hand over, and learns to
leave it alone: single pixels of full contrast, flat colours, exact edges.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_WORDS = [
    *("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "0123456789", "Restoration"),
    *("of", "old", "photographs:", "noise,", "light", "&", "resolution", "(ISO", "3200)", "50%"),
    *("{x+y=z}", "[A-Z]", "#2a9d8f", "path?q=1"),
]


@functools.lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """A colour as designers choose them: often black, white or grey, else saturated."""
    kind = rng.random()
    if kind < 0.25:
        return (0, 0, 0)
    if kind < 0.5:
        return (255, 255, 255)
    if kind < 0.6:
        return (int(rng.integers(256)),) * 3
    red, green, blue = rng.integers(0, 256, 3)
    return int(red), int(green), int(blue)


def _text(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    height = int(rng.integers(8, 30))
    font = _font(height)
    # One bit a pixel, as old systems and faxes draw letters.
    draw.fontmode = "1" if rng.random() < 0.25 else "L"
    ink = _colour(rng)
    colourful = rng.random() < 0.4
    for top in range(int(rng.integers(-height, height)), size, int(height * 1.25)):
        left = int(rng.integers(-30, 8))
        line = " ".join(rng.choice(_WORDS, 12))
        draw.text((left, top), line, fill=_colour(rng) if colourful else ink, font=font)


def _lines(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    ink = _colour(rng)
    for _ in range(int(rng.integers(2, 14))):
        ends = rng.integers(-size // 4, size + size // 4, 4)
        draw.line([int(end) for end in ends], fill=ink, width=int(rng.integers(1, 4)))
        if rng.random() < 0.3:
            ink = _colour(rng)


def _shapes(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    shapes = (draw.rectangle, draw.ellipse, draw.rectangle)
    for _ in range(int(rng.integers(2, 12))):
        x, y = (int(side) for side in rng.integers(-size // 4, size, 2))
        w, h = (int(side) for side in rng.integers(1, size // 2, 2))
        shape = shapes[int(rng.integers(len(shapes)))]
        outline = None if rng.random() < 0.5 else _colour(rng)
        shape((x, y, x + w, y + h), fill=_colour(rng), outline=outline)


def _gradient(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    corners = rng.integers(0, 256, (2, 2, 3)).astype(np.float64)
    along = np.linspace(0, 1, size)
    shares = np.stack([1 - along, along])
    return np.rint(np.einsum("yi,xj,yxc->ijc", shares, shares, corners)).astype(np.uint8)


def _pattern(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pixel art and dithering: a few colours repeated at one to four pixels."""
    unit = int(rng.integers(1, 5))
    cells = int(rng.integers(2, 17))
    colours = np.array([_colour(rng) for _ in range(int(rng.integers(2, 6)))], np.uint8)
    art = colours[rng.integers(0, len(colours), (cells, cells))]
    if rng.random() < 0.4:
        art = colours[np.indices((cells, cells)).sum(0) % 2]
    tiles = -(-size // (cells * unit))
    large = np.tile(art.repeat(unit, 0).repeat(unit, 1), (tiles, tiles, 1))
    return large[:size, :size]


def _draw(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    kind = rng.random()
    if kind < 0.08:
        return _pattern(size, rng)
    if kind < 0.2:
        return _gradient(size, rng)
    image = Image.new("RGB", (size, size), _colour(rng))
    if kind > 0.85:
        image = Image.fromarray(_gradient(size, rng))
    draw = ImageDraw.Draw(image)
    if kind < 0.45 or kind > 0.8:
        _shapes(draw, size, rng)
    if 0.4 < kind < 0.55:
        _lines(draw, size, rng)
    if kind > 0.5:
        _text(draw, size, rng)
    if rng.random() < 0.2:
        # As screens with subpixels show letters: the colours a third of a pixel apart.
        wide = np.asarray(image.resize((3 * size, size), Image.Resampling.BICUBIC))
        shifted = [np.roll(wide[..., c], 1 - c, axis=1)[:, 1::3] for c in range(3)]
        return np.stack(shifted, 2)
    return np.asarray(image)


def draw_graphics(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw pictures that are no photos.

    Args:
        count: how many.
        size: of their sides, in pixels.
        generator: the source of all randomness; the result is on its device.

    Returns: count,3,size,size float32 sRGB on the levels of 8 bits, 0..1.
    """
    device = generator.device
    seed = int(torch.randint(1 << 62, (1,), generator=generator, device=device))
    rng = np.random.default_rng(seed)
    drawn = np.empty((count, size, size, 3), np.uint8)
    for picture in drawn:
        picture[:] = _draw(size, rng)
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous().float().div_(255).to(device)
