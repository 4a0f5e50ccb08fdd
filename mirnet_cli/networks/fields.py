"""What a size of a network may be: bounds that every known network is well within."""

import math
from dataclasses import dataclass
from typing import Protocol


class Field(Protocol):
    """Knows the values that one name of a configuration may have."""

    def allows(self, value: object) -> bool:
        """Whether the value, JSON-like, is plausible."""
        ...


@dataclass(frozen=True)
class Whole:
    """A whole number from ``low`` to ``high``."""

    low: int
    high: int

    def allows(self, value: object) -> bool:
        # Not isinstance: true is an integer there.
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True)
class Either:
    """One of a few whole numbers."""

    values: tuple[int, ...]

    def allows(self, value: object) -> bool:
        return type(value) is int and value in self.values


@dataclass(frozen=True)
class Number:
    """A finite number from ``low`` to ``high``."""

    low: float
    high: float

    def allows(self, value: object) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and self.low <= value <= self.high
        )


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def allows(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Several:
    """A list of one to ``longest`` values."""

    each: Field
    longest: int

    def allows(self, value: object) -> bool:
        return (
            isinstance(value, list | tuple)
            and 0 < len(value) <= self.longest
            and all(self.each.allows(item) for item in value)
        )
