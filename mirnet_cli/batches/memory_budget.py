"""How much memory a photo takes on its way, known from its header alone.

Tiles are cut as if a photo were alone (:mod:`mirnet_cli.restore.sizing`), so that neighbours never
change a result. What is left below the ceiling is room for the next photos and the last ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirnet_cli import stores
from mirnet_cli.batches.plan import Item
from mirnet_cli.errors import MirnetError
from mirnet_cli.restore.options import PhotoOptions

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer

_READING = {"JPEG": 10, "BMP": 13, "AVIF": 13, "WEBP": 18, "PNG": 35, "TIFF": 35}
"""Bytes a pixel at the peak of decoding (docs/measurements.md)."""
_WRITING = {"JPEG": 10, "BMP": 12, "WEBP": 14, "PNG": 21, "TIFF": 21, "AVIF": 44}
"""Bytes a pixel at the peak of encoding, the pixels included."""
_HELD = {"JPEG": 3, "BMP": 4, "AVIF": 4, "WEBP": 4, "PNG": 8}
_UNKNOWN = 48
_HELD_UNKNOWN = 16
_HOST = 2 << 30
"""Of a process that computes on another device."""


@dataclass(frozen=True)
class Cost:
    """Bytes that a photo takes.

    Attributes:
        reading: while it is decoded, and until it is computed.
        computing: of the whole process, were this photo alone in it.
        writing: from its last tile until its file is written.
    """

    reading: int = 0
    computing: int = 0
    writing: int = 0


def cost(restorer: "Restorer", item: Item, options: PhotoOptions) -> Cost | None:
    """What a photo takes; None where it cannot be known, so that it should be alone."""
    from mirnet_cli.photo import format_from_name, probe

    try:
        header = probe(item.source, max_pixels=options.max_pixels)
    except (MirnetError, OSError):
        # Reading ends at once, with the same error.
        return Cost()
    width, height = options.crop[2:] if options.crop else (header.width, header.height)
    try:
        forecast = restorer.foresee(width, height)
    except MirnetError:
        return None
    samples = _HELD.get(header.format, _HELD_UNKNOWN)
    enlarged = restorer.scale**2
    taken = (samples - 3) * (1 + enlarged) * width * height
    if restorer.device != "cpu":
        taken += _HOST + 3 * (1 + enlarged) * width * height
    else:
        taken += forecast.memory
    written = options.format_name or format_from_name(item.target.name) or header.format
    return Cost(
        reading=stores.of(item.source).size(item.source)
        + _READING.get(header.format, _UNKNOWN) * header.width * header.height,
        computing=taken,
        writing=_WRITING.get(written, _UNKNOWN) * enlarged * width * height,
    )


def fits(queue: Iterable[Cost], writing: int, ceiling: int) -> bool:
    """Whether photos can be in memory together, whichever of them is computed.

    Args:
        queue: those that are computed or wait for it, in this order.
        writing: bytes of those that are being written.
        ceiling: bytes that the process may take.
    """
    behind = 0
    for each in reversed(tuple(queue)):
        if each.computing + behind + writing > ceiling:
            return False
        behind += each.reading
    return True
