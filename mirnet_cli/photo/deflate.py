"""Deflate on all cores, with the same bytes whatever their number; and inflate with a limit."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from mirnet_cli.photo.source import DamageError

_REPETITIVE = 0.5
"""Blocks that run-length coding brings below this share are worth a search for repetitions.

Filtered photos have none: there run-length coding is faster by far, and smaller
(docs/measurements.md). Screenshots and drawings have many.
"""


def compress_each(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress each block into a zlib stream of its own, in order."""
    yield from _in_order(_stream, blocks)


def compress_as_one(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress blocks into the pieces of one zlib stream.

    Each block is deflated on its own and ends on a byte boundary, so that they can be worked on
    at the same time (RFC 1951 section 3.2.4; RFC 1950 for the frame).
    """
    checksum = 1

    def counted() -> Iterator[bytes]:
        nonlocal checksum
        for block in blocks:
            checksum = zlib.adler32(block, checksum)
            yield block

    yield b"\x78\x9c"
    yield from _in_order(_deflate, counted())
    yield b"\x03\x00" + checksum.to_bytes(4, "big")


def _stream(block: bytes) -> bytes:
    return b"\x78\x9c" + _deflate(block, zlib.Z_FINISH) + zlib.adler32(block).to_bytes(4, "big")


def _deflate(block: bytes, end: int = zlib.Z_SYNC_FLUSH) -> bytes:
    quick = _raw(block, end, zlib.Z_RLE)
    if len(quick) > _REPETITIVE * len(block):
        return quick
    return min(quick, _raw(block, end, zlib.Z_DEFAULT_STRATEGY), key=len)


def _raw(block: bytes, end: int, strategy: int) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
    return compressor.compress(block) + compressor.flush(end)


def _in_order(work: Callable[[bytes], bytes], blocks: Iterable[bytes]) -> Iterator[bytes]:
    threads = min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: list[Future[bytes]] = []
        for block in blocks:
            waiting.append(pool.submit(work, block))
            # A short queue: blocks that wait are memory.
            if len(waiting) > 2 * threads:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def inflate(data: bytes, limit: int) -> bytes:
    """Inflate a zlib stream of at most ``limit`` bytes.

    Raises:
        DamageError: it is larger, cut short, or not a zlib stream.
    """
    inflater = zlib.decompressobj()
    try:
        out = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise DamageError("its compressed data is corrupt") from error
    if len(out) > limit:
        raise DamageError(f"it unpacks to more than {limit} bytes")
    if not inflater.eof:
        raise DamageError("its compressed data is cut short")
    return out
