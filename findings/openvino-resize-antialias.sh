#!/usr/bin/env bash
# OpenVINO runs ONNX's Resize on the CPU as if antialias and exclude_outside were not there.
#
# Seen on 2026-11-30 with openvino 2026.4.1, onnx 1.23.2 and onnxruntime 1.32.0 from PyPI.
#
# ONNX's Resize has antialias (since opset 18: reduce as Pillow does, with a kernel that is widened
# by the scale) and exclude_outside (since opset 11: weights of samples outside of the picture are
# 0, the rest is normalised). One expects that a reader refuses an attribute that it lacks, as
# OpenVINO does with coordinate_transformation_mode="half_pixel_symmetric". It refuses neither: the
# model is read and compiled without a word, and the numbers are those of the same model with both
# attributes at 0: a picture reduced by half in this way is aliased. ONNX Runtime and ONNX's own
# reference implementation agree with each other. So a network with
# torch.nn.functional.interpolate(..., antialias=True) in it is another network in OpenVINO.
#
# The attributes: https://onnx.ai/onnx/operators/onnx__Resize.html
# Of antialias in cubic mode: https://github.com/openvinotoolkit/openvino/issues/35893 (open). The
# reader hands antialias on (src/frontends/onnx/frontend/src/op/resize.cpp) to Interpolate in the
# modes linear_onnx and cubic, which do without on the CPU; of exclude_outside it reads nothing.
#
# Exits with 0 while this is so, with 1 if OpenVINO heeds or refuses one of the attributes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy
OPENVINO_TELEMETRY_OPT_OUT=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

print(f"openvino {openvino.__version__}, onnx {onnx.__version__},", end=" ")
print(f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}")
x = np.random.default_rng(0).random((1, 1, 16, 16), np.float32)


def resize(mode, scale, **attributes):
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode=mode, **attributes)
    sides = ["N", "C", "H", "W"]
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sides)],
        [numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), "scales")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    checker.check_model(model, full_check=True)
    return model


def by_openvino(model):
    core = openvino.Core()
    read = core.read_model(model.SerializeToString())
    compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return next(iter(compiled([x]).values()))


def by_onnxruntime(model):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


changed = False
for mode, scale, attribute in (
    ("linear", 0.5, "antialias"),
    ("cubic", 0.5, "antialias"),
    ("cubic", 2.0, "exclude_outside"),
):
    plain, asked = resize(mode, scale), resize(mode, scale, **{attribute: 1})
    try:
        found = by_openvino(asked)
    except Exception as error:
        print(f"{mode} x{scale} {attribute}=1: OpenVINO refuses it: {str(error)[-200:]}")
        changed = True
        continue
    wanted, told = by_onnxruntime(asked), ReferenceEvaluator(asked).run(None, {"x": x})[0]
    references = float(np.abs(wanted - told).max())
    off = float(np.abs(found - wanted).max())
    as_plain = float(np.abs(found - by_openvino(plain)).max())
    print(
        f"{mode} x{scale} {attribute}=1: OpenVINO off ONNX Runtime by {off:.3f},"
        f" off its own result with {attribute}=0 by {as_plain:.6f};"
        f" ONNX Runtime off the reference by {references:.6f}"
    )
    changed |= not (off > 0.01 and as_plain < 1e-6 and references < 1e-4)
print("changed" if changed else "as described")
sys.exit(changed)
PYTHON
