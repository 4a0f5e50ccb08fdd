"""The colour profile of a JPEG XL codestream: read, and written.

It is stored as what a prediction leaves of it. Source: ISO/IEC 18181-1:2024, annex E.4.
"""

from mirnet_cli.photo.jxl_codes import Bits, Stream
from mirnet_cli.photo.source import DamageError

MAX_SIZE = 4 << 20
"""Bytes of a profile: more than any has, and each takes a few microseconds."""

_CORRUPT = "its colour profile is corrupt"
_HEADER = 128
_TAGS = (
    *(b"cprt", b"wtpt", b"bkpt", b"rXYZ", b"gXYZ", b"bXYZ", b"kXYZ", b"rTRC", b"gTRC", b"bTRC"),
    *(b"kTRC", b"chad", b"desc", b"chrm", b"dmnd", b"dmdd", b"lumi"),
)
_OF_20_BYTES = {b"rXYZ", b"gXYZ", b"bXYZ", b"kXYZ", b"wtpt", b"bkpt", b"lumi"}
_TYPES = (b"XYZ ", b"desc", b"text", b"mluc", b"para", b"curv", b"sf32", b"gbd ")


def read(bits: Bits) -> bytes:
    """The profile that begins here; the bits are behind it then.

    Raises:
        DamageError: it is corrupt or absurdly large.
    """
    size = bits.u64()
    if size > MAX_SIZE:
        raise DamageError(_CORRUPT)
    stream = Stream(bits, 41)
    found = bytearray()
    before = last = 0
    for index in range(size):
        value = stream.next(0 if index <= 128 else 1 + _first(last) + 8 * _second(before))
        if value > 255:
            raise DamageError(_CORRUPT)
        before, last = last, value
        found.append(value)
    stream.check()
    return _Unpacked(bytes(found)).profile()


def _first(byte: int) -> int:
    if byte < 16:
        return {0: 2, 1: 3}.get(byte, 4)
    return _second(byte) if _second(byte) < 2 else 6 if byte == 255 else 5 if byte > 240 else 7


def _second(byte: int) -> int:
    if chr(byte).isascii() and chr(byte).isalpha():
        return 0
    if byte in b"0123456789.,":
        return 1
    return 2 if byte < 16 else 3 if byte > 240 else 4


def _predicted(done: bytes, size: int) -> int:
    """The next byte of a profile's header as it usually is."""
    at = len(done)
    usual = bytearray(_HEADER)
    usual[:4] = size.to_bytes(4, "big")
    usual[8] = 4
    usual[12:24] = b"mntrRGB XYZ "
    usual[36:40] = b"acsp"
    usual[68:80] = bytes.fromhex("0000f6d6000100000000d32d")
    usual[80:84] = done[4:8].ljust(4, b"\0")
    platform = {b"A": b"APPL", b"M": b"MSFT"}.get(done[40:41], bytes(4))
    if at > 41:
        platform = {b"SG": b"SGI ", b"SU": b"SUNW"}.get(done[40:42], platform)
    usual[40:44] = platform
    if at == 40:
        return 0
    return usual[at]


