"""``mirnet batch --dry-run``: what would be done, and about what it takes."""

import time
from typing import TYPE_CHECKING

import typer

from mirnet_cli.batches.journal import Choice, Decision
from mirnet_cli.batches.run import decide
from mirnet_cli.batches.work import check_input, told
from mirnet_cli.cli.tally import clock
from mirnet_cli.errors import ExitCode, MirnetError
from mirnet_cli.files import printable, reason

if TYPE_CHECKING:
    from mirnet_cli.batches.journal import Journal
    from mirnet_cli.batches.plan import Item, Plan
    from mirnet_cli.batches.work import Settings
    from mirnet_cli.cli.console import Console
    from mirnet_cli.restore import Restorer
    from mirnet_cli.restore.sizing import Forecast

_STATUS = {Choice.RUN: "planned", Choice.SKIP: "skipped", Choice.FAIL: "failed"}
_SAMPLE = 256
"""Side in pixels of what is timed for an estimate."""


def show_plan(
    console: "Console",
    plan: "Plan",
    journal: "Journal",
    restorer: "Restorer",
    settings: "Settings",
    *,
    retry_failed: bool,
) -> int:
    """Say what would be done: a line for each photo on stdout, and the sums on stderr.

    Returns:
        The exit code: 1 where a photo cannot be done.
    """
    counts = dict.fromkeys(Choice, 0)
    area = 0
    forecasts: list[Forecast] = []
    choices = decide(
        plan,
        journal,
        settings.digest(restorer),
        overwrite=settings.overwrite,
        retry_failed=retry_failed,
    )
    for item, decision in choices:
        size, forecast = None, None
        if decision.choice is Choice.RUN:
            try:
                size = _measured(item, settings, restorer.scale)
                forecast = restorer.foresee(*size)
            except MirnetError as error:
                decision = Decision(Choice.FAIL, told(error))
            except OSError as error:
                decision = Decision(Choice.FAIL, reason(error))
            else:
                forecasts.append(forecast)
                area += size[0] * size[1]
        counts[decision.choice] += 1
        _show(console, item, decision, size, forecast)
    needed = f", about {clock(_seconds(restorer, settings, forecasts))}" if forecasts else ""
    console.note(
        f"{len(plan.items)} photos: {counts[Choice.RUN]} to do ({area / 1e6:.1f} MP{needed}), "
        f"{counts[Choice.SKIP]} to skip, {counts[Choice.FAIL]} cannot be done; nothing was written"
    )
    return int(ExitCode.FAILED if counts[Choice.FAIL] else ExitCode.OK)


def size_of(item: "Item") -> tuple[int, int] | None:
    """Width and height of a photo from its header; None where it has none."""
    try:
        return _measured(item)
    except (MirnetError, OSError):
        return None


def _measured(item: "Item", settings: "Settings | None" = None, scale: int = 1) -> tuple[int, int]:
    """Width and height of what is to be done of a photo."""
    from mirnet_cli.photo import MAX_PIXELS, probe

    check_input(item.source)
    header = probe(item.source, max_pixels=settings.max_pixels if settings else MAX_PIXELS)
    width, height = header.width, header.height
    if settings is None:
        return width, height
    from mirnet_cli.restore.photos import check_crop, check_size

    if settings.crop is not None:
        check_crop(settings.crop, width, height, item.source)
        width, height = settings.crop[2:]
    full = (width * scale, height * scale)
    check_size(header, item.source, item.target, *full, format=settings.format)
    return width, height


def _show(
    console: "Console",
    item: "Item",
    decision: Decision,
    size: tuple[int, int] | None,
    forecast: "Forecast | None",
) -> None:
    failed = decision.choice is Choice.FAIL
    said = decision.reason or None
    if failed and console.quiet:
        console.error(f"{item.source}: {said}")
    if console.json:
        console.record(
            {
                "input": str(item.source),
                "output": str(item.target),
                "status": _STATUS[decision.choice],
                "error": said if failed else None,
                "warnings": [] if failed or said is None else [said],
                "width": size and size[0],
                "height": size and size[1],
                "tile": forecast and forecast.tile,
                "tiles": forecast and forecast.tiles,
                "memory": forecast and forecast.memory,
            }
        )
    elif not console.quiet:
        what = decision.choice.value
        if decision.choice is Choice.RUN:
            assert size is not None
            what = f"{size[0]}x{size[1]}{_takes(forecast)}"
        why = f": {decision.reason}" if decision.reason else ""
        typer.echo(printable(f"{item.source} -> {item.target} ({what}{why})"))


def _takes(forecast: "Forecast | None") -> str:
    if forecast is None:
        return ""
    pieces = f"{forecast.tiles} tiles of {forecast.tile}" if forecast.tile else "in one piece"
    return f", {pieces}, {forecast.memory >> 20} MiB"


def _seconds(restorer: "Restorer", settings: "Settings", forecasts: "list[Forecast]") -> float:
    """How long it takes here and now, by the pace of one small tile; reading and writing not."""
    import numpy as np

    side = min([_SAMPLE, *(each.tile for each in forecasts if each.tile)])
    sample = np.zeros((side, side, 3), np.uint8)
    # The first run prepares what the others use.
    restorer(sample)
    begun = time.monotonic()
    restorer(sample, strength=settings.strength, ensemble=settings.ensemble)
    pace = (time.monotonic() - begun) / restorer.foresee(side, side).pixels
    return pace * sum(each.pixels for each in forecasts)
