"""Where the properties of an XMP packet are in its bytes, so that they can be changed there alone.

Sources: XMP Specification Part 1 (ISO 16684-1) section 7; Namespaces in XML 1.0.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
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
        scope: namespaces by the prefixes that stand for them here.
    """

    name: str
    parent: "Node | None"
    start: int
    end: int = 0
    inside: tuple[int, int] = (0, 0)
    attributes: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)
    scope: Mapping[str, str] = field(default_factory=dict)

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


RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@dataclass(frozen=True)
class Property:
    """A property of the picture: of a description that stands in rdf:RDF itself.

    Attributes:
        name: as of a node.
        whole: where it begins and ends, with the space before an attribute.
        value: where the text of a simple property is; None for others.
        node: what holds it, an attribute's description or the element itself.
        description: the description that it is in.
    """

    name: str
    whole: tuple[int, int]
    value: tuple[int, int] | None
    node: Node
    description: Node


def rdf(root: Node | None) -> Node | None:
    """The element rdf:RDF."""
    found = () if root is None else root.walk()
    return next((node for node in found if node.name == RDF + "RDF"), None)


def properties(root: Node | None) -> Iterator[Property]:
    """The picture's properties, attributes and elements; not those of what they hold."""
    outer = rdf(root)
    for description in () if outer is None else outer.children:
        for name, (start, at, end) in description.attributes.items():
            if not name.startswith((RDF, "http://www.w3.org/XML/")) and ":" in name:
                yield Property(name, (start, end + 1), (at, end), description, description)
        for node in description.children:
            value = None if node.children else node.inside
            yield Property(node.name, (node.start, node.end), value, node, description)


def about(root: Node | None, packet: bytes) -> bytes:
    """What the descriptions are about; further ones have to say the same, or nothing."""
    outer = rdf(root)
    for description in () if outer is None else outer.children:
        for name in (RDF + "about", "about"):
            if name in description.attributes:
                _, start, end = description.attributes[name]
                if start < end:
                    return packet[start:end].replace(b'"', b"&quot;")
    return b""


def prefix(root: Node | None, namespace: str, usual: str) -> str:
    """The prefix that a packet has for a namespace; some readers refuse a second one."""
    for node in () if root is None else root.walk():
        for each, named in node.scope.items():
            if named == namespace and each:
                return each
    return usual


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
        self.declared: dict[str, str] = {}
        self.parser = expat.ParserCreate(namespace_separator="")
        self.parser.ordered_attributes = True
        self.parser.StartNamespaceDeclHandler = self._declare
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._finish
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _declare(self, prefix: str | None, namespace: str | None) -> None:
        self.declared[prefix or ""] = namespace or ""

    def _begin(self, name: str, attributes: list[str]) -> None:
        if len(self.open) == MAX_DEPTH:
            raise ValueError("too deep")
        parent = self.open[-1] if self.open else None
        node = Node(name, parent, self.parser.CurrentByteIndex)
        if parent is not None:
            node.scope = parent.scope
        if self.declared:
            node.scope = {**node.scope, **self.declared}
            self.declared = {}
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
