"""Two photos as pictures that can be compared on a screen: 8 bits, sRGB, of one size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import InputError
from mirnet_cli.photo import decode
from mirnet_cli.photo.options import MAX_PIXELS
from mirnet_cli.photo.screen import Pixels as Pixels
from mirnet_cli.photo.screen import encoded as encoded
from mirnet_cli.photo.screen import fitted as fitted
from mirnet_cli.photo.screen import jpeg as jpeg
from mirnet_cli.photo.screen import png as png
from mirnet_cli.photo.screen import shown as shown

CROP = 360
"""Side of a crop at 100 %, in pixels."""

_TOLERANCE = 0.01
_BLACK, _WHITE = 12, 235


@dataclass(frozen=True)
class Pair:
    """Before and after, of one size.

    Attributes:
        before, after: pixels.
        note: how ``before`` was brought to the size of ``after``, if it was.
    """

    before: Pixels
    after: Pixels
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.after.shape[1], self.after.shape[0]


@dataclass(frozen=True)
class Detail:
    """A part of the picture shown at 100 %, and why it was chosen."""

    left: int
    top: int
    width: int
    height: int
    why: str

    def cut(self, pixels: Pixels) -> Pixels:
        """The part of ``pixels``."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def read_pair(
    before: Path,
    after: Path,
    *,
    max_pixels: int = MAX_PIXELS,
    crop: tuple[int, int, int, int] | None = None,
) -> Pair:
    """Decode two photos for the screen.

    The first is enlarged or reduced (bicubic, or area where it shrinks) if only its size differs.

    Args:
        before, after: the files.
        max_pixels: larger ones are refused before they are decoded.
        crop: (x, y, width, height), the part of the first that the second shows.

    Raises:
        InputError: one cannot be read, or they have different shapes.
    """
    first = shown(decode(before, max_pixels=max_pixels))
    if crop is not None:
        x, y, across, down = crop
        first = first[y : y + down, x : x + across]
    second = shown(decode(after, max_pixels=max_pixels))
    height, width = second.shape[:2]
    old_height, old_width = first.shape[:2]
    if (old_width, old_height) == (width, height):
        return Pair(first, second)
    wider, higher = width / old_width, height / old_height
    if abs(wider / higher - 1) > _TOLERANCE + 2 / min(width, height, old_width, old_height):
        raise InputError(
            f"{width}x{height} pixels do not show the same as {old_width}x{old_height}",
            "compare pictures of the same shape",
            subject=after,
        )
    how = cv2.INTER_CUBIC if wider > 1 else cv2.INTER_AREA
    resized = np.asarray(cv2.resize(first, (width, height), interpolation=how), np.uint8)
    word = "enlarged by bicubic interpolation" if wider > 1 else "reduced"
    return Pair(resized, second, f"before is {old_width}x{old_height}, {word} for this page")


def difference(pair: Pair) -> Pixels:
    """Absolute difference of each sample."""
    return np.asarray(cv2.absdiff(pair.before, pair.after), np.uint8)


def amplification(change: Pixels) -> int:
    """A power of two that makes all but the largest thousandth of the difference just visible."""
    counts = np.bincount(change.ravel()[:: max(1, change.size // 4_000_000)], minlength=256)
    share = np.cumsum(counts) / counts.sum()
    high = int(np.searchsorted(share, 0.999))
    return max(1, min(64, 1 << (255 // max(high, 1)).bit_length() - 1))


def psnr(pair: Pair) -> float:
    """Peak signal-to-noise ratio between the two, in dB; infinite if they are equal."""
    total = 0.0
    for top in range(0, pair.after.shape[0], 256):
        step = pair.before[top : top + 256].astype(np.int32) - pair.after[top : top + 256]
        total += float(np.square(step).sum(dtype=np.float64))
    if not total:
        return float("inf")
    return float(10 * np.log10(255.0**2 * pair.after.size / total))


def details(pair: Pair, change: Pixels, wanted: Sequence[tuple[int, int]] = ()) -> list[Detail]:
    """Where to look at 100 %: the places asked for, or the telling ones.

    Args:
        pair: the pictures.
        change: their difference.
        wanted: centres as (x, y) in pixels; if there are none, the centre of the picture and the
            places with the most change, with the most detail, and a smooth one are taken.
    """
    width, height = pair.size
    across, down = min(CROP, width), min(CROP, height)

    def around(x: float, y: float, why: str) -> Detail:
        left = int(min(max(x - across / 2, 0), width - across))
        top = int(min(max(y - down / 2, 0), height - down))
        return Detail(left, top, across, down, why)

    if wanted:
        return [around(x, y, f"at {x}, {y}") for x, y in wanted]
    columns, rows = max(1, width // across), max(1, height // down)
    changed = _cells(change.max(axis=2), columns, rows)
    detail = _cells(_gradient(pair.after), columns, rows)
    light = _cells(cv2.cvtColor(pair.after, cv2.COLOR_RGB2GRAY), columns, rows)
    # Nothing can be seen in a white or black area, however smooth it is.
    smooth = np.where((light > _BLACK) & (light < _WHITE), detail, np.inf)
    candidates = [
        ("most change", int(changed.argmax())),
        ("most detail", int(detail.argmax())),
        ("smooth", int((smooth if np.isfinite(smooth).any() else detail).argmin())),
    ]
    found = [around(width / 2, height / 2, "centre")]
    for why, cell in candidates:
        row, column = divmod(cell, columns)
        new = around((column + 0.5) * width / columns, (row + 0.5) * height / rows, why)
        if all(abs(new.left - o.left) + abs(new.top - o.top) > across // 2 for o in found):
            found.append(new)
    return found


def _gradient(pixels: Pixels) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S)), np.uint8)


def _cells(values: NDArray[np.uint8], columns: int, rows: int) -> NDArray[np.float32]:
    small = cv2.resize(values.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(rows, columns)


def tones(pixels: Pixels, bins: int) -> list[list[int]]:
    """How many in a thousand pixels have each value of red, green and blue, in so many steps."""
    found = []
    for channel in range(3):
        counts, _ = np.histogram(pixels[..., channel], bins=bins, range=(0, 256))
        found.append([round(1000 * int(count) / pixels[..., channel].size) for count in counts])
    return found


def side_by_side(pair: Pair, gap: int = 8) -> Pixels:
    """Before and after in one picture, one beside the other or, if wide, one above the other."""
    height, width = pair.after.shape[:2]
    if width > height * 1.6:
        out = np.full((2 * height + gap, width, 3), 255, np.uint8)
        out[:height], out[height + gap :] = pair.before, pair.after
    else:
        out = np.full((height, 2 * width + gap, 3), 255, np.uint8)
        out[:, :width], out[:, width + gap :] = pair.before, pair.after
    return out
