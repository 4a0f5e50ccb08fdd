"""The steps of one run: how a further one is written, and what each is loaded with.

A further step is written ``TASK[:KEY=VALUE,…]``. Keys are what can be said of a step alone
(:class:`mirnet_cli.restore.options.StepOptions`) and ``model``, ``weights`` and ``scale``; a number
in the place of the first pair is the strength, and a key that is a switch needs no value::

    enhance   enhance:0.6   upscale:scale=3   denoise:weights=mine.safetensors,ensemble
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from mirnet_cli import values
from mirnet_cli.errors import UsageError
from mirnet_cli.options import HOW, Options, Setting, declared
from mirnet_cli.restore.options import LIGHT, LoadOptions, StepOptions

TASKS = ("enhance", "denoise", "upscale")
_LOADED = ("model", "weights", "scale")


@dataclass(frozen=True)
class Then:
    """A further step.

    Attributes:
        task: "denoise", "enhance" or "upscale".
        model, weights, scale: what it is loaded with; None as where nothing is said of the task.
        own: options of :class:`StepOptions` that hold for this step alone: names and values.
    """

    task: str
    model: str | None = None
    weights: str | None = None
    scale: int | None = None
    own: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, text: "str | Then") -> "Then":
        """Read ``TASK[:KEY=VALUE,…]``.

        Raises:
            UsageError: it says something else.
        """
        if isinstance(text, Then):
            return text
        subject = f"--then {text}"
        task, colon, rest = str(text).strip().partition(":")
        if task not in TASKS:
            raise UsageError("unknown task", f"use {', '.join(TASKS)}", subject=subject)
        said: dict[str, Any] = {}
        try:
            for key, value in _pairs(rest) if colon else ():
                if key in said:
                    raise ValueError(f"{key} is given twice")
                said[key] = value
            own = {name: said.pop(name) for name in [*said] if name not in _LOADED}
            own = {name: getattr(StepOptions(**own), name) for name in own}
            if task != "enhance" and (light := [name for name in own if name in LIGHT]):
                raise ValueError(f"only enhance has {light[0]}")
            if "scale" in said:
                if task != "upscale":
                    raise ValueError("only upscale has scales")
                said["scale"] = values.scale(said["scale"])
            if {"model", "weights"} <= said.keys():
                raise ValueError("model and weights cannot be combined")
        except UsageError as error:
            raise UsageError(error.what, error.remedy, subject=subject) from error
        except ValueError as error:
            how = "write TASK[:KEY=VALUE,…], such as enhance:0.6 or upscale:scale=3"
            raise UsageError(str(error), how, subject=subject) from error
        return cls(task, own=tuple(own.items()), **said)


def _pairs(text: str) -> Iterable[tuple[str, Any]]:
    """What is said of a step, key by key; values may hold commas."""
    known = {*declared(StepOptions), *_LOADED}
    switches = {each.name for each in fields(StepOptions) if isinstance(each.default, bool)}
    after = "|".join([*(f"{key}=" for key in known), *(rf"{key}(?=,|$)" for key in switches)])
    for index, part in enumerate(re.split(rf",\s*(?={after})", text)):
        key, equals, value = part.strip().partition("=")
        if equals and key in switches:
            if value.lower() not in _SWITCH:
                raise ValueError(f"{key} must be yes or no, not {value!r}")
            yield key, _SWITCH[value.lower()]
        elif equals and key in known:
            if not value:
                raise ValueError(f"{key} has no value")
            yield key, value
        elif key in switches:
            yield key, True
        elif not index and not equals:
            yield "strength", values.strength(part)
        else:
            raise ValueError(f"{key!r} is not one of {', '.join(sorted(known))}")


_SWITCH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _several(given: "str | Then | Iterable[str | Then] | None") -> tuple[Then, ...]:
    if given is None or isinstance(given, str | Then):
        given = () if given is None else (given,)
    return tuple(Then.of(each) for each in given)


@dataclass(frozen=True)
class AutoOptions(Options):
    """What ``auto`` makes of a photo, beside what it needs."""

    to: Annotated[
        tuple[int, int] | None,
        Setting(
            "auto enlarges smaller photos until they fill WIDTH or HEIGHT.",
            HOW,
            metavar="WIDTHxHEIGHT",
            parse=values.box,
        ),
    ] = None
    megapixels: Annotated[
        float | None,
        Setting(
            "auto enlarges smaller photos to about this many.",
            HOW,
            metavar="N",
            parse=values.positive,
        ),
    ] = None
    skip_good: Annotated[
        bool, Setting("auto writes nothing for photos that need nothing.", HOW)
    ] = False
    explain: Annotated[
        bool, Setting("Print what auto measured in each photo.", HOW, alters=False)
    ] = False

    @classmethod
    def made(cls, given: "AutoOptions | Mapping[str, Any]") -> "AutoOptions":
        """Options, or their names and values."""
        return given if isinstance(given, AutoOptions) else cls.of(None, given)

    def __post_init__(self) -> None:
        """Refuse two sizes, too.

        Raises:
            UsageError: there are two, or a value is none.
        """
        super().__post_init__()
        if self.to is not None and self.megapixels is not None:
            raise UsageError("--to and --megapixels cannot be combined", "leave one out")


@dataclass(frozen=True)
class ChainOptions(LoadOptions):
    """What a run is loaded with: its first step, and those that follow.

    ``model`` and ``weights`` are of the first step, ``scale`` of the one that is upscale; what
    computes, and how, is the same for all.

    Attributes:
        auto: what the task "auto" makes of photos.
    """

    auto: AutoOptions = AutoOptions()
    then: Annotated[
        tuple[Then, ...],
        Setting(
            "A further step on the result, such as enhance:0.6 or upscale:scale=3; may be "
            "repeated.",
            HOW,
            metavar="TASK[:KEY=VALUE,…]",
            parse=_several,
        ),
    ] = ()

    def __post_init__(self) -> None:
        """Take options of auto by name, too."""
        super().__post_init__()
        object.__setattr__(self, "auto", AutoOptions.made(self.auto))

    @classmethod
    def beginning(cls, options: LoadOptions | None) -> "ChainOptions":
        """Options whose first step, and only one so far, is this."""
        if isinstance(options, ChainOptions):
            return options
        return cls(**{} if options is None else options.given())

    def steps(self) -> tuple[LoadOptions, ...]:
        """What each step is loaded with.

        Raises:
            UsageError: the scale is of no step, or of more than one.
        """
        first = self.part(LoadOptions)
        if first.task == "auto" and self.then:
            raise UsageError(
                "cannot be combined with auto, which chooses the steps",
                "leave it out",
                subject="--then",
            )
        if first.task != "auto" and self.auto != AutoOptions():
            name = next(iter(self.auto.given())).replace("_", "-")
            raise UsageError("only for auto", "leave it out", subject=f"--{name}")
        if first.task == "auto":
            for name in ("scale", "model", "weights"):
                if getattr(first, name) is not None:
                    raise UsageError(
                        "cannot be combined with auto", "leave it out", subject=f"--{name}"
                    )
        if not self.then and first.task in (None, "upscale", "auto"):
            return (first,)
        # What is said of an ONNX network is said of the first.
        others = replace(first, model=None, weights=None, set=(), input_range=None, bgr=None)
        steps = [
            replace(first, scale=None),
            *(
                replace(others, task=t.task, model=t.model, weights=t.weights, scale=t.scale)
                for t in self.then
            ),
        ]
        if self.scale is not None:
            enlarge = [each for each in steps if each.task == "upscale"]
            takes = [n for n, each in enumerate(steps) if each in enlarge and each.scale is None]
            if not enlarge and first.task is None:
                takes = [0]
            if not takes:
                what = "already given for the step" if enlarge else "only upscale has scales"
                raise UsageError(what, "leave it out", subject="--scale")
            if len(takes) > 1:
                remedy = "give it for each, as in --then upscale:scale=2"
                raise UsageError("more than one step is upscale", remedy, subject="--scale")
            steps[takes[0]] = replace(steps[takes[0]], scale=self.scale)
        return tuple(steps)
