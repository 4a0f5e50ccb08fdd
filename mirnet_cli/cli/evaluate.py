"""``mirnet evaluate``: pairs of pictures to PSNR and SSIM."""

import dataclasses
import math
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirnet_cli.cli import values
from mirnet_cli.cli.console import Console
from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import HOW, WEIGHTS, Computing, Task, Words, flat, option
from mirnet_cli.cli.table import LEFT, RIGHT, lines
from mirnet_cli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirnet_cli.measure.evaluate import Row, Scores, Summary
    from mirnet_cli.restore import Restorer

MEASURE = "How it is measured"


@flat
def command(
    input_dir: Annotated[
        Path, typer.Argument(metavar="INPUT_DIR", help="A folder of pictures to start from.")
    ],
    target_dir: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET_DIR",
            help="A folder of what they should become: the same names, any extension.",
        ),
    ],
    computing: Computing,
    words: Words,
    task: Annotated[
        Task | None,
        option(
            "--task",
            metavar="enhance|denoise|upscale",
            panel=WEIGHTS,
            help="Restore the inputs first. [default: measure them as they are]",
        ),
    ] = None,
    scale: Annotated[
        int | None,
        option(
            "--scale",
            metavar="1|2|3|4",
            panel=WEIGHTS,
            parser=values.scale,
            help="Sides of the targets over sides of the inputs. [default: 2 with upscale, else 1]",
        ),
    ] = None,
    strength: Annotated[
        float,
        option(
            "--strength",
            metavar="0..1",
            panel=HOW,
            parser=values.strength,
            help="Blend with the original. [default: 1]",
        ),
    ] = 1.0,
    ensemble: Annotated[
        bool, option("--ensemble", panel=HOW, help="Average over the eight flips and rotations.")
    ] = False,
    baseline: Annotated[
        bool,
        option(
            "--baseline",
            panel=MEASURE,
            help="Measure doing nothing beside it (with a scale: bicubic enlargement).",
        ),
    ] = False,
    border: Annotated[
        int,
        option(
            "--border",
            metavar="N",
            panel=MEASURE,
            parser=values.overlap,
            help="Leave out so many pixels on each side of the target. [default: 0]",
        ),
    ] = 0,
    luma: Annotated[
        bool,
        option(
            "--luma",
            panel=MEASURE,
            help="Measure luma (BT.601) in place of RGB, as papers on super-resolution do.",
        ),
    ] = False,
    max_pixels: Annotated[
        int,
        option(
            "--max-pixels",
            metavar="N",
            panel=MEASURE,
            parser=values.pixels,
            help="Refuse larger pictures before decoding them. [default: 500M]",
        ),
    ] = 500_000_000,
) -> int:
    """Measure PSNR and SSIM over pairs of pictures.

    Pairs have the same name in both folders; extensions may differ. Without --task, --model or
    --weights the inputs are measured as they are.
    """
    from mirnet_cli.cli.photos import describe
    from mirnet_cli.measure import evaluate as measure
    from mirnet_cli.measure import metrics
    from mirnet_cli.measure.pairs import find_pairs

    console = Console(json=words.json, quiet=words.quiet, verbose=words.verbose)
    pairs, warnings = find_pairs(input_dir, target_dir)
    restorer = _restorer(task, scale, computing, console)
    if restorer is None and (ensemble or strength != 1):
        raise UsageError(
            "--strength and --ensemble (or MIRNET_STRENGTH, MIRNET_ENSEMBLE) are for results",
            "give --task, --model or --weights too, or leave them out",
        )
    factor = restorer.scale if restorer is not None else scale or 1
    for warning in warnings:
        console.warn(str(target_dir), warning)
    restore = None
    if restorer is not None:
        console.detail(describe(restorer))
    table = _Table([pair.name for pair in pairs], baseline, console)
    rows: list[Row] = []
    with console.display(files=len(pairs)) as display:
        if restorer is not None:

            def restore(pixels: Any, profile: bytes | None) -> Any:
                return restorer(
                    pixels,
                    strength=strength,
                    ensemble=ensemble,
                    profile=profile,
                    progress=display.tiles,
                )

        results = measure.evaluate(
            pairs,
            restore,
            scale=factor,
            baseline=baseline,
            border=border,
            luma=luma,
            max_pixels=max_pixels,
        )
        for pair in pairs:
            display.start(pair.name)
            row = next(results)
            rows.append(row)
            display.finish()
            for warning in row.warnings:
                console.warn(str(pair.input), warning)
            if row.error:
                console.error(row.error)
            console.record({"type": "pair", **row.as_dict()})
            table.row(row)
    summary = measure.summarise(rows)
    console.record(
        {
            "type": "summary",
            **summary.as_dict(),
            **_circumstances(restorer),
            "scale": factor,
            "border": border,
            "luma": luma,
            "strength": strength,
            "ensemble": ensemble,
            "command": shlex.join(["mirnet", *sys.argv[1:]]),
            "psnr_implementation": metrics.psnr_name(luma),
            "ssim_implementation": metrics.ssim_name(luma),
        }
    )
    table.end(summary)
    if not words.json:
        typer.echo(f"PSNR in dB ({metrics.psnr_name(luma)}); SSIM ({metrics.ssim_name(luma)})")
        if border:
            typer.echo(f"without {border} pixels on each side")
    return ExitCode.FAILED if summary.failed else ExitCode.OK


