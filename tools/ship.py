"""Ship trained weights: the file, its catalogue entry and the measured part of its card.

    mirnet evaluate polyu/input polyu/target --weights runs/denoise/denoise.safetensors \\
        --baseline --json > polyu.jsonl
    python tools/ship.py runs/denoise/denoise.safetensors --title "camera noise" \\
        --default-for denoise --scores "PolyU (41 crops)=polyu.jsonl" --machine "2 cores, AVX-512"

Scores are taken only from evaluations of the very file that is shipped (by its sha256); those of
an older file are dropped with it. A card that does not exist is made from a template, whose parts
marked TODO are for people to write; in one that exists, only what stands between the two marks is
replaced. The curves that the training drew beside the weights go with them.
"""

import argparse
import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The checkout this script belongs to, whichever mirnet is installed.
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from model_card import (  # noqa: E402
    BEGIN,
    END,
    Score,
    architectures_of,
    contexts_of,
    facts,
    measured,
    renewed,
    template,
)

from mirnet_cli.errors import MirnetError, UsageError  # noqa: E402
from mirnet_cli.files import write_atomically  # noqa: E402
from mirnet_cli.models import catalogue, container  # noqa: E402
from mirnet_cli.models import weights as weights_file  # noqa: E402
from mirnet_cli.models.weights import Weights  # noqa: E402

LARGEST = 6_000_000
CONTEXTS = ROOT / "tools" / "contexts.json"
ARCHITECTURES = ROOT / "tools" / "architectures.json"


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
    curves: Path | None = None,
) -> list[str]:
    """Puts ``export`` into ``folder`` and brings catalogue and card up to date.

    What is not given stays as the catalogue has it. The pictures ``PART/curve.png`` beside the
    export are copied to the folder ``curves``.

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
    # What comes with mirnet is listed before what can be fetched.
    table = dict(sorted(table.items(), key=lambda each: each[1]["source"] != "shipped"))
    text = _header(catalogue_file) + "".join(_toml(name, values) for name, values in table.items())
    _check_catalogue(text, catalogue_file)

    card = folder / f"{weights.name}.md"
    pictures = {
        curves / f"{weights.name}-{path.parent.name}.png": path
        for path in (sorted(export.parent.glob("*/curve.png")) if curves else [])
    }
    links = [Path(os.path.relpath(path, folder)).as_posix() for path in pictures]
    # The context of the catalogue, which may be a newer choice than the file's.
    chosen = replace(weights, context=entry.get("context", weights.context))
    described = facts(chosen, len(data))
    part = measured(
        chosen,
        described,
        scores,
        machine,
        links,
        contexts_of(weights, CONTEXTS),
        # They compare networks of the kind that shipped before.
        None if weights.base == "light" else architectures_of(weights.name, ARCHITECTURES),
    )
    if card.exists():
        new = renewed(card.read_text(encoding="utf-8"), part)
        if new is None:
            raise UsageError(f"needs the marks {BEGIN} and {END} once", "add them", subject=card)
    else:
        new = template(weights, entry["title"], part)
    folder.mkdir(parents=True, exist_ok=True)
    for copy, picture in pictures.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, picture.read_bytes(), overwrite=True)
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
        summaries = [line for line in lines if line.get("type") == "summary"]
    except (OSError, ValueError, AttributeError) as error:
        what = f"cannot be read ({error})"
        raise UsageError(what, "use mirnet evaluate --json", subject=name) from None
    if len(summaries) != 1 or summaries[0].get("failed"):
        raise UsageError("is no complete evaluation", "evaluate again", subject=name)
    return Score(pictures, summaries[0])


def _check_runs(weights: Weights) -> None:
    """Whether every key and shape is what the family expects."""
    from mirnet_cli.runtime import prepare

    for spec in weights.parts.values():
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
        **{key: old[key] for key in ("licence_url", "note", "context") if key in old},
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
    parser.add_argument("--curves", type=Path, default=ROOT / "docs" / "images" / "curves")
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
            curves=given.curves,
            commercial=None if given.non_commercial is None else False,
        )
    except MirnetError as error:
        print(f"ship: {error}", file=sys.stderr)
        return int(error.exit_code)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
