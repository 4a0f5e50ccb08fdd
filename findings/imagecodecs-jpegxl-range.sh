#!/usr/bin/env bash
# 2026-11-30. imagecodecs gives the samples of a JPEG XL of 10 bits as 0..1023 in uint16.
#
# djxl, and libjxl's own default (JXL_BIT_DEPTH_FROM_PIXEL_FORMAT), scale to the whole range of the
# type asked for: white is 65535. imagecodecs asks for JXL_BIT_DEPTH_FROM_CODESTREAM. The array is of
# uint16 either way, and nothing that comes with it tells the depth: a reader that takes uint16 for
# 0..65535 shows a photo at 1.6 % of its brightness. The file's header alone has the number of bits.
# Guessed wrong: that a dtype says what white is.
# Documented: libjxl, decode.h, JxlBitDepthType; imagecodecs says it of encoding (bitspersample) alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q imagecodecs==2025.8.2 numpy==2.3.4
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import imagecodecs
import numpy as np

found = {}
for bits in (10, 12, 16):
    ramp = np.tile(np.linspace(0, 2**bits - 1, 512).astype(np.uint16), (64, 1))
    data = imagecodecs.jpegxl_encode(ramp, bitspersample=bits, lossless=True)
    back = imagecodecs.jpegxl_decode(data)
    found[bits] = (back.dtype.name, int(back.max()))
print("imagecodecs", imagecodecs.__version__, imagecodecs.jpegxl_version())
for bits, (dtype, white) in found.items():
    print(f"{bits} bits: {dtype}, white is {white}")
if found == {bits: ("uint16", 2**bits - 1) for bits in (10, 12, 16)}:
    print("as stated: white is that of the file, not of the type")
else:
    sys.exit("the behaviour has changed")
PYTHON
