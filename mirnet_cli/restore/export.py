"""This project's networks as ONNX files, for programs that run those."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mirnet_cli import extras
from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.files import write_atomically
from mirnet_cli.models.weights import Weights
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.restore.resample import BICUBIC_REACH, Floats, bicubic_phases

if TYPE_CHECKING:
    from torch import Tensor, nn

OPSET = 17
"""Of 2022: what runs ONNX knows it."""

_ALLOWED = 1e-4
_SIDE = 64


def export(
    weights: Weights,
    target: Path,
    *,
    scale: int | None,
    overwrite: bool,
    input_quality: str | None = None,
) -> float:
    """Write a network with what its residual is added to: pictures in 0..1 go in and come out.

    The input is ``(1, 3, H, W)``, red first; sides are multiples of the network's stride.

    Args:
        weights: of this project or of the authors of its networks.
        target: a file that ends in .onnx.
        scale: one of theirs.
        overwrite: whether the target may be replaced.
        input_quality: "clean" or "real": which of two sets of weights; None is the latter, or the
            only one.

    Returns:
        The largest difference of the file, run by OpenVINO, from the network.

    Raises:
        UsageError: for a name, a scale or a network that cannot be, or a library that is missing.
        ModelError: for weights that do not fit the network, or a file that is not equal to it.
        OutputError: for a target that exists or cannot be written.
    """
    if target.suffix != ".onnx":
        raise UsageError("needs a name that ends in .onnx", "name it so", subject=target)
    scale = scale or weights.default_scale
    if scale not in weights.scales:
        has = ", ".join(map(str, weights.scales))
        raise UsageError(f"made for scale {has}, not for {scale}", "use one of them")
    if weights.base not in ("input", "bicubic"):
        what = "needs more than one network, which an ONNX file does not hold"
        raise UsageError(what, "export denoise or upscale", subject=weights.name)
    if input_quality is not None and weights.clean is None:
        what = "has one set of weights for all photos"
        raise UsageError(what, "leave --input-quality out", subject=weights.name)
    for library in ("torch", "onnx"):
        extras.require(library, "exporting a network")
    import torch

    spec = weights.clean if input_quality == "clean" else weights.network
    assert spec is not None
    module = _module(spec, scale)
    stride = FAMILIES[spec.family].stride(spec.config)
    x = torch.rand(1, 3, _SIDE, _SIDE + stride, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = module(x).numpy()
    data = _exported(module, x)
    from mirnet_cli.runtime.openvino_library import openvino

    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    found = core.compile_model(core.read_model(data), "CPU", hint)(x.numpy())[0]
    difference = float(np.abs(found - wanted).max())
    if not difference <= _ALLOWED:
        what = f"the exported network is off by {difference:.2g}"
        raise ModelError(what, "use another version of torch", subject=target)
    write_atomically(target, data, overwrite=overwrite)
    return difference


def _exported(module: "nn.Module", x: "Tensor") -> bytes:
    import io
    import warnings

    import torch

    made: Any = io.BytesIO()
    sides = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        # That there is a newer exporter, whose files are in two parts.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (x,),
            made,
            input_names=["picture"],
            output_names=["result"],
            dynamic_axes={"picture": sides, "result": {2: "height_out", 3: "width_out"}},
            opset_version=OPSET,
            dynamo=False,
        )
    data: bytes = made.getvalue()
    return data


def _module(spec: NetworkSpec, scale: int) -> "nn.Module":
    """The network and what its residual is added to."""
    import torch
    from torch import nn
    from torch.nn import functional

    from mirnet_cli.runtime.torch_runtime import prepare

    runner = prepare(spec, scale=scale, device="cpu", precision="fp32")
    kernels = torch.from_numpy(_kernels(scale)).repeat(3, 1, 1, 1)

    class Whole(nn.Module):
        kernels: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = runner.module
            self.register_buffer("kernels", kernels)

        def forward(self, x: Any) -> Any:
            residual = self.network(x, **runner.options)
            if scale == 1:
                return (x + residual).clamp(0, 1)
            wide = functional.pad(x, [BICUBIC_REACH] * 4, mode="replicate")
            large = functional.conv2d(wide, self.kernels, groups=3)
            return (functional.pixel_shuffle(large, scale) + residual).clamp(0, 1)

    return Whole().eval()


def _kernels(scale: int) -> Floats:
    """The bicubic enlargement as convolutions, ``(scale * scale, 1, 5, 5)``: one for each phase."""
    side = 2 * BICUBIC_REACH + 1
    lines = np.zeros((scale, side), np.float32)
    for line, (first, taps) in zip(lines, bicubic_phases(scale), strict=True):
        line[first + BICUBIC_REACH : first + BICUBIC_REACH + len(taps)] = taps
    made: Floats = np.einsum("ai,bj->abij", lines, lines).reshape(-1, 1, side, side)
    return made
