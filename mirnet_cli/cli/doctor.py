"""``mirnet doctor``: whether everything works here, and what to do where it does not."""

import json as _json
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mirnet_cli.cli.app import Command
from mirnet_cli.cli.options import Task, flat, option, same, scale_option, task_option
from mirnet_cli.errors import ExitCode, UsageError
from mirnet_cli.files import printable
from mirnet_cli.photo.options import ReadOptions, WriteOptions
from mirnet_cli.restore.options import LoadOptions

EPILOG = (
    "Exit code: 0 if all is well, 1 if not (with --tiling: if tiles differ), 3 if weights are not "
    "intact. With --tiling, environment variables set options as they do for photos, such as "
    "MIRNET_DEVICE."
)

_MARKS = {"ok": "ok", "info": "-", "problem": "PROBLEM", "broken": "PROBLEM"}
_NAMES = 21
"""Letters of the longest name of a check, and two spaces."""


TILING = "Tiles against the whole"


class Doctor(Command):
    """The command, whose variables count with ``--tiling`` alone.

    The checks take no such option, and have to run where a variable has a wrong value.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note what is asked for, and refuse what the checks would leave out of account."""
        ctx.meta[TILING] = any(word.partition("=")[0] == "--tiling" for word in args)
        rest = super().parse_args(ctx, args)
        for parameter in [] if ctx.meta[TILING] else self.get_params(ctx):
            source = ctx.get_parameter_source(parameter.name)
            if parameter.name != "json" and getattr(source, "name", "") == "COMMANDLINE":
                raise UsageError(
                    "only works with --tiling; the checks look at all devices and weights",
                    "leave it out, or add --tiling PHOTO",
                    subject=max(parameter.opts, key=len),
                )
        return rest

    def get_params(self, ctx: Any) -> list[Any]:
        """The options, as they are set now."""
        found = [copy(parameter) for parameter in super().get_params(ctx)]
        for parameter in found:
            if parameter.name != "json" and not ctx.meta.get(TILING):
                parameter.envvar = None
        return found


KIND = Doctor


@dataclass(frozen=True)
class Tiling:
    """What is compared with ``--tiling``."""

    tiling: Annotated[
        Path | None,
        option(
            "--tiling",
            metavar="PHOTO",
            panel=TILING,
            envvar=None,  # it chooses what is done
            help="Restore this photo in one piece and in tiles (of 256 and 512, or of --tile), "
            "measure what differs, and write a picture of it.",
        ),
    ] = None
    task: Annotated[Task, task_option("[default: denoise]", TILING)] = "denoise"
    scale: Annotated[int | None, scale_option("Of upscale.", TILING)] = None
    crop: Annotated[
        Any,
        same(
            ReadOptions,
            "crop",
            panel=TILING,
            help="Only this part, if the whole needs too much memory.",
        ),
    ] = None
    output: Annotated[
        Path | None,
        option(
            *("-o", "--output"),
            metavar="PATH",
            panel=TILING,
            help="A folder for the pictures (PHOTO-tiling-256.png …, by tile size), or the name of "
            "the only one. [default: beside the photo]",
        ),
    ] = None
    overwrite: Annotated[bool, same(WriteOptions, "overwrite", panel=TILING)] = False


@flat
def command(
    loading: LoadOptions,
    wanted: Tiling,
    json: Annotated[bool, option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Check versions, devices, precisions, memory, cache and weights; say how to fix problems.

    With --tiling: measure whether your photo comes out the same in tiles as in one piece.
    """
    if wanted.tiling is not None:
        from mirnet_cli.cli.tiling import check as check_tiling

        loading = replace(loading, task=wanted.task, scale=wanted.scale)
        return check_tiling(
            wanted.tiling,
            loading,
            ReadOptions(crop=wanted.crop),
            output=wanted.output,
            overwrite=wanted.overwrite,
            json=json,
        )
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
        typer.echo(printable(f"  {_MARKS[check.state]:8}{check.name:{_NAMES}}{check.value}"))
        if check.remedy:
            what = "to do" if check.bad else "if wanted"
            typer.echo(printable(f"  {'':8}{'':{_NAMES}}{what}: {check.remedy}"))
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
