#!/usr/bin/env bash
# A photo that OpenCV reads with its metadata and writes with them is turned a second time.
#
# Date: 2026-11-30. Seen with opencv-python-headless 5.0.0. imreadWithMetadata gives the pixels and the
# EXIF block, imwriteWithMetadata takes both back. Like imread it turns the pixels upright by the EXIF
# orientation, but the block it returns still has the orientation: written beside pixels that are
# upright already it makes every viewer turn them once more, and a portrait from a phone lies on its
# side. One would expect the pair to be a round trip, or the orientation in the block to become 1. It
# is the same for JPEG, PNG and WebP. With IMREAD_UNCHANGED or IMREAD_IGNORE_ORIENTATION pixels and
# block agree.
# Documented: imread's page says that it turns pictures; those of the pair say nothing of orientation.
#
# Exits with 0 where this is so, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "opencv-python-headless==5.0.0.93" "pillow==13.0.0"
cat > "$folder/look.py" <<'PY'
import sys
from pathlib import Path

import cv2
import PIL
from PIL import Image, ImageOps

folder = Path(sys.argv[1])
lying = Image.new("RGB", (60, 40), (200, 30, 30))
exif = Image.Exif()
exif[0x0112] = 6  # to be shown turned by 90 degrees: 40 wide, 60 high


def shown(path: Path) -> tuple[int, int]:
    """The size at which a viewer shows a file."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).size


def round_trip(extension: str, flags: int) -> tuple[int, int]:
    given, made = folder / f"given{extension}", folder / f"made{extension}"
    lying.save(given, exif=exif)
    assert shown(given) == (40, 60)
    pixels, types, blocks = cv2.imreadWithMetadata(str(given), flags)
    assert cv2.IMAGE_METADATA_EXIF in types
    assert cv2.imwriteWithMetadata(str(made), pixels, types, blocks)
    return shown(made)


print("OpenCV", cv2.__version__, "Pillow", PIL.__version__, "- shown as 40x60 before")
found = {}
for extension in (".jpg", ".png", ".webp"):
    for name in ("IMREAD_COLOR", "IMREAD_UNCHANGED"):
        width, height = found[extension, name] = round_trip(extension, getattr(cv2, name))
        print(f"  {extension} {name}: shown as {width}x{height} after")
if any(size != ((60, 40) if name == "IMREAD_COLOR" else (40, 60)) for (_, name), size in found.items()):
    sys.exit("changed")
print("as described")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder"
