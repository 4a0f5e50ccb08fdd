"""``mirnet evaluate``: pairs of pictures to PSNR and SSIM."""

import math
import shlex
import sys
import warnings as python_warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirnet_cli import values
from mirnet_cli.cli.console import Console
from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import (
    WEIGHTS,
    Task,
    Words,
    flat,
    option,
    same,
    scale_option,
    task_option,
)
from mirnet_cli.cli.table import LEFT, RIGHT, lines
from mirnet_cli.errors import ExitCode, UsageError
from mirnet_cli.photo.options import MAX_PIXELS, ReadOptions
from mirnet_cli.restore.options import StepOptions
from mirnet_cli.restore.steps import ChainOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirnet_cli.measure.evaluate import Row, Scores, Summary
    from mirnet_cli.restore import Restorer

MEASURE = "How it is measured"


@dataclass(frozen=True)
class Pairs:
    """What is compared."""

    input_dir: Annotated[
        Path, typer.Argument(metavar="INPUT_DIR", help="Folder of input pictures.")
    ]
    target_dir: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET_DIR",
            help="Folder of target pictures: same names, any extension.",
        ),
    ]
    task: Annotated[
        Task | None,
        task_option("Restore the inputs first. [default: measure them as they are]", WEIGHTS),
    ] = None
    scale: Annotated[
        int | None,
        scale_option(
            "How many times larger the targets are. [default: 2 with upscale, else 1]",
            WEIGHTS,
        ),
    ] = None


@dataclass(frozen=True)
class Measure:
    """How it is measured."""

    baseline: Annotated[
        bool,
        option(
            "--baseline",
            panel=MEASURE,
            help="Also measure the untouched inputs (with a scale: bicubic enlargement).",
        ),
    ] = False
    border: Annotated[
        int,
        option(
            "--border",
            metavar="N",
            panel=MEASURE,
            parser=values.overlap,
            help="Ignore this many pixels on each side of the target. [default: 0]",
        ),
    ] = 0
    luma: Annotated[
        bool,
        option(
            "--luma",
            panel=MEASURE,
            help="Measure luma (BT.601) instead of RGB, as papers on super-resolution do.",
        ),
    ] = False
    max_pixels: Annotated[int, same(ReadOptions, "max_pixels", panel=MEASURE)] = MAX_PIXELS


@flat
def command(
    pairs: Pairs,
    step: StepOptions,
    loading: ChainOptions,
    measure: Measure,
    words: Words,
) -> int:
    """Measure PSNR and SSIM over pairs of pictures.

    Pairs have the same name in both folders; extensions may differ. Without --task, --model or
    --weights the inputs are measured as they are.
    """
    from mirnet_cli.cli.photos import describe
    from mirnet_cli.measure import metrics
    from mirnet_cli.measure.evaluate import evaluate, summarise
    from mirnet_cli.measure.pairs import find_pairs

    console = Console(json=words.json, quiet=words.quiet, verbose=words.verbose)
    found, warnings = find_pairs(pairs.input_dir, pairs.target_dir)
    restorer = _restorer(replace(loading, task=pairs.task, scale=pairs.scale), console)
    if restorer is None and step.given():
        raise UsageError(
            "--strength and --ensemble (or MIRNET_STRENGTH, MIRNET_ENSEMBLE) need a restoration",
            "give --task, --model or --weights too, or leave them out",
        )
    factor = restorer.scale if restorer is not None else pairs.scale or 1
    for warning in warnings:
        console.warn(str(pairs.target_dir), warning)
    restore = None
    if restorer is not None:
        console.detail(describe(restorer))
    table = _Table([pair.name for pair in found], measure.baseline, console)
    rows: list[Row] = []
    with console.display(files=len(found)) as display:
        if restorer is not None:

            def restore(pixels: Any, profile: bytes | None) -> Any:
                made, said = restorer.array(pixels, step, profile=profile, progress=display.tiles)
                for text in said:
                    python_warnings.warn(text, stacklevel=1)
                return made

        results = evaluate(found, restore, scale=factor, **asdict(measure))
        for pair in found:
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
    summary = summarise(rows)
    luma = measure.luma
    console.record(
        {
            "type": "summary",
            **summary.as_dict(),
            **_circumstances(restorer),
            "scale": factor,
            "border": measure.border,
            "luma": luma,
            **asdict(step),
            "command": shlex.join(["mirnet", *sys.argv[1:]]),
            "psnr_implementation": metrics.psnr_name(luma),
            "ssim_implementation": metrics.ssim_name(luma),
        }
    )
    table.end(summary)
    if not words.json:
        typer.echo(f"PSNR in dB ({metrics.psnr_name(luma)}); SSIM ({metrics.ssim_name(luma)})")
        if measure.border:
            typer.echo(f"without {measure.border} pixels on each side")
    return ExitCode.FAILED if summary.failed else ExitCode.OK


def _restorer(loading: ChainOptions, console: Console) -> "Restorer | None":
    """What restores the inputs; None to measure them as they are."""
    if loading.task is None and loading.model is None and loading.weights is None:
        return None
    from mirnet_cli.cli.photos import load_restorer

    return load_restorer(loading, console)


def _circumstances(restorer: "Restorer | None") -> dict[str, Any]:
    """What computed the results, so that they can be had again."""
    return {
        "task": restorer and restorer.task,
        "model": restorer and restorer.model,
        "sha256": restorer and restorer.sha256,
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
