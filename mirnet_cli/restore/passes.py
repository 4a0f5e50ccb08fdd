"""Passes of a network over the tiles of a picture, and the result band by band."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.restore import output_checks
from mirnet_cli.restore.base import BicubicBase
from mirnet_cli.restore.blend import Finished, Stitcher
from mirnet_cli.restore.context import Merger, Refinement, change
from mirnet_cli.restore.evaluate import Pooling
from mirnet_cli.restore.gamut import in_own_space
from mirnet_cli.restore.light import LightBase
from mirnet_cli.restore.options import StepOptions
from mirnet_cli.restore.patches import sample
from mirnet_cli.restore.picture import Picture, copied, store
from mirnet_cli.restore.prepared import Prepared
from mirnet_cli.restore.resample import Floats
from mirnet_cli.restore.tiles import Tile, TilePlan
from mirnet_cli.runtime import Record, Vectors

Report = Callable[[int, int], None]
"""Told how many runs of the network are done, of how many."""

Contexts = list[Vectors]
"""The vectors of a picture, for each symmetry."""

_BAND = 256
"""Rows that are finished at a time, so that temporary floats stay few."""


_PROBED = 3
"""Every so many rows and columns of a residual are compared between passes."""

_NOTHING = np.empty((0, 0, 3), np.float32)


class Progress:
    """Counts network runs for a callback that takes (done, total).

    The total may grow: how many passes refinement needs is seen only on the way.
    """

    def __init__(self, report: Report | None, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0

    def expect(self, further: int) -> None:
        """Announce how many steps are still to come, at least."""
        self._total = max(self._total, self._done + further)

    def step(self) -> None:
        """One network run is done."""
        self._done += 1
        if self._report is not None:
            self._report(self._done, max(self._total, self._done))

    def finish(self) -> None:
        """All is done, in fewer steps than announced perhaps."""
        if self._report is not None and self._done < self._total:
            self._report(self._total, self._total)


@dataclass(frozen=True)
class Cut:
    """How a picture is cut, and by what it is restored.

    Attributes:
        plan: the tiles.
        overlap: that they were to have.
        limit: pixels that one run may take while it records.
        quality: which of two sets of weights computes; None where there is one.
    """

    plan: TilePlan
    overlap: int
    limit: int
    quality: str | None = None


class Passes:
    """A picture on its way through a network.

    Attributes:
        cut: how the picture is cut.
        watch: looks at the network's results.
    """

    def __init__(
        self,
        network: Prepared,
        picture: Picture,
        out: NDArray[Any],
        cut: Cut,
        options: StepOptions,
        report: Report | None,
    ) -> None:
        """Compute what the residual is added to.

        Args:
            network: what computes.
            picture: what comes in, as the network sees it.
            out: what goes out, ``(scale * H, scale * W[, 3])``; filled band by band.
            cut: how the picture is cut.
            options: what the result is like.
            report: told of every run of the network.
        """
        self.cut, self.watch = cut, network.watch()
        self._network, self._picture, self._out, self._options = network, picture, out, options
        self._plan = cut.plan
        self._base, self._unsafe = network.base(picture, options, self.watch)
        self._evaluate = network.evaluator(cut.quality, options.ensemble)
        self._progress = Progress(report, len(cut.plan))

    @property
    def ev(self) -> float | None:
        """Stops of light that the picture is given; None where the network knows no amount."""
        return self._base.ev if isinstance(self._base, LightBase) else None

    @property
    def unsafe(self) -> int:
        """How many results had to be computed again in float32 so far."""
        return self._unsafe + self._evaluate.unsafe

    def run(self, context: str, refinement: Refinement) -> bool:
        """Restore the picture.

        Args:
            context: one of :data:`mirnet_cli.models.catalogue.CONTEXTS`.
            refinement: when refinement ends.

        Returns:
            Whether one more pass would change next to nothing; true where nothing was refined.

        Raises:
            OutOfDeviceMemoryError: where a smaller tile may do; what has been written is then to be
                overwritten.
            ResultError: where the network's result is not finite, or not of this picture.
        """
        converged = self._passes(context, refinement)
        self._progress.finish()
        return converged

    def _passes(self, context: str, refinement: Refinement) -> bool:
        if self._plan.whole or context == "tile":
            self._sweep(None, record=False)
            return True
        contexts, exact = self._whole() if context == "whole" else self._sample()
        if context != "refine" or exact or not any(contexts):
            self._sweep(contexts, record=False)
            return True
        for _ in range(refinement.rounds):
            probes = dict.fromkeys(refinement.probed(len(self._plan)), _NOTHING)
            self._progress.expect(len(self._plan) + len(probes))
            measured = self._sweep(contexts, record=True, probes=probes)
            if change(contexts, measured) <= refinement.settled or self._agree(
                probes, measured, refinement
            ):
                return True
            contexts = measured
        return False

    def _agree(
        self, probes: Mapping[int, Floats], contexts: Contexts, refinement: Refinement
    ) -> bool:
        """Whether other vectors leave some tiles what they were."""
        squares, values = 0.0, 0
        for index, tile in enumerate(self._plan):
            if index not in probes:
                continue
            # Recorded as the probes were: in half precision other kinds of runs round otherwise.
            residual, _ = self._evaluate(self._seen(tile), Pooling(contexts, _core(tile)))
            self._progress.step()
            moved = np.abs(residual[::_PROBED, ::_PROBED] - probes[index])
            if float(moved.max()) > refinement.peak:
                return False
            squares += float(np.square(moved, dtype=np.float64).sum())
            values += moved.size
        return squares <= refinement.deviation**2 * values

    def _whole(self) -> tuple[Contexts, bool]:
        rows, columns = (0, self._plan.rows.padded), (0, self._plan.columns.padded)
        x = self._input(self._picture.padded(rows, columns), rows, columns)
        return self._measure(x, np.ones((*x.shape[:2], 1), np.float32)), True

    def _sample(self) -> tuple[Contexts, bool]:
        size = (self._plan.rows.padded, self._plan.columns.padded)
        chosen = sample(*size, self.cut.overlap, self._plan.stride, self.cut.limit)
        if chosen is None:
            return self._whole()
        lines = [
            [
                self._input(self._picture.padded(rows, columns), rows, columns)
                for columns in chosen.columns
            ]
            for rows in chosen.rows
        ]
        mosaic = np.concatenate([np.concatenate(line, axis=1) for line in lines])
        return self._measure(mosaic, chosen.mask()), False

    def _measure(self, x: Floats, mask: Floats) -> Contexts:
        records = self._evaluate.measure(x, mask)
        self._progress.step()
        return [[vector for vector, _ in record] for record in records]

    def _sweep(
        self,
        contexts: Contexts | None,
        *,
        record: bool,
        probes: dict[int, Floats] | None = None,
    ) -> Contexts:
        """One pass over the tiles, which writes the result.

        Args:
            contexts: vectors to replay.
            record: whether to measure vectors too.
            probes: indices of tiles of which a part of the residual is to be put here.

        Returns:
            The vectors it measured.
        """
        stitcher = Stitcher(self._plan, self._network.scale)
        mergers = [Merger() for _ in self._evaluate.symmetries]
        for index, tile in enumerate(self._plan):
            x = self._seen(tile)
            pooling = Pooling(contexts, _core(tile) if record else None)
            residual, records = self._plausible(tile, x, pooling)
            for merger, measured in zip(mergers, records, strict=False):
                merger.add(measured)
            if probes is not None and index in probes:
                # Before stitching, which writes to the residual.
                probes[index] = residual[::_PROBED, ::_PROBED].copy()
            self._finish(stitcher.add(tile, residual), tile, x)
            self._progress.step()
        return [merger.vectors() for merger in mergers]

    def _plausible(self, tile: Tile, x: Floats, pooling: Pooling) -> tuple[Floats, list[Record]]:
        """The residual of a tile, computed again in float32 where it is not of this picture."""
        seen = output_checks.means(x)
        before = seen[:3]
        base = (
            seen[3:] if self._network.base_beside else self._base.means(x, tile.rows, tile.columns)
        )
        residual, records = self._evaluate(x, pooling)
        if base is None:
            return residual, records
        if self._network.whole:
            base = np.zeros_like(base)
        after = base + output_checks.means(residual)
        if self.watch.suspects(before, after):
            residual, records = self._evaluate.again(x, pooling)
            after_again = base + output_checks.means(residual)
            self._evaluate.unsafe += self.watch.better(before, after, after_again)
        return residual, records

    def _seen(self, tile: Tile) -> Floats:
        pixels = self._picture.padded(tile.rows, tile.columns)
        return self._input(pixels, tile.rows, tile.columns)

    def _input(self, pixels: Floats, rows: tuple[int, int], columns: tuple[int, int]) -> Floats:
        if not self._network.base_beside:
            return pixels
        return np.concatenate([pixels, self._base.at(pixels, rows, columns)], axis=2)

    @property
    def _plain(self) -> bool:
        """Whether the picture is three channels of sRGB."""
        return self._picture.space is None and not self._picture.grey

    def _finish(self, finished: Finished, tile: Tile, x: Floats) -> None:
        """Add base and residual, blend with the original, and write the pixels."""
        s = self._network.scale
        top, bottom = finished.rows[0], min(finished.rows[1], self._picture.height)
        margin = self._picture.margin
        left = max(finished.columns[0], margin)
        right = min(finished.columns[1], self._picture.width - margin)
        if left >= right:
            return
        across = slice(left - tile.columns[0], right - tile.columns[0])
        for start in range(top, bottom, _BAND):
            end = min(start + _BAND, bottom)
            part = x[start - tile.rows[0] : end - tile.rows[0], across]
            pixels = part[..., :3]
            residual = finished.values[
                (start - finished.rows[0]) * s : (end - finished.rows[0]) * s,
                (left - finished.columns[0]) * s : (right - finished.columns[0]) * s,
            ]
            if self._network.base_beside:
                base = part[..., 3:]
            elif self._network.whole and self._options.strength == 1 and self._plain:
                # Nothing is wanted of the original.
                base = np.zeros_like(residual)
            else:
                base = self._base.at(pixels, (start, end), (left, right))
                if self._network.whole:
                    residual = residual - base
            # Enlarged, the original is the base; beside it, "doing nothing" has no other meaning.
            original = base if s > 1 else pixels
            values = _restored(base, residual, original, self._options.strength, self._picture.grey)
            if self._picture.space is not None:
                shown = original[..., 0] if self._picture.grey else original
                rectangle = (start, end), (left, right)
                values = in_own_space(self._picture, values, np.clip(shown, 0, 1), *rectangle, s)
            columns = slice((left - margin) * s, (right - margin) * s)
            store(values, self._out[start * s : end * s, columns])


def enlarged(picture: Picture, scale: int, out: NDArray[Any]) -> None:
    """The picture without any network: itself, or enlarged bicubically.

    Args:
        picture: what comes in.
        scale: output pixels for each input pixel, along one axis.
        out: ``(scale * H, scale * W[, 3])``; filled band by band.
    """
    if scale == 1:
        copied(picture.pixels, out)
        return
    base = BicubicBase(picture, scale)
    columns = (picture.margin, picture.width - picture.margin)
    nothing = np.empty((0, 0, 3), np.float32)
    for start in range(0, picture.height, _BAND):
        rows = (start, min(start + _BAND, picture.height))
        values = np.clip(base.at(nothing, rows, columns), 0, 1)
        values = values[..., 0] if picture.grey else values
        if picture.space is not None:
            values = in_own_space(picture, values, values, rows, columns, scale)
        store(values, out[rows[0] * scale : rows[1] * scale])


def _restored(
    base: Floats, residual: Floats, original: Floats, strength: float, grey: bool
) -> Floats:
    """Base and residual as pixels in 0..1; one value for each pixel of a grey picture."""
    values: Floats = base + residual
    np.clip(values, 0, 1, out=values)
    if strength == 1 and not grey:
        return values
    original = np.clip(original, 0, 1)
    values -= original
    if grey:
        # The mean of what changed, not of the values: a pixel that no channel changes stays exact.
        values = values.mean(axis=2)
        original = original[..., 0]
    values *= np.float32(strength)
    values += original
    return np.clip(values, 0, 1, out=values)


def _core(tile: Tile) -> Floats:
    mask = np.zeros((*tile.shape, 1), np.float32)
    mask[
        tile.core_rows[0] - tile.rows[0] : tile.core_rows[1] - tile.rows[0],
        tile.core_columns[0] - tile.columns[0] : tile.core_columns[1] - tile.columns[0],
    ] = 1
    return mask
