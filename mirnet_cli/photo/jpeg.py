"""JPEG: metadata, and the compression settings to use again.

Sources: JFIF 1.02; EXIF 2.32 section 4.7; XMP Part 3; ICC.1 annex B.4;
CIPA DC-007 (multi-picture format).
"""

import struct
from functools import cached_property
from io import BytesIO

from mirnet_cli.photo import behind, cicp, exif, formats, photoshop, xmp
from mirnet_cli.photo.codec import Capacity, Layout, OpenFile, Order, Raster
from mirnet_cli.photo.jpeg_segments import (
    COM,
    FRAMES,
    JPEG_LS,
    SOS,
    Segment,
    check_codes,
    check_scans,
    walk,
)
from mirnet_cli.photo.picture import JpegSettings, Metadata, Part
from mirnet_cli.photo.source import DamageError, Data, whole

CAPACITY = Capacity(
    frozenset({"exif", "xmp", "icc", "iptc", "dpi", "aspect", "comment", "resources", "parts"}),
    max_side=65500,
    alpha=False,
)

QUALITY = 95
"""Where neither the user nor a JPEG input says: no visible loss, and then 4:4:4."""

_BYTES_PER_PIXEL = 5
"""More than noise takes at quality 100 without subsampling (3.3 measured)."""

BUFFERED = 50_000_000
"""Pixels up to which libjpeg may hold all coefficients, 6 bytes a pixel: it needs them for the best
Huffman tables and for several scans. Beyond, the file is written as it is encoded, with the tables
of the standard."""

_TELLING = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}
"""Segments that tell a decoder what the components are, and their least size; libjpeg passes over
shorter ones, on which Pillow fails."""

