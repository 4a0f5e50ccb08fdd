"""Ship trained weights: the file, its catalogue entry and the measured part of its card.

    mirnet evaluate polyu/input polyu/target --weights runs/denoise/denoise.safetensors \\
        --baseline --json > polyu.jsonl
    python tools/ship.py runs/denoise/denoise.safetensors --title "camera noise" \\
        --default-for denoise --scores "PolyU (41 crops)=polyu.jsonl" --machine "2 cores, AVX-512"

Scores are taken only from evaluations of the very file that is shipped (by its sha256); those of
an older file are dropped with it. A card that does not exist is made from a template, whose parts
marked TODO are for people to write; in one that exists, only what stands between the two marks is
replaced.
"""

import argparse
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mirnet_cli.errors import MirnetError, UsageError  # noqa: E402
from mirnet_cli.files import write_atomically  # noqa: E402
from mirnet_cli.models import catalogue, container  # noqa: E402
from mirnet_cli.models import weights as weights_file  # noqa: E402
from mirnet_cli.models.weights import Weights  # noqa: E402

LARGEST = 6_000_000
BEGIN = "<!-- measured: written by tools/ship.py -->"
END = "<!-- end of measured -->"
_PART = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_COST_SIDE = 256


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


def ship(
    export: Path,
    *,
    folder: Path,
    catalogue_file: Path,
    title: str | None = None,
    default_for: Sequence[str] | None = None,
    scores: Sequence[Score] = (),
    machine: str = "",
    commercial: bool | None = None,
) -> list[str]:
    """Puts ``export`` into ``folder`` and brings catalogue and card up to date.

    What is not given stays as the catalogue has it.

    Returns:
        What was written and what is left to do, in lines.

    Raises:
        MirnetError: for weights that are not fit to be shipped, or scores of other weights.
    """
    data = container.read_bytes(export)
    weights = weights_file.parse(data, export)
    if len(data) > LARGEST:
        what = f"{len(data) / 1e6:.1f} MB are too much to ship"
        raise UsageError(what, f"at most {LARGEST / 1e6:.0f} MB", subject=export)
    for score in scores:
        if score.summary.get("sha256") != weights.sha256:
            raise UsageError(
                f"the scores of {score.pictures} are of other weights",
                "evaluate this file again with --weights",
                subject=export,
            )
    facts = _facts(weights, len(data))
    _check_runs(weights)
    table = tomllib.loads(catalogue_file.read_text(encoding="utf-8"))
    entry = _entry(weights, len(data), table.get(weights.name, {}), scores)
    if title is not None:
        entry["title"] = title
    if default_for is not None:
        entry["default_for"] = list(default_for)
    if commercial is not None:
        entry["commercial"] = commercial
    table[weights.name] = entry
    text = _header(catalogue_file) + "".join(_toml(name, values) for name, values in table.items())
    _check_catalogue(text, catalogue_file)

    card = folder / f"{weights.name}.md"
    part = measured(weights, facts, scores, machine)
    if card.exists():
        old = card.read_text(encoding="utf-8")
        if len(_PART.findall(old)) != 1:
            raise UsageError(f"needs the marks {BEGIN} and {END} once", "add them", subject=card)
        new = _PART.sub(lambda _: part, old)
    else:
        new = template(weights, entry["title"], part)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / entry["file"], data, overwrite=True)
    write_atomically(card, new.encode(), overwrite=True)
    write_atomically(catalogue_file, text.encode(), overwrite=True)
    lines = [f"shipped {weights.name}: {len(data):,} bytes, sha256 {weights.sha256}"]
    if left := new.count("TODO"):
        lines.append(f"{card}: {left} parts marked TODO are left to write")
    return lines


