"""Global pooling that can be recorded and replayed.

MIRNet pools whole pictures into vectors (selective-kernel fusion, channel attention, context
blocks). A tile that pools by itself gets other gates than the picture it belongs to, and no overlap
hides that. So every pool of every network goes through a :class:`Pooling`, which measures the
vector, remembers it, or puts another one in its place. With the picture's own vectors in each tile,
tiles and whole picture agree.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


class Pooling:
    """How the pools of one forward pass get their vectors.

    Args:
        replay: one ``(N or 1, F)`` tensor for each pool, in the order in which the network
            calls them, to be used instead of what the features say; None measures.
        mask: ``(N, 1, H, W)`` weights at the input's size, which say what counts for a measurement
            (for a tile: its core, so that no pixel of the picture counts twice); None is all.
        record: remember what is measured in :attr:`recorded`. Needed only with ``mask`` or to
            take the vectors of a whole picture.

    Attributes:
        recorded: for each pool ``(vectors, log_weights)``, ``(N, F)`` and ``(N,)`` in float32.
            The vector of a picture made of tiles is the mean of the tiles' vectors weighted by
            ``exp(log_weight)``; this holds for plain means (the weight is the mask's sum) and for
            softmax-weighted ones (the weight is the softmax's denominator).
    """

    def __init__(
        self,
        replay: Sequence[Tensor] | None = None,
        mask: Tensor | None = None,
        record: bool = False,
    ) -> None:
        self._replay = replay
        self._mask = mask
        self._record = record
        self._calls = 0
        self._masks: dict[int, Tensor] = {}
        self.recorded: list[tuple[Tensor, Tensor]] = []

    def mean(self, features: Tensor) -> Tensor:
        """The mean over all positions.

        Args:
            features: ``(N, F, h, w)``.

        Returns:
            ``(N, F, 1, 1)`` in the dtype of ``features``; sums are taken in float32.
        """
        measured: Tensor | None = None
        if self._replay is None or self._record:
            measured = self._measure(features)
        return self._deliver(measured, features)

    def softmax_mean(self, features: Tensor, logits: Tensor) -> Tensor:
        """The mean over all positions, weighted by a softmax over all positions.

        Args:
            features: ``(N, F, h, w)``.
            logits: ``(N, 1, h, w)``.

        Returns:
            ``(N, F, 1, 1)`` in the dtype of ``features``; softmax and sums are taken in float32,
            because float16 loses the small weights of large pictures.
        """
        measured: Tensor | None = None
        if self._replay is None or self._record:
            scores = logits.flatten(2).float()
            if self._mask is not None:
                scores = scores + self._mask_at(features).flatten(2).log()
            denominator = scores.logsumexp(2)
            weights = (scores - denominator.unsqueeze(2)).exp()
            # Autocast would take the product in half precision, whatever it is given.
            with torch.autocast(features.device.type, enabled=False):
                measured = (features.flatten(2).float() @ weights.transpose(1, 2)).squeeze(2)
            if self._record:
                self.recorded.append((measured, denominator.squeeze(1)))
        return self._deliver(measured, features)

    def _measure(self, features: Tensor) -> Tensor:
        if self._mask is None:
            vector = features.mean((2, 3), dtype=torch.float32)
            count = vector.new_full((features.shape[0],), features.shape[2] * features.shape[3])
        else:
            mask = self._mask_at(features)
            count = mask.sum((1, 2, 3))
            vector = (features.float() * mask).sum((2, 3)) / count.unsqueeze(1)
        if self._record:
            self.recorded.append((vector, count.log()))
        return vector

    def _deliver(self, measured: Tensor | None, features: Tensor) -> Tensor:
        vector = measured if self._replay is None else self._replay[self._calls]
        self._calls += 1
        assert vector is not None
        return vector.to(features.dtype)[:, :, None, None]

    def _mask_at(self, features: Tensor) -> Tensor:
        assert self._mask is not None
        height = features.shape[2]
        if height not in self._masks:
            factor = self._mask.shape[2] // height
            mask = self._mask.float()
            self._masks[height] = mask if factor == 1 else F.avg_pool2d(mask, factor)
        return self._masks[height]
