"""What has to change in an XMP packet, done in its text so that all else stays as it was.

Properties are known by their namespace, whatever prefix a packet has for it. Sources: XMP
Specification Part 1 (ISO 16684-1), Part 2 (xmpMM:History, stEvt) and Part 3 (extended XMP); Ultra
HDR Image Format 1.0; Motion Photo Format 1.0; Dynamic Depth 1.0. For places in the picture see
:mod:`mirnet_cli.photo.xmp_regions`.
"""

import hashlib
import re
from collections.abc import Mapping
from html import escape

from mirnet_cli.photo import xmp_nodes
from mirnet_cli.photo.xmp_nodes import RDF, Edit, Node, Property, properties

_OPEN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_EMPTY = (
    f'{_OPEN}\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{RDF}">\n'
    '</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
)
_CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_MANAGED = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_LISTS = RDF + "Seq", RDF + "Bag", RDF + "Alt"
_NOTE = "http://ns.adobe.com/xmp/note/"
_EXTENDED = _NOTE + "HasExtendedXMP"

_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_STALE = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/dd/1.0/",
    _CAMERA + "MotionPhoto",
    _CAMERA + "MicroVideo",
    "http://ns.oplus.com/photos/1.0/camera/",
    "http://ns.xiaomi.com/photos/1.0/camera/",
    _XMP + "Thumbnails",
    _XMP + "PageInfo",
)
"""How the names of properties begin that tell of a gain map, depth or a video behind the picture,
or hold a small picture of what it was."""


def _text(packet: bytes, each: Property) -> bytes:
    return b"" if each.value is None else packet[slice(*each.value)].strip()


def orientation(packet: bytes | None) -> int | None:
    """What tiff:Orientation says, 1 to 8; None where it is missing or out of range."""
    root = None if packet is None or b"Orientation" not in packet else xmp_nodes.parse(packet)
    for each in properties(root):
        if packet is not None and each.name == _TIFF + "Orientation":
            digits = _text(packet, each)
            return int(digits) if digits in (b"%d" % turn for turn in range(1, 9)) else None
    return None


def updated(packet: bytes, width: int, height: int) -> bytes:
    """The packet for an upright picture of this size, with nothing behind it.

    Tags that are not there are not added; nor is anything changed in what is no well-formed XML.
    """
    root = xmp_nodes.parse(packet)
    now = {
        _TIFF + "Orientation": 1,
        **dict.fromkeys((_TIFF + "ImageWidth", EXIF + "PixelXDimension"), width),
        **dict.fromkeys((_TIFF + "ImageLength", EXIF + "PixelYDimension"), height),
    }
    edits: list[Edit] = []
    for each in properties(root):
        if each.name in now and each.value is not None and _text(packet, each).isdigit():
            edits.append((*each.value, b"%d" % now[each.name]))
        elif each.name.startswith(_STALE):
            edits.append((*each.whole, b""))
    return xmp_nodes.edited(packet, edits)


def without(packet: bytes, namespace: str) -> bytes:
    """The packet without the properties of a namespace."""
    root = xmp_nodes.parse(packet)
    own = (each for each in properties(root) if each.name.startswith(namespace))
    return xmp_nodes.edited(packet, [(*each.whole, b"") for each in own])


def is_out_of_date(packet: bytes) -> bool:
    """Whether it is no well-formed XML in UTF-8 and tells what :func:`updated` would change."""
    if xmp_nodes.rdf(xmp_nodes.parse(packet)) is not None:
        return False
    text = packet.replace(b"\0", b"")
    told = ("Orientation", "PixelXDimension", "ImageWidth", *_STALE)
    return any(each.encode() in text for each in told)


