"""The card of a model: a template that people fill in, and a part that is measured."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirnet_cli.models.weights import Weights

BEGIN = "<!-- measured: written by tools/ship.py -->"
END = "<!-- end of measured -->"
_PART = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
COST_SIDE = 256


@dataclass(frozen=True)
class Score:
    """An evaluation's summary line and the name of its pictures."""

    pictures: str
    summary: Mapping[str, Any]

    def figures(self) -> dict[str, float]:
        """What the catalogue keeps."""
        wanted = {
            "pairs": ("pairs", 0),
            "psnr": ("psnr", 2),
            "ssim": ("ssim", 4),
            "nothing_psnr": ("baseline_psnr", 2),
            "nothing_ssim": ("baseline_ssim", 4),
            "worse": ("worse", 0),
        }
        found = {name: (self.summary.get(key), digits) for name, (key, digits) in wanted.items()}
        return {
            name: round(value, digits)
            for name, (value, digits) in found.items()
            if value is not None
        }

    def command(self, model: str) -> str:
        """The command that gives these figures, for a folder named like the pictures."""
        folder = re.sub(r"[^a-z0-9]+", "-", self.pictures.split("(")[0].lower()).strip("-")
        words = ["mirnet", "evaluate", f"{folder}/input", f"{folder}/target", "--model", model]
        if self.summary.get("scale", 1) != 1:
            words += ["--scale", str(self.summary["scale"])]
        if self.summary.get("border"):
            words += ["--border", str(self.summary["border"])]
        words += [f"--{flag}" for flag in ("luma", "ensemble") if self.summary.get(flag)]
        if self.summary.get("strength", 1) != 1:
            words += ["--strength", str(self.summary["strength"])]
        return shlex.join([*words, "--baseline"])


def renewed(card: str, part: str) -> str | None:
    """The card with its measured part replaced; None where the marks are not there once."""
    return _PART.sub(lambda _: part, card) if len(_PART.findall(card)) == 1 else None


