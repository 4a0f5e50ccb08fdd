"""What tests of several parts share."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

from mirnet_cli.models import catalogue, weights
from mirnet_cli.models.catalogue import Model
from tests.models.builders import entry, some_weights

# Shells start what is in the background (`pytest &`) with SIGINT ignored, and so would be all
# processes that are tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# nohup ignores SIGHUP, likewise.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("mirnet", deadline=None)
hypothesis.settings.load_profile("mirnet")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Model]:
    """Adds weights to an otherwise empty catalogue: ``shipped("denoise", default_for=...)``."""
    folder = tmp_path / "weights"
    folder.mkdir()
    known: list[Model] = []
    monkeypatch.setattr(catalogue, "weights_folder", lambda: folder)
    monkeypatch.setattr(catalogue, "entries", lambda: tuple(known))

    def add(name: str, default_for: tuple[str, ...] = (), **changes: Any) -> Model:
        path = folder / f"{name}.safetensors"
        weights.save(path, some_weights(name=name, **changes))
        task, scales = changes.get("task", "denoise"), changes.get("scales", (1,))
        known.append(entry(path, task=task, scales=scales, default_for=default_for))
        return known[-1]

    return add


class Ran(NamedTuple):
    """What a run of ``mirnet`` left."""

    code: int
    out: str
    err: str


@pytest.fixture
def real(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ran]:
    """Runs ``mirnet`` in this process and an empty folder, nothing replaced."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ran:
        from mirnet_cli.cli import main

        code = main([str(word) for word in words])
        sys.stdout.flush()
        return Ran(code, *capfd.readouterr())

    return run


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test keeps in the cache is its own, and gone after it."""
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests keep what can be made again in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
