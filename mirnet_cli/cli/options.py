"""The options that mean the same everywhere, each declared once.

A command takes a group of options as one argument annotated with a dataclass from here;
:func:`flat` turns its fields into the command's own options.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Literal, get_type_hints

import typer

from mirnet_cli.cli import values
from mirnet_cli.errors import UsageError

WHERE = "Where it goes"
HOW = "How it looks"
WEIGHTS = "Weights"
COMPUTING = "Computing"
WORDS = "What is said"
EPILOG = (
    "Each option can be set by an environment variable too, say --tile by MIRNET_TILE; "
    "all but --overwrite. Messages go to stderr, data to stdout."
)

Task = Literal["enhance", "denoise", "upscale"]
"""What a command can be asked to do; the parser refuses anything else."""


def option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:
    """Declare an option with its environment variable, ``MIRNET_`` and its long name."""
    long = max(names, key=len)
    variable = "MIRNET_" + long.lstrip("-").upper().replace("-", "_")
    return typer.Option(
        *names,
        help=help,
        rich_help_panel=panel,
        **{"envvar": variable, "show_envvar": False, "show_default": False, **more},
    )


@dataclass(frozen=True)
class Output:
    """Where results go and which file is written."""

    output: Annotated[
        str | None,
        option(
            *("-o", "--output"),
            metavar="PATH",
            panel=WHERE,
            help="A file, a folder (ends in / or exists), or - for standard output; "
            "for batch always a folder. [default: see above]",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        option("--overwrite", panel=WHERE, envvar=None, help="Replace files that exist."),
    ] = False
    format: Annotated[
        str | None,
        option(
            "--format",
            metavar="EXT",
            panel=WHERE,
            parser=values.extension,
            help="jpg, png, webp, tif, bmp … [default: as the input]",
        ),
    ] = None
    quality: Annotated[
        int | None,
        option(
            "--quality",
            metavar="1-100",
            panel=WHERE,
            parser=values.quality,
            help="Of JPEG, WebP, AVIF, HEIC, JPEG XL. [default: as the input]",
        ),
    ] = None
    strip: Annotated[
        bool, option("--strip", panel=WHERE, help="Drop metadata (EXIF, XMP, GPS …).")
    ] = False
    preserve: Annotated[
        bool, option("--preserve", panel=WHERE, help="Keep the time of the file.")
    ] = False


@dataclass(frozen=True)
class Look:
    """How the result is made from the photo."""

    strength: Annotated[
        float,
        option(
            "--strength",
            metavar="0..1",
            panel=HOW,
            parser=values.strength,
            help="Blend with the original: 0 is the original. [default: 1]",
        ),
    ] = 1.0
    ensemble: Annotated[
        bool,
        option(
            "--ensemble",
            panel=HOW,
            help="Average over the eight flips and rotations: a little better, 8 times slower.",
        ),
    ] = False
    crop: Annotated[
        Any,
        option(
            "--crop",
            metavar="X,Y,W,H",
            panel=HOW,
            parser=values.crop,
            help="Only this part, in pixels, to try settings.",
        ),
    ] = None
    max_pixels: Annotated[
        int,
        option(
            "--max-pixels",
            metavar="N",
            panel=HOW,
            parser=values.pixels,
            help="Refuse larger pictures before decoding them. [default: 500M]",
        ),
    ] = 500_000_000


@dataclass(frozen=True)
class Computing:
    """Which weights, and where and how the work is computed."""

    model: Annotated[
        str | None,
        option(
            "--model",
            metavar="NAME",
            panel=WEIGHTS,
            help="A model by name; 'mirnet models list' shows them. [default: the task's own]",
        ),
    ] = None
    weights: Annotated[
        str | None,
        option(
            "--weights",
            metavar="PATH",
            panel=WEIGHTS,
            help="A file of weights, or hf://owner/repo/file[@rev].",
        ),
    ] = None
    device: Annotated[
        str,
        option(
            "--device",
            metavar="auto|cpu|cuda[:N]|mps",
            panel=COMPUTING,
            help="Where to compute. [default: auto]",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16"],
        option(
            "--precision",
            metavar="auto|fp32|fp16|bf16",
            panel=COMPUTING,
            help="auto is the fastest within the stated tolerance. [default: auto]",
        ),
    ] = "auto"
    runtime: Annotated[
        Literal["auto", "torch", "openvino"],
        option(
            "--runtime",
            metavar="auto|torch|openvino",
            panel=COMPUTING,
            help="What computes. [default: auto]",
        ),
    ] = "auto"
    tile: Annotated[
        Any,
        option(
            "--tile",
            metavar="auto|0|N",
            panel=COMPUTING,
            parser=values.tile,
            help="Side of the tiles in pixels; 0 never cuts. [default: auto, as fits]",
        ),
    ] = "auto"
    overlap: Annotated[
        int | None,
        option(
            "--overlap",
            metavar="N",
            panel=COMPUTING,
            parser=values.overlap,
            help="Pixels that tiles share. [default: per model]",
        ),
    ] = None
    context: Annotated[
        Literal["auto", "whole", "proxy", "sample", "refine", "window", "tile"],
        option(
            "--context",
            metavar="auto|whole|proxy|sample|refine|window|tile",
            panel=COMPUTING,
            help="How tiles are made to agree with the whole. [default: per model]",
        ),
    ] = "auto"
    max_memory: Annotated[
        int | None,
        option(
            "--max-memory",
            metavar="4G",
            panel=COMPUTING,
            parser=values.memory,
            help="A ceiling for the process. [default: half of the machine's, 1.06G at most]",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself (UsageError)."""
        if self.model is not None and self.weights is not None:
            raise UsageError(
                "--model and --weights (or MIRNET_MODEL, MIRNET_WEIGHTS) exclude each other",
                "leave one out",
            )


