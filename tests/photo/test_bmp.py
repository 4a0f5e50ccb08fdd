"""BMPs of every header, depth, mask and run length. What is right is what ImageMagick shows."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mirnet_cli.errors import InputError
from mirnet_cli.photo import decode

WIDTH, HEIGHT = 7, 5
GREYS = b"".join(bytes((value, value, value, 0)) for value in range(256))


def bmp(
    body: bytes,
    depth: int,
    compression: int = 0,
    *,
    header: int = 40,
    masks: Sequence[int] = (),
    palette: bytes = b"",
    height: int = HEIGHT,
) -> bytes:
    sides = (WIDTH, height, 1, depth, compression, len(body), 0, 0, 0, 0)
    head = struct.pack("<IiiHHIIiiII", header, *sides)
    if header == 12:
        head = struct.pack("<IHHHH", 12, WIDTH, height, 1, depth)
    head += struct.pack(f"<{len(masks)}I", *masks)
    head = head.ljust(header, b"\0")
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + head + palette + body


def rows(values: Any) -> bytes:
    """Rows from the bottom, each filled up to four bytes."""
    lines = [row.tobytes() for row in values[::-1]]
    return b"".join(line + b"\0" * (-len(line) % 4) for line in lines)


MASKS = {
    "565": (16, (0xF800, 0x7E0, 0x1F, 0)),
    "555": (16, (0x7C00, 0x3E0, 0x1F, 0)),
    "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "5551": (16, (0xF800, 0x7C0, 0x3E, 1)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "565 from blue": (16, (0x1F, 0x7E0, 0xF800, 0)),
    "332": (16, (0xE0, 0x1C, 3, 0)),
    "no green": (16, (0xF800, 0, 0x1F, 0)),
    "bgrx": (32, (0xFF0000, 0xFF00, 0xFF, 0)),
    "abgr": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "10 bits": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
}


@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("name", MASKS)
def test_bit_fields(name: str, header: int) -> None:
    depth, masks = MASKS[name]
    words = np.random.default_rng(0).integers(0, 1 << depth, (HEIGHT, WIDTH), np.uint64)
    stored = rows(words.astype(f"<u{depth // 8}"))
    given = masks if header >= 56 else masks[:3]
    found = decode(bmp(stored, depth, 3, header=header, masks=given))
    full = 65535 if name == "10 bits" else 255
    channels = [*np.moveaxis(found.pixels, -1, 0), found.alpha]
    for mask, values in zip((*given, 0)[:4], channels, strict=True):
        if not mask:
            assert values is None or not values.any()
            continue
        field = (words & mask) // (mask & -mask)
        wanted = np.rint(field * (full / (mask // (mask & -mask))))
        np.testing.assert_array_equal(values, wanted)


def test_alpha_fields_behind_the_oldest_header() -> None:
    words = np.arange(HEIGHT * WIDTH, dtype="<u4").reshape(HEIGHT, WIDTH) * 0x01030507
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    found = decode(bmp(rows(words), 32, 6, masks=masks))
    np.testing.assert_array_equal(found.alpha, words >> 24)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("header", [12, 40])
def test_palettes(depth: int, header: int) -> None:
    random = np.random.default_rng(depth)
    table = random.integers(0, 256, (1 << depth, 3), np.uint8)
    indices = random.integers(0, 1 << depth, (HEIGHT, WIDTH), np.uint8)
    flags = indices[..., None] >> np.arange(depth)[::-1] & 1
    stored = np.packbits(flags.astype(np.uint8).reshape(HEIGHT, -1), axis=1)
    ends = b"" if header == 12 else b"\0"
    palette = b"".join(entry[::-1].tobytes() + ends for entry in table)
    found = decode(bmp(rows(stored), depth, header=header, palette=palette))
    np.testing.assert_array_equal(found.pixels, table[indices])
    short = palette[: len(palette) // 2]
    found = decode(bmp(rows(stored), depth, header=header, palette=short))
    here = indices < len(table) // 2
    np.testing.assert_array_equal(found.pixels, table[np.where(here, indices, 0)])


RUNS = {
    "runs and absolute runs": (
        8,
        ["07 05 0000", "0003 010203 00 04 09 0000", "0007 01020304050607 00 0000"],
        [[5] * 7, [1, 2, 3, 9, 9, 9, 9], [1, 2, 3, 4, 5, 6, 7], [0] * 7, [0] * 7],
    ),
    "an absolute run one over an odd row": (
        8,
        ["0008 0102030405060708 0000", "07 03 0000", "07 04 0000", "07 05 0000", "07 06 0000"],
        [[1, 2, 3, 4, 5, 6, 7], [3] * 7, [4] * 7, [5] * 7, [6] * 7],
    ),
    "a run one over an odd row": (
        8,
        ["08 02 0000", "07 03 0000", "07 04 0000", "07 05 0000", "08 06 0000"],
        [[2] * 7, [3] * 7, [4] * 7, [5] * 7, [6] * 7],
    ),
    "no ends of rows": (8, ["07 01 07 02 07 03 07 04 07 05"], [[v] * 7 for v in range(1, 6)]),
    "a step": (
        8,
        ["02 05 0002 0301 02 06 0000"],
        [[5, 5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 6, 6], [0] * 7, [0] * 7, [0] * 7],
    ),
    "nibbles": (
        4,
        ["07 12 0000", "0007 12345670 0000", "0008 12345678 0000", "0005 123450 00 02 78 0000"],
        [
            [1, 2, 1, 2, 1, 2, 1],
            [1, 2, 3, 4, 5, 6, 7],
            [1, 2, 3, 4, 5, 6, 7],
            [1, 2, 3, 4, 5, 7, 8],
            [0] * 7,
        ],
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_run_lengths(name: str) -> None:
    depth, codes, wanted = RUNS[name]
    body = bytes.fromhex("".join(codes)) + b"\0\1"
    compression = 1 if depth == 8 else 2
    palette = GREYS[: 4 << depth]
    found = decode(bmp(body, depth, compression, palette=palette)).pixels
    found = found if found.ndim == 2 else found[..., 0]
    np.testing.assert_array_equal(found[::-1], wanted)


@pytest.mark.parametrize(
    ("body", "compression", "said"),
    [
        (bytes.fromhex("070100000702"), 1, "ends before the picture is complete"),
        (bytes.fromhex("0009010203"), 1, "ends before the picture is complete"),
        (bytes(100), 4, "JPEG or PNG within a BMP"),
        (bytes(100), 2, "not one for its depth"),
    ],
)
def test_what_is_cut_short_or_not_read(body: bytes, compression: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        decode(bmp(body, 8, compression, palette=GREYS))


def test_a_code_of_os2_is_no_jpeg() -> None:
    """Compression 4 is RLE24 behind a header of OS/2, and JPEG behind those of Windows."""
    with pytest.raises(InputError, match="its compression is not read"):
        decode(bmp(bytes(100), 24, 4, header=64))
