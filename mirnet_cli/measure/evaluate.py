"""Pairs of pictures to figures: as they are, restored, and by doing nothing."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import ExitCode, InputError, MirnetError
from mirnet_cli.measure import metrics
from mirnet_cli.measure.pairs import Pair
from mirnet_cli.photo.options import MAX_PIXELS

Pixels = NDArray[Any]
Restore = Callable[[Pixels, bytes | None], Pixels]


@dataclass(frozen=True)
class Scores:
    """Figures of one picture against its target.

    Attributes:
        psnr: in dB; infinite where the two are equal.
        ssim: 1 where the two are equal; ``None`` for pictures smaller than the window.
    """

    psnr: float
    ssim: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-like values; JSON knows no infinity, so ``identical`` says it."""
        identical = math.isinf(self.psnr)
        return {
            "psnr": None if identical else self.psnr,
            "ssim": self.ssim,
            "identical": identical,
        }


@dataclass(frozen=True)
class Row:
    """What came of one pair.

    Attributes:
        scores: of the result; ``None`` where it failed.
        baseline: of doing nothing (enlarging bicubically), where it was asked for.
        width, height: of the target in pixels; 0 where it failed before that was known.
        seconds: that restoring took; 0 where nothing was restored.
        warnings: what restoring had to say: fallbacks and the like.
        error: why there are no scores; empty otherwise.
    """

    pair: Pair
    scores: Scores | None = None
    baseline: Scores | None = None
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-like values."""
        return {
            "name": self.pair.name,
            "input": str(self.pair.input),
            "target": None if self.pair.target is None else str(self.pair.target),
            "status": "failed" if self.scores is None else "done",
            **(_NO_SCORES if self.scores is None else self.scores.as_dict()),
            "baseline": None if self.baseline is None else self.baseline.as_dict(),
            "width": self.width,
            "height": self.height,
            "seconds": round(self.seconds, 3),
            "warnings": list(self.warnings),
            "error": self.error or None,
        }


_NO_SCORES = {"psnr": None, "ssim": None, "identical": False}


@dataclass(frozen=True)
class Summary:
    """Means over pairs.

    Attributes:
        pairs: how many there are; ``failed`` of them without figures.
        identical: how many results equal their target; the mean PSNR leaves them out.
        psnr, ssim: means over the others, and over all that are large enough.
        baseline_psnr, baseline_ssim: the same of doing nothing.
        gain: mean of PSNR over doing nothing in dB, over pairs where both are finite.
        worse: how many results have a lower PSNR than doing nothing.
    """

    pairs: int
    failed: int
    identical: int
    psnr: float | None
    ssim: float | None
    baseline_psnr: float | None = None
    baseline_ssim: float | None = None
    gain: float | None = None
    worse: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-like values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def evaluate(
    pairs: Sequence[Pair],
    restore: Restore | None = None,
    *,
    scale: int = 1,
    baseline: bool = False,
    border: int = 0,
    luma: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Row]:
    """Measure each pair, one after the other; a pair that fails does not stop the others.

    Results are rounded to the input's depth before they are measured, as in a file.

    Args:
        restore: pixels and their ICC profile to pixels; ``None`` measures the inputs as they
            are, enlarged bicubically where ``scale`` says so.
        scale: sides of the target over sides of the input.
        baseline: measure doing nothing too.
        border: pixels on each side of the target that do not count.
        luma: measure luma in place of RGB.
        max_pixels: larger pictures fail before they are decoded.

    Raises:
        MirnetError: for what no other pair would survive either (weights, usage).
    """
    for pair in pairs:
        try:
            yield _measure(pair, restore, scale, baseline, border, luma, max_pixels)
        except MirnetError as error:
            if error.exit_code != ExitCode.FAILED:
                raise
            yield Row(pair, error=str(error))


def summarise(rows: Sequence[Row]) -> Summary:
    """Means over rows."""
    done = [row for row in rows if row.scores is not None]
    scores = [row.scores for row in done if row.scores is not None]
    both = [(row.scores, row.baseline) for row in done if row.scores and row.baseline]
    gains = [a.psnr - b.psnr for a, b in both if math.isfinite(a.psnr) and math.isfinite(b.psnr)]
    return Summary(
        pairs=len(rows),
        failed=len(rows) - len(done),
        identical=sum(math.isinf(each.psnr) for each in scores),
        psnr=_mean([each.psnr for each in scores]),
        ssim=_mean([each.ssim for each in scores]),
        baseline_psnr=_mean([b.psnr for _, b in both]),
        baseline_ssim=_mean([b.ssim for _, b in both]),
        gain=_mean(gains),
        worse=sum(a.psnr < b.psnr for a, b in both) if both else None,
    )


def bicubic(pixels: Pixels, scale: int) -> Pixels:
    """Pixels enlarged bicubically (Keys, a = -0.5) and rounded to their depth.

    Args:
        pixels: ``(H, W)`` or ``(H, W, 3)``; uint8, uint16 or float32 in 0..1.
    """
    if scale == 1:
        return pixels
    from mirnet_cli.restore.picture import Picture, store
    from mirnet_cli.restore.resample import BICUBIC_REACH, enlarge

    height, width = pixels.shape[:2]
    spans = [(-BICUBIC_REACH, side + BICUBIC_REACH) for side in (height, width)]
    values = np.clip(enlarge(Picture(pixels).clamped(*spans), scale), 0, 1)
    out = np.empty(values.shape, pixels.dtype)
    store(values, out)
    return out


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return fmean(finite) if finite else None


def _measure(
    pair: Pair,
    restore: Restore | None,
    scale: int,
    baseline: bool,
    border: int,
    luma: bool,
    max_pixels: int,
) -> Row:
    from mirnet_cli.photo import decode, probe

    if pair.problem or pair.target is None:
        raise InputError(pair.problem or "has no partner", subject=pair.input)
    headers = [probe(path, max_pixels=max_pixels) for path in (pair.input, pair.target)]
    _check_sizes(pair, (headers[0].width, headers[0].height), headers[1], scale, border)
    photo, wanted = (decode(path, max_pixels=max_pixels) for path in (pair.input, pair.target))
    source, target = photo.pixels, wanted.pixels
    plain = bicubic(source, scale) if baseline or restore is None else None
    seconds = 0.0
    said: tuple[str, ...] = ()
    if photo.metadata.icc != wanted.metadata.icc:
        said = ("its colour profile differs from its target's; only the numbers are compared",)
    if photo.alpha is not None or wanted.alpha is not None:
        said += ("transparency is not measured; hidden colours count",)
    if restore is None:
        result = plain
    else:
        started = perf_counter()
        result, more = _restored(partial(restore, source, photo.metadata.icc))
        said += more
        seconds = perf_counter() - started
    assert result is not None
    scores = _scores(result, target, border, luma)
    before = None
    if baseline and plain is not None:
        before = scores if result is plain else _scores(plain, target, border, luma)
    height, width = target.shape[:2]
    return Row(pair, scores, before, width, height, seconds, said)


def _restored(restore: Callable[[], Pixels]) -> tuple[Pixels, tuple[str, ...]]:
    """The result, and the warnings that came with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = restore()
    return result, tuple(str(each.message) for each in caught)


