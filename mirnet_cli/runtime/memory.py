"""How much memory a network needs for a tile, and how much it may have: numbers, no allocation."""

import re
from collections.abc import Mapping
from typing import Any

from mirnet_cli.errors import UsageError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)

USEFUL = 9 << 28
"""Bytes (2.25 GiB) beyond which a ceiling that nobody set is not used: more buys no speed."""


FIXED = 420 << 20
"""Bytes of the process with torch, OpenCV and Pillow loaded and a network built.

Measured: 280 MiB with torch 2.13 for the CPU and a compact network; the rest is decoders, the
command line, and what the allocator does not give back.
"""

LIVE = 24
"""How many full-size streams' worth of float32 one run holds at its peak.

Measured on the CPU as the growth of the process's peak over one run with a mask, one thread, torch
2.13, in streams of ``features`` (or ``widths[0] / unshuffle**2``) float32 for each input pixel:
compact (32, 48, 64) 21 at 1024x1024, mirnet_v1 with 64 features 22 at 256x256, with 32 features 21
at 512x512; without a mask 16, 21 and 16; in bf16 10 (compact). Rounded up for small tiles, where
buffers that do not depend on the size count for more.
"""

OUTPUTS = 6
"""Pictures of the output's size in float32 that are held at once: the last layer's, shuffled,
copied from the device, and the base, the sum and a temporary of stitching."""


def parse_size(text: str | int) -> int:
    """Bytes from "4G", "1.5 GB", "800MiB" or a plain number; K, M, G, T are powers of 1024.

    Raises:
        UsageError: for anything else, and for nothing.
    """
    match = _SIZE.fullmatch(str(text).strip())
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise UsageError(f"{text!r} is not an amount of memory", "write it like 800M or 4G")
    return size


def ceiling(max_memory: int | str | None, limit: int) -> int:
    """Bytes that the process may take.

    Args:
        max_memory: ``--max-memory``; None is half of ``limit``, or less where more buys no speed.
        limit: memory of the machine or container.

    Raises:
        UsageError: for an amount that cannot be read.
    """
    if max_memory is None:
        return min(limit // 2, USEFUL)
    return parse_size(max_memory)


def device_ceiling(device: str) -> int | None:
    """Bytes that tiles may take on a device with memory of its own; None for the others.

    Nine tenths of what is free there now, in steps of 256 MiB.
    """
    from mirnet_cli.runtime.devices import find, free_memory

    free = free_memory(find(device))
    return None if free is None else free * 9 // 10 >> 28 << 28


def bytes_per_pixel(config: Mapping[str, Any], scale: int) -> int:
    """Peak bytes of one run and of stitching its result, for each input pixel.

    Args:
        config: of the network. Its full-size stream has ``features`` channels, or ``widths[0]``,
            on a picture unshuffled by ``unshuffle``; where it says neither, 64 at full size.
        scale: output pixels for each input pixel, along one axis.
    """
    widths = config.get("widths") or (config.get("features", 64),)
    stream = float(widths[0]) / int(config.get("unshuffle", 1)) ** 2
    numbers = LIVE * stream + 2 * int(config.get("inputs", 3)) + OUTPUTS * 3 * scale**2
    return int(4 * numbers)
