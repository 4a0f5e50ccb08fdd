"""What is remembered between runs: files that were verified, first hashes, accepted licences.

One small JSON file in the cache folder. Losing it costs a hash or a question, nothing else.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from mirnet_cli import settings
from mirnet_cli.errors import MirnetError, ModelError
from mirnet_cli.files import make_folder, write_atomically

_TABLES = ("files", "first", "licences")
_MAX_FILES = 500
_MAX_BYTES = 4 << 20


def file() -> Path:
    """Where it is kept."""
    return settings.cache_folder() / "models.json"


def sha256_of(path: Path, status: os.stat_result) -> str | None:
    """The hash that a file had when it was last read, if size, time and inode are still the same.

    Args:
        path: the file.
        status: of the very file that is read (``os.fstat``).
    """
    known = _read()["files"].get(str(path.resolve()))
    if not isinstance(known, dict) or known.get("status") != _stamp(status):
        return None
    digest = known.get("sha256")
    return digest if isinstance(digest, str) else None


def remember(path: Path, status: os.stat_result, sha256: str) -> None:
    """Remember a file's hash; where that cannot be written, it is computed again next time."""
    tables = _read()
    files = tables["files"]
    name, entry = str(path.resolve()), {"status": _stamp(status), "sha256": sha256}
    if files.get(name) == entry:
        return
    files.pop(name, None)
    files[name] = entry
    for old in list(files)[:-_MAX_FILES]:
        del files[old]
    with contextlib.suppress(MirnetError, OSError):
        _write(tables)


def first(source: str) -> str | None:
    """The hash of what a source gave the first time."""
    digest = _read()["first"].get(source)
    return digest if isinstance(digest, str) else None


def hold(source: str, sha256: str) -> None:
    """Remember what a source gave the first time; later ones are held to it.

    Raises:
        ModelError: where that cannot be written.
    """
    tables = _read()
    if source in tables["first"]:
        return
    tables["first"][source] = sha256
    _write_or_fail(tables)


def forget(source: str) -> None:
    """Forget what a source gave the first time."""
    tables = _read()
    if tables["first"].pop(source, None) is not None:
        _write_or_fail(tables)


def accepted(licence: str) -> bool:
    """Whether the user has accepted a licence."""
    return licence in _read()["licences"]


def accept(licence: str) -> None:
    """Remember that the user accepts a licence (ModelError where that cannot be written)."""
    import datetime

    tables = _read()
    tables["licences"][licence] = datetime.datetime.now(datetime.UTC).date().isoformat()
    _write_or_fail(tables)


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _read() -> dict[str, dict[str, Any]]:
    values: Any = None
    with contextlib.suppress(MirnetError, OSError, ValueError, RecursionError):
        path = file()
        if path.stat().st_size <= _MAX_BYTES:
            values = json.loads(path.read_text(encoding="utf-8"))
    values = values if isinstance(values, dict) else {}
    tables = {name: values.get(name) for name in _TABLES}
    return {name: table if isinstance(table, dict) else {} for name, table in tables.items()}


def _write(tables: dict[str, dict[str, Any]]) -> None:
    path = file()
    make_folder(path.parent)
    write_atomically(path, json.dumps(tables, indent=1).encode(), overwrite=True)


def _write_or_fail(tables: dict[str, dict[str, Any]]) -> None:
    try:
        _write(tables)
    except (MirnetError, OSError):
        what = "the cache cannot be written"
        remedy = "make room, or set MIRNET_CACHE to a folder that can be written"
        raise ModelError(what, remedy, subject=file()) from None
