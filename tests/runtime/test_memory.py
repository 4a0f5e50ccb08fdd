"""Planning numbers."""

import subprocess
import sys

import pytest

from mirnet_cli.errors import UsageError
from mirnet_cli.runtime.memory import USEFUL, bytes_per_pixel, ceiling, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4G", 4 << 30),
        ("4g", 4 << 30),
        ("1.5 GB", 3 << 29),
        ("800MiB", 800 << 20),
        (".5K", 512),
        (" 7 ", 7),
        (12345, 12345),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "4 G B", "-1G", "4P", "1e9", "nan", "٤G", 0, "0.2", "4GG"]
)
def test_what_is_no_size(text: str | int) -> None:
    with pytest.raises(UsageError, match="memory"):
        parse_size(text)


def test_the_ceiling() -> None:
    assert ceiling(None, 2 << 30) == 1 << 30
    assert ceiling(None, 64 << 30) == USEFUL
    assert ceiling("8G", 2 << 30) == 8 << 30


def test_planned_bytes_grow_with_the_network() -> None:
    compact = {"widths": [32, 64, 128], "unshuffle": 2}
    assert bytes_per_pixel(compact, 1) < bytes_per_pixel(compact | {"unshuffle": 1}, 2)
    assert bytes_per_pixel({"features": 32}, 1) < bytes_per_pixel({}, 1)


def test_the_package_needs_no_torch() -> None:
    code = (
        "import sys, mirnet_cli.runtime, mirnet_cli.runtime.memory, mirnet_cli.runtime.devices;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
