"""Palettes and transparency of PNGs: what libpng refuses or ignores changes no pixels."""

from typing import Any

import numpy as np
import pytest

from mirnet_cli.errors import InputError
from mirnet_cli.photo import decode
from tests.photo.pictures import chunk, png

PALETTE = bytes(range(10, 70))
INDICES = bytes([0, 1, 2, 19, 5, 6, 7, 8] * 4)


def transparency(body: bytes) -> bytes:
    return chunk(b"tRNS", body)


def alpha_of(data: bytes) -> Any:
    return decode(data).alpha


def of_palette(*before: bytes, after: bytes = b"") -> bytes:
    return png((8, 4, 8, 3), INDICES, *before, after=after)


@pytest.mark.parametrize(
    "chunks",
    [
        (chunk(b"PLTE", PALETTE), transparency(bytes(21))),
        (chunk(b"PLTE", PALETTE), transparency(bytes(256))),
        (chunk(b"PLTE", PALETTE), transparency(b"")),
        (transparency(b"\0\x64"), chunk(b"PLTE", PALETTE)),
    ],
)
def test_transparency_that_does_not_fit_its_palette_is_none(chunks: tuple[bytes, ...]) -> None:
    data = of_palette(*chunks)
    assert alpha_of(data) is None
    wanted = np.frombuffer(PALETTE, np.uint8).reshape(-1, 3)[list(INDICES)]
    np.testing.assert_array_equal(decode(data).pixels, wanted.reshape(4, 8, 3))


def test_the_first_transparency_before_the_pixels_counts() -> None:
    palette = chunk(b"PLTE", PALETTE)
    first, second = transparency(b"\0\x64"), transparency(b"\xff\xff\0")
    for data in (of_palette(palette, first, second), of_palette(palette, first, after=second)):
        assert alpha_of(data)[0].tolist() == [0, 100, 255, 255, 255, 255, 255, 255]
    assert alpha_of(of_palette(palette, after=first)) is None


@pytest.mark.parametrize(
    "chunks",
    [
        (),
        (chunk(b"PLTE", b""),),
        (chunk(b"PLTE", PALETTE[:-1]),),
        (chunk(b"PLTE", bytes(771)),),
        (chunk(b"PLTE", PALETTE), chunk(b"PLTE", PALETTE)),
    ],
)
def test_a_palette_that_is_none_is_refused(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(InputError, match="palette"):
        decode(of_palette(*chunks))


def test_an_index_beyond_the_palette_is_black() -> None:
    data = png((4, 1, 8, 3), bytes([0, 19, 20, 255]), chunk(b"PLTE", PALETTE))
    assert decode(data).pixels[0, 2:].max() == 0


@pytest.mark.parametrize(
    ("head", "raw", "body", "hidden"),
    [
        ((4, 1, 8, 0), bytes([1, 2, 3, 4]), b"\0\2", 1),
        ((4, 1, 8, 0), bytes([1, 2, 3, 4]), b"\1\2", 1),
        ((4, 1, 8, 0), bytes([1, 2, 3, 4]), b"\0\2\0", None),
        ((4, 1, 8, 0), bytes([1, 2, 3, 4]), b"\2", None),
        ((4, 1, 4, 0), b"\x12\x34", b"\xff\xf2", 1),
        ((2, 1, 8, 2), bytes(range(6)), b"\0\3\0\4\0\5", 1),
        ((2, 1, 8, 2), bytes(range(6)), b"\7\3\7\4\7\5", 1),
        ((2, 1, 8, 2), bytes(range(6)), b"\0\3\0\4\0\5\0\6", None),
        ((2, 1, 16, 0), b"\1\2\0\2", b"\0\2", 1),
    ],
)
def test_a_transparent_colour(
    head: tuple[int, int, int, int], raw: bytes, body: bytes, hidden: int | None
) -> None:
    found = alpha_of(png(head, raw, transparency(body)))
    if hidden is None:
        assert found is None
    else:
        assert np.flatnonzero(found[0] == 0).tolist() == [hidden]


@pytest.mark.parametrize("kind", [4, 6])
def test_transparency_beside_alpha_is_ignored(kind: int) -> None:
    channels = {4: 2, 6: 4}[kind]
    raw = bytes(range(4 * channels))
    found = decode(png((4, 1, 8, kind), raw, transparency(bytes(2 * (channels - 1)))))
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha[0], np.arange(4) * channels + channels - 1)
