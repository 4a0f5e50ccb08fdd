#!/usr/bin/env bash
# Compiling one OpenVINO model with CPU_DENORMALS_OPTIMIZATION changes float arithmetic of the caller.
#
# Date: 2026-11-30. Seen with openvino 2026.4, onnxruntime 1.32 and numpy 2 on x86. The property is
# documented as a trade of a compiled model's accuracy for speed
# (https://docs.openvino.ai/latest/groupov_runtime_cpu_prop_cpp_api.html). One would expect it to hold
# while that model runs: compile_model alone sets flush-to-zero and denormals-are-zero in the calling
# thread, and leaves them set; from then on numpy in that thread loses numbers below 1.2e-38, and
# threads started there inherit it on Linux. Compiling another model with the property off sets the
# thread back, and so does a run of ONNX Runtime, which writes its own setting: which arithmetic numpy
# has depends on the library that was used last. Compile and run in a thread kept for it.
#
# Exits with 0 where this is so, with 77 on other processors than x86, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ "$(uname -m)" = x86_64 ] || { echo "another processor"; exit 77; }
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "openvino==2026.4.*" "onnxruntime==1.32.*" onnx numpy
cat > "$folder/look.py" <<'PY'
import threading

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper
from openvino import opset13 as ops


def lost() -> bool:
    return bool(np.float32(1e-40) * np.float32(1) == 0)


def compiled(value: str) -> None:
    given = ops.parameter([1, 8], openvino.Type.f32)
    model = openvino.Model([ops.relu(given)], [given], "relu")
    openvino.Core().compile_model(model, "CPU", {"CPU_DENORMALS_OPTIMIZATION": value})


def child() -> bool:
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(lost()))
    thread.start()
    thread.join()
    return seen[0]


seen = [lost()]
compiled("YES")
seen += [lost(), child()]
compiled("NO")
seen += [lost()]
compiled("YES")
graph = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["y"])], "relu",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
session.run(None, {"x": np.ones((1, 8), np.float32)})
seen += [lost()]
print(openvino.__version__.split("-")[0], onnxruntime.__version__, onnx.__version__)
names = ["at first", "compiled with YES", "a thread started then", "compiled with NO", "YES, then ONNX Runtime"]
print("numbers of 1e-40 are lost:", ", ".join(f"{n} {s}" for n, s in zip(names, seen)))
raise SystemExit(0 if seen == [False, True, True, False, False] else 1)
PY
"$folder/venv/bin/python" "$folder/look.py" && echo "as described" || { echo "changed"; exit 1; }
