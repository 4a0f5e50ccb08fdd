#!/usr/bin/env bash
# Pillow saves an AVIF whose colours are told by numbers as if it had been sRGB: Display P3 and HDR change.
#
# Date: 2026-11-30. Seen with Pillow 13.0 (libavif inside), files made by imagecodecs 2026.3.6. AVIF
# tells its colours by an ICC profile or by three numbers (CICP, ITU-T H.273, in a colr box of the type
# nclx): 12, 13 for Display P3, 9, 16 for BT.2020 with PQ, 1, 13 for sRGB. Phones and encoders write the
# numbers alone. Opened in Pillow, nothing of them is in image.info, and the samples are not converted;
# saved as AVIF, the same samples are labelled 1, 13: a browser shows the copy of a Display P3 photo
# paler, and of an HDR photo as flat grey. Saved as PNG or JPEG there is no label at all, which means
# sRGB, too. With a profile all is well: it is in image.info and is written again.
# Guessed wrong: that Image.open(a).save(b) keeps the colours within a format. pillow-heif keeps these
# numbers for HEIC (info["nclx_profile"]).
# Documented: Pillow's "Image file formats" has icc_profile, exif and xmp among what is saved with an
# AVIF; that colours may be told otherwise is not said there.
#
# Exits with 0 where this is so, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "pillow==13.0.0" "imagecodecs==2026.3.6" numpy
cat > "$folder/look.py" <<'PY'
import io
import struct
import sys

import imagecodecs
import numpy as np
import PIL
from PIL import Image


def numbers(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of the colr box (ISO/IEC 23008-12, 23091-2)."""
    at = data.find(b"colrnclx")
    return None if at < 0 else struct.unpack_from(">HH", data, at + 8)


ramp = np.linspace(0, 255, 64).astype(np.uint8)
pixels = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), np.full((64, 64), 40, np.uint8)], 2)
print(f"Pillow {PIL.__version__}, imagecodecs {imagecodecs.__version__}, {imagecodecs.avif_version()}")
found = {}
for name, primaries, transfer, matrix in (("sRGB", 1, 13, 1), ("Display P3", 12, 13, 1), ("BT.2020 PQ", 9, 16, 9)):
    data = imagecodecs.avif_encode(
        pixels, level=95, primaries=primaries, transfer=transfer, matrix=matrix
    )
    image = Image.open(io.BytesIO(data))
    copy = io.BytesIO()
    image.save(copy, "AVIF", quality=95)
    off = np.abs(np.asarray(image, int) - np.asarray(Image.open(copy), int)).mean()
    found[name] = (numbers(data), numbers(copy.getvalue()), "icc_profile" in image.info)
    first, again, profile = found[name]
    print(f"{name}: {first}, with a profile in Pillow: {profile}, saved again {again}", end=", ")
    print(f"samples {off:.1f} of 255 off")
if found != {
    "sRGB": ((1, 13), (1, 13), False),
    "Display P3": ((12, 13), (1, 13), False),
    "BT.2020 PQ": ((9, 16), (1, 13), False),
}:
    sys.exit("changed")
print("as described")
PY
"$folder/venv/bin/python" "$folder/look.py"
