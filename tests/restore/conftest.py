"""Restorers over the fake network."""

from collections.abc import Callable
from typing import Any

import pytest

from mirnet_cli.restore import Restorer, prepared
from tests.restore.fakes import FakeRunner, make_weights


@pytest.fixture
def runners(monkeypatch: pytest.MonkeyPatch) -> list[FakeRunner]:
    """Every runner that is prepared from now on is a fake one, and is in this list."""
    made: list[FakeRunner] = []

    def prepare(spec: Any, *, scale: int | None, **options: str) -> FakeRunner:
        unshuffle = spec.config["unshuffle"]
        precision = options["precision"].replace("auto", "fp32")
        made.append(FakeRunner(4 * unshuffle, scale or 1, precision))
        return made[-1]

    monkeypatch.setattr(prepared, "prepare", prepare)
    return made


@pytest.fixture
def restorer(runners: list[FakeRunner]) -> Callable[..., Restorer]:
    """Makes a restorer: options of the weights by name, the rest as of Restorer."""

    def make(**options: Any) -> Restorer:
        names = ("stride", "scales", "base", "inputs", "known")
        weights = make_weights(**{name: options.pop(name) for name in names if name in options})
        return Restorer(weights, **options)

    return make
