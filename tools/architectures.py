"""Compare networks of like cost in short runs, before a long one.

    python tools/architectures.py denoise --data photos --steps 700

Each of :data:`CANDIDATES` is trained by the recipe for so many steps, its schedule as short as
that, with the same seed and crops. The validation's figures go to tools/architectures.json, where
tools/ship.py finds them for the model's card. For a model of several networks the first is
compared. A candidate that is there already, by the same steps and seed, is not trained again.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The checkout this script belongs to, whichever mirnet is installed.
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import torch  # noqa: E402
from model_card import COST_SIDE, multiply_adds  # noqa: E402

from mirnet_cli.networks.compact import CompactMIRNet  # noqa: E402
from mirnet_cli.training import loop, recipe  # noqa: E402
from mirnet_cli.training.photos import load_pairs, load_photos, split  # noqa: E402

FIGURES = ROOT / "tools" / "architectures.json"
CANDIDATES: dict[str, dict[str, Any]] = {
    "three scales, doubling": {"widths": (32, 64, 128), "groups": 2, "blocks": 1},
    "two scales": {"widths": (32, 64), "groups": 2, "blocks": 1},
    "two scales, deeper": {"widths": (32, 64), "groups": 3, "blocks": 1},
    "two scales, wider, unshuffled by 4": {
        "widths": (64, 128),
        "groups": 2,
        "blocks": 1,
        "unshuffle": 4,
    },
    "three scales, growing by 1.5, deeper": {"widths": (32, 48, 72), "groups": 3, "blocks": 1},
    "three scales, narrower, twice as deep": {"widths": (24, 48, 96), "groups": 2, "blocks": 2},
}


def short_run(
    part: recipe.Recipe,
    folder: Path,
    photos: Sequence[Any],
    pairs: Sequence[Any],
    steps: int,
    seed: int,
) -> dict[str, Any]:
    """Trains one candidate; its figures."""
    training, held_out = split(photos)
    training_pairs, held_out_pairs = split(pairs) if pairs else ([], [])
    last: list[loop.Progress] = []
    begun = time.process_time()
    loop.train(
        loop.Run(
            recipe=part,
            folder=folder,
            photos=training,
            pairs=training_pairs,
            held_out_photos=held_out,
            held_out_pairs=held_out_pairs,
            steps=steps,
            seed=seed,
            validate_every=steps,
            report=last.append,
        )
    )
    scores = last[-1]
    return {
        "psnr": round(scores.psnr or 0.0, 3),
        "ssim": round(scores.ssim or 0.0, 4),
        "baseline": round(scores.baseline or 0.0, 3),
        "cpu_seconds": round(time.process_time() - begun),
    }


def cost(part: recipe.Recipe) -> dict[str, float]:
    """GFLOP for 256x256 output pixels (upscale: at x2), and millions of parameters."""
    network, scale = CompactMIRNet(part.config), part.scales[0]
    batch = torch.zeros(1, part.config.inputs, *[COST_SIDE // scale] * 2)
    products = multiply_adds(network, batch, scale=scale)
    parameters = sum(each.numel() for each in network.parameters())
    return {"gflop": round(2 * products / 1e9, 1), "parameters": round(parameters / 1e6, 2)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Compares, and writes the figures down after each candidate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=recipe.RECIPES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, action="append", default=[])
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/architectures"))
    parser.add_argument("--cache", type=Path, help="for decoded photos")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    part = recipe.find(given.model)[0]
    low, high = part.brightness
    photos = [
        photo for photo in load_photos(given.data, given.cache) if low <= photo.brightness() <= high
    ]
    pairs = [pair for folder in given.pairs for pair in load_pairs(folder, given.cache)]
    run = {"part": part.part, "steps": given.steps, "seed": given.seed}
    for name, sizes in CANDIDATES.items():
        if name in _candidates(_figures().get(given.model, {}), run):
            continue
        if "unshuffle" in sizes and part.config.unshuffle == 1:
            # Its body works at the small picture's size; another factor is another task.
            continue
        candidate = replace(part, config=replace(part.config, **sizes))
        folder = given.runs / given.model / f"steps-{given.steps}-seed-{given.seed}"
        folder /= name.replace(", ", "-").replace(" ", "-")
        found = short_run(candidate, folder, photos, pairs, given.steps, given.seed)
        row = {**sizes, **cost(candidate), **found}
        print(given.model, name, json.dumps(row), flush=True)
        _note(given.model, name, row, run)


def _figures() -> dict[str, Any]:
    return dict(json.loads(FIGURES.read_text(encoding="utf-8"))) if FIGURES.exists() else {}


def _candidates(known: Mapping[str, Any], run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those that were compared by the same run; others' figures do not compare."""
    same = all(known.get(name) == value for name, value in run.items())
    return dict(known["candidates"]) if same else {}


def _note(model: str, name: str, row: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    # Read again: another model's comparison may run beside this one.
    figures = _figures()
    candidates = _candidates(figures.get(model, {}), run)
    figures[model] = {**run, "candidates": {**candidates, name: row}}
    FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
