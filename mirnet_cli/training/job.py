"""``mirnet train``: from folders of photos to a weights file."""

import dataclasses
import hashlib
import math
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirnet_cli import models, settings
from mirnet_cli.errors import InputError, OutputError, UsageError
from mirnet_cli.models import weights as weights_file
from mirnet_cli.models.weights import UNKNOWN_LICENCE, Weights
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.networks.compact import CompactMIRNet
from mirnet_cli.networks.configs import CompactConfig
from mirnet_cli.training import loop, recipe
from mirnet_cli.training.curve import check_available, draw
from mirnet_cli.training.loop import Progress, Run
from mirnet_cli.training.photos import Pair, load_pairs, load_photos, split
from mirnet_cli.training.recipe import Recipe, Stage

_FINE_TUNING_STEPS = 4000
_FINE_TUNING_RATE = 0.25
"""Of the recipe's learning rate: trained weights are near where they should be."""


def run(
    name: str,
    *,
    data: Sequence[Path] = (),
    pairs: Sequence[Path] = (),
    out: Path | None = None,
    start: str | None = None,
    hours: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    config: Path | None = None,
    device: str = "auto",
    licence: str | None = None,
    report: Callable[[Recipe, Progress], None] = lambda recipe, progress: None,
) -> Path:
    """Trains a model by its recipe and writes ``OUT/NAME.safetensors``.

    Args:
        name: of the recipe, say "denoise".
        data: folders of good photos, degraded while training.
        pairs: folders with ``input/`` and ``target/``.
        out: for checkpoints, the log, curves and weights; ``runs/NAME`` by default.
        start: a model's name or a weights file to start from.
        hours: of training, about, those before a resumption included; the number of steps follows
            from them: that of a model's first network from its share, those of the others from
            that number, as the recipe says.
        steps: of the network with most; the recipe's (for fine-tuning 4000) by default.
        seed: of everything random.
        resume: take up the checkpoint in ``out``; without it, a folder with one is refused. More
            hours or steps than before make the run as if it had been so long from the start.
        config: TOML that changes the recipe: ``learning_rate``, ``steps``, ``pair_share``,
            ``stages`` (of ``until``, ``crop``, ``batch``, ``loss``) and a table ``network``.
        device: "auto", "cpu", "cuda", "mps".
        licence: of the weights, for their file; an SPDX expression where there is one;
            None is "unknown".
        report: is told of progress, every 50 steps.

    Returns:
        The path of the weights file.

    Raises:
        UsageError: if there is nothing to train on, the options do not go together, the licence is
            no text for a file, or matplotlib is not installed.
        InputError: if photos cannot be read.
        OutputError: if ``out`` holds a run that is not to be resumed.
    """
    recipes = [_changed(part, config) for part in recipe.find(name)]
    if not data and not pairs:
        raise UsageError("nothing to train on", "give --data DIR, --pairs DIR, or both")
    if pairs and any(part.scales != (1,) for part in recipes):
        raise UsageError(
            f"{name} makes its small pictures itself; pairs have one size",
            "give good photos with --data, or train upscale-x1 on pairs",
            subject=pairs[0],
        )
    licence = UNKNOWN_LICENCE if licence is None else licence
    weights_file.check_licence(licence)
    check_available()
    folder = out or Path("runs") / name
    if not resume and any((folder / part.part / "checkpoint").exists() for part in recipes):
        raise OutputError("holds a run already", "add --resume or choose another", subject=folder)
    folder.mkdir(parents=True, exist_ok=True)
    origin = _origin(start) if start else None
    initial = None if origin is None else _initial(origin)
    cache = settings.cache_folder() / "training"
    photos = [photo for path in data for photo in load_photos(path, cache)]
    given = [pair for path in pairs for pair in load_pairs(path, cache)]
    longest, total = (f(part.steps for part in recipes) for f in (max, sum))
    most = steps or (_FINE_TUNING_STEPS if start else longest)
    trained: dict[str, NetworkSpec] = {}
    history: dict[str, Any] = {"recipe": name}
    if origin is not None:
        history["from"] = f"{origin.name}, sha256 {origin.sha256}"
    for part in recipes:
        if start:
            part = dataclasses.replace(part, learning_rate=_FINE_TUNING_RATE * part.learning_rate)
        suitable = [photo for photo in photos if _bright_enough(photo, part)]
        if photos and not suitable:
            raise InputError(
                f"none of the {len(photos)} photos is well exposed", f"{name} needs such targets"
            )
        training, held_out = split(suitable) if suitable else ([], [])
        training_pairs, held_out_pairs = split(given) if given else ([], [])
        this = Run(
            recipe=part,
            folder=folder / part.part,
            photos=training,
            pairs=training_pairs,
            held_out_photos=held_out,
            held_out_pairs=held_out_pairs,
            steps=max(1, round(most * part.steps / longest)),
            seed=seed,
            hours=math.inf if hours is None or trained else hours * part.steps / total,
            device=torch.device(_device(device)),
            initial=adopt(initial.get(part.part, initial["network"]), part) if initial else None,
            report=partial(report, part),
        )
        best = loop.train(this)
        if hours is not None:
            # What the clock chose for the first network decides for the others: then the number of
            # steps alone gives all of them again.
            most = round(loop.steps_done(this.folder) * longest / part.steps)
        trained[part.part] = _spec(part, best)
        history[part.part] = _summary(this)
        draw(this.folder / "log.jsonl", this.folder / "curve.png")
    return _export(folder / f"{name}.safetensors", name, recipes[-1], trained, history, licence)


