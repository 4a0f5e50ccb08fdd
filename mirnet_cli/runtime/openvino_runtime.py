"""Networks run by OpenVINO on the CPU, without torch."""

import contextlib
import ctypes
import io
import os
import platform
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from mirnet_cli import extras, settings
from mirnet_cli.errors import MirnetError, ModelError, UsageError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.networks.described import FAMILY, Measured
from mirnet_cli.networks.spec import LEVELS, MOST
from mirnet_cli.runtime import OWN, Floats, OutOfDeviceMemoryError, Output, Pools, Record
from mirnet_cli.runtime.compiled import LARGEST, Entry, Shelf, fingerprint
from mirnet_cli.runtime.devices import Device, choose_precision, cpu_title, integers_of, only_cpu
from mirnet_cli.runtime.openvino_graph import Graph, Pool, levels, write, writes
from mirnet_cli.runtime.openvino_library import openvino, ops

AUTO_BF16 = ("compact",)
"""Families that run in bfloat16 unless asked otherwise, where the CPU computes in it.

Half the time, for never more than one level after rounding to 8 bits with the weights that ship. Of
trained networks of other families nothing is known (docs/measurements.md).
"""

_MOST_KEPT = 8
"""Graphs that one process writes for later runs; each takes 8 MB (compact network)."""

_HINTS = {"fp32": "f32", "bf16": "bf16"}

_COMPUTE_BF16 = ("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX10")
"""What names of instructions begin with that bfloat16 is among."""


@dataclass(frozen=True)
class _Kind:
    """What a graph is for.

    Attributes:
        replay, record: whether pooled vectors come in, or go out.
        shape: of batches.
        residual: whether it goes out.
    """

    replay: bool
    record: bool
    shape: tuple[int, ...]
    residual: bool = True


@dataclass(frozen=True)
class _Compiled:
    """A graph ready to run.

    Attributes:
        kind: what it is for.
        request: runs it.
        pools: of the graph.
    """

    kind: _Kind
    request: Any
    pools: tuple[Pool, ...]


