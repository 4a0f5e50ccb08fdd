"""ONNX Runtime gives what OpenVINO gives, of the same description of a network."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet_cli import extras
from mirnet_cli.errors import UsageError
from mirnet_cli.models import onnx as onnx_module
from mirnet_cli.models.onnx import Asked
from mirnet_cli.models.weights import Weights
from mirnet_cli.networks.described import Measured, Reading
from mirnet_cli.runtime import Pools, measuring_process, prepare
from mirnet_cli.runtime.measuring import UnfitError
from mirnet_cli.runtime.measuring_process import photos
from mirnet_cli.runtime.memory import device_ceiling
from tests.models.builders import tiny_network
from tests.networks.onnx_files import Graph, denoiser
from tests.runtime.test_measuring import KNOWN, Make, found, noise_map, opened, sigma

pytestmark = pytest.mark.usefixtures("own_cache")

ort = pytest.importorskip("mirnet_cli.runtime.onnxruntime_runtime")

NETWORKS = {name: known[0] for name, known in KNOWN.items() if name != "not finite"}


def known(monkeypatch: pytest.MonkeyPatch, measured: Measured) -> None:
    monkeypatch.setattr(onnx_module, "measured", lambda *_, **__: measured)


def weights(make: Make, tmp_path: Path, asked: Asked | None = None) -> Weights:
    network = opened(make, tmp_path)
    scale = network.measured(asked or Asked()).scale
    return network.weights("upscale" if scale > 1 else "denoise", asked=asked)


@pytest.mark.parametrize("name", NETWORKS)
def test_agrees_with_openvino(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    measured = found(NETWORKS[name], tmp_path)
    known(monkeypatch, measured)
    spec = weights(NETWORKS[name], tmp_path).network
    height, width = measured.fixed or (40, 56)
    batch = np.stack([each[:height, :width].transpose(2, 0, 1) for each in photos()[:2]])
    runner = prepare(spec, scale=measured.scale, runtime="onnxruntime", device="cpu")
    assert (runner.runtime, runner.device, runner.precision) == ("onnxruntime", "cpu", "fp32")
    made = runner.run(batch).residual
    one = prepare(spec, scale=measured.scale, runtime="openvino", precision="fp32")
    wanted = np.concatenate([one.run(each[None]).residual for each in batch])
    assert made.dtype == np.float32
    assert made.shape == wanted.shape
    assert np.abs(wanted).max() > 1e-3
    # OpenVINO computes in float32 what the file has in float16, ONNX Runtime as it stands there.
    assert np.abs(made - wanted).max() < (1e-4 if name != "half" else 2e-3)


@pytest.mark.parametrize(("make", "name"), [(sigma, "sigma"), (noise_map, "channel4")])
def test_settings(make: Make, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked({name: 0.15})
    known(monkeypatch, found(make, tmp_path, asked))
    spec = weights(make, tmp_path, asked).network
    x = photos()[0][:32, :40].transpose(2, 0, 1)[None]
    made, wanted = (
        prepare(spec, runtime=each).run(x).residual for each in ("onnxruntime", "openvino")
    )
    assert np.abs(wanted).max() > 0.01
    assert np.abs(made - wanted).max() < 1e-4


_PLAIN = Measured(
    *(0, 1, 1, None, 1, Reading(), 30.0, 20.0, 1, 1, False, 100.0, 1, True, (), 0, 1.0)
)


def test_without_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is measured, and run, all the same."""
    network = opened(denoiser, tmp_path)
    before = found(denoiser, tmp_path)
    there = extras.installed
    monkeypatch.setattr(extras, "installed", lambda name: name != "openvino" and there(name))
    monkeypatch.setattr("mirnet_cli.runtime.RUNTIMES", {**_runtimes(), "openvino": "not_here"})
    interface = network.file.interface
    raw = measuring_process._OnnxNetwork(network.file.data, interface, {})
    with pytest.raises(ValueError, match="nvalid dimensions"):
        raw.run(np.zeros((1, 5, 8, 8), np.float32))
    after = measuring_process.measured(network.file.data, interface, settings={})
    assert after.runtime == ""
    assert (after.scale, after.reading, after.reach) == (
        *(before.scale, before.reading, before.reach),
    )
    assert after.memory > 0 or sys.platform != "linux"
    known(monkeypatch, after)
    runner = prepare(weights(denoiser, tmp_path).network)
    assert runner.runtime == "onnxruntime"
    custom = Graph()
    data = custom.model(custom.add("NoSuchThing", "x")).SerializeToString()
    with pytest.raises(UnfitError, match=r"ONNX Runtime does not read it.*NoSuchThing"):
        measuring_process.measured(data, interface, settings={})