def adopt(given: Mapping[str, Any], part: Recipe) -> dict[str, Tensor]:
    """Weights of a like network as a start for this one.

    Where this one has more input channels (the base beside the picture), the given ones take the
    last, and the others start at zero; tensors of other shapes are left as made.
    """
    adopted = CompactMIRNet(part.config).state_dict()
    for key, value in adopted.items():
        if key not in given:
            continue
        tensor = torch.as_tensor(given[key]).float()
        if tensor.shape == value.shape:
            adopted[key] = tensor.clone()
        elif key == "conv_in.weight" and tensor.shape[1] < value.shape[1]:
            adopted[key] = torch.zeros_like(value)
            adopted[key][:, -tensor.shape[1] :] = tensor
    return adopted


def _origin(start: str) -> Weights:
    is_file = os.sep in start or start.endswith(".safetensors")
    return models.resolve(
        None, model=None if is_file else start, weights=start if is_file else None
    )


def _initial(loaded: Weights) -> dict[str, Mapping[str, Any]]:
    parts: dict[str, Mapping[str, Any]] = {"network": loaded.network.tensors}
    if loaded.thumbnail is not None:
        parts["thumbnail"] = loaded.thumbnail.tensors
    return parts


def _bright_enough(pair: Pair, part: Recipe) -> bool:
    low, high = part.brightness
    return low <= float(pair.pixels[::8, ::8].mean()) / 255 <= high


def _device(name: str) -> str:
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _changed(part: Recipe, config: Path | None) -> Recipe:
    if config is None:
        return part
    try:
        values = tomllib.loads(config.read_text())
        network = values.pop("network", None)
        if network is not None:
            described = dataclasses.asdict(part.config) | network
            values["config"] = CompactConfig.from_mapping(described)
        if "stages" in values:
            values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
        return dataclasses.replace(part, **values)
    except (OSError, ValueError, TypeError) as error:
        keys = "use learning_rate, steps, pair_share, stages and a table network"
        raise UsageError(f"not a recipe: {error}", keys, subject=config) from error


def _spec(part: Recipe, tensors: Mapping[str, Tensor]) -> NetworkSpec:
    config = {k: list(v) if isinstance(v, tuple) else v for k, v in _fields(part.config).items()}
    arrays = {name: tensor.cpu().float().numpy() for name, tensor in tensors.items()}
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest()
    return NetworkSpec("compact", config, arrays, digest)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _summary(this: Run) -> dict[str, Any]:
    lines = [line for line in loop.read_log(this.folder / "log.jsonl") if line["psnr"] is not None]
    best = max(lines, key=lambda line: float(line["psnr"]), default=None)
    return {
        "photos": len(this.photos),
        "pairs": len(this.pairs),
        "seed": this.seed,
        "steps": lines[-1]["step"] if best else 0,
        "best_step": best["step"] if best else 0,
        "hours": round(lines[-1]["seconds"] / 3600, 2) if best else 0.0,
        "validation_psnr": round(best["psnr"], 2) if best else None,
        "validation_ssim": round(best["ssim"], 4) if best else None,
        "validation_baseline": round(best["baseline"], 2) if best else None,
    }


def _export(
    path: Path,
    name: str,
    part: Recipe,
    trained: Mapping[str, NetworkSpec],
    history: Mapping[str, Any],
    licence: str,
) -> Path:
    weights_file.save(
        path,
        name=name,
        task=part.task,
        scales=part.scales,
        network=trained["network"],
        thumbnail=trained.get("thumbnail"),
        base=part.base,
        context=part.context,
        overlap=part.overlap,
        licence=licence,
        training=history,
    )
    return path