class OpenVinoRunner:
    """A network on the CPU in one precision; see :class:`mirnet_cli.runtime.Runner`.

    One graph is compiled at a time, of the kind last needed (plain, recording, replaying, both) and
    for the size last needed: a compiled graph keeps the memory of its features, and another one
    would take as much again. Compiling takes as long as two thirds of a megapixel (compact
    network), and a third of that where the graph is known from an earlier run.
    """

    runtime = "openvino"
    device = "cpu"

    def __init__(self, spec: NetworkSpec, scale: int | None, precision: str) -> None:
        self._spec = spec
        self._scale = scale
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_start_over, weakref.ref(self)))
        self._shelf = Shelf(settings.cache_or_nowhere() / "compiled")
        self._kept = 0
        self.precision = precision
        # Whatever does not fit in the weights is found here, before any photo is read.
        write(spec, scale=scale, replay=False, record=False, integers=precision == "int8")

    def _begin(self) -> None:
        # Compiling and running switch flushing of denormals on in the thread that calls them, and
        # let no signal through: neither may happen to the caller's.
        self._worker = ThreadPoolExecutor(1, "mirnet-openvino")
        self._core = openvino.Core()
        self._compiled: _Compiled | None = None

    def run(self, batch: Floats, pools: Pools = OWN) -> Output:
        """Run the network; see :meth:`mirnet_cli.runtime.Runner.run`."""
        try:
            return self._run(batch, pools)
        except MemoryError as error:
            raise OutOfDeviceMemoryError(str(error)) from error
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            raise OutOfDeviceMemoryError(str(error)) from error

    def release(self) -> None:
        """Drop the compiled graph; see :meth:`mirnet_cli.runtime.Runner.release`."""
        self._compiled = None

    def _run(self, batch: Floats, pools: Pools) -> Output:
        replay, mask = pools.replay, pools.mask
        wanted = pools.residual or mask is None
        compiled = self._get(_Kind(bool(replay), mask is not None, batch.shape, wanted))
        inputs = [np.ascontiguousarray(batch, np.float32)]
        if replay:
            inputs.append(np.concatenate(replay)[None].astype(np.float32, copy=False))
        sums = None
        if mask is not None:
            sums = mask.sum((1, 2, 3), dtype=np.float64)
            shares = mask / np.maximum(sums, np.finfo(np.float32).tiny)[:, None, None, None]
            inputs.append(np.ascontiguousarray(shares, np.float32))
        measured = self._infer(compiled, inputs)
        residual = measured.pop() if wanted or not compiled.pools else np.empty(0, np.float32)
        return Output(residual, [] if sums is None else _records(compiled.pools, measured, sums))

    def _get(self, kind: _Kind) -> _Compiled:
        # Another thread may want another one meanwhile: what is asked for is what is returned.
        compiled = self._compiled
        if compiled is None or compiled.kind != kind:
            # First, so that the memory of the old one can be used for the new one.
            self._compiled = compiled = None
            compiled = self._worker.submit(self._known, kind).result()
            if compiled is None:
                compiled = self._worker.submit(self._compile, kind).result()
            self._compiled = compiled
        return compiled

    def _known(self, kind: _Kind) -> _Compiled | None:
        """A graph from an earlier run."""
        entry = self._shelf.get(self._fingerprint, asdict(kind))
        if entry is None:
            return None
        try:
            model = self._core.import_model(entry.blob, "CPU", _options(self.precision))
        except RuntimeError as error:
            if _is_out_of_memory(error):
                raise
            self._shelf.forget(self._fingerprint, asdict(kind))
            return None
        return _Compiled(kind, model.create_infer_request(), entry.pools)

    def _compile(self, kind: _Kind) -> _Compiled:
        graph = self._write(kind)
        try:
            model = self._core.compile_model(graph.model, "CPU", _options(self.precision))
        except RuntimeError as error:
            if _is_out_of_memory(error):
                raise
            told = [
                line for line in str(error).splitlines() if line and "Exception from" not in line
            ]
            what = (
                f"openvino cannot compile this network for this processor ({''.join(told)[:160]})"
            )
            raise MirnetError(what, "use --runtime torch") from error
        self._keep(kind, model, graph.pools)
        return _Compiled(kind, model.create_infer_request(), graph.pools)

    def _keep(self, kind: _Kind, model: Any, pools: tuple[Pool, ...]) -> None:
        """Keep a graph for later runs, unless it is large, or photos of all sizes go by."""
        if self._kept == _MOST_KEPT or self._spec.bytes > LARGEST:
            return
        self._kept += 1
        blob = io.BytesIO()
        with contextlib.suppress(MemoryError, RuntimeError):
            model.export_model(blob)
            self._shelf.put(self._fingerprint, asdict(kind), Entry(blob.getvalue(), pools))

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(
            self._spec,
            scale=self._scale,
            precision=self.precision,
            options=_options(self.precision),
            instructions=settings.most_instructions(),
            openvino=openvino.get_version(),
            cpu=cpu_title(),
            capabilities=self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        )

    def _infer(self, compiled: _Compiled, inputs: list[Floats]) -> list[Floats]:
        work = self._worker.submit(compiled.request.infer, inputs, share_inputs=True)
        try:
            return list(work.result().values())
        except BaseException:
            if not work.done():
                # A signal: what runs is given up, and the request with it.
                compiled.request.cancel()
                self._compiled = None
            raise

    def _write(self, kind: _Kind) -> Graph:
        count, _, height, width = kind.shape
        return write(
            self._spec,
            scale=self._scale,
            replay=kind.replay,
            record=kind.record,
            residual=kind.residual,
            size=(count, height, width),
            integers=self.precision == "int8",
        )


def _start_over(reference: "weakref.ref[OpenVinoRunner]") -> None:
    """Have a runner begin anew in a process that is forked from its own.

    The threads of the runner and of OpenVINO are not there, and whatever waits for them never ends.
    Destroying what has threads waits for them, too: it is kept for good.
    """
    runner = reference()
    if runner is not None:
        for old in (runner._core, runner._compiled):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(old))
        runner._begin()


