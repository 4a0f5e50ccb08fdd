"""What a run is to do, checked before hours go into it: recipe, changes to it, and a resumption."""

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirnet_cli.errors import UsageError
from mirnet_cli.files import write_replaceable
from mirnet_cli.networks.configs import CompactConfig, LightConfig, with_tuples
from mirnet_cli.networks.families import FAMILIES
from mirnet_cli.training import light, optimiser, recipe
from mirnet_cli.training.checkpoint import not_intact
from mirnet_cli.training.recipe import Recipe, Stage
from mirnet_cli.training.run import VALIDATION_CROP

_FILE = "run.json"
_FINE_TUNING_RATE = 0.25
"""Of the recipe's learning rate: trained weights are near where they should be."""
_FINE_TUNING_STEPS = 4000
_INTEGERS: dict[str, Any] = {
    "optimiser": "adamw",
    "weight_decay": 0.0,
    "learning_rate": 1e-4,
}
"""Of training for integers: weights move by parts of the steps that they are rounded to."""
_INTEGERS_STEPS = 300
_LONGEST = 10**9
_CROP = (16, 4096)
"""Sides in pixels: degradations look at neighbours, some of pictures reduced eight times."""
_LARGEST_BATCH = 4096
_GIVEN = {"compact": ("inputs", "scales"), "light": ("inputs", "segments", "colours", "amounts")}
"""Of each family's configuration what its use decides; all else a user may change."""


@dataclass(frozen=True)
class RunPlan:
    """What decides a run's weights, but for its length.

    Attributes:
        name: of the model.
        parts: a recipe for each of its networks, as they are trained.
        seed: of everything random.
        origin: name and sha256 of the weights it starts from; None from random ones.
        steps: of the network with most, where nobody says how long.
        integers: it is trained for 8-bit integers.
    """

    name: str
    parts: tuple[Recipe, ...]
    seed: int
    origin: str | None
    steps: int
    integers: bool = False

    def settle(self, folder: Path, data: str, *, begun: bool) -> None:
        """Write the plan to the run's folder, or compare it with the one that is there.

        Runs from before there were plans take it up.

        Args:
            folder: of the run.
            data: what tells the photos and pairs that are trained on from others.
            begun: the run has a checkpoint.

        Raises:
            UsageError: if the run in this folder was begun differently.
            OSError: if it cannot be written.
        """
        described = self._described() | {"--data or --pairs": data}
        mine = json.loads(json.dumps(described, default=dataclasses.asdict))
        path = folder / _FILE
        if not begun or not path.exists():
            write_replaceable(path, json.dumps(mine, indent=1).encode())
            return
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError):
            raise not_intact(path) from None
        for key, value in mine.items():
            if before.get(key) != value:
                was = f"{_short(before.get(key))}, not {_short(value)}"
                raise UsageError(
                    f"was begun with another {key} ({was})",
                    "resume it as it was begun, or choose another --out",
                    subject=folder,
                )

    def _described(self) -> dict[str, Any]:
        kept = ("optimiser", "weight_decay", "learning_rate", "stages", "pair_share", "brightness")
        recipes = {
            part.part: {name: getattr(part, name) for name in ("config", *kept)}
            for part in self.parts
        }
        return {
            "TASK": self.name,
            "--seed": self.seed,
            "--from": self.origin,
            **({"--int8": True} if self.integers else {}),
            "recipe (--config)": recipes,
        }


def make(
    name: str,
    *,
    config: Path | None,
    seed: int,
    origin: str | None,
    sizes: Mapping[str, CompactConfig | LightConfig],
    integers: bool = False,
) -> RunPlan:
    """The recipe of a model with a user's changes.

    Args:
        name: of the recipe.
        config: TOML file with changes; see :func:`mirnet_cli.training.job.run`.
        seed: of everything random.
        origin: of the weights it starts from.
        sizes: of their networks, which are taken over where ``config`` does not say others; for
            integers only what they have is trained.
        integers: train for 8-bit integers.

    Raises:
        UsageError: if there is no such recipe, or the file changes what it cannot.
    """
    changes = {} if config is None else _read(config)
    network = changes.pop("network", None)
    steps = changes.pop("steps", None)
    if network is not None and integers:
        what = "a version in integers has the sizes of its weights"
        raise UsageError(what, "leave the table network out", subject=config)
    parts = []
    for part in recipe.find(name):
        begun = sizes.get(part.part)
        if integers and begun is None:
            continue
        if isinstance(begun, CompactConfig) and isinstance(part.config, CompactConfig):
            # What was left out, or not, stays so unless the table says otherwise.
            part = dataclasses.replace(
                part, config=dataclasses.replace(part.config, lean=begun.lean)
            )
        if network is not None:
            changes["config"] = dataclasses.replace(part.config, **_fitting(network, part, config))
        elif part.part in sizes and (integers or not part.grows):
            body = {size: getattr(sizes[part.part], size) for size in _sizes(part)}
            changes["config"] = dataclasses.replace(part.config, **body)
        if integers:
            part = dataclasses.replace(part, **_INTEGERS)
        elif origin is not None and "learning_rate" not in changes and not part.grows:
            part = dataclasses.replace(part, learning_rate=_FINE_TUNING_RATE * part.learning_rate)
        part = dataclasses.replace(part, **changes)
        optimiser.check(part.optimiser)
        _check(part, config)
        parts.append(part)
    whole = origin is None or any(part.grows for part in parts)
    usual = max(part.steps for part in parts) if whole else _FINE_TUNING_STEPS
    usual = _INTEGERS_STEPS if integers else usual
    return RunPlan(name, tuple(parts), seed, origin, steps or usual, integers)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _READERS[name](value) for name, value in values.items()}
    except KeyError as error:
        raise UsageError(f"a recipe has no {error}", _NAMES, subject=path) from None
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"not a recipe: {error}", _NAMES, subject=path) from error


