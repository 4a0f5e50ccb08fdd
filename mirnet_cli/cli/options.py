"""Options on the command line: those of :mod:`mirnet_cli.options`, and what only commands have.

A command takes a group of options as one argument annotated with a dataclass;
:func:`flat` turns its fields into the command's own options.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Literal, get_origin, get_type_hints

import typer

from mirnet_cli import values
from mirnet_cli.options import COMPUTING, HOW, WEIGHTS, WHERE, WHICH, Setting, declared, like
from mirnet_cli.restore.options import LIGHT, PhotoOptions

__all__ = [
    "COMPUTING",
    "HOW",
    "WEIGHTS",
    "WHERE",
    "WHICH",
    "WORDS",
    "Task",
    "Words",
    "flat",
    "option",
]

WORDS = "Messages"
EPILOG = (
    "Every option except --overwrite can also be set by an environment variable, such as "
    "MIRNET_TILE for --tile. Messages go to stderr, data to stdout."
)

Task = Literal["enhance", "denoise", "upscale"]
"""What a command can be asked to do; the parser refuses anything else."""
AnyTask = Literal["enhance", "denoise", "upscale", "auto"]
TASKS = "enhance|denoise|upscale"


def option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:
    """Declare an option with its environment variable, ``MIRNET_`` and its long name."""
    # Of "--yes/--no" the first names the variable.
    long = max(names, key=len).partition("/")[0]
    offered = _OFFERED.get(long) or _offered_by(more.get("metavar"))
    variable = "MIRNET_" + long.lstrip("-").upper().replace("-", "_")
    return typer.Option(
        *names,
        help=help,
        rich_help_panel=panel,
        **{
            "envvar": variable,
            "show_envvar": False,
            "show_default": False,
            "autocompletion": offered,
            **more,
        },
    )


def _offered_by(metavar: str | None) -> Callable[[str], list[str]] | None:
    """Offer the values that the help lists ("auto|cpu|cuda[:N]|mps"), where it does."""
    words = [re.sub(r"\[.*?\]", "", word) for word in (metavar or "").split("|")]
    listed = [word for word in words if re.fullmatch(r"[a-z0-9]+", word)]
    if len(words) < 2 or not listed:
        return None
    return lambda incomplete: [word for word in listed if word.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Names of models, for completion."""
    from mirnet_cli.models import catalogue

    return [each.name for each in catalogue.entries() if each.name.startswith(incomplete)]


def _complete_format(incomplete: str) -> list[str]:
    from mirnet_cli.photo.formats import FORMATS, WRITABLE

    here = [FORMATS[name].extensions[0][1:] for name in WRITABLE if not FORMATS[name].missing]
    return [each for each in here if each.startswith(incomplete.lower())]


_OFFERED = {"--format": _complete_format, "--model": complete_model}
"""What completion offers of options whose values the help does not list."""


def task_option(help: str, panel: str = HOW) -> Any:
    """Declare ``--task``, whose words are each command's own."""
    return option("--task", metavar=TASKS, panel=panel, help=help)


def scale_option(help: str, panel: str = HOW) -> Any:
    """Declare ``--scale``, whose words are each command's own."""
    return option("--scale", metavar="1|2|3|4", panel=panel, parser=values.scale, help=help)


def same(kind: type, name: str, panel: str | None = None, help: str | None = None) -> Any:
    """Declare one option of a group alone, perhaps under another heading and in other words."""
    return _declared(name, like(kind, name, panel, help))


OutputPath = Annotated[
    str | None,
    option(
        *("-o", "--output"),
        metavar="PATH",
        panel=WHERE,
        help="A file, a folder (ends in / or exists), or - for standard output; "
        "for batch always a folder. [default: see above]",
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        help="Photos, as files or addresses; - is standard input.",
        show_default=False,
    ),
]


FurtherScale = Annotated[
    int | None, scale_option("How many times larger, for --then upscale. [default: 2]")
]


