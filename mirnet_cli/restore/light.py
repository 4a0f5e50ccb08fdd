"""More light, as much as is asked for: what a network for it gives, and how that becomes a base.

The network sees the reduced picture once. For each place it gives a curve: how many stops the place
gets when so many are asked for. Curves never fall, and their mean over what is dark is what was
asked for; so more stops are more light everywhere but in what is drawn to black, and none leave the
exposure as it is. Beside them come a small correction of colour and the amount that the picture
itself seems to ask for.

At full size the stops of a pixel follow from its own luminance, by the coefficients of a guided
filter (He and Sun, "Fast guided filter", arXiv 1505.00996) that were found on the reduced picture,
so that edges of the gain are those of the picture and tiles agree. Gains multiply linear light, all
channels alike; what is as dark as the darkest stays so, and nothing is driven into white.
"""

import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.photo.space import srgb_encoded, srgb_light
from mirnet_cli.restore.output_checks import Means
from mirnet_cli.restore.picture import Picture, Range, reflected
from mirnet_cli.restore.resample import Floats, bilinear_at
from mirnet_cli.values import HIGHEST_EV as HIGHEST
from mirnet_cli.values import LOWEST_EV as LOWEST

KNOTS = (0.0, 0.75, 1.75, 3.0, 4.5, 6.5)
"""Stops asked for between which a place's curve is straight."""

SIDE = 256
"""Longer side of the reduced picture, in pixels."""

_SEGMENTS = len(KNOTS) - 1
_RED, _GREEN, _BLUE = np.float32(0.2126), np.float32(0.7152), np.float32(0.0722)
"""Shares of the luminance (Rec. 709)."""
_SEEN = 1e-3
"""Linear light added before logarithms; a level of 8 bits is a third of it in the dark."""
CAST, COLOURFUL = 0.5, 0.7
"""Stops that red and blue can be moved, and the logarithm (base 2) of the chroma."""
_UNCLIPPED = 0.1
"""Below white, linear light of the darkest channel from which casts are corrected in full."""
FADE = 0.05
"""Share of the chroma that a stop takes: noise and saturation grow with the gain."""
PALEST = 0.7
_HUELESS = 4e-4
"""Linear light of which half of the chroma is believed where gains reveal it."""
_DARKEST = 0.006
"""Share of the pixels that are as dark as the darkest."""
_BLACKEST = 0.004
"""Linear light above which the darkest pixels are no black."""
_BLACK, _HIGHEST_BLACK, _LEAST_BLACK = 0.005, 1 / 6, 0.5
"""Share of the pixels that become black where black is set, the highest grey that does, and how far
it is set whatever the network says: gains make grey of it."""
_BOLD, _MILD, _MORE = 1.4, 0.45, 1.1
"""Share that is added to what a photo asks for beyond so many stops, and stops that are at most."""
_NEXT_TO_NOTHING, _LITTLE = 0.12, 0.2
"""Stops that are none, and from which on they are given in full."""
CONTRAST = 0.6
SET = 0.4
"""Stops from which black and contrast are set in full; at none the exposure is left as it is."""
_OPENED, _DEEP, _DIM = 1.5, -5.5, -2.5
"""Stops that shadows are opened or closed by at most, in full below one luminance (base 2), not
above the other."""
_BROUGHT, _FAIR, _BRIGHT = 1.2, -3.0, -0.3
"""The same of highlights: not below the first, in full above the second."""
_PLAIN = 5
"""Coefficients of a pixel without shadows and highlights."""
_KNEE, _WHITEST = 0.8, 0.97
"""Linear light of the brightest channel: gains fade from the first and end at the second."""
_RADIUS = 3
_EPSILON = 0.08
"""Of the guided filter: box means in reduced pixels; squared stops of luminance that count."""
_ORDERLY = 0.8
"""Share of the stops that follow from luminance alone, so that what was brighter stays brighter."""
_BINS = 24
_REACH = 2
"""Pixels around each that say what of it is noise."""
_NOISY = 1.8
"""Times the variance of the noise that has to be exceeded for any detail to be seen in it."""
_REVEALED = 2.0
"""Stops that reveal noise in full, so that all of it is taken away."""
_QUIET = 0.3 / 255
"""Noise, in units of white, that 8 bits have anyway."""
_GRAINY = 6.5 / 255
"""Noise that gains may make of it, before it is taken out."""
_SMOOTH, _STEEPEST = 1e-4, 2.5
"""Noise that counts as much where there is less, and times that it may grow where there is more:
what is taken for noise may be fine detail."""
_DIMMER = 0.4
"""Share of what is dark whose brightest black and contrast do not make darker than it was."""
_HALVINGS = 10
"""Of the share of black and contrast that is given: to a thousandth."""
_ANCHORED, _HIGHEST_ANCHORED = 0.01, 0.32
"""Share of the pixels that a toe then takes to black, and the highest that it does: the root of the
linear light of the brightest channel, so that a deep blue is no black."""
_KEPT = 0.25
"""Of that root as it was, which is left."""
_LONGEST, _STEEP = 3.0, 0.5
"""Times that root where the toe ends at the latest, and the root over that end at most: what is
darkest gets three times the contrast at most."""
_TOE, _POWER, _SLOPE = 0.0031308, 7 / 12, 1.055 / 2.4
"""The slope of the sRGB curve: 12.92 below that linear light, then ``slope * light ** -power``."""
_FLAT, _VARIED = 0.04, 0.12
"""Of the mean, how far apart nearly all values of a picture of 16 pixels are: where it is less than
the first there is nothing to see, noise aside, that could lack light or have a cast; the least of
760 photos has 0.25."""
_NEARLY_ALL = (0.01, 0.99)
_ICON, _SMALL = 16, 32
"""Pixels of the longer side of what is no photo, and of what may be one."""
_ALONE, _ROWS = 1 << 18, 64
"""Values that one thread computes, and rows that each of several takes at a time."""
_PATCH, _BLOCK = 96, 16
_SHADE = (4 / 255, 0.3)
"""Where noise is looked for: in blocks of patches of a 4x4 grid, if they are dark but not black."""