@dataclass(frozen=True)
class Words:
    """What is said."""

    json: Annotated[
        bool,
        option(
            "--json",
            panel=WORDS,
            help="One JSON object a line for each file on stdout (stderr if a picture goes there).",
        ),
    ] = False
    quiet: Annotated[bool, option("-q", "--quiet", panel=WORDS, help="Say nothing but errors.")] = (
        False
    )
    verbose: Annotated[
        bool,
        option("-v", "--verbose", panel=WORDS, help="Say more; show tracebacks of bugs."),
    ] = False


GROUPS = (Output, Look, Computing, Words)


def flat(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` the fields of its option groups as options of its own.

    Parameters annotated with one of the dataclasses above become their fields; the command is
    called with the dataclass made of what the user gave.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    annotations: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        kind = hints[name]
        if kind in GROUPS:
            groups[name] = kind
            found = _parameters(kind)
        else:
            found = [parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)]
        parameters += found
        annotations |= {each.name: each.annotation for each in found}

    @wraps(command)
    def wrapped(*, _context: typer.Context, **given: Any) -> int:
        return command(**_packed(groups, _settled(given, _context)))

    parameters.append(
        inspect.Parameter("_context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    )
    annotations["_context"] = typer.Context
    # Typer reads both: the signature for names and defaults, the annotations for types.
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**annotations, "return": int}
    return wrapped


def _settled(given: Mapping[str, Any], context: typer.Context) -> dict[str, Any]:
    """The values given, less those of the environment that the command line overrules.

    A variable is set for all commands: it may name weights where the command names a model, another
    format than the output's name, or a scale where the task has none.
    """

    def from_environment(name: str) -> bool:
        source = context.get_parameter_source(name) if given.get(name) is not None else None
        return getattr(source, "name", "") == "ENVIRONMENT"

    settled = dict(given)
    for one, other in (("model", "weights"), ("weights", "model")):
        if from_environment(one) and given.get(other) is not None and not from_environment(other):
            settled[one] = None
    for one, other, default in (("jobs", "cluster", 1), ("cluster", "jobs", None)):
        asked = given.get(other) not in (None, 1) and not from_environment(other)
        if asked and from_environment(one):
            settled[one] = default
    if from_environment("format") and not from_environment("output"):
        from mirnet_cli.photo.formats import format_from_name

        if format_from_name(given.get("output") or "") is not None:
            settled["format"] = None
    if from_environment("scale") and given.get("task", "upscale") not in (None, "upscale"):
        settled["scale"] = None
    return settled


def _parameters(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(group)
    ]


def _packed(groups: Mapping[str, type], given: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(given)
    packed = {
        name: group(**{field.name: rest.pop(field.name) for field in dataclasses.fields(group)})
        for name, group in groups.items()
    }
    return rest | packed
