"""Photoshop image resources: the block in which JPEG and TIFF files carry IPTC and more.

Source: Adobe Photoshop File Formats Specification, "Image Resource Blocks".
"""

import struct

from mirnet_cli.photo.source import DamageError

_IPTC = 0x0404
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
        end = start + size + size % 2
        if number == _IPTC and iptc is None:
            iptc = block[start : start + size]
        elif number not in _STALE:
            kept += block[at : start + size]
            if size % 2:
                kept += b"\0"
        at = end
    if at < len(block) and block[at:].strip(b"\0"):
        raise DamageError("a Photoshop resource does not begin as it should")
    return iptc, bytes(kept) or None


def join(iptc: bytes | None, resources: bytes | None) -> bytes | None:
    """The block that :func:`split` would part into these."""
    block = b""
    if iptc is not None:
        block = b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc
        if len(iptc) % 2:
            block += b"\0"
    return (block + (resources or b"")) or None
