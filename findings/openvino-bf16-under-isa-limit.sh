#!/usr/bin/env bash
# OpenVINO's CPU plugin tells of bfloat16 by what the processor has, not by what oneDNN may use.
#
# Date: 2026-11-30. Seen with openvino 2026.4 on x86 processors with AVX-512 bf16.
# ONEDNN_MAX_CPU_ISA is oneDNN's documented way to hold it to an instruction set
# (https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html), and the plugin's
# kernels heed it. One would expect OPTIMIZATION_CAPABILITIES and the default of
# INFERENCE_PRECISION_HINT to follow: under AVX2 they still say BF16 and bfloat16. A model whose
# precision is left at the default, or asked for in bf16 because the capability is listed, then has
# layers with no kernel (softmax, average pooling): compiling raises. So a program that imitates a lesser processor has to look
# at the variable itself.
#
# Exits with 0 where this is so, with 77 where the processor has no bfloat16, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "openvino==2026.4.*" numpy
cat > "$folder/look.py" <<'PY'
import sys

import numpy as np
import openvino
from openvino import opset13 as ops

core = openvino.Core()
says = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
print(openvino.get_version(), "BF16 listed:", says, core.get_property("CPU", "INFERENCE_PRECISION_HINT"))
given = ops.parameter([1, 8, 16, 16], openvino.Type.f32)
weights = ops.constant(np.ones((8, 8, 3, 3), np.float32))
sides = ([1, 1], [1, 1], [1, 1], [1, 1])
middle = ops.softmax(ops.convolution(given, weights, *sides), 1)
model = openvino.Model([ops.convolution(middle, weights, *sides)], [given], "softmax")
try:
    core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    compiles = True
except RuntimeError as error:
    compiles = False
    print("raises:", str(error).strip().splitlines()[-1][:100])
print("compiles:", compiles)
sys.exit(2 * says + compiles)
PY
look() { local code=0; "$@" "$folder/venv/bin/python" "$folder/look.py" || code=$?; echo "$code" > "$folder/code"; }
look env -u ONEDNN_MAX_CPU_ISA
[ "$(cat "$folder/code")" = 3 ] || { echo "this processor has no bfloat16"; exit 77; }
look env ONEDNN_MAX_CPU_ISA=AVX2
case $(cat "$folder/code") in
  2) echo "as described: listed, and compiling raises" ;;
  *) echo "changed"; exit 1 ;;
esac
