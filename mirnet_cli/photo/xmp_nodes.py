"""Where the properties of an XMP packet are in its bytes, so that they can be changed there alone.

Sources: XMP Specification Part 1 (ISO 16684-1) section 7; Namespaces in XML 1.0.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH = 100
"""Deeper than any packet is."""

_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_TAG = re.compile(rb"<[^\s/>]+")
_CLOSE = re.compile(rb"\s*/?>")
_TAG_END = re.compile(rb"</[^>]+>")

Edit = tuple[int, int, bytes]
"""Where bytes begin and end, and what takes their place."""


@dataclass
class Node:
    """An element. All places are offsets into the packet.

    Attributes:
        name: namespace and local name, joined as RDF joins them.
        parent: None for the outermost.
        start, end: of the whole element.
        inside: where its content begins and ends.
        attributes: by name: where each begins (with the space before it), and its value's ends.
        children: elements in it.
    """

    name: str
    parent: "Node | None"
    start: int
    end: int = 0
    inside: tuple[int, int] = (0, 0)
    attributes: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def value(self, name: str) -> tuple[int, int] | None:
        """Where the value of a simple property is, an attribute's or an element's."""
        if name in self.attributes:
            return self.attributes[name][1:]
        found = (each.inside for each in self.children if each.name == name and not each.children)
        return next(found, None)

    def walk(self) -> Iterator["Node"]:
        """This element and all within, in their order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


def parse(packet: bytes) -> Node | None:
    """The outermost element; None for what is no well-formed XML in UTF-8."""
    text = packet.rstrip(b"\0")
    if b"\0" in text:
        return None
    builder = _Builder(text)
    try:
        builder.parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError):
        return None
    return builder.root


def edited(packet: bytes, edits: Iterable[Edit]) -> bytes:
    """The packet after all edits; those within what another replaces have no effect."""
    pieces: list[bytes] = []
    at = 0
    for start, end, new in sorted(edits, key=lambda each: (each[0], -each[1])):
        if start >= at:
            pieces += packet[at:start], new
            at = end
    return b"".join((*pieces, packet[at:]))


class _Builder:
    """Makes nodes of what expat tells."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.root: Node | None = None
        self.open: list[Node] = []
        self.parser = expat.ParserCreate(namespace_separator="")
        self.parser.ordered_attributes = True
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._finish
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _begin(self, name: str, attributes: list[str]) -> None:
        if len(self.open) == MAX_DEPTH:
            raise ValueError("too deep")
        parent = self.open[-1] if self.open else None
        node = Node(name, parent, self.parser.CurrentByteIndex)
        if parent is None:
            self.root = node
        else:
            parent.children.append(node)
        self.open.append(node)
        at = _end(_TAG, self.text, node.start)
        names = iter(attributes[::2])
        while found := _ATTRIBUTE.match(self.text, at):
            at = found.end()
            if found[1].partition(b":")[0] != b"xmlns":
                value = found.span(2 if found[2] is not None else 3)
                node.attributes[next(names)] = (found.start(), *value)
        at = _end(_CLOSE, self.text, at)
        node.inside = at, at
        node.end = at

    def _finish(self, _: str) -> None:
        node = self.open.pop()
        at = self.parser.CurrentByteIndex
        if self.text[node.end - 2 : node.end] != b"/>":
            node.inside = node.inside[0], at
            node.end = _end(_TAG_END, self.text, at)

    def _refuse(self, *_: object) -> None:
        raise ValueError("XMP has no document type")


def _end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    if found is None:
        raise ValueError("not what expat told")
    return found.end()
