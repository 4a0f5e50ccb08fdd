"""What a batch did, on one page: a table to sort, and each photo before and after.

The page is one file that needs no network; its pictures lie in a folder beside it and are loaded
when they come into view. Each photo's are made as soon as it is done, so that memory does not grow
with the number of photos. A later run of the same batch takes over what the page knows.
"""

import hashlib
import html
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mirnet_cli.errors import MirnetError, UsageError
from mirnet_cli.files import make_folder, not_written, printable, reason, write_atomically
from mirnet_cli.report.compare import filled
from mirnet_cli.restore.result import REASONS

if TYPE_CHECKING:
    from mirnet_cli.report.pictures import Pair
    from mirnet_cli.restore.result import Result

OVERVIEW = 1024
"""Longest side of the pictures in the slider, in pixels."""

SMALL = 192
"""Longest side of those in the table, where they are shown at half of that at most."""

PLACES = 2
"""How many details of a photo are shown at 100 %."""

LARGEST = 100_000_000
"""Larger photos, in pixels, get no pictures: decoding two of them takes memory and time."""

_MARK = '<meta name="mirnet" content="batch report">'
_DATA = '<script type="application/json" id="photos">'
_BINS = 48
_QUALITY = {"small": 75, "whole": 82, "detail": 92}

Row = dict[str, Any]