def template(weights: Weights, title: str, part: str) -> str:
    """A new card; people write what is marked TODO."""
    licence = weights.licence.lower()
    known = licence in {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"}
    named = f"license: {licence}" if known else f"license: other\nlicense_name: {licence}"
    return f"""---
{named}
library_name: mirnet
pipeline_tag: image-to-image
tags:
  - mirnet
  - {weights.task}
datasets:
  - TODO
metrics:
  - psnr
  - ssim
---

# {weights.name}: {title}

TODO: what it does and for which photos, in two sentences.

```bash
{_example(weights)}
```

{part}

## Data

| set | what it gave | pictures | licence |
|---|---|---|---|
| TODO | | | |

## Degradation

TODO: how the inputs were made from the targets.

## Recipe

TODO: loss, schedule, crops; what else was tried and why not taken.

## Known weaknesses

TODO: what it is bad at, with pictures where they may be published.
"""


def measured(
    weights: Weights,
    described: Mapping[str, str],
    scores: Sequence[Score],
    machine: str,
    curves: Sequence[str] = (),
    contexts: Mapping[str, Any] | None = None,
    architectures: Mapping[str, Any] | None = None,
) -> str:
    """The part of the card that no hand writes, marks included.

    Args:
        weights: the file.
        described: :func:`facts` of it.
        scores: evaluations of it.
        machine: that it was trained on.
        curves: links to pictures of its training.
        contexts: what ``tools/contexts.py`` measured of it.
        architectures: what ``tools/architectures.py`` measured for this model.
    """
    blocks = [BEGIN, "## File", _rows(("", ""), described.items())]
    trained = weights.training
    runs = {k: v for k, v in trained.items() if isinstance(v, Mapping) and "steps" in v}
    if runs:
        columns = {
            "photos": "photos",
            "pairs": "pairs",
            "seed": "seed",
            "steps": "steps",
            "best": "best_step",
            "hours": "hours",
            "validation PSNR": "validation_psnr",
            "before": "validation_baseline",
            "validation SSIM": "validation_ssim",
        }
        rows = [
            [part, *(_shown(run.get(key)) for key in columns.values())]
            for part, run in runs.items()
        ]
        blocks += ["## Training run", _rows(("network", *columns), rows)]
        if machine:
            blocks.append(f"Machine: {machine}.")
        command = _training_command(weights, list(runs.values()))
        blocks.append(f"```bash\n{command}\n```")
        blocks += [f"![validation and loss against hours]({link})" for link in curves]
    if scores:
        blocks += ["## Scores", _score_table(scores)]
        first = scores[0].summary
        blocks.append(
            f"PSNR in dB ({first['psnr_implementation']}); SSIM ({first['ssim_implementation']}); "
            f"computed by {first['runtime']} on {first['device']} in {first['precision']}."
        )
        commands = "\n".join(score.command(weights.name) for score in scores)
        blocks.append(f"```bash\n{commands}\n```")
    if contexts:
        blocks += ["## Tiles", *_tile_tables(contexts)]
    if architectures:
        blocks += ["## Architectures compared", *_architecture_table(architectures)]
    return "\n\n".join([*blocks, END])


def _training_command(weights: Weights, runs: Sequence[Mapping[str, Any]]) -> str:
    """The command that trains these weights again."""
    if command := weights.training.get("command"):
        return str(command)
    longest = max(runs, key=lambda run: int(run["steps"]))
    words = ["mirnet", "train", str(weights.training.get("recipe", weights.name))]
    if origin := weights.training.get("from"):
        words += ["--from", origin.partition(",")[0]]
    words += ["--data", "photos/"] if longest["photos"] else []
    words += ["--pairs", "pairs/"] if longest["pairs"] else []
    words += ["--steps", str(longest["steps"]), "--seed", str(longest["seed"])]
    return shlex.join([*words, "--licence", weights.licence])


def contexts_of(weights: Weights, path: Path) -> Mapping[str, Any] | None:
    """What ``tools/contexts.py`` has measured of these very weights; None where it has not."""
    if not path.exists():
        return None
    entry: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")).get(weights.name, {})
    return entry if entry.get("sha256") == weights.sha256 else None


def architectures_of(name: str, path: Path) -> Mapping[str, Any] | None:
    """What ``tools/architectures.py`` has measured for this model; None where it has not."""
    if not path.exists():
        return None
    found: Mapping[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found.get(name)


def _tile_tables(contexts: Mapping[str, Any]) -> list[str]:
    parts = []
    header = ("photo", "tiles", "context", "PSNR", "largest", "step", "passes")
    rows = [
        [
            photo,
            *(_shown(row[key]) for key in ("side", "context")),
            _shown(row["psnr"], 1),
            *(_shown(row[key], 2) for key in ("largest", "step", "passes")),
        ]
        for photo, each in contexts.get("agreement", {}).items()
        for row in each
    ]
    if rows:
        parts += [
            "Tiles against the same photo in one piece: PSNR in dB, largest difference and step at"
            " the worst border in 1/255, and CPU time over that of one pass in one piece.",
            _rows(header, rows),
        ]
    quality = contexts.get("quality", {})
    if quality:
        columns = [*next(iter(quality.values()))]
        found = [
            [pairs, *(_shown(each[column], 2) for column in columns)]
            for pairs, each in quality.items()
        ]
        parts += [
            "PSNR against the targets of pairs: in one piece, and in tiles of 256 on their own.",
            _rows(("pairs", *columns), found),
        ]
    return parts


def _architecture_table(architectures: Mapping[str, Any]) -> list[str]:
    header = ("network", "widths", "groups x blocks", "GFLOP", "parameters", "PSNR", "SSIM")
    rows = [
        [
            name,
            ", ".join(map(str, row["widths"])),
            f"{row['groups']} x {row['blocks']}",
            _shown(row["gflop"], 1),
            f"{row['parameters']:.2f} M",
            _shown(row["psnr"], 2),
            _shown(row["ssim"], 4),
        ]
        for name, row in architectures["candidates"].items()
    ]
    nothing = next(iter(architectures["candidates"].values()))["baseline"]
    return [
        f"Runs of {architectures['steps']} steps by this recipe ({architectures['part']}), all with"
        f" seed {architectures['seed']} and the same crops; PSNR and SSIM of the validation (doing"
        f" nothing: {nothing:.2f} dB); GFLOP for 256x256 output pixels.",
        _rows(header, rows),
    ]


def facts(weights: Weights, size: int) -> dict[str, str]:
    """What the file is, in words; ``size`` is its length in bytes."""
    from mirnet_cli.networks import FAMILIES

    found = {
        "file": f"`{weights.name}.safetensors`, {size:,} bytes, float16",
        "sha256": f"`{weights.sha256}`",
        "licence": weights.licence,
        "task": f"{weights.task}, scale {', '.join(map(str, weights.scales))}",
        "residual added to": weights.base,
        "tiles": f"context {weights.context}, overlap {_shown(weights.overlap)}",
    }
    for part, spec in weights.parts.items():
        count = sum(int(tensor.size) for tensor in spec.tensors.values())
        config = json.dumps(spec.config, sort_keys=True)
        found[part] = f"{FAMILIES[spec.family].title}, {count / 1e6:.2f} M parameters, `{config}`"
    found["cost"] = _cost(weights)
    return found


def _cost(weights: Weights) -> str:
    """What the network's convolutions cost for an output of 256x256."""
    import torch

    from mirnet_cli.networks import FAMILIES

    spec, scale = weights.network, weights.default_scale
    family = FAMILIES[spec.family]
    batch = torch.zeros(1, family.inputs(spec.config), *[COST_SIDE // scale] * 2)
    options = {"scale": scale} if len(family.scales(spec.config)) > 1 else {}
    products = multiply_adds(family.build(spec.config), batch, **options)
    each = products / COST_SIDE**2 / 1000
    if weights.base == "light":
        return f"{2 * products / 1e9:.1f} GFLOP for a photo of any size, and its gains"
    shown = f"{2 * products / 1e9:.1f} GFLOP for 256x256 output pixels"
    shown += f" ({each:.0f} thousand multiply-adds each)"
    return shown if scale == 1 else f"{shown} at scale {scale}"


def multiply_adds(network: Any, batch: Any, **options: Any) -> int:
    """Multiply-adds of a torch module's convolutions on a batch."""
    import torch
    from torch import nn

    products = 0

    def count(layer: nn.Module, given: tuple[torch.Tensor], result: torch.Tensor) -> None:
        nonlocal products
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution spreads its input; the other gathers its output.
            pixels = (given[0] if isinstance(layer, nn.ConvTranspose2d) else result)[0, 0].numel()
            products += pixels * layer.weight.numel()

    for layer in network.modules():
        layer.register_forward_hook(count)
    with torch.inference_mode():
        network(batch, **options)
    return products


def _score_table(scores: Sequence[Score]) -> str:
    header = ("pictures", "pairs", "PSNR", "SSIM", "doing nothing", "gain", "worse")
    rows = []
    for score in scores:
        s = score.summary
        before = " / ".join(
            _shown(s.get(f"baseline_{k}"), d) for k, d in (("psnr", 2), ("ssim", 4))
        )
        gain = s.get("gain")
        rows.append(
            [
                score.pictures,
                _shown(s.get("pairs")),
                _shown(s.get("psnr"), 2),
                _shown(s.get("ssim"), 4),
                before,
                "-" if gain is None else f"{gain:+.2f}",
                _shown(s.get("worse")),
            ]
        )
    return _rows(header, rows)


def _example(weights: Weights) -> str:
    if weights.task != "upscale":
        return f"mirnet {weights.task} photo.jpg --model {weights.name}"
    return "\n".join(
        f"mirnet upscale photo.jpg --scale {s} --model {weights.name}" for s in weights.scales
    )


def _rows(header: Sequence[str], rows: Any) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _shown(value: Any, digits: int | None = None) -> str:
    if value is None:
        return "-"
    return str(value) if digits is None else f"{value:.{digits}f}"
