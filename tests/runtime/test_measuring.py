"""What is measured of networks whose ways are known."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import pytest

from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.models import onnx as onnx_module
from mirnet_cli.models import onnx_file
from mirnet_cli.models.onnx import Asked, Onnx
from mirnet_cli.networks.described import Measured, Reading
from mirnet_cli.runtime import measured as measured_module
from mirnet_cli.runtime import prepare
from mirnet_cli.runtime.measuring import measure
from mirnet_cli.runtime.measuring_process import _Network, photos
from mirnet_cli.runtime.reading import from_network, to_network
from tests.networks.onnx_files import (
    FLOAT,
    HALF,
    Graph,
    denoiser,
    enlarger,
    gaussian,
    save,
    shrunk,
)

pytestmark = pytest.mark.usefixtures("own_cache")

Make = Callable[[], onnx.ModelProto]


def opened(make: Make, tmp_path: Path) -> Onnx:
    return Onnx(onnx_file.read(save(make(), tmp_path / "network.onnx")))


T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Done in a thread of its own: OpenVINO leaves flushing of denormals on in that it runs in."""
    with ThreadPoolExecutor(1) as own:
        return own.submit(work).result()


def found(make: Make, tmp_path: Path, asked: Asked | None = None) -> Measured:
    """Measured in this process, which takes less time."""
    file, asked = opened(make, tmp_path).file, asked or Asked()

    def measured() -> Measured:
        network = _Network(file.data, file.interface, asked.settings)
        return measure(
            network.run,
            file.interface,
            photos(),
            settings=asked.settings,
            range=asked.range,
            bgr=asked.bgr,
            memory=network.taken,
        )

    return apart(measured)


def bytes_only() -> onnx.ModelProto:
    """For 0..255: what it takes away is a tenth of that, and it cuts off at 0 and at 255."""
    graph = Graph()
    made = shrunk(graph, "x", 3, 25.0)
    return graph.model(graph.add("Clip", made, graph.constant(0.0), graph.constant(255.0)))


def signed() -> onnx.ModelProto:
    """For -1..1: black is where it begins."""
    graph = Graph()
    lifted = graph.number("Add", "x", 1.0)
    root = graph.add("Sqrt", graph.add("Relu", lifted))
    made = shrunk(graph, graph.add("Mul", root, root), 3, 0.2)
    return graph.model(graph.number("Sub", made, 1.0))


def swapped() -> onnx.ModelProto:
    """For blue first: it makes that a little less, which red would suffer from in most photos."""
    graph = Graph()
    less = graph.constant(np.array([0.9, 1, 1]).reshape(1, 3, 1, 1))
    return graph.model(graph.add("Relu", graph.add("Mul", shrunk(graph, "x", 3, 0.1), less)))


def sharpener() -> onnx.ModelProto:
    """The same at any brightness."""
    graph = Graph()
    soft = graph.number("Mul", graph.conv("x", gaussian(3, 9)), 0.3)
    return graph.model(graph.add("Sub", graph.number("Mul", "x", 1.3), soft))


def noise() -> onnx.ModelProto:
    graph = Graph()
    return graph.model(graph.add("Sub", "x", shrunk(graph, "x", 3, 0.1)))


def strong_noise() -> onnx.ModelProto:
    """For much noise alone: of little it makes more than there is."""
    graph = Graph()
    held = graph.add("Clip", "x", graph.constant(0.0), graph.constant(1.0))
    detail = graph.add("Sub", held, graph.conv(held, gaussian(3, 4)))
    more = graph.add("Add", detail, graph.number("Mul", graph.add("Sign", detail), 0.07))
    return graph.model(graph.add("Clip", more, graph.constant(-0.4), graph.constant(0.4)))


def residual() -> onnx.ModelProto:
    graph = Graph()
    return graph.model(graph.add("Sub", shrunk(graph, "x", 3, 0.1), "x"))


def grey() -> onnx.ModelProto:
    graph = Graph()
    made = shrunk(graph, "x", 1, 0.1)
    sides = (1, 1, "h", "w")
    return graph.model(made, inputs=[("x", FLOAT, sides)], shape=(1, 1, None, None))


def with_alpha() -> onnx.ModelProto:
    graph = Graph()
    made = shrunk(graph, "x", 4, 0.1)
    sides = (1, 4, "h", "w")
    return graph.model(made, inputs=[("x", FLOAT, sides)], shape=(1, 4, None, None))


def last() -> onnx.ModelProto:
    graph = Graph()
    first = graph.add("Transpose", "x", perm=[0, 3, 1, 2])
    made = graph.add("Transpose", shrunk(graph, first, 3, 0.1), perm=[0, 2, 3, 1])
    sides = (1, "h", "w", 3)
    return graph.model(made, inputs=[("x", FLOAT, sides)], shape=(1, None, None, 3))


