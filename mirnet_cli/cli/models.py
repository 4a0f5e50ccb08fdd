"""``mirnet models``: which weights there are, what they are, whether they are intact."""

import json as _json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirnet_cli.cli import models_files
from mirnet_cli.cli.app import Command, Group
from mirnet_cli.cli.options import Task, complete_model, option, same
from mirnet_cli.cli.table import LEFT, RIGHT, lines, size
from mirnet_cli.errors import ExitCode, ModelError, UsageError
from mirnet_cli.files import exists, printable
from mirnet_cli.models import catalogue
from mirnet_cli.models.catalogue import Model
from mirnet_cli.restore.options import LoadOptions

if TYPE_CHECKING:
    from mirnet_cli.models.weights import Weights

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    help="List, show, verify, fetch, convert and publish weights.",
)


_NAME_HELP = "A model by name, or a file of weights."
Name = Annotated[
    str, typer.Argument(metavar="NAME", help=_NAME_HELP, autocompletion=complete_model)
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]…",
        help="Models by name, or files of weights. [default: all that are on this machine]",
        autocompletion=complete_model,
        show_default=False,
    ),
]
OneName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A model by name. [default: the folder of shipped weights]",
        autocompletion=complete_model,
        show_default=False,
    ),
]
Json = Annotated[bool, option("--json", help="One JSON object per line on stdout.")]
Raw = Annotated[bool, option("--raw", envvar=None, help="Print only the card, as Markdown.")]
OnlyTask = Annotated[
    Task | None,
    typer.Option(
        "--task",
        metavar="|".join(catalogue.TASKS),
        help="Only models for this task.",
        show_default=False,
    ),
]


@app.command("list", cls=Command)
def list_models(task: OnlyTask = None, json: Json = False) -> int:
    """List the models: purpose, size, licence, and whether they are here."""
    chosen = [each for each in catalogue.entries() if task in (None, each.task)]
    if json:
        for each in chosen:
            _print_json({**each.as_dict(), "state": _state(each), "path": _shown_path(each)})
        return ExitCode.OK
    columns: dict[str, list[str]] = {
        "NAME": [each.name for each in chosen],
        "TASK": [_purpose(each) for each in chosen],
        "SIZE": [size(each.bytes) if each.bytes else "-" for each in chosen],
        "STATE": [_state(each) for each in chosen],
        "LICENCE": [_short_licence(each) for each in chosen],
        "WHAT FOR": [each.title for each in chosen],
        "SCORE": [_score(each) for each in chosen],
        "SOURCE": [each.source for each in chosen],
        "FAMILY": [each.family for each in chosen],
    }
    width = shutil.get_terminal_size((0, 0)).columns
    shown = _fitting(columns, width) if width else columns
    rows = [list(row) for row in zip(*shown.values(), strict=True)]
    align = [RIGHT if name == "SIZE" else LEFT for name in shown]
    for line in lines(list(shown), rows, align):
        typer.echo(line)
    return ExitCode.OK


_LEAST = 16
"""Characters of the last column below which it is left out."""


def _fitting(columns: dict[str, list[str]], width: int) -> dict[str, list[str]]:
    """As many columns as a terminal is wide; what each is for is cut where it has to be."""
    shown: dict[str, list[str]] = {}
    used = 0
    for name, cells in columns.items():
        gap = 2 if shown else 0
        most = max(len(name), *map(len, cells)) if cells else len(name)
        room = width - used - gap
        if most > room:
            if name != "WHAT FOR" or room < _LEAST:
                continue
            cells = [each if len(each) <= room else f"{each[: room - 1]}…" for each in cells]
            most = room
        elif name == "LICENCE" and room - most < _LEAST:
            # What each is for says more.
            continue
        shown[name] = cells
        used += gap + most
    return shown


