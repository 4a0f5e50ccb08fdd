"""Measures a network once, in a process with limits, and keeps what it found.

What was measured is kept in the cache folder under the file's hash; a file of it that is damaged,
or of another version, is made again.
"""

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mirnet_cli import extras
from mirnet_cli import settings as surroundings
from mirnet_cli.errors import MirnetError, ModelError
from mirnet_cli.files import write_atomically
from mirnet_cli.networks.described import Interface, Measured

VERSION = 3
"""Of the measurements; another one measures anew."""

SECONDS = 300
"""Seconds of processors that measuring may take."""
PATIENCE = 900
"""Seconds that it may take in all, on a machine that is busy with other things."""
_LEAST_MEMORY = 4 << 30
_COPIES = 12
"""Times the file's size that may be taken: the numbers are copied, converted and laid out anew."""
_SAID = 300
_LIBRARIES = ("openvino", "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")


def measured(
    data: bytes,
    sha256: str,
    interface: Interface,
    *,
    settings: Mapping[str, float],
    range: str | None = None,
    bgr: bool | None = None,
    subject: object = None,
) -> Measured:
    """What a network does, from the cache or measured now.

    Args:
        data: the ONNX file, checked, with nothing beside it.
        sha256: of it.
        interface: of it.
        settings: values of all its settings.
        range, bgr: how its numbers are to be read, where that is known.
        subject: named in errors.

    Raises:
        ModelError: where it is no network for pictures, or takes more time or memory than is fair.
    """
    told = {
        "settings": dict(settings),
        "range": range,
        "bgr": bgr,
        "interface": asdict(interface),
        "libraries": _libraries(),
    }
    path = _path(sha256, told)
    known = _known(path)
    if known is None:
        known = _measured_apart(data, told, subject)
        text = json.dumps({"version": VERSION, "measured": known.as_dict()}, indent=1)
        with contextlib.suppress(MirnetError, OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, text.encode(), overwrite=True)
    return known


def _libraries() -> dict[str, str]:
    """What would measure, by version: others may compute something else."""
    # A hundredth of a second to import; only what was measured needs it.
    from importlib import metadata

    found = {}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _path(sha256: str, told: Mapping[str, object]) -> Path:
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    return surroundings.cache_or_nowhere() / "networks" / f"{sha256[:40]}-{key}.json"


def _known(path: Path) -> Measured | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Measured.of(values["measured"]) if values["version"] == VERSION else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _measured_apart(data: bytes, told: Mapping[str, object], subject: object) -> Measured:
    limit = max(_LEAST_MEMORY, _COPIES * len(data))
    limit = min(limit, surroundings.memory_limit() * 3 // 4)
    request = json.dumps({**told, "memory": limit, "seconds": SECONDS}).encode() + b"\n"
    command = [sys.executable, "-m", "mirnet_cli.runtime.measuring_process"]
    try:
        ran = subprocess.run(
            command, input=request + data, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        what = f"it was not measured within {PATIENCE} seconds"
        raise ModelError(what, "use a smaller network", subject=subject) from None
    answer = None
    with contextlib.suppress(ValueError):
        answer = json.loads(ran.stdout)
    if isinstance(answer, dict) and "measured" in answer:
        return Measured.of(answer["measured"])
    if isinstance(answer, dict) and "unfit" in answer:
        what = f"not a network that can be used: {str(answer['unfit'])[:_SAID]}"
        needs = str(answer.get("needs") or "")
        remedy = (
            extras.remedy(needs) if needs in extras.EXTRAS else "use another, or export it again"
        )
        raise ModelError(what, remedy, subject=subject)
    size = f"{limit / 2**30:.1f} GiB"
    what = f"running it ended the process that measured it (it may take {size}, {SECONDS} seconds)"
    raise ModelError(what, "use another, or export it again", subject=subject)
