"""The scripts in tools/, as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

_TOOLS = Path(__file__).resolve().parents[1] / "tools"

needs_tools = pytest.mark.skipif(not _TOOLS.exists(), reason="not part of a source archive")


def load(name: str) -> ModuleType:
    """tools/NAME.py."""
    found = importlib.util.spec_from_file_location(name, _TOOLS / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
