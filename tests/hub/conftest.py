"""A Hub on loopback with a file of weights, and caches that are empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirnet_cli import settings
from mirnet_cli.models import weights
from tests.hub.server import State, serving
from tests.models.builders import some_weights

REPOSITORY = "someone/photos"
FILE = "mine.safetensors"


@pytest.fixture(autouse=True)
def _empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "MIRNET_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))
    settings.quiet_hub()
    from huggingface_hub import close_session

    close_session()
    yield
    close_session()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """The server, with :data:`FILE` in :data:`REPOSITORY`."""
    path = tmp_path / "source.safetensors"
    weights.save(path, some_weights(name="mine"))
    state = State({f"{REPOSITORY}/{FILE}": path.read_bytes()})
    with serving(state) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield state
