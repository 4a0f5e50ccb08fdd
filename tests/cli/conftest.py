"""``mirnet`` run in this process, with a stand-in for the restorer."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import fakes

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """What a run of ``mirnet`` left."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, lines
        return lines[0]


Mirnet = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MIRNET_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def mirnet(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Mirnet:
    """Run ``mirnet`` in an empty folder; without photos on standard input."""
    fakes.install(monkeypatch)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ran:
        from mirnet_cli.cli import main

        before = signal.getsignal(signal.SIGINT)
        code = main(list(words))
        assert signal.getsignal(signal.SIGINT) is before
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run


Process = Callable[..., "subprocess.CompletedProcess[bytes]"]


def command(*words: str) -> list[str]:
    """The command line of a process with the stand-in."""
    return [sys.executable, "-m", "tests.fakes", *words]


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """Run ``mirnet`` as a process of its own, with the stand-in, in an empty folder."""

    def run(
        *words: str, data: bytes | None = None, env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            command(*words),
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            timeout=60,
            check=False,
        )

    return run
