"""``mirnet batch --dry-run``: what would be done, and about what it takes."""

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from mirnet_cli import stores
from mirnet_cli.batches.journal import Choice, Decision, digest
from mirnet_cli.batches.run import decide, shared_light
from mirnet_cli.cli.tally import clock, tell_unreadable
from mirnet_cli.errors import ExitCode, MirnetError
from mirnet_cli.files import printable, reason
from mirnet_cli.restore.options import PhotoOptions
from mirnet_cli.restore.outcome import told
from mirnet_cli.restore.result import DONE_BEFORE, KEPT, UNREADABLE, Foretold

if TYPE_CHECKING:
    from mirnet_cli.batches.plan import Item, Plan
    from mirnet_cli.batches.run import Batch
    from mirnet_cli.cli.console import Console
    from mirnet_cli.restore import Restorer
    from mirnet_cli.restore.sizing import Forecast

_STATUS = {Choice.RUN: "planned", Choice.SKIP: "skipped", Choice.FAIL: "failed"}
_SAMPLE = 256
"""Side in pixels of what is timed for an estimate."""


def show_plan(console: "Console", batch: "Batch", plan: "Plan", restorer: "Restorer") -> int:
    """Say what would be done: a line for each photo on stdout, and the sums on stderr.

    Returns:
        The exit code: 1 where a photo cannot be done.
    """
    from mirnet_cli.restore.photos import read

    counts = dict.fromkeys(Choice, 0)
    area = 0
    forecasts: list[Forecast] = []
    options = batch.photo
    choices = list(
        decide(
            plan,
            batch.journal,
            digest(restorer, options),
            overwrite=options.overwrite,
            retry_failed=batch.options.retry_failed,
        )
    )
    amounts = shared_light(restorer, choices, options)
    for item, decision in choices:
        size, forecast = None, None
        own = replace(options, ev=amounts.get(item.source, options.ev))
        found = Foretold(restorer.planned(own))
        if decision.choice is Choice.RUN:
            try:
                size = _measured(item, options, restorer.scale)
                forecast = restorer.foresee(*size)
                if restorer.task == "auto":
                    found = restorer.foretold(read(item.source, own), own)
            except MirnetError as error:
                decision = Decision(Choice.FAIL, told(error))
            except OSError as error:
                decision = Decision(Choice.FAIL, reason(error))
            else:
                forecasts.append(forecast)
                area += size[0] * size[1]
        counts[decision.choice] += 1
        _show(console, item, decision, size, forecast, found)
    tell_unreadable(console, {item.key: item.unreadable for item in plan.items})
    needed = f", about {clock(_seconds(restorer, options, forecasts))}" if forecasts else ""
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


def _measured(item: "Item", options: PhotoOptions | None = None, scale: int = 1) -> tuple[int, int]:
    """Width and height of what is to be done of a photo."""
    from mirnet_cli.photo import MAX_PIXELS, probe

    stores.of(item.source).check_source(item.source)
    header = probe(item.source, max_pixels=options.max_pixels if options else MAX_PIXELS)
    width, height = header.width, header.height
    if options is None:
        return width, height
    from mirnet_cli.restore.photos import check_crop, check_size

    if options.crop is not None:
        check_crop(options.crop, width, height, item.source)
        width, height = options.crop[2:]
    full = (width * scale, height * scale)
    check_size(header, item.source, item.target, full, options)
    return width, height


def _show(
    console: "Console",
    item: "Item",
    decision: Decision,
    size: tuple[int, int] | None,
    forecast: "Forecast | None",
    found: Foretold,
) -> None:
    failed = decision.choice is Choice.FAIL
    said = decision.reason or None
    if failed and console.quiet and item.unreadable is None:
        console.error(f"{item.source}: {said}")
    if console.json:
        console.record(
            {
                "input": str(item.source),
                "output": str(item.target),
                "status": _STATUS[decision.choice],
                "error": said if failed else None,
                "reason": _reason(item, decision),
                "warnings": [] if failed or said is None else [said],
                "width": size and size[0],
                "height": size and size[1],
                "tile": forecast and forecast.tile,
                "tiles": forecast and forecast.tiles,
                "memory": forecast and forecast.memory,
                **asdict(found),
            }
        )
    elif not console.quiet:
        known = _reason(item, decision)
        what = known if known and known != KEPT else decision.choice.value
        if decision.choice is Choice.RUN:
            assert size is not None
            what = f"{size[0]}x{size[1]}{_takes(forecast)}"
            if found.decision or len(found.steps) > 1:
                what = f"{found.decision or ', '.join(map(str, found.steps))}: {what}"
        why = f": {decision.reason}" if decision.reason not in ("", what) else ""
        typer.echo(printable(f"{item.source} -> {item.target} ({what}{why})"))


def _reason(item: "Item", decision: Decision) -> str | None:
    if item.unreadable is not None:
        return UNREADABLE
    if decision.choice is not Choice.SKIP:
        return None
    return DONE_BEFORE if decision.reason == DONE_BEFORE else KEPT


def _takes(forecast: "Forecast | None") -> str:
    if forecast is None:
        return ""
    pieces = f"{forecast.tiles} tiles of {forecast.tile}" if forecast.tile else "in one piece"
    return f", {pieces}, {forecast.memory >> 20} MiB"


def _seconds(restorer: "Restorer", options: PhotoOptions, forecasts: "list[Forecast]") -> float:
    """How long it takes here and now, by the pace of one small tile; reading and writing not."""
    import numpy as np

    side = min([_SAMPLE, *(each.tile for each in forecasts if each.tile)])
    sample = np.zeros((side, side, 3), np.uint8)
    # The first run prepares what the others use.
    restorer.array(sample, PhotoOptions())
    begun = time.monotonic()
    restorer.array(sample, options)
    pace = (time.monotonic() - begun) / restorer.foresee(side, side).pixels
    return pace * sum(each.pixels for each in forecasts)
