"""One rectangle through a network: symmetries, and results that are not finite."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mirnet_cli.errors import ResultError
from mirnet_cli.restore.resample import Floats
from mirnet_cli.restore.symmetry import IDENTITY, Symmetry
from mirnet_cli.runtime import Output, Pools, Record, Runner, Vectors


@dataclass(frozen=True)
class Pooling:
    """Where a rectangle's pooled vectors come from, and whether they are recorded.

    Attributes:
        vectors: to replay, for each symmetry; None measures.
        mask: ``(h, w, 1)``: pool and record over these weights.
    """

    vectors: Sequence[Vectors] | None = None
    mask: Floats | None = None

    def seen(self, index: int, symmetry: Symmetry) -> Pools:
        """The same for the rectangle flipped or rotated."""
        replay = self.vectors[index] if self.vectors is not None else None
        mask = None if self.mask is None else _batch(symmetry.apply(self.mask))
        return Pools(replay or None, mask)


@dataclass
class Evaluator:
    """A network applied to rectangles of pictures.

    Attributes:
        runner: the network.
        safe: gives the same network in float32, for results that are not finite; None where the
            runner is that already.
        symmetries: the results for these flips and rotations are averaged.
        unsafe: how many rectangles had to be computed again in float32 so far.
    """

    runner: Runner
    safe: Callable[[], Runner] | None = None
    symmetries: Sequence[Symmetry] = IDENTITY
    unsafe: int = 0

    def __call__(self, x: Floats, pooling: Pooling = Pooling()) -> tuple[Floats, list[Record]]:
        """Run the network.

        Args:
            x: ``(h, w, C)``.
            pooling: where pooled vectors come from.

        Returns:
            The residual ``(scale * h, scale * w, 3)``, to which the caller may write, and for each
            symmetry a record of its pools (none without a mask).

        Raises:
            ResultError: where the result is not finite in float32 either.
            OutOfDeviceMemoryError: from the runner.
        """
        return self._averaged(self._finite, x, pooling)

    def measure(self, x: Floats, mask: Floats) -> list[Record]:
        """Only what a call records: for each symmetry its pools, over a mask ``(h, w, 1)``."""
        pooling, records = Pooling(mask=mask), []
        for index, symmetry in enumerate(self.symmetries):
            pools = replace(pooling.seen(index, symmetry), residual=False)
            records += self._finite(_batch(symmetry.apply(x)), pools).pooled
        return records

    def again(self, x: Floats, pooling: Pooling = Pooling()) -> tuple[Floats, list[Record]]:
        """Like a call, in float32: for results that are finite but faulty."""
        runner = self.runner if self.safe is None else self.safe()

        def run(batch: Floats, pools: Pools) -> Output:
            output = runner.run(batch, pools)
            if not _is_finite(output):
                raise _not_finite()
            return output

        return self._averaged(run, x, pooling)

    def _averaged(
        self, run: Callable[[Floats, Pools], Output], x: Floats, pooling: Pooling
    ) -> tuple[Floats, list[Record]]:
        total: Floats | None = None
        records: list[Record] = []
        for index, symmetry in enumerate(self.symmetries):
            output = run(_batch(symmetry.apply(x)), pooling.seen(index, symmetry))
            residual = symmetry.undo(output.residual[0].transpose(1, 2, 0))
            total = residual if total is None else np.add(total, residual, out=_writable(total))
            records += output.pooled
        assert total is not None
        if len(self.symmetries) > 1:
            total /= np.float32(len(self.symmetries))
        return _writable(total), records

    def _finite(self, batch: Floats, pools: Pools) -> Output:
        output = self.runner.run(batch, pools)
        if _is_finite(output):
            return output
        if self.safe is not None:
            self.unsafe += 1
            output = self.safe().run(batch, pools)
            if _is_finite(output):
                return output
        raise _not_finite()


class Nothing:
    """Evaluates to no residual, for bases that are all there is; see :class:`Evaluator`."""

    symmetries: Sequence[Symmetry] = IDENTITY
    unsafe = 0

    def __call__(self, x: Floats, pooling: Pooling = Pooling()) -> tuple[Floats, list[Record]]:
        """Nothing to add."""
        return np.zeros((*x.shape[:2], 3), np.float32), []

    def measure(self, x: Floats, mask: Floats) -> list[Record]:
        """Nothing to record."""
        return []

    def again(self, x: Floats, pooling: Pooling = Pooling()) -> tuple[Floats, list[Record]]:
        """The same."""
        return self(x, pooling)


def _not_finite() -> ResultError:
    return ResultError(
        "the network's result is not finite, not even in float32",
        "the picture or the weights do not suit this network; try another model",
    )


def _batch(x: Floats) -> Floats:
    return x.transpose(2, 0, 1)[None]


def _writable(x: Floats) -> Floats:
    return x if x.flags.writeable else x.copy()


def _is_finite(output: Output) -> bool:
    # A sum is finite only if every term is, short of overflow, which 0..1 residuals cannot reach.
    return bool(np.isfinite(output.residual.sum(dtype=np.float64))) and all(
        bool(np.isfinite(vector).all()) for record in output.pooled for vector, _ in record
    )
