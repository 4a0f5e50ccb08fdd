"""Where numbers are crunched: one protocol, one file for each runtime that speaks it.

Importing this package imports no runtime. A new runtime is one module with a function ``prepare``
like the one here, and one line in :data:`RUNTIMES`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mirnet_cli import extras
from mirnet_cli.errors import UsageError
from mirnet_cli.networks.described import FAMILY
from mirnet_cli.networks.spec import NetworkSpec

Floats = NDArray[np.float32]
Vectors = list[Floats]
"""One pooled vector ``(F,)`` for each pool of a network, in the order of its calls."""
Record = list[tuple[Floats, float]]
"""A vector and the logarithm of its weight for each pool of a network."""

RUNTIMES: dict[str, str] = {
    "openvino": "mirnet_cli.runtime.openvino_runtime",
    "onnxruntime": "mirnet_cli.runtime.onnxruntime_runtime",
    "torch": "mirnet_cli.runtime.torch_runtime",
}
"""Name of each runtime and its module.

A module has ``prepare``, and ``runs(spec, device, precision)``, which says whether it is to be
preferred to those after it. Importing it raises ImportError where its library is not here.
"""

_FOR_ONNX = ("onnxruntime", "openvino", "onnxruntime")
"""The preferred first: what a GPU, or no other, computes rightly; then OpenVINO on the CPU."""
_FOR_OTHERS = ("openvino", "torch")


@dataclass(frozen=True)
class Pools:
    """Where a run takes what it pools from, whether that is told, and whether all else is.

    Attributes:
        replay: vectors to use in place of what the batch would pool, the same for every picture of
            the batch; None measures.
        mask: ``(N, 1, H, W)``: pool, and record, over these weights.
        residual: whether it is wanted beside the record. Where it is not, a runtime that need not
            compute what only the residual needs gives an empty one.
    """

    replay: Sequence[Floats] | None = None
    mask: Floats | None = None
    residual: bool = True


OWN = Pools()
"""Each picture of a batch pools for itself, and nothing is recorded."""


class OutOfDeviceMemoryError(MemoryError):
    """The device has no memory for this batch; a smaller one may do."""


@dataclass(frozen=True)
class Output:
    """What a network makes of a batch.

    Attributes:
        residual: ``(N, 3, scale * H, scale * W)`` float32; to be added to the base. May be
            empty where it was not wanted.
        pooled: for each picture of the batch a record of its pools; empty without a mask.
    """

    residual: Floats
    pooled: list[Record] = field(default_factory=list)


class Runner(Protocol):
    """A network ready to run.

    Attributes:
        runtime: one of :data:`RUNTIMES`.
        device: "cpu", "cuda:0", ...
        precision: "fp32", "fp16", "bf16" or "int8".
    """

    @property
    def runtime(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...

    def run(self, batch: Floats, pools: Pools = OWN) -> Output:
        """Run the network.

        Args:
            batch: ``(N, C, H, W)`` float32 in 0..1; sides are multiples of the network's stride.
            pools: where pooled vectors come from.

        Raises:
            OutOfDeviceMemoryError: where the device's memory does not suffice.
            MirnetError: where the device fails.
        """
        ...

    def release(self) -> None:
        """Give back the memory that is held for further runs, which then take it again."""
        ...


def prepare(
    spec: NetworkSpec,
    *,
    scale: int | None = None,
    runtime: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Runner:
    """Make a network ready to run.

    Args:
        spec: the network.
        scale: which of its scales, where it has several.
        runtime: "auto" or a name of :data:`RUNTIMES`.
        device: "auto", "cpu", "cuda", "cuda:N", "mps" or "directml".
        precision: "auto", "fp32", "fp16", "bf16" or "int8".

    Raises:
        UsageError: for a runtime, device or precision that is unknown or not here.
        ModelError: for tensors that do not fit the family.
        OutOfDeviceMemoryError: where the device has no memory for the weights.
        MirnetError: where the device fails.
    """
    runner: Runner = _module(runtime, spec, device, precision).prepare(
        spec, scale=scale, device=device, precision=precision
    )
    return runner


def _module(runtime: str, spec: NetworkSpec, device: str, precision: str) -> ModuleType:
    """The module of a runtime; for "auto" the first that is here and runs such a network there."""
    if runtime == "auto":
        *preferred, last = _FOR_ONNX if spec.family == FAMILY else _FOR_OTHERS
        for name in preferred:
            module = _imported(name)
            if module is not None and module.runs(spec, device, precision):
                return module
        kind = device.partition(":")[0]
        if kind not in ("auto", "cpu") and last in extras.EXTRAS:
            extras.require(last, f"the device {kind}", subject=f"--device {device}")
        runtime = last
    if runtime not in RUNTIMES:
        raise UsageError(f"unknown runtime {runtime!r}", f"use auto, {' or '.join(RUNTIMES)}")
    module = _imported(runtime)
    if module is None:
        raise UsageError(f"the runtime {runtime} is not installed", extras.remedy(runtime))
    return module


def _imported(name: str) -> ModuleType | None:
    try:
        return import_module(RUNTIMES[name])
    except ImportError:
        return None