class _Unpacked:
    """Commands, and the bytes that they take from."""

    def __init__(self, packed: bytes) -> None:
        self._data = packed
        self._at = 0
        self._end = len(packed)
        self._size = self._number()
        length = self._number()
        if self._size > MAX_SIZE or self._at + length > len(packed):
            raise DamageError(_CORRUPT)
        self._end = self._at + length
        self._rest = self._end
        self._done = bytearray()

    def profile(self) -> bytes:
        while len(self._done) < min(_HEADER, self._size):
            usual = _predicted(bytes(self._done), self._size)
            self._done.append((self._take(1)[0] + usual) & 255)
        if self._size > _HEADER:
            self._tags()
        while self._at < self._end and len(self._done) <= self._size:
            self._content(self._command())
        if len(self._done) != self._size or self._rest != len(self._data):
            raise DamageError(_CORRUPT)
        return bytes(self._done)

    def _tags(self) -> None:
        count = self._number() - 1
        if count < 0:
            return
        self._done += self._u32(count)
        start, size = _HEADER + 12 * count, 0
        while self._at < self._end and len(self._done) <= self._size:
            command = self._command()
            code = command & 63
            if code == 0:
                return
            if code > 20:
                raise DamageError(_CORRUPT)
            name = self._take(4) if code == 1 else (b"rTRC", b"rXYZ", *_TAGS)[code - 2]
            start += size
            size = 20 if name in _OF_20_BYTES else size
            if command & 64:
                start = self._number()
            if command & 128:
                size = self._number()
            starts = {name: start}
            if code == 2:
                starts |= {b"gTRC": start, b"bTRC": start}
            elif code == 3:
                starts |= {b"gXYZ": start + size, b"bXYZ": start + 2 * size}
            for each, found in starts.items():
                self._done += each + self._u32(found) + self._u32(size)

    def _content(self, command: int) -> None:
        if command == 1:
            self._done += self._take(self._number())
        elif command in (2, 3):
            self._done += _woven(self._take(self._number()), 2 * command - 2)
        elif command == 4:
            self._predict(self._command())
        elif command == 10:
            self._done += b"XYZ \0\0\0\0" + self._take(12)
        elif 16 <= command < 24:
            self._done += _TYPES[command - 16] + bytes(4)
        else:
            raise DamageError(_CORRUPT)

    def _predict(self, flags: int) -> None:
        """Integers of 1, 2 or 4 bytes that go on as those before them."""
        width, order = (flags & 3) + 1, flags >> 2 & 3
        stride = self._number() if flags & 16 else width
        if width == 3 or order == 3 or stride < width or stride * 4 >= len(self._done):
            raise DamageError(_CORRUPT)
        left = _woven(self._take(self._number()), width)
        for at in range(0, len(left), width):
            here = len(self._done)
            a, b, c = (
                int.from_bytes(self._done[here - n * stride : here - n * stride + width], "big")
                for n in (1, 2, 3)
            )
            usual = (a, 2 * a - b, 3 * a - 3 * b + c)[order] % (1 << 8 * width)
            # Byte by byte: nothing is carried from one to the next.
            pairs = zip(usual.to_bytes(width, "big"), left[at : at + width], strict=False)
            self._done += bytes((first + second) & 255 for first, second in pairs)

    def _command(self) -> int:
        if self._at >= self._end:
            raise DamageError(_CORRUPT)
        self._at += 1
        return self._data[self._at - 1]

    def _number(self) -> int:
        value = shift = 0
        while shift < 63:
            byte = self._command()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise DamageError(_CORRUPT)

    def _take(self, count: int) -> bytes:
        piece = self._data[self._rest : self._rest + count]
        if len(piece) < count:
            raise DamageError(_CORRUPT)
        self._rest += count
        return piece

    @staticmethod
    def _u32(value: int) -> bytes:
        if value >= 1 << 32:
            raise DamageError(_CORRUPT)
        return value.to_bytes(4, "big")


def _woven(data: bytes, width: int) -> bytes:
    """Bytes that were stored by their place in integers of ``width``, in order again."""
    rows = -(-len(data) // width) if data else 1
    return b"".join(data[start::rows] for start in range(rows))


def packed(profile: bytes) -> tuple[int, int]:
    """A profile as the bits that :func:`read` takes, and how many they are.

    One code of eight bits stands for each byte: profiles are small beside pixels.
    """
    header = bytearray()
    for at in range(min(_HEADER, len(profile))):
        header.append((profile[at] - _predicted(profile[:at], len(profile))) & 255)
    commands = b""
    if len(profile) > _HEADER:
        # No list of tags; the rest as it is.
        commands = b"\0\1" + _number(len(profile) - _HEADER)
    data = _number(len(profile)) + _number(len(commands)) + commands + header + profile[_HEADER:]
    size = len(data)
    fields = [(3, 2), (size & 0xFFF, 12)]
    size >>= 12
    while size:
        fields += [(1, 1), (size & 255, 8)]
        size >>= 8
    fields += [(0, 1), (0, 1), (1, 1), (0, 2)]  # no more; no copies; one code for all contexts
    fields += [(1, 1), (8, 4), (0, 4), (0, 4)]  # a prefix code of numbers below 256
    fields += [(1, 1), (7, 4), (127, 7)]  # for 256 symbols
    # Of the codes for lengths only that of 8 is there, so it takes no bit.
    fields += [(0, 2)] + [(2 if length == 8 else 0, 2) for length in (1, 2, 3, 4, 0, 5, 17)]
    fields += [(2 if length == 8 else 0, 2) for length in (6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15)]
    value = at = 0
    for field, count in fields:
        value |= field << at
        at += count
    mirrored = bytes.maketrans(bytes(range(256)), bytes(_mirror(byte) for byte in range(256)))
    value |= int.from_bytes(data.translate(mirrored), "little") << at
    return value, at + 8 * len(data)


def _mirror(byte: int) -> int:
    return int(f"{byte:08b}"[::-1], 2)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))
