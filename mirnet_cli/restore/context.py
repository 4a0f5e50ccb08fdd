"""Whole-picture context: the pooled vectors of a picture, put together from its tiles.

A network that pools over its whole input gives each tile gates of its own, and tiles then differ in
brightness and colour. Here the vectors are measured once for the picture and replayed in each tile.

``tile``
    each tile pools for itself;
``whole``
    one pass over the uncut picture measures, where memory allows;
``sample``
    a pass over patches of the picture at full scale measures;
``refine``
    as sample; then each pass over the tiles also measures, and passes are repeated until the
    vectors that went in are the vectors that come out. A vector depends on earlier ones only, so
    each pass makes at least one more of them exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import UsageError
from mirnet_cli.models.catalogue import CONTEXTS
from mirnet_cli.runtime import Record, Vectors


@dataclass(frozen=True)
class Refinement:
    """When refinement ends: when one more pass would change next to nothing.

    That is seen from the vectors or, because many of them hardly matter (docs/measurements.md),
    from a few tiles computed again with the new ones.

    Attributes:
        rounds: passes over the tiles, at most.
        settled: largest change of a vector's component between two passes, as a share of the
            vector's largest component, that counts as none.
        deviation: root mean square, over the tiles computed again, of what may still change; the
            picture's range is 1. The default is 83 dB.
        peak: largest change of a value there.
        probes: tiles that are computed again after a pass, at most; never more than one in eight,
            but for the first.
    """

    rounds: int = 5
    settled: float = 1e-6
    deviation: float = 7e-5
    peak: float = 0.5 / 255
    probes: int = 8

    def probed(self, tiles: int) -> list[int]:
        """Which of so many tiles are computed again: a few, evenly spread."""
        count = min(self.probes, max(tiles // 8, 1))
        return [(2 * i + 1) * tiles // (2 * count) for i in range(count)]


_INT8_DEVIATION = 5e-3


def refinement(precision: str) -> Refinement:
    """When refinement ends in a precision.

    In half precision other vectors round all features otherwise, and asking for more takes passes
    that bring little (docs/measurements.md). In 8-bit integers any difference,
    however small, ends as a step of theirs: results are as far apart as they are from float32's.
    """
    if precision == "fp32":
        return Refinement()
    if precision == "int8":
        return Refinement(deviation=_INT8_DEVIATION, peak=16 / 255)
    return Refinement(deviation=6e-4, peak=1.25 / 255)


def choose(context: str, default: str) -> str:
    """The context to use for ``--context``.

    Raises:
        UsageError: for a name that is none of :data:`mirnet_cli.models.catalogue.CONTEXTS`.
    """
    chosen = default if context == "auto" else context
    if chosen not in CONTEXTS:
        raise UsageError(f"unknown context {chosen!r}", f"use auto, {', '.join(CONTEXTS)}")
    return chosen


class Merger:
    """Merges the records of tiles into the picture's vectors.

    A record's vector counts with weight ``exp(log_weight)``: the number of pixels for a plain mean,
    the softmax's denominator for a weighted one. Sums are in float64, in the order given.
    """

    def __init__(self) -> None:
        self._sums: list[NDArray[np.float64]] = []
        self._weights: list[float] = []
        self._peaks: list[float] = []

    def add(self, record: Record) -> None:
        """Add one tile's ``(vector, log_weight)`` for each pool."""
        if not self._sums:
            self._sums = [np.zeros(vector.shape) for vector, _ in record]
            self._weights = [0.0] * len(record)
            self._peaks = [-math.inf] * len(record)
        for i, (vector, log_weight) in enumerate(record):
            if log_weight == -math.inf:
                continue
            # Weights are kept relative to the largest so far: exp(log_weight) may overflow.
            peak = max(self._peaks[i], log_weight)
            fade, weight = math.exp(self._peaks[i] - peak), math.exp(log_weight - peak)
            self._sums[i] = self._sums[i] * fade + vector.astype(np.float64) * weight
            self._weights[i] = self._weights[i] * fade + weight
            self._peaks[i] = peak

    def vectors(self) -> Vectors:
        """The merged vector of each pool, ``(F,)`` float32; none where the network has no pools."""
        return [
            (total / weight).astype(np.float32)
            for total, weight in zip(self._sums, self._weights, strict=True)
        ]


def change(before: Sequence[Vectors], after: Sequence[Vectors]) -> float:
    """The largest change of a vector, as a share of its largest component."""
    largest = 0.0
    for old_vectors, new_vectors in zip(before, after, strict=True):
        for old, new in zip(old_vectors, new_vectors, strict=True):
            size = max(float(np.abs(new).max()), 1e-6)
            largest = max(largest, float(np.abs(new - old).max()) / size)
    return largest