@app.command("show", cls=Command)
def show(
    context: typer.Context,
    name: Name,
    raw: Raw = False,
    set: Annotated[
        list[str] | None,
        option(
            "--set",
            metavar="NAME=VALUE",
            help="A number that an ONNX network takes besides the picture, such as sigma=0.1.",
        ),
    ] = None,
    input_range: Annotated[str | None, same(LoadOptions, "input_range", panel="Options")] = None,
    bgr: Annotated[bool | None, same(LoadOptions, "bgr", panel="Options")] = None,
    json: Json = False,
) -> int:
    """Show a model's facts and card, or what a file of weights is; an ONNX network is measured."""
    asked = LoadOptions.of(None, {"set": tuple(set or ()), "input_range": input_range, "bgr": bgr})
    if _is_file(name):
        facts = _file_facts(name, asked, context)
        if json:
            _print_json(facts)
        else:
            _print_facts(facts)
        return ExitCode.OK
    entry = catalogue.find(name)
    _only_for_onnx(name, context)
    card = catalogue.card_path(entry)
    text = None if card is None else card.read_text(encoding="utf-8", errors="replace")
    facts = {**entry.as_dict(), "state": _state(entry), "path": _shown_path(entry)}
    facts |= _inside(entry)
    if json:
        _print_json({**facts, "card": text})
        return ExitCode.OK
    if raw:
        if text is None:
            raise ModelError("it has no card", f"see '{_SHOW} {entry.name}'", subject=entry.name)
        # Not escaped where it is meant for other programs.
        sys.stdout.write(_printable_text(text) if sys.stdout.isatty() else text)
        return ExitCode.OK
    facts.pop("scores")
    _print_facts({name: value for name, value in facts.items() if value not in ("", [])})
    if text is not None:
        typer.echo("")
        _print_card(_printable_text(_without_front_matter(text)))
    return ExitCode.OK


_SHOW = "mirnet models show"
_CARD = 100
"""Characters of a line of prose, on a terminal that is wider."""


def _print_card(text: str) -> None:
    from rich.console import Console as Terminal
    from rich.markdown import Markdown

    terminal = Terminal(highlight=False)
    # Links are shown as they are written: not every terminal follows them.
    terminal.print(Markdown(text, hyperlinks=False), width=min(terminal.width, _CARD))


@app.command("path", cls=Command)
def path(name: OneName = None, json: Json = False) -> int:
    """Print where a model's file is; without a name, the folder of shipped weights."""
    if name is None:
        found = catalogue.weights_folder()
        if not found.is_dir():
            what = "the folder of shipped weights is missing"
            raise ModelError(what, catalogue.reinstall(), subject=found)
    else:
        entry = catalogue.find(name)
        found = catalogue.path_of(entry)
        if not found.is_file():
            raise catalogue.verify(entry).error()
    if json:
        _print_json({"name": name, "path": str(found)})
    else:
        # As it is, not escaped: it is meant for other programs.
        typer.echo(str(found))
    return ExitCode.OK


@app.command("verify", cls=Command)
def verify(names: Names = None, json: Json = False) -> int:
    """Hash the weights again and compare with the catalogue; exit code 3 where any is not intact.

    A file of weights given by its path is read and checked in full.
    """
    broken = 0
    names = names or [
        each.name for each in catalogue.entries() if each.shipped or _state(each) != "absent"
    ]
    if not names:
        raise ModelError("there are no weights to verify", catalogue.reinstall())
    width = max(len(name) for name in names)
    for name in names:
        found = _verified(name)
        broken += found["state"] != "intact"
        if json:
            _print_json(found)
            continue
        if found["state"] == "intact":
            typer.echo(f"{printable(found['name']):{width}}  intact  {found['sha256']}")
        else:
            from mirnet_cli.cli.console import write_error

            write_error(f"{found['path']}: {found['what']}; {found['remedy']}")
    return ExitCode.MODEL if broken else ExitCode.OK


app.command("download", cls=Command)(models_files.download)
app.command("convert", cls=Command)(models_files.convert)
app.command("export", cls=Command)(models_files.export)
app.command("remove", cls=Command)(models_files.remove)
app.command("push", cls=Command)(models_files.push)


def _verified(name: str) -> dict[str, Any]:
    if not _is_file(name):
        return catalogue.verify(catalogue.find(name)).as_dict()
    from mirnet_cli.models.resolver import read_named
    from mirnet_cli.models.weights import Weights
    from mirnet_cli.restore.options import LoadOptions
    from mirnet_cli.restore.prepared import Prepared

    found: dict[str, Any] = {"name": name, "state": "intact", "path": name}
    try:
        weights = read_named(name)
        if isinstance(weights, Weights):
            # What is in somebody else's format was accounted for when it was recognised.
            for scale in weights.scales:
                Prepared(weights, scale, LoadOptions(device="cpu", precision="fp32"))
        digest = weights.sha256
        found |= {"sha256": digest, "expected_sha256": None, "what": "", "remedy": ""}
    except ModelError as error:
        nothing = {"sha256": None, "expected_sha256": None}
        found |= {**nothing, "state": "refused", "what": error.what, "remedy": error.remedy}
    return found


def _only_for_onnx(name: str, context: typer.Context) -> None:
    """Refuse options on the command line; variables are set for whatever comes."""
    sources = [context.get_parameter_source(each) for each in ("set", "input_range", "bgr")]
    if any(getattr(each, "name", "") == "COMMANDLINE" for each in sources):
        what = "--set, --input-range and --bgr are for ONNX networks"
        raise UsageError(what, "leave them out", subject=name)


