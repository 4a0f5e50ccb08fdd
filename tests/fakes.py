"""A stand-in for the restorer, so that words, plans and journals are tested without networks.

It treats any bytes as a picture: the result is the task's name and the bytes. Some contents make
it fail in the ways a real one can.
"""

import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirnet_cli import errors, files, objects, restore
from mirnet_cli.photo.options import WriteOptions
from mirnet_cli.places import Remote
from mirnet_cli.restore import LoadOptions, PhotoOptions, Result, StepOptions
from mirnet_cli.restore.result import Step
from mirnet_cli.restore.steps import ChainOptions


def contents(source: Any) -> bytes:
    """What a source holds."""
    if isinstance(source, Remote):
        return objects.read(source)
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def fail(data: bytes, source: Any, target: Any) -> None:
    """Fail as the content says."""
    if data.startswith(b"BAD"):
        raise errors.InputError("not a picture", "use another", subject=source)
    if data.startswith(b"FULL"):
        raise errors.DiskFullError("no space is left", "free some", subject=target)
    if data.startswith(b"DENIED"):
        raise errors.OutputError("cannot be written", "look at it", subject=target)
    if data.startswith(b"BUG"):
        raise ZeroDivisionError("division by\nzero")
    if data.startswith(b"MEMORY"):
        raise MemoryError
    if data.startswith(b"INTERRUPT"):
        exec("raise KeyboardInterrupt")
    if data.startswith(b"SLOW"):
        time.sleep(30)


def native() -> None:
    """Work as a slow codec does: without the interpreter, and deaf to signals."""
    Path("begun").touch()
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 60_000_000)


@dataclass
class Restorer:
    """Looks like the real one to those who use it."""

    task: str = "denoise"
    scale: int = 1
    device: str = "cpu"
    precision: str = "fp32"
    runtime: str = "torch"
    options: LoadOptions = field(default_factory=LoadOptions)
    calls: list[StepOptions] = field(default_factory=list)
    sha256: str = "ab" * 32
    context: str = "whole"
    overlap: int = 32

    model: str = "fake"
    max_memory: int = 1 << 30

    @property
    def weights(self) -> Any:
        return SimpleNamespace(network=SimpleNamespace(family="fake", config={}))

    @property
    def steps(self) -> tuple["Restorer", ...]:
        return (self,)

    def check(self, options: StepOptions) -> None:
        asked = options.ev != "auto" or options.shadows or options.highlights
        if asked and self.task != "enhance":
            raise errors.UsageError("cannot be asked for light", "leave --ev out")

    def planned(self, options: StepOptions) -> tuple[Step, ...]:
        computes = (self.runtime, self.device, self.precision)
        return (Step(self.task, self.scale, self.model, self.sha256, *computes),)

    def fingerprint(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "scale": self.scale,
            "weights": self.sha256,
            "context": self.context,
            "overlap": self.overlap,
        }

    def file(
        self,
        source: Any,
        target: Any,
        options: PhotoOptions | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
        **named: Any,
    ) -> Any:
        options = PhotoOptions.of(options, named)
        work = self.read(source, target, options)
        self.improve(work, options, progress)
        return self.write(work, options)

    def foresee(self, width: int, height: int) -> Any:
        return SimpleNamespace(memory=0)

    def read(self, source: Any, target: Any, options: PhotoOptions) -> Any:
        data = contents(source)
        if data.startswith(b"DECODER"):
            native()
        if data.startswith(b"READ"):
            raise errors.InputError("cannot be decoded", "use another", subject=source)
        return SimpleNamespace(source=source, target=target, data=data)

    def improve(
        self,
        work: Any,
        options: StepOptions,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.calls.append(options)
        if work.data.startswith(b"COMPUTER"):
            native()
        fail(work.data, "-" if isinstance(work.source, bytes) else work.source, work.target)
        if work.data.startswith(b"WAIT"):
            time.sleep(0.3)
        for done in range(3):
            if progress is not None:
                progress(done + 1, 3)

    def write(self, work: Any, options: WriteOptions) -> Any:
        source, target, data = work.source, work.target, work.data
        if data.startswith(b"DISK"):
            time.sleep(0.1)
            raise errors.DiskFullError("no space is left", "free some", subject=target)
        if data.startswith(b"LATE"):
            raise errors.OutputError("cannot be encoded", "use another format", subject=target)
        if data.startswith(b"ENCODER"):
            native()
        if data.startswith(b"LONG"):
            time.sleep(0.3)
        made = f"{self.task} {self.scale}:".encode() + data
        if isinstance(target, Remote):
            objects.put(target, made, overwrite=options.overwrite)
        elif isinstance(target, Path):
            files.write_atomically(target, made, overwrite=options.overwrite)
        else:
            target.write(made)
        return Result(
            input="-" if isinstance(source, bytes) else str(source),
            output=str(target) if isinstance(target, Path | Remote) else "-",
            status="done",
            task=self.task,
            scale=self.scale,
            model="fake",
            sha256=self.sha256,
            runtime=self.runtime,
            device=self.device,
            precision=self.precision,
            megapixels=0.5,
            seconds=0.1,
            warnings=("odd profile",) if data.startswith(b"ODD") else (),
        )


def load(task: str | None = None, options: LoadOptions | None = None, **named: Any) -> Restorer:
    """Stand in for :func:`mirnet_cli.load`."""
    options = ChainOptions.of(options, {"task": task, **named} if task else named)
    if options.model == "missing":
        raise errors.ModelError("no such model", "see 'mirnet models list'", subject="missing")
    if options.device == "cuda:7":
        raise errors.UsageError("no such device", "use cpu", subject="--device cuda:7")
    return Restorer(task=str(options.task), scale=options.scale or 1, options=options)


def install(patch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where ``mirnet_cli`` looks for the restorer."""
    for name, value in (("Restorer", Restorer), ("load", load)):
        patch.setitem(restore.__dict__, name, value)


def main() -> int:
    """``mirnet`` with the stand-in, for tests that need a real process."""
    from mirnet_cli.cli import main as real

    return real()


if __name__ in ("__main__", "__mp_main__"):
    # The latter is what multiprocessing calls it in the processes of --jobs.
    restore.__dict__.update(Restorer=Restorer, load=load)
if __name__ == "__main__":
    sys.exit(main())
