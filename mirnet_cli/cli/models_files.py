"""``mirnet models convert``: weights from other formats."""

from pathlib import Path
from typing import Annotated

import typer

from mirnet_cli.cli import values
from mirnet_cli.cli.options import option
from mirnet_cli.errors import ExitCode, UsageError
from mirnet_cli.models.catalogue import TASKS

Task = Annotated[
    str | None,
    option(
        "--task",
        metavar="|".join(TASKS),
        help="What the weights are for, where the file does not say it.",
    ),
]
Scale = Annotated[
    int | None,
    option(
        "--scale",
        metavar="1|2|3|4",
        parser=values.scale,
        help="By how much they enlarge, where the file does not say it.",
    ),
]
Json = Annotated[bool, option("--json", help="One JSON object a line on stdout.")]
Overwrite = Annotated[bool, option("--overwrite", envvar=None, help="Replace a file that exists.")]


def checked_task(task: str | None) -> str | None:
    """The task, if it is one (UsageError)."""
    if task is not None and task not in TASKS:
        raise UsageError(f"{task!r} is no task", f"use {', '.join(TASKS)}", subject="--task")
    return task


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A .pth, .pt or .safetensors file.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="A .safetensors file.")],
    task: Task = None,
    scale: Scale = None,
    name: Annotated[
        str | None,
        option("--name", metavar="NAME", envvar=None, help="Of the model. [default: as OUT]"),
    ] = None,
    licence: Annotated[
        str | None,
        option("--licence", metavar="SPDX", envvar=None, help="Of the weights. [default: unknown]"),
    ] = None,
    half: Annotated[
        bool,
        option("--half", envvar=None, help="Keep float16: half the size, about 3 digits."),
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Turn the authors' files, and others' of the same networks, into mirnet's own.

    Takes what --weights takes: MIRNet, MIRNet-v2 and the community's MIRNet, as PyTorch
    checkpoints or as safetensors. Every tensor is accounted for; nothing in a file is ever run.
    """
    from mirnet_cli.cli.console import Console
    from mirnet_cli.models.convert import convert as run
    from mirnet_cli.networks import FAMILIES

    console = Console(json=json)
    made = run(
        Path(source).expanduser(),
        Path(target).expanduser(),
        task=checked_task(task),
        scale=scale,
        name=name,
        licence=licence,
        half=half,
        overwrite=overwrite,
    )
    family = FAMILIES[made.network.family].title
    purpose = made.task + ("" if made.scales == (1,) else f" x{made.scales[0]}")
    console.note(f"{made.path}: {family} for {purpose}, sha256 {made.sha256}")
    console.record(
        {
            "name": made.name,
            "task": made.task,
            "scales": list(made.scales),
            "family": made.network.family,
            "config": dict(made.network.config),
            "licence": made.licence,
            "path": str(made.path),
            "sha256": made.sha256,
            "converted_from": made.training.get("converted"),
        }
    )
    return ExitCode.OK