def without_padding(packet: bytes) -> bytes:
    """The packet without the room that it leaves for later changes."""
    at = packet.rfind(b"<?xpacket end")
    return packet if at < 0 else packet[:at].rstrip() + b"\n" + packet[at:]


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
    root = xmp_nodes.parse(packet)
    outer = xmp_nodes.rdf(root)
    if outer is None:
        return None
    agent = _escaped(provenance.get("tool", "mirnet"))
    rest = "; ".join(f"{key}={value}" for key, value in provenance.items() if key != "tool")
    known = {
        namespace: xmp_nodes.prefix(root, namespace, usual)
        for namespace, usual in ((RDF, "rdf"), (_MANAGED, "xmpMM"), (_EVENT, "stEvt"))
    }
    rdf, managed, event = known.values()

    def spaces(scope: Mapping[str, str]) -> str:
        return "".join(
            f' xmlns:{each}="{namespace}"'
            for namespace, each in known.items()
            if scope.get(each) != namespace
        )

    def item(scope: Mapping[str, str]) -> str:
        return (
            f'<{rdf}:li{spaces(scope)} {rdf}:parseType="Resource">'
            f"<{event}:action>processed</{event}:action>"
            f"<{event}:softwareAgent>{agent}</{event}:softwareAgent>"
            f"<{event}:parameters>{_escaped(rest)}</{event}:parameters></{rdf}:li>"
        )

    for each in properties(root):
        if each.name != _MANAGED + "History":
            continue
        node = each.node
        lists = [child for child in node.children if child.name in _LISTS]
        if lists and packet[lists[0].end - 2 : lists[0].end] != b"/>":
            at = lists[0].inside[1]
            return xmp_nodes.edited(packet, [(at, at, item(lists[0].scope).encode())])
        if node is each.description or (node.children and not lists):
            return None
        scope = each.description.scope
        history = f"<{managed}:History{spaces(scope)}><{rdf}:Seq>{item(_swapped(known))}"
        history += f"</{rdf}:Seq></{managed}:History>"
        return xmp_nodes.edited(packet, [(node.start, node.end, history.encode())])
    inside = {**outer.scope, **_swapped(known)}
    about = xmp_nodes.about(root, packet).decode()
    block = (
        f'<{rdf}:Description{spaces(outer.scope)} {rdf}:about="{about}"><{managed}:History>'
        f"<{rdf}:Seq>{item(inside)}</{rdf}:Seq></{managed}:History></{rdf}:Description>\n"
    )
    return _with_description(packet, outer, block.encode())


def _swapped(known: Mapping[str, str]) -> dict[str, str]:
    return {each: namespace for namespace, each in known.items()}


def _with_description(packet: bytes, outer: Node, block: bytes) -> bytes:
    """The packet with a further description in rdf:RDF, which may be empty."""
    if packet[outer.end - 2 : outer.end] != b"/>":
        return packet[: outer.inside[1]] + block + packet[outer.inside[1] :]
    tag = packet[outer.start : outer.end - 2]
    name = tag[1:].split(None, 1)[0]
    return packet[: outer.start] + tag + b">" + block + b"</" + name + b">" + packet[outer.end :]


def _escaped(value: str) -> str:
    return escape(_CONTROL.sub("\ufffd", value), quote=False)


def extension_name(packet: bytes) -> bytes | None:
    """The name by which a packet refers to its extension (32 hexadecimal digits)."""
    root = xmp_nodes.parse(packet) if b"HasExtendedXMP" in packet else None
    found = [_text(packet, each) for each in properties(root) if each.name == _EXTENDED]
    return found[0] if found else None


