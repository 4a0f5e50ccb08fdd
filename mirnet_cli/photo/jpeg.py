"""JPEG: segments, metadata, and the compression settings to use again.

Sources: ITU-T T.81 annex B; JFIF 1.02; EXIF 2.32 section 4.7; XMP Part 3; ICC.1 annex B.4;
CIPA DC-007 (multi-picture format).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from mirnet_cli.photo import exif, photoshop
from mirnet_cli.photo.codec import Layout, Order, Raster
from mirnet_cli.photo.ifd import Reader
from mirnet_cli.photo.picture import JpegSettings, Metadata, Part
from mirnet_cli.photo.source import DamageError, Data, whole

DEPTHS = ("uint8",)
GREY = True
ALPHA = False
HOLDS = frozenset({"exif", "xmp", "icc", "iptc", "dpi", "comment", "resources", "parts"})
MAX_SIDE = 65500
PIECEMEAL = False

QUALITY = 95
"""Where neither the user nor a JPEG input says: no visible loss, and then 4:4:4."""

_BYTES_PER_PIXEL = 5
"""More than noise takes at quality 100 without subsampling (3.3 measured)."""

MAX_SCANS = 500
"""More scans than any encoder writes; each costs a pass over the whole picture."""

_SOI, _EOI, _SOS, _DRI, _DQT, _COM = 0xD8, 0xD9, 0xDA, 0xDD, 0xDB, 0xFE
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_METADATA = {*range(0xE1, 0xEE), 0xEF, _COM}
"""All but APP0 (JFIF) and APP14 (Adobe), which tell a decoder what the components are."""

_EXIF = b"Exif\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ICC = b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_PAYLOAD = 65533
_SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xda-\xdd\xe0-\xef\xfe]")
_MAX_JUNK = 1 << 20
_MARKER = re.compile(rb"\xff[^\x00\xff]")


@dataclass(frozen=True)
class Segment:
    """A marker segment before the first scan: ``data`` is its content after the length."""

    marker: int
    data: bytes
    at: int
    end: int


def _segments(data: Data) -> Iterator[Segment]:
    """The segments from the start of the file to the first SOS, that one included."""
    at = 2
    loose = True
    while True:
        head = data[at : at + 4]
        if loose and len(head) == 4 and (head[0] != 0xFF or head[1] == 0x00):
            at = _next_marker(data, at)
            head = data[at : at + 4]
        while head[:2] == b"\xff\xff":  # fill bytes, T.81 B.1.1.2
            at += 1
            head = data[at : at + 4]
        if len(head) < 4:
            raise DamageError("it ends before the picture begins")
        if head[0] != 0xFF or head[1] in (0x00, _SOI, _EOI):
            raise DamageError("a segment does not begin with a marker")
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        payload = data[at + 4 : at + 2 + length]
        if length < 2 or len(payload) < length - 2:
            raise DamageError("it ends before the picture begins")
        yield Segment(marker, payload, at, at + 2 + length)
        if marker == _SOS:
            return
        loose = marker == _COM or 0xE0 <= marker <= 0xEF
        at += 2 + length


def _next_marker(data: Data, at: int) -> int:
    """Where the next segment begins, after a metadata segment whose length is wrong.

    libjpeg and every viewer skip what lies between; behind tables it would be damage.
    """
    match = _SEGMENT.search(data[at : at + _MAX_JUNK])
    if match is None:
        raise DamageError("a segment does not begin with a marker")
    return at + match.start()


def header(data: Data) -> Layout:
    """Read the frame header and how many pictures a multi-picture file has."""
    frames = 1
    size: tuple[int, int] | None = None
    for segment in _segments(data):
        if segment.marker in _FRAMES and size is None:
            if len(segment.data) < 6:
                raise DamageError("its frame header is too short")
            height, width = struct.unpack_from(">HH", segment.data, 1)
            size = width, height
        elif segment.marker == 0xE2 and segment.data[:4] == b"MPF\0":
            frames = _pictures(segment.data[4:])
    if size is None:
        raise DamageError("it has no frame header")
    return Layout(*size, frames=frames)


def _pictures(block: bytes) -> int:
    """Pictures in a multi-picture file, previews apart (CIPA DC-007 section 5.2.3.3)."""
    try:
        reader = Reader(block)
        entry = reader.directory(reader.first).entries.get(0xB002)
    except DamageError:
        return 1
    if entry is None or entry.size > 16 * 256:
        return 1
    table = reader.value(entry)
    kinds = struct.unpack(
        reader.order + "I12x" * (len(table) // 16), table[: len(table) // 16 * 16]
    )
    return max(1, sum(1 for kind in kinds if kind & 0xFF0000 != 0x010000))


def metadata(data: Data) -> tuple[Metadata, list[str]]:
    """Read all APPn and COM segments."""
    warnings: list[str] = []
    found: dict[str, bytes] = {}
    dpi: tuple[float, float] | None = None
    profile: dict[int, bytes] = {}
    profile_count = 0
    resources = b""
    parts: list[Part] = []
    for segment in _segments(data):
        marker, body = segment.marker, segment.data
        if marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 12:
            dpi = _density(body)
        elif marker == 0xE1 and body[:5] == _EXIF and "exif" not in found:
            found["exif"] = exif.without_prefix(body)
        elif marker == 0xE1 and body.startswith(_XMP) and "xmp" not in found:
            found["xmp"] = body[len(_XMP) :]
        elif marker == 0xE2 and body.startswith(_ICC) and len(body) >= 14:
            profile.setdefault(body[12], body[14:])
            profile_count = max(profile_count, body[13])
        elif marker == 0xED and body.startswith(_PHOTOSHOP):
            resources += body[len(_PHOTOSHOP) :]
        elif marker == _COM:
            if "comment" in found:
                parts.append(Part("JPEG", "COM", body))
            found.setdefault("comment", body.rstrip(b"\0"))
        elif marker == 0xEB and body[:2] == b"JP":
            if not any("JUMBF" in warning for warning in warnings):
                warnings.append("content credentials (JUMBF) no longer hold and are not kept")
        elif 0xE1 <= marker <= 0xEF and marker != 0xEE and not _stale(marker, body):
            parts.append(Part("JPEG", f"APP{marker - 0xE0}", body))
    icc = b"".join(profile[index] for index in sorted(profile)) or None
    if icc is not None and sorted(profile) != list(range(1, profile_count + 1)):
        warnings.append("the colour profile is incomplete and is not kept")
        icc = None
    iptc: bytes | None = None
    others: bytes | None = None
    try:
        iptc, others = photoshop.split(resources)
    except DamageError:
        warnings.append("the IPTC and Photoshop data is damaged and is not kept")
    return (
        Metadata(
            exif=found.get("exif"),
            xmp=found.get("xmp"),
            icc=icc,
            iptc=iptc,
            dpi=dpi,
            comment=found.get("comment"),
            resources=others,
            parts=tuple(parts),
        ),
        warnings,
    )


def _density(body: bytes) -> tuple[float, float] | None:
    unit, across, down = struct.unpack_from(">BHH", body, 7)
    factor = {1: 1.0, 2: 2.54}.get(unit)
    if factor is None or not across or not down:
        return None
    return across * factor, down * factor


def _stale(marker: int, body: bytes) -> bool:
    """Segments that describe pictures which the new file does not have."""
    return marker == 0xE2 and body.startswith((b"MPF\0", b"urn:iso:std:iso:ts:21496"))


def pixels(data: Data, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
    """Decode with Pillow, after a check of the whole structure."""
    from PIL import JpegImagePlugin

    from mirnet_cli.photo.raster import from_pillow

    segments = list(_segments(data))
    end = _check_scans(whole(data), segments)
    # Pillow sees nothing but the picture: damaged metadata cannot keep it from the pixels.
    kept = [data[s.at : s.end] for s in segments[:-1] if s.marker not in _METADATA]
    keep = [b"\xff\xd8", *kept, data[segments[-1].at : end]]
    with BytesIO(b"".join(keep)) as stream:
        del keep
        image = JpegImagePlugin.JpegImageFile(stream)
        settings = _settings(image, segments)
        raster = from_pillow(image, orientation, metadata.icc)
    warnings = raster.warnings
    rest = len(data) - end
    if layout.frames == 1 and rest > 64 and data[end:].strip(b"\0"):
        warnings += (
            f"{rest} bytes after the end of the picture (a video or another picture) are not kept",
        )
    return Raster(raster.pixels, None, raster.profile_used, settings, False, warnings)


def _check_scans(data: bytes, segments: list[Segment]) -> int:
    """Walk the scans; return where the picture ends.

    libjpeg fills what is missing with grey and says nothing to Pillow, so markers that cannot
    be there, and restart markers that are missing or out of order, are looked for here.

    Raises:
        DamageError: the file is cut short or a marker is wrong.
    """
    interval = 0
    for segment in segments:
        if segment.marker == _DRI and len(segment.data) >= 2:
            interval = int.from_bytes(segment.data[:2], "big")
    expected = _restarts(segments, interval)
    at = segments[-1].end
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
        if marker == _EOI:
            return at
        if marker not in (0xC4, _DQT, _DRI, _SOS, 0xDC, _COM) and not 0xE0 <= marker <= 0xEF:
            raise DamageError("its compressed data is corrupt (a marker that cannot be there)")
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise DamageError("it ends before the picture is complete")
        if marker == _DRI:
            interval = int.from_bytes(data[at + 2 : at + 4], "big")
            expected = None
        elif marker == _SOS:
            scans += 1
            restarts = 0
            expected = None
            if scans > MAX_SCANS:
                raise DamageError(f"it has more than {MAX_SCANS} scans")
        at += length


def _restarts(segments: list[Segment], interval: int) -> int | None:
    """How many restart markers a sequential picture in one scan must have."""
    frame = next((s for s in segments if s.marker in _FRAMES), None)
    if frame is None or frame.marker not in (0xC0, 0xC1) or len(frame.data) < 6:
        return None
    count = frame.data[5]
    scan = segments[-1].data
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


def _settings(image: object, segments: list[Segment]) -> JpegSettings | None:
    """Tables and sampling, if the picture is grey or YCbCr: for others they fit nothing."""
    layer = getattr(image, "layer", [])
    tables = getattr(image, "quantization", {})
    if len(layer) not in (1, 3) or _stored_as_rgb(segments, [row[0] for row in layer]):
        return None
    if any(row[3] not in tables or not row[1] or not row[2] for row in layer):
        return None
    across, rest_a = divmod(layer[0][1], layer[-1][1])
    down, rest_d = divmod(layer[0][2], layer[-1][2])
    if rest_a or rest_d:
        return None
    chosen = [tuple(tables[row[3]]) for row in layer]
    return JpegSettings(
        tables=tuple(chosen),
        subsampling=_SAMPLINGS.get((across, down), f"{across}x{down}") if len(layer) == 3 else "",
        progressive=any(s.marker in (0xC2, 0xCA) for s in segments),
    )


def _stored_as_rgb(segments: list[Segment], names: list[int]) -> bool:
    """Whether three components are R, G, B, by the rules libjpeg follows."""
    if len(names) != 3 or any(s.marker == 0xE0 and s.data[:5] == b"JFIF\0" for s in segments):
        return False
    for segment in segments:
        if segment.marker == 0xEE and segment.data[:5] == b"Adobe" and len(segment.data) >= 12:
            return segment.data[11] == 0
    return names == [0x52, 0x47, 0x42]


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with Pillow, in the input's tables and sampling unless a quality is given."""
    from mirnet_cli.photo.pillow import room_for
    from mirnet_cli.photo.raster import to_pillow

    warnings: list[str] = []
    options: dict[str, object] = {"quality": order.quality or QUALITY, "subsampling": "4:4:4"}
    settings = order.jpeg
    if settings is not None:
        if settings.subsampling in ("4:2:2", "4:2:0"):
            options["subsampling"] = settings.subsampling
        options["progressive"] = settings.progressive
        if order.quality is None:
            count = 3 if order.pixels.ndim == 3 else 1
            options["qtables"] = _distinct(settings.tables[:count])
            options["quality"] = -1
    if order.metadata.dpi is not None:
        options["dpi"] = order.metadata.dpi
    image = to_pillow(order.pixels, None)
    buffer = BytesIO()
    with room_for(_BYTES_PER_PIXEL * image.width * image.height + 65536):
        image.save(buffer, "JPEG", optimize=True, **options)
    image.close()
    encoded = buffer.getbuffer()
    start = 2
    while encoded[start + 1] == 0xE0:
        start += 2 + int.from_bytes(encoded[start + 2 : start + 4], "big")
    segments = _metadata_segments(order.metadata, warnings)
    return [bytes(encoded[:start]), *segments, bytes(encoded[start:])], warnings


