"""Wrong usage in one line, with the nearest thing that would have been right."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mirnet_cli.cli.app import COMMANDS
from mirnet_cli.files import exists, is_folder


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
        return f"{unknown}: no such command; {_nearest_command(unknown)}"
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
    if context is not None:
        # Without the dashes, which would make all of them alike.
        known = {
            name.lstrip("-"): name
            for parameter in context.command.get_params(context)
            if parameter.param_type_name == "option" and not parameter.hidden
            for name in parameter.opts
        }
        close = get_close_matches(option.lstrip("-"), known, n=1, cutoff=0.6)
        if close:
            return f"did you mean {known[close[0]]}?"
    return f"see '{help_words}'"


def _unknown_command(message: str) -> str | None:
    start = "No such command "
    return message.removeprefix(start).strip("'\"") if message.startswith(start) else None


def _nearest_command(name: str) -> str:
    if is_folder(Path(name)):
        return f"for a folder write 'mirnet batch {name}'"
    if exists(Path(name)):
        return f"for a photo write 'mirnet enhance {name}', or denoise, or upscale"
    close = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    return f"did you mean 'mirnet {close[0]}'?" if close else "see 'mirnet --help'"
