"""A case, and how it is run and judged."""

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirnet_cli.files import printable

WEIGHTS = "{weights}"
"""Stands for the path of small weights in a command line."""

Build = Callable[[Path], object]
Main = Callable[[list[str]], tuple[int, str, str]]


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        words: the command line without ``mirnet``.
        code: the exit code.
        says: has to be in what goes to stderr.
        errors: lines that report an error; one where the code is not 0, by default.
        counts: photos done, skipped and failed, with ``--json``.
        before: changes the folder first.
    """

    words: tuple[str, ...]
    code: int = 0
    says: str = ""
    errors: int | None = None
    counts: tuple[int, int, int] | None = None
    before: Build | None = None


@dataclass(frozen=True)
class Ran:
    """What the last command of a case left.

    Attributes:
        folder: where it ran.
        out, err: what it said.
        was: the files before it, by name.
    """

    folder: Path
    out: str
    err: str
    was: Mapping[str, object]

    def read(self, name: str) -> bytes:
        """A file's content."""
        return (self.folder / name).read_bytes()


@dataclass(frozen=True)
class Case:
    """Files, what is done with them, and what has to hold afterwards.

    Attributes:
        name: of the case in its class.
        promise: first cell of the row in docs/fidelity.md that it proves.
        build: makes the files in an empty folder.
        steps: what is run there.
        made: names of the files that the steps make; journals are not counted.
        changed: files of the beginning that may change; all others must not.
        check: what else has to hold.
        memory: MiB by which the process may grow at most.
        patch: replaces parts of the system (to make them fail).
    """

    name: str
    promise: str
    build: Build
    steps: tuple[Step, ...]
    made: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    check: Callable[[Ran], object] | None = None
    memory: int | None = None
    patch: Callable[[pytest.MonkeyPatch], object] | None = None


def denoise(*words: str) -> tuple[str, ...]:
    """A command for single photos with the small weights."""
    return ("denoise", *words, "--weights", WEIGHTS)


def batch(*words: str) -> tuple[str, ...]:
    """The command for a folder with the small weights, one object a photo on stdout."""
    return ("batch", *words, "--task", "denoise", "--weights", WEIGHTS, "--json")


def files(**named: bytes | str) -> Build:
    """Makes files; ``__`` in a name stands for a dot, ``___`` for a slash."""
    return lambda folder: write(folder, named)


def write(folder: Path, named: Mapping[str, bytes | str]) -> None:
    """Write files by name, with their folders."""
    for name, content in named.items():
        path = folder / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def run(case: Case, folder: Path, main: Main, weights: Path, patch: pytest.MonkeyPatch) -> None:
    """Run a case and judge it."""
    case.build(folder)
    made: set[str] = set()
    ran = Ran(folder, "", "", {})
    if case.patch is not None:
        case.patch(patch)
    for step in case.steps:
        if step.before is not None:
            step.before(folder)
        was = contents(folder)
        words = [word.replace(WEIGHTS, str(weights)) for word in step.words]
        peak = Peak()
        code, out, err = main(words)
        grown = peak.grown()
        ran = Ran(folder, out, err, was)
        assert code == step.code, f"{words}: exit code {code}\n{err}"
        judge_words(step, out, err)
        now = contents(folder)
        for name, before in was.items():
            assert name in case.changed or now.get(name) == before, f"{name} has changed"
        made |= {name for name in now if name not in was}
        if case.memory is not None and grown is not None:
            assert grown < case.memory, f"grew by {grown} MiB"
    assert made == set(case.made)
    if case.check is not None:
        case.check(ran)


def judge_words(step: Step, out: str, err: str) -> None:
    """Every error is one line with a remedy; photos add up."""
    assert "Traceback" not in err
    assert "bug in mirnet" not in err
    lines = [line for line in err.split("\n") if line.startswith("mirnet: ")]
    notes = (": warning: ", "not started", "no photos found")
    errors = [line for line in lines if not any(note in line for note in notes)]
    wanted = int(step.code != 0) if step.errors is None else step.errors
    assert len(errors) == wanted, err
    for line in errors:
        assert line == printable(line)
        assert "; " in line, f"no remedy: {line}"
    assert step.says in err, err
    if step.counts is not None:
        told = [json.loads(line)["status"] for line in out.splitlines()]
        found = tuple(told.count(status) for status in ("done", "skipped", "failed"))
        assert found == step.counts, out
        assert sum(found) == len(told)


def contents(folder: Path) -> dict[str, object]:
    """Everything below a folder but journals: bytes of files, what else there is by its kind."""
    found: dict[str, object] = {}
    for place, folders, names in os.walk(folder):
        for name in [*names, *(each for each in folders if (Path(place) / each).is_symlink())]:
            path = Path(place) / name
            if name.startswith(".mirnet-journal"):
                continue
            status = path.lstat()
            key = path.relative_to(folder).as_posix()
            if stat.S_ISLNK(status.st_mode):
                found[key] = ("link", str(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                found[key] = path.read_bytes()
            else:
                found[key] = stat.S_IFMT(status.st_mode)
    return found


class Peak:
    """How much the process grows; Linux alone tells."""

    def __init__(self) -> None:
        self._begun = self._status("VmRSS")
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            self._begun = None

    def grown(self) -> int | None:
        """MiB by which the peak is above the beginning."""
        peak = self._status("VmHWM")
        return None if None in (peak, self._begun) else (peak - self._begun) >> 10  # type: ignore[operator]

    @staticmethod
    def _status(name: str) -> int | None:
        try:
            lines: list[Any] = Path("/proc/self/status").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) for line in lines if line.startswith(name)), None)
