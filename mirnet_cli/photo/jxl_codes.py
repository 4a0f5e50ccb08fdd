"""Numbers as JPEG XL codes them: fields of bits, and streams of prefix or ANS codes.

Source: ISO/IEC 18181-1:2024, annexes B.2 (fields) and C (entropy coding).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from mirnet_cli.photo.source import DamageError

_CORRUPT = "its header is corrupt"
_RANGE = 1 << 12
"""What the frequencies of an ANS distribution add up to."""

_FINAL = 0x130000
"""The state of an ANS decoder at the end."""

_COUNT_CODES = (
    *((17, 5), (11, 4), (15, 4), (3, 4), (9, 4), (7, 4), (4, 3), (2, 3), (5, 3), (6, 3), (0, 3)),
    *((33, 6), (1, 7), (65, 7)),
)
"""Code and its length for each logarithm of a frequency (C.2.5)."""

_SAME = 13
"""The last of them says that several frequencies are equal."""

_ORDER = (1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15)
"""In which order the lengths of the codes for code lengths are stored."""

_LENGTHS = {0: (2, 0), 1: (2, 4), 2: (2, 3), 3: (3, 2), 7: (4, 1), 15: (4, 5)}
"""By their four lowest bits, how many count and the length they stand for."""


class Bits:
    """A stream of bits, the lowest of a byte first."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def peek(self, count: int) -> int:
        """Up to 56 bits; beyond the end they are zeros."""
        start = self.at >> 3
        window = int.from_bytes(self._data[start : start + 8], "little")
        return window >> (self.at & 7) & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > 8 * len(self._data):
            raise DamageError("it ends within its header")

    def u(self, count: int) -> int:
        value = self.peek(count)
        self.skip(count)
        return value

    def yes(self) -> bool:
        return self.u(1) == 1

    def u32(self, *choices: tuple[int, int]) -> int:
        """U32(): two bits choose an offset and a number of bits to add to it."""
        offset, count = choices[self.u(2)]
        return offset + self.u(count)

    def u64(self) -> int:
        kind = self.u(2)
        if kind < 3:
            return 0 if kind == 0 else 1 + self.u(4) if kind == 1 else 17 + self.u(8)
        value, shift = self.u(12), 12
        while self.yes():
            if shift == 60:
                return value | self.u(4) << 60
            value |= self.u(8) << shift
            shift += 8
        return value

    def enum(self) -> int:
        return self.u32((0, 0), (1, 0), (2, 4), (18, 6))

    def short(self, count: int) -> int:
        """A number of up to 8 bits (``count`` 3) or 16 (4), the shorter the smaller it is."""
        if not self.yes():
            return 0
        size = self.u(count)
        return (1 << size) + self.u(size)


Symbols = Callable[[], int]
"""Reads the next symbol of a code."""


@dataclass
class _Split:
    """How a number is divided between a symbol and bits behind it (C.3.3)."""

    exponent: int
    high: int = 0
    low: int = 0

    def number(self, bits: Bits, token: int) -> int:
        if token < 1 << self.exponent:
            return token
        inside = self.high + self.low
        count = self.exponent - inside + ((token - (1 << self.exponent)) >> inside)
        if count > 32:
            raise DamageError(_CORRUPT)
        low = token & ((1 << self.low) - 1)
        token >>= self.low
        high = 1 << self.high | token & ((1 << self.high) - 1)
        return (high << count | bits.u(count)) << self.low | low


@dataclass
class _State:
    value: int = _FINAL