class BatchPage:
    """The page of one batch.

    Args:
        target: the page; its pictures go to ``NAME-files`` beside it. Their folder is made.
        folder: whose photos are done, for the title.
        crop: part of each photo that is done, as of :meth:`Restorer.file`.

    Raises:
        UsageError: another file is there, or the name is no page's.
        OutputError: its folder cannot be made.
    """

    def __init__(
        self, target: Path, folder: Path, *, crop: tuple[int, int, int, int] | None = None
    ) -> None:
        if target.suffix.lower() not in (".html", ".htm"):
            raise UsageError("a report is an HTML page", "end its name in .html", subject=target)
        try:
            make_folder(target.parent)
        except OSError as error:
            raise not_written(target, error, "choose another place with --report") from error
        self.target = target
        self.files = target.with_name(f"{target.stem}-files")
        self._folder = folder
        self._crop = crop
        self._before = _rows(target)
        self._rows: dict[str, Row] = {}

    def add(self, key: str, result: "Result") -> None:
        """Take in what became of a photo, and make its pictures.

        Args:
            key: its path below the folder.
            result: the last one of a photo counts.
        """
        row = self._row(key, result)
        known = self._before.get(key, {})
        # A page of this name may have been that of other folders.
        same = all(known.get(name) == row[name] for name in ("link", "target"))
        if result.status == "skipped" and result.error is None and same:
            row = {
                **known,
                **{name: row[name] for name in ("status", "outcome", "warnings", "number")},
            }
        fresh = result.status == "done" or "tones" not in row
        if result.output is not None and result.error is None and fresh:
            found = self._pictures(key, Path(result.input), Path(result.output))
            row |= {name: value for name, value in found.items() if row.get(name) is None}
        self._rows[key] = row

    def write(self) -> None:
        """Write the page.

        Raises:
            OutputError: it cannot be written.
        """
        rows = list(self._rows.values())
        # Markup in names must not end the script that holds them.
        data = json.dumps(rows, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
        page = filled(
            "batch.html",
            title=html.escape(f"{printable(str(self._folder))}: {len(rows)} photos"),
            facts="\n".join(f"<li>{html.escape(fact)}</li>" for fact in _facts(rows)),
            photos=data,
            folder=json.dumps(quote(os.fsencode(self.files.name))).replace("<", "\\u003c"),
        )
        write_atomically(self.target, page.encode("utf-8"), overwrite=True)

    def _row(self, key: str, result: "Result") -> Row:
        source = Path(result.input)
        target = None if result.output is None else Path(result.output)
        how = [result.runtime, result.device, result.precision]
        more = "" if result.input_quality is None else f", taken for {result.input_quality}"
        more += "" if not result.tile else f", tiles of {result.tile}"
        return {
            "number": len(self._rows),
            "name": printable(key),
            "key": key,
            "status": result.status,
            "outcome": result.outcome,
            "error": None if result.error is None else printable(result.error),
            "warnings": [printable(warning) for warning in result.warnings],
            "seconds": result.seconds,
            "size": None if result.width is None else [result.width, result.height],
            "result": None
            if result.output_width is None
            else [result.output_width, result.output_height],
            "bytes": _bytes(source),
            "written": None if target is None else _bytes(target),
            "model": result.model,
            "how": " ".join(each for each in how if each) + more,
            "input": printable(str(source)),
            "output": None if target is None else printable(str(target)),
            "link": self._link(source),
            "target": None if target is None else self._link(target),
            "files": None,
            "psnr": None,
        }

    def _link(self, path: Path) -> str:
        try:
            relative = os.path.relpath(path, self.target.parent)
        except ValueError:
            # On another drive of Windows.
            return path.absolute().as_uri()
        return quote(os.fsencode(relative))

    def _pictures(self, key: str, source: Path, target: Path) -> Row:
        """Write a photo's pictures; what there is to know of them. A failure is a note."""
        from mirnet_cli.report import pictures

        try:
            pair = pictures.read_pair(source, target, max_pixels=LARGEST, crop=self._crop)
            name = hashlib.sha256(os.fsencode(key)).hexdigest()[:16]
            return self._written(pair, name)
        except (MirnetError, OSError, MemoryError) as error:
            text = reason(error) if isinstance(error, OSError) else str(error)
            return {"note": printable(f"no pictures: {text or type(error).__name__}")}

    def _written(self, pair: "Pair", name: str) -> Row:
        from mirnet_cli.report import pictures

        change = pictures.difference(pair)
        gain = pictures.amplification(change)
        found = pictures.details(pair, change)
        # The centre is the first, and tells least.
        telling = [*found[1:], found[0]][:PLACES]
        for kind, pixels in (("before", pair.before), ("after", pair.after)):
            whole = pictures.fitted(pixels, OVERVIEW)
            self._save(f"{name}-small-{kind}", pictures.fitted(whole, SMALL), "small")
            self._save(f"{name}-{kind}", whole, "whole")
            for index, detail in enumerate(telling):
                self._save(f"{name}-{index}-{kind}", detail.cut(pixels), "detail")
        ratio = pictures.psnr(pair)
        return {
            "files": name,
            "view": [whole.shape[1], whole.shape[0]],
            "details": [[p.left, p.top, p.width, p.height, p.why] for p in telling],
            "step": gain.bit_length() - 1,
            "psnr": ratio if math.isfinite(ratio) else None,
            "tones": [pictures.tones(each, _BINS) for each in (pair.before, pair.after)],
            "size": None if pair.note else list(pair.size),
            "result": list(pair.size),
        }

    def _save(self, name: str, pixels: Any, kind: str) -> None:
        from mirnet_cli.report import pictures

        make_folder(self.files)
        data = pictures.encoded(pixels, "jpeg", quality=_QUALITY[kind])
        write_atomically(self.files / f"{name}.jpg", data, overwrite=True)


def _rows(target: Path) -> Mapping[str, Row]:
    """What an earlier page of this name knows, by key.

    Raises:
        UsageError: it is another file.
    """
    try:
        text = target.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        text = ""
    if _MARK not in text:
        raise UsageError("exists, and is not a report by mirnet", "name another", subject=target)
    data = text.partition(_DATA)[2].partition("</script>")[0]
    try:
        return {row["key"]: row for row in json.loads(data)}
    except (ValueError, KeyError, TypeError):
        return {}


def _bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None


def _facts(rows: list[Row]) -> list[str]:
    def count(outcome: str) -> int:
        return sum(row["outcome"] == outcome for row in rows)

    said = [f"{count(each)} {each}" for each in ("done", *REASONS, "failed") if count(each)]
    warned = sum(bool(row["warnings"]) for row in rows)
    said += [f"{warned} with warnings"] if warned else []
    seconds = sum(row["seconds"] or 0 for row in rows)
    pixels = sum(row["size"][0] * row["size"][1] for row in rows if row["size"] and row["seconds"])
    if seconds:
        said.append(f"{pixels / 1e6:.1f} megapixels in {seconds:.0f} s")
    said += sorted({str(row["model"]) for row in rows if row["model"]})
    return said