def _check_sizes(pair: Pair, size: tuple[int, int], target: Any, scale: int, border: int) -> None:
    expected = size[0] * scale, size[1] * scale
    if expected != (target.width, target.height):
        times = f" times {scale}" if scale != 1 else ""
        raise InputError(
            f"{size[0]}x{size[1]}{times} is not the target's {target.width}x{target.height}",
            "pairs must fit exactly; crop or reduce one of them, or give --scale",
            subject=pair.input,
        )
    if min(expected) <= 2 * border:
        what = f"a border of {border} leaves nothing of {expected[0]}x{expected[1]}"
        raise InputError(what, "use a smaller --border", subject=pair.input)


def _scores(result: Pixels, target: Pixels, border: int, luma: bool) -> Scores:
    first, second = (metrics.crop(each, border) for each in _alike(result, target))
    if luma:
        first, second = metrics.luma(first), metrics.luma(second)
    small = min(first.shape[:2]) < metrics.WINDOW
    return Scores(metrics.psnr(first, second), None if small else metrics.ssim(first, second))


def _alike(first: Pixels, second: Pixels) -> tuple[Pixels, Pixels]:
    """Both as RGB where one of them is."""
    if first.ndim < second.ndim:
        first = np.broadcast_to(first[..., None], second.shape)
    elif second.ndim < first.ndim:
        second = np.broadcast_to(second[..., None], first.shape)
    return first, second
