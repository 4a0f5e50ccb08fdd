"""Values of options as people write them: sizes, times, rectangles.

Each function takes the text of one option, or a default that is parsed already, and raises
ValueError with what is wrong and what would be right.
"""

import math
import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
RANGES = ("0..1", "0..255", "-1..1")
"""What black and white may be in the numbers of a network."""
QUALITIES = ("auto", "clean", "real")
"""What a picture may be taken for."""
LOWEST_EV, HIGHEST_EV = -2.0, 5.0
"""Stops of light that can be asked for."""
LEAST_TILE = 16
"""Smallest tile that can be asked for, in pixels."""


def extension(text: str) -> str:
    """``JPG``, ``.jpg`` or ``jpg`` to ``jpg``."""
    name = text.strip().lstrip(".").lower()
    if not name.isalnum():
        raise ValueError(f"{text!r} is not a format; say jpg, png, webp, tif or bmp")
    return name


def quality(text: int | str) -> int:
    """1 to 100."""
    return _integer(text, 1, 100)


def strength(text: float | str) -> float:
    """0 to 1."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"{text!r} is not a number from 0 to 1")
    return number


def tilt(text: float | str) -> float:
    """-1 to 1."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not -1 <= number <= 1:
        raise ValueError(f"{text!r} is not a number from -1 to 1")
    return number + 0.0


def ev(text: float | str) -> float | str:
    """Stops of light, ``auto``, or ``auto`` and stops more or less, such as ``auto+0.7``.

    Returns:
        Stops from -2 to 5; or the text, without spaces and with the stops as Python writes them.
    """
    words = "".join(str(text).split()).lower()
    own = words.startswith("auto")
    number = words.removeprefix("auto")
    if own and not number:
        return "auto"
    # What is more or less than a photo asks for may span the whole range.
    most = HIGHEST_EV - LOWEST_EV if own else HIGHEST_EV
    least = -most if own else LOWEST_EV
    stops = math.nan
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", number, re.ASCII) and (not own or number[0] in "+-"):
        stops = float(number)
    if not least <= stops <= most:
        bounds = f"{LOWEST_EV:g} to {HIGHEST_EV:g}"
        raise ValueError(f"{text!r} is not stops of light from {bounds}, auto, or auto+0.7")
    if not own:
        return stops + 0.0
    return f"auto{stops:+g}" if stops else "auto"


def overlap(text: int | str) -> int:
    """0 or more pixels."""
    return _integer(text, 0, 1 << 20)


def scale(text: int | str) -> int:
    """1, 2, 3 or 4."""
    if str(text).strip() not in ("1", "2", "3", "4"):
        raise ValueError(f"{text!r} is not 1, 2, 3 or 4")
    return int(text)


def device(text: str) -> str:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``directml``, in lower case."""
    name = str(text).strip().lower()
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,4})?|mps|directml", name, re.ASCII):
        raise ValueError(f"{text!r} is not auto, cpu, cuda, cuda:N, mps or directml")
    return name


def tile(text: int | str) -> int | str:
    """``auto``, 0 (never cut) or the side of a tile in pixels."""
    if str(text).strip().lower() == "auto":
        return "auto"
    try:
        side = _integer(text, 0, 1 << 20)
    except ValueError:
        side = -1
    if side != 0 and side < LEAST_TILE:
        raise ValueError(f"{text!r} is not auto, 0 or a number of pixels from {LEAST_TILE} on")
    return side


def crop(given: str | Iterable[int]) -> tuple[int, int, int, int]:
    """``X,Y,W,H`` in pixels, or four whole numbers; width and height at least 1."""
    numbers: list[Any] = []
    if isinstance(given, str):
        parts = re.split(r"[,x ]+", given.strip())
        if all(part.isascii() and part.isdigit() for part in parts):
            numbers = [int(part) for part in parts]
    elif isinstance(given, Iterable):
        numbers = [int(each) if isinstance(each, Integral) else -1 for each in given]
    if len(numbers) != 4 or min(numbers) < 0:
        raise ValueError(f"{given!r} is not X,Y,WIDTH,HEIGHT in pixels, such as 100,100,512,512")
    left, top, width, height = numbers
    if not width or not height:
        raise ValueError(f"{given!r} has no pixels; width and height are at least 1")
    return left, top, width, height


def box(given: str | Iterable[int]) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` in pixels, or two whole numbers; each at least 1."""
    parts = re.split(r"[x,]", given.strip().lower()) if isinstance(given, str) else [*given]
    sides = [int(each) if str(each).isascii() and str(each).isdigit() else 0 for each in parts]
    if len(sides) != 2 or not 0 < min(sides) <= max(sides) < 10**6:
        raise ValueError(f"{given!r} is not WIDTHxHEIGHT in pixels, such as 3840x2160")
    return sides[0], sides[1]