def read_score(text: str) -> Score:
    """``PICTURES=FILE``, where the file is the output of ``mirnet evaluate --json``."""
    pictures, _, name = text.rpartition("=")
    if not pictures:
        raise UsageError("needs PICTURES=FILE", "as in --scores 'PolyU=polyu.jsonl'", subject=text)
    try:
        lines = [json.loads(line) for line in Path(name).read_text("utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        what = f"cannot be read ({error})"
        raise UsageError(what, "use mirnet evaluate --json", subject=name) from None
    summaries = [line for line in lines if line.get("type") == "summary"]
    if len(summaries) != 1 or summaries[0].get("failed"):
        raise UsageError("is no complete evaluation", "evaluate again", subject=name)
    return Score(pictures, summaries[0])


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

TODO: the command (`mirnet train …`), loss, schedule, crops; what else was tried and why not taken.

## Known weaknesses

TODO: what it is bad at, with pictures where they may be published.
"""


def measured(
    weights: Weights, facts: Mapping[str, str], scores: Sequence[Score], machine: str
) -> str:
    """The part of the card that no hand writes, marks included."""
    blocks = [BEGIN, "## File", _rows(("", ""), facts.items())]
    runs = {k: v for k, v in weights.training.items() if isinstance(v, Mapping)}
    if runs:
        header = (
            "network",
            "photos",
            "pairs",
            "seed",
            "steps",
            "hours",
            "validation PSNR",
            "before",
        )
        keys = (*header[1:6], "validation_psnr", "validation_baseline")
        rows = [[part, *(_shown(run.get(key)) for key in keys)] for part, run in runs.items()]
        blocks += ["## Training run", _rows(header, rows)]
        if machine:
            blocks.append(f"Machine: {machine}.")
    if scores:
        blocks += ["## Scores", _score_table(scores)]
        first = scores[0].summary
        blocks.append(
            f"PSNR in dB ({first['psnr_implementation']}); SSIM ({first['ssim_implementation']}); "
            f"computed by {first['runtime']} on {first['device']} in {first['precision']}."
        )
        commands = "\n".join(score.command(weights.name) for score in scores)
        blocks.append(f"```bash\n{commands}\n```")
    return "\n\n".join([*blocks, END])


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


def _facts(weights: Weights, size: int) -> dict[str, str]:
    from mirnet_cli.networks import FAMILIES

    parts = {"network": weights.network, "thumbnail": weights.thumbnail}
    facts = {
        "file": f"`{weights.name}.safetensors`, {size:,} bytes, float16",
        "sha256": f"`{weights.sha256}`",
        "licence": weights.licence,
        "task": f"{weights.task}, scale {', '.join(map(str, weights.scales))}",
        "residual added to": weights.base,
        "tiles": f"context {weights.context}, overlap {_shown(weights.overlap)}",
    }
    for part, spec in parts.items():
        if spec is not None:
            count = sum(int(tensor.size) for tensor in spec.tensors.values())
            config = json.dumps(spec.config, sort_keys=True)
            facts[part] = (
                f"{FAMILIES[spec.family].title}, {count / 1e6:.2f} M parameters, `{config}`"
            )
    facts["cost"] = _cost(weights)
    return facts


def _cost(weights: Weights) -> str:
    """What the network's convolutions cost for an output of 256x256."""
    import torch
    from torch import nn

    from mirnet_cli.networks import FAMILIES

    products = 0

    def count(layer: nn.Module, given: tuple[torch.Tensor], result: torch.Tensor) -> None:
        nonlocal products
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution spreads its input; the other gathers its output.
            pixels = (given[0] if isinstance(layer, nn.ConvTranspose2d) else result)[0, 0].numel()
            products += pixels * layer.weight.numel()

    spec, scale = weights.network, weights.default_scale
    family = FAMILIES[spec.family]
    network = family.build(spec.config)
    for layer in network.modules():
        layer.register_forward_hook(count)
    batch = torch.zeros(1, family.inputs(spec.config), *[_COST_SIDE // scale] * 2)
    options = {"scale": scale} if len(family.scales(spec.config)) > 1 else {}
    with torch.inference_mode():
        network(batch, **options)
    each = products / _COST_SIDE**2 / 1000
    shown = f"{2 * products / 1e9:.1f} GFLOP for 256x256 output pixels"
    shown += f" ({each:.0f} thousand multiply-adds each)"
    return shown if scale == 1 else f"{shown} at scale {scale}"


def _check_runs(weights: Weights) -> None:
    """Whether every key and shape is what the family expects."""
    from mirnet_cli.runtime import prepare

    for spec in (weights.network, weights.thumbnail):
        if spec is not None:
            prepare(spec, device="cpu", precision="fp32")


def _entry(
    weights: Weights, size: int, old: Mapping[str, Any], scores: Sequence[Score]
) -> dict[str, Any]:
    return {
        "title": old.get("title", weights.task),
        "task": weights.task,
        "scales": list(weights.scales),
        "family": weights.network.family,
        "file": f"{weights.name}.safetensors",
        "sha256": weights.sha256,
        "bytes": size,
        "licence": weights.licence,
        "commercial": old.get("commercial", True),
        "source": "shipped",
        "default_for": list(old.get("default_for", [])),
        "scores": {score.pictures: score.figures() for score in scores},
    }


def _header(path: Path) -> str:
    """The comment at the top of the catalogue."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(f"{line}\n" for line in lines[:end])


def _toml(name: str, values: Mapping[str, Any]) -> str:
    """One model's tables in the order given; the few kinds of value that a catalogue has."""
    scores = values.get("scores", {})
    lines = ["", f"[{_key(name)}]"]
    lines += [f"{_key(k)} = {_value(v)}" for k, v in values.items() if k != "scores"]
    if scores:
        lines += ["", f"[{_key(name)}.scores]"]
        for pictures, figures in scores.items():
            inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in figures.items())
            lines.append(f"{_key(pictures)} = {{ {inner} }}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    # JSON's texts, numbers, truth values and flat lists are TOML's too.
    return json.dumps(value, ensure_ascii=False)


def _check_catalogue(text: str, path: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "catalogue.toml"
        trial.write_text(text, encoding="utf-8")
        try:
            catalogue.read(trial)
        except ValueError as error:
            remedy = "see --title, --default-for and --non-commercial"
            raise UsageError(f"would not hold: {error}", remedy, subject=path) from None


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; see the module's text."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export", type=Path, help="weights written by mirnet train")
    parser.add_argument("--title", help="what it is for, in a few words")
    parser.add_argument("--default-for", action="append", metavar="TASK", help="may be repeated")
    parser.add_argument("--scores", action="append", default=[], metavar="PICTURES=FILE")
    parser.add_argument("--machine", default="", help="what it was trained on")
    parser.add_argument("--non-commercial", action="store_true", default=None)
    parser.add_argument("--weights-dir", type=Path, default=ROOT / "weights")
    parser.add_argument(
        "--catalogue", type=Path, default=ROOT / "mirnet_cli" / "models" / "catalogue.toml"
    )
    given = parser.parse_args(arguments)
    try:
        lines = ship(
            given.export,
            folder=given.weights_dir,
            catalogue_file=given.catalogue,
            title=given.title,
            default_for=given.default_for,
            scores=[read_score(text) for text in given.scores],
            machine=given.machine,
            commercial=None if given.non_commercial is None else False,
        )
    except MirnetError as error:
        print(f"ship: {error}", file=sys.stderr)
        return int(error.exit_code)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
