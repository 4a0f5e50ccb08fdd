"""ONNX networks run by ONNX Runtime: on CUDA, CoreML and DirectML, and the CPU without OpenVINO.

What its numbers mean is turned by :mod:`mirnet_cli.runtime.reading`, outside of the network.
"""

import os
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import onnxruntime

from mirnet_cli.errors import MirnetError, ModelError, UsageError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.networks.described import (
    DOUBLE,
    FAMILY,
    FLOAT,
    FLOAT16,
    INT32,
    INT64,
    Interface,
    Measured,
)
from mirnet_cli.runtime import OWN, Floats, OutOfDeviceMemoryError, Output, Pools
from mirnet_cli.runtime.reading import from_network, to_network

# On Windows builds of Microsoft's send events to it.
onnxruntime.disable_telemetry_events()
_ERRORS_ONLY = 3
onnxruntime.set_default_logger_severity(_ERRORS_ONLY)

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""What serves each kind of ``--device``."""

_TITLES: Mapping[str, str] = {"cpu": "CPU", "cuda": "CUDA", "mps": "CoreML", "directml": "DirectML"}
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "cpu": {},
    # Float32 that is float32; and every size of a tile would be tried out by the default.
    "cuda": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    # The older format, and the neural engine, compute in float16.
    "mps": {"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU"},
    "directml": {},
}
_KINDS = {FLOAT: "f4", FLOAT16: "f2", DOUBLE: "f8", INT32: "i4", INT64: "i8"}
_FULL = ("bad_alloc", "bad allocation", "out of memory", "failed to allocate", "allocate memory")
"""What errors of too little memory say, in lower case."""

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")

_IDENTITY = (
    b'\x08\x07:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01g'
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)
"""A network of one node, which gives what it gets: whether a device can be used is seen by it."""

_LEFT: list[Any] = []
"""Sessions of the process that this one was forked from: ending one waits for threads that are not
here."""


class RefusedError(ValueError):
    """ONNX Runtime does not read a network, or does not run it on such a picture; says why."""


class RawNetwork:
    """A network in its own numbers, but in float32 and with channels second."""

    def __init__(
        self, data: bytes, interface: Interface, settings: Mapping[str, float], device: str = "cpu"
    ) -> None:
        """Read the network.

        Args:
            data: the ONNX file, without anything beside it.
            interface: of it.
            settings: their values.
            device: "cpu", "cuda", "cuda:N", "mps" or "directml".

        Raises:
            RefusedError: where ONNX Runtime does not read it.
            UsageError: where the device cannot be used.
        """
        self._data = data
        self._interface = interface
        self._settings = settings
        self._device = device
        self._begin()

    def _begin(self) -> None:
        kind, _, index = self._device.partition(":")
        provider = PROVIDERS[kind]
        options = onnxruntime.SessionOptions()
        # Left to itself it ties its threads to cores, the same ones in each of several processes.
        options.intra_op_num_threads = _cores()
        if kind == "directml":
            options.enable_mem_pattern = False
        device = {"device_id": index or "0"} if kind in ("cuda", "directml") else {}
        providers = [(provider, {**_OPTIONS[kind], **device})]
        if kind != "cpu":
            # For single operators that the other lacks.
            providers.append((PROVIDERS["cpu"], {}))
        try:
            self._session = onnxruntime.InferenceSession(self._data, options, providers)
        except Exception as error:
            raise _told(error) from error
        if provider not in self._session.get_providers():
            title = _TITLES[kind]
            what = f"ONNX Runtime cannot use {title} here, whose libraries or driver it lacks"
            raise UsageError(what, "use --device cpu", subject=f"--device {self._device}")
        # Silently run on the CPU after a failure it would take as long as nobody expects.
        self._session.disable_fallback()
        self._process = os.getpid()

    def run(self, x: Floats) -> list[Floats]:
        """Run the network.

        Args:
            x: ``(1, C, H, W)``.

        Returns:
            The outputs that the interface names, each ``(1, C, h, w)``.

        Raises:
            RefusedError: for a size that it does not take.
            OutOfDeviceMemoryError: where memory does not suffice.
        """
        if self._process != os.getpid():
            _LEFT.append(self._session)
            self._begin()
        interface = self._interface
        height, width = x.shape[2:]
        picture = x.transpose(0, 2, 3, 1) if interface.last else x
        kind = np.float16 if interface.half else np.float32
        given: dict[str, Any] = {interface.input: np.ascontiguousarray(picture, kind)}
        for each in interface.settings:
            if not each.channel:
                shape = each.shape(height, width)
                given[each.name] = np.full(shape, self._settings[each.name], _KINDS[each.type])
        try:
            made = self._session.run(list(interface.outputs), given)
        except Exception as error:
            raise _told(error) from error
        floats = [np.asarray(each, np.float32) for each in made]
        if interface.last:
            return [y.transpose(0, 3, 1, 2) if y.ndim == 4 else y for y in floats]
        return floats


class OnnxRunner:
    """A network on one device; see :class:`mirnet_cli.runtime.Runner`."""

    runtime = "onnxruntime"
    precision = "fp32"

    def __init__(self, spec: NetworkSpec, device: str) -> None:
        config = spec.config
        self._interface = Interface.of(config["interface"])
        self._settings = config["settings"]
        measured = Measured.of(config["measured"])
        self._reading, self._output = measured.reading, measured.output
        self._whole = FAMILIES[spec.family].whole(config)
        self.device = device
        try:
            self._network = RawNetwork(spec.model, self._interface, self._settings, device)
        except RefusedError as error:
            what = f"ONNX Runtime does not read it ({error})"
            raise ModelError(what, "use --runtime openvino, or another network") from error

    def run(self, batch: Floats, pools: Pools = OWN) -> Output:
        """Run the network; see :meth:`mirnet_cli.runtime.Runner.run`."""
        try:
            residual = np.stack([self._residual(x) for x in batch])
        except RefusedError as error:
            what = f"the device {self.device} failed ({error})"
            raise MirnetError(what, "run again, or use --runtime openvino") from error
        # It has no pools that this project knows.
        return Output(residual, [] if pools.mask is None else [[] for _ in batch])

    def _residual(self, x: Floats) -> Floats:
        runs = to_network(x, self._interface, self._reading, self._settings)
        outputs = [self._network.run(each)[self._output] for each in runs]
        return from_network(outputs, None if self._whole else x, self._reading)


def _told(error: Exception) -> Exception:
    """An error of ONNX Runtime, whose classes have only Exception in common, as one of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _FULL):
        return OutOfDeviceMemoryError(text)
    if isinstance(error, RuntimeError | ValueError) or type(error).__module__.startswith(
        "onnxruntime"
    ):
        return RefusedError(_PREFIX.sub("", text)[:160])
    return error


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def offered() -> tuple[str, ...]:
    """Kinds of ``--device`` that the ONNX Runtime that is installed was built for."""
    built = onnxruntime.get_available_providers()
    return tuple(kind for kind, provider in PROVIDERS.items() if provider in built)


