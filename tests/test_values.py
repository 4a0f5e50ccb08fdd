"""Values of options as people write them."""

from collections.abc import Callable
from typing import Any

import pytest

from mirnet_cli import values


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (values.extension, ".JPG", "jpg"),
        (values.strength, "0.25", 0.25),
        (values.strength, 1.0, 1.0),
        (values.tile, "AUTO", "auto"),
        (values.tile, "0", 0),
        (values.tile, "512", 512),
        (values.crop, "1,2,3,4", (1, 2, 3, 4)),
        (values.crop, (1, 2, 3, 4), (1, 2, 3, 4)),
        (values.crop, [1, 2, 3, 4], (1, 2, 3, 4)),
        (values.point, "10,20", (10, 20)),
        (values.pixels, "500M", 500_000_000),
        (values.pixels, "1.5k", 1500),
        (values.pixels, 500_000_000, 500_000_000),
        (values.memory, "4G", 4 << 30),
        (values.memory, "4 GiB", 4 << 30),
        (values.memory, "800MB", 800 << 20),
        (values.memory, "1000000", 1_000_000),
        (values.memory, "1.5 GB", 3 << 29),
        (values.memory, ".5K", 512),
        (values.memory, " 7 ", 7),
        (values.memory, 12345, 12345),
        (values.seconds, "90", 90),
        (values.seconds, "90s", 90),
        (values.seconds, "30m", 1800),
        (values.seconds, "1.5h", 5400),
        (values.seconds, "1h30m", 5400),
        (values.seconds, "1:30:00", 5400),
        (values.seconds, "2:05", 125),
        (values.shard, "3/4", (3, 4)),
        (values.cluster, " local:4", "local:4"),
        (values.cluster, "host-1:8786", "tcp://host-1:8786"),
        (values.cluster, "tls://[::1]:8786", "tls://[::1]:8786"),
        (values.cluster, "/shared/scheduler.json", "/shared/scheduler.json"),
        (values.scale, "4", 4),
        (values.positive, "0.5", 0.5),
    ],
)
def test_right(read: Callable[[Any], Any], text: Any, expected: Any) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (values.extension, ""),
        (values.extension, "a/b"),
        (values.quality, "101"),
        (values.quality, "50.5"),
        (values.strength, "1.01"),
        (values.strength, "inf"),
        (values.overlap, "-1"),
        (values.overlap, "٣"),
        (values.tile, "9" * 30),
        (values.tile, "15"),
        (values.tile, -1),
        (values.tile, 64.5),
        (values.strength, None),
        (values.crop, 5),
        (values.crop, (1, 2, 3)),
        (values.crop, (1, 2, 3.5, 4)),
        (values.crop, "1,2,3"),
        (values.crop, "1,2,0,4"),
        (values.crop, "-1,2,3,4"),
        (values.point, "1"),
        (values.pixels, "0"),
        (values.pixels, "5T"),
        (values.pixels, "9" * 400),
        (values.memory, "9" * 308 + "G"),
        (values.memory, "G"),
        (values.memory, ""),
        (values.memory, "4 G B"),
        (values.memory, "4P"),
        (values.memory, "1e9"),
        (values.memory, "nan"),
        (values.memory, "٤G"),
        (values.memory, 0),
        (values.memory, "0.2"),
        (values.memory, "4GG"),
        (values.memory, "-4G"),
        (values.seconds, ""),
        (values.seconds, "0"),
        (values.seconds, "soon"),
        (values.seconds, "1.2.3h"),
        (values.shard, "0/3"),
        (values.shard, "4/3"),
        (values.shard, "1"),
        (values.cluster, ""),
        (values.cluster, "local"),
        (values.cluster, "local:0"),
        (values.cluster, "tcp://host"),
        (values.cluster, "http://host:80"),
        (values.scale, "5"),
        (values.positive, "nan"),
    ],
)
def test_wrong(read: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"is|has"):
        read(text)
