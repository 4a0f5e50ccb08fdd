#!/usr/bin/env bash
# The same int8 model gives half the sum on x86 processors without VNNI: OpenVINO saturates silently.
#
# Date: 2026-11-30. Seen with openvino 2026.4 on an x86 processor with AVX-512 VNNI, held to AVX2 and
# to AVX-512 without VNNI by oneDNN's documented ONEDNN_MAX_CPU_ISA. Kernels there add two products of
# u8 and s8 in 16 bits, and what does not fit is cut off; oneDNN says so ("Nuances of int8
# computations", https://uxlfoundation.github.io/oneDNN/dev_guide_int8_computations.html). One would
# expect the plugin to take a wider sum, or scaled weights, where a model needs it: it does neither
# and says nothing. With inputs of 255 and weights of 127 all sums come out as 0.506 of what they are;
# with weights of 64 (7 bits) they are right everywhere. So weights that are quantised to 8 bits and
# tested on a server are wrong on most laptops of 2013 to 2020.
#
# Exits with 0 where this is so, with 77 on other processors than x86 with VNNI, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
grep -qE 'avx512_vnni|avx_vnni' /proc/cpuinfo || { echo "no VNNI to compare with"; exit 77; }
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "openvino==2026.4.*" numpy
cat > "$folder/look.py" <<'PY'
import numpy as np
import openvino
from openvino import opset13 as ops

CHANNELS = 32
x = np.full((1, CHANNELS, 16, 16), 255, np.float32)
shares = []
for most in (64, 127):
    given = ops.parameter(list(x.shape), openvino.Type.f32)
    low, high = np.float32(0), np.float32(255)
    levels = ops.fake_quantize(given, low, high, low, high, 256)
    whole = ops.constant(np.full((CHANNELS, CHANNELS, 3, 3), most, np.int8))
    weights = ops.multiply(ops.convert(whole, "f32"), np.full((CHANNELS, 1, 1, 1), 1 / most, np.float32))
    made = ops.convolution(levels, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    model = openvino.Model([made], [given], "sum")
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    result = openvino.Core().compile_model(model, "CPU", hint)(x)[0]
    # Each weight stands for 1.
    shares.append(f"{most}: {float(result.mean()) / (255 * CHANNELS * 9):.3f}")
print(", ".join(shares))
PY
look() { "$@" "$folder/venv/bin/python" "$folder/look.py"; }
full=$(look env -u ONEDNN_MAX_CPU_ISA)
avx2=$(look env ONEDNN_MAX_CPU_ISA=AVX2)
avx512=$(look env ONEDNN_MAX_CPU_ISA=AVX512_CORE)
printf 'share of the right sum, by weight\nVNNI     %s\nAVX2     %s\nAVX-512  %s\n' "$full" "$avx2" "$avx512"
[ "$full" = "64: 1.000, 127: 1.000" ] || { echo "changed"; exit 1; }
[ "$avx2" = "64: 1.000, 127: 0.506" ] || { echo "changed"; exit 1; }
case $avx512 in
  "$avx2" | "$full") echo "as described" ;;
  *) echo "changed"; exit 1 ;;
esac