def title() -> str:
    """Version, and what it was built for."""
    built = ", ".join(_TITLES[kind] for kind in offered())
    return f"{onnxruntime.__version__}, ONNX networks on {built}"


@cache
def gpu() -> str | None:
    """The device that "auto" means: one of a build for a GPU, if it can be used here.

    CoreML is in every build for macOS, and has to be asked for by name.
    """
    for device in ("cuda", "directml"):
        if device in offered() and _works(device):
            return device
    return None


def _works(device: str) -> bool:
    provider = PROVIDERS[device]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = onnxruntime.InferenceSession(_IDENTITY, providers=[provider])
    except Exception:
        return False
    return provider in session.get_providers()


def runs(spec: NetworkSpec, device: str, precision: str) -> bool:
    """Whether it is to be preferred: on GPUs, and where others do not do what the file says."""
    if spec.family != FAMILY:
        return False
    kind = device.strip().lower().partition(":")[0]
    if kind not in ("auto", "cpu"):
        return True
    if Measured.of(spec.config["measured"]).runtime == OnnxRunner.runtime:
        return True
    return kind == "auto" and precision in ("auto", "fp32") and gpu() is not None


def prepare(spec: NetworkSpec, *, scale: int | None, device: str, precision: str) -> OnnxRunner:
    """Read the network; see :func:`mirnet_cli.runtime.prepare`."""
    if spec.family != FAMILY:
        raise UsageError("onnxruntime runs only ONNX networks", "leave --runtime out")
    wanted = device.strip().lower()
    if wanted == "auto":
        wanted = gpu() or "cpu"
    kind = wanted.partition(":")[0]
    if kind not in offered():
        has = ", ".join(offered())
        what = f"the installed ONNX Runtime was not built for {_TITLES.get(kind, kind)}"
        remedy = f"use one of: auto, {has}; its packages onnxruntime-gpu and -directml have others"
        raise UsageError(what, remedy, subject=f"--device {wanted}")
    if precision not in ("auto", "fp32"):
        what = f"onnxruntime computes in the network's own precision, not in {precision}"
        raise UsageError(what, "leave --precision out", subject="--precision")
    if scale is not None and scale not in FAMILIES[FAMILY].scales(spec.config):
        raise ModelError(f"this network has no scale {scale}", "use --weights of another")
    return OnnxRunner(spec, f"cuda:{wanted.partition(':')[2] or 0}" if kind == "cuda" else kind)
