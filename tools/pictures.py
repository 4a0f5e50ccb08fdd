"""Make the pictures of the README and of the models' cards with the weights that ship.

    python tools/pictures.py --photos FOLDER

FOLDER holds ``speaker-iso3200-14mp.jpg`` (Pierre-Selim Huard, CC BY-SA), ``dandelions-16mp.jpg``
(Clemens Engelhardt, CC0), ``rocket-dusk.jpg`` (SpaceX, public domain), ``night-bridge.jpg`` (Derek
Jensen, public domain), ``bee.jpg`` (John Severns, public domain), ``cat.png`` (Stefan van der Walt,
CC0) and ``coffee.png`` (Rachel Michetti, CC0). Each picture shows before and after side by side at
the same place; the terminal picture is a real run.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import mirnet_cli as mirnet  # noqa: E402
from mirnet_cli.photo.space import srgb_encoded, srgb_light  # noqa: E402

IMAGES = ROOT / "docs" / "images"
LARGEST = 300_000
_GAP = 8


def labelled(*pictures: tuple[str, Image.Image]) -> Image.Image:
    """Pictures of one size side by side, each with its label."""
    width, height = pictures[0][1].size
    sheet = Image.new("RGB", (len(pictures) * (width + _GAP) - _GAP, height), "white")
    for i, (label, picture) in enumerate(pictures):
        x = i * (width + _GAP)
        sheet.paste(picture, (x, 0))
        draw = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(15)
        left, top, right, bottom = draw.textbbox((x + 8, 6), label, font=font)
        draw.rectangle((left - 4, top - 4, right + 4, bottom + 4), fill="black")
        draw.text((x + 8, 6), label, fill="white", font=font)
    return sheet


def save(picture: Image.Image, name: str) -> None:
    """As WebP, at the best quality that stays below the limit."""
    for quality in (92, 88, 84, 80, 70, 60, 50):
        path = IMAGES / f"{name}.webp"
        picture.save(path, quality=quality, method=6)
        if path.stat().st_size <= LARGEST:
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes, quality {quality}")
            return
    raise SystemExit(f"{name} does not get small enough")


def denoise(photos: Path) -> None:
    """Real noise at ISO 3200: a small piece at 200 %, the photo's colours as in the file."""
    crop = (1290, 1590, 1530, 1800)
    photo = np.asarray(Image.open(photos / "speaker-iso3200-14mp.jpg").convert("RGB"))
    left, top, right, bottom = crop
    margin = 128
    piece = photo[top - margin : bottom + margin, left - margin : right + margin]
    clean = mirnet.load("denoise")(piece)[margin:-margin, margin:-margin]
    before, after = (
        Image.fromarray(p).resize((480, 420), Image.Resampling.NEAREST)
        for p in (piece[margin:-margin, margin:-margin], clean)
    )
    save(labelled(("ISO 3200", before), ("mirnet denoise", after)), "denoise")


