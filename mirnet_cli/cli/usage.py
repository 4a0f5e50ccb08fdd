"""Wrong usage in one line, with the nearest thing that would have been right."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mirnet_cli.cli.app import COMMANDS, build, load_command
from mirnet_cli.files import exists, is_folder
from mirnet_cli.restore.options import LIGHT


def usage_line(error: BaseException, words: Sequence[str]) -> str | None:
    """Word an error of the command-line parser; None for any other exception.

    Args:
        error: what was raised.
        words: the command line.
    """
    import typer

    if not isinstance(error, typer.TyperException):
        return None
    context = getattr(error, "ctx", None)
    help_words = f"{_command(context, words)} --help"
    option = getattr(error, "option_name", None)
    parameter = getattr(error, "param", None)
    if hasattr(error, "possibilities"):
        return (
            f"{option}: no such option; {_nearest_option(str(option), context, words, help_words)}"
        )
    if isinstance(error, typer.BadParameter):
        return _bad_value(error, parameter, help_words)
    message = error.format_message().strip().rstrip(".")
    unknown = _unknown_command(message)
    if unknown is not None:
        return f"{unknown}: no such command; {_nearest_command(unknown, context)}"
    if option is not None:
        what = "needs a value" if "requires an argument" in message else message
        return f"{option}: {what}; see '{help_words}'"
    return f"{message[:1].lower()}{message[1:]}; see '{help_words}'"


def _command(context: Any, words: Sequence[str]) -> str:
    """The command that was called; some errors of the parser do not carry it."""
    if context is not None:
        return str(context.command_path)
    return f"mirnet {words[0]}" if words and words[0] in COMMANDS else "mirnet"


def _bad_value(error: Any, parameter: Any, help_words: str) -> str:
    message = str(error.message).strip().rstrip(".")
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:]
    if parameter is None:
        return f"{message or 'wrong value'}; see '{help_words}'"
    name = _name_of(parameter, error.ctx)
    if not message:
        kind = "needed but not given"
        return f"{name}: {kind}; see '{help_words}'"
    remedy = "" if ";" in message else f"; see '{help_words}'"
    return f"{name}: {message}{remedy}"


def _name_of(parameter: Any, context: Any) -> str:
    """The option as the user gave it: on the command line, or by its environment variable."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).strip("[].…").upper()
    long = str(max(parameter.opts, key=len))
    source = context.get_parameter_source(parameter.name) if context is not None else None
    if getattr(source, "name", "") == "ENVIRONMENT":
        return f"{long} (set by {parameter.envvar})"
    return long


def _nearest_option(option: str, context: Any, words: Sequence[str], help_words: str) -> str:
    for word in words:
        if word.startswith(option) and exists(Path(word)):
            return f"for the file of that name write ./{word}"
    name = option.lstrip("-")
    if name in LIGHT and "--then" in words:
        return f"write it with its step, as in --then enhance:{name}=…"
    elsewhere = _all_options()
    if option in elsewhere:
        return _have_it(elsewhere[option])
    if context is not None:
        own = _options(context.command, context)
        if close := _closest(option, own):
            return f"did you mean {close}?"
        if close := _closest(option, elsewhere, 0.8):
            return f"did you mean {close}? {_have_it(elsewhere[close])}"
    return f"see '{help_words}'"


def _closest(option: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    # Without the dashes, which would make all of them alike.
    bare = {name.lstrip("-"): name for name in known}
    close = get_close_matches(option.lstrip("-"), bare, n=1, cutoff=cutoff)
    return bare[close[0]] if close else None


def _options(command: Any, context: Any) -> list[str]:
    return [
        name
        for parameter in command.get_params(context)
        if parameter.param_type_name == "option" and not parameter.hidden
        for name in parameter.opts
    ]


def _all_options() -> dict[str, list[str]]:
    """The options of all commands, and the commands that have each."""
    import typer

    found: dict[str, list[str]] = {}

    def add(command: Any, path: str) -> None:
        context = typer.Context(command)
        for name in _options(command, context):
            found.setdefault(name, []).append(path)
        for inner in getattr(command, "commands", {}).values():
            add(inner, f"{path} {inner.name}")

    add(build(), "mirnet")
    for name in COMMANDS:
        add(load_command(name), f"mirnet {name}")
    return found


_NAMED = 3
"""Commands that are named of those that have an option."""


def _have_it(commands: Sequence[str]) -> str:
    # Sub-commands last.
    commands = sorted(commands, key=lambda path: path.count(" "))
    if len(commands) == 1:
        return f"'{commands[0]}' has it"
    if len(commands) > _NAMED:
        named = ", ".join(f"'{each}'" for each in commands[:_NAMED])
        return f"{named} and others have it"
    named = ", ".join(f"'{each}'" for each in commands[:-1])
    return f"{named} and '{commands[-1]}' have it"


def _unknown_command(message: str) -> str | None:
    start = "No such command "
    return message.removeprefix(start).strip("'\"") if message.startswith(start) else None


def _nearest_command(name: str, context: Any) -> str:
    path = "mirnet" if context is None else str(context.command_path)
    if path != "mirnet":
        close = get_close_matches(name, context.command.list_commands(context), n=1, cutoff=0.5)
        return f"did you mean '{path} {close[0]}'?" if close else f"see '{path} --help'"
    if is_folder(Path(name)):
        return f"for a folder write 'mirnet batch {name}'"
    if exists(Path(name)):
        return f"for a photo write 'mirnet enhance {name}', or denoise, or upscale"
    close = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    return f"did you mean 'mirnet {close[0]}'?" if close else "see 'mirnet --help'"