@dataclass(frozen=True)
class Wanted:
    """How much light a picture is to be given.

    Attributes:
        ev: stops, :data:`LOWEST` to :data:`HIGHEST`.
        shadows, highlights: more or less for what is then dark or bright, -1 to 1.
    """

    ev: float
    shadows: float = 0.0
    highlights: float = 0.0


def stops_for(wanted: float | str, asked: float) -> float:
    """Stops of light for a photo that itself asks for so many.

    Args:
        wanted: as :func:`mirnet_cli.values.ev` gives it.
        asked: 0 to :data:`HIGHEST`.
    """
    if not isinstance(wanted, str):
        return wanted
    # As it is told and written: whoever gives this value gets this picture.
    return round(min(max(asked + float(wanted.removeprefix("auto") or 0), LOWEST), HIGHEST), 2)


@dataclass(frozen=True)
class Answer:
    """What the network says of a picture.

    Attributes:
        slopes: ``(h, w, 5)``: stops of a place for each stop asked for, between the knots.
        colour: ``(h, w, 3)``: red and blue against green, and chroma, in -1 to 1.
        asked: stops that the picture itself asks for, 0 to :data:`HIGHEST`.
        black: how far black is to be set, 0 to 1.
        contrast: share of an S-shaped curve, 0 to 0.6.
        telling: how much of a photo the picture is, 0 to 1; see :func:`telling`.
    """

    slopes: Floats
    colour: Floats
    asked: float
    black: float
    contrast: float
    telling: float = 1.0


def seen(picture: Picture) -> Floats:
    """A picture as the network sees it: ``(h, w, 3)``, its longer side :data:`SIDE` pixels.

    Smaller ones are enlarged: what the network makes of things depends a little on their size.
    """
    reduced = picture.reduced(SIDE)
    height, width = reduced.shape[:2]
    scale = SIDE / max(height, width)
    if scale <= 1:
        return reduced
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    enlarged: Floats = cv2.resize(reduced, size, interpolation=cv2.INTER_LINEAR)
    return enlarged


def features(reduced: Floats) -> Floats:
    """What the network sees of a reduced picture: ``(h, w, 3)`` in sRGB -> ``(h, w, 4)``.

    The fourth is the logarithm of the luminance, about -1 (black) to 1 (white).
    """
    return np.concatenate([reduced, (_logarithm(reduced) + 5) / 5], axis=2)


