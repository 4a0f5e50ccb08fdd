"""The process that runs a network nobody knows: ``python -m mirnet_cli.runtime.measuring_process``.

Standard input has one line of JSON and the ONNX file; standard output gets one object, what was
measured or why it cannot be. Memory, time and the size of files are limited where the system can.
"""

import contextlib
import importlib.resources
import io
import json
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mirnet_cli import extras
from mirnet_cli.networks.described import Interface, Measured
from mirnet_cli.runtime import Floats, unlike
from mirnet_cli.runtime.measuring import UnfitError, difference, measure

_WHERE = ("Exception from", "Check '", "To facilitate")
_ALIKE = {False: 2e-3, True: 2e-2}
"""What rounding makes differ at most, where the range is 1, in float32 and in float16."""
_KEPT = 3
"""Compiled graphs that are kept: sizes come back."""


def main() -> int:
    """Measure what comes on standard input."""
    stream = sys.stdin.buffer
    told = json.loads(stream.readline())
    data = stream.read()
    _limit(told["memory"], told["seconds"])
    # Libraries print, and what is printed here is read.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        found: dict[str, Any] = {"measured": _measured(data, told)}
    except UnfitError as error:
        found = {"unfit": str(error), "needs": error.needs}
    except MemoryError:
        found = {"unfit": f"it takes more than {told['memory'] >> 30} GiB"}
    except RuntimeError as error:
        found = {"unfit": _worded(error)}
    json.dump(found, answer)
    answer.flush()
    # Ending in order waits for threads that may have been left in the middle of something.
    os._exit(0)


