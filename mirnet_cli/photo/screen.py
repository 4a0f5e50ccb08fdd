"""A photo as a screen shows it, 8 bits and sRGB, and as pages hold it."""

import base64
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mirnet_cli.photo.colour import transform
from mirnet_cli.photo.picture import Photo
from mirnet_cli.photo.raster import on_white, to_depth

Pixels = NDArray[np.uint8]
"""Height x width x 3, sRGB."""


def shown(photo: Photo) -> Pixels:
    """A photo as a screen shows it: its profile applied, on white where it is transparent."""
    pixels = to_depth(photo.pixels, "uint8")
    if photo.alpha is not None:
        pixels = on_white(pixels, to_depth(photo.alpha, "uint8"))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    icc = photo.metadata.icc
    if icc is not None:
        convert = transform(icc, image.mode)
        if convert is not None:
            from PIL import ImageCms

            image = ImageCms.applyTransform(image, convert) or image
    return np.asarray(image.convert("RGB"), np.uint8)


def fitted(pixels: Pixels, side: int) -> Pixels:
    """Reduced so that no side is longer than ``side``; the same array if none is."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= side:
        return pixels
    size = (max(1, round(width * side / longest)), max(1, round(height * side / longest)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def png(pixels: Pixels) -> str:
    """A ``data:`` address that holds the pixels exactly."""
    return _address(pixels, "png", compress_level=6)


def jpeg(pixels: Pixels, quality: int = 90) -> str:
    """A ``data:`` address that holds the pixels nearly, in a tenth of the size."""
    return _address(pixels, "jpeg", quality=quality, subsampling="4:4:4")


def encoded(pixels: Pixels, kind: str, **options: object) -> bytes:
    """A picture file: ``kind`` is "png" or "jpeg", the options are Pillow's."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, kind, **options)
    return stream.getvalue()


def _address(pixels: Pixels, kind: str, **options: object) -> str:
    data = encoded(pixels, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
