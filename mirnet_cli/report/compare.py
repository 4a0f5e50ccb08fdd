"""Before and after on one page that needs nothing else, or in one picture."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated

from mirnet_cli._version import __version__
from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.files import printable, write_atomically
from mirnet_cli.options import Options, like
from mirnet_cli.photo.formats import FORMATS, WRITABLE, format_from_name
from mirnet_cli.photo.options import MAX_PIXELS, ReadOptions, WriteOptions

if TYPE_CHECKING:
    from mirnet_cli.report import pictures

OVERVIEW = 2048
"""Longest side of the difference of the whole picture, in pixels."""

LARGEST = 50_000_000
"""Pixels of each picture in the slider; larger ones are reduced to as many."""

NO_DIFFERENCE = "no pixel differs at 8 bits"
"""What is compared is what can be seen: neither the lower half of 16 bits, nor hidden colours."""

_PAGES = (".html", ".htm")


@dataclass(frozen=True)
class CompareOptions(Options):
    """How two photos are read, and the page or picture written."""

    overwrite: Annotated[
        bool, like(WriteOptions, "overwrite", help="Replace a file that exists.")
    ] = False
    quality: Annotated[
        int | None, like(WriteOptions, "quality", help="Of a picture as JPEG, WebP or AVIF.")
    ] = None
    max_pixels: Annotated[int, like(ReadOptions, "max_pixels", panel="Options")] = MAX_PIXELS


@dataclass(frozen=True)
class Comparison:
    """What was written.

    Attributes:
        output: the page or picture.
        width, height: of the pictures compared, in pixels.
        psnr: between them in dB, at 8 bits; None if they are equal.
        kind: "page" or "picture".
    """

    output: str
    width: int
    height: int
    psnr: float | None
    kind: str


def kind_of(name: str) -> str:
    """Whether a file of this name is a "page" or a "picture".

    Raises:
        UsageError: it is neither, or a picture that cannot be written here.
    """
    if Path(name).suffix.lower() in _PAGES:
        return "page"
    format = format_from_name(name)
    if format is not None and format in WRITABLE:
        if missing := FORMATS[format].missing:
            raise UsageError(f"{format} needs {missing.name}", missing.remedy, subject=name)
        return "picture"
    known = ", ".join(FORMATS[each].extensions[0][1:] for each in WRITABLE)
    raise UsageError(
        "its name is neither that of a page nor of a picture",
        f"end it in html, {known}",
        subject=name,
    )


def compare(
    before: Path,
    after: Path,
    target: Path,
    options: CompareOptions | None = None,
    *,
    at: Sequence[tuple[int, int]] = (),
) -> Comparison:
    """Write a page, or a picture with both side by side; the name of ``target`` says which.

    Args:
        before, after: two photos of the same thing; the first is enlarged to the second's size.
        target: ends in html, or in the extension of a picture.
        options: how it is read and written.
        at: centres (x, y) in pixels of what the page shows at 100 %; chosen by content if empty.

    Raises:
        UsageError: the name of ``target`` says neither, or places are named for a picture.
        InputError: a photo cannot be read, they have different shapes, or a place is not in them.
        OutputError: ``target`` exists or cannot be written.
    """
    from mirnet_cli.report import pictures

    options = options or CompareOptions()
    kind = kind_of(target.name)
    if at and kind == "picture":
        what = "places are shown on a page, not in a picture"
        raise UsageError(what, "end the output's name in html, or leave it out", subject="--at")
    pair = pictures.read_pair(before, after, max_pixels=options.max_pixels)
    width, height = pair.size
    for x, y in at:
        if x >= width or y >= height:
            what = f"{x},{y} is not within its {width}x{height} pixels"
            raise InputError(what, "name another place with --at", subject=after)
    if kind == "page":
        data = page(pair, before.name, after.name, at=at).encode("utf-8")
    else:
        data = _picture(pictures.side_by_side(pair), target, options.quality)
    write_atomically(target, data, overwrite=options.overwrite)
    ratio = pictures.psnr(pair)
    return Comparison(str(target), width, height, ratio if math.isfinite(ratio) else None, kind)


def _picture(pixels: "pictures.Pixels", target: Path, quality: int | None) -> bytes:
    from mirnet_cli.photo import encode
    from mirnet_cli.photo.picture import Header, Metadata, Photo

    format = format_from_name(target.name) or "PNG"
    header = Header(format, pixels.shape[1], pixels.shape[0], 1)
    photo = Photo(pixels, None, header, Metadata())
    return encode(photo, format=format, quality=quality).data


def page(
    pair: "pictures.Pair", before: str, after: str, *, at: Sequence[tuple[int, int]] = ()
) -> str:
    """The page as HTML.

    Args:
        pair: from :func:`mirnet_cli.report.pictures.read_pair`.
        before, after: names to show.
        at: as of :func:`compare`.
    """
    from mirnet_cli.report import pictures

    change = pictures.difference(pair)
    gain = pictures.amplification(change)
    width, height = pair.size
    side = round(max(width, height) * min(1, math.sqrt(LARGEST / (width * height))))
    return filled(
        "compare.html",
        title=f"{_text(before)} → {_text(after)}",
        facts="\n".join(f"<li>{html.escape(fact)}</li>" for fact in _facts(pair)),
        before=pictures.jpeg(pictures.fitted(pair.before, side)),
        after=pictures.jpeg(pictures.fitted(pair.after, side)),
        width=width,
        height=height,
        crops="\n".join(
            _crops(pair, change, detail) for detail in pictures.details(pair, change, at)
        ),
        change=pictures.jpeg(pictures.fitted(change, OVERVIEW), quality=95),
        gain=gain,
        step=gain.bit_length() - 1,
    )


def filled(name: str, **parts: object) -> str:
    """A template of this package with its parts, and what all pages share."""
    folder = files("mirnet_cli.report")
    return Template((folder / name).read_text("utf-8")).substitute(
        version=__version__,
        style=(folder / "style.css").read_text("utf-8"),
        script=(folder / "slider.js").read_text("utf-8"),
        **parts,
    )


def _facts(pair: "pictures.Pair") -> list[str]:
    from mirnet_cli.report import pictures

    ratio = pictures.psnr(pair)
    same = NO_DIFFERENCE if math.isinf(ratio) else f"PSNR between the two {ratio:.2f} dB"
    width, height = pair.size
    return [f"{width} × {height} pixels", same, *([pair.note] if pair.note else [])]


def _crops(pair: "pictures.Pair", change: "pictures.Pixels", detail: "pictures.Detail") -> str:
    from mirnet_cli.report import pictures

    where = f"{detail.why}; from {detail.left}, {detail.top}"
    parts = []
    for name, pixels, kind in (
        ("before", pair.before, ""),
        ("after", pair.after, ""),
        ("difference", change, " change"),
    ):
        address = pictures.png(detail.cut(pixels))
        parts.append(
            f'<figure class="exact{kind}"><img src="{address}" width="{detail.width}" '
            f'height="{detail.height}" alt="{name}, {html.escape(where)}" loading="lazy">'
            f"<figcaption>{name}, {html.escape(where)}</figcaption></figure>"
        )
    return f'<div class="row">{"".join(parts)}</div>'


def _text(name: str) -> str:
    return html.escape(printable(name))