def _optimiser(value: Any) -> str:
    if value not in optimiser.OPTIMISERS:
        raise ValueError(f"optimiser is one of {', '.join(optimiser.OPTIMISERS)}")
    return str(value)


def _rate(value: Any) -> float:
    return _number("learning_rate", value, lambda x: 0 < x < 1)


def _decay(value: Any) -> float:
    return _number("weight_decay", value, lambda x: 0 <= x < 1)


def _share(value: Any) -> float:
    return _number("pair_share", value, lambda x: 0 <= x <= 1)


def _steps(value: Any) -> int:
    return int(_number("steps", value, lambda x: 1 <= x <= _LONGEST and x == int(x)))


def _brightness(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("brightness is two numbers")
    low, high = (_number("brightness", each, lambda x: 0 <= x <= 1) for each in value)
    if low > high:
        raise ValueError("brightness is the lowest mean, then the highest")
    return low, high


def _stages(value: Any) -> tuple[Stage, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(s, dict) for s in value):
        raise ValueError("stages is a list of tables")
    stages = tuple(Stage(**stage) for stage in value)
    for stage in stages:
        _number("until", stage.until, lambda x: 0 < x <= 1)
        _number("crop", stage.crop, lambda x: isinstance(x, int) and _CROP[0] <= x <= _CROP[1])
        _number("batch", stage.batch, lambda x: isinstance(x, int) and 1 <= x <= _LARGEST_BATCH)
    return stages


def _network(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("network is a table")
    return value


def _sizes(part: Recipe) -> list[str]:
    names = [each.name for each in dataclasses.fields(part.config)]
    return [name for name in names if name not in _GIVEN[part.family]]


def _fitting(network: Mapping[str, Any], part: Recipe, path: Path | None) -> dict[str, Any]:
    """Sizes that a user asks for, as a configuration has them.

    Raises:
        UsageError: for one that this network does not have, or that it cannot have.
    """
    try:
        sizes = _sizes(part)
        for name in network:
            if name not in sizes:
                raise ValueError(f"network has no {name!r}, only {', '.join(sizes)}")
        FAMILIES[part.family].check(network)
    except ValueError as error:
        raise UsageError(f"not a recipe: {error}", _NAMES, subject=path) from error
    return with_tuples(network)


_READERS: dict[str, Callable[[Any], Any]] = {
    "optimiser": _optimiser,
    "weight_decay": _decay,
    "learning_rate": _rate,
    "steps": _steps,
    "pair_share": _share,
    "brightness": _brightness,
    "stages": _stages,
    "network": _network,
}
_NAMES = f"use {', '.join(_READERS)}"


def _number(name: str, value: Any, allowed: Callable[[float], bool]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not allowed(value):
        raise ValueError(f"{name} = {str(value)[:40]}")
    return value


def _check(part: Recipe, path: Path | None) -> None:
    """Whether stages suit the network."""
    if part.family == "light":
        if any(stage.crop > light.LARGEST for stage in part.stages):
            what = f"pictures of at most {light.LARGEST} pixels are learned from here"
            raise UsageError(what, "use a smaller crop in stages", subject=path)
        if any(stage.loss != Stage.loss for stage in part.stages):
            what = f"{part.task} is trained by losses of its own"
            raise UsageError(what, "leave loss out of stages", subject=path)
    stride = FAMILIES[part.family].stride(dataclasses.asdict(part.config))
    for crop in (VALIDATION_CROP, *(stage.crop for stage in part.stages)):
        for scale in part.scales:
            if crop % (stride * scale):
                raise UsageError(
                    f"crops of {crop} pixels do not fit this network",
                    f"use multiples of {stride * scale}"
                    if crop != VALIDATION_CROP
                    else "use fewer widths or a smaller unshuffle: validation takes this size",
                    subject=path,
                )


def _short(value: Any) -> str:
    return "none" if value is None else "other values" if isinstance(value, dict) else str(value)
