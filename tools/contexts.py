"""Measure how well each --context makes tiles agree with the whole, at which cost and quality.

    python tools/contexts.py denoise photos/*.jpg --pairs "PolyU=polyu/input,polyu/target"

For each photo, tile and context: PSNR and largest difference of the tiled result from the one in
one piece (1/255), the step at the worst border beyond what is beside it, and the CPU time over that
of one pass in one piece. Photos and pairs are named in the table as their files are. With --pairs
also the mean PSNR against the targets: in one piece, and in tiles of 256 on their own. Figures go
to tools/contexts.json, where tools/ship.py finds them for the model's card as long as the weights
are the same.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The checkout this script belongs to, whichever mirnet is installed.
sys.path.insert(0, str(ROOT))

from mirnet_cli.measure import evaluate, tiling  # noqa: E402
from mirnet_cli.measure.pairs import find_pairs  # noqa: E402
from mirnet_cli.models.catalogue import CONTEXTS  # noqa: E402
from mirnet_cli.photo.options import ReadOptions  # noqa: E402
from mirnet_cli.restore import load, photos  # noqa: E402

FIGURES = ROOT / "tools" / "contexts.json"
SIDES = (256, 512)
QUALITY = {"whole": ("whole", 0), "tile": ("tile", 256)}
"""What is measured against targets: context and tile."""


def restored(restorer: Any, pixels: Any) -> tuple[Any, float]:
    """The result and the CPU seconds it took, the second time: nothing is compiled then."""
    restorer(pixels)
    begun = time.process_time()
    return restorer(pixels), time.process_time() - begun


def agreement(model: str, pixels: Any, options: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each tile and context."""
    rows = []
    whole, pass_seconds = restored(load(model, tile=0, **options), pixels)
    height, width = pixels.shape[:2]
    for side in SIDES:
        for context in CONTEXTS:
            restorer = load(model, tile=side, context=context, **options)
            tiled, seconds = restored(restorer, pixels)
            measured = tiling.compare(whole, tiled, restorer.tiles(width, height))
            rows.append(
                {
                    "megapixels": round(width * height / 1e6, 1),
                    "side": side,
                    "context": context,
                    "precision": restorer.precision,
                    "psnr": tiling.decibels(round(measured.psnr, 1)),
                    "largest": round(measured.largest, 2),
                    "step": round(max(measured.step - measured.nearby, 0), 3),
                    "equal": measured.equal,
                    "passes": round(seconds / pass_seconds, 2),
                }
            )
            print(model, json.dumps(rows[-1]), flush=True)
    return rows


def _called(restorer: Any, pixels: Any, profile: bytes | None) -> Any:
    return restorer(pixels, profile=profile)


def quality(
    model: str, folders: str, options: dict[str, Any], most: int
) -> dict[str, float | None]:
    """Mean PSNR against the targets, for each of :data:`QUALITY`; None where all are equal."""
    inputs, targets = (Path(folder) for folder in folders.split(","))
    pairs, _ = find_pairs(inputs, targets)
    pairs = pairs[:: math.ceil(len(pairs) / most)]
    found: dict[str, float | None] = {}
    for name, (context, tile) in QUALITY.items():
        restorer = load(model, tile=tile, context=context, **options)
        rows = evaluate.evaluate(pairs, partial(_called, restorer), scale=restorer.scale)
        means = evaluate.summarise(list(rows))
        # JSON knows no infinity.
        found[name] = None if means.psnr is None else round(means.psnr, 2)
        print(model, folders, name, means.pairs - means.failed, found[name], flush=True)
    return found


def _figures() -> dict[str, Any]:
    return dict(json.loads(FIGURES.read_text("utf-8"))) if FIGURES.exists() else {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; see the module's text."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--pairs", action="append", default=[], metavar="NAME=INPUT,TARGET")
    parser.add_argument("--most", type=int, default=12, help="pairs of each set, evenly chosen")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--crop", type=int, nargs=4, metavar=("X", "Y", "W", "H"))
    given = parser.parse_args(arguments)
    options = {"precision": given.precision, "max_memory": "16G"}
    weights = load(given.model).weights
    entry = _figures().get(given.model, {})
    if entry.get("sha256") != weights.sha256:
        entry = {"sha256": weights.sha256, "agreement": {}, "quality": {}}
    for photo in given.photos:
        crop = tuple(given.crop) if given.crop else None
        pixels = tiling.as_floats(
            photos.read(photo, ReadOptions(crop=crop, max_pixels=1 << 40)).pixels
        )
        rows = agreement(given.model, pixels, options)
        size = f"{rows[0]['megapixels']} MP, {rows[0]['precision']}"
        entry["agreement"][f"{photo.stem} ({size})"] = rows
    for text in given.pairs:
        name, _, folders = text.partition("=")
        entry["quality"][name] = quality(given.model, folders, options, given.most)
    # Read again: another model may have been measured meanwhile.
    figures = _figures() | {given.model: entry}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
