"""What a network does, found out by running it: the one module that only needs a function.

:func:`measure` is told what a file states (:class:`mirnet_cli.networks.described.Interface`) and
given something that runs the network, and tells the rest: scale, sizes, what its numbers mean, how
far it looks, whether tiles can agree with the whole.

The network's numbers are read in the way under which it behaves like a restoration: of small
photos that were made worse (reduced where it enlarges, with noise where it does not) it gives
back what is nearest to the photos as they were.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli.networks.described import RANGES, Interface, Measured, Reading
from mirnet_cli.runtime import Floats
from mirnet_cli.runtime.reading import colours, from_network, to_network

Run = Callable[[Floats], list[Floats]]
"""Runs the network: ``(1, C, H, W)`` in its own numbers to its outputs, each ``(1, C, h, w)``.

Raises ValueError for a size that it does not take."""

MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 3, 5, 6, 7, 12, 24, 48, 128)
_FEWEST = 48
"""Sides of the smallest pictures on which anything but sizes is measured."""
_LARGEST_SCALE = 16
_SIDES = (96, 192, 384)
"""Sides of pictures for the field; the next is used where it reaches through one."""
_PERIODS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
_NOTHING = 1e-4
"""Root mean square, of the range, of a change that is none: 80 dB."""
_NOISE = {"noisy": 15 / 255, "grainy": 50 / 255}
"""Standard deviation of noise; a network for one strength of it may do harm where it is another."""
_KINDS = ("noisy", "blurred", "noisy", "coded")
"""How photos are made worse for a network that keeps their size."""
_PREFERRED = 0.5
"""What another range than 0..1 has to be better by, in dB: networks without biases do as well in
any, and most are made for that one."""
_SAME = 0.05
"""What two ranges differ by, in dB, where a network is the same in both."""
_SWAPPED = 0.3
"""The same of another order of the channels than red first. Most networks do nearly as well in
either: of those that were tried, all for red first, one did by 0.15 dB better in the wrong one."""
_FAITHFUL = 20.0
"""PSNR in dB from which on it tells the order of the channels: a network that changes colours on
purpose may look better in the wrong one."""
_CAP = 45.0
_ALIKE = 0.6
"""Correlation of what comes out with a photo, both blurred, from which on it is a picture."""
_RESTORES = 14.0
"""PSNR in dB below which a result has little to do with what went in."""
_IMPROVES = 0.3
"""What a residual has to gain of a noisy photo, in dB."""
_CLEANS = 3.0
"""What it has to gain where the network seems to make pictures, too."""
_PATIENCE = 40.0
"""Seconds of processors after which what is left is measured on less."""


class UnfitError(ValueError):
    """The network is none for pictures, or cannot be run here; says why."""

    def __init__(self, why: str, needs: str = "") -> None:
        """Say why, and which library would run it."""
        super().__init__(why)
        self.needs = needs


def measure(
    run: Run,
    interface: Interface,
    photos: Sequence[Floats],
    *,
    settings: Mapping[str, float],
    range: str | None = None,
    bgr: bool | None = None,
    memory: Callable[[Callable[[], object]], int] | None = None,
) -> Measured:
    """Measure a network.

    Args:
        run: runs it.
        interface: what its file states.
        photos: ``(H, W, 3)`` in 0..1, of 192x192 pixels or more.
        settings: values of the settings that are channels of the picture.
        range, bgr: how its numbers are to be read, where that is known.
        memory: runs what it is given and returns how many bytes that took; None or 0 bytes where
            it cannot be told.

    Raises:
        UnfitError: where it is no network that makes pictures of pictures.
    """
    probe = _Probe(run, interface, photos, settings)
    probe.find_sizes()
    reading, psnr, second = probe.read(range, bgr)
    probe.reading = reading
    faults = probe.faults()
    repeatable = probe.repeatable()
    field, reach, everywhere = probe.field()
    period = probe.period(reach)
    agreement = probe.agreement(reach, period)
    taken = probe.memory(memory)
    return Measured(
        output=probe.output,
        scale=probe.scale,
        multiple=probe.multiple,
        fixed=probe.side(0) if interface.fixed else None,
        least=probe.least,
        reading=reading,
        psnr=round(psnr, 2),
        second=round(second, 2),
        field=field,
        reach=reach,
        everywhere=everywhere,
        agreement=None if agreement is None else round(agreement, 1),
        period=period,
        repeatable=repeatable,
        faults=faults,
        memory=taken,
        seconds=round(probe.seconds_a_megapixel, 2),
    )


def difference(
    runs: tuple[Run, Run],
    interface: Interface,
    photos: Sequence[Floats],
    *,
    settings: Mapping[str, float],
    measured: Measured,
) -> float:
    """How far two that run a network are from each other on a photo with noise.

    Args:
        runs: run it.
        interface, photos, settings: as for :func:`measure`.
        measured: of the first.

    Returns:
        The largest difference, where the range of pictures is 1, or where the numbers are larger,
        the largest of them; infinite where one gives no numbers, or others; 0 where the other does
        not take the size.
    """
    one, other = runs
    probe = _Probe(one, interface, photos, settings)
    probe.output, probe.scale, probe.reading = measured.output, measured.scale, measured.reading
    probe.multiple, probe.least = measured.multiple, measured.least
    x = _worse(
        probe.canvas(probe.side(64)[0], probe.side(96)[1]), "noisy", np.random.default_rng(3)
    )
    first = probe.raw(x, probe.reading)
    probe._run = other
    try:
        second = probe.raw(x, probe.reading)
    except ValueError:
        return 0.0
    low, high = RANGES[probe.reading.output_range]
    worst = 0.0
    for x, y in zip(first, second, strict=True):
        if x.shape != y.shape or not np.array_equal(np.isfinite(x), np.isfinite(y)):
            return math.inf
        known = np.isfinite(x)
        white = max(high - low, float(np.abs(y[known]).max(initial=0.0)))
        off = np.abs(x[known] - y[known]).max(initial=0.0)
        worst = max(worst, float(off) / white)
    return worst


class _Probe:
    """A network that is being measured; what is known of it grows from step to step."""

    def __init__(
        self,
        run: Run,
        interface: Interface,
        photos: Sequence[Floats],
        settings: Mapping[str, float],
    ) -> None:
        self._run = run
        self._interface = interface
        self._photos = photos
        self._settings = settings
        self._fixed = interface.fixed
        self._began = time.process_time()
        self.reading = Reading()
        self.output = 0
        self.scale = 1
        self.multiple = 1
        self.least = 1
        self.seconds_a_megapixel = 0.0

    def find_sizes(self) -> None:
        """Which sizes the network takes, and what it makes of them."""
        if self._fixed is not None:
            if not self._takes(*self._fixed):
                raise UnfitError(f"it does not take its own size ({self._why})")
            self.multiple, self.least = 1, 1
            return
        for multiple in MULTIPLES:
            # An odd multiple of it, and of nothing else that is likely.
            times = next(n for n in (1, 5, 7, 11, 13, 17, 25, 49, 53) if n * multiple >= _FEWEST)
            if self._takes(multiple * times, multiple * times):
                self.multiple = multiple
                break
        else:
            raise UnfitError(f"it takes no size that was tried ({self._why})")
        for least in (1, 8, 16, 32, _FEWEST):
            side = -(-least // self.multiple) * self.multiple
            if self._takes(side, side):
                self.least = side
                return
        self.least = _FEWEST

    _why = "no reason"

    def _takes(self, height: int, width: int) -> bool:
        """Whether a size is taken and gives a picture of a whole multiple of it."""
        x = np.full((1, self._interface.channels, height, width), 0.5, np.float32)
        try:
            outputs = self._run(x)
        except ValueError as error:
            self._why = " ".join(str(error).split())[:160] or "no reason"
            return False
        for index, made in enumerate(outputs):
            if made.ndim == 4 and self._fits(made.shape, height, width):
                self.output = index
                return True
        shown = ", ".join("x".join(map(str, made.shape)) for made in outputs[:3])
        self._why = f"{'x'.join(map(str, x.shape))} gives {shown}"
        return False

    def _fits(self, shape: tuple[int, ...], height: int, width: int) -> bool:
        wanted = (1,) if colours(self._interface) == 1 else (3, 4)
        if shape[0] != 1 or shape[1] not in wanted:
            return False
        for scale in range(1, _LARGEST_SCALE + 1):
            lost_rows, lost_columns = scale * height - shape[2], scale * width - shape[3]
            margin = lost_rows / (2 * scale)
            if lost_rows == lost_columns and 0 <= margin < height / 4 and margin == int(margin):
                if margin and not self._valid(scale, int(margin), height):
                    continue
                self.scale, self.reading = scale, replace(self.reading, margin=int(margin))
                return True
        return False

    def _valid(self, scale: int, margin: int, side: int) -> bool:
        """Whether the margin is the same at another size: else it is rounding, not a margin."""
        if self._fixed is not None:
            return True
        larger = side + 32
        try:
            x = np.full((1, self._interface.channels, larger, larger), 0.5, np.float32)
            made = self._run(x)[self.output]
        except ValueError:
            return False
        return bool(made.shape[2] == scale * (larger - 2 * margin))

    def side(self, wanted: int) -> tuple[int, int]:
        """The size nearest to a square of so many pixels a side, not less, that can be run."""
        if self._fixed is not None:
            margin = 2 * self.reading.margin
            return self._fixed[0] - margin, self._fixed[1] - margin
        side = max(wanted, self.least) + 2 * self.reading.margin
        side = -(-side // self.multiple) * self.multiple - 2 * self.reading.margin
        return side, side

    def apply(self, x: Floats, reading: Reading | None = None) -> Floats:
        """``(H, W, 3)`` in 0..1 to the network's picture, ``(s * H, s * W, 3)``."""
        reading = reading or self.reading
        raw = self.raw(x, reading)
        y = from_network(raw, None, reading)
        if reading.gives != "picture":
            y = y + x.transpose(2, 0, 1)
        return y.transpose(1, 2, 0)

    def raw(self, x: Floats, reading: Reading) -> list[Floats]:
        inputs = to_network(
            np.ascontiguousarray(x.transpose(2, 0, 1)), self._interface, reading, self._settings
        )
        return [self._run(np.ascontiguousarray(each))[self.output] for each in inputs]

    def canvas(self, height: int, width: int, photo: int = 0) -> Floats:
        """A photo of any size: mirrored at its borders as often as need be."""
        source = self._photos[photo % len(self._photos)]
        rows, columns = (
            _mirrored(side, length)
            for side, length in zip((height, width), source.shape[:2], strict=True)
        )
        made: Floats = source[rows][:, columns]
        return made

    def _cases(self) -> list["_Case"]:
        """Small photos made worse: reduced where the network enlarges, else in several ways."""
        height, width = self.side(64)
        generator = np.random.default_rng(1)
        cases = []
        for index in range(len(self._photos)):
            good = self.canvas(height * self.scale, width * self.scale, index)
            if self.scale > 1:
                poor = cv2.resize(good, (width, height), interpolation=cv2.INTER_AREA)
                cases.append(_Case("reduced", poor, good, 0.0))
                continue
            kind = _KINDS[index % len(_KINDS)]
            poor = _worse(good, kind, generator)
            cases.append(_Case(kind, poor, good, _psnr(poor, good)))
        if self.scale == 1:
            good = self.canvas(height, width)
            poor = _worse(good, "grainy", generator)
            cases.append(_Case("grainy", poor, good, _psnr(poor, good)))
        return cases

    def read(self, given: str | None, bgr: bool | None) -> tuple[Reading, float, float]:
        """How the numbers are to be read; PSNR in dB then, and under the best other range."""
        cases = self._cases()
        started = time.process_time()
        scores: dict[Reading, list[float]] = {}
        alike: dict[str, list[float]] = {}
        ranges = list(RANGES) if given is None else [given]
        first = replace(self.reading, bgr=bool(bgr))
        for range_, case in product(ranges, cases):
            reading = replace(first, range=range_, output_range=range_)
            raw = self.raw(case.poor, reading)
            for each in _outcomes(reading, self.scale):
                y = from_network(raw, None, each).transpose(1, 2, 0)
                if each == reading:
                    alike.setdefault(range_, []).append(_alike(y, case.good))
                y = y if each.gives == "picture" else y + case.poor
                scores.setdefault(each, []).append(_psnr(y, case.good))
        seconds = (time.process_time() - started) / (len(ranges) * len(cases))
        self.seconds_a_megapixel = seconds / (cases[0].poor.size / 3 / 1e6)
        gains = {
            each: gain
            for each, values in scores.items()
            if (gain := _gain(values, cases, each)) > _IMPROVES or each.gives == "picture"
        }
        pictures = [
            _usual(scores[each], cases)
            for each in gains
            if each.gives == "picture" and float(np.mean(alike[each.range])) > _ALIKE
        ]
        # Where it makes pictures of some kind, residuals next to nothing are none.
        if max(pictures, default=0.0) > _RESTORES:
            gains = {
                each: gain
                for each, gain in gains.items()
                if each.gives == "picture" or gain > _CLEANS
            }
        best = {
            range_: max(
                (each for each in gains if each.range == range_),
                key=lambda each: gains[each] + _bias(each),
            )
            for range_ in ranges
        }
        chosen = best[max(ranges, key=lambda range_: gains[best[range_]] + _bias(best[range_]))]
        if given is None and abs(gains[best["0..1"]] - gains[best["0..255"]]) < _SAME:
            # Without biases it does the same at any brightness: black is 0 then.
            chosen = best["0..1"]
        others = [scores[each] for range_, each in best.items() if range_ != chosen.range]
        second = max((_usual(values, cases) for values in others), default=0.0)
        psnr = _usual(scores[chosen], cases)
        if bgr is None and colours(self._interface) > 1 and psnr > _FAITHFUL:
            swapped = replace(chosen, bgr=True)
            gained = [
                _psnr(self.apply(case.poor, swapped), case.good) - before
                for case, before in zip(cases, scores[chosen], strict=True)
            ]
            if float(np.mean(gained)) > _SWAPPED and float(np.median(gained)) > 0:
                chosen, psnr = swapped, psnr + float(np.mean(gained))
        return chosen, psnr, second

    def _time_left(self, needed: float) -> bool:
        return time.process_time() - self._began + needed < _PATIENCE

    def faults(self) -> tuple[str, ...]:
        """Which extreme pictures give what is not finite."""
        height, width = self.side(32)
        noise = np.random.default_rng(2).random((height, width, 3), np.float32)
        pictures = {"black": np.zeros_like(noise), "white": np.ones_like(noise), "noise": noise}
        return tuple(name for name, x in pictures.items() if not np.isfinite(self.apply(x)).all())

    def repeatable(self) -> bool:
        x = self.canvas(*self.side(32))
        return bool(np.array_equal(self.apply(x), self.apply(x), equal_nan=True))

    def field(self) -> tuple[int | None, int, bool]:
        """How far the network looks: to where nothing, and next to nothing, comes from.

        Part of the picture is replaced by its negative, at its top and at its left, and single
        pixels by black, by white and by what is hardly another value; how far from there does the
        result change?
        """
        field, reach, everywhere = 0, 0, False
        for side in _SIDES:
            height, width = self.side(side)
            x = self.canvas(height, width)
            before = self.apply(x)
            spreads = [
                self._spread(before, x, changed, axis)
                for changed, axis in _changes(x, (height // 4, width // 4))
            ]
            field = max(far for far, _, _ in spreads)
            reach = max(near for _, near, _ in spreads)
            through = [whole for _, _, whole in spreads[:2]]
            everywhere = all(through)
            cost = self.seconds_a_megapixel * (2 * side) ** 2 * 8 / 1e6
            if not any(through) or self._fixed is not None or not self._time_left(cost):
                break
        limit = 3 * min(height, width) // 4 - 1
        return (None if any(through) else field), min(reach, limit), everywhere

    def _spread(
        self, before: Floats, x: Floats, changed: Floats, axis: int | None
    ) -> tuple[int, int, bool]:
        """How far a change of the input changes the output: at all, and by more than nothing.

        Args:
            before: the result for ``x``.
            x, changed: the picture, and the same changed.
            axis: the change is a band at the start of this axis; None for a single pixel.

        Returns:
            Both in input pixels, and whether the first reaches to the picture's end.
        """
        moved = np.abs(self.apply(changed) - before).max(axis=2)
        places = np.argwhere((x != changed).any(axis=2))
        last = places.max(axis=0)
        first = places.min(axis=0)
        rows, columns = (np.arange(side) // self.scale for side in moved.shape)
        away = [
            np.maximum(np.maximum(low - each, each - high), 0)
            for each, low, high in zip((rows, columns), first, last, strict=True)
        ]
        distance = np.maximum(away[0][:, None], away[1][None, :])
        most = int(distance.max())
        if axis is None:
            # Where one pixel is far from some borders and near to others, only what is near counts.
            most = int(min(*first, *(np.array(x.shape[:2]) - 1 - last)))
            moved = np.where(distance <= most, moved, 0)
        changed_at = distance[moved > 0]
        far = int(changed_at.max()) if changed_at.size else 0
        squares = np.bincount(distance.ravel(), np.square(moved, dtype=np.float64).ravel())
        counts = np.bincount(distance.ravel())
        # From outside in: the root mean square of all that is as far away or farther.
        beyond = np.sqrt(np.cumsum(squares[::-1]) / np.cumsum(counts[::-1]))[::-1]
        over = np.flatnonzero(beyond > _NOTHING)
        return far, (int(over[-1]) if over.size else 0), far >= most

    def period(self, reach: int) -> int:
        """How far a picture has to be moved for the result to be the same, moved."""
        height, width = self.side(_SIDES[0] if reach < 40 else _SIDES[1])
        margin = min(reach, min(height, width) // 2 - 8)
        canvas = self.canvas(height + _PERIODS[-1], width + _PERIODS[-1])
        still = self.apply(canvas[:height, :width])
        found: dict[int, float] = {}
        for period in _PERIODS:
            if period >= min(height, width) // 2 - margin:
                break
            moved = self.apply(canvas[period : period + height, period : period + width])
            s = self.scale
            low, high = (margin + period) * s, margin * s
            inner = still[low : (height * s) - high, low : (width * s) - high]
            other = moved[margin * s :, margin * s :][: inner.shape[0], : inner.shape[1]]
            found[period] = _rms(inner - other)
            if found[period] <= _NOTHING:
                return period
        if not found:
            return max(self.multiple, 1)
        # Where the whole picture counts, none is without a trace: the first that leaves little.
        least = min(found.values())
        return next((each for each, error in found.items() if error <= 1.5 * least), 1)

    def agreement(self, reach: int, period: int) -> float | None:
        """How equal two pictures come out where they show the same, in dB."""
        height, width = self.side(_SIDES[0] if reach < 20 else _SIDES[1])
        step = width // 2 // period * period
        if width - step <= 2 * reach or step == 0:
            reach = max((width - step) // 2 - 4, 0)
        canvas = self.canvas(height, width + step)
        s, shared = self.scale, width - step
        left = self.apply(canvas[:, :width])[:, step * s :]
        right = self.apply(canvas[:, step:])[:, : shared * s]
        inner = slice(reach * s, (shared - reach) * s)
        if shared - 2 * reach <= 0:
            return None
        error = _rms(left[:, inner] - right[:, inner])
        if not math.isfinite(error):
            return None
        return min(-20 * math.log10(max(error, 1e-9)), 150.0)

    def memory(self, taken: Callable[[Callable[[], object]], int] | None) -> int:
        """Bytes for each pixel, from how what is taken grows with the picture."""
        if taken is None or self._fixed is not None:
            return 0
        sizes = [self.side(side) for side in _SIDES[:2]]
        small, large = (taken(partial(self.apply, self.canvas(*size))) for size in sizes)
        pixels = [height * width for height, width in sizes]
        return max(large - small, 0) // (pixels[1] - pixels[0])


def _changes(x: Floats, sizes: tuple[int, int]) -> Iterator[tuple[Floats, int | None]]:
    """Pictures with a part changed, and the axis of the band that is; None for a pixel."""
    for axis, size in enumerate(sizes):
        changed = x.copy()
        band = changed.swapaxes(0, axis)[:size]
        np.subtract(1, band, out=band)
        yield changed, axis
    row, column = x.shape[0] // 2, x.shape[1] // 2
    for index, (shift, value) in enumerate(((0, 0.0), (3, 1.0), (5, None))):
        changed = x.copy()
        at = (row + shift, column - index)
        changed[at] = changed[at] * 0.98 + 0.01 if value is None else value
        if (changed == x).all():
            changed[at] = 0.5
        yield changed, None


def _outcomes(reading: Reading, scale: int) -> Iterator[Reading]:
    """What may have come out under a reading of what went in."""
    for range_ in RANGES:
        yield replace(reading, gives="picture", output_range=range_)
    if scale == 1:
        # What is added or taken off has the input's range: it would be nothing in a larger one.
        yield replace(reading, gives="residual")
        yield replace(reading, gives="noise")


@dataclass(frozen=True)
class _Case:
    """A small photo made worse.

    Attributes:
        kind: how.
        poor, good: ``(H, W, 3)``: what the network sees, and the photo.
        psnr: in dB, of the first against the second; 0 where their sizes differ.
    """

    kind: str
    poor: Floats
    good: Floats
    psnr: float


def _worse(good: Floats, kind: str, generator: np.random.Generator) -> Floats:
    if kind == "blurred":
        height, width = good.shape[:2]
        third = cv2.resize(good, (width // 3, height // 3), interpolation=cv2.INTER_AREA)
        blurred = cv2.resize(third, (width, height), interpolation=cv2.INTER_CUBIC)
        return _held(blurred)
    if kind == "coded":
        pixels = np.rint(good * 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 20])
        coded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
        return _held(coded.astype(np.float32) / np.float32(255))
    noise = generator.standard_normal(good.shape, np.float32) * np.float32(_NOISE[kind])
    return _held(good + noise)


def _held(x: Floats) -> Floats:
    held: Floats = np.clip(x, 0, 1)
    return held


def _gain(scores: Sequence[float], cases: Sequence[_Case], reading: Reading) -> float:
    """What is gained, in dB, where the photos were made worse in the way that it is best at.

    Of grain nearly anything that is made is better; what is added to it, or taken off, is not.
    """
    gained: dict[str, list[float]] = {}
    for score, case in zip(scores, cases, strict=True):
        if case.kind != "grainy" or reading.gives != "picture":
            gained.setdefault(case.kind, []).append(score - case.psnr)
    return max(float(np.mean(values)) for values in gained.values())


def _usual(scores: Sequence[float], cases: Sequence[_Case]) -> float:
    """Mean over the photos that were made worse a little."""
    paired = zip(scores, cases, strict=True)
    return float(np.mean([score for score, case in paired if case.kind != "grainy"]))


def _alike(y: Floats, good: Floats) -> float:
    """Correlation of two pictures' light and shade, -1 to 1; 0 where one has none."""
    side = min(8, *y.shape[:2])
    rough = [cv2.blur(np.nan_to_num(each), (side, side)).mean(axis=2).ravel() for each in (y, good)]
    first, second = (each - each.mean() for each in rough)
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / size if size > 1e-6 else 0.0


def _bias(reading: Reading) -> float:
    """What a reading is preferred by, in dB."""
    likely = _PREFERRED if reading.range == "0..1" else 0.0
    return likely + (_PREFERRED if reading.range == reading.output_range else 0.0)


def _mirrored(side: int, length: int) -> NDArray[np.int64]:
    """Which pixels of an axis make one of another length: those in the middle, mirrored at ends."""
    places = (np.arange(side) + max(length - side, 0) // 2) % (2 * length - 2)
    return np.minimum(places, 2 * length - 2 - places).astype(np.int64)


def _rms(difference: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def _psnr(y: Floats, good: Floats) -> float:
    border = min(8, min(y.shape[:2]) // 4)
    inner = slice(border, -border)
    difference = np.clip(np.nan_to_num(y[inner, inner]), -1, 2) - good[inner, inner]
    return min(-20 * math.log10(max(_rms(difference), 1e-9)), _CAP)
