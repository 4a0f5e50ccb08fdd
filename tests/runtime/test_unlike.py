"""What OpenVINO computes otherwise than ONNX is left to ONNX Runtime, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from mirnet_cli import extras
from mirnet_cli.errors import UsageError
from mirnet_cli.models import onnx as onnx_module
from mirnet_cli.models import onnx_file
from mirnet_cli.models.onnx import Asked, Onnx
from mirnet_cli.networks.described import Measured, worded
from mirnet_cli.runtime import measuring_process, prepare, unlike
from mirnet_cli.runtime.measuring import UnfitError
from mirnet_cli.runtime.measuring_process import photos
from tests.networks.onnx_files import Graph, denoiser, save
from tests.runtime.test_measuring import apart

pytest.importorskip("openvino")
ort = pytest.importorskip("mirnet_cli.runtime.onnxruntime_runtime")

pytestmark = pytest.mark.usefixtures("own_cache")


def resized(mode: str = "linear", opset: int = 18, **attributes: Any) -> onnx.ModelProto:
    """Sharpens by what a reduced and enlarged copy lacks."""
    graph = Graph(opset)
    size = graph.add("Shape", "x")
    half = graph.constant([1, 1, 0.5, 0.5])
    small = graph.add("Resize", "x", "", half, mode=mode, **attributes)
    whole = graph.add("Resize", small, "", "", size, mode="linear")
    detail = graph.number("Mul", graph.add("Sub", "x", whole), 0.2)
    return graph.model(graph.add("Add", "x", detail))


def kept_in_shape() -> onnx.ModelProto:
    graph = Graph(18)
    policy: dict[str, Any] = {"keep_aspect_ratio_policy": "not_larger", "axes": [2, 3]}
    sizes = graph.add("Shape", "x", start=2)
    same = graph.add("Resize", "x", "", "", sizes, mode="linear", **policy)
    return graph.model(graph.number("Mul", same, 0.99))


def attention(opset: int, axis: int) -> onnx.ModelProto:
    graph = Graph(opset)
    weights = graph.add("Softmax", "x", axis=axis)
    return graph.model(graph.add("Add", "x", graph.number("Mul", weights, 0.3)))


def pooled(operator: str, **attributes: Any) -> onnx.ModelProto:
    """Works on reduced copies whose last row and column are of fewer pixels."""
    graph = Graph(19)
    named = {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}
    small = graph.add(operator, "x", **{**named, **attributes})
    size = graph.add("Shape", "x")
    whole = graph.add("Resize", small, "", "", size, mode="linear")
    soft = graph.number("Mul", graph.add("Sub", whole, "x"), 0.1)
    return graph.model(graph.add("Add", "x", soft))


UNLIKE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "antialias": (lambda: resized(antialias=1), "Resize with antialias"),
    "cubic": (lambda: resized("cubic", antialias=1), "Resize with antialias"),
    "outside": (lambda: resized("cubic", exclude_outside=1), "Resize with exclude_outside"),
    "shape": (kept_in_shape, "Resize with keep_aspect_ratio_policy"),
    "softmax": (lambda: attention(11, 1), "Softmax of opset 11"),
    "pool": (lambda: pooled("AveragePool", count_include_pad=1), "AveragePool with ceil_mode and"),
    "power": (lambda: pooled("LpPool"), "LpPool with ceil_mode"),
}

ALIKE: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": lambda: resized("cubic", antialias=0, exclude_outside=0),
    "stretched": lambda: resized(keep_aspect_ratio_policy="stretch"),
    "one axis": lambda: attention(13, 1),
    "the last axis": lambda: attention(11, 3),
    "pool": lambda: pooled("AveragePool"),
    "denoiser": denoiser,
}


def read(make: Callable[[], onnx.ModelProto], tmp_path: Path) -> Onnx:
    return Onnx(onnx_file.read(save(make(), tmp_path / "a.onnx")))


def measured(network: Onnx) -> Measured:
    file = network.file
    found = apart(lambda: measuring_process.measured(file.data, file.interface, settings={}))
    assert isinstance(found, Measured)
    return found


@pytest.fixture
def without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    there = extras.installed
    monkeypatch.setattr(extras, "installed", lambda name: name != "onnxruntime" and there(name))


@pytest.mark.parametrize("case", UNLIKE)
def test_is_left_to_onnxruntime(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, said = UNLIKE[case]
    network = read(make, tmp_path)
    found = measured(network)
    assert found.runtime == "onnxruntime"
    assert said in found.why
    monkeypatch.setattr(onnx_module, "measured", lambda *_, **__: found)
    spec = network.weights("denoise").network
    assert said in worded(spec.config)
    runner = prepare(spec, device="cpu")
    assert runner.runtime == "onnxruntime"
    x = photos()[0][:41, :54].transpose(2, 0, 1)[None]
    if case == "softmax":
        # ONNX's own implementation knows opset 13 and later alone.
        powers = np.exp(x)
        wanted = x + 0.3 * powers / powers.sum(dtype=np.float64)
    else:
        (wanted,) = ReferenceEvaluator(make()).run(None, {"x": x})
    assert np.abs(runner.run(x).residual + x - wanted).max() < 1e-4
    with pytest.raises(UsageError, match="openvino does not do what") as caught:
        prepare(spec, runtime="openvino")
    assert "leave it out" in caught.value.remedy


@pytest.mark.usefixtures("without_onnxruntime")
@pytest.mark.parametrize("case", UNLIKE)
def test_is_refused_where_nothing_else_is_here(case: str, tmp_path: Path) -> None:
    make, said = UNLIKE[case]
    with pytest.raises(UnfitError, match=said) as caught:
        measured(read(make, tmp_path))
    assert caught.value.needs == "onnxruntime"


@pytest.mark.parametrize("case", ALIKE)
def test_what_is_the_same_stays(case: str, tmp_path: Path) -> None:
    network = read(ALIKE[case], tmp_path)
    assert network.file.interface.unlike == ()
    assert measured(network).runtime == ""


def test_what_nobody_knew_of_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both run, and their numbers are compared."""
    monkeypatch.setattr(unlike, "_UNHEEDED", {})
    network = read(UNLIKE["outside"][0], tmp_path)
    assert network.file.interface.unlike == ()
    found = measured(network)
    assert found.runtime == "onnxruntime"
    assert "off by 0.0" in found.why


def test_what_openvino_does_not_read(tmp_path: Path) -> None:
    found = measured(
        read(lambda: resized(coordinate_transformation_mode="half_pixel_symmetric"), tmp_path)
    )
    assert found.runtime == "onnxruntime"
    assert "does not read it" in found.why


def test_is_told(tmp_path: Path) -> None:
    facts = read(UNLIKE["antialias"][0], tmp_path).facts(Asked())
    assert facts["only_runtime"] == "onnxruntime"
    assert "antialias" in facts["why"]
    facts = read(denoiser, tmp_path).facts()
    assert facts["only_runtime"] is facts["why"] is None
