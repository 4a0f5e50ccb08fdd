"""What the beginning of a JPEG XL codestream says: size, turn, depth, colours.

imagecodecs tells none of it before it decodes. Source: ISO/IEC 18181-1:2024, annexes B.2 (fields),
D.2 (SizeHeader), D.3 (ImageMetadata), E.2 (ColourEncoding).
"""

from dataclasses import dataclass

from mirnet_cli.photo.source import DamageError

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_ALPHA, _SPOT, _FILTER = 0, 2, 5
_CUSTOM = 2
_GREY, _XYB = 1, 2
_LINEAR, _SRGB = 8, 13


@dataclass(frozen=True)
class Head:
    """A codestream's header.

    Attributes:
        width, height: upright.
        animation: whether there may be several pictures.
        xyb: whether it is coded with loss, as far as can be told.
        icc: whether its colours are told by a profile.
        primaries, transfer: its colours as code points (ITU-T H.273), where there is none.
        transfer_at: the bit at which the transfer function is stored; 0 if it is nowhere.
        turn: the orientation that decoders apply, as EXIF counts, 1 to 8.
        premultiplied: whether the colours are multiplied by alpha.
    """

    width: int
    height: int
    animation: bool = False
    xyb: bool = True
    icc: bool = False
    primaries: int = 1
    transfer: int = 13
    transfer_at: int = 0
    turn: int = 1
    premultiplied: bool = False


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data[:4096], "little")
        self._left = 8 * min(len(data), 4096)
        self.at = 0

    def u(self, count: int) -> int:
        self._left -= count
        self.at += count
        if self._left < 0:
            raise DamageError("it ends within its header")
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value

    def yes(self) -> bool:
        return self.u(1) == 1

    def u32(self, *choices: tuple[int, int]) -> int:
        """U32(): two bits choose an offset and a number of bits to add to it."""
        offset, count = choices[self.u(2)]
        return offset + (self.u(count) if count else 0)

    def enum(self) -> int:
        return self.u32((0, 0), (1, 0), (2, 4), (18, 6))


def parse(data: bytes) -> Head:
    """Read a codestream's header.

    Raises:
        DamageError: it is cut short, or no codestream.
    """
    if data[:2] != b"\xff\x0a":
        raise DamageError("it has no codestream")
    bits = _Bits(data[2:])
    width, height = _size(bits)
    if bits.yes():
        return Head(width, height)
    turn, animation = 1, False
    if bits.yes():
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
    _depth(bits)
    bits.yes()
    extras = [_extra(bits) for _ in range(bits.u32((0, 0), (1, 0), (2, 4), (1, 12)))]
    xyb = bits.yes()
    icc, primaries, transfer, transfer_at = _colours(bits)
    if turn >= 5:
        width, height = height, width
    return Head(
        width, height, animation, xyb, icc, primaries, transfer, transfer_at, turn, any(extras)
    )


def marked_as_srgb(stream: bytes) -> bytes:
    """A codestream that says its colours are linear, saying that they are sRGB.

    imagecodecs marks all samples deeper than 8 bits as linear. Both values take the same bits.
    """
    found = parse(stream)
    if found.transfer != _LINEAR:
        return stream
    # Two bits choose 2 + u(4), four bits are the rest; the codestream begins with two bytes.
    at = 16 + found.transfer_at + 2
    size = at // 8 + 2
    bits = int.from_bytes(stream[:size], "little")
    bits ^= ((_LINEAR - 2) ^ (_SRGB - 2)) << at
    return bits.to_bytes(size, "little") + stream[size:]


def _size(bits: _Bits) -> tuple[int, int]:
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


def _preview(bits: _Bits) -> None:
    eighths = bits.yes()
    choices = (
        ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
    )
    bits.u32(*choices)
    if not bits.u(3):
        bits.u32(*choices)


def _depth(bits: _Bits) -> None:
    if bits.yes():
        bits.u32((32, 0), (16, 0), (24, 0), (1, 6))
        bits.u(4)
    else:
        bits.u32((8, 0), (10, 0), (12, 0), (1, 6))


def _extra(bits: _Bits) -> bool:
    """Whether a further channel is an alpha that the colours are multiplied by."""
    if bits.yes():
        return False
    kind = bits.enum()
    _depth(bits)
    bits.u32((0, 0), (3, 0), (4, 0), (1, 3))
    for _ in range(bits.u32((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.u(8)
    if kind == _ALPHA:
        return bits.yes()
    if kind == _SPOT:
        bits.u(64)
    elif kind == _FILTER:
        bits.u32((1, 0), (0, 2), (3, 4), (19, 8))
    return False


def _colours(bits: _Bits) -> tuple[bool, int, int, int]:
    if bits.yes():
        return False, 1, 13, 0
    icc = bits.yes()
    space = bits.enum()
    if icc:
        return True, 1, 13, 0
    primaries = 1
    if space != _XYB:
        white = bits.enum()
        if white == _CUSTOM:
            _point(bits)
        if space != _GREY:
            primaries = bits.enum()
            if primaries == _CUSTOM:
                for _ in range(3):
                    _point(bits)
            elif primaries == 11 and white == 1:
                # H.273 has a number of its own for P3's primaries with the white of D65.
                primaries = 12
    if bits.yes():
        gamma = bits.u(24) / 1e7
        transfer = 4 if abs(gamma - 1 / 2.2) < 0.01 else 8 if gamma > 0.99 else 13
        return False, primaries, transfer, 0
    at = bits.at
    return False, primaries, bits.enum(), at


def _point(bits: _Bits) -> None:
    for _ in range(2):
        bits.u32((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
