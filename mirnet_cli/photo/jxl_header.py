"""What the beginning of a JPEG XL codestream says: size, turn, depth, colours; and saying other.

imagecodecs tells none of it before it decodes, knows no profiles, and marks deep samples as linear.
Source: ISO/IEC 18181-1:2024, annexes B.2 (fields), D.2 (SizeHeader), D.3 (ImageMetadata), E.2
(ColourEncoding).
"""

from dataclasses import dataclass

from mirnet_cli.photo import jxl_icc
from mirnet_cli.photo.jxl_codes import Bits
from mirnet_cli.photo.source import DamageError

ALPHA, BLACK = 0, 4
"""Kinds of further channels."""

_SPOT, _FILTER = 2, 5
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_CUSTOM = 2
_GREY, _XYB = 1, 2

_XY = tuple[float, float]
_D65 = (0.3127, 0.3290)
_WHITES = {1: _D65, 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}
_PRIMARIES = {
    1: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}

DEPTHS: dict[str, tuple[tuple[int, int], ...]] = {
    "uint8": ((0, 1), (0, 2)),
    "uint16": ((0, 1), (3, 2), (15, 6)),
    "float32": ((1, 1), (0, 2), (7, 4)),
}
"""How a header says what samples are: values and their bits."""


@dataclass(frozen=True)
class Colours:
    """What a codestream's colours are.

    Attributes:
        grey: whether there is one channel of them.
        icc: whether a profile tells; the rest says nothing then.
        where: red, green, blue and white as x and y.
        transfer: their curve, as ITU-T H.273 counts them, if there is no
        gamma: the power that encodes light.
    """

    grey: bool = False
    icc: bool = False
    where: tuple[_XY, _XY, _XY, _XY] = (*_PRIMARIES[1], _D65)
    transfer: int = 13
    gamma: float | None = None


@dataclass(frozen=True)
class Head:
    """A codestream's header.

    Attributes:
        width, height: upright.
        animation: whether there may be several pictures.
        bits: of a sample; integers that are decoded reach to 2 ** bits - 1.
        floats: whether samples are floating-point numbers.
        extras: the kinds of further channels.
        premultiplied: whether the colours are multiplied by alpha.
        xyb: whether it is coded with loss, as far as can be told.
        colours: what it says of them.
        turn: the orientation that decoders apply, as EXIF counts, 1 to 8.
        bits_at: where begin and end, in bits: all fields, the depth, the colours; and the header.
            The depth and colours of a header that has none begin and end with the fields.
    """

    width: int
    height: int
    animation: bool
    bits: int
    floats: bool
    extras: tuple[int, ...]
    premultiplied: bool
    xyb: bool
    colours: Colours
    turn: int
    bits_at: tuple[int, int, int, int, int, int]

    @property
    def as_light(self) -> bool:
        """Whether libjxl gives linear light of sRGB's primaries, for it has no name for others."""
        colours = self.colours
        return self.xyb and (colours.icc or (colours.grey and colours.where[3] != _D65))