def enhance(photos: Path) -> None:
    """A meadow against the light, whole and a piece of it; amounts; and a sheet of dark photos."""
    restorer = mirnet.load("enhance")

    def opened(name: str) -> Image.Image:
        return Image.open(photos / name).convert("RGB")

    def lit(photo: Image.Image, ev: float | str = "auto") -> tuple[Image.Image, float]:
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder) / "given.png", Path(folder) / "made.png"
            photo.save(given, compress_level=1)
            result = restorer.file(given, made, ev=ev)
            return Image.open(made).convert("RGB").copy(), float(result.ev or 0)

    def darker(photo: Image.Image) -> Image.Image:
        light = srgb_light(np.asarray(photo, np.float32) / np.float32(255)) / np.float32(8)
        return Image.fromarray(np.rint(srgb_encoded(light) * 255).astype(np.uint8))

    meadow = opened("dandelions-16mp.jpg")
    bright, _ = lit(meadow, 1.5)
    before, after = (p.resize((640, 360), Image.Resampling.LANCZOS) for p in (meadow, bright))
    label = "mirnet enhance --ev 1.5"
    save(labelled(("against the light", before), (label, after)), "enhance")
    box = (900, 1150, 1860, 1910)
    before, after = (
        p.crop(box).resize((480, 380), Image.Resampling.LANCZOS) for p in (meadow, bright)
    )
    save(labelled(("50 %", before), (label, after)), "enhance-crop")

    rocket = opened("rocket-dusk.jpg").resize((320, 214), Image.Resampling.LANCZOS)
    amounts = [(f"--ev {ev}", lit(rocket, ev)[0]) for ev in ("-1", "0", "1", "2")]
    save(labelled(*amounts), "light")

    rows = []
    for name in ("dandelions-16mp.jpg", "night-bridge.jpg", "rocket-dusk.jpg", "coffee.png"):
        photo = opened(name)
        photo.thumbnail((300, 300), Image.Resampling.LANCZOS)
        row = []
        for label, given in (("as it was", photo), ("3 stops darker", darker(photo))):
            bright, amount = lit(given)
            row += [(label, given), (f"auto: {amount:+.1f} EV", bright)]
        rows.append(labelled(*row))
    sheet = Image.new("RGB", (rows[0].width, sum(row.height + _GAP for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + _GAP
    save(sheet, "enhance-sheet")


def upscale(photos: Path) -> None:
    """A small picture four times as large, beside bicubic interpolation."""
    photo = Image.open(photos / "cat.png").convert("RGB")
    piece = photo.crop((110, 60, 230, 165))
    size = (piece.width * 4, piece.height * 4)
    bicubic = piece.resize(size, Image.Resampling.BICUBIC)
    large = Image.fromarray(mirnet.load("upscale", scale=4)(np.asarray(piece)))
    save(labelled(("bicubic", bicubic), ("mirnet upscale --scale 4", large)), "upscale")


def weaknesses(photos: Path) -> None:
    """What each model is bad at, for its card."""

    def opened(name: str) -> Image.Image:
        return Image.open(photos / name).convert("RGB")

    def doubled(picture: Image.Image) -> Image.Image:
        return picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST)

    coffee = opened("coffee.png")
    clean = Image.fromarray(mirnet.load("denoise")(np.asarray(coffee)))
    before, after = (doubled(p.crop((0, 100, 220, 290))) for p in (coffee, clean))
    save(labelled(("clean, 200 %", before), ("mirnet denoise", after)), "denoise-weak")

    for name, scale in (("upscale", 4), ("upscale-x1", 1)):
        # Reduced four times, so that there is an original to compare with.
        whole = opened("bee.jpg").crop((400, 300, 800, 700))
        small = whole.resize((whole.width // 4, whole.height // 4), Image.Resampling.BICUBIC)
        if scale == 1:
            small = whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.BICUBIC)
            small = small.resize(whole.size, Image.Resampling.BICUBIC)
        after = Image.fromarray(mirnet.load("upscale", scale=scale)(np.asarray(small)))
        labels = ("given", f"mirnet upscale --scale {scale}", "what was there")
        small = small.resize(whole.size, Image.Resampling.NEAREST)
        save(labelled(*zip(labels, (small, after, whole), strict=True)), f"{name}-weak")


def terminal(photos: Path) -> None:
    """What a run looks like."""
    console = Console(record=True, width=100, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        for name in ("rocket-dusk.jpg", "cat.png", "coffee.png"):
            (Path(folder) / name).write_bytes((photos / name).read_bytes())
        for command in (
            "mirnet batch . -o better",
            "mirnet batch . -o better",
            "mirnet upscale cat.png --scale 4 --verbose",
            "mirnet denoise missing.jpg",
            "mirnet denoise coffee.png --fromat png",
        ):
            console.print(Text(f"$ {command}", style="bold"))
            run = subprocess.run(
                [sys.executable, "-m", "mirnet_cli", *command.split()[1:]],
                cwd=folder,
                env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            console.print(Text(run.stdout.rstrip()))
    # A page that shows it fetches nothing: the font is the reader's own.
    picture = re.sub(r",\s*url\([^)]*\) format\([^)]*\)", "", console.export_svg(title="mirnet"))
    (IMAGES / "terminal.svg").write_text(picture)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    photos: Path = parser.parse_args().photos
    IMAGES.mkdir(parents=True, exist_ok=True)
    for make in (denoise, enhance, upscale, weaknesses, terminal):
        make(photos)


if __name__ == "__main__":
    main()