def _file_facts(name: str, asked: LoadOptions, context: typer.Context) -> dict[str, Any]:
    from mirnet_cli.models.foreign import Foreign
    from mirnet_cli.models.onnx import Asked, Onnx
    from mirnet_cli.models.resolver import read_named

    weights = read_named(name)
    given = weights.path
    if isinstance(weights, Onnx):
        return weights.facts(Asked(dict(asked.set), asked.input_range, asked.bgr))
    _only_for_onnx(name, context)
    if isinstance(weights, Foreign):
        return {
            "name": given.name,
            "title": weights.family.title,
            "task": weights.task,
            "family": weights.family.name,
            "config": dict(weights.spec.config),
            "parameters": weights.parameters,
            "sha256": weights.sha256,
            "bytes": given.stat().st_size,
            "path": str(given),
        }
    return {
        "name": weights.name,
        "task": weights.task,
        "scales": list(weights.scales),
        "family": weights.network.family,
        **_networks(weights),
        "base": weights.base,
        "context": weights.context,
        "overlap": weights.overlap,
        "licence": weights.licence,
        "training": dict(weights.training),
        "sha256": weights.sha256,
        "bytes": given.stat().st_size,
        "path": str(given),
    }


def _networks(weights: "Weights") -> dict[str, Any]:
    """What is in a file: the configuration of each network, and how many numbers they have."""
    every = {part: dict(spec.config) for part, spec in weights.parts.items()}
    tensors = [tensor for spec in weights.parts.values() for tensor in spec.tensors.values()]
    return {
        "config": every["network"],
        "thumbnail": every.get("thumbnail"),
        "clean": every.get("clean"),
        "parameters": sum(int(each.size) for each in tensors),
    }


def _inside(entry: Model) -> dict[str, Any]:
    """The same of a model that came with mirnet; nothing where its file is not intact."""
    from mirnet_cli.models.resolver import load_entry

    if not entry.shipped:
        return {}
    try:
        return _networks(load_entry(entry))
    except ModelError:
        return {}


def _is_file(text: str) -> bool:
    """Whether the text means a file: a model of that name comes first."""
    if any(each.name == text for each in catalogue.entries()):
        return False
    return Path(text).suffix != "" or "/" in text or "\\" in text or exists(Path(text))


def _purpose(entry: Model) -> str:
    if entry.task != "upscale":
        return entry.task
    return f"{entry.task} {','.join(f'x{each}' for each in entry.scales)}"


def _short_licence(entry: Model) -> str:
    """What a licence means, in a narrow column; 'models show' has its name."""
    if not entry.commercial:
        return "non-commercial"
    return entry.licence if len(entry.licence) <= _LICENCE else entry.licence[: _LICENCE - 1] + "…"


_LICENCE = 14


def _score(entry: Model) -> str:
    """The first of the model's scores; the card has them all."""
    for pictures, figures in entry.scores.items():
        psnr, before = figures.get("psnr"), figures.get("nothing_psnr")
        if psnr is not None:
            gain = "" if before is None else f" ({psnr - before:+.2f})"
            return f"{psnr:.2f} dB{gain}, {pictures}"
    return "-"


def _shown_path(entry: Model) -> str | None:
    path = catalogue.known_path(entry)
    return None if path is None else str(path)


def _state(entry: Model) -> str:
    """What can be told without reading the file."""
    path = catalogue.known_path(entry)
    try:
        found = None if path is None else path.stat().st_size
    except OSError:
        found = None
    if found is None:
        return "missing" if entry.shipped else "absent"
    return "here" if entry.bytes in (0, found) else "changed"


def _print_facts(facts: dict[str, Any]) -> None:
    rows = [[name.replace("_", " "), _text(value)] for name, value in facts.items()]
    for line in lines(["", ""], rows)[1:]:
        typer.echo(line)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return ", ".join(str(each) for each in value) or "none"
    if isinstance(value, dict | list):
        return _json.dumps(value)
    return "none" if value is None else str(value)


def _without_front_matter(text: str) -> str:
    """A card without the YAML block that is meant for the Hub."""
    if not text.startswith("---\n"):
        return text
    _, found, rest = text[4:].partition("\n---\n")
    return rest.lstrip("\n") if found else text


def _printable_text(text: str) -> str:
    return "".join(f"{printable(line)}\n" for line in text.splitlines())


def _print_json(values: Any) -> None:
    typer.echo(_json.dumps(values, default=str))
