"""Between Pillow's pictures and arrays: band by band, so that no third copy is ever held."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from mirnet_cli.photo import colour
from mirnet_cli.photo.codec import NUMBERS, Layout, Raster
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.source import DamageError, Data, whole
from mirnet_cli.photo.space import Space

BAND = 4 << 20
"""Pixels converted at a time."""


def bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that hold about :data:`BAND` pixels each."""
    rows = max(1, BAND // max(1, width))
    for start in range(0, height, rows):
        yield start, min(height, start + rows)


def upright(
    height: int, width: int, channels: int, dtype: Any, orientation: int
) -> tuple[Array, Array]:
    """Make an array for an upright picture, and a view of it that is laid out as stored.

    Rows written into the view as they come from the file land turned: no copy is needed for it.

    Args:
        height, width: as stored.
        channels: 1 gives two dimensions.
        dtype: of the samples.
        orientation: EXIF tag 0x0112.

    Returns:
        The C-contiguous upright array and the view.
    """
    sides = (width, height) if orientation >= 5 else (height, width)
    array = np.empty(sides if channels == 1 else (*sides, channels), dtype)
    return array, as_stored(array, orientation)


def as_stored(array: Array, orientation: int) -> Array:
    """A view of an upright array in the row order that a file with this orientation stores."""
    turned: dict[int, Callable[[Array], Array]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }
    return turned[orientation](array)


def from_pillow(image: Image.Image, orientation: int, icc: bytes | None) -> Raster:
    """Turn a Pillow image of any mode into upright grey or RGB samples and alpha.

    Palettes become RGB; CMYK becomes sRGB, through ``icc`` if it fits. The image's
    pixels are released.

    Raises:
        DamageError: a mode that photos do not have.
    """
    image.load()
    width, height = image.size
    warnings: list[str] = []
    profile_used = False
    target, channels, with_alpha = _target(image)
    convert: Callable[[Image.Image], Image.Image] = lambda piece: (  # noqa: E731
        piece if piece.mode == target else piece.convert(target)
    )
    if image.mode == "CMYK":
        profile_used = True
        transform, warning = colour.cmyk_to_srgb(icc)
        warnings.append(warning)
        if transform is not None:
            found = transform

            def convert(piece: Image.Image) -> Image.Image:
                result = ImageCms.applyTransform(piece, found)
                assert result is not None
                return result

    dtype = np.uint16 if target.startswith("I;16") else np.uint8
    pixels, stored = upright(height, width, channels, dtype, orientation)
    alpha, stored_alpha = (
        upright(height, width, 1, dtype, orientation) if with_alpha else (None, None)
    )
    for top, bottom in bands(height, width):
        piece = np.asarray(convert(image.crop((0, top, width, bottom))))
        if stored_alpha is None:
            stored[top:bottom] = piece
        else:
            stored[top:bottom] = piece[..., 0] if channels == 1 else piece[..., :3]
            stored_alpha[top:bottom] = piece[..., -1]
    image.close()
    return Raster(pixels, alpha, profile_used, warnings=tuple(warnings))


def first_frame(
    kind: Callable[[BytesIO], Image.Image], data: Data, layout: Layout, orientation: int
) -> Raster:
    """The first picture of a file, by the class of Pillow that reads it.

    Raises:
        DamageError: it is not of the size that its header says.
    """
    with BytesIO(whole(data)) as stream:
        image = kind(stream)
        if image.size != (layout.width, layout.height):
            raise DamageError("its headers disagree about its size")
        return from_pillow(image, orientation, None)


def _target(image: Image.Image) -> tuple[str, int, bool]:
    """The mode to convert to, its colour channels, and whether it has alpha."""
    mode = image.mode
    if mode in ("1", "L"):
        return "L", 1, False
    if mode in ("LA", "La"):
        return "LA", 1, True
    if mode.startswith("I;16"):
        return mode, 1, False
    if mode == "P":
        return ("RGBA", 3, True) if image.has_transparency_data else ("RGB", 3, False)
    if mode in ("PA", "RGBA", "RGBa"):
        return "RGBA", 3, True
    if mode in ("RGB", "RGBX", "YCbCr", "CMYK"):
        return "RGB", 3, False
    raise DamageError(f"samples of a kind photos do not have (Pillow mode {mode})")


def to_pillow(pixels: Array, alpha: Array | None) -> Image.Image:
    """A Pillow image of 8-bit pixels: mode L, LA, RGB or RGBA."""
    if alpha is None:
        return Image.fromarray(np.ascontiguousarray(pixels))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.mode == "L":
        return Image.merge("LA", (image, Image.fromarray(np.ascontiguousarray(alpha))))
    image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    return image


def opaque_except(pixels: Array, key: tuple[int, ...]) -> Array:
    """Alpha that is 0 where a pixel has exactly the colour ``key``, else full."""
    full = np.iinfo(pixels.dtype).max
    alpha = np.full(pixels.shape[:2], full, pixels.dtype)
    for top, bottom in bands(*pixels.shape[:2]):
        band = pixels[top:bottom]
        same = band == key[0] if band.ndim == 2 else (band == np.array(key)).all(axis=-1)
        alpha[top:bottom][same] = 0
    return alpha


def to_depth(array: Array, dtype: str) -> Array:
    """Samples in another depth, rounded to nearest; the same array if it has that depth.

    Band by band: 16 to 8 bits is division by 257, float32 is clipped to 0..1.
    """
    if array.dtype == np.dtype(dtype):
        return array
    out = np.empty(array.shape, dtype)
    for top, bottom in bands(*array.shape[:2]):
        band = array[top:bottom]
        if array.dtype == np.float32:
            scale = float(np.iinfo(dtype).max)
            out[top:bottom] = np.rint(np.clip(band, 0.0, 1.0) * np.float32(scale))
        elif dtype == "float32":
            out[top:bottom] = band.astype(np.float32) / np.iinfo(array.dtype).max
        elif dtype == "uint8":
            out[top:bottom] = (band.astype(np.uint32) + 128) // 257
        else:
            out[top:bottom] = band.astype(np.uint16) * np.uint16(257)
    return out


def on_white(pixels: Array, alpha: Array) -> Array:
    """Integer pixels laid over white, rounded to nearest, band by band."""
    full = int(np.iinfo(pixels.dtype).max)
    out = np.empty_like(pixels)
    for top, bottom in bands(*pixels.shape[:2]):
        cover = alpha[top:bottom].astype(np.uint64)
        if pixels.ndim == 3:
            cover = cover[..., None]
        mixed = pixels[top:bottom] * cover + full * (full - cover)
        out[top:bottom] = (mixed + full // 2) // full
    return out


def unpremultiply(pixels: Array, alpha: Array) -> None:
    """Divide colours by alpha, in place; where that is 0, colours are 0."""
    white = NUMBERS[pixels.dtype.name]
    for row, cover in zip(pixels, alpha, strict=True):
        share = cover.astype(np.float64)[:, None] if row.ndim == 2 else cover.astype(np.float64)
        straight = np.divide(row * white, share, out=np.zeros(row.shape), where=share > 0)
        straight = np.minimum(straight, white)
        row[...] = straight if row.dtype.kind == "f" else np.rint(straight)


def in_srgb(pixels: Array, space: Space) -> Array:
    """Pixels of another space in sRGB, at the same depth, band by band; grey stays grey."""
    out = np.empty_like(pixels)
    for top, bottom in bands(*pixels.shape[:2]):
        out[top:bottom] = to_depth(space.shown(pixels[top:bottom]), pixels.dtype.name)
    return out


def small_jpeg(pixels: Array, room: int) -> bytes | None:
    """A JPEG thumbnail of at most ``room`` bytes, its long side 160 pixels; None if none fits.

    Source: EXIF 2.32 section 4.5.5 wants 160x120 pixels at most for the usual shapes.
    """
    import io

    height, width = pixels.shape[:2]
    step = max(1, max(height, width) // 640)
    image = to_pillow(to_depth(np.ascontiguousarray(pixels[::step, ::step]), "uint8"), None)
    image.thumbnail((160, 160), Image.Resampling.BOX)
    for quality in (85, 70, 50, 30):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= room:
            return buffer.getvalue()
    return None