def _distinct(tables: tuple[tuple[int, ...], ...]) -> list[list[int]]:
    """One table for luma and one for chroma, unless the two chromas have tables of their own."""
    chosen = list(tables)
    while len(chosen) > 2 and chosen[-1] == chosen[-2]:
        chosen.pop()
    # Steps above 255 have no place in a baseline file, and libjpeg complains aloud.
    return [[min(step, 255) for step in table] for table in chosen]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _metadata_segments(metadata: Metadata, warnings: list[str]) -> list[bytes]:
    segments: list[bytes] = []
    if metadata.exif is not None:
        if len(metadata.exif) + 6 <= _PAYLOAD:
            segments.append(_segment(0xE1, b"Exif\0\0" + metadata.exif))
        else:
            warnings.append("the EXIF data is larger than a JPEG can hold and is not kept")
    if metadata.xmp is not None:
        if len(metadata.xmp) + len(_XMP) <= _PAYLOAD:
            segments.append(_segment(0xE1, _XMP + metadata.xmp))
        else:
            warnings.append("the XMP data is larger than a JPEG can hold and is not kept")
    segments += _profile_segments(metadata.icc, warnings)
    block = photoshop.join(metadata.iptc, metadata.resources) or b""
    room = _PAYLOAD - len(_PHOTOSHOP)
    segments += [
        _segment(0xED, _PHOTOSHOP + block[at : at + room]) for at in range(0, len(block), room)
    ]
    for part in metadata.parts:
        marker = _COM if part.kind == "COM" else 0xE0 + int(part.kind[3:])
        segments.append(_segment(marker, part.data))
    if metadata.comment is not None:
        if len(metadata.comment) > _PAYLOAD:
            warnings.append("the comment is longer than a JPEG can hold and was cut")
        # Before further comments: readers show the first.
        first = next((i for i, s in enumerate(segments) if s[1] == _COM), len(segments))
        segments.insert(first, _segment(_COM, metadata.comment[:_PAYLOAD]))
    return segments


def _profile_segments(icc: bytes | None, warnings: list[str]) -> list[bytes]:
    if icc is None:
        return []
    room = _PAYLOAD - 14
    pieces = [icc[at : at + room] for at in range(0, len(icc), room)]
    if len(pieces) > 255:
        warnings.append("the colour profile is larger than a JPEG can hold and is not kept")
        return []
    return [
        _segment(0xE2, _ICC + bytes((index, len(pieces))) + piece)
        for index, piece in enumerate(pieces, 1)
    ]