def _limit(memory: int, seconds: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        # Memory that is taken, not addresses: threads reserve many of those.
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _measured(data: bytes, told: Mapping[str, Any]) -> dict[str, Any]:
    interface = Interface.of(told["interface"])
    named = {name: told[name] for name in ("settings", "range", "bgr")}
    return measured(data, interface, **named).as_dict()


def measured(
    data: bytes,
    interface: Interface,
    *,
    settings: Mapping[str, float],
    range: str | None = None,
    bgr: bool | None = None,
) -> Measured:
    """What a network does, measured by OpenVINO, unless that does not do what the file says.

    What OpenVINO does not read, or computes otherwise, is left to ONNX Runtime, where it is here.

    Args:
        data: the ONNX file, without anything beside it.
        interface: of it.
        settings, range, bgr: as for :func:`mirnet_cli.runtime.measuring.measure`.

    Raises:
        UnfitError: where it is no network for pictures, or nothing here runs it rightly.
    """

    given = data, interface, settings

    def by(network: _Network | _OnnxNetwork) -> Measured:
        return measure(
            network.run,
            interface,
            photos(),
            settings=settings,
            range=range,
            bgr=bgr,
            memory=network.taken,
        )

    if not extras.installed("openvino"):
        return by(_OnnxNetwork(*given))
    found: Measured | None = None
    try:
        network = _Network(*given)
        has = network.unlike()
        refused = UnfitError(f"OpenVINO computes {has} otherwise than ONNX", "onnxruntime")
        found = None if has else by(network)
    except UnfitError as error:
        refused = error
    if not extras.installed("onnxruntime"):
        if found is None:
            raise refused
        return found
    why = str(refused)
    try:
        other = _OnnxNetwork(*given)
        if found is not None:
            off = difference(
                (network.run, other.run), interface, photos(), settings=settings, measured=found
            )
            if off <= _ALIKE[interface.half]:
                return found
            why = f"OpenVINO's numbers are off by {off:.2g}"
        return replace(by(other), runtime="onnxruntime", why=why)
    except UnfitError as error:
        if found is not None:
            return found
        raise (error if refused.needs else refused) from None


class _Network:
    """A network in its own numbers, for each size that comes."""

    def __init__(self, data: bytes, interface: Interface, settings: Mapping[str, float]) -> None:
        from mirnet_cli.runtime.openvino_library import openvino

        self._core = openvino.Core()
        self._data = data
        self._interface = interface
        self._settings = settings
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        try:
            self._model = self._core.read_model(data)
        except RuntimeError as error:
            raise UnfitError(f"OpenVINO does not read it ({_worded(error)})") from None

    def run(self, x: Floats) -> list[Floats]:
        """As :data:`mirnet_cli.runtime.measuring.Run`."""
        try:
            request = self._request(x.shape)
            result = request.infer([x])
        except RuntimeError as error:
            raise ValueError(_worded(error)) from None
        return [np.array(each) for each in result.values()]

    def unlike(self) -> str:
        """What OpenVINO computes otherwise than ONNX, in words; nothing where it is not known."""
        found = dict.fromkeys(self._interface.unlike)
        for node in self._model.get_ops():
            if node.get_type_name() == "Softmax":
                rank = node.get_input_partial_shape(0).rank
                sides = rank.get_length() if rank.is_static else 0
                axis = int(node.get_attributes()["axis"])
                found[unlike.of_softmax(self._interface.opset, axis, sides) or ""] = None
        return ", ".join(filter(None, found))

    def taken(self, run: Callable[[], object]) -> int:
        """Bytes that a run takes at its peak, compiling included; 0 where the system has no say."""
        self._requests.clear()
        return _taken(run)

    def _request(self, shape: tuple[int, ...]) -> Any:
        from mirnet_cli.runtime import onnx_graph
        from mirnet_cli.runtime.openvino_runtime import _options

        if shape not in self._requests:
            while len(self._requests) >= _KEPT:
                self._requests.popitem(last=False)
            model = onnx_graph.raw(
                self._core, self._data, self._interface, self._settings, *shape[2:]
            )
            compiled = self._core.compile_model(model, "CPU", _options("fp32"))
            self._requests[shape] = compiled.create_infer_request()
        self._requests.move_to_end(shape)
        return self._requests[shape]


class _OnnxNetwork:
    """The same in ONNX Runtime, which takes every size as it comes."""

    def __init__(self, data: bytes, interface: Interface, settings: Mapping[str, float]) -> None:
        try:
            from mirnet_cli.runtime import onnxruntime_runtime
        except ImportError:
            raise UnfitError("neither OpenVINO nor ONNX Runtime is here to run it") from None

        try:
            self._network = onnxruntime_runtime.RawNetwork(data, interface, settings)
        except onnxruntime_runtime.RefusedError as error:
            raise UnfitError(f"ONNX Runtime does not read it ({error})") from None

    def run(self, x: Floats) -> list[Floats]:
        """As :data:`mirnet_cli.runtime.measuring.Run`."""
        return self._network.run(x)

    def taken(self, run: Callable[[], object]) -> int:
        """Bytes that a run takes at its peak; 0 where the system has no say."""
        return _taken(run)


def _taken(run: Callable[[], object]) -> int:
    try:
        # Since Linux 4.0: the peak begins anew (proc(5)).
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _status("VmRSS")
        run()
        return max(_status("VmHWM") - before, 0)
    except OSError:
        return 0


def _status(name: str) -> int:
    """Bytes of a line of ``/proc/self/status``."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def _worded(error: Exception) -> str:
    """What OpenVINO says, without where in its source it says it."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("-- ")]
    told = told or [line for line in lines if not line.startswith(_WHERE)]
    return (told or lines or ["no reason given"])[-1].removeprefix("-- ")[:160]


def photos() -> list[Floats]:
    """Small photos, ``(256, 256, 3)`` in 0..1."""
    folder = importlib.resources.files("mirnet_cli.runtime") / "photos"
    found = []
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.name.endswith(".webp"):
            pixels = Image.open(io.BytesIO(each.read_bytes())).convert("RGB")
            found.append(np.asarray(pixels, np.float32) / np.float32(255))
    return found


if __name__ == "__main__":
    main()
