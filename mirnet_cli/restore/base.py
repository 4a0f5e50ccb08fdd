"""What the network's residual is added to.

``input``
    the picture itself;
``bicubic``
    the picture enlarged (:func:`mirnet_cli.restore.resample.enlarge`);
``enlarged``
    the same, where the network itself works on the enlarged picture
    (:class:`mirnet_cli.restore.picture.Enlarged`), so that it is the picture itself again;
``none``
    nothing: the network gives the picture;
``guided``
    ``a * x + b`` for each channel, where ``a`` and ``b`` are found on a reduced picture: the
    coefficients of the guided filter that turns the reduced picture into what a second network
    makes of it, brought to full size bilinearly (He and Sun, "Fast guided filter", arXiv
    1505.00996; Wu et al., "Fast end-to-end trainable guided filter", CVPR 2018).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.restore.output_checks import Means, means
from mirnet_cli.restore.picture import Picture, Range, reflected
from mirnet_cli.restore.resample import BICUBIC_REACH, Floats, bilinear_at, enlarge


class Base(Protocol):
    """Something that gives the base of any rectangle, the same whatever the rectangle."""

    def at(self, x: Floats, rows: Range, columns: Range) -> Floats:
        """The base of a rectangle of the padded picture.

        Args:
            x: ``(h, w, 3)``: the picture there.
            rows, columns: where.

        Returns:
            ``(scale * h, scale * w, 3)``; may be ``x`` itself.
        """
        ...

    def means(self, x: Floats, rows: Range, columns: Range) -> Means | None:
        """The mean of each channel of :meth:`at`, about; None where nothing follows from it."""
        ...


@dataclass(frozen=True)
class InputBase:
    """The picture itself."""

    def at(self, x: Floats, rows: Range, columns: Range) -> Floats:
        return x

    def means(self, x: Floats, rows: Range, columns: Range) -> Means | None:
        return means(x)


@dataclass(frozen=True)
class NoBase:
    """Nothing, for a network that gives the picture itself."""

    def at(self, x: Floats, rows: Range, columns: Range) -> Floats:
        return np.zeros((*x.shape[:2], 3), np.float32)

    def means(self, x: Floats, rows: Range, columns: Range) -> Means | None:
        return None


@dataclass(frozen=True)
class BicubicBase:
    """The picture enlarged, its edge repeated beyond its borders."""

    picture: Picture
    scale: int

    def at(self, x: Floats, rows: Range, columns: Range) -> Floats:
        return enlarge(
            self.picture.clamped(_wider(rows), _wider(columns)),
            self.scale,
        )

    def means(self, x: Floats, rows: Range, columns: Range) -> Means | None:
        return means(x)


def _wider(span: Range) -> Range:
    return span[0] - BICUBIC_REACH, span[1] + BICUBIC_REACH


@dataclass(frozen=True)
class Guide:
    """How the reduced picture is brought back; radius and epsilon are those of the training.

    Attributes:
        side: longer side of the reduced picture, in pixels.
        radius: of the box means, in reduced pixels.
        epsilon: squared values of the 0..1 range. Where the picture's variance is well below it,
            the gain is the ratio of local means.
    """

    side: int = 256
    radius: int = 2
    epsilon: float = 1e-4


@dataclass(frozen=True)
class GuidedBase:
    """Coefficients of a reduced picture, applied to the full one.

    Attributes:
        coefficients: ``(h, w, 6)``: gains, then offsets.
        height, width: of the full picture.
    """

    coefficients: Floats
    height: int
    width: int

    def at(self, x: Floats, rows: Range, columns: Range) -> Floats:
        values = bilinear_at(
            self.coefficients,
            reflected(rows, self.height),
            reflected(columns, self.width),
            self.height,
            self.width,
        )
        base: Floats = values[..., :3] * x
        base += values[..., 3:]
        return base

    def means(self, x: Floats, rows: Range, columns: Range) -> Means | None:
        return means(self.at(x, rows, columns))


_DARK = 1e-2
"""Added to both means of the ratio: below it there is more coding noise than detail to brighten."""
_HIGHEST_GAIN = 32.0


def guided_base(picture: Picture, enhance: Callable[[Floats], Floats], guide: Guide) -> GuidedBase:
    """Find the coefficients for a picture.

    Args:
        picture: the full picture.
        enhance: the reduced picture ``(h, w, 3)`` to what it should look like.
        guide: sizes.
    """
    reduced = picture.reduced(guide.side)
    coefficients = guided_coefficients(reduced, enhance(reduced), guide.radius, guide.epsilon)
    return GuidedBase(np.concatenate(coefficients, axis=2), picture.height, picture.width)


def guided_coefficients(
    x: Floats, target: Floats, radius: int, epsilon: float
) -> tuple[Floats, Floats]:
    """Local affine coefficients, each channel guided by itself (He et al., ECCV 2010, eq. 5 and 6).

    One thing differs: where the guide is flat, the gain goes to the ratio of the means instead of
    to zero, so that the detail of dark places is brightened with them and not lost.

    Args:
        x, target: ``(h, w, 3)``.
        radius: of the box means; the edge is repeated beyond the borders.
        epsilon: what the variance of ``x`` has to exceed for its local slope to count.

    Returns:
        ``(a, b)``, each ``(h, w, 3)``, with ``a * x + b`` near ``target``; already averaged over
        the boxes that cover a pixel (eq. 8).
    """
    guide, wanted = x.astype(np.float64), target.astype(np.float64)
    mean_x, mean_target = _box(guide, radius), _box(wanted, radius)
    variance = _box(guide * guide, radius) - mean_x * mean_x
    covariance = _box(guide * wanted, radius) - mean_x * mean_target
    ratio = np.minimum((mean_target + _DARK) / (mean_x + _DARK), _HIGHEST_GAIN)
    a = (covariance + epsilon * ratio) / (variance + epsilon)
    b = mean_target - a * mean_x
    return _box(a, radius).astype(np.float32), _box(b, radius).astype(np.float32)


def _box(values: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    side = 2 * radius + 1
    means: NDArray[np.float64] = cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE)
    return means
