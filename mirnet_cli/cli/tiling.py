"""``mirnet doctor --tiling``: tiles against the whole, for a photo and a model of the user's."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mirnet_cli.cli.console import Console
from mirnet_cli.cli.table import LEFT, RIGHT, lines
from mirnet_cli.errors import ExitCode, OutputError, UsageError
from mirnet_cli.photo.options import ReadOptions
from mirnet_cli.restore.options import LoadOptions, StepOptions

if TYPE_CHECKING:
    from mirnet_cli.measure.tiling import Tiling
    from mirnet_cli.restore import Restorer
    from mirnet_cli.restore.tiles import TilePlan

SIDES = (256, 512)
"""Tiles that are compared unless ``--tile`` names one."""

_HEADER = ("TILE", "TILES", "CONTEXT", "PSNR", "LARGEST", "STEP", "BESIDE", "")
_ALIGN = (RIGHT, RIGHT, LEFT, RIGHT, RIGHT, RIGHT, RIGHT, LEFT)


def check(
    photo: Path,
    loading: LoadOptions,
    options: ReadOptions,
    *,
    output: Path | None,
    overwrite: bool,
    json: bool,
) -> int:
    """Restore the photo whole and in tiles, compare, and write pictures of the difference.

    Args:
        photo: the file.
        loading: task, model, device, tile, context ... as of the photo commands.
        options: which part of it.
        output: a folder for the pictures of the difference, made if need be, or the one picture's
            own name (.png); None is beside the photo.
        overwrite: they may replace files.
        json: print one object instead of a table.

    Returns:
        The exit code: 1 where tiles are not equal to the whole.
    """
    from mirnet_cli.cli.photos import describe, load_restorer
    from mirnet_cli.files import (
        exists,
        is_folder,
        make_folder,
        not_written,
        printable,
        write_atomically,
    )
    from mirnet_cli.measure import tiling
    from mirnet_cli.restore import photos

    console = Console(json=json, quiet=False, verbose=False)
    sides = SIDES if loading.tile in ("auto", 0) else (int(loading.tile),)
    one = output is not None and output.suffix.lower() == ".png" and not is_folder(output)
    if one and len(sides) > 1:
        what = f"is one picture, but tiles of {' and '.join(map(str, sides))} are compared"
        raise UsageError(what, "name a folder, or choose one size with --tile", subject=output)
    found = photos.read(photo, options)
    pixels = tiling.as_floats(found.pixels)
    height, width = pixels.shape[:2]
    loaded = [load_restorer(replace(loading, tile=side)) for side in sides]
    plans = [restorer.tiles(width, height) for restorer in loaded]
    for side, plan in zip(sides, plans, strict=True):
        if plan.whole:
            what = f"one tile of {side} holds all its {width}x{height} pixels"
            raise UsageError(what, "give a larger photo or a smaller --tile", subject=photo)
    targets = [output if one and output else _target(photo, output, plan) for plan in plans]
    for target in targets:
        if exists(target) and not overwrite:
            raise OutputError("exists already", "use --overwrite to replace it", subject=target)
        try:
            make_folder(target.parent)
        except OSError as error:
            raise not_written(target, error) from error
    results: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    with console.display(files=1 + len(sides)) as display:

        def restored(restorer: "Restorer", what: str) -> Any:
            display.start(f"{photo} {what}")
            result, said = restorer.array(pixels, StepOptions(), progress=display.tiles)
            display.finish()
            for text in said:
                console.warn(f"{photo} {what}", text)
            return result

        whole_in = load_restorer(replace(loading, tile=0), console)
        whole = restored(whole_in, "in one piece")
        for side, restorer, plan, target in zip(sides, loaded, plans, targets, strict=True):
            tiled = restored(restorer, f"in tiles of {side}")
            measured = tiling.compare(whole, tiled, plan)
            write_atomically(target, tiling.amplified(whole, tiled), overwrite=overwrite)
            rows.append(_row(measured, restorer.context))
            results.append(
                {
                    **asdict(measured),
                    "psnr": tiling.decibels(measured.psnr),
                    "context": restorer.context,
                    "overlap": plan.overlap,
                    "equal": measured.equal,
                    "difference": str(target),
                }
            )
    console.record(
        {
            "input": str(photo),
            "width": width,
            "height": height,
            "task": loading.task,
            "scale": whole_in.scale,
            "model": whole_in.weights.name,
            "sha256": whole_in.weights.sha256,
            "runtime": whole_in.runtime,
            "device": whole_in.device,
            "precision": whole_in.precision,
            "amplified": tiling.AMPLIFIED,
            "tilings": results,
        }
    )
    if not json:
        typer.echo(f"{describe(whole_in)}; {width}x{height} pixels, tiles against the whole")
        for line in lines(_HEADER, rows, _ALIGN):
            typer.echo(line)
        typer.echo(
            "PSNR in dB; LARGEST difference, STEP at the worst border and BESIDE it in 1/255"
        )
        for target in targets:
            typer.echo(printable(f"difference, {tiling.AMPLIFIED} times as large: {target}"))
    return ExitCode.OK if all(each["equal"] for each in results) else ExitCode.FAILED


def _target(photo: Path, folder: Path | None, plan: "TilePlan") -> Path:
    """Named by the tiles that are used, which may be smaller than what was asked for."""
    height, width = plan.tile_shape
    size = str(height) if height == width else f"{width}x{height}"
    return (folder or photo.parent) / f"{photo.stem}-tiling-{size}.png"


def _row(measured: "Tiling", context: str) -> list[str]:
    return [
        str(measured.tile),
        str(measured.tiles),
        context,
        f"{measured.psnr:.1f}",
        f"{measured.largest:.2f}",
        f"{measured.step:.3f}",
        f"{measured.nearby:.3f}",
        "equal" if measured.equal else "DIFFERS",
    ]
