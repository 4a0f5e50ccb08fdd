"""The chunks that a PNG is made of. Source: PNG Specification, third edition, section 5."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

from mirnet_cli.photo.source import DamageError, Data

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 1_000_000
COLOUR = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
"""Chunks that tell colours without a profile (section 11.3.2)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: its name, where its content begins, and its length."""

    name: bytes
    at: int
    size: int


def walk(data: Data) -> Iterator[Chunk]:
    """All chunks up to IEND. Raises DamageError where the file ends before it."""
    at = 8
    for _ in range(MAX_CHUNKS):
        head = data[at : at + 8]
        if len(head) < 8:
            raise DamageError("it ends before the picture is complete")
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        if size > 0x7FFFFFFF or not name.isalpha():
            raise DamageError("a chunk does not begin as it should")
        if at + 12 + size > len(data):
            raise DamageError("it ends before the picture is complete")
        yield Chunk(name, at + 8, size)
        if name == b"IEND":
            return
        at += 12 + size
    raise DamageError(f"it has more than {MAX_CHUNKS} chunks")


def checked(data: Data, chunk: Chunk) -> bytes:
    """A chunk's content. Raises DamageError if its checksum is wrong."""
    body = data[chunk.at : chunk.at + chunk.size]
    stored = int.from_bytes(data[chunk.at + chunk.size : chunk.at + chunk.size + 4], "big")
    if zlib.crc32(body, zlib.crc32(chunk.name)) != stored:
        raise DamageError(f"the checksum of its {chunk.name.decode()} chunk is wrong")
    return body


def pack(name: bytes, body: bytes) -> list[bytes]:
    """The pieces of a chunk as they stand in a file."""
    checksum = zlib.crc32(body, zlib.crc32(name))
    return [len(body).to_bytes(4, "big") + name, body, checksum.to_bytes(4, "big")]


def rebuilt(chunks: Iterable[tuple[bytes, bytes]]) -> BytesIO:
    """A PNG of these chunks alone, for a decoder that shall see nothing else."""
    pieces = [SIGNATURE]
    for name, body in chunks:
        pieces += pack(name, body)
    return BytesIO(b"".join(pieces))
