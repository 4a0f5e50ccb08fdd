"""Networks run by OpenVINO on the CPU, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.runtime import Floats, OutOfDeviceMemoryError, Output, Record
from mirnet_cli.runtime.devices import Device, choose_precision, cpu_title, only_cpu
from mirnet_cli.runtime.openvino_graph import GRAPHS, Pool, write
from mirnet_cli.runtime.openvino_library import openvino

_HINTS = {"fp32": "f32", "bf16": "bf16"}


@dataclass(frozen=True)
class _Compiled:
    """A graph ready to run: with or without replay, with or without record."""

    network: Any
    request: Any
    pools: tuple[Pool, ...]


class OpenVinoRunner:
    """A network on the CPU in one precision; see :class:`mirnet_cli.runtime.Runner`.

    Graphs are compiled when they are first needed: one for plain runs, others for runs that replay
    or record what is pooled.
    """

    runtime = "openvino"
    device = "cpu"

    def __init__(self, spec: NetworkSpec, scale: int | None, precision: str) -> None:
        self._spec = spec
        self._scale = scale
        self._core = openvino.Core()
        self._compiled: dict[tuple[bool, bool], _Compiled] = {}
        self.precision = precision
        # Whatever does not fit in the weights is found here, before any photo is read.
        self._get(replay=False, record=False)

    def run(
        self,
        batch: Floats,
        context: Sequence[Floats] | None = None,
        mask: Floats | None = None,
    ) -> Output:
        """Runs the network; see :meth:`mirnet_cli.runtime.Runner.run`."""
        try:
            return self._run(batch, context, mask)
        except MemoryError as error:
            raise OutOfDeviceMemoryError(str(error)) from error
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            raise OutOfDeviceMemoryError(str(error)) from error

    def _run(self, batch: Floats, context: Sequence[Floats] | None, mask: Floats | None) -> Output:
        compiled = self._get(replay=bool(context), record=mask is not None)
        inputs = [np.ascontiguousarray(batch, np.float32)]
        if context:
            inputs.append(np.concatenate(context)[None].astype(np.float32, copy=False))
        sums = None
        if mask is not None:
            sums = mask.sum((1, 2, 3), dtype=np.float64)
            shares = mask / np.maximum(sums, np.finfo(np.float32).tiny)[:, None, None, None]
            inputs.append(np.ascontiguousarray(shares, np.float32))
        results = list(compiled.request.infer(inputs, share_inputs=True).values())
        *measured, residual = results
        return Output(residual, [] if sums is None else _records(compiled.pools, measured, sums))

    def _get(self, *, replay: bool, record: bool) -> _Compiled:
        key = (replay, record)
        if key not in self._compiled:
            graph = write(self._spec, scale=self._scale, replay=replay, record=record)
            network = self._core.compile_model(graph.model, "CPU", _options(self.precision))
            request = network.create_infer_request()
            self._compiled[key] = _Compiled(network, request, graph.pools)
        return self._compiled[key]


def _options(precision: str) -> dict[str, Any]:
    return {
        # Without it OpenVINO takes bfloat16 wherever the CPU has it.
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        # Several processes would all pin their threads to the same cores.
        "ENABLE_CPU_PINNING": "NO",
        "CPU_DENORMALS_OPTIMIZATION": "YES",
    }


def _records(pools: Sequence[Pool], measured: Sequence[Floats], sums: Floats) -> list[Record]:
    """One record for each picture.

    Args:
        pools: of the graph.
        measured: its outputs but the residual.
        sums: of each picture's mask, ``(N,)``.
    """
    if not pools:
        return [[] for _ in sums]
    ends = np.cumsum([pool.channels for pool in pools])
    records: list[Record] = []
    for index, total in enumerate(sums):
        vectors = np.split(measured[-1][index], ends[:-1])
        # The softmax's weights were those of a mask that sums to 1.
        area = float(np.log(total)) if total > 0 else -np.inf
        weighted = iter(measured[0][index] if len(measured) > 1 else ())
        weights = [
            area - 2 * float(np.log(pool.factor)) + (float(next(weighted)) if pool.weighted else 0)
            for pool in pools
        ]
        records.append(list(zip(vectors, weights, strict=True)))
    return records


def _is_out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return any(sign in text for sign in ("bad_alloc", "bad alloc", "allocate", "out of memory"))


def cpu() -> Device:
    """The CPU as OpenVINO sees it."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # BF16 is listed only where the CPU has instructions for it.
    precisions = ("fp32", "bf16") if "BF16" in capabilities else ("fp32",)
    return Device("cpu", cpu_title(), None, precisions)


def runs(family: str, device: str) -> bool:
    """Whether networks of a family run here on what ``--device`` says."""
    return family in GRAPHS and only_cpu(device)


def prepare(spec: NetworkSpec, *, scale: int | None, device: str, precision: str) -> OpenVinoRunner:
    """Writes the network down and compiles it; see :func:`mirnet_cli.runtime.prepare`."""
    if device.strip().lower() not in ("auto", "cpu"):
        raise UsageError(
            f"openvino does not compute on {device}", "use --device cpu, or --runtime torch"
        )
    family = FAMILIES.get(spec.family)
    if family is None:
        raise ModelError(f"unknown network family {spec.family!r}", "update mirnet")
    if spec.family not in GRAPHS:
        raise UsageError(f"openvino does not run {family.title}", "use --runtime torch")
    place = cpu()
    half = tuple(each for each in family.half_precision if each in place.precisions)
    if precision == "auto":
        chosen = half[0] if half else "fp32"
    else:
        chosen = choose_precision(precision, place, family.half_precision, family.name)
    if scale is not None and scale not in family.scales(spec.config):
        has = ", ".join(str(each) for each in family.scales(spec.config))
        raise ModelError(f"this network has no scale {scale}", f"it has {has}")
    return OpenVinoRunner(spec, scale, chosen)