def _luminance(light: Floats) -> Floats:
    # No product of matrices, whose rounding depends on how many rows there are.
    total: Floats = _RED * light[..., 0] + _GREEN * light[..., 1] + _BLUE * light[..., 2]
    return total


def luminance(pixels: Floats) -> Floats:
    """Linear luminance of sRGB: ``(h, w, 3)`` -> ``(h, w)``."""
    return _luminance(srgb_light(pixels))


def _logarithm(pixels: Floats) -> Floats:
    luminance = _luminance(srgb_light(pixels))
    logarithm: Floats = np.log2(luminance + np.float32(_SEEN))
    return logarithm[..., None]


def dark(luminance: Floats) -> Floats:
    """How much a pixel counts where stops are meant of what is dark: 0.0004 to 1.

    Args:
        luminance: linear light; below a grey of a quarter (sRGB) it is dark, and black is not.
    """
    shade = srgb_encoded(luminance)
    weight: Floats = np.clip((0.5 - shade) / 0.25, 0.02, 1)
    weight *= np.clip((shade - 0.006) / 0.02, 0.02, 1)
    return weight


def telling(picture: Picture, reduced: Floats) -> float:
    """How much of a photo a picture is, 0 to 1: plain colours and icons have no light to judge.

    Args:
        picture: the full picture.
        reduced: ``(h, w, 3)``: what the network sees of it, in sRGB.
    """
    height, width = reduced.shape[:2]
    times = min(_ICON / max(height, width), 1)
    size = max(round(width * times), 1), max(round(height * times), 1)
    tiny = cv2.resize(reduced, size, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    low, high = np.quantile(tiny, _NEARLY_ALL, axis=0)
    spread = float((high - low).max()) / max(float(tiny.mean()), 1 / 255)
    varied = (spread - _FLAT) / (_VARIED - _FLAT)
    side = picture.mirrored_from or max(picture.height, picture.width)
    large = (side - _ICON) / (_SMALL - _ICON)
    return min(max(varied, 0.0), 1.0) * min(max(large, 0.0), 1.0)


def answer(reduced: Floats, raw: Floats, share: float = 1.0) -> Answer:
    """The network's numbers as curves that mean stops.

    Args:
        reduced: ``(h, w, 3)``: what it saw, in sRGB.
        raw: ``(H, W, 11)``: what it gave, of half the size or more (padded at right and bottom).
        share: of what it says of itself; see :func:`telling`.
    """
    height, width = reduced.shape[:2]
    full = cv2.resize(raw, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)[:height, :width]
    slopes = np.logaddexp(full[..., :_SEGMENTS], np.float32(0))
    weight = dark(_luminance(srgb_light(reduced)))[..., None]
    mean = (slopes * weight).sum((0, 1), dtype=np.float64) / weight.sum(dtype=np.float64)
    slopes /= np.maximum(mean, 1e-3).astype(np.float32)
    asked, black, contrast = raw[0, 0, -3:].astype(float)
    return Answer(
        slopes=slopes,
        colour=np.float32(share) * np.tanh(full[..., _SEGMENTS:-3]),
        asked=share * _boldly(asked),
        black=share * _share(black),
        contrast=share * CONTRAST * _share(contrast),
        telling=share,
    )


def _boldly(asked: float) -> float:
    """What is given to a photo that the network expects to ask for so much.

    Next to nothing is nothing. Good photos count so much where the amount is learned that what does
    lack light is expected to ask for too little: beyond :data:`_MILD` stops that is made up for.
    """
    least = min(max((asked - _NEXT_TO_NOTHING) / (_LITTLE - _NEXT_TO_NOTHING), 0.0), 1.0)
    given = least * asked + min(_BOLD * max(asked - _MILD, 0.0), _MORE)
    return min(max(given, 0.0), HIGHEST)


def _share(value: float) -> float:
    return 0.5 + 0.5 * math.tanh(value / 2)


def stops(slopes: Floats, ev: float) -> Floats:
    """Stops of each place ``(h, w)`` where ``ev`` are asked for."""
    parts = [min(max(ev - low, 0.0), high - low) for low, high in pairwise(KNOTS)]
    # Beyond the last knot there is nothing to ask for.
    return slopes @ np.array(parts, np.float32)


@dataclass(frozen=True)
class LightBase:
    """A picture with so much more light, at any rectangle; see :class:`.base.Base`.

    Attributes:
        coefficients: ``(h, w, 5 or 7)``: stops for each stop of luminance, stops, and the colour;
            then the stops of shadows and highlights in the same way, where they are asked for.
        ev: stops asked for; below none the picture is darkened.
        darkest: linear luminance that stays what it is.
        black: brightness (sRGB) that becomes black.
        contrast: share of an S-shaped curve.
        toe: roots of the brightest channel's light: what is then taken from black's, and up to
            which any is taken.
        height, width: of the full picture.
        picture: it itself; None where noise is not to be taken out.
        noise: standard deviation of its noise where it is dark (sRGB, of white).
    """

    coefficients: Floats
    ev: float
    darkest: float
    black: float
    contrast: float
    height: int
    width: int
    toe: tuple[float, float] = (0.0, 1.0)
    picture: Picture | None = None
    noise: float = 0.0

    def at(self, x: Floats, rows: Range, columns: Range) -> Floats:
        if x.size < _ALONE:
            return self._at(x, rows, columns)
        result = np.empty_like(x)

        def part(start: int) -> None:
            end = min(start + _ROWS, len(x))
            within = rows[0] + start, rows[0] + end
            result[start:end] = self._at(x[start:end], within, columns)

        # NumPy lets go of the interpreter's lock while it computes.
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            deque(pool.map(part, range(0, len(x), _ROWS)), maxlen=0)
        return result

    def _at(self, x: Floats, rows: Range, columns: Range) -> Floats:
        values = bilinear_at(
            self.coefficients,
            reflected(rows, self.height),
            reflected(columns, self.width),
            self.height,
            self.width,
        )
        before = srgb_light(x)
        luminance = _luminance(before)
        gain = _gain(values, luminance)
        tilt = _tilt(values, luminance)
        if tilt is not None:
            gain += np.maximum(tilt, 0)
        if self.picture is not None:
            reach = (rows[0] - _REACH, rows[1] + _REACH), (columns[0] - _REACH, columns[1] + _REACH)
            calm = _denoised(self.picture.clamped(*reach), self.noise)
            calm -= x
            calm *= np.minimum(gain * np.float32(1 / _REVEALED), 1)[..., None]
            calm += x
            before = srgb_light(np.maximum(calm, 0, out=calm))
            luminance = _luminance(before)
            gain = _gain(values, luminance)
            tilt = _tilt(values, luminance)
            if tilt is not None:
                gain += np.maximum(tilt, 0)
        light = _coloured(before, luminance, values[..., 2:5], gain)
        light *= self._ratio(luminance, gain)[..., None]
        if self.toe[0] > 0:
            light *= _toed(_brightest(light), *self.toe)[..., None]
        _held(light, _brightest(before))
        if tilt is not None:
            _darkened(light, np.exp2(np.minimum(tilt, 0)))
        if self.ev < 0:
            _darkened(light, np.float32(2**self.ev))
        return srgb_encoded(np.clip(light, 0, 1, out=light))

    def means(self, x: Floats, rows: Range, columns: Range) -> Means | None:
        # It is all there is: no network adds to it what would have to be watched.
        return None

    def reduced(self, x: Floats) -> Floats:
        height, width = x.shape[:2]
        small = replace(self, height=height, width=width, picture=None)
        return small.at(x, (0, height), (0, width))

    def _ratio(self, luminance: Floats, gain: Floats) -> Floats:
        """Factor of each pixel's light: what lies above the darkest is multiplied by the gain."""
        floor = np.float32(1e-6)
        above = np.maximum(luminance - np.float32(self.darkest), 0)
        bright: Floats = luminance + above * (np.exp2(gain) - 1)
        if self.black > 0 or self.contrast > 0:
            bright = srgb_light(_toned(srgb_encoded(bright), self.black, self.contrast))
        return (bright + floor) / (luminance + floor)


def _toned(shade: Floats, black: float, contrast: float) -> Floats:
    """Brightness (sRGB) with black set and a share of an S-shaped curve."""
    shade = (shade - np.float32(black)) / np.float32(1 - black)
    np.maximum(shade, 0, out=shade)
    curved = np.minimum(shade, 1)
    curved = curved * curved * (3 - 2 * curved) - curved
    toned: Floats = shade + np.float32(contrast) * curved
    return toned


def _toed(brightest: Floats, depth: float, end: float) -> Floats:
    """Factor of light: of its root ``depth`` is taken at black, and ever less up to ``end``."""
    root = np.sqrt(brightest)
    left = np.maximum(1 - root * np.float32(1 / end), 0)
    toed = np.maximum(root - np.float32(depth) * left * left, 0)
    toed /= np.maximum(root, np.float32(1e-6))
    return toed * toed


def light_base(picture: Picture, reduced: Floats, said: Answer, wanted: Wanted) -> LightBase:
    """The base of a picture with so much more light.

    Args:
        picture: the full picture.
        reduced: the same reduced, ``(h, w, 3)`` in sRGB.
        said: what the network said of it.
        wanted: what is asked for.
    """
    guide = _logarithm(reduced)[..., 0].astype(np.float64)
    given = _orderly(guide, stops(said.slopes, max(wanted.ev, 0.0)).astype(np.float64))
    noise = noise_of(picture)
    rounding = _QUIET if picture.pixels.dtype == np.uint8 else 0.0
    given = np.minimum(given, _most(_luminance(srgb_light(reduced)), math.hypot(noise, rounding)))
    parts = [*_guided(guide, given)]
    tilted = bool(wanted.shadows or wanted.highlights)
    tilt = _tilted(guide + given, wanted) if tilted else given
    coefficients = [each[..., None] for each in parts] + [said.colour]
    if tilted:
        coefficients += [each[..., None] for each in _guided(guide, tilt)]
    darkest = float(np.quantile(_luminance(srgb_light(reduced)), _DARKEST))
    base = LightBase(
        np.concatenate(coefficients, axis=2, dtype=np.float32),
        ev=wanted.ev,
        darkest=min(darkest, _BLACKEST),
        black=0.0,
        contrast=0.0,
        height=picture.height,
        width=picture.width,
    )
    fully = min(max(wanted.ev / SET, 0.0), 1.0)
    if fully == 0 and wanted.shadows <= 0:
        return base
    before = _luminance(srgb_light(reduced))
    shown = _shown(base, reduced)
    grey = float(np.quantile(shown, _BLACK))
    black = fully * max(said.black, said.telling * _LEAST_BLACK) * min(grey, _HIGHEST_BLACK)
    contrast = fully * said.contrast
    # By the light alone: closed shadows are dark because they are to be.
    plain = replace(base, coefficients=base.coefficients[..., :_PLAIN])
    lit = _shown(plain, reduced) if tilted else shown
    share, middle = _no_darker(srgb_encoded(before), lit, dark(before), (black, contrast))
    tone = share * black, share * contrast
    toned = replace(base, black=tone[0], contrast=tone[1])
    was, now = (
        float(np.quantile(_brightest(srgb_light(each)), _ANCHORED)) ** 0.5
        for each in (reduced, toned.reduced(reduced))
    )
    less = said.telling * fully * max(now - _KEPT * was, 0.0)
    end = float(srgb_light(_toned(np.array([middle], np.float32), *tone))[0]) ** 0.5
    return replace(
        toned,
        toe=_toe(min(now, _HIGHEST_ANCHORED), less, end),
        picture=picture if noise > _QUIET else None,
        noise=noise,
    )


def _shown(base: LightBase, reduced: Floats) -> Floats:
    """Brightness (sRGB) of the reduced picture as the base gives it."""
    return srgb_encoded(_luminance(srgb_light(base.reduced(reduced))))


def _most(luminance: Floats, noise: float) -> NDArray[np.float64]:
    """Stops of places of this luminance that make no more of the noise than may be seen.

    Gains make noise stronger by the slope of what is shown over what was: most where it is dark.
    """
    times = max(_GRAINY / max(noise, _SMOOTH), _STEEPEST)
    light = np.maximum(luminance, 1e-5).astype(np.float64)
    before = np.where(light < _TOE, 12.92, _SLOPE * np.maximum(light, _TOE) ** -_POWER)
    risen = np.log2(times * before * light**_POWER / _SLOPE) / (1 - _POWER)
    # What is still in the straight part of the curve then.
    return np.maximum(risen, math.log2(times))


def _no_darker(
    before: Floats, lit: Floats, weight: Floats, tone: tuple[float, float]
) -> tuple[float, float]:
    """Share of black and contrast ``tone`` that leaves what is dark no darker than it was.

    Args:
        before, lit: brightness (sRGB) as it was, and with the gains.
        weight: how much each pixel counts.

    Returns:
        The share, and the brightness with the gains of the place that decides.
    """
    least, middle = (_quantile(each, weight) for each in (before, lit))
    low, high = 0.0, 1.0
    share = high
    for _ in range(_HALVINGS):
        if _toned(middle, *(share * each for each in tone)) >= least:
            low = share
        else:
            high = share
        share = (low + high) / 2 if low < high else high
    return low, float(middle[0])


def _toe(grey: float, less: float, end: float) -> tuple[float, float]:
    """The toe that makes ``grey`` by ``less`` darker, and a brighter one if it ends at ``end``."""
    end = min(end, _LONGEST * grey)
    if end <= 0:
        return 0.0, 1.0
    grey = min(grey, _STEEP * end)
    return min(grey, less) / (1 - grey / end) ** 2, end


def _quantile(values: Floats, weight: Floats) -> Floats:
    """The value that :data:`_DIMMER` of all weight lies below: ``(1,)``."""
    order = np.argsort(values, axis=None)
    summed = np.cumsum(weight.ravel()[order], dtype=np.float64)
    index = np.searchsorted(summed, _DIMMER * summed[-1])
    return values.ravel()[order[index : index + 1]]


def _tilted(level: NDArray[np.float64], wanted: Wanted) -> NDArray[np.float64]:
    """Stops more or less of places whose luminance is ``2 ** level`` once they are lit.

    Either curve changes by less than a stop in a stop: what was brighter stays brighter.
    """
    dark = _step((_DIM - level) / (_DIM - _DEEP))
    bright = _step((level - _FAIR) / (_BRIGHT - _FAIR))
    return wanted.shadows * _OPENED * dark + wanted.highlights * _BROUGHT * bright


def _step(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    risen: NDArray[np.float64] = x * x * (3 - 2 * x)
    return risen


def noise_of(picture: Picture) -> float:
    """The standard deviation of the noise in the dark parts of a picture (sRGB, of white).

    Of the smoothest blocks that are dark but not black; 0 where there are none.
    """
    height, width = min(_PATCH, picture.height), min(_PATCH, picture.width)
    found = []
    for i in range(4):
        for j in range(4):
            top = (picture.height - height) * i // 3
            left = (picture.width - width) * j // 3
            patch = picture.clamped((top, top + height), (left, left + width)).mean(axis=2)
            fine = patch - cv2.GaussianBlur(patch, (0, 0), 1.2)
            for row in range(0, height - _BLOCK + 1, _BLOCK):
                for column in range(0, width - _BLOCK + 1, _BLOCK):
                    block = np.s_[row : row + _BLOCK, column : column + _BLOCK]
                    if _SHADE[0] < patch[block].mean() < _SHADE[1]:
                        found.append(float(fine[block].std()))
    return float(np.quantile(found, 0.1)) if found else 0.0


def _denoised(wide: Floats, noise: float) -> Floats:
    """Local means, and of what differs from them what is more than noise (Lee, TPAMI 1980).

    Args:
        wide: the picture with a margin of :data:`_REACH` on each side.
        noise: standard deviation of its noise.

    Returns:
        Without the margin. Sums are in a fixed order, so that a part is as the whole.
    """
    grey = wide.mean(axis=2, keepdims=True)
    mean_grey = _local(grey)
    variance = _local(grey * grey) - mean_grey * mean_grey
    hidden = np.float32(_NOISY * noise**2)
    kept = np.maximum(variance - hidden, 0) / np.maximum(variance, hidden)
    mean = _local(wide)
    inner = wide[_REACH:-_REACH, _REACH:-_REACH]
    result: Floats = mean + kept * (inner - mean)
    return result


def _local(values: Floats) -> Floats:
    side = 2 * _REACH + 1
    height, width = values.shape[0] - side + 1, values.shape[1] - side + 1
    lines = values[:height].copy()
    for k in range(1, side):
        lines += values[k : k + height]
    total = lines[:, :width].copy()
    for k in range(1, side):
        total += lines[:, k : k + width]
    total *= np.float32(1 / side**2)
    return total


def _gain(values: Floats, luminance: Floats) -> Floats:
    """Stops of each pixel, by its own luminance."""
    gain: Floats = values[..., 0] * np.log2(luminance + np.float32(_SEEN)) + values[..., 1]
    return np.clip(gain, 0, KNOTS[-1], out=gain)


def _tilt(values: Floats, luminance: Floats) -> Floats | None:
    """Stops of each pixel for shadows and highlights; None where none are asked for."""
    if values.shape[2] == _PLAIN:
        return None
    tilt: Floats = values[..., 5] * np.log2(luminance + np.float32(_SEEN)) + values[..., 6]
    return np.clip(tilt, -_OPENED, _OPENED, out=tilt)


def _orderly(guide: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Stops drawn towards those of a curve of the luminance that rises throughout."""
    low, high = guide.min(), guide.max()
    width = max((high - low) / _BINS, 1e-6)
    bins = np.minimum(((guide - low) / width).astype(int), _BINS - 1).ravel()
    counts = np.bincount(bins, minlength=_BINS)
    means = np.bincount(bins, wanted.ravel(), minlength=_BINS)
    used = counts > 0
    centres = low + (np.flatnonzero(used) + 0.5) * width
    curve = np.maximum.accumulate(centres + means[used] / counts[used])
    alone = np.interp(guide, centres, curve) - np.clip(guide, centres[0], centres[-1])
    return wanted + _ORDERLY * (alone - wanted)


def _guided(
    guide: NDArray[np.float64], wanted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients with ``a * guide + b`` near ``wanted``, smooth where the guide is."""
    mean_guide, mean_wanted = _box(guide), _box(wanted)
    variance = _box(guide * guide) - mean_guide**2
    covariance = _box(guide * wanted) - mean_guide * mean_wanted
    a = covariance / (variance + _EPSILON)
    b = mean_wanted - a * mean_guide
    return _box(a), _box(b)


def _box(values: NDArray[np.float64]) -> NDArray[np.float64]:
    side = 2 * _RADIUS + 1
    means: NDArray[np.float64] = cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE)
    return means


def _coloured(light: Floats, luminance: Floats, colour: Floats, gain: Floats) -> Floats:
    """Light of other colours and the same luminance."""
    result = light.copy()
    # White is white, whatever lit it.
    least = np.minimum(np.minimum(light[..., 0], light[..., 1]), light[..., 2])
    cast = np.float32(CAST) * np.minimum((1 - least) * np.float32(1 / _UNCLIPPED), 1)
    for channel, value in ((0, colour[..., 0]), (2, colour[..., 1])):
        result[..., channel] *= np.exp2(cast * value)
    result *= (luminance / (_luminance(result) + np.float32(1e-6)))[..., None]
    chroma = np.exp2(np.float32(COLOURFUL) * colour[..., 2])
    chroma *= np.clip(1 - np.float32(FADE) * gain, PALEST, 1)
    # Of what is nearly black the colour is that of rounding.
    unsure = np.float32(_HUELESS) / (luminance + np.float32(_HUELESS))
    chroma *= 1 - unsure * np.minimum(gain * np.float32(1 / _REVEALED), 1)
    grey = luminance[..., None]
    result -= grey
    result *= chroma[..., None]
    result += grey
    return np.maximum(result, 0, out=result)


def _brightest(light: Floats) -> Floats:
    # Ten times as fast as the maximum along the last axis.
    return np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])


def _held(light: Floats, before: Floats) -> None:
    """Keeps the brightest channel from white, but for what it was before."""
    brightest = _brightest(light)
    knee, room = np.float32(_KNEE), np.float32(_WHITEST - _KNEE)
    over = np.maximum(brightest - knee, 0)
    curved = np.minimum(brightest, knee) + room * (1 - np.exp(-over / room))
    kept = np.maximum(curved, np.minimum(before, brightest))
    light *= (kept / np.maximum(brightest, np.float32(1e-6)))[..., None]


def _darkened(light: Floats, factor: Floats | np.float32) -> None:
    """Takes light away below white, which stays white."""
    brightest = np.minimum(_brightest(light), 1)
    light *= (factor / (1 - brightest + factor * brightest))[..., None]
