"""What a notebook shows of a Restorer and of a Result."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirnet_cli.errors import MirnetError
from mirnet_cli.files import printable
from mirnet_cli.places import place

_SIDE = 360
"""Longest side of the pictures, in pixels."""


def of_result(result: Mapping[str, Any]) -> str:
    """Before and after, small, where both are files here, and what is to be known.

    Args:
        result: the fields of a Result.
    """
    size = None
    if result["width"] is not None:
        size = "{width} × {height} → {output_width} × {output_height}".format(**result)
    shown = {
        **{name: result[name] for name in ("status", "error", "input", "output", "model")},
        "pixels": size,
        "time": None if result["seconds"] is None else f"{result['seconds']:.1f} s",
        "warnings": "; ".join(result["warnings"]) or None,
    }
    pair = (("before", result["input"]), ("after", result["output"]))
    figures = [_figure(name, place(path)) for name, path in pair if path not in (None, "-")]
    row = '<div style="display:flex;flex-wrap:wrap;gap:8px">{}</div>'
    return (row.format("".join(figures)) if any(figures) else "") + table(shown)


def _figure(name: str, path: object) -> str:
    """A picture in its page; nothing where the file is elsewhere, gone or unreadable."""
    if not isinstance(path, Path):
        return ""
    from mirnet_cli.photo import decode
    from mirnet_cli.photo.screen import fitted, jpeg, shown

    try:
        pixels = fitted(shown(decode(path)), _SIDE)
    except (MirnetError, OSError, ValueError):
        return ""
    return (
        f'<figure style="margin:0"><img src="{jpeg(pixels)}" alt="{name}">'
        f"<figcaption>{name}</figcaption></figure>"
    )


def table(values: Mapping[str, object]) -> str:
    """Names and values; those that are None are left out."""
    rows = "".join(
        f'<tr><th style="text-align:left">{name}</th>'
        f'<td style="text-align:left">{html.escape(printable(str(value)))}</td></tr>'
        for name, value in values.items()
        if value is not None
    )
    return f"<table>{rows}</table>"