@dataclass(frozen=True)
class Words:
    """What is said, and how."""

    json: Annotated[
        bool,
        option(
            "--json",
            panel=WORDS,
            help="One JSON object per file, on stdout (on stderr if a picture goes to stdout).",
        ),
    ] = False
    quiet: Annotated[bool, option("-q", "--quiet", panel=WORDS, help="Print errors only.")] = False
    verbose: Annotated[
        bool,
        option("-v", "--verbose", panel=WORDS, help="Print more; show tracebacks of bugs."),
    ] = False


def flat(command: Callable[..., int], *, without: Collection[str] = ()) -> Callable[..., int]:
    """Give ``command`` the fields of its option groups as options of its own.

    Those ``without`` which it is stay at their defaults.

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
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            groups[name] = kind
            found = _parameters(kind, without)
        else:
            found = [parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)]
        parameters += found
        annotations |= {each.name: each.annotation for each in found}
    parameters.sort(key=_heading)

    @wraps(command)
    def wrapped(*, _context: typer.Context, **given: Any) -> int:
        return command(**_packed(groups, _settled(given, _context), without))

    parameters.append(
        inspect.Parameter("_context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    )
    annotations["_context"] = typer.Context
    # Typer reads both: the signature for names and defaults, the annotations for types.
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**annotations, "return": int}
    return wrapped


def _heading(parameter: inspect.Parameter) -> int:
    """Where an option stands in the help: under the same headings in every command."""
    (said,) = getattr(parameter.annotation, "__metadata__", None) or (None,)
    panel = getattr(said, "rich_help_panel", None)
    if isinstance(said, typer.models.ArgumentInfo):
        return -1
    return _HEADINGS.index(panel) if panel in _HEADINGS else _HEADINGS.index(COMPUTING)


_HEADINGS = (WHICH, WHERE, HOW, WEIGHTS, COMPUTING, WORDS)


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
    tasks = {str(each).partition(":")[0] for each in given.get("then") or ()}
    tasks.add(str(given.get("task") or context.info_name))
    if tasks <= {"denoise", "upscale"}:
        unasked = PhotoOptions()
        settled |= {
            name: getattr(unasked, name)
            for name in (*LIGHT, "same_light")
            if from_environment(name)
        }
    if from_environment("input_quality"):
        named = given.get("model") or given.get("weights")
        sized = given.get("to") is not None or given.get("megapixels") is not None
        enlarges = sized if "auto" in tasks else "upscale" in tasks and given.get("scale") != 1
        if not (enlarges or (named and not tasks & {"enhance", "denoise", "auto"})):
            settled["input_quality"] = "auto"
    if from_environment("scale") and tasks <= {"enhance", "denoise"}:
        settled["scale"] = None
    return settled


def _parameters(group: type, without: Collection[str] = ()) -> list[inspect.Parameter]:
    """The options of a group; fields that nothing is said of are none."""
    settings, hints = declared(group), get_type_hints(group, include_extras=True)
    found = []
    for field in dataclasses.fields(group):
        kind, default = hints[field.name], field.default
        if field.name in without:
            continue
        if field.name in settings:
            bare = kind.__origin__
            repeated = get_origin(bare) is tuple and bare.__args__[-1] is ...
            if repeated:
                # May be given several times.
                bare, default = list[str] | None, None
            elif settings[field.name].parse is not None:
                bare = Any
            kind = Annotated[bare, _declared(field.name, settings[field.name], repeated)]
        elif not hasattr(kind, "__metadata__"):
            continue
        if default is dataclasses.MISSING:
            default = inspect.Parameter.empty
        found.append(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
        )
    return found


def _declared(name: str, setting: Setting, repeated: bool = False) -> Any:
    flags = setting.flags or (f"--{name.replace('_', '-')}",)
    more: dict[str, Any] = {} if setting.variable else {"envvar": None}
    if setting.parse is not None and not repeated:
        # What may be given several times is parsed when all of it is known.
        more["parser"] = setting.parse
    return option(*flags, help=setting.help, panel=setting.panel, metavar=setting.metavar, **more)


def _packed(
    groups: Mapping[str, type], given: Mapping[str, Any], without: Collection[str]
) -> dict[str, Any]:
    rest = dict(given)
    packed = {
        name: group(**{each.name: rest.pop(each.name) for each in _parameters(group, without)})
        for name, group in groups.items()
    }
    return rest | packed
