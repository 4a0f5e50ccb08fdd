"""What has to change in an XMP packet, done in its text so that all else stays as it was.

Sources: XMP Specification Part 1 (ISO 16684-1) and Part 2 (xmpMM:History, stEvt); Ultra HDR Image
Format 1.0; Motion Photo Format 1.0; for regions see :mod:`mirnet_cli.photo.placing`.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from mirnet_cli.photo import xmp_nodes
from mirnet_cli.photo.xmp_nodes import Edit, Node

if TYPE_CHECKING:
    from mirnet_cli.photo.placing import View

_OPEN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_EMPTY = (
    f'{_OPEN}\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
)
_HISTORY_END = re.compile(rb"</rdf:Seq>\s*</xmpMM:History>")
_RDF_END = re.compile(rb"</rdf:RDF\s*>")
_NAMESPACES = (
    'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" '
    'xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
)
_CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_ATTACHED = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    _CAMERA + "MotionPhoto",
    _CAMERA + "MicroVideo",
)
"""How the names of properties begin that tell of a gain map or a video behind the picture."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_SUBJECTS = "SubjectArea", "SubjectLocation"
_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_MICROSOFT = "http://ns.microsoft.com/photo/1.2/t/Region#"
_ACDSEE = "http://ns.acdsee.com/regions/"
_BOUNDARY = "RegionBoundary"
_IN_PIXELS = re.compile(rb"rbUnit\s*(?:>|=\s*[\"'])\s*pixel")
"""IPTC Photo Metadata Standard 2019.1, Region Boundary: its unit is "pixel" or "relative"."""


def _number(name: str) -> re.Pattern[bytes]:
    """Matches a number stored as an attribute or as an element."""
    tag = re.escape(name.encode())
    return re.compile(
        rb"(\b" + tag + rb"\s*=\s*[\"'])\s*\d+\s*(?=[\"'])|(<" + tag + rb">)\s*\d+\s*(?=<)"
    )


_ORIENTATION = _number("tiff:Orientation")
_WIDTHS = (_number("tiff:ImageWidth"), _number("exif:PixelXDimension"))
_HEIGHTS = (_number("tiff:ImageLength"), _number("exif:PixelYDimension"))


def orientation(packet: bytes | None) -> int | None:
    """What tiff:Orientation says, 1 to 8; None where it is missing or out of range."""
    match = None if packet is None else _ORIENTATION.search(packet)
    if match is None or packet is None:
        return None
    digits = packet[match.end(1 if match[1] else 2) : match.end()].strip()
    return int(digits) if digits in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8") else None


def updated(packet: bytes, width: int, height: int) -> bytes:
    """The packet for an upright picture of this size, with nothing behind it.

    Tags that are not there are not added.
    """
    packet = _alone(packet)
    for patterns, value in (((_ORIENTATION,), 1), (_WIDTHS, width), (_HEIGHTS, height)):
        for pattern in patterns:
            packet = pattern.sub(
                lambda match, value=value: (match[1] or match[2]) + b"%d" % value,  # type: ignore[misc]
                packet,
            )
    return packet


def without_padding(packet: bytes) -> bytes:
    """The packet without the room that it leaves for later changes."""
    at = packet.rfind(b"<?xpacket end")
    return packet if at < 0 else packet[:at].rstrip() + b"\n" + packet[at:]


def _alone(packet: bytes) -> bytes:
    """The packet without what it says of gain maps and videos behind the picture."""
    root = xmp_nodes.parse(packet) if _mentions(packet, *_ATTACHED[:2], _CAMERA) else None
    edits: list[Edit] = []
    for node in () if root is None else root.walk():
        if node.name.startswith(_ATTACHED):
            edits.append((node.start, node.end, b""))
        edits += [
            (start, end + 1, b"")
            for name, (start, _, end) in node.attributes.items()
            if name.startswith(_ATTACHED)
        ]
    return xmp_nodes.edited(packet, edits)


def moved(packet: bytes, view: "View") -> tuple[bytes, bool]:
    """The packet with the regions that it names where they are in the second picture of a view.

    Regions that were cut off are taken out.

    Returns:
        The packet, and whether all regions in it fit: not those of IPTC and ACDSee, of another
        shape of picture, of unusual kinds, and in UTF-16 or 32, which stay as they were.
    """
    if b"\0" in packet.rstrip(b"\0"):
        return packet, not names_places(packet, view)
    fits = not _of_others(packet, view)
    if not _mentions(packet, _REGIONS, _MICROSOFT, *_SUBJECTS):
        return packet, fits
    root = xmp_nodes.parse(packet)
    if root is None:
        return packet, False
    edits: list[Edit] = []
    for node in root.walk():
        try:
            if node.name == _REGIONS + "Regions":
                edits += _regions(packet, node, view)
            elif rectangle := node.value(_MICROSOFT + "Rectangle"):
                edits += _rectangle(packet, node, rectangle, view)
            elif node.name in [_EXIF + subject for subject in _SUBJECTS]:
                edits += _subject(packet, node, view)
        except (ValueError, OverflowError):
            fits = False
    return xmp_nodes.edited(packet, edits), fits


def names_places(text: bytes, view: "View") -> bool:
    """Whether XMP, or a part of it, in any Unicode encoding, names places that a view moves."""
    text = text.replace(b"\0", b"")
    shares = () if _keeps_shares(view) else (_REGIONS, _MICROSOFT)
    return _mentions(text, *_SUBJECTS, *shares) or _of_others(text, view)


