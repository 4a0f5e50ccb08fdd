"""``mirnet train``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import option

DATA = "Data"
RUN = "The run"


def command(
    task: Annotated[
        Literal["denoise", "enhance", "upscale"],
        typer.Argument(metavar="TASK", help="denoise, enhance or upscale.", show_default=False),
    ],
    data: Annotated[
        list[Path] | None,
        option(
            "--data",
            metavar="DIR",
            panel=DATA,
            help="A folder of good photos, made worse while training; may be repeated.",
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        option(
            "--pairs",
            metavar="DIR",
            panel=DATA,
            help="A folder with input/ and target/, photos of the same names in both.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", metavar="DIR", panel=RUN, help="For weights, checkpoints and curves."),
    ] = None,
    start: Annotated[
        str | None,
        option(
            "--from",
            metavar="MODEL|FILE",
            panel=RUN,
            help="Start from these weights (fine-tuning).",
        ),
    ] = None,
    hours: Annotated[
        float | None, option("--hours", metavar="N", min=0.0, panel=RUN, help="Stop after these.")
    ] = None,
    steps: Annotated[
        int | None, option("--steps", metavar="N", min=1, panel=RUN, help="Stop after these.")
    ] = None,
    seed: Annotated[
        int | None, option("--seed", metavar="N", min=0, panel=RUN, help="Of everything random.")
    ] = None,
    resume: Annotated[
        bool, option("--resume", panel=RUN, help="Go on exactly where --out was stopped.")
    ] = False,
    threads: Annotated[
        int | None, option("--threads", metavar="N", min=1, panel=RUN, help="Processor cores.")
    ] = None,
    config: Annotated[
        Path | None,
        option("--config", metavar="FILE", panel=RUN, help="A recipe as TOML, to change it."),
    ] = None,
    verbose: Annotated[bool, option("-v", "--verbose", help="Show tracebacks of bugs.")] = False,
) -> int:
    """Train weights with the recipe that made those that ship, or fine-tune on your own pairs."""
    from mirnet_cli import training

    code = training.run(
        task,
        data=data or [],
        pairs=pairs,
        out=out,
        start=start,
        hours=hours,
        steps=steps,
        seed=seed,
        resume=resume,
        threads=threads,
        config=config,
    )
    return int(code or 0)
