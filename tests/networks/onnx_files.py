"""Small networks as ONNX files, made in code; each does a little of what a restoration does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
Shape = Sequence[int | str | None]
OPEN: Shape = (1, 3, "h", "w")


class Graph:
    """Nodes one after the other; each method gives the name of what it makes."""

    def __init__(self, opset: int = 17) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.opset = opset

    def constant(self, value: Any, kind: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x: str, weights: NDArray[Any], **attributes: Any) -> str:
        side = weights.shape[-1] // 2
        attributes = {"pads": [side] * 4, **attributes}
        return str(self.add("Conv", x, self.constant(weights), **attributes))

    def number(self, operator: str, x: str, value: float) -> str:
        return str(self.add(operator, x, self.constant(value)))

    def model(
        self,
        output: str | Sequence[str],
        *,
        inputs: Sequence[tuple[str, int, Shape]] = (("x", FLOAT, OPEN),),
        shape: Shape = (1, 3, None, None),
        kind: int = FLOAT,
    ) -> onnx.ModelProto:
        outputs = [output] if isinstance(output, str) else list(output)
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(*each) for each in inputs],
            [helper.make_tensor_value_info(name, kind, shape) for name in outputs],
            self.constants,
        )
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="tests"
        )
        made.ir_version = 8
        return made


def gaussian(channels: int, radius: int = 1) -> NDArray[np.float32]:
    """A blur of each channel by itself, as weights of a convolution."""
    axis = np.exp(-(np.arange(-radius, radius + 1) ** 2) / radius**2)
    kernel = np.outer(axis, axis) / axis.sum() ** 2
    weights = np.zeros((channels, channels, *kernel.shape), np.float32)
    weights[range(channels), range(channels)] = kernel
    return weights


def shrunk(graph: Graph, x: str, channels: int, threshold: float, radius: int = 1) -> str:
    """Denoises: what differs from a blur by less than the threshold is taken away."""
    soft = graph.conv(x, gaussian(channels, radius))
    detail = graph.add("Sub", x, soft)
    kept = graph.add("Shrink", detail, lambd=threshold, bias=threshold)
    return str(graph.add("Add", soft, kept))


def denoiser(threshold: float = 0.1, radius: int = 1) -> onnx.ModelProto:
    """For 0..1, or 0..255 with a threshold of some 25."""
    graph = Graph()
    return graph.model(shrunk(graph, "x", 3, threshold, radius))


def enlarger(scale: int = 2) -> onnx.ModelProto:
    """Enlarges smoothly, clipped to 0..1."""
    graph = Graph()
    scales = graph.constant([1, 1, scale, scale])
    large = graph.add(
        "Resize",
        *("x", "", scales),
        mode="cubic",
        cubic_coeff_a=-0.5,
        coordinate_transformation_mode="half_pixel",
    )
    clipped = graph.add("Clip", large, graph.constant(0.0), graph.constant(1.0))
    return graph.model(clipped)


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
