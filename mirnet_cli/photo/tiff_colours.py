"""Colours of a TIFF that are neither grey nor RGB, as RGB: palettes, CMYK, YCbCr, L*a*b*.

Sources: TIFF 6.0 sections 5, 16, 20, 21 and 23; Adobe, TIFF Technical Notes (ICC L*a*b*).
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from mirnet_cli.photo.codec import Raster
from mirnet_cli.photo.ifd import Directory, Reader
from mirnet_cli.photo.picture import Array
from mirnet_cli.photo.raster import bands, from_pillow, to_depth, upright
from mirnet_cli.photo.source import DamageError

_PALETTE, _SEPARATED, _YCBCR, _CIELAB = 3, 5, 6, 8
_FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
_REC_601 = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Colours:
    """Converts the samples of a directory with one of these photometric interpretations."""

    reader: Reader
    top: Directory
    photometric: int

    def raster(
        self,
        samples: Array,
        alpha: Array | None,
        orientation: int,
        icc: bytes | None,
        warnings: tuple[str, ...],
    ) -> Raster:
        """Samples as RGB, upright.

        Args:
            samples: height x width (indices) or height x width x colours, as stored.
            alpha: upright, or None.
            orientation: EXIF's, of the samples.
            icc: the picture's profile.
            warnings: of what has been found until now.
        """
        if self.photometric == _SEPARATED:
            if samples.dtype == np.uint16:
                warnings += ("its 16 bits were read as 8",)
                alpha = None if alpha is None else to_depth(alpha, "uint8")
            image = Image.fromarray(to_depth(samples, "uint8"), "CMYK")
            found = from_pillow(image, orientation, icc)
            return replace(found, alpha=alpha, warnings=warnings + found.warnings)
        from mirnet_cli.photo.space import lab_shown

        height, width = samples.shape[:2]
        table = self._palette() if self.photometric == _PALETTE else None
        target = np.uint8 if table is not None else samples.dtype
        pixels, stored = upright(height, width, 3, target, orientation)
        for top, bottom in bands(height, width):
            band = samples[top:bottom]
            if table is not None:
                if band.size and int(band.max()) >= len(table):
                    raise DamageError("its palette is shorter than its pixels say")
                stored[top:bottom] = table[band]
            elif self.photometric == _YCBCR:
                stored[top:bottom] = self._from_ycbcr(band)
            else:
                stored[top:bottom] = to_depth(lab_shown(self._lab(band)), samples.dtype.name)
        if table is not None and alpha is not None:
            alpha = to_depth(alpha, "uint8")
        lab = table is None and self.photometric != _YCBCR
        if lab:
            warnings += ("L*a*b* colours were converted to sRGB",)
        return Raster(pixels, alpha, profile_used=lab, warnings=warnings)

    def _palette(self) -> Array:
        """Entries x 3, 8 bits; some programs write 8-bit numbers into its 16 bits."""
        numbers = self.reader.integers(self.top.entries.get(320))
        if len(numbers) < 3:
            raise DamageError("it has no palette")
        count = len(numbers) // 3
        table = np.array(numbers[: 3 * count], np.uint16).reshape(3, count).T
        if table.max() > 255:
            table >>= 8
        return table.astype(np.uint8)

    def _lab(self, band: Array) -> Array:
        """L* 0..100, a* and b* about -128..127."""
        wide = band.dtype == np.uint16
        lab = band.astype(np.float32)
        if self.photometric == _CIELAB:
            lab[..., 1:] = band[..., 1:].view(np.int16 if wide else np.int8)
            lab[..., 0] *= 100 / (65535 if wide else 255)
        else:
            # ICC's encoding of 16 bits: L* 100 is 0xFF00, a* and b* 0 are 0x8000.
            lab[..., 1:] -= 0x8000 if wide else 128
            lab[..., 0] *= 100 / (0xFF00 if wide else 255)
        if wide:
            lab[..., 1:] /= 256
        return lab

    def _from_ycbcr(self, band: Array) -> Array:
        """8-bit RGB, by the file's coefficients and reference black and white, as libtiff does."""
        red, green, blue = self._rationals(529, _REC_601)
        ends = self._rationals(532, _FULL_RANGE)
        if not green or not red + green + blue or ends[0] == ends[1]:
            raise DamageError("the constants of its YCbCr colours make no colours")
        values = band.astype(np.float32)
        luma = (values[..., 0] - ends[0]) * (255 / (ends[1] - ends[0]))
        spans = (ends[3] - ends[2]) or 1, (ends[5] - ends[4]) or 1
        chroma = (
            (values[..., 1] - ends[2]) * (127 / spans[0]),
            (values[..., 2] - ends[4]) * (127 / spans[1]),
        )
        out = np.empty(band.shape, np.float32)
        out[..., 0] = luma + chroma[1] * (2 - 2 * red)
        out[..., 2] = luma + chroma[0] * (2 - 2 * blue)
        out[..., 1] = (luma - red * out[..., 0] - blue * out[..., 2]) / green
        return np.rint(np.clip(out, 0, 255)).astype(np.uint8)

    def _rationals(self, tag: int, default: tuple[float, ...]) -> tuple[float, ...]:
        entry = self.top.entries.get(tag)
        if entry is None or entry.count < len(default):
            return default
        if entry.kind != 5:
            found = self.reader.integers(entry)[: len(default)]
            return tuple(map(float, found)) or default
        parts = np.frombuffer(self.reader.value(entry), self.reader.order + "u4").reshape(-1, 2)
        return tuple(float(above) / float(below or 1) for above, below in parts[: len(default)])