_EXIF = b"Exif\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION_HEAD = len(_EXTENSION) + 32 + 8
"""Name of the whole extension, its length, and where this piece belongs (XMP Part 3, 1.1.3.1)."""
_ICC = b"ICC_PROFILE\0"
_TIFF_HEADS = (b"II*\0", b"MM\0*")
_PHOTOSHOP = b"Photoshop 3.0\0"
_PAYLOAD = 65533
_SAMPLINGS = {
    **{(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"},
    **{(1, 2): "4:4:0", (4, 1): "4:1:1", (4, 2): "4:1:0"},
}


class File(OpenFile):
    """A JPEG."""

    def __init__(self, data: Data) -> None:
        self._data = data

    @cached_property
    def _segments(self) -> list[Segment]:
        return list(walk(self._data))

    def header(self) -> Layout:
        """Read the frame header and how many pictures a multi-picture file has."""
        size: tuple[int, int] | None = None
        for segment in self._segments:
            if segment.marker == JPEG_LS:
                raise formats.unreadable("a JPEG-LS picture")
            if segment.marker in FRAMES and size is None:
                if len(segment.data) < 6:
                    raise DamageError("its frame header is too short")
                height, width = struct.unpack_from(">HH", segment.data, 1)
                size = width, height
        if size is None:
            raise DamageError("it has no frame header")
        return Layout(*size, frames=1 + self._held().views)

    def _held(self) -> behind.Pictures:
        """What a multi-picture file says that it holds."""
        packets = (s.data for s in self._segments if s.marker == 0xE1 and s.data.startswith(_XMP))
        packet = next(packets, b"")
        for segment in self._segments:
            if segment.marker == 0xE2 and segment.data[:4] == b"MPF\0":
                return behind.pictures(self._data, segment.data[4:], segment.at + 8, packet)
        return behind.Pictures()

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Read all APPn and COM segments."""
        warnings: list[str] = []
        found: dict[str, bytes] = {}
        dpi: tuple[float, float] | None = None
        aspect: tuple[int, int] | None = None
        profile: dict[int, bytes] = {}
        profile_count = components = 0
        resources = b""
        parts: list[Part] = []
        for segment in self._segments:
            marker, body = segment.marker, segment.data
            if marker in FRAMES and len(body) > 5:
                components = body[5]
            if marker == 0xE0 and _tells(segment):
                dpi, aspect = _density(body)
            elif marker == 0xE1 and body[:5] == _EXIF and "exif" not in found:
                found["exif"] = exif.without_prefix(body)
            elif marker == 0xE1 and body[:6] == _EXIF + b"\0" and body[6:10] not in _TIFF_HEADS:
                # What one segment does not hold goes on in the next, as ExifTool writes it.
                found["exif"] += body[6:]
            elif marker == 0xE1 and body.startswith(_XMP) and "xmp" not in found:
                found["xmp"] = body[len(_XMP) :]
            elif marker == 0xE2 and body.startswith(_ICC) and len(body) >= 14:
                profile.setdefault(body[12], body[14:])
                profile_count = max(profile_count, body[13])
            elif marker == 0xED and body.startswith(_PHOTOSHOP):
                resources += body[len(_PHOTOSHOP) :]
            elif marker == COM:
                if "comment" in found:
                    parts.append(Part("JPEG", "COM", body))
                found.setdefault("comment", body.rstrip(b"\0"))
            elif marker == 0xEB and body[:6] == b"HDR_RI":
                if not any("JPEG-HDR" in warning for warning in warnings):
                    warnings.append("a gain map (JPEG-HDR) no longer fits and is not kept")
            elif marker == 0xEB and body[:2] == b"JP":
                if not any("JUMBF" in warning for warning in warnings):
                    warnings.append(
                        "content credentials (JUMBF) are no longer valid and are not kept"
                    )
            elif 0xE0 <= marker <= 0xEF and marker != 0xEE and not _stale(marker, body):
                parts.append(Part("JPEG", f"APP{marker - 0xE0}", body))
        icc = b"".join(profile[index] for index in sorted(profile)) or None
        if icc is not None and sorted(profile) != list(range(1, profile_count + 1)):
            warnings.append("the colour profile is incomplete and is not kept")
            icc = None
        elif icc is None and components == 3 and exif.is_adobe_rgb(found.get("exif")):
            icc = cicp.adobe_rgb()
        iptc: bytes | None = None
        others: bytes | None = None
        try:
            iptc, others = photoshop.split(resources)
        except DamageError:
            warnings.append("the IPTC and Photoshop data is damaged and is not kept")
        packet, kept = _whole_packet(found.get("xmp"), parts, warnings)
        return (
            Metadata(
                exif=found.get("exif"),
                xmp=packet,
                icc=icc,
                iptc=iptc,
                dpi=dpi,
                aspect=aspect,
                comment=found.get("comment"),
                resources=others,
                parts=tuple(kept),
            ),
            warnings,
        )

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode with Pillow, after a check of the whole structure."""
        from PIL import JpegImagePlugin

        from mirnet_cli.photo.raster import from_pillow

        segments, data = self._segments, whole(self._data)
        end = check_scans(data, segments)
        # Pillow sees nothing but the picture: damaged metadata cannot keep it from the pixels.
        telling = [data[s.at : s.end] for s in segments if _tells(s)]
        tables = [data[s.at : s.end] for s in segments[:-1] if not _is_metadata(s.marker)]
        picture = b"".join([*tables, _start_of_scan(segments), data[segments[-1].end : end]])
        check_codes(b"\xff\xd8" + picture)
        with BytesIO(b"".join([b"\xff\xd8", *telling, picture])) as stream:
            image = JpegImagePlugin.JpegImageFile(stream)
            # libjpeg cannot wait for more of arithmetic codes, and Pillow gives it pieces.
            image.decodermaxblock = len(stream.getbuffer())
            del picture
            settings = _settings(image, segments)
            raster = from_pillow(image, orientation, metadata.icc)
        warnings = raster.warnings
        if text := behind.said(data, end, self._held()):
            warnings += (text,)
        return Raster(raster.pixels, None, raster.profile_used, settings, False, warnings)


def _whole_packet(
    packet: bytes | None, parts: list[Part], warnings: list[str]
) -> tuple[bytes | None, list[Part]]:
    """The XMP packet with its extension in it, and the parts that are none of that."""
    name = None if packet is None else xmp.extension_name(packet)
    if packet is None or name is None:
        return packet, parts
    start = _EXTENSION + name
    own = sorted(
        (part.data[len(start) :] for part in parts if part.data.startswith(start)),
        key=lambda piece: piece[4:8],
    )
    rest = [part for part in parts if not part.data.startswith(start)]
    extension, size = b"", 0
    for piece in own:
        size = int.from_bytes(piece[:4], "big")
        if int.from_bytes(piece[4:8], "big") == len(extension):
            extension += piece[8:]
    if not own or len(extension) != size:
        warnings.append("a part of the XMP data (extended XMP) is missing and is not kept")
        extension = b""
    whole = xmp.joined(packet, extension)
    return (packet, parts) if whole is None else (whole, rest)


def _tells(segment: Segment) -> bool:
    name, least = _TELLING.get(segment.marker, (b"", 0))
    return bool(name) and segment.data.startswith(name) and len(segment.data) >= least


def _density(body: bytes) -> tuple[tuple[float, float] | None, tuple[int, int] | None]:
    """Pixels an inch, or without a unit their density across and down where it differs."""
    unit, across, down = struct.unpack_from(">BHH", body, 7)
    factor = {1: 1.0, 2: 2.54}.get(unit)
    if not across or not down:
        return None, None
    if factor is None:
        return None, (across, down) if unit == 0 and across != down else None
    return (across * factor, down * factor), None


def _stale(marker: int, body: bytes) -> bool:
    """Segments that describe the file's storage, or pictures which the new file does not have."""
    if marker == 0xE0:
        return body.startswith((b"JFIF\0", b"JFXX\0"))
    if marker == 0xE8:
        return body.startswith(b"SPIFF\0")
    return marker == 0xE2 and body.startswith((b"MPF\0", b"urn:iso:std:iso:ts:21496"))


def _is_metadata(marker: int) -> bool:
    return 0xE0 <= marker <= 0xEF or marker == COM


def _start_of_scan(segments: list[Segment]) -> bytes:
    """The header of the first scan; in a sequential picture what only others have means nothing.

    Some phones write anything there, of which libjpeg warns and which it takes no notice of.
    """
    body = segments[-1].data
    if any(s.marker in (0xC0, 0xC1, 0xC9) for s in segments) and len(body) > 3:
        body = body[:-3] + b"\0\x3f\0"
    return _segment(SOS, body)


def _settings(image: object, segments: list[Segment]) -> JpegSettings | None:
    """Tables and sampling, if the picture is grey or of three components."""
    layer = getattr(image, "layer", [])
    tables = getattr(image, "quantization", {})
    if len(layer) not in (1, 3):
        return None
    if any(row[3] not in tables or not row[1] or not row[2] for row in layer):
        return None
    return JpegSettings(
        tables=tuple(tuple(tables[row[3]]) for row in layer),
        subsampling=_sampling([row[1:3] for row in layer]),
        progressive=any(s.marker in (0xC2, 0xCA) for s in segments),
        rgb=_stored_as_rgb(segments, [row[0] for row in layer]),
    )


def _sampling(factors: list[tuple[int, int]]) -> str:
    """The usual name for the samples that each component has, or all their factors."""
    if len(factors) == 1:
        return ""
    (across, rest_a), (down, rest_d) = (
        divmod(luma, chroma) for luma, chroma in zip(factors[0], factors[-1], strict=True)
    )
    if rest_a or rest_d or factors[1] != factors[2] or (across, down) not in _SAMPLINGS:
        return ",".join(f"{across}x{down}" for across, down in factors)
    return _SAMPLINGS[across, down]


def _stored_as_rgb(segments: list[Segment], names: list[int]) -> bool:
    """Whether three components are R, G, B, by the rules libjpeg follows."""
    if len(names) != 3 or any(s.marker == 0xE0 and _tells(s) for s in segments):
        return False
    for segment in segments:
        if segment.marker == 0xEE and _tells(segment):
            return segment.data[11] == 0
    return names == [0x52, 0x47, 0x42]


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with Pillow, in the input's tables and sampling unless a quality is given.

    Pictures of more than :data:`BUFFERED` pixels become a few percent larger than they need be, and
    are never progressive.
    """
    from mirnet_cli.photo.pillow import room_for
    from mirnet_cli.photo.raster import to_pillow

    warnings: list[str] = []
    options: dict[str, object] = {"quality": order.quality or QUALITY, "subsampling": "4:4:4"}
    settings = order.jpeg
    height, width = order.pixels.shape[:2]
    buffered = height * width <= BUFFERED
    if settings is not None:
        options["keep_rgb"] = settings.rgb
        if settings.subsampling in ("4:2:2", "4:2:0") and not settings.rgb:
            options["subsampling"] = settings.subsampling
        elif settings.subsampling not in ("", "4:4:4") and order.pixels.ndim == 3:
            warnings.append(f"its subsampling ({settings.subsampling}) became 4:4:4")
        options["progressive"] = settings.progressive and buffered
        if settings.progressive and not buffered:
            warnings.append("written in one scan instead of several: it is too large for them")
        if order.quality is None:
            count = 3 if order.pixels.ndim == 3 else 1
            options["qtables"] = _distinct(settings.tables[:count])
            options["quality"] = -1
    if order.metadata.dpi is not None:
        options["dpi"] = order.metadata.dpi
    image = to_pillow(order.pixels, None)
    buffer = BytesIO()
    with room_for(_BYTES_PER_PIXEL * width * height + 65536):
        image.save(buffer, "JPEG", optimize=buffered, **options)
    image.close()
    encoded = buffer.getbuffer()
    if order.metadata.aspect is not None and bytes(encoded[6:11]) == b"JFIF\0":
        struct.pack_into(">BHH", encoded, 13, 0, *order.metadata.aspect)
    start = 2
    while encoded[start + 1] == 0xE0:
        start += 2 + int.from_bytes(encoded[start + 2 : start + 4], "big")
    segments = _metadata_segments(order.metadata, order.again, warnings)
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


def _exif_pieces(block: bytes) -> list[bytes]:
    """An EXIF block in pieces that segments hold; none but the first looks like a block."""
    pieces = []
    room = _PAYLOAD - len(_EXIF) - 1
    while block:
        size = room - (block[room : room + 4] in _TIFF_HEADS)
        pieces.append(block[:size])
        block = block[size:]
    return pieces


def _packet_segments(packet: bytes, extension: bytes | None) -> list[bytes]:
    segments = [_segment(0xE1, _XMP + packet)]
    if extension is not None:
        name = xmp.extension_name(packet)
        assert name is not None
        room = _PAYLOAD - _EXTENSION_HEAD
        for at in range(0, len(extension), room):
            part = struct.pack(">II", len(extension), at)
            body = _EXTENSION + name + part + extension[at : at + room]
            segments.append(_segment(0xE1, body))
    return segments


def _metadata_segments(metadata: Metadata, again: bool, warnings: list[str]) -> list[bytes]:
    segments: list[bytes] = []
    if metadata.exif is not None:
        pieces = _exif_pieces(metadata.exif)
        segments += [_segment(0xE1, _EXIF + b"\0" + piece) for piece in pieces]
        if len(pieces) > 1 and not again:
            warnings.append(
                f"the EXIF data takes {len(pieces)} segments of a JPEG,"
                " of which many programs read only the first"
            )
    if metadata.xmp is not None:
        found = xmp.parted(metadata.xmp, _PAYLOAD - len(_XMP))
        if found is None:
            warnings.append("the XMP data is larger than a JPEG can hold and is not kept")
        else:
            segments += _packet_segments(*found)
            if found[1] is not None and not again:
                warnings.append(
                    "the XMP data takes several segments of a JPEG (extended XMP),"
                    " of which some programs read only the first"
                )
    segments += _profile_segments(metadata.icc, warnings)
    block = photoshop.join(metadata.iptc, metadata.resources) or b""
    room = _PAYLOAD - len(_PHOTOSHOP)
    segments += [
        _segment(0xED, _PHOTOSHOP + block[at : at + room]) for at in range(0, len(block), room)
    ]
    for part in metadata.parts:
        marker = COM if part.kind == "COM" else 0xE0 + int(part.kind[3:])
        segments.append(_segment(marker, part.data))
    if metadata.comment is not None:
        if len(metadata.comment) > _PAYLOAD:
            warnings.append("the comment is longer than a JPEG can hold and was cut")
        # Before further comments: readers show the first.
        first = next((i for i, s in enumerate(segments) if s[1] == COM), len(segments))
        segments.insert(first, _segment(COM, metadata.comment[:_PAYLOAD]))
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
