"""``mirnet bench``: how fast it is here."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirnet_cli import extras
from mirnet_cli.cli.console import Console
from mirnet_cli.cli.options import WEIGHTS, Task, flat, option, scale_option, task_option
from mirnet_cli.cli.table import memory
from mirnet_cli.errors import ExitCode, OutputError, UsageError
from mirnet_cli.restore.options import LoadOptions

if TYPE_CHECKING:
    from mirnet_cli.measure.bench import Row

EPILOG = "Each figure is measured in a process of its own. Close other programs first."

MEASURE = "What is measured"
_HEADER = (
    *("WHAT", "MP", "RUNTIME", "PRECISION", "TILE", "CONTEXT"),
    *("COLD s", "WARM s", "MP/s", "MEMORY", "OF PEAK", "RATIO"),
)


@dataclass(frozen=True)
class Measure:
    """What is measured."""

    photo: Annotated[
        Path | None,
        typer.Argument(metavar="PHOTO", help="A photo of your own. [default: generated photos]"),
    ] = None
    task: Annotated[Task, task_option("The task to measure. [default: denoise]", WEIGHTS)] = (
        "denoise"
    )
    scale: Annotated[int | None, scale_option("Of upscale.", WEIGHTS)] = None
    megapixels: Annotated[
        Any,
        option(
            "--megapixels",
            metavar="N,N…",
            panel=MEASURE,
            help="Sizes of the generated photos. [default: 0.26,2]",
        ),
    ] = "0.26,2"
    repeat: Annotated[
        int,
        option(
            "--repeat", metavar="N", panel=MEASURE, min=1, max=100, help="Warm runs. [default: 2]"
        ),
    ] = 2
    compare: Annotated[
        bool,
        option(
            "--compare",
            panel=MEASURE,
            help="Also measure OpenCV's non-local means and plain float32 torch on the same photo.",
        ),
    ] = False


@flat
def command(
    loading: LoadOptions,
    wanted: Measure,
    json: Annotated[bool, option("--json", help="One JSON object per line on stdout.")] = False,
) -> int:
    """Measure seconds, megapixels a second, peak memory and share of the machine's peak.

    COLD is the first run (of the network: with compiling it), WARM the best of the others. OF PEAK
    compares the network's operations with those of a large matrix product, measured in the same
    run. RATIO is how many times as long the others take: torch against mirnet's network, OpenCV
    against the whole command.
    """
    from mirnet_cli.cli.models_files import fetch_first
    from mirnet_cli.measure import bench

    console = Console(json=json, quiet=False, verbose=False)
    if wanted.compare and not extras.installed("torch"):
        console.note(f"mirnet: without torch only OpenCV is compared; {extras.remedy('torch')}")
    # Not within what is timed.
    loading = replace(loading, task=wanted.task, scale=wanted.scale)
    fetch_first(loading, console)
    _check_temporary()
    settings = bench.Settings(loading, wanted.repeat, wanted.compare)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = (
            [wanted.photo]
            if wanted.photo is not None
            else [bench.synthetic(size, Path(folder)) for size in _sizes(str(wanted.megapixels))]
        )
        with console.display(files=len(photos)) as display:
            for each in photos:
                display.start(each.name)
                for row in bench.measure(each, settings):
                    console.record(row.as_dict())
                    rows.append(row)
                display.finish()
    if not json:
        _show(wanted.task, rows)
    return ExitCode.OK


def _check_temporary() -> None:
    try:
        tempfile.gettempdir()
    except OSError as error:
        what = "there is no writable folder for temporary files"
        raise OutputError(what, "set TMPDIR to one") from error


def _sizes(text: str) -> list[float]:
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or not all(0.01 <= size <= 500 for size in sizes):
        raise UsageError(f"--megapixels {text}", "write numbers from 0.01 to 500, like 1,12")
    return sizes


def _show(task: str, rows: "list[Row]") -> None:
    from rich import box
    from rich.console import Console as Rich
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=f"mirnet {task}", title_justify="left")
    for name in _HEADER:
        text = name in ("WHAT", "RUNTIME", "PRECISION", "CONTEXT")
        table.add_column(name, justify="left" if text else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in _cells(row)))
    # As wide as it needs where nobody's terminal sets a width.
    Rich(width=None if Rich().is_terminal else 160).print(table)


def _cells(row: "Row") -> list[str]:
    return [
        row.what,
        f"{row.megapixels:.2f}",
        row.runtime,
        row.precision,
        "-" if not row.tile else str(row.tile),
        row.context or "-",
        f"{row.cold:.2f}",
        f"{row.seconds:.2f}",
        f"{row.pace:.2f}",
        "-" if row.memory is None else memory(row.memory),
        "-" if row.share is None else f"{row.share:.0%}",
        "-" if row.ratio is None else f"{row.ratio:.1f} x",
    ]
