"""``mirnet train``: from folders of photos to a weights file."""

import contextlib
import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from mirnet_cli import settings
from mirnet_cli.errors import InputError, OutOfMemoryError, OutputError, UsageError
from mirnet_cli.files import lock, make_folder, not_written
from mirnet_cli.models import catalogue, resolver
from mirnet_cli.models import weights as weights_file
from mirnet_cli.models.weights import UNKNOWN_LICENCE, Weights
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.networks.configs import CompactConfig, LightConfig
from mirnet_cli.networks.families import FAMILIES
from mirnet_cli.runtime import devices
from mirnet_cli.runtime.torch_runtime import is_out_of_memory
from mirnet_cli.training import (
    amount,
    checkpoint,
    integers,
    loop,
    panoramas,
    plan,
    recipe,
    residual,
)
from mirnet_cli.training.curve import check_available, draw
from mirnet_cli.training.options import TrainOptions
from mirnet_cli.training.photos import Pair, load_pairs, load_photos, split
from mirnet_cli.training.plan import RunPlan
from mirnet_cli.training.recipe import Recipe
from mirnet_cli.training.run import Progress, Run
from mirnet_cli.training.widen import widened

_ELSEWHERE = "free some space or choose another place with --out"
_UNLIMITED = 10**9
"""Steps, where hours decide."""
_LEAST_ADOPTED = 0.5
"""Share of a network's tensors that weights to start from have to have."""


