"""Colour profiles: what they are for, and pictures whose colours have to be converted.

Source: ICC.1:2022 section 7.2 (profile header).
"""

from functools import cache
from io import BytesIO

from PIL import ImageCms

_SIGNATURE_AT = 36
_SPACE_AT = 16


def kind_of(icc: bytes) -> str | None:
    """The colour space a profile describes ("RGB", "GRAY", "CMYK", ...), None if it is damaged."""
    if len(icc) < 128 or icc[_SIGNATURE_AT : _SIGNATURE_AT + 4] != b"acsp":
        return None
    if int.from_bytes(icc[:4], "big") > len(icc):
        return None
    name = icc[_SPACE_AT : _SPACE_AT + 4].decode("ascii", "replace").strip()
    return name if name.isascii() and name.isprintable() else None


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def transform(icc: bytes, mode: str, target: str = "RGB") -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB: relative colorimetric with black point compensation.

    Args:
        icc: the profile.
        mode: Pillow's, of the pixels in that profile ("CMYK", "L", "RGB").
        target: Pillow's mode of the result.

    Returns:
        None if the profile cannot be used for this mode.
    """
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(icc)),
            _srgb(),
            mode,
            target,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def cmyk_to_srgb(icc: bytes | None) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """How a CMYK picture becomes sRGB.

    Returns:
        The transform (None: Pillow's plain formula) and the warning that says so.
    """
    if icc is not None and kind_of(icc) == "CMYK":
        used = transform(icc, "CMYK")
        if used is not None:
            return used, "CMYK colours were converted to sRGB; the CMYK profile is not kept"
    return None, "CMYK colours without a usable profile were converted to RGB by a formula"