def _of_others(text: bytes, view: "View") -> bool:
    """Whether there are regions of IPTC or ACDSee that a view moves."""
    if _keeps_shares(view):
        return bool(_IN_PIXELS.search(text))
    return _mentions(text, _BOUNDARY, _ACDSEE)


def _keeps_shares(view: "View") -> bool:
    """Whether a place that is told in shares of the sides stays where it is."""
    return view.turn == 1 and view.crop is None


def _regions(packet: bytes, regions: Node, view: "View") -> list[Edit]:
    """Edits for regions as the Metadata Working Group has them.

    Raises:
        ValueError: they are not of this picture, or not understood.
    """
    edits: list[Edit] = []
    found = False
    for node in regions.walk():
        places = {key: node.value(_DIMENSIONS + key) for key in "wh"}
        if places["w"] and places["h"]:
            across, down = (float(packet[slice(*place)]) for place in places.values() if place)
            if abs(across * view.height - down * view.width) > 0.01 * across * view.height:
                raise ValueError("the regions are of another picture")
            if _says(packet, node, _DIMENSIONS + "unit", b"pixel"):
                sizes = zip(places.values(), view.size, strict=True)
                edits += [(*place, b"%d" % size) for place, size in sizes if place]
        areas = {key: node.value(_AREA + key) for key in "xywhd"}
        known = {key: place for key, place in areas.items() if place}
        if "x" not in known or "y" not in known:
            continue
        found = True
        if not _says(packet, node, _AREA + "unit", b"normalized"):
            raise ValueError("an area in another unit")
        values = {key: float(packet[slice(*place)]) for key, place in known.items()}
        box = view.box(*(values.get(key, 0.0) for key in "xywh"))
        if box is None:
            edits.append(_item(node))
            continue
        new = dict(zip("xywh", box, strict=True)) | {"d": view.diameter(values.get("d", 0.0))}
        edits += [(*place, _share(new[key])) for key, place in known.items()]
    if not found and any(node.name == _RDF + "li" for node in regions.walk()):
        raise ValueError("no area of a known kind")
    return edits


def _rectangle(packet: bytes, node: Node, place: tuple[int, int], view: "View") -> list[Edit]:
    """Edits for a region as Microsoft has it: left, top, width and height."""
    left, top, w, h = map(float, packet[slice(*place)].split(b","))
    box = view.box(left + w / 2, top + h / 2, w, h)
    if box is None:
        return [_item(node)]
    x, y, w, h = box
    return [(*place, b", ".join(map(_share, (x - w / 2, y - h / 2, w, h))))]


def _subject(packet: bytes, node: Node, view: "View") -> list[Edit]:
    """Edits for EXIF's area of the main subject."""
    places = [each.inside for each in node.walk() if each.name == _RDF + "li"]
    if not 2 <= len(places) <= 4:
        raise ValueError("no area")
    new = view.area([int(packet[slice(*place)]) for place in places])
    if new is None:
        return [(node.start, node.end, b"")]
    return [(*place, b"%d" % value) for place, value in zip(places, new, strict=True)]


def _item(node: Node) -> Edit:
    """What takes an item out of the list that it is in."""
    item: Node | None = node
    while item is not None and item.name != _RDF + "li":
        item = item.parent
    if item is None:
        raise ValueError("in no list")
    return item.start, item.end, b""


def _says(packet: bytes, node: Node, name: str, value: bytes) -> bool:
    """Whether a property has this value, or is not there."""
    place = node.value(name)
    return place is None or packet[slice(*place)].strip().lower() == value


def _share(value: float) -> bytes:
    return (f"{value:.6f}".rstrip("0").rstrip(".") or "0").encode()


def _mentions(packet: bytes, *namespaces: str) -> bool:
    return any(each.encode() in packet for each in namespaces)


def recorded(packet: bytes | None, provenance: Mapping[str, str]) -> bytes | None:
    """The packet with one more event in xmpMM:History: what was done to the picture, by what.

    No time is recorded: the same input gives the same bytes.

    Args:
        packet: what the picture has; None makes a new one.
        provenance: "tool" is stEvt:softwareAgent; the rest becomes stEvt:parameters.

    Returns:
        The new packet, or None if the old one has no place for it (no UTF-8, no RDF).
    """
    if packet is None:
        packet = _EMPTY.encode()
    agent = _text(provenance.get("tool", "mirnet"))
    rest = "; ".join(f"{key}={value}" for key, value in provenance.items() if key != "tool")
    event = (
        '<rdf:li rdf:parseType="Resource"><stEvt:action>processed</stEvt:action>'
        f"<stEvt:softwareAgent>{agent}</stEvt:softwareAgent>"
        f"<stEvt:parameters>{_text(rest)}</stEvt:parameters></rdf:li>"
    )
    history = list(_HISTORY_END.finditer(packet))
    if history and b"xmlns:stEvt" in packet[: history[-1].start()]:
        at = history[-1].start()
        return packet[:at] + event.encode() + packet[at:]
    ends = list(_RDF_END.finditer(packet))
    if not ends or history:
        return None
    at = ends[-1].start()
    block = (
        f'<rdf:Description rdf:about="" {_NAMESPACES}><xmpMM:History><rdf:Seq>{event}'
        "</rdf:Seq></xmpMM:History></rdf:Description>\n"
    )
    return packet[:at] + block.encode() + packet[at:]


def _text(value: str) -> str:
    return escape(_CONTROL.sub("\ufffd", value))