def point(text: Any) -> tuple[int, int]:
    """``X,Y`` in pixels."""
    found = re.fullmatch(r"(\d{1,9}),(\d{1,9})", str(text).strip(), re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is not X,Y in pixels, such as 1200,800")
    return int(found[1]), int(found[2])


def pixels(text: int | str) -> int:
    """A number of pixels: ``500M`` or ``500000000``."""
    number = _sized(str(text), _DECIMAL)
    if number is None:
        raise ValueError(f"{text!r} is not a number of pixels, such as 500M")
    return number


def memory(text: int | str) -> int:
    """An amount of memory in bytes: ``4G``, ``800M``; multiples of 1024."""
    number = _sized(str(text), _BINARY, "(?:i?b)?")
    if number is None:
        raise ValueError(f"{text!r} is not an amount of memory, such as 4G or 800M")
    return number


def seconds(text: float | str) -> float:
    """A time: ``90``, ``90s``, ``30m``, ``1.5h``, ``1h30m`` or ``1:30:00``; more than 0.

    A number of seconds may be 0.
    """
    if isinstance(text, Real) and text >= 0:
        return float(text)
    words = str(text).strip().lower()
    total: float | None = None
    if re.fullmatch(r"\d+(:\d\d){1,2}(\.\d+)?", words):
        total = 0.0
        for part in words.split(":"):
            total = total * 60 + float(part)
    elif found := re.fullmatch(
        r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m(?:in)?)?(?:([\d.]+)s?)?", words
    ):
        try:
            parts = [float(part or 0) for part in found.groups()]
            total = sum(n * size for n, size in zip(parts, (86400, 3600, 60, 1), strict=True))
        except ValueError:
            total = None
    if not total or total <= 0:
        raise ValueError(f"{text!r} is not a time, such as 90s, 30m, 2h or 1:30:00")
    return total


def shard(text: Any) -> tuple[int, int]:
    """``i/n`` or (i, n): part i of n, counted from 1."""
    match text:
        case (int(index), int(count)) if 1 <= index <= count:
            return index, count
        case str() if found := re.fullmatch(r"(\d+)/(\d+)", text.strip()):
            index, count = int(found[1]), int(found[2])
            if 1 <= index <= count:
                return index, count
    raise ValueError(f"{text!r} is not i/n with i from 1 to n, such as 1/4")


def patterns(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """One pattern, several or none."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def paths(given: str | Path | Iterable[str | Path] | None) -> tuple[Path, ...]:
    """One path, several or none."""
    several = (given,) if isinstance(given, str | Path) else given or ()
    return tuple(Path(each) for each in several)


def settings(
    given: str | Iterable[Any] | Mapping[str, float] | None,
) -> tuple[tuple[str, float], ...]:
    """``NAME=VALUE``, several of them, or a mapping."""
    if isinstance(given, Mapping):
        pairs: list[Any] = list(given.items())
    else:
        pairs = [
            tuple(each.partition("=")[::2]) if isinstance(each, str) else each
            for each in patterns(given)
        ]
    found = {}
    for name, value in pairs:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not str(name).strip() or not math.isfinite(number):
            said = f"{name}={value}" if value not in ("", None) else str(name)
            raise ValueError(f"{said!r} is not NAME=NUMBER, such as sigma=0.1")
        found[str(name).strip()] = number
    return tuple(sorted(found.items()))


def input_range(text: str) -> str:
    """``0..1``, ``0..255`` or ``-1..1``."""
    if text not in RANGES:
        raise ValueError(f"{text!r} is not one of {', '.join(RANGES)}")
    return text


def input_quality(text: str) -> str:
    """``auto``, ``clean`` or ``real``."""
    if text not in QUALITIES:
        raise ValueError(f"{text!r} is not one of {', '.join(QUALITIES)}")
    return text


def jobs(text: int | str) -> int:
    """1 or more."""
    return _integer(text, 1, 4096)


def cluster(text: str) -> str:
    """``local:N``, the address of a scheduler, or the path of a scheduler file."""
    address = text.strip()
    kind, _, rest = address.partition(":")
    if kind == "local":
        if not re.fullmatch(r"[1-9]\d{0,3}", rest, re.ASCII):
            raise ValueError(f"{text!r} is not local:N with a number of workers, such as local:4")
        return address
    if re.fullmatch(r"[\w.-]+:\d+", address, re.ASCII):
        return f"tcp://{address}"
    if re.fullmatch(r"(tcp|tls|wss?)://[^/\s]+:\d{1,5}", address, re.ASCII):
        return address
    if address and "://" not in address:
        return address
    raise ValueError(
        f"{text!r} is no scheduler; say local:N, tcp://host:8786 or the path of a scheduler file"
    )


def count(text: int | str) -> int:
    """1 or more."""
    return _integer(text, 1, 10**9)


def seed(text: int | str) -> int:
    """0 or more."""
    return _integer(text, 0, 2**31 - 1)


def positive(text: float | str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"{text!r} is not a number above 0")
    return number


def _integer(text: int | str, least: int, most: int) -> int:
    words = str(text).strip()
    if not (words.isascii() and words.isdigit()) or not least <= int(words[:20]) <= most:
        raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
    return int(words)


def _sized(text: str, sizes: dict[str, int], ending: str = "") -> int | None:
    letters = "".join(sizes)
    pattern = rf"(\d+(?:\.\d*)?|\.\d+)\s*([{letters}]?){ending}"
    found = re.fullmatch(pattern, text.strip().lower(), re.ASCII)
    amount = float(found[1]) * sizes[found[2]] if found else 0.0
    return int(amount) if 1 <= amount < math.inf else None
