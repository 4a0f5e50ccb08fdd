"""``mirnet doctor``: whether everything works here, and what to do where it does not."""

import json as _json
from dataclasses import asdict
from typing import Annotated

import typer

from mirnet_cli.cli.options import option
from mirnet_cli.errors import ExitCode
from mirnet_cli.files import printable

EPILOG = "Exit code 0 where all is well, 1 where something is not, 3 where weights are not intact."

_MARKS = {"ok": "ok", "info": "-", "problem": "PROBLEM", "broken": "PROBLEM"}


def command(
    json: Annotated[bool, option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Check versions, devices, precisions, memory, cache and weights, and say what to do."""
    from mirnet_cli._version import __version__
    from mirnet_cli.measure.health import Check, checks

    found: list[Check] = []
    section = ""
    for check in checks():
        found.append(check)
        if json:
            continue
        if check.section != section:
            section = check.section
            typer.echo(f"{section[:1].upper()}{section[1:]}")
        typer.echo(printable(f"  {_MARKS[check.state]:8}{check.name:18}{check.value}"))
        if check.remedy:
            typer.echo(printable(f"  {'':8}{'':18}to do: {check.remedy}"))
    bad = [check for check in found if check.bad]
    broken = any(check.state == "broken" for check in found)
    if json:
        checked = [asdict(check) for check in found]
        typer.echo(_json.dumps({"mirnet": __version__, "problems": len(bad), "checks": checked}))
    else:
        count = "no problem" if not bad else f"{len(bad)} problem{'s' if len(bad) > 1 else ''}"
        typer.echo(f"{count} found")
    if broken:
        return ExitCode.MODEL
    return ExitCode.FAILED if bad else ExitCode.OK
