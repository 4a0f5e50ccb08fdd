"""What phones put behind the picture of a JPEG, by name.

Sources: CIPA DC-007 (multi-picture format), section 5.2.3.3; Ultra HDR Image Format 1.0; ISO
21496-1; Motion Photo Format 1.0; Dynamic Depth 1.0. Apple's and Samsung's as ExifTool reads them.
"""

import re
import struct
from dataclasses import dataclass

from mirnet_cli.photo.ifd import Reader
from mirnet_cli.photo.source import DamageError, Data

GAIN_MAP = "a gain map (for high dynamic range)"
DEPTH = "a depth map"
MATTE = "a matte"
VIDEO = "a video"
_PICTURE = "another picture"

_PREVIEW, _VIEWS = 0x010000, 0x020000
_HEAD = 1 << 16
_SLACK = 64
"""So few bytes are no picture."""

_KINDS = (
    (rb"hdr-?gain-?map|21496", GAIN_MAP),
    (rb"depth(?:map|data)|auxiliary:depth|auxid:2$|disparity|GDepth", DEPTH),
    (rb"matte", MATTE),
)
_SEMANTIC = re.compile(rb":Semantic(?:=[\"']|>)\s*(\w+)")
_SEMANTICS = {b"GainMap": GAIN_MAP, b"Depth": DEPTH, b"MotionPhoto": VIDEO, b"Confidence": DEPTH}
"""Google's names for what is behind a picture (GContainer)."""
_TRAILERS = (
    (rb"MotionPhoto_Data|\0\0\0[\x08-\x80]ftyp[ -~]{4}", VIDEO),
    (rb"DualShot_DepthMap|DepthMap_Data|Depth_Map", DEPTH),
    (rb"SoundShot|RIFF....WAVE", "sound"),
    (rb"CANON OPTIONAL DATA", "Canon's recipe of edits"),
    (rb"cbipcbbl", "Photo Mechanic's data"),
    (rb"AXS[!*]", "AFCP data"),
    (rb"\xa1\xb2\xc3\xd4$", "FotoStation's data"),
    (rb"zmie~", "MIE data"),
    (rb"vivo\{", "Vivo's data"),
    (rb"8db42d694ccc418790edff439fe026bf", "Insta360's data"),
    (rb"SEFT$", "Samsung's data"),
)


@dataclass(frozen=True)
class Pictures:
    """What a multi-picture file says that it holds beside its first picture and previews.

    Attributes:
        views: how many further pictures are photos of their own.
        extras: what the others are, by name.
        spans: where all of them are, previews too: start and end in the file.
    """

    views: int = 0
    extras: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


def pictures(data: Data, block: bytes, at: int, packet: bytes) -> Pictures:
    """Read the index of a multi-picture file.

    Args:
        data: the file.
        block: the index, from its TIFF header on.
        at: where that is in the file.
        packet: the first picture's XMP, which may tell in order what follows it.
    """
    told = [name for name in _SEMANTIC.findall(packet) if name != b"Primary"]
    try:
        reader = Reader(block)
        entry = reader.directory(reader.first).entries.get(0xB002)
    except DamageError:
        return Pictures()
    if entry is None or entry.size > 16 * 256:
        return Pictures()
    table = reader.value(entry)
    views = 0
    extras: list[str] = []
    spans = []
    for index in range(1, len(table) // 16):
        kind, size, offset = struct.unpack_from(reader.order + "III", table, 16 * index)
        spans.append((at + offset, at + offset + size))
        if kind & 0xFF0000 == _PREVIEW:
            continue
        named = None
        semantic = told.pop(0) if told else b""
        if kind & 0xFF0000 != _VIEWS:
            head = data[at + offset : at + offset + _HEAD]
            named = named_in(head) or _SEMANTICS.get(semantic)
        if named is None:
            views += 1
        else:
            extras.append(named)
    return Pictures(views, tuple(extras), tuple(spans))


def named_in(piece: bytes) -> str | None:
    """What a picture is by the beginning of its file, or by the name of its kind."""
    found = (name for pattern, name in _KINDS if re.search(pattern, piece, re.IGNORECASE))
    return next(found, None)


def said(data: bytes, end: int, held: Pictures) -> str | None:
    """What to say of all that is behind the end of the first picture; views apart."""
    names = list(held.extras)
    unknown = 0
    at = end
    for start, stop in (*sorted(held.spans), (len(data), len(data))):
        rest = data[at : max(at, start)]
        at = max(at, stop)
        if len(rest) <= _SLACK or not rest.strip(b"\0"):
            continue
        found = [
            name for pattern, name in _TRAILERS if re.search(pattern, rest.rstrip(b"\0"), re.DOTALL)
        ]
        if rest.startswith(b"\xff\xd8\xff"):
            found.insert(0, named_in(rest[:_HEAD]) or _PICTURE)
        names += found[:-1] if len(found) > 1 and found[-1] == "Samsung's data" else found
        unknown += 0 if found else len(rest)
    if unknown:
        what = "a video or another picture" if not names else "of an unknown kind"
        names.append(f"{unknown} bytes after the end of the picture ({what})")
    if not names:
        return None
    listed = ", ".join(dict.fromkeys(names))
    return f"what follows the picture in the file is not kept: {listed}"
