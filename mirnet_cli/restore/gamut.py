"""sRGB results of a network, brought into the space of the photo they belong to.

A network is shown the nearest sRGB colours. What a photo has beyond them (the difference of its own
samples from those of the colours shown) is set aside and added to the result, scaled as the
pixel's brightness was: colours outside sRGB stay outside, samples that a network does not change
stay exactly what they were.
"""

import numpy as np

from mirnet_cli.restore.picture import Picture, Range, clamped
from mirnet_cli.restore.resample import BICUBIC_REACH, Floats, enlarge

_DARK = 1e-2
"""Added to both sides of the ratio of brightnesses, so that noise in the dark makes no gains."""
_MOST = 8.0


def in_own_space(
    picture: Picture, values: Floats, original: Floats, rows: Range, columns: Range, scale: int
) -> Floats:
    """The result for a rectangle, in the space of the picture.

    Args:
        picture: what comes in, in a space of its own.
        values: ``(scale * h, scale * w[, 3])`` the result in sRGB, 0..1.
        original: the same of what the network was shown, enlarged if need be.
        rows, columns: where, in the picture.
        scale: output pixels for each input pixel, along one axis.

    Returns:
        Of the shape of ``values``, 0..1.
    """
    assert picture.space is not None
    reach = BICUBIC_REACH if scale > 1 else 0
    rest = picture.beyond(
        clamped((rows[0] - reach, rows[1] + reach), picture.height),
        clamped((columns[0] - reach, columns[1] + reach), picture.width),
    )
    if scale > 1:
        rest = enlarge(rest, scale)
    gain = _brightness(values) / _brightness(original)
    np.clip(gain, 1 / _MOST, _MOST, out=gain)
    rest *= gain if picture.grey else gain[..., None]
    rest += picture.space.encoded(values)
    return np.clip(rest, 0, 1, out=rest)


def _brightness(values: Floats) -> Floats:
    mean: Floats = values if values.ndim == 2 else values.mean(axis=2)
    return mean + np.float32(_DARK)
