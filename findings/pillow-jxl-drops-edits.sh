#!/usr/bin/env bash
# pillow-jxl-plugin saves the JPEG that an image was opened from, not the image as it is now.
#
# Date: 2026-11-30. Seen with pillow-jxl-plugin 1.3.8 and Pillow 13.0. JPEG XL can hold a JPEG without
# loss, and the plugin does so by default: where Image.format is "JPEG" and there is a file name, save
# reads that file again and transcodes it. One would expect it to look whether the pixels are still
# those of the file. It does not: what was done in place (thumbnail, paste, ImageDraw, putpixel,
# ImageOps.exif_transpose(in_place=True)) is lost, and so is what quality= and exif= ask for. The
# result has the old size and the old picture; a UserWarning tells of "JPEG reconstruction", not of
# edits. The same program writes the edits for a PNG, for a JPEG opened from memory, after copy() and
# with lossless_jpeg=False.
# Documented: the plugin's README shows "lossless construct from a jpeg image" with lossless=True alone.
#
# Exits with 0 where this is so, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "pillow-jxl-plugin==1.3.8" "pillow==13.0.0"
cat > "$folder/look.py" <<'PY'
import io
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import pillow_jxl  # noqa: F401
from PIL import Image

warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
red = Image.new("RGB", (64, 48), (200, 30, 30))
red.save(folder / "photo.jpg", quality=95)
red.save(folder / "photo.png")


def saved(image: Image.Image, **options: bool) -> str:
    """Halve and paint blue in place, save: what is in the file."""
    image.thumbnail((32, 24))
    image.paste((30, 30, 200), (0, 0, *image.size))
    image.save(folder / "photo.jxl", **options)
    with Image.open(folder / "photo.jxl") as back:
        r, _, b = back.getpixel((5, 5))
        return f"{back.width}x{back.height} {'red' if r > b else 'blue'}"


jpeg = folder / "photo.jpg"
found = {
    "JPEG": saved(Image.open(jpeg)),
    "PNG": saved(Image.open(folder / "photo.png")),
    "JPEG in memory": saved(Image.open(io.BytesIO(jpeg.read_bytes()))),
    "copy of JPEG": saved(Image.open(jpeg).copy()),
    "lossless_jpeg=False": saved(Image.open(jpeg), lossless_jpeg=False),
}
print("pillow-jxl-plugin", version("pillow-jxl-plugin"), "Pillow", version("pillow"))
print("saved as JPEG XL after halving and painting it blue:")
for name, what in found.items():
    print(f"  {name}: {what}")
with Image.open(jpeg) as image:
    exif = image.getexif()
    exif[0x010E] = "a description"
    image.save(folder / "told.jxl", exif=exif)
with Image.open(folder / "told.jxl") as image:
    told = 0x010E in image.getexif()
print("  JPEG with exif= of its own:", "kept" if told else "lost")
wrong = found.pop("JPEG")
if told or wrong != "64x48 red" or set(found.values()) != {"32x24 blue"}:
    sys.exit("changed")
print("as described")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder"