def parse(data: bytes) -> Head:
    """Read a codestream's header.

    Raises:
        DamageError: it is cut short, or no codestream.
    """
    if data[:2] != b"\xff\x0a":
        raise DamageError("it has no codestream")
    bits = Bits(data, 16)
    width, height = _size(bits)
    fields = bits.at
    if bits.yes():
        behind = bits.at
        _transform(bits, True)
        bits_at = fields, behind, behind, behind, behind, bits.at
        return Head(width, height, False, 8, False, (), False, True, Colours(), 1, bits_at)
    turn, animation = 1, False
    further = bits.yes()
    if further:
        turn = 1 + bits.u(3)
        if bits.yes():
            _size(bits)
        if bits.yes():
            _preview(bits)
        animation = bits.yes()
        if animation:
            bits.u32((100, 0), (1000, 0), (1, 10), (1, 30))
            bits.u32((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.u32((0, 0), (0, 3), (0, 16), (0, 32))
            bits.yes()
    depth = bits.at
    depth_bits, floats = _depth(bits)
    behind_depth = bits.at
    bits.yes()
    extras = [_extra(bits) for _ in range(bits.u32((0, 0), (1, 0), (2, 4), (1, 12)))]
    xyb = bits.yes()
    colour = bits.at
    colours = _colours(bits)
    behind = bits.at
    if further and not bits.yes():
        bits.skip(16 * 2 + 1 + 16)
    _extensions(bits)
    _transform(bits, xyb)
    if turn >= 5:
        width, height = height, width
    kinds = tuple(kind for kind, _ in extras)
    bits_at = fields, depth, behind_depth, colour, behind, bits.at
    premultiplied = any(each for _, each in extras)
    return Head(
        width,
        height,
        animation,
        depth_bits,
        floats,
        kinds,
        premultiplied,
        xyb,
        colours,
        turn,
        bits_at,
    )


def profile(stream: bytes) -> bytes:
    """The profile of a codestream that has one.

    Raises:
        DamageError: it is corrupt.
    """
    return jxl_icc.read(Bits(stream, parse(stream).bits_at[-1]))


def rewritten(stream: bytes, depth: str = "", *, icc: bytes | None = None, linear: bool) -> bytes:
    """A codestream that says other things of its samples, whose codes stay.

    Args:
        stream: the codestream.
        depth: what its samples are, a key of :data:`DEPTHS`; they stay what they are without. A
            picture that is coded with loss may have any.
        icc: the profile that its colours have now.
        linear: they are linear light of sRGB, if there is no profile; otherwise sRGB.
    """
    head = parse(stream)
    fields, depth_at, behind_depth, colours_at, behind, end = head.bits_at
    bits = Bits(stream, end)
    if head.colours.icc:
        jxl_icc.read(bits)
    new = _Writer(stream)
    new.copy(0, fields)
    space = (int(head.colours.grey), 2)
    if depth_at == behind:
        new.put((0, 1), (0, 1), *DEPTHS[depth or "uint8"], (1, 1), (0, 2), (1, 1))
    else:
        new.copy(fields, depth_at)
        new.put(*DEPTHS[depth]) if depth else new.copy(depth_at, behind_depth)
        new.copy(behind_depth, colours_at)
    if icc is not None:
        new.put((0, 1), (1, 1), space)
    elif linear:
        primaries = () if head.colours.grey else ((1, 2),)
        new.put((0, 1), (0, 1), space, (1, 2), *primaries, (0, 1), (2, 2), (6, 4), (1, 2))
    elif head.colours.grey:
        new.put((0, 1), (0, 1), space, (1, 2), (0, 1), (2, 2), (11, 4), (1, 2))
    else:
        new.put((1, 1))
    if depth_at == behind:
        new.put((0, 2))
    new.copy(behind, end)
    if icc is not None:
        new.put(jxl_icc.packed(icc))
    return new.bytes() + stream[-(-bits.at // 8) :]


class _Writer:
    """Bits in the order in which :class:`Bits` reads them."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._value = 0
        self._at = 0

    def put(self, *fields: tuple[int, int]) -> None:
        for value, count in fields:
            self._value |= value << self._at
            self._at += count

    def copy(self, start: int, end: int) -> None:
        bits = Bits(self._source, start)
        while bits.at < end:
            count = min(32, end - bits.at)
            self.put((bits.u(count), count))

    def bytes(self) -> bytes:
        return self._value.to_bytes(-(-self._at // 8), "little")


def _size(bits: Bits) -> tuple[int, int]:
    small = bits.yes()

    def side() -> int:
        if small:
            return (1 + bits.u(5)) * 8
        return bits.u32((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.u(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


def _preview(bits: Bits) -> None:
    eighths = bits.yes()
    choices = (
        ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
    )
    bits.u32(*choices)
    if not bits.u(3):
        bits.u32(*choices)


def _depth(bits: Bits) -> tuple[int, bool]:
    if bits.yes():
        count = bits.u32((32, 0), (16, 0), (24, 0), (1, 6))
        bits.u(4)
        return count, True
    return bits.u32((8, 0), (10, 0), (12, 0), (1, 6)), False


def _extra(bits: Bits) -> tuple[int, bool]:
    """A further channel's kind, and whether it is an alpha that the colours are multiplied by."""
    if bits.yes():
        return ALPHA, False
    kind = bits.enum()
    _depth(bits)
    bits.u32((0, 0), (3, 0), (4, 0), (1, 3))
    for _ in range(bits.u32((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.u(8)
    if kind == ALPHA:
        return kind, bits.yes()
    if kind == _SPOT:
        bits.skip(64)
    elif kind == _FILTER:
        bits.u32((1, 0), (0, 2), (3, 4), (19, 8))
    return kind, False


def _colours(bits: Bits) -> Colours:
    if bits.yes():
        return Colours()
    icc = bits.yes()
    space = bits.enum()
    grey = space == _GREY
    if icc:
        return Colours(grey, icc=True)
    white, points = _D65, _PRIMARIES[1]
    if space != _XYB:
        number = bits.enum()
        white = _point(bits) if number == _CUSTOM else _WHITES.get(number, _D65)
        if not grey:
            number = bits.enum()
            points = _PRIMARIES.get(number, points)
            if number == _CUSTOM:
                points = _point(bits), _point(bits), _point(bits)
    gamma, transfer = None, 13
    if space != _XYB:
        if bits.yes():
            gamma = bits.u(24) / 1e7
        else:
            transfer = bits.enum()
    bits.enum()
    return Colours(grey, False, (*points, white), transfer, gamma)


def _point(bits: Bits) -> _XY:
    x, y = (bits.u32((0, 19), (524288, 19), (1048576, 20), (2097152, 21)) for _ in range(2))
    return (x >> 1 ^ -(x & 1)) / 1e6, (y >> 1 ^ -(y & 1)) / 1e6


def _extensions(bits: Bits) -> None:
    which = bits.u64()
    sizes = [bits.u64() for _ in range(which.bit_count())]
    bits.skip(sum(sizes))


def _transform(bits: Bits, xyb: bool) -> None:
    """What turns XYB into colours and makes a picture larger, where it is not the usual."""
    if bits.yes():
        return
    if xyb and not bits.yes():
        bits.skip(16 * 16)
    which = bits.u(3)
    bits.skip(16 * sum(count for bit, count in ((1, 15), (2, 55), (4, 210)) if which & bit))
