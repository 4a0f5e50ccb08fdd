"""Make the folders that the cards' scores on photos kept apart are measured on.

    python tools/kept_apart.py photos/ sets/
    mirnet evaluate sets/x2-photos-kept-apart/input sets/x2-photos-kept-apart/target \\
        --model upscale --scale 2 --baseline

They hold what mirnet train keeps apart of the same photos: whole, against themselves, and reduced
bicubically by Pillow, once more with a little noise and JPEG 80 on the reduced ones.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The checkout this script belongs to, whichever mirnet is installed.
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from mirnet_cli.errors import MirnetError  # noqa: E402
from mirnet_cli.training import recipe  # noqa: E402
from mirnet_cli.training.photos import Pair, load_photos, split  # noqa: E402

SCALES = (2, 3, 4)
NOISE = 3.0
"""Standard deviation of the noise on reduced photos, of 255."""
QUALITY = 80


def make(photos: Path, out: Path) -> list[str]:
    """Writes the folders into ``out``.

    Returns:
        How many photos each has, in lines.

    Raises:
        MirnetError: if there are no photos, or one cannot be read.
    """
    found = load_photos(photos)
    apart = split(found)[1]
    low, high = recipe.find("enhance")[-1].brightness
    exposed = split([each for each in found if low <= each.brightness() <= high])[1]
    _write(out / "clean-photos-kept-apart", apart)
    _write(out / "well-exposed-photos-kept-apart", exposed)
    for scale in SCALES:
        _write(out / f"x{scale}-photos-kept-apart", apart, scale)
        _write(out / f"x{scale}-noisy-photos-kept-apart", apart, scale, noisy=True)
    return [f"{len(list((folder / 'input').iterdir()))} {folder.name}" for folder in _made(out)]


def _made(out: Path) -> Iterable[Path]:
    return sorted(folder for folder in out.iterdir() if folder.name.endswith("-kept-apart"))


def _write(folder: Path, pairs: Sequence[Pair], scale: int = 1, *, noisy: bool = False) -> None:
    for half in ("input", "target"):
        (folder / half).mkdir(parents=True)
    for pair in pairs:
        (pixels,) = pair.pixels()
        height, width = (side - side % scale for side in pair.size)
        target = Image.fromarray(np.ascontiguousarray(pixels[:height, :width]))
        target.save(folder / "target" / f"{pair.name}.png")
        given = target.resize((width // scale, height // scale), Image.Resampling.BICUBIC)
        if noisy:
            _worse(given, pair.name).save(folder / "input" / f"{pair.name}.jpg", quality=QUALITY)
        else:
            given.save(folder / "input" / f"{pair.name}.png")


def _worse(given: Image.Image, name: str) -> Image.Image:
    """With noise that the photo's name decides."""
    seed = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8])
    values = np.asarray(given, np.float64)
    noise = np.random.default_rng(seed).normal(0, NOISE, values.shape)
    return Image.fromarray(np.rint(values + noise).clip(0, 255).astype(np.uint8))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; see the module's text."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="the folder that is trained on")
    parser.add_argument("out", type=Path, help="a new folder")
    given = parser.parse_args(arguments)
    try:
        given.out.mkdir(parents=True)
        print("\n".join(make(given.photos, given.out)))
    except (MirnetError, OSError) as error:
        print(f"kept_apart: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
