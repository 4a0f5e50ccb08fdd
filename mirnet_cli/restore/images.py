"""Pillow's images in the place of arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mirnet_cli.errors import InputError, UsageError

_MODES = {"L", "LA", "RGB", "RGBA", "F", "I;16", "I;16B", "I;16L", "I;16N"}


def taken(image: Image.Image) -> Image.Image:
    """An image of a mode whose samples can be restored, with the same ``info``.

    Raises:
        UsageError: its mode has no such counterpart.
        InputError: its file cannot be decoded.
    """
    try:
        image.load()
    except OSError as error:
        raise InputError(f"the image cannot be decoded: {error}", "open it again") from error
    clear = image.has_transparency_data
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "PA") or (image.mode in ("L", "RGB") and clear):
        grey = image.mode == "L"
        image = image.convert("LA" if grey else "RGBA" if clear else "RGB")
    if image.mode not in _MODES:
        what = f"an image of mode {image.mode}"
        raise UsageError(what, 'convert it first, for example with image.convert("RGB")')
    return image


def split(image: Image.Image) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Colours, ``(H, W)`` or ``(H, W, 3)``, and transparency."""
    pixels = np.asarray(image)
    if image.mode == "LA":
        return pixels[..., 0], pixels[..., 1]
    return (pixels[..., :3], pixels[..., 3]) if image.mode == "RGBA" else (pixels, None)


def like(image: Image.Image, colours: NDArray[Any], alpha: NDArray[Any] | None) -> Image.Image:
    """A new image of the mode and ``info`` (profile, EXIF) of another."""
    if alpha is not None:
        colours = np.dstack([colours, alpha])
    made = Image.fromarray(colours.astype(colours.dtype.newbyteorder("="), copy=False))
    # What was one transparent colour is the alpha channel now.
    made.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return made
