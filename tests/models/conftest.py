"""Small weights in a folder that stands in for the shipped one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet_cli import networks
from mirnet_cli.models import catalogue, weights
from mirnet_cli.models.catalogue import Model
from mirnet_cli.networks.spec import NetworkSpec


def spec(seed: int = 0) -> NetworkSpec:
    """A made-up network: what reading and writing need, not what running does."""
    random = np.random.default_rng(seed)
    tensors = {
        "conv.weight": random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "conv.bias": random.standard_normal(4).astype(np.float32),
    }
    return NetworkSpec("compact", {"widths": [4, 8], "unshuffle": 2}, tensors, "")


def values(**changes: Any) -> dict[str, Any]:
    """Arguments of :func:`mirnet_cli.models.weights.save`."""
    return {
        "name": "denoise",
        "task": "denoise",
        "scales": (1,),
        "network": spec(),
        "base": "input",
        "context": "tile",
        "overlap": 16,
        "licence": "Apache-2.0",
        "training": {"seed": 1},
    } | changes


def entry(path: Path, **changes: Any) -> Model:
    """A catalogue entry for a file that exists."""
    data = path.read_bytes()
    fields = {
        "name": path.stem,
        "title": "for tests",
        "task": "denoise",
        "scales": (1,),
        "family": "compact",
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": "Apache-2.0",
        "commercial": True,
        "source": "shipped",
        "default_for": (),
        "scores": {},
    }
    return Model(**(fields | changes))


@pytest.fixture(autouse=True)
def _family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "FAMILIES", {"compact": None, "mirnet_v1": None}, raising=False)


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
        weights.save(path, **values(name=name, **changes))
        task, scales = changes.get("task", "denoise"), changes.get("scales", (1,))
        known.append(entry(path, task=task, scales=scales, default_for=default_for))
        return known[-1]

    return add
