#!/usr/bin/env bash
# 2026-11-30. Pillow reads an uncompressed CMYK TIFF of 16 bits in planes apart as noise, without an error.
#
# The same samples with PlanarConfiguration 1 (inks beside each other), or in planes of 8 bits, come out
# right. In planes of 16 bits the raw decoder takes each plane for bytes of one ink: every second byte
# is the low one, and half of each plane stays unread. Mode, size and "no error" look as they should.
# Guessed wrong: that a layout Pillow opens and loads is one it decodes.
# Documented: TIFF 6.0, PlanarConfiguration (tag 284), allows it for every photometric interpretation;
# Pillow's page on TIFF says nothing of planes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==12.0.0 tifffile==2025.10.16 numpy==2.3.4
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

ramp = np.broadcast_to(np.arange(48) * 1365, (32, 48))
inks = np.stack([ramp, ramp // 2, ramp // 3, ramp // 4]).astype(np.uint16)


def error(dtype, planar):
    samples = inks if dtype == np.uint16 else (inks >> 8).astype(np.uint8)
    stored = samples if planar == "separate" else samples.transpose(1, 2, 0)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stored, photometric="separated", planarconfig=planar)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(buffer.getvalue())), stored)
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        found = np.asarray(image).astype(int)
    return float(np.abs(found - (inks >> 8).transpose(1, 2, 0)).mean())


print("Pillow", PIL.__version__, "tifffile", tifffile.__version__)
found = {
    (dtype.__name__, planar): error(dtype, planar)
    for dtype in (np.uint8, np.uint16)
    for planar in ("contig", "separate")
}
for (dtype, planar), levels in found.items():
    print(f"{dtype} {planar}: {levels:.1f} levels of 255 off")
wrong = [key for key, levels in found.items() if levels > 20]
right = [key for key, levels in found.items() if levels < 1]
if wrong == [("uint16", "separate")] and len(right) == 3:
    print("as stated: planes of 16 bits alone are wrong")
else:
    sys.exit("the behaviour has changed")
PYTHON