def _integers_are_fast() -> bool:
    """Whether int8 is the fastest: measured for x86 alone, on processors from AVX2 on."""
    return platform.machine().lower() in ("x86_64", "amd64")


def _options(precision: str) -> dict[str, Any]:
    if precision == "int8":
        # What is not of integers.
        precision = "bf16" if "bf16" in cpu().precisions else "fp32"
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
    # BF16 is listed only where the CPU has instructions for it, but also where oneDNN is not to use
    # them; compiling then fails, or takes longer than float32.
    limit = settings.most_instructions()
    computes = "BF16" in capabilities and (not limit or limit.startswith(_COMPUTE_BF16))
    precisions = ("fp32", "bf16", "int8") if computes else ("fp32", "int8")
    return Device("cpu", cpu_title(), None, precisions)


def runs(spec: NetworkSpec, device: str, precision: str) -> bool:
    """Whether a network runs here on what ``--device`` and ``--precision`` say.

    What this CPU has no instructions for is left to torch, which does without, if it is there.
    """
    if spec.family == FAMILY:
        rightly = Measured.of(spec.config["measured"]).runtime in ("", OpenVinoRunner.runtime)
        return rightly and device.strip().lower() in ("auto", "cpu")
    if not (writes(spec.family) and only_cpu(device)):
        return False
    if precision in ("auto", "fp32") or not extras.installed("torch"):
        return True
    return precision in cpu().precisions


def prepare(spec: NetworkSpec, *, scale: int | None, device: str, precision: str) -> OpenVinoRunner:
    """Check the weights; compiling waits for a size. See :func:`mirnet_cli.runtime.prepare`."""
    if device.strip().lower() not in ("auto", "cpu"):
        raise UsageError(
            f"openvino does not compute on {device}", "use --device cpu, or --runtime torch"
        )
    family = FAMILIES.get(spec.family)
    if family is None:
        raise ModelError(f"unknown network family {spec.family!r}", "update mirnet")
    if not writes(spec.family):
        raise UsageError(f"openvino does not run {family.title}", "use --runtime torch")
    if spec.family == FAMILY:
        measured = Measured.of(spec.config["measured"])
        if measured.runtime not in ("", OpenVinoRunner.runtime):
            what = f"openvino does not do what this network's file says ({measured.why})"
            raise UsageError(what, f"leave it out: {measured.runtime} does", subject="--runtime")
    processor = cpu()
    half = tuple(each for each in family.half_precision if each in processor.precisions)
    if precision == "auto" and spec.integers and _integers_are_fast():
        chosen = "int8"
    elif precision == "auto":
        chosen = "bf16" if "bf16" in half and spec.family in AUTO_BF16 else "fp32"
    elif precision == "int8":
        chosen = integers_of(spec)
    else:
        chosen = choose_precision(precision, processor, family.half_precision, family.name)
    if scale is not None and scale not in family.scales(spec.config):
        has = ", ".join(str(each) for each in family.scales(spec.config))
        raise ModelError(f"this network has no scale {scale}", f"it has {has}")
    return OpenVinoRunner(spec, scale, chosen)


def product(matrix: Floats, precision: str) -> Callable[[], Any]:
    """A product of a square matrix with itself, ready to run: what this machine is capable of.

    Args:
        matrix: ``(n, n)``, in 0..1.
        precision: "fp32", "bf16" or "int8".
    """
    given = ops.parameter(list(matrix.shape), openvino.Type.f32, "matrix")
    first, second = given, ops.constant(matrix)
    if precision == "int8":
        first = levels(given, np.full(1, 1 / (LEVELS - 1), np.float32), 0)
        second = ops.convert(ops.constant((matrix * MOST).astype(np.int8)), "f32")
    # A mean of it: what leaves the device is next to nothing.
    result = ops.reduce_mean(ops.matmul(first, second, False, False), [0])
    model = openvino.Model([result], [given], "product")
    request = (
        openvino.Core().compile_model(model, "CPU", _options(precision)).create_infer_request()
    )
    return lambda: request.infer([matrix], share_inputs=True)
