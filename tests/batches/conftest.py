"""A stand-in for the restorer."""

import pytest

from tests import fakes


@pytest.fixture
def restorer(monkeypatch: pytest.MonkeyPatch) -> fakes.Restorer:
    """One that treats any bytes as a picture."""
    fakes.install(monkeypatch)
    return fakes.Restorer()
