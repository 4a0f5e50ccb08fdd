"""Photoshop image resources: the block in which JPEG and TIFF files carry IPTC and more.

Source: Adobe Photoshop File Formats Specification, "Image Resource Blocks".
"""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirnet_cli.photo.source import DamageError

if TYPE_CHECKING:
    from mirnet_cli.photo.view import View

_IPTC = 0x0404
_RESOLUTION, _WORKING_PATH, _GUIDES, _SLICES, _COUNTS, _SCALE = 1005, 1025, 1032, 1050, 1080, 1074
_PATHS = range(2000, 2999)
_STALE = {0x0409, 0x040C, 0x0425}
"""Thumbnails of the old picture, and a checksum of IPTC that is renewed by who reads it."""


def split(block: bytes) -> tuple[bytes | None, bytes | None]:
    """Part a block of resources.

    Returns:
        The IPTC-IIM stream and the other resources worth keeping; None for what is not there.

    Raises:
        DamageError: a resource does not end within the block.
    """
    iptc: bytes | None = None
    kept = bytearray()
    for number, head, content in _resources(block):
        if number == _IPTC and iptc is None:
            iptc = content
        elif number not in _STALE:
            kept += _packed(head, content)
    return iptc, bytes(kept) or None


def _resources(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, bytes before the length, and content of each resource.

    Raises:
        DamageError: one does not end within the block.
    """
    at = 0
    while len(block) - at >= 12 and block[at : at + 4] in (b"8BIM", b"MeSa", b"AgHg", b"PHUT"):
        (number,) = struct.unpack_from(">H", block, at + 4)
        name_size = (block[at + 6] + 2) & ~1
        size_at = at + 6 + name_size
        if size_at + 4 > len(block):
            raise DamageError("a Photoshop resource does not end")
        (size,) = struct.unpack_from(">I", block, size_at)
        start = size_at + 4
        if start + size > len(block):
            raise DamageError("a Photoshop resource does not end")
        yield number, block[at:size_at], block[start : start + size]
        at = start + size + size % 2
    if at < len(block) and block[at:].strip(b"\0"):
        raise DamageError("a Photoshop resource does not begin as it should")


def _packed(head: bytes, content: bytes) -> bytes:
    return head + struct.pack(">I", len(content)) + content + b"\0" * (len(content) % 2)


def join(iptc: bytes | None, resources: bytes | None) -> bytes | None:
    """The block that :func:`split` would part into these."""
    block = b""
    if iptc is not None:
        block = b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc
        if len(iptc) % 2:
            block += b"\0"
    return (block + (resources or b"")) or None


def moved(block: bytes, view: "View") -> tuple[bytes | None, tuple[str, ...]]:
    """The resources with their places where they are in the second picture of a view.

    Paths and guides follow; slices and counted points are taken out.

    Returns:
        The block, and what to say of it.
    """
    kept = b""
    said: list[str] = []
    try:
        for number, head, content in _resources(block):
            new: bytes | None = content
            if number in _PATHS or number == _WORKING_PATH:
                new = _path(content, view)
            elif number == _GUIDES:
                new = _guides(content, view)
            elif number == _RESOLUTION and view.turn >= 5 and len(content) == 16:
                new = content[8:] + content[:8]
            elif number in (_SLICES, _COUNTS, _SCALE):
                new = None
                said.append(
                    "Photoshop's slices, counts and measures are left out: they are in pixels"
                )
            if new is not None:
                kept += _packed(head, new)
    except DamageError:
        return block, ()
    return kept or None, tuple(dict.fromkeys(said))


def _path(content: bytes, view: "View") -> bytes:
    """A path: records of 26 bytes; knots have three points, down and across, 8.24 of the sides."""
    records = bytearray(content)
    for at in range(0, len(records) - 25, 26):
        if int.from_bytes(records[at : at + 2], "big") in (1, 2, 4, 5):
            for point in range(at + 2, at + 26, 8):
                down, across = struct.unpack_from(">ii", records, point)
                x, y = view.point(across / (1 << 24), down / (1 << 24))
                struct.pack_into(">ii", records, point, _fixed(y), _fixed(x))
    return bytes(records)


def _fixed(value: float) -> int:
    return max(-(1 << 31), min((1 << 31) - 1, round(value * (1 << 24))))


def _guides(content: bytes, view: "View") -> bytes:
    """Guides: where each crosses the picture, in 32nds of a pixel, and whether it is horizontal."""
    if len(content) < 16:
        return content
    found = bytearray(content[:16])
    count = 0
    for at in range(16, len(content) - 4, 5):
        along, lies = struct.unpack_from(">iB", content, at)
        share = along / 32 / (view.height if lies else view.width)
        x, y = view.point(0.5 if lies else share, share if lies else 0.5)
        if view.turn >= 5:
            lies = 1 - lies
        share, side = (y, view.size[1]) if lies else (x, view.size[0])
        if 0 <= share <= 1:
            found += struct.pack(">iB", round(share * side * 32), lies)
            count += 1
    struct.pack_into(">I", found, 12, count)
    return bytes(found)
