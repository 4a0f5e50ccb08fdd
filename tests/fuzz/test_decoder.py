"""The fuzz target over mutations of good files: a little of it each time, more with ``-m slow``."""

import random

import pytest

from tests.fuzz.decoder import check, seeds

SEEDS = seeds()
TOKENS = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"IDAT",
    b"\xff\xd9",
    b"II*\0",
    b"",
)


def mutated(data: bytes, draw: random.Random) -> bytes:
    """One to eight changes of the kinds that fuzzers make."""
    made = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        # Heads are short and say more than pixels do.
        reach = min(len(made), 400) if draw.random() < 0.6 else len(made)
        at = draw.randrange(max(reach, 1))
        kind = draw.randrange(6)
        if kind == 0:
            made[at : at + 1] = bytes((draw.randrange(256),))
        elif kind == 1:
            made[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            token = draw.choice(TOKENS)
            made[at : at + len(token)] = token
        elif kind == 3:
            del made[at : at + draw.choice((1, 2, 4, 16, 64))]
        elif kind == 4:
            piece = made[at : at + draw.choice((1, 4, 12, 40))]
            made[at:at] = piece
        else:
            other = SEEDS[draw.choice(sorted(SEEDS))]
            start = draw.randrange(len(other))
            made[at : at + 24] = other[start : start + 24]
        if not made:
            return b"\0"
    return bytes(made)


def go(name: str, count: int, seed: str) -> None:
    draw = random.Random(f"{seed}{name}")
    for _ in range(count):
        data = mutated(SEEDS[name], draw)
        try:
            check(data)
        except BaseException as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{data.hex()}") from error


@pytest.mark.parametrize("name", SEEDS)
def test_mutations_of_good_files(name: str) -> None:
    go(name, 40, "always")


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_many_mutations_of_good_files(name: str) -> None:
    go(name, 2000, "slow")
