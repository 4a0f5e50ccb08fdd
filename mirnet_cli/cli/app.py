"""The list of commands, each loaded when it is called.

A new command is one file in this folder and one line in :data:`COMMANDS`. The file has a function
``command`` (whose docstring is the help) or a Typer ``app`` with sub-commands.
"""

from importlib import import_module
from typing import Annotated, Any

import typer
import typer.core
from typer.core import TyperCommand, TyperGroup

from mirnet_cli._version import __version__
from mirnet_cli.cli.coercion import plainly
from mirnet_cli.errors import ExitCode, UsageError

#: Name of the command (and of its file in this folder): its line in ``mirnet --help``.
COMMANDS = {
    "enhance": "Brighten and retouch: low light, dull exposure.",
    "denoise": "Remove camera noise.",
    "upscale": "Enlarge 2, 3 or 4 times; or sharpen at the size given.",
    "auto": "Look at each photo and do only what it needs.",
    "batch": "Process a whole folder; stop and continue at any time.",
    "compare": "Show before and after on one page, or side by side in a picture.",
    "models": "List, show, verify, download and convert weights.",
    "evaluate": "Measure PSNR and SSIM over pairs of pictures.",
    "train": "Train weights, or fine-tune them on your own pairs.",
    "bench": "Measure how fast mirnet runs on this machine.",
    "doctor": "Check versions, devices and weights; say how to fix problems.",
}

OTHER_OPTIONS = "Other"


class _Help:
    """Options grouped by their panel, in plain text: Rich alone would double the time of --help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, whose plain values are taken without pydantic."""
        return [plainly(each) for each in super().get_params(ctx)]  # type: ignore[misc]

    def get_help_option_names(self, ctx: Any) -> list[str]:
        """``-h`` too, but where an option of that name is there."""
        taken = {name for each in self.params for name in each.opts}  # type: ignore[attr-defined]
        return [name for name in ("-h", "--help") if name not in taken]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        arguments: list[tuple[str, str]] = []
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                many = "..." if parameter.nargs == -1 else ""
                arguments.append((f"{parameter.metavar or parameter.name}{many}", record[1]))
            else:
                panel = getattr(parameter, "rich_help_panel", None) or OTHER_OPTIONS
                panels.setdefault(str(panel), []).append(record)
        last = panels.pop(OTHER_OPTIONS, [])
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)
        if last:
            with formatter.section("Other options" if panels else "Options"):
                formatter.write_dl(last)


class Command(_Help, TyperCommand):
    """One command."""


class Group(_Help, TyperGroup):
    """A command with sub-commands; without one, its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help, as wrong usage, where no word follows."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit(int(ExitCode.USAGE))
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, then the sub-commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; leave suggestions to the one place that words errors."""
        self.suggest_commands = False
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """``mirnet`` itself: knows its commands by name and imports one when it is called."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the name of a shell after the options for completion; Typer's take none."""
        name, equals, shell = args[0].partition("=") if args else ("", "", "")
        if name in COMPLETION and (equals or args[1:]):
            _complete_in(name, shell if equals else args[1])
            ctx.exit()
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = load_command(cmd_name)
        return self.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands' one-line helps without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


COMPLETION = ("--install-completion", "--show-completion")
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def _complete_in(option: str, shell: str) -> None:
    """Install or show the completion of a shell, whichever this command was called from."""
    if shell not in SHELLS:
        raise UsageError(f"{shell!r} is not one of {', '.join(SHELLS)}", subject=option)
    completion: Any = import_module("typer.completion")
    completion.completion_init()
    if option == "--install-completion":
        _, path = completion.install(shell=shell, prog_name="mirnet")
        typer.echo(f"completion for {shell} is in {path}; it works in the next shell")
    else:
        typer.echo(
            completion.get_completion_script(
                prog_name="mirnet", complete_var="_MIRNET_COMPLETE", shell=shell
            )
        )


def load_command(name: str) -> Any:
    """Import the command ``name`` of :data:`COMMANDS` and return what Typer runs."""
    module = import_module(f"mirnet_cli.cli.{name}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        epilog = getattr(module, "EPILOG", None)
        kind = getattr(module, "KIND", Command)
        app.command(name, cls=kind, epilog=epilog)(module.command)
    loaded = typer.main.get_command(app)
    loaded.name = name
    loaded.short_help = COMMANDS[name]
    return loaded


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"mirnet {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Make photos better: less noise, more light, more resolution.

    Works offline, on photos of any size; originals are never touched.
    """


def build() -> Any:
    """Return the whole command line as one object with Click's ``main``."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(cls=LazyGroup, epilog="mirnet COMMAND --help says more about a command.")(_root)
    command: Any = typer.main.get_command(app)
    for parameter in command.params:
        if {*parameter.opts} & {*COMPLETION}:
            what = parameter.opts[0].partition("-completion")[0].lstrip("-").capitalize()
            shells = ", ".join(SHELLS)
            parameter.help = f"{what} completion for this shell, or the one named ({shells})."
    return command
