"""Man pages made of the command line itself: ``mirnet(1)`` and one for each command.

The options, their words and the exit codes are those of the program; nothing is written twice.
"""

import re
from typing import Any

from mirnet_cli.cli.app import COMMANDS, OTHER_OPTIONS, build, load_command
from mirnet_cli.errors import ExitCode

EXIT_CODES = {
    ExitCode.OK: "All done; skipped because already done counts.",
    ExitCode.FAILED: "At least one input failed; the others are done.",
    ExitCode.USAGE: "Wrong usage, known before any work.",
    ExitCode.MODEL: "Weights or network: not found, not intact, refused; nothing was done.",
    ExitCode.INTERRUPTED: "Ctrl-C; every file is whole or absent.",
    ExitCode.TERMINATED: "SIGTERM; every file is whole or absent.",
}

FILES = {
    "~/.cache/mirnet": "What can be made or fetched again; MIRNET_CACHE names another folder.",
    ".mirnet-journal.jsonl": "In a batch's output folder: what is done.",
}


def manual() -> dict[str, str]:
    """All man pages: file name (``mirnet-denoise.1``) to roff."""
    pages = {"mirnet.1": _overview()}
    for name in COMMANDS:
        pages[f"mirnet-{name}.1"] = _page(f"mirnet {name}", load_command(name))
    return pages


def _overview() -> str:
    root = build()
    lines = _head("mirnet", "better photos: less noise, more light, more resolution")
    lines += [".SH SYNOPSIS", ".B mirnet", r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIFILE\fR]..."]
    lines += [".SH DESCRIPTION", *_paragraphs(root.help or "")]
    lines += [".SH COMMANDS"]
    for name, text in COMMANDS.items():
        lines += [".TP", rf"\fBmirnet\-{name}\fR(1)", _escaped(text)]
    lines += _options(root)
    lines += _ending([f"mirnet-{name}" for name in COMMANDS])
    return "\n".join(lines) + "\n"


def _page(path: str, command: Any) -> str:
    name = path.replace(" ", "-")
    lines = _head(name, str(command.short_help or "").rstrip("."))
    subcommands = getattr(command, "commands", {})
    lines += [".SH SYNOPSIS", *_synopsis(path, command)]
    lines += [".SH DESCRIPTION", *_paragraphs(command.help or "")]
    lines += _options(command)
    if subcommands:
        lines += [".SH COMMANDS"]
        for sub, inner in subcommands.items():
            lines += [f".SS {_escaped(f'{path} {sub}')}", *_synopsis(f"{path} {sub}", inner)]
            lines += [".PP", *_paragraphs(inner.help or ""), *_options(inner, level=".PP")]
    if command.epilog:
        lines += [".SH NOTES", *_paragraphs(command.epilog)]
    lines += _ending(["mirnet"])
    return "\n".join(lines) + "\n"


def _head(name: str, what: str) -> list[str]:
    title = name.upper().replace("-", r"\-")
    what = what[:1].lower() + what[1:]
    return [
        r'.\" Made by "make docs" from the command line; changes here are lost.',
        f'.TH "{title}" 1 "" "mirnet" "mirnet manual"',
        ".SH NAME",
        rf"{_escaped(name)} \- {_escaped(what)}",
    ]


def _synopsis(path: str, command: Any) -> list[str]:
    arguments = [
        f"[{_metavar(each)}]" + ("..." if each.nargs == -1 else "")
        if not each.required
        else _metavar(each)
        for each in command.params
        if each.param_type_name == "argument"
    ]
    inner = [r"\fICOMMAND\fR"] if hasattr(command, "commands") else arguments
    return [rf"\fB{_escaped(path)}\fR [\fIOPTION\fR]... {' '.join(inner)}".rstrip()]


def _metavar(parameter: Any) -> str:
    name = re.sub(r"[\[\]{}.…]", "", str(parameter.metavar or parameter.name))
    return rf"\fI{_escaped(name)}\fR"


def _options(command: Any, level: str = ".SH") -> list[str]:
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            panels.setdefault("Arguments", []).append(parameter)
        elif not getattr(parameter, "hidden", False):
            panel = str(getattr(parameter, "rich_help_panel", None) or OTHER_OPTIONS)
            panels.setdefault(panel, []).append(parameter)
    lines: list[str] = []
    for panel, parameters in panels.items():
        title = "Options" if panel == OTHER_OPTIONS else panel
        lines += [f".SH {title.upper()}"] if level == ".SH" else [level]
        for parameter in parameters:
            lines += [".TP", _term(parameter), *_explained(parameter)]
    return lines


def _term(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _metavar(parameter)
    names = sorted(parameter.opts, key=len)
    value = "" if parameter.is_flag else rf" \fI{_escaped(str(parameter.metavar or 'VALUE'))}\fR"
    return ", ".join(rf"\fB{_escaped(name)}\fR" for name in names) + value


def _explained(parameter: Any) -> list[str]:
    lines = [_escaped(parameter.help or "")]
    if parameter.envvar:
        lines += [".br", f"Environment: {_escaped(str(parameter.envvar))}"]
    return lines


def _ending(others: list[str]) -> list[str]:
    lines = [".SH EXIT STATUS"]
    for code, words in EXIT_CODES.items():
        lines += [".TP", rf"\fB{int(code)}\fR", _escaped(words)]
    lines += [".SH FILES"]
    for name, words in FILES.items():
        lines += [".TP", rf"\fI{_escaped(name)}\fR", _escaped(words)]
    return [*lines, ".SH SEE ALSO", ", ".join(rf"\fB{_escaped(name)}\fR(1)" for name in others)]


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for part in text.strip().split("\n\n"):
        lines += [".PP"] if lines else []
        lines += [_escaped(" ".join(part.split()))]
    return lines


def _escaped(text: str) -> str:
    """Text as roff prints it as it is: dashes that can be searched for, no control lines."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...")
    return rf"\&{text}" if text.startswith((".", "'")) else text