def _runtimes() -> dict[str, str]:
    from mirnet_cli.runtime import RUNTIMES

    return RUNTIMES


def test_what_it_does_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, _PLAIN)
    spec = weights(denoiser, tmp_path).network
    monkeypatch.setattr(ort, "offered", lambda: ("cpu",))
    for device, title in (("cuda:1", "CUDA"), ("mps", "CoreML"), ("directml", "DirectML")):
        # Whether or not it is asked for by name: nothing else computes there.
        for runtime in ("auto", "onnxruntime"):
            with pytest.raises(UsageError, match=f"not built for {title}"):
                prepare(spec, runtime=runtime, device=device)
    with pytest.raises(UsageError, match="own precision, not in fp16"):
        prepare(spec, runtime="onnxruntime", device="cpu", precision="fp16")
    with pytest.raises(UsageError, match="only ONNX networks"):
        prepare(tiny_network(3), runtime="onnxruntime")
    with pytest.raises(UsageError, match="only ONNX networks run on directml"):
        prepare(tiny_network(3), runtime="torch", device="directml")
    assert prepare(spec).runtime == "openvino"
    mask = np.ones((1, 1, 16, 16), np.float32)
    ran = prepare(spec, runtime="onnxruntime").run(mask.repeat(3, 1), Pools(mask=mask))
    assert ran.pooled == [[]]
    # Whose memory is its own is asked of torch, which need not know the device.
    assert device_ceiling("directml") is device_ceiling("cuda:99") is None


@pytest.mark.skipif("cuda" in ort.offered(), reason="needs a build without CUDA")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_device_whose_driver_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build for CUDA falls back to the CPU without one; that is not what was asked for."""
    known(monkeypatch, _PLAIN)
    spec = weights(denoiser, tmp_path).network
    monkeypatch.setattr(ort, "offered", lambda: ("cpu", "cuda"))
    with pytest.raises(UsageError, match="cannot use CUDA here"):
        prepare(spec, device="cuda")


class _Gpu:
    """A session as a build for CUDA has it, computed on the CPU."""

    def __init__(self, data: bytes, options: object = None, providers: Iterable[Any] = ()) -> None:
        self._session = _SESSION(data, providers=["CPUExecutionProvider"])
        self.providers = [each[0] if isinstance(each, tuple) else each for each in providers]

    def get_providers(self) -> list[str]:
        return self.providers

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


_SESSION = ort.onnxruntime.InferenceSession


def test_auto_takes_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a build for one is installed, and it works; else OpenVINO, as without such a build."""
    known(monkeypatch, _PLAIN)
    spec = weights(denoiser, tmp_path).network
    monkeypatch.setattr(ort, "offered", lambda: ("cpu", "cuda", "mps"))
    ort.gpu.cache_clear()
    try:
        if "CUDAExecutionProvider" not in ort.onnxruntime.get_available_providers():
            assert ort.gpu() is None
            assert prepare(spec).runtime == "openvino"
        ort.gpu.cache_clear()
        monkeypatch.setattr(ort.onnxruntime, "InferenceSession", _Gpu)
        runner = prepare(spec)
        assert (runner.runtime, runner.device) == ("onnxruntime", "cuda:0")
        # What it does not compute in, and what is asked for by name, stays where it was.
        assert prepare(spec, device="cpu").runtime == "openvino"
        assert prepare(spec, runtime="openvino").runtime == "openvino"
        # CoreML is in every build, and has to be asked for.
        monkeypatch.setattr(ort, "offered", lambda: ("cpu", "mps"))
        ort.gpu.cache_clear()
        assert prepare(spec).runtime == "openvino"
        assert prepare(spec, device="mps").device == "mps"
    finally:
        ort.gpu.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, _PLAIN)
    runner = prepare(weights(denoiser, tmp_path).network, runtime="onnxruntime")
    batch = np.random.default_rng(1).random((1, 3, 256, 256), np.float32)
    before = runner.run(batch).residual
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(runner.run(batch).residual, before) else 1)
    assert os.waitpid(child, 0)[1] == 0
