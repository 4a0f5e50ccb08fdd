#!/usr/bin/env bash
# LibRaw develops a DNG as if it had no BaselineExposure: one that asks for +2 EV gets a quarter of its light.
#
# Date: 2026-11-30. Seen with rawpy 0.28.0 (LibRaw 0.22.2). A DNG tells how it is to be developed: black
# and white levels, white balance, matrices, and in BaselineExposure (tag 50730) by how many EV the
# result is to be brightened, for cameras that expose for the highlights. One would expect a reader
# that goes by all the others to go by this one, too, the more so as LibRaw reads it. It is never
# applied: +2 EV changes no sample, where half the WhiteLevel doubles all of them. Nothing tells, and
# rawpy does not give the number out. Automatic brightening, on by default, hides it: that makes any
# photo bright, one of a night as well, and whoever turns it off to have the photo as it was taken
# has the camera's own brightness missing. exp_shift, linear, applies it by hand.
# Documented: DNG 1.7, BaselineExposure. LibRaw keeps it in dng_levels.baseline_exposure
# (libraw_types.h), which its sample raw-identify prints and nothing else uses; "API datastruct" does
# not name it.
#
# Exits with 0 where this is so, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "rawpy==0.28.0" "tifffile==2026.3.3" "numpy>=2,<3"
cat > "$folder/look.py" <<'PY'
import io
import sys

import numpy as np
import rawpy
import tifffile

BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10
# XYZ to a camera whose colours are those of sRGB, D65.
MATRIX = (32410, -15374, -4986, -9692, 18760, 416, 556, -2040, 10570)


def dng(exposure: int, white: int = 65535) -> io.BytesIO:
    """A DNG of one grey, a sixteenth of 65535, with a BaselineExposure in EV."""

    def rationals(*values: int) -> list[int]:
        return [part for value in values for part in (value, 10000)]

    tags = [
        (271, ASCII, 0, "Maker"), (272, ASCII, 0, "Model"), (50708, ASCII, 0, "Maker Model"),
        (33421, SHORT, 2, (2, 2)), (33422, BYTE, 4, bytes((0, 1, 1, 2))),
        (50706, BYTE, 4, bytes((1, 4, 0, 0))), (50717, LONG, 1, white),
        (50721, SRATIONAL, 9, rationals(*MATRIX)), (50778, SHORT, 1, 21),
        (50728, RATIONAL, 3, rationals(10000, 10000, 10000)),
        (50730, SRATIONAL, 1, (exposure, 1)),
    ]  # fmt: skip
    buffer = io.BytesIO()
    samples = np.full((64, 96), 4096, np.uint16)
    extra = [(*tag, True) for tag in tags]
    tifffile.imwrite(buffer, samples, photometric=32803, metadata=None, extratags=extra)
    buffer.seek(0)
    return buffer


def developed(file: io.BytesIO, **options: float) -> int:
    with rawpy.imread(file) as raw:
        options |= {"no_auto_bright": True, "use_camera_wb": True, "output_bps": 16}
        return round(float(raw.postprocess(gamma=(1, 1), **options)[..., 1].mean()))


print("rawpy", rawpy.__version__, "LibRaw", ".".join(map(str, rawpy.libraw_version)))
found = {
    "0 EV": developed(dng(0)),
    "+2 EV": developed(dng(2)),
    "-2 EV": developed(dng(-2)),
    "half the WhiteLevel": developed(dng(0, 32768)),
    "+2 EV, exp_shift=4": developed(dng(2), exp_shift=4.0),
}
for name, level in found.items():
    print(f"  {name}: {level} of 65535")
ratios = [round(level / found["0 EV"], 2) for level in found.values()]
if ratios != [1, 1, 1, 2, 4]:
    sys.exit("changed")
print("as described")
PY
"$folder/venv/bin/python" "$folder/look.py"
