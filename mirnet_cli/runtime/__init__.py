"""Where numbers are crunched: one protocol, one file for each runtime that speaks it.

Importing this package imports no runtime. A new runtime is one module with a function ``prepare``
like the one here, and one line in :data:`RUNTIMES`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import UsageError
from mirnet_cli.networks.spec import NetworkSpec

Floats = NDArray[np.float32]
Vectors = list[Floats]
"""One pooled vector ``(F,)`` for each pool of a network, in the order of its calls."""
Record = list[tuple[Floats, float]]
"""A vector and the logarithm of its weight for each pool of a network."""

RUNTIMES: dict[str, str] = {"torch": "mirnet_cli.runtime.torch_runtime"}
"""Name of each runtime and its module, the preferred first."""

KNOWN_RUNTIMES = ("torch", "openvino")
"""What ``--runtime`` takes besides ``auto``, here or not."""


class OutOfDeviceMemoryError(Exception):
    """The device has no memory for this batch; a smaller one may do."""


@dataclass(frozen=True)
class Output:
    """What a network makes of a batch.

    Attributes:
        residual: ``(N, 3, scale * H, scale * W)`` float32; to be added to the base.
        pooled: for each picture of the batch a record of its pools; empty without a mask.
    """

    residual: Floats
    pooled: list[Record] = field(default_factory=list)


class Runner(Protocol):
    """A network ready to run.

    Attributes:
        runtime: "torch", ...
        device: "cpu", "cuda:0", ...
        precision: "fp32", "fp16" or "bf16".
    """

    @property
    def runtime(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...

    def run(
        self,
        batch: Floats,
        context: Sequence[Floats] | None = None,
        mask: Floats | None = None,
    ) -> Output:
        """Runs the network.

        Args:
            batch: ``(N, C, H, W)`` float32 in 0..1; sides are multiples of the network's stride.
            context: vectors to use in place of what the batch would pool, the same for every
                picture of the batch.
            mask: ``(N, 1, H, W)``: pool, and record, over these weights.

        Raises:
            OutOfDeviceMemoryError: where the device's memory does not suffice.
        """
        ...


def prepare(
    spec: NetworkSpec,
    *,
    scale: int | None = None,
    runtime: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Runner:
    """Makes a network ready to run.

    Args:
        spec: the network.
        scale: which of its scales, where it has several.
        runtime: "auto" or a name of :data:`KNOWN_RUNTIMES`.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto", "fp32", "fp16" or "bf16".

    Raises:
        UsageError: for a runtime, device or precision that is unknown or not here.
        ModelError: for tensors that do not fit the family.
    """
    if runtime != "auto" and runtime not in KNOWN_RUNTIMES:
        raise UsageError(f"unknown runtime {runtime!r}", f"use auto, {' or '.join(KNOWN_RUNTIMES)}")
    if runtime != "auto" and runtime not in RUNTIMES:
        raise UsageError(f"the runtime {runtime} is not available", "use --runtime auto")
    name = next(iter(RUNTIMES)) if runtime == "auto" else runtime
    runner: Runner = import_module(RUNTIMES[name]).prepare(
        spec, scale=scale, device=device, precision=precision
    )
    return runner
