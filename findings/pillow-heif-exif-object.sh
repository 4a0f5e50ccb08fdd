#!/usr/bin/env bash
# pillow-heif writes a photo lying on its side if EXIF is given as Pillow's object instead of as bytes.
#
# Date: 2026-11-30. Seen with pillow-heif 1.8.1 and Pillow 13.0. In HEIF the property irot turns a
# picture; EXIF's orientation is for information and readers are not to turn by it. The plugin makes
# irot out of the orientation when it saves. Pillow's save takes exif= as bytes or as Image.Exif, to
# the same effect for JPEG, PNG, WebP and AVIF (which has irot, too). For HEIF it is not the same:
# the orientation is looked for in bytes alone. With exif=image.getexif() the block is written, with its
# orientation, and no irot: the photo is shown lying. Opened again, the plugin sets the orientation to
# 1, as if the pixels had been turned, so exif_transpose does not help.
# Guessed wrong: that exif=image.getexif() and exif=image.info["exif"] are one.
# Documented: ISO/IEC 23008-12 (transformative item properties, Exif). The plugin's notes on 0.3.0 say
# that exif= works as in other Pillow plugins, and objects were added to it on purpose
# (https://github.com/bigcat88/pillow_heif/issues/51); that the two differ is said nowhere.
#
# Exits with 0 where this is so, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "pillow-heif==1.8.1" "pillow==13.0.0"
cat > "$folder/look.py" <<'PY'
import io
import sys

import PIL
import pillow_heif
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
exif = Image.Exif()
exif[0x0112] = 6  # to be shown turned by 90 degrees: 48 wide, 64 high
jpeg = io.BytesIO()
Image.new("RGB", (64, 48), (200, 30, 30)).save(jpeg, "JPEG", exif=exif)


def converted(form: str, kind: str) -> tuple[int, int]:
    """Save the JPEG in a form: the size at which it is shown."""
    image = Image.open(io.BytesIO(jpeg.getvalue()))
    buffer = io.BytesIO()
    image.save(buffer, form, exif=image.info["exif"] if kind == "bytes" else image.getexif())
    size = ImageOps.exif_transpose(Image.open(buffer)).size
    irot = ", irot" if b"irot" in buffer.getvalue() else ""
    print(f"  {form} of {kind}{irot}: shown as {size[0]}x{size[1]}")
    return size


print(f"pillow-heif {pillow_heif.__version__}, libheif {pillow_heif.libheif_version()}", end=", ")
print(f"Pillow {PIL.__version__}; a JPEG that is shown as 48x64, saved as")
forms = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")
found = {(form, kind): converted(form, kind) for form in forms for kind in ("bytes", "Exif")}
wrong = {key for key, size in found.items() if size != (48, 64)}
if wrong != {("HEIF", "Exif")} or found["HEIF", "Exif"] != (64, 48):
    sys.exit("changed")
print("as described")
PY
"$folder/venv/bin/python" "$folder/look.py"
