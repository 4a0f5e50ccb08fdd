"""The marker segments that a JPEG is made of, and whether all of them are there.

Source: ITU-T T.81 annex B.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mirnet_cli.photo.source import DamageError, Data

SOI, EOI, SOS, DRI, DQT, DHT, DNL, COM = 0xD8, 0xD9, 0xDA, 0xDD, 0xDB, 0xC4, 0xDC, 0xFE
DAC = 0xCC
JPEG_LS = 0xF7
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
"""Markers of frame headers: what kind of JPEG it is, and its size."""

MAX_SEGMENTS = 50_000
MAX_SCANS = 500
"""More scans than any encoder writes; each costs a pass over the whole picture."""

_MAX_JUNK = 1 << 20
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xda-\xdd\xe0-\xef\xfe]")
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_CORRUPT = ("Corrupt JPEG data", "Inconsistent progression", "Premature end")
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


@dataclass(frozen=True)
class Segment:
    """A marker segment before the first scan: ``data`` is its content after the length."""

    marker: int
    data: bytes
    at: int
    end: int


def walk(data: Data) -> Iterator[Segment]:
    """The segments from the start of the file to the first SOS, that one included."""
    at = 2
    loose = True
    for _ in range(MAX_SEGMENTS):
        head = data[at : at + 4]
        if loose and len(head) == 4 and (head[0] != 0xFF or head[1] == 0x00):
            at = _next_marker(data, at)
            head = data[at : at + 4]
        if head[:2] == b"\xff\xff":  # fill bytes, T.81 B.1.1.2
            at = _behind_fill(data, at)
            head = data[at : at + 4]
        if len(head) < 4:
            raise DamageError("it ends before the picture begins")
        if head[0] != 0xFF or head[1] in (0x00, SOI, EOI):
            raise DamageError("a segment does not begin with a marker")
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        payload = data[at + 4 : at + 2 + length]
        if length < 2 or len(payload) < length - 2:
            raise DamageError("it ends before the picture begins")
        yield Segment(marker, payload, at, at + 2 + length)
        if marker == SOS:
            return
        loose = marker == COM or 0xE0 <= marker <= 0xEF
        at += 2 + length
    raise DamageError(f"it has more than {MAX_SEGMENTS} segments")


def _behind_fill(data: Data, at: int) -> int:
    """Where the last of several 0xFF is, which begins the marker."""
    while True:
        piece = data[at : at + 65536]
        rest = piece.lstrip(b"\xff")
        if rest or not piece:
            return at + len(piece) - len(rest) - 1
        at += len(piece)


def _next_marker(data: Data, at: int) -> int:
    """Where the next segment begins, after a metadata segment whose length is wrong.

    libjpeg and every viewer skip what lies between; behind tables it would be damage.
    """
    match = _SEGMENT.search(data[at : at + _MAX_JUNK])
    if match is None:
        raise DamageError("a segment does not begin with a marker")
    return at + match.start()


def check_scans(data: bytes, before: list[Segment]) -> int:
    """Walk the scans; return where the picture ends.

    libjpeg fills what is missing with grey and says nothing to Pillow, so markers that cannot
    be there, and restart markers that are missing or out of order, are looked for here.

    Raises:
        DamageError: the file is cut short or a marker is wrong.
    """
    interval = 0
    for segment in before:
        if segment.marker == DRI and len(segment.data) >= 2:
            interval = int.from_bytes(segment.data[:2], "big")
    expected = _restarts(before, interval)
    at = before[-1].end
    if 8 * (len(data) - at) < _fewest_bits(before):
        raise DamageError("it ends before the picture is complete")
    scans = 1
    restarts = 0
    while True:
        match = _MARKER.search(data, at)
        if match is None:
            raise DamageError("it ends before the picture is complete")
        marker = data[match.start() + 1]
        at = match.end()
        if 0xD0 <= marker <= 0xD7:
            if not interval or marker != 0xD0 + restarts % 8:
                raise DamageError("its compressed data is corrupt (a restart marker out of place)")
            restarts += 1
            continue
        if expected is not None and scans == 1 and restarts < expected:
            raise DamageError("its compressed data is corrupt (restart intervals are missing)")
        if marker == EOI:
            return at
        if marker not in (DHT, DAC, DQT, DRI, SOS, DNL, COM) and not 0xE0 <= marker <= 0xEF:
            raise DamageError("its compressed data is corrupt (a marker that cannot be there)")
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise DamageError("it ends before the picture is complete")
        if marker == DRI:
            interval = int.from_bytes(data[at + 2 : at + 4], "big")
            expected = None
        elif marker == SOS:
            scans += 1
            restarts = 0
            expected = None
            if scans > MAX_SCANS:
                raise DamageError(f"it has more than {MAX_SCANS} scans")
        at += length


def check_codes(picture: bytes) -> None:
    """Let libjpeg read all codes, and refuse what it warns of: Pillow hears none of its warnings.

    At an eighth of the size hardly more is computed than the codes themselves. Samplings that
    TurboJPEG has no name for (4:1:0) go unchecked.

    Args:
        picture: a JPEG without application segments, so that nothing else can be warned of.

    Raises:
        DamageError: codes are wrong, missing or left over.
    """
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(picture, "GRAY", min_height=1, min_width=1)
    except (ValueError, RuntimeError) as error:
        text = str(error)
        if text.startswith(_CORRUPT) and not _is_padding(picture, text):
            raise DamageError("its compressed data is corrupt") from error


def _is_padding(picture: bytes, warning: str) -> bool:
    """Whether what libjpeg found left over at the end is one byte again and again."""
    match = _LEFT_OVER.search(warning)
    if match is None:
        return False
    count = int(match[1])
    return len(set(picture[-2 - count : -2])) <= 1


def _fewest_bits(before: list[Segment]) -> int:
    """What a Huffman-coded picture of this size takes if it is of one colour.

    Each block of the first component has a code of at least one bit for its mean and, where it
    is not left to a later scan, one for its end (T.81 F.1.2). Less is a bomb: a claim of any
    size, which libjpeg would fill with grey.
    """
    frame = next((s for s in before if s.marker in FRAMES), None)
    if frame is None or frame.marker not in (0xC0, 0xC1, 0xC2) or len(frame.data) < 9:
        return 0
    height, width = (int(side) for side in struct.unpack_from(">HH", frame.data, 1))
    count = frame.data[5]
    tallest = max(frame.data[7 : 7 + 3 * count : 3], default=0x11)
    if count > 1 and frame.data[7] != tallest:
        return 0
    blocks = -(-width // 8) * -(-height // 8)
    return blocks if frame.marker == 0xC2 else 2 * blocks


def _restarts(before: list[Segment], interval: int) -> int | None:
    """How many restart markers a sequential picture in one scan must have."""
    frame = next((s for s in before if s.marker in FRAMES), None)
    if frame is None or frame.marker not in (0xC0, 0xC1) or len(frame.data) < 6:
        return None
    count = frame.data[5]
    scan = before[-1].data
    if len(frame.data) < 6 + 3 * count or not scan or scan[0] != count:
        return None
    if not interval:
        return 0
    height, width = (int(side) for side in struct.unpack_from(">HH", frame.data, 1))
    factors = [frame.data[7 + 3 * index] for index in range(count)]
    across = 8 * max(factor >> 4 for factor in factors) if count > 1 else 8
    down = 8 * max(factor & 15 for factor in factors) if count > 1 else 8
    if not across or not down:
        return None
    blocks = -(-width // across) * -(-height // down)
    return -(-blocks // interval) - 1