def joined(packet: bytes, extension: bytes) -> bytes | None:
    """A packet and its extension as one; an empty extension only ends the reference to one.

    Returns:
        None where one of them is not understood.
    """
    root, further = xmp_nodes.parse(packet), xmp_nodes.parse(extension)
    outer, inner = xmp_nodes.rdf(root), xmp_nodes.rdf(further)
    if outer is None or (inner is None and extension):
        return None
    known = {each.name for each in properties(root)}
    doubles = [(*each.whole, b"") for each in properties(further) if each.name in known]
    blocks = b""
    for description in () if inner is None else inner.children:
        start, end = description.start, description.end
        tag = re.compile(rb"<[^\s/>]+").match(extension, start)
        assert tag is not None
        opening = extension[start : description.inside[0]]
        spaces = b"".join(
            f' xmlns:{each}="{namespace}"'.encode()
            for each, namespace in sorted(description.scope.items())
            if each and outer.scope.get(each) != namespace
            if not re.search(rb"\sxmlns:" + re.escape(each.encode()) + rb"\s*=", opening)
        )
        edits = [(tag.end(), tag.end(), spaces), *(e for e in doubles if start <= e[0] < end)]
        shifted = [(a - start, b - start, new) for a, b, new in edits]
        blocks += xmp_nodes.edited(extension[start:end], shifted) + b"\n"
    references = [(*each.whole, b"") for each in properties(root) if each.name == _EXTENDED]
    at = outer.inside[1]
    if packet[outer.end - 2 : outer.end] == b"/>":
        return _with_description(packet, outer, blocks)
    return xmp_nodes.edited(packet, [*references, (at, at, blocks)])


def parted(packet: bytes, room: int) -> tuple[bytes, bytes | None] | None:
    """A packet of at most so many bytes, and an extension for what does not fit into it.

    The history goes first, then what is largest: many readers know no extension.

    Returns:
        The packet, and the extension; None where that cannot be done.
    """
    if len(packet) > room:
        packet = without_padding(packet)
    if len(packet) <= room:
        return packet, None
    root = xmp_nodes.parse(packet)
    outer = xmp_nodes.rdf(root)
    if outer is None:
        return None
    about = xmp_nodes.about(root, packet)
    rdf = xmp_nodes.prefix(root, RDF, "rdf").encode()
    note = xmp_nodes.prefix(root, _NOTE, "xmpNote").encode()

    def described(more: bytes, inside: bytes) -> bytes:
        head = b"<" + rdf + b":Description " + rdf + b':about="' + about + b'"' + more
        return head + b">" + inside + b"</" + rdf + b":Description>\n"

    told = sorted(
        properties(root),
        key=lambda each: (each.name != _MANAGED + "History", each.whole[0] - each.whole[1]),
    )
    space = b" xmlns:" + note + b'="' + _NOTE.encode() + b'" '

    def main(chosen: list[Property], name: bytes) -> bytes:
        gone = {each.whole for each in chosen}
        rest = {id(each.description) for each in told if each.whole not in gone}
        edits = [(*each.whole, b"") for each in chosen]
        edits += [(d.start, d.end, b"") for d in outer.children if id(d) not in rest]
        reference = described(space + note + b':HasExtendedXMP="' + name + b'"', b"")
        return xmp_nodes.edited(packet, [*edits, (outer.inside[1], outer.inside[1], reference)])

    count = 1
    while len(main(told[:count], bytes(32))) > room:
        count += 1
        if count > len(told):
            return None
    chosen = told[:count]
    blocks = b""
    for description in outer.children:
        own = [each for each in chosen if each.description is description]
        attributes = [each for each in own if each.node is description]
        elements = [each for each in own if each.node is not description]
        if own:
            spaces = b"".join(
                f' xmlns{":" * bool(each)}{each}="{namespace}"'.encode()
                for each, namespace in sorted(description.scope.items())
                if each not in ("xml", rdf.decode())
            )
            stated = b"".join(packet[slice(*each.whole)] for each in attributes)
            inside = b"".join(packet[slice(*each.whole)] for each in elements)
            blocks += described(spaces + stated, inside)
    extension = (
        (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><' + rdf + b":RDF xmlns:" + rdf + b'="')
        + RDF.encode()
        + b'">\n'
        + blocks
        + b"</"
        + rdf
        + b":RDF></x:xmpmeta>"
    )
    name = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    return main(chosen, name), extension