def run(
    name: str,
    options: TrainOptions,
    *,
    begin: Callable[[Run], None] = lambda run: None,
    report: Callable[[Recipe, Progress], None] = lambda recipe, progress: None,
    prepared: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Train a model by its recipe and write ``OUT/NAME.safetensors``.

    Args:
        name: of the recipe, say "denoise".
        options: on what, how long and where.
        begin: is told of each network's run before it.
        report: is told of progress, every 50 steps.
        prepared: is told of how many panoramas there are views.

    Returns:
        The path of the weights file.

    Raises:
        UsageError: if there is nothing to train on, the options do not go together or differ from
            those of the run that is resumed, the licence is no text for a file, or matplotlib is
            not installed.
        InputError: if photos cannot be read or do not suit.
        OutputError: if ``out`` holds a run that is not to be resumed, another process trains there,
            or it cannot be written.
        OutOfMemoryError: if memory does not suffice for a step.
    """
    recipes = recipe.find(name)
    sources = (*options.data, *options.pairs, *options.panoramas)
    if not sources:
        raise UsageError("nothing to train on", "give --data DIR, --pairs DIR, or both")
    of_light = all(part.family == "light" for part in recipes)
    if options.panoramas and not of_light:
        raise UsageError(
            f"{name} does not learn from panoramas",
            "leave --panoramas out",
            subject=options.panoramas[0],
        )
    if options.int8 and of_light:
        raise UsageError(f"{name} has no version in integers", "leave --int8 out")
    if options.int8 and options.start is None and any(part.grows for part in recipes):
        raise UsageError(f"no weights of {name} ship", "name yours with --from")
    if options.pairs and any(part.scales != (1,) for part in recipes):
        raise UsageError(
            f"{name} makes its small pictures itself; pairs have one size",
            "give good photos with --data, or train upscale-x1 on pairs",
            subject=options.pairs[0],
        )
    start = name if options.int8 and options.start is None else options.start
    if options.licence is not None:
        weights_file.check_licence(options.licence)
    check_available()
    device = torch.device(devices.find(options.device).name)
    origin = _origin(start, recipes[0].family) if start else None
    chosen = plan.make(
        name,
        config=options.config,
        seed=options.seed,
        origin=f"{origin.name}, sha256 {origin.sha256}" if origin else None,
        sizes=_sizes(origin, recipes, every=not options.int8) if origin else {},
        integers=options.int8,
    )
    initial = _initial(origin, chosen.parts) if origin else {}
    folder = options.out or Path("runs") / name
    begun = any(checkpoint.exists(folder / part.part / "checkpoint") for part in recipes)
    if begun and not options.resume:
        raise OutputError("holds a run already", "add --resume or choose another", subject=folder)
    cache = settings.cache_folder() / "training"
    photos = [photo for path in options.data for photo in load_photos(path, cache)]
    given = [pair for path in options.pairs for pair in load_pairs(path, cache)]
    around = [
        each
        for path in options.panoramas
        for each in panoramas.load_panoramas(path, cache, prepared)
    ]
    runs = {
        part.part: Run(
            recipe=part,
            folder=folder / part.part,
            **_data(part, photos, given, around),
            steps=0,
            seed=options.seed,
            device=device,
            initial=initial.get(part.part),
            integers=options.int8,
            report=partial(report, part),
        )
        for part in chosen.parts
    }
    most = options.steps or (chosen.steps if options.hours is None else _UNLIMITED)
    try:
        make_folder(folder)
        with _alone(folder):
            chosen.settle(folder, _digest(photos, given, around), begun=begun)
            trained = _train(chosen, runs, most, options.hours, begin)
            history: dict[str, Any] = {"recipe": name}
            if chosen.origin is not None:
                history["from"] = chosen.origin
            history |= {part: _summary(this) for part, this in runs.items()}
            path = folder / f"{name}.safetensors"
            if origin is not None and options.int8:
                made = _with_integers(origin, chosen, trained, history)
            else:
                made = _made(name, chosen.parts[-1], trained, history)
            if options.licence is not None:
                made = dataclasses.replace(made, licence=options.licence)
            return weights_file.save(path, made).path
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        what = f"not enough memory on {device} for a step of this recipe"
        raise OutOfMemoryError(what, "use a smaller batch or crop in stages (--config)") from error
    except SafetensorError as error:
        # What it says of a disk that is full.
        raise OutputError(str(error), _ELSEWHERE, subject=folder) from error
    except OSError as error:
        raise not_written(folder, error, _ELSEWHERE) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from training in this folder.

    Raises:
        OutputError: if one does so already.
    """
    with (folder / ".lock").open("a") as file:
        try:
            lock(file.fileno())
        except BlockingIOError:
            what = "another process is training here"
            raise OutputError(what, "wait for its end or choose another", subject=folder) from None
        yield


def _train(
    chosen: RunPlan,
    runs: Mapping[str, Run],
    most: int,
    hours: float | None,
    begin: Callable[[Run], None],
) -> dict[str, NetworkSpec]:
    """Train one network after the other; their weights."""
    longest, total = (f(part.steps for part in chosen.parts) for f in (max, sum))
    if hours is None:
        _check_length(chosen, runs, most)
    trained: dict[str, NetworkSpec] = {}
    for part in chosen.parts:
        this = dataclasses.replace(
            runs[part.part],
            steps=_share(part, most, longest),
            hours=math.inf if hours is None or trained else hours * part.steps / total,
        )
        begin(this)
        best = loop.train(this)
        if hours is not None:
            # What the clock chose for the first network decides for the others: then the number of
            # steps alone gives all of them again.
            most = round(loop.steps_done(this.folder) * longest / part.steps)
        if isinstance(part.config, LightConfig) and part.config.judges:
            best = amount.learned(this, best)
        trained[part.part] = _spec(part, best)
        draw(this.folder / "log.jsonl", this.folder / "curve.png")
    return trained


def _share(part: Recipe, most: int, longest: int) -> int:
    """Steps of a network, where the one with most has so many."""
    return max(1, round(most * part.steps / longest))


def _check_length(chosen: RunPlan, runs: Mapping[str, Run], most: int) -> None:
    """Whether what is left can still end with a falling learning rate.

    Raises:
        UsageError: if more was done already.
    """
    longest = max(part.steps for part in chosen.parts)
    for part in chosen.parts:
        folder = runs[part.part].folder
        state = checkpoint.read_state(folder / "checkpoint")
        if state is None:
            continue
        done, fall, steps = state["step"], state["fall"], _share(part, most, longest)
        if done > steps or (done == steps and fall is None):
            whole = max(done, math.ceil((done if fall is None else fall) / loop.STEADY))
            raise UsageError(
                f"has made {done} steps already, and {steps} are asked for",
                f"ask for --steps {math.ceil(whole * longest / part.steps)} or more",
                subject=folder,
            )


def _data(
    part: Recipe,
    photos: Sequence[Pair],
    pairs: Sequence[Pair],
    around: Sequence[panoramas.Panorama],
) -> dict[str, Any]:
    """What a network is trained on and validated with."""
    low, high = part.brightness
    suitable = [photo for photo in photos if low <= photo.brightness() <= high]
    if photos and not suitable and not pairs:
        raise InputError(
            f"none of the {len(photos)} photos is well exposed", f"{part.task} needs such targets"
        )
    training, held_out = split(suitable) if suitable else ([], [])
    training_pairs, held_out_pairs = split(pairs) if pairs else ([], [])
    places, held_out_places = panoramas.split(around) if around else ([], [])
    return {
        "photos": training,
        "pairs": training_pairs,
        "held_out_photos": held_out,
        "held_out_pairs": held_out_pairs,
        "panoramas": places,
        "held_out_panoramas": held_out_places,
    }


def _digest(
    photos: Sequence[Pair], pairs: Sequence[Pair], around: Sequence[panoramas.Panorama]
) -> str:
    """What tells these photos, pairs and panoramas from others, wherever they lie."""
    digests = "".join(each.digest() for each in (*photos, *pairs))
    digests += "".join(each.name + each.sha256 for each in around)
    digest = hashlib.sha256(digests.encode()).hexdigest()
    more = f", {len(around)} panoramas" if around else ""
    return f"{len(photos)} photos and {len(pairs)} pairs{more}, {digest[:12]}"


def _adopted(given: Mapping[str, Tensor], made: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a like network in place of those that this one was made with.

    Where this one has more input channels (the base beside the picture), the given ones take the
    last, and the others start at zero; tensors of other shapes are left as made.
    """
    adopted = dict(made)
    for key, value in made.items():
        tensor = given.get(key)
        if tensor is None:
            continue
        if tensor.shape == value.shape:
            adopted[key] = tensor.clone()
        elif key == "conv_in.weight" and tensor.shape[1] < value.shape[1]:
            adopted[key] = torch.zeros_like(value)
            adopted[key][:, -tensor.shape[1] :] = tensor
    return adopted


def _origin(start: str, family: str) -> Weights:
    """The weights of a model or file.

    Args:
        start: its name or path.
        family: of the network that is trained.

    Raises:
        UsageError: if they are of another one.
    """
    if resolver.names_file(start):
        found = resolver.read_named(start)
    else:
        found = resolver.load_entry(catalogue.find(start))
    if not isinstance(found, Weights) or found.network.family != family:
        title = FAMILIES[family].title
        raise UsageError(
            "of a network that cannot be trained by this recipe",
            f"start from weights of a {title}, such as those that ship",
            subject=start,
        )
    return found


def _given(origin: Weights, part: Recipe) -> NetworkSpec:
    """Of the weights to start from the network that becomes this one."""
    return origin.parts.get(part.part, origin.network)


def _sizes(
    origin: Weights, parts: Sequence[Recipe], *, every: bool
) -> dict[str, CompactConfig | LightConfig]:
    """Of what each network becomes of, or of those alone that the weights have."""
    return {
        part.part: type(part.config).from_mapping(_given(origin, part).config)
        for part in parts
        if every or part.part in origin.parts
    }


def _initial(origin: Weights, parts: Sequence[Recipe]) -> dict[str, dict[str, Tensor]]:
    """For each network what it starts from; a larger one computes at first what a smaller one does.

    Raises:
        UsageError: if that is hardly anything.
    """
    initial = {}
    for part in parts:
        given = {k: torch.as_tensor(v).float() for k, v in _given(origin, part).tensors.items()}
        made = loop.network(part).state_dict()
        grown = widened(given, made)
        if grown is None:
            fits = [k for k, v in made.items() if k in given and v.shape == given[k].shape]
            if len(fits) < _LEAST_ADOPTED * len(made):
                raise UsageError(
                    f"{len(fits)} of {len(made)} tensors fit the sizes in --config",
                    "leave its table network out to take over those of the weights, or make"
                    " widths a whole number of times as large",
                    subject=origin.name,
                )
            grown = _adopted(given, made)
        initial[part.part] = grown
    return initial


def _spec(part: Recipe, tensors: Mapping[str, Tensor]) -> NetworkSpec:
    config = {k: list(v) if isinstance(v, tuple) else v for k, v in _fields(part.config).items()}
    arrays = {name: tensor.cpu().float().numpy() for name, tensor in tensors.items()}
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest()
    return NetworkSpec(part.family, config, arrays, digest)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _summary(this: Run) -> dict[str, Any]:
    lines = [line for line in loop.read_log(this.folder / "log.jsonl") if line["psnr"] is not None]
    # Others are of other pictures.
    lines = [line for line in lines if loop.alike(line["baseline"], lines[-1]["baseline"])]
    best = max(lines, key=lambda line: float(line["psnr"]), default=None)
    return {
        "photos": len(this.photos),
        "pairs": len(this.pairs),
        **({"panoramas": len(this.panoramas)} if this.panoramas else {}),
        "seed": this.seed,
        "steps": lines[-1]["step"] if best else 0,
        "best_step": best["step"] if best else 0,
        "hours": round(lines[-1]["seconds"] / 3600, 2) if best else 0.0,
        "validation_psnr": round(best["psnr"], 2) if best else None,
        "validation_ssim": round(best["ssim"], 4) if best else None,
        "validation_baseline": round(best["baseline"], 2) if best else None,
    }


def _made(
    name: str, part: Recipe, trained: Mapping[str, NetworkSpec], history: Mapping[str, Any]
) -> Weights:
    return Weights(
        name=name,
        path=Path(),
        sha256="",
        task=part.task,
        scales=part.scales,
        network=trained["network"],
        thumbnail=trained.get("thumbnail"),
        clean=trained.get("clean"),
        base=part.base,
        context=part.context,
        overlap=part.overlap,
        licence=UNKNOWN_LICENCE,
        training=history,
    )


def _with_integers(
    origin: Weights,
    chosen: RunPlan,
    trained: Mapping[str, NetworkSpec],
    history: Mapping[str, Any],
) -> Weights:
    """The weights that were started from, with what was learnt beside them."""
    parts: dict[str, Any] = origin.parts
    for part in chosen.parts:
        network = integers.learner(residual.network(part), part.in_float)
        network.load_state_dict(
            {key: torch.from_numpy(np.array(v)) for key, v in trained[part.part].tensors.items()}
        )
        given = parts[part.part]
        parts[part.part] = dataclasses.replace(given, integers=integers.integers(network))
    training = {**origin.training, "int8": dict(history)}
    return dataclasses.replace(origin, **parts, training=training)
