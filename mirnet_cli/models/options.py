"""What can be asked for when weights are converted."""

from dataclasses import dataclass
from typing import Annotated

from mirnet_cli import values
from mirnet_cli.models.catalogue import TASKS
from mirnet_cli.options import Options, Setting


def known_task(text: str) -> str:
    """One of the tasks that weights are for."""
    if text not in TASKS:
        raise ValueError(f"{text!r} is no task; use {', '.join(TASKS)}")
    return text


@dataclass(frozen=True)
class ConvertOptions(Options):
    """What is said of weights beside what their file says, and how they are written."""

    task: Annotated[
        str | None,
        Setting(
            "What the weights are for, where the file does not say it.",
            metavar="|".join(TASKS),
            parse=known_task,
        ),
    ] = None
    scale: Annotated[
        int | None,
        Setting(
            "By how much they enlarge, where the file does not say it.",
            metavar="1|2|3|4",
            parse=values.scale,
        ),
    ] = None
    name: Annotated[str | None, Setting("Name of the model. [default: as OUT]", metavar="NAME")] = (
        None
    )
    licence: Annotated[
        str | None, Setting("Licence of the weights. [default: unknown]", metavar="SPDX")
    ] = None
    half: Annotated[bool, Setting("Keep float16: half the size, about 3 digits.")] = False
    overwrite: Annotated[bool, Setting("Replace a file that exists.", variable=False)] = False
