"""A network in numpy that pools twice, and weights that name it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mirnet_cli.models.weights import Weights
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.runtime import OWN, Floats, Output, Pools, Vectors


def smooth(x: np.ndarray) -> np.ndarray:
    """A 3x3 filter with zeros beyond the border, as convolutions have; not symmetric."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    h, w = x.shape[1:]
    taps = [(0, 0, 0.1), (0, 1, 0.2), (1, 0, 0.15), (1, 1, 0.4), (1, 2, 0.05), (2, 1, 0.1)]
    return sum(k * padded[:, i : i + h, j : j + w] for i, j, k in taps)


@dataclass
class FakeRunner:
    """Two filters, a step on blocks of the stride, and a pool after each filter.

    One input pixel reaches ``stride + 1`` pixels far when the pools are held fixed.
    """

    stride: int = 8
    scale: int = 1
    precision: str = "fp32"
    runtime: str = "fake"
    device: str = "cpu"
    spoil: Callable[[Floats, int], Output | None] = lambda batch, run: None
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    measured: int = 0
    released: int = 0

    def run(self, batch: Floats, pools: Pools = OWN) -> Output:
        context, mask = pools.replay, pools.mask
        self.shapes.append(batch.shape)
        self.measured += mask is not None
        assert batch.dtype == np.float32
        assert batch.shape[2] % self.stride == 0
        assert batch.shape[3] % self.stride == 0
        spoiled = self.spoil(batch, len(self.shapes))
        if spoiled is not None:
            return spoiled
        outputs = [
            self._one(x.astype(np.float64), context, None if mask is None else mask[i, 0])
            for i, x in enumerate(batch)
        ]
        return Output(
            np.stack([residual for residual, _ in outputs]).astype(np.float32),
            [record for _, record in outputs] if mask is not None else [],
        )

    def release(self) -> None:
        self.released += 1

    def _one(
        self, x: np.ndarray, context: Sequence[Floats] | None, mask: np.ndarray | None
    ) -> tuple[np.ndarray, list[tuple[Floats, float]]]:
        record: list[tuple[Floats, float]] = []
        weights = np.ones(x.shape[1:]) if mask is None else mask.astype(np.float64)

        def pool(features: np.ndarray) -> np.ndarray:
            vector = (features * weights).sum((1, 2)) / weights.sum()
            record.append((vector.astype(np.float32), float(np.log(weights.sum()))))
            if context is not None:
                vector = context[len(record) - 1].astype(np.float64)
            return vector[:, None, None]

        features = smooth(x)
        features = features * (0.5 + pool(features))
        s = self.stride
        blocks = features.reshape(len(x), x.shape[1] // s, s, x.shape[2] // s, s).mean((2, 4))
        features = smooth(features + blocks.repeat(s, 1).repeat(s, 2) ** 2)
        features = features - pool(features * features)
        residual = 0.3 * features[-3:]
        if self.scale > 1:
            pattern = 1 + 0.1 * np.arange(self.scale)
            residual = residual.repeat(self.scale, 1).repeat(self.scale, 2)
            residual *= np.tile(pattern, x.shape[1])[:, None]
            residual *= np.tile(pattern[::-1], x.shape[2])
        return residual, record


def make_weights(
    *,
    stride: int = 8,
    scales: tuple[int, ...] = (1,),
    base: str | None = None,
    inputs: int = 3,
    context: str = "refine",
    overlap: int | None = None,
    known: bool = False,
) -> Weights:
    """Weights of the compact family with this stride (4 or 8); a guided base has a thumbnail."""
    config = {"widths": [8, 8, 8], "unshuffle": stride // 4, "inputs": inputs, "scales": [*scales]}
    # Memory is planned from the first layer's shape.
    first = np.zeros((8, inputs * (stride // 4) ** 2, 3, 3), np.float16)
    tensors = {"conv_in.weight": first}
    thumbnail = {"widths": [8, 8, 8], "unshuffle": stride // 4, "side": 24}
    base = base or ("bicubic" if max(scales) > 1 else "input")
    return Weights(
        name="fake",
        path=Path("fake.safetensors"),
        sha256="0" * 64,
        task="upscale" if max(scales) > 1 else "enhance",
        scales=scales,
        licence="CC0-1.0",
        network=NetworkSpec("compact", config, tensors, "0" * 64),
        thumbnail=NetworkSpec("compact", thumbnail, {}, "0" * 64) if base == "guided" else None,
        base=base,
        context=context,
        overlap=overlap,
        known=known,
    )


def photo_like(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """Smooth shapes and noise, uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + c) * np.cos(7 * y * (c + 1)) for c in range(channels)]
    values = 0.5 + 0.35 * np.stack(waves, 2) + 0.05 * random.standard_normal((height, width, 1))
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


__all__ = ["FakeRunner", "Vectors", "make_weights", "photo_like"]