@dataclass
class Stream:
    """Numbers of several contexts, one after the other (C.1)."""

    bits: Bits
    contexts: int
    may_copy: bool = True
    _read: list[int] = field(default_factory=list)
    _copy: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        bits, contexts = self.bits, self.contexts
        self._copies = bits.yes()
        if self._copies and not self.may_copy:
            raise DamageError(_CORRUPT)
        if self._copies:
            self._least = bits.u32((224, 0), (512, 0), (4096, 0), (8, 15))
            self._shortest = bits.u32((3, 0), (4, 0), (5, 2), (9, 8))
            self._length = _split(bits, 8)
            contexts += 1
        self._map = _clusters(bits, contexts) if contexts > 1 else [0]
        clusters = max(self._map) + 1
        prefix = bits.yes()
        width = 15 if prefix else 5 + bits.u(2)
        self._splits = [_split(bits, width) for _ in range(clusters)]
        self._state = _State()
        if prefix:
            sizes = [1 + bits.short(4) for _ in range(clusters)]
            self._codes = [_prefix_code(bits, size) for size in sizes]
        else:
            tables = [_frequencies(bits) for _ in range(clusters)]
            self._codes = [_ans_code(bits, table, width, self._state) for table in tables]
            self._state.value = bits.u(16) | bits.u(16) << 16

    def next(self, context: int) -> int:
        """The next number, which is of this context."""
        if self._copy:
            value = self._copy.pop()
        else:
            cluster = self._map[context]
            token = self._codes[cluster]()
            if self._copies and token >= self._least:
                count = self._length.number(self.bits, token - self._least) + self._shortest
                last = self._map[-1]
                back = 1 + self._splits[last].number(self.bits, self._codes[last]())
                self._repeat(count, min(back, len(self._read)))
                return self.next(context)
            value = self._splits[cluster].number(self.bits, token)
        if self._copies:
            self._read.append(value)
        return value

    def _repeat(self, count: int, back: int) -> None:
        if count > 1 << 22:
            raise DamageError(_CORRUPT)
        part = self._read[-back:] if back else [0]
        self._copy = (part * (count // len(part) + 1))[:count][::-1]

    def check(self) -> None:
        """See that the codes ended where they had to."""
        if self._state.value != _FINAL:
            raise DamageError(_CORRUPT)


def _split(bits: Bits, width: int) -> _Split:
    exponent = bits.u(width.bit_length())
    if exponent == width:
        return _Split(exponent)
    high = bits.u(exponent.bit_length())
    low = bits.u((exponent - high).bit_length()) if high <= exponent else 0
    if high + low > exponent:
        raise DamageError(_CORRUPT)
    return _Split(exponent, high, low)


def _clusters(bits: Bits, contexts: int) -> list[int]:
    """Which code each context has (C.2.2)."""
    if bits.yes():
        width = bits.u(2)
        return [bits.u(width) for _ in range(contexts)]
    moved = bits.yes()
    stream = Stream(bits, 1, contexts > 2)
    found = [stream.next(0) for _ in range(contexts)]
    stream.check()
    if max(found) > 255:
        raise DamageError(_CORRUPT)
    if moved:
        recent = list(range(256))
        for at, index in enumerate(found):
            found[at] = recent.pop(index)
            recent.insert(0, found[at])
    return found


def _prefix_code(bits: Bits, size: int) -> Symbols:
    """A code of at most 15 bits for each symbol, as in Brotli (C.2.4; RFC 7932 section 3)."""
    if size == 1:
        return lambda: 0
    kind = bits.u(2)
    if kind == 1:
        count = bits.u(2) + 1
        symbols = [bits.u((size - 1).bit_length()) for _ in range(count)]
        if len(set(symbols)) < count or max(symbols) >= size:
            raise DamageError(_CORRUPT)
        shape = {1: (0,), 2: (1, 1), 3: (1, 2, 2), 4: (2, 2, 2, 2)}[count]
        if count == 4 and bits.yes():
            shape = (1, 2, 3, 3)
        return _canonical(bits, dict(zip(symbols, shape, strict=True)))
    lengths: dict[int, int] = {}
    space = 32
    for symbol in _ORDER[kind:]:
        if space <= 0:
            break
        low = bits.peek(4)
        used, length = _LENGTHS.get(low) or _LENGTHS.get(low & 7) or _LENGTHS[low & 3]
        bits.skip(used)
        if length:
            lengths[symbol] = length
            space -= 32 >> length
    if not lengths or (space and len(lengths) > 1):
        raise DamageError(_CORRUPT)
    return _canonical(bits, _code_lengths(bits, size, _canonical(bits, lengths)))


def _code_lengths(bits: Bits, size: int, read: Symbols) -> dict[int, int]:
    found: dict[int, int] = {}
    at, space, before, repeated, again = 0, 1 << 15, 8, 0, 0
    while at < size and space > 0:
        length = read()
        if length < 16:
            again = 0
            count, here = 1, length
            before = length or before
        else:
            here = before if length == 16 else 0
            if repeated != here:
                again, repeated = 0, here
            old = again
            again = (again - 2 << length - 14 if again else 0) + bits.u(length - 14) + 3
            count = again - old
        if at + count > size:
            raise DamageError(_CORRUPT)
        if here:
            found.update(dict.fromkeys(range(at, at + count), here))
            space -= count << 15 - here
        at += count
    if space:
        raise DamageError(_CORRUPT)
    return found


def _canonical(bits: Bits, lengths: dict[int, int]) -> Symbols:
    if len(lengths) == 1:
        (only,) = lengths
        return lambda: only
    table: dict[tuple[int, int], int] = {}
    code = before = 0
    # Symbols of a simple code that are equally long are in the order of their numbers too.
    for symbol, length in sorted(lengths.items(), key=lambda item: (item[1], item[0])):
        code <<= length - before
        table[length, int(f"{code:0{length}b}"[::-1], 2)] = symbol
        code, before = code + 1, length
    widths = sorted(set(lengths.values()))

    def read() -> int:
        ahead = bits.peek(15)
        for length in widths:
            symbol = table.get((length, ahead & ((1 << length) - 1)))
            if symbol is not None:
                bits.skip(length)
                return symbol
        raise DamageError(_CORRUPT)

    return read


def _frequencies(bits: Bits) -> list[int]:
    """How often each symbol of an ANS code is, of 4096 (C.2.5)."""
    if bits.yes():
        symbols = [bits.short(3) for _ in range(1 + bits.u(1))]
        found = [0] * (max(symbols) + 1)
        if len(set(symbols)) < len(symbols):
            raise DamageError(_CORRUPT)
        found[symbols[0]] = bits.u(12) if len(symbols) > 1 else _RANGE
        found[symbols[-1]] += _RANGE - sum(found)
        return found
    if bits.yes():
        size = 1 + bits.short(3)
        return [_RANGE // size + (index < _RANGE % size) for index in range(size)]
    log = 0
    while log < 3 and bits.yes():
        log += 1
    shift = (bits.u(log) | 1 << log) - 1
    size = 3 + bits.short(3)
    logs, same, at = [0] * size, dict[int, int](), 0
    while at < size:
        logs[at] = _count_log(bits)
        if logs[at] == _SAME:
            same[at] = bits.short(3) + 4
            at += same[at] - 1
        at += 1
    return _counted(bits, logs, same, shift)


def _count_log(bits: Bits) -> int:
    ahead = bits.peek(7)
    for log, (code, length) in enumerate(_COUNT_CODES):
        if ahead & ((1 << length) - 1) == code:
            bits.skip(length)
            return log
    raise DamageError(_CORRUPT)


def _counted(bits: Bits, logs: list[int], same: dict[int, int], shift: int) -> list[int]:
    size = len(logs)
    spans = {at + step for at, count in same.items() for step in range(count)}
    own = [at for at in range(size) if at not in spans]
    # The first of the largest is what the others leave.
    rest = max(own, key=lambda at: (logs[at], -at), default=-1)
    if rest < 0 or rest + 1 in same or not logs[rest]:
        raise DamageError(_CORRUPT)
    found = [0] * size
    for at in range(size):
        if at in same:
            before = found[at - 1] if at else 0
            found[at : at + same[at]] = [before] * min(same[at], size - at)
        if at in spans or at == rest or not logs[at]:
            continue
        log = logs[at] - 1
        count = max(0, min(log, shift - (12 - log >> 1)))
        found[at] = (1 << log) + (bits.u(count) << log - count)
    found[rest] = _RANGE - sum(found)
    if found[rest] <= 0:
        raise DamageError(_CORRUPT)
    return found


def _ans_code(bits: Bits, counts: list[int], width: int, state: _State) -> Symbols:
    """Symbols by the alias method (C.2.6)."""
    size = 1 << width
    if len(counts) > size and any(counts[size:]):
        raise DamageError(_CORRUPT)
    counts = counts[:size] + [0] * (size - len(counts))
    if _RANGE in counts:
        only = counts.index(_RANGE)
        return lambda: only
    room = _RANGE >> width
    cut, other, offset = list(counts), list(range(size)), [0] * size
    over = [at for at in range(size) if cut[at] > room]
    under = [at for at in range(size) if cut[at] < room]
    while over:
        if not under:
            raise DamageError(_CORRUPT)
        large, small = over.pop(), under.pop()
        cut[large] -= room - cut[small]
        other[small], offset[small] = large, cut[large]
        if cut[large] < room:
            under.append(large)
        elif cut[large] > room:
            over.append(large)

    def read() -> int:
        low = state.value & (_RANGE - 1)
        entry, position = divmod(low, room)
        symbol = entry
        if position >= cut[entry]:
            symbol, position = other[entry], position + offset[entry] - cut[entry]
        state.value = counts[symbol] * (state.value >> 12) + position
        if state.value < 1 << 16:
            state.value = state.value << 16 | bits.u(16)
        return symbol

    return read
