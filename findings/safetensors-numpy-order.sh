#!/usr/bin/env bash
# safetensors.numpy writes a transposed array with its numbers in the wrong places, and says nothing.
#
# Date: 2026-11-30. Seen with safetensors 0.8.0 and numpy 2; 0.7.0 has it right. From 0.8 on save and
# save_file hand over an array's address and size; strides are not looked at. Weights that come from
# a.T or of transpose(3, 2, 0, 1), which makes PyTorch's convolutions of TensorFlow's, have the right
# shape, type and size in the file and come back shuffled; of a[:, ::2] it has what lies between. One
# would expect what safetensors.torch does, which raises, or a copy in order as by numpy.save. Mean,
# norm and extremes of a transposed array do not tell either. numpy.ascontiguousarray before helps.
# Documented: the docstring has "Tensors need to be contiguous and dense"; as a regression it is
# https://github.com/safetensors/safetensors/issues/825 (open).
#
# Exits with 0 where this is so, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PY'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, save

kernel = np.arange(3 * 3 * 2 * 4, dtype=np.float32).reshape(3, 3, 2, 4)
arrays = {
    "as it is": kernel,
    "transposed": kernel.transpose(3, 2, 0, 1),
    "Fortran's order": np.asfortranarray(kernel),
    "every second": kernel[:, ::2],
    "transposed, contiguous": np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)),
}
right = []
for name, array in arrays.items():
    back = load(save({"kernel": array}))["kernel"]
    assert back.shape == array.shape and back.dtype == array.dtype
    right.append(np.array_equal(back, array))
    print(f"  {name}: {'right' if right[-1] else 'WRONG'}")
print(f"safetensors {safetensors.__version__}, numpy {np.__version__}")
old = safetensors.__version__.startswith("0.7.")
if right != ([True] * 5 if old else [True, False, False, False, True]):
    sys.exit("changed")
PY
for version in 0.7.0 0.8.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install -q "safetensors==$version" "numpy>=2,<3"
    "$folder/$version/bin/python" "$folder/look.py"
done
echo "as described"