def _restorer(
    task: str | None, scale: int | None, computing: Computing, console: Console
) -> "Restorer | None":
    """What restores the inputs; None to measure them as they are."""
    named = computing.model or computing.weights
    if task is None and named is None:
        return None
    from mirnet_cli.cli.models_files import fetch_first
    from mirnet_cli.cli.photos import load_restorer

    if task is not None:
        return load_restorer(task, computing, scale=scale, console=console)
    fetch_first(computing.model, computing.weights, console, task=None, scale=scale)
    # Without a task, the model or the file says what it is for.
    alone = dataclasses.replace(computing, model=None, weights=None)
    return load_restorer(computing.model or _as_path(computing.weights or ""), alone, scale=scale)


def _as_path(weights: str) -> str:
    """A file's name so that it is not taken for a model's."""
    return weights if "/" in weights or os.sep in weights else f".{os.sep}{weights}"


def _circumstances(restorer: "Restorer | None") -> dict[str, Any]:
    """What computed the results, so that they can be had again."""
    return {
        "task": restorer and restorer.task,
        "model": restorer and restorer.weights.name,
        "sha256": restorer and restorer.weights.sha256,
        "runtime": restorer and restorer.runtime,
        "device": restorer and restorer.device,
        "precision": restorer and restorer.precision,
    }


class _Table:
    """Rows on stdout as they come, and their means below."""

    def __init__(self, names: "Sequence[str]", baseline: bool, console: Console) -> None:
        self._console = console
        self._baseline = baseline
        self._header = ["NAME", "PSNR", "SSIM"]
        if baseline:
            self._header += ["NOTHING", "SSIM", "GAIN"]
        self._align = [LEFT] + [RIGHT] * (len(self._header) - 1)
        # The widest cell of each column is known before the first row is.
        widest = max([*names, f"mean of {len(names)}"], key=len)
        self._widest = [widest, *["-99.99"] * (len(self._header) - 1)]
        self._print(self._header)

    def row(self, row: "Row") -> None:
        """Print one pair's figures."""
        cells = _cells(row.scores, "failed")
        if self._baseline:
            cells += _cells(row.baseline, "-")
            gain = None
            if row.scores is not None and row.baseline is not None:
                gain = row.scores.psnr - row.baseline.psnr
            cells.append(_signed(gain))
        self._print([row.pair.name, *cells])

    def end(self, summary: "Summary") -> None:
        """Print the means, and what they leave out."""
        cells = [_number(summary.psnr, 2), _number(summary.ssim, 4)]
        if self._baseline:
            cells += [_number(summary.baseline_psnr, 2), _number(summary.baseline_ssim, 4)]
            cells.append(_signed(summary.gain))
        done = summary.pairs - summary.failed
        self._print([f"mean of {done}", *cells])
        notes = [f"{summary.failed} of {summary.pairs} pairs failed"] if summary.failed else []
        if summary.identical:
            equal = f"{summary.identical} equal to their target"
            notes.append(f"{equal}, left out of the mean PSNR")
        if summary.worse:
            notes.append(f"{summary.worse} worse than doing nothing")
        if notes and not self._console.json:
            self._console.data("; ".join(notes))

    def _print(self, cells: "Sequence[str]") -> None:
        if not self._console.json:
            self._console.data(lines(self._header, [cells, self._widest], self._align)[1])


def _cells(scores: "Scores | None", without: str) -> list[str]:
    if scores is None:
        return [without, "-"]
    return [_number(scores.psnr, 2), _number(scores.ssim, 4)]


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return "equal" if math.isinf(value) else f"{value:.{digits}f}"


def _signed(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:+.2f}"
