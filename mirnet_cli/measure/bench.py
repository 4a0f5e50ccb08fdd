"""How fast it is here: seconds, megapixels a second, peak memory, share of the machine's peak.

Each measurement is a process of its own (:mod:`mirnet_cli.measure.bench_process`), so that its peak
memory is its own, and nothing that one has loaded or cached speeds up another.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mirnet_cli import extras
from mirnet_cli.errors import ExitCode, MirnetError, ModelError, UsageError
from mirnet_cli.restore.options import LoadOptions

NLM, PLAIN = "opencv nlm", "plain torch"
"""What ``--compare`` measures beside mirnet."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        what: "command" (the whole of it, from the shell's point of view), "network" (a picture that
            is decoded already), or something that both are compared with.
        task, megapixels: of the photo that came in.
        runtime, precision: what computed.
        tile, context: how the photo was cut; 0 where it was not.
        cold: seconds of the first run. Of the network: with compiling it.
        seconds: of the best run after it.
        memory: bytes of the process at its peak; None where the system does not tell.
        share: of the matrix peak of this machine in this precision; of the network alone.
        ratio: its seconds over those of mirnet's command or network on the same photo.
    """

    what: str
    task: str
    megapixels: float
    runtime: str
    precision: str
    tile: int | None
    context: str | None
    cold: float
    seconds: float
    memory: int | None
    share: float | None = None
    ratio: float | None = None

    @property
    def pace(self) -> float:
        """Megapixels a second."""
        return self.megapixels / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """All figures as values that JSON has."""
        return asdict(self) | {"megapixels_per_second": self.pace}


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        loading: task, weights and what computes.
        repeat: runs after the first.
        compare: OpenCV's non-local means and plain float32 torch too.
    """

    loading: LoadOptions
    repeat: int = 2
    compare: bool = False

    @property
    def task(self) -> str:
        """The command."""
        return str(self.loading.task)


class MeasureError(MirnetError):
    """A process that was to measure something failed."""


_CAUSES: Mapping[int, type[MirnetError]] = {ExitCode.USAGE: UsageError, ExitCode.MODEL: ModelError}


def measure(photo: Path, settings: Settings) -> Iterator[Row]:
    """Measure one photo, one row after the other; that of plain torch where torch is installed.

    Raises:
        UsageError, ModelError: where mirnet itself refuses the options or the weights.
        MeasureError: where it fails on this photo.
    """
    command = _command(photo, settings)
    yield command
    request = {
        "photo": str(photo),
        "loading": settings.loading.given(),
        "repeat": settings.repeat,
    }
    found, memory = _process("network", request)
    alike = bool(found["plain"])
    network = _row("network", settings.task, found, memory)
    ran = {"runtime": network.runtime, "precision": network.precision, "device": found["device"]}
    peak, _ = _process("peak", ran)
    if found["operations"] and peak["operations_per_second"]:
        rate = found["operations"] / network.seconds
        network = replace(network, share=rate / peak["operations_per_second"])
    yield network
    if not settings.compare:
        return
    if alike and extras.installed("torch"):
        found, memory = _process("plain", request)
        plain = _row(PLAIN, settings.task, found, memory)
        yield replace(plain, ratio=plain.seconds / network.seconds)
    found, memory = _process("nlm", request)
    nlm = _row(NLM, settings.task, found, memory)
    yield replace(nlm, ratio=nlm.seconds / command.seconds)


def _command(photo: Path, settings: Settings) -> Row:
    """The whole command, as it is called."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "mirnet_cli", settings.task, str(photo), "-o", folder]
        words += ["--overwrite", "--json"]
        for name, value in settings.loading.given().items():
            if name == "set":
                words += [word for each, number in value for word in ("--set", f"{each}={number}")]
            elif name == "bgr":
                words.append("--bgr" if value else "--rgb")
            elif name != "task":
                words += [f"--{name.replace('_', '-')}", str(value)]
        runs = [_timed(words) for _ in range(1 + settings.repeat)]
    said = json.loads(runs[0][2].splitlines()[-1])
    memories = [memory for _, memory, _ in runs if memory is not None]
    return Row(
        what="command",
        task=settings.task,
        megapixels=said["megapixels"],
        runtime=said["runtime"],
        precision=said["precision"],
        tile=said["tile"],
        context=said["context"],
        cold=runs[0][0],
        seconds=min(seconds for seconds, _, _ in runs[1:] or runs),
        memory=max(memories, default=None),
    )


def _row(what: str, task: str, found: dict[str, Any], memory: int | None) -> Row:
    names = ("megapixels", "runtime", "precision", "tile", "context", "cold", "seconds")
    return Row(what=what, task=task, memory=memory, **{name: found[name] for name in names})


def _process(kind: str, request: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    words = [sys.executable, "-m", "mirnet_cli.measure.bench_process", kind, json.dumps(request)]
    _, memory, out = _timed(words)
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found, memory


def _timed(words: Sequence[str]) -> tuple[float, int | None, str]:
    """Run a process.

    Returns:
        Its seconds, its peak memory in bytes, and what it printed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.perf_counter()
        process = subprocess.Popen(words, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        try:
            memory = _waited(process)
        except BaseException:
            # Nobody waits for its figures any more.
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - begun
        out.seek(0)
        err.seek(0)
        if process.returncode:
            said = (err.read().decode(errors="replace").splitlines() or ["no reason given"])[-1]
            text = said.removeprefix("mirnet: ")
            text = f"a measurement failed: {said}" if text == said else text
            raise _CAUSES.get(process.returncode, MeasureError)(text)
        return seconds, memory, out.read().decode()


def _waited(process: "subprocess.Popen[bytes]") -> int | None:
    """Wait for the end of a process; its peak memory in bytes."""
    if not hasattr(os, "wait4"):
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # Kibibytes on Linux, bytes on macOS.
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def synthetic(megapixels: float, folder: Path) -> Path:
    """A JPEG of this size, 4:3: smooth shapes, edges and grain.

    Args:
        megapixels: at least 0.01.
        folder: where to put it.
    """
    import cv2
    import numpy as np

    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = max(round(megapixels * 1e6 / width), 1)
    random = np.random.default_rng(0)
    pixels = np.empty((height, width, 3), np.uint8)
    x = np.arange(width, dtype=np.float32)
    for start in range(0, height, 256):
        y = np.arange(start, min(start + 256, height), dtype=np.float32)[:, None]
        waves = [np.sin(x / (90 + 40 * c)) * np.cos(y / (70 + 30 * c)) for c in range(3)]
        checks = ((x // 300 + y // 200) % 2) * 0.15
        values = 0.5 + 0.3 * np.stack(waves, 2) + checks[..., None]
        values += 0.05 * random.standard_normal(values.shape, np.float32)
        pixels[start : start + len(y)] = np.rint(values.clip(0, 1) * 255)
    path = folder / f"{megapixels:g}mp.jpg"
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert done
    path.write_bytes(data.tobytes())
    return path