def half() -> onnx.ModelProto:
    graph = Graph()
    made = graph.add("Conv", "x", graph.constant(gaussian(3), np.float16), pads=[1] * 4)
    return graph.model(made, inputs=[("x", HALF, (1, 3, "h", "w"))], kind=HALF)


def fixed() -> onnx.ModelProto:
    graph = Graph()
    made = shrunk(graph, "x", 3, 0.1)
    return graph.model(made, inputs=[("x", FLOAT, (1, 3, 64, 96))], shape=(1, 3, 64, 96))


def strided() -> onnx.ModelProto:
    """Works on blocks of four by four, so that only multiples of four are taken."""
    graph = Graph()
    small = graph.add("SpaceToDepth", shrunk(graph, "x", 3, 0.1), blocksize=4)
    return graph.model(graph.add("DepthToSpace", small, blocksize=4))


def periodic() -> onnx.ModelProto:
    """Takes any size, and what it does to a pixel depends on where in a block of two it lies."""
    graph = Graph()
    mean = graph.add("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    large = graph.add(
        *("Resize", mean, "", graph.constant([1, 1, 2, 2])),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    shape = graph.add("Shape", "x")
    zeros, axes = graph.constant([0, 0, 0, 0], np.int64), graph.constant([0, 1, 2, 3], np.int64)
    cut = graph.add("Slice", large, zeros, shape, axes)
    mixed = graph.add("Add", graph.number("Mul", "x", 0.75), graph.number("Mul", cut, 0.25))
    return graph.model(mixed)


def everywhere() -> onnx.ModelProto:
    """Each pixel depends on the mean of all."""
    graph = Graph()
    mean = graph.add("GlobalAveragePool", shrunk(graph, "x", 3, 0.1))
    kept = graph.number("Mul", "x", 0.9)
    return graph.model(graph.add("Add", kept, graph.number("Mul", mean, 0.1)))


def bordered() -> onnx.ModelProto:
    """Loses two pixels on every side, as convolutions without padding do."""
    graph = Graph()
    return graph.model(graph.conv("x", gaussian(3, 2), pads=[0] * 4))


def several() -> onnx.ModelProto:
    """A mask first, then the picture."""
    graph = Graph()
    mask = graph.conv("x", np.ones((1, 3, 1, 1), np.float32))
    made = shrunk(graph, "x", 3, 0.1)
    return graph.model([mask, made], shape=(1, None, None, None))


def broken_on_black() -> onnx.ModelProto:
    graph = Graph()
    return graph.model(graph.add("Div", graph.add("Mul", "x", "x"), "x"))


def small_only() -> onnx.ModelProto:
    """Mirrors 20 pixels, which smaller pictures do not have."""
    graph = Graph()
    pads = graph.constant([0, 0, 20, 20, 0, 0, 20, 20], np.int64)
    padded = graph.add("Pad", "x", pads, mode="reflect")
    return graph.model(graph.conv(padded, gaussian(3, 20), pads=[0] * 4))


KNOWN: dict[str, tuple[Make, dict[str, Any], Reading]] = {
    "denoiser": (denoiser, {"scale": 1, "multiple": 1, "field": 1, "period": 1}, Reading()),
    "wide": (sharpener, {"field": 9}, Reading()),
    "enlarger": (enlarger, {"scale": 2, "field": 2, "period": 1}, Reading()),
    "three times": (lambda: enlarger(3), {"scale": 3}, Reading()),
    "bytes": (bytes_only, {"scale": 1}, Reading("0..255", "0..255")),
    "signed": (signed, {"scale": 1}, Reading("-1..1", "-1..1")),
    "blue first": (swapped, {"scale": 1}, Reading(bgr=True)),
    "noise": (noise, {"scale": 1}, Reading(gives="noise")),
    "strong noise": (strong_noise, {"scale": 1}, Reading(gives="noise")),
    "residual": (residual, {"scale": 1}, Reading(gives="residual")),
    "grey": (grey, {"scale": 1, "field": 1}, Reading()),
    "alpha": (with_alpha, {"scale": 1}, Reading()),
    "channels last": (last, {"scale": 1, "field": 1}, Reading()),
    "half": (half, {"scale": 1}, Reading()),
    "fixed": (fixed, {"fixed": (64, 96), "field": 1, "period": 1}, Reading()),
    "strided": (strided, {"multiple": 4, "period": 1}, Reading()),
    "periodic": (periodic, {"multiple": 1, "period": 2}, Reading()),
    "everywhere": (everywhere, {"everywhere": True, "field": None}, Reading()),
    "bordered": (bordered, {"scale": 1, "field": 2}, Reading(margin=2)),
    "several": (several, {"output": 1}, Reading()),
    "not finite": (broken_on_black, {"faults": ("black",)}, Reading()),
    "no small ones": (small_only, {"least": 32}, Reading()),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks(name: str, tmp_path: Path) -> None:
    make, facts, reading = KNOWN[name]
    made = found(make, tmp_path)
    assert made.reading == reading
    assert {key: getattr(made, key) for key in facts} == facts
    assert made.repeatable
    # What changes nothing beyond the field need not be nothing within it.
    assert made.field is None or made.reach <= made.field
    if made.field is not None and made.agreement is not None:
        assert made.agreement > 60
    assert Measured.of(made.as_dict()) == made


def test_what_is_said_overrules(tmp_path: Path) -> None:
    made = found(denoiser, tmp_path, Asked(range="-1..1", bgr=True))
    assert (made.reading.range, made.reading.bgr) == ("-1..1", True)


def sigma() -> onnx.ModelProto:
    """Takes away what is below a number of its own."""
    graph = Graph()
    soft = graph.conv("x", gaussian(3))
    detail = graph.add("Sub", "x", soft)
    small = graph.add("Less", graph.add("Abs", detail), "sigma")
    made = graph.add("Where", small, soft, "x")
    return graph.model(made, inputs=[("x", FLOAT, (1, 3, "h", "w")), ("sigma", FLOAT, (1,))])


def noise_map() -> onnx.ModelProto:
    """The same with a map as the fourth channel."""
    graph = Graph()
    starts, ends, axes = (graph.constant([n], np.int64) for n in (0, 3, 1))
    colours = graph.add("Slice", "x", starts, ends, axes)
    limit = graph.add("Slice", "x", ends, graph.constant([4], np.int64), axes)
    soft = graph.conv(colours, gaussian(3))
    small = graph.add("Less", graph.add("Abs", graph.add("Sub", colours, soft)), limit)
    made = graph.add("Where", small, soft, colours)
    return graph.model(made, inputs=[("x", FLOAT, (1, 4, "h", "w"))])


@pytest.mark.parametrize(("make", "name"), [(sigma, "sigma"), (noise_map, "channel4")])
def test_settings(make: Make, name: str, tmp_path: Path) -> None:
    network = opened(make, tmp_path)
    with pytest.raises(UsageError, match=f"--set {name}=VALUE"):
        network.weights("denoise")
    with pytest.raises(UsageError, match="no input 'other'"):
        network.weights("denoise", asked=Asked({name: 0.1, "other": 1.0}))
    x = photos()[0][:32, :40].transpose(2, 0, 1)[None]
    results = []
    for value in (0.0, 0.2):
        weights = network.weights("denoise", asked=Asked({name: value}))
        results.append(prepare(weights.network, scale=1).run(x).residual)
    assert np.abs(results[0]).max() < 1e-6
    assert np.abs(results[1]).max() > 0.01


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "not finite"])
def test_runs_as_it_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph that runs is the network, its numbers read as measured."""
    make = KNOWN[name][0]
    network = opened(make, tmp_path)
    made = found(make, tmp_path)
    monkeypatch.setattr(onnx_module, "measured", lambda *_, **__: made)
    weights = network.weights("upscale" if made.scale > 1 else "denoise")
    height, width = network.file.interface.fixed or (40, 56)
    x = photos()[1][:height, :width].transpose(2, 0, 1)
    ran = prepare(weights.network, scale=made.scale).run(x[None]).residual[0]
    inputs = to_network(x, network.file.interface, made.reading, {})

    def raw() -> list[np.ndarray[Any, Any]]:
        own = _Network(network.file.data, network.file.interface, {})
        return [own.run(np.ascontiguousarray(each))[made.output] for each in inputs]

    outputs = apart(raw)
    wanted = from_network(outputs, None if made.scale > 1 else x, made.reading)
    assert ran.shape == wanted.shape == (3, made.scale * height, made.scale * width)
    np.testing.assert_allclose(ran, wanted, atol=2e-6)


def test_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = opened(denoiser, tmp_path)
    first = network.measured(Asked())
    (kept,) = (tmp_path / "cache").rglob("*.json")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(measured_module.subprocess, "run", never)
        assert network.measured(Asked()) == first
        with pytest.raises(AssertionError):
            network.measured(Asked(bgr=True))
    for damage in ("", "{}", '{"version": 1, "measured": {}}', '{"version": 0}'):
        kept.write_text(damage)
        assert replace(network.measured(Asked()), seconds=0, memory=0) == replace(
            first, seconds=0, memory=0
        )


def test_another_size_than_its_own_is_no_bug(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing to do with"):
        opened(broken_on_black, tmp_path).weights("denoise")
