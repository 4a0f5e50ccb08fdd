"""Directories of tags: the structure that TIFF files and EXIF blocks share.

Values stay the bytes they are: nothing here interprets a tag, so nothing unknown is lost.
Source: TIFF 6.0 section 2; BigTIFF (libtiff); EXIF 2.32 section 4.6.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mirnet_cli.photo.source import DamageError, Data

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
"""Bytes of one value of each field type (13 is IFD; 16 to 18 are BigTIFF's)."""

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL = 1, 2, 3, 4, 5, 7, 10
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q", 6: "b", 8: "h", 9: "i"}

ANYWHERE = (b"Nikon\0\2", b"FUJIFILM", b"OLYMPUS\0", b"OM SYSTEM", b"PENTAX \0", b"Apple iOS\0")
"""How makers' notes begin whose offsets count from their own beginning, as ExifTool has it."""

NOTE_LOST = "the camera maker's own notes (maker notes) are not kept: their offsets would be wrong"

MAX_NOTE_AT = 48 << 10
"""How far from its beginning a block may have a maker's note: JPEG's segments hold 64 KiB."""

MAX_ENTRIES = 4096
MAX_VALUE = 64 << 20
"""Bytes of the largest value that is read (strip tables apart, which the file's size bounds)."""


@dataclass(frozen=True)
class Entry:
    """One tag of a directory, as it lies in the file."""

    tag: int
    kind: int
    count: int
    at: int
    value_at: int

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return SIZES[self.kind] * self.count


@dataclass(frozen=True)
class Directory:
    """One directory.

    Attributes:
        entries: by tag; where a tag occurs twice, the first.
        next_at: where the offset of the next directory is stored.
        next: that offset; 0 ends the chain.
        damaged: entries whose type is unknown or whose value lies outside the file.
        lost: the tags of these.
    """

    entries: Mapping[int, Entry]
    next_at: int
    next: int
    damaged: int
    lost: frozenset[int] = frozenset()


class Reader:
    """Reads directories out of ``data``, which begins with a TIFF header.

    Attributes:
        order: "<" or ">".
        big: whether it is a BigTIFF.
        first: where the first directory is.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        head = data[0:16]
        if head[:2] not in (b"II", b"MM") or len(head) < 8:
            raise DamageError("no TIFF header")
        self.order = "<" if head[:2] == b"II" else ">"
        version: int = struct.unpack(self.order + "H", head[2:4])[0]
        self.big = version == 43
        if self.big:
            if len(head) < 16:
                raise DamageError("no TIFF header")
            self.first: int = struct.unpack(self.order + "Q", head[8:16])[0]
        elif version == 42:
            self.first = struct.unpack(self.order + "I", head[4:8])[0]
        else:
            raise DamageError("no TIFF header")

    def _unpack(self, layout: str, at: int) -> tuple[int, ...]:
        size = struct.calcsize("=" + layout)
        piece = self.data[at : at + size]
        if at < 0 or len(piece) < size:
            raise DamageError("a directory lies outside the file")
        return struct.unpack(self.order + layout, piece)

    def directory(self, at: int) -> Directory:
        """The directory at an offset.

        Raises:
            DamageError: it does not lie within the data.
        """
        count_size, entry_size, inline = (8, 20, 8) if self.big else (2, 12, 4)
        (count,) = self._unpack("Q" if self.big else "H", at)
        if count > MAX_ENTRIES:
            raise DamageError(f"a directory of {count} entries")
        table = self.data[at + count_size : at + count_size + count * entry_size]
        if len(table) < count * entry_size:
            raise DamageError("a directory lies outside the file")
        layout = self.order + ("HHQ" if self.big else "HHI")
        entries: dict[int, Entry] = {}
        lost: list[int] = []
        for index in range(count):
            tag, kind, length = struct.unpack_from(layout, table, index * entry_size)
            entry_at = at + count_size + index * entry_size
            value_at = entry_at + entry_size - inline
            size = SIZES.get(kind, 0) * length
            if size > inline:
                (value_at,) = self._unpack("Q" if self.big else "I", value_at)
            if kind not in SIZES or value_at + size > len(self.data):
                lost.append(tag)
            elif tag not in entries:
                entries[tag] = Entry(tag, kind, length, entry_at, value_at)
        next_at = at + count_size + count * entry_size
        try:
            (following,) = self._unpack("Q" if self.big else "I", next_at)
        except DamageError:
            following = 0  # some writers end the block with the last entry
        return Directory(entries, next_at, following, len(lost), frozenset(lost) - entries.keys())

    def value(self, entry: Entry) -> bytes:
        """The bytes of a value, in the file's byte order."""
        return self.data[entry.value_at : entry.value_at + entry.size]

    def integers(self, entry: Entry | None) -> tuple[int, ...]:
        """A value as integers; empty for a missing entry or one of another type."""
        if entry is None or entry.kind not in _INTEGERS:
            return ()
        layout = f"{self.order}{entry.count}{_INTEGERS[entry.kind]}"
        return struct.unpack(layout, self.value(entry))

    def integer(self, entry: Entry | None, default: int = 0) -> int:
        """The first integer of a value, or ``default``."""
        if entry is None or entry.count == 0 or entry.kind not in _INTEGERS:
            return default
        kind = _INTEGERS[entry.kind]
        return int(self._unpack(kind, entry.value_at)[0])

    def rational(self, entry: Entry | None) -> float | None:
        """A RATIONAL value as a number, or None if there is none or its denominator is 0."""
        if entry is None or entry.kind != RATIONAL or entry.count < 1:
            return None
        above, below = self._unpack("II", entry.value_at)
        return above / below if below else None


@dataclass(frozen=True)
class Field:
    """One tag on its own; ``data`` in the byte order of its tree, ``at`` where it was found."""

    kind: int
    count: int
    data: bytes = field(repr=False)
    at: int = field(default=0, compare=False)


@dataclass
class Tree:
    """A directory taken out of its file: fields by tag, and sub-directories by pointer tag."""

    fields: dict[int, Field] = field(default_factory=dict)
    children: dict[int, "Tree"] = field(default_factory=dict)


EXIF, MAKER_NOTE = 0x8769, 0x927C
POINTERS = {EXIF, 0x8825, 0xA005}
"""Tags that lead to a sub-directory of EXIF: Exif, GPS, Interoperability."""


def read_tree(
    reader: Reader, at: int, *, without: Iterable[int] = (), depth: int = 0
) -> tuple[Tree, int]:
    """Take a directory and its EXIF sub-directories out of a file.

    Args:
        reader: the file.
        at: where the directory is.
        without: tags to leave out of the top directory.
        depth: how deep below the top this one is.

    Returns:
        The tree, and how many entries were damaged and left out.
    """
    directory = reader.directory(at)
    damaged = directory.damaged
    tree = Tree()
    left_out = set(without)
    for tag, entry in directory.entries.items():
        if tag in left_out:
            continue
        if tag in POINTERS:
            if depth >= 3:
                damaged += 1
                continue
            try:
                child, inside = read_tree(reader, reader.integer(entry), depth=depth + 1)
            except DamageError:
                damaged += 1
            else:
                tree.children[tag] = child
                damaged += inside
        elif entry.size > MAX_VALUE:
            damaged += 1
        else:
            narrowed = _classic(reader, entry)
            if narrowed is None:
                damaged += 1
            else:
                tree.fields[tag] = narrowed
    return tree, damaged


def _classic(reader: Reader, entry: Entry) -> Field | None:
    """An entry as a field that a classic TIFF can hold."""
    data = reader.value(entry)
    if entry.kind not in (16, 17, 18):
        return Field(entry.kind, entry.count, data, entry.value_at)
    letter = "q" if entry.kind == 17 else "Q"
    values = struct.unpack(f"{reader.order}{entry.count}{letter}", data)
    kind, letter = (9, "i") if entry.kind == 17 else (4, "I")
    try:
        return Field(
            kind, entry.count, struct.pack(f"{reader.order}{entry.count}{letter}", *values)
        )
    except struct.error:
        return None


def note_of(tree: Tree) -> Field | None:
    """The camera maker's note of a photo, if it is more than an entry holds."""
    inner = tree.children.get(EXIF)
    note = None if inner is None else inner.fields.get(MAKER_NOTE)
    return note if note is not None and len(note.data) > 4 else None


def far_note_at(note: Field | None) -> int | None:
    """Where a maker's note has to be that a block cannot have there; see ``Metadata.note_at``."""
    if note is None or note.at <= MAX_NOTE_AT or note.data.startswith(ANYWHERE):
        return None
    return note.at


def build(tree: Tree, order: str, base: int, note_at: int | None = None) -> bytes:
    """Lay a tree out as the bytes of a classic directory that stands at offset ``base``.

    Args:
        tree: what to write; its fields' data is already in ``order``.
        order: "<" or ">".
        base: even; the offset at which the result will lie.
        note_at: where the maker's note lies, which is not laid out then.

    Raises:
        DamageError: an offset would not fit into 32 bits.
    """
    entries = sorted({*tree.fields, *tree.children})
    table_size = 2 + 12 * len(entries) + 4
    values = bytearray()
    table = bytearray(struct.pack(order + "H", len(entries)))
    try:
        for tag in entries:
            at = base + table_size + len(values)
            if tag in tree.children:
                table += struct.pack(order + "HHII", tag, LONG, 1, at)
                values += build(tree.children[tag], order, at, note_at)
            else:
                item = tree.fields[tag]
                if len(item.data) <= 4:
                    table += struct.pack(order + "HHI", tag, item.kind, item.count)
                    table += item.data.ljust(4, b"\0")
                    continue
                if tag == MAKER_NOTE and note_at is not None:
                    table += struct.pack(order + "HHII", tag, item.kind, item.count, note_at)
                    continue
                table += struct.pack(order + "HHII", tag, item.kind, item.count, at)
                values += item.data
            if len(values) % 2:
                values += b"\0"
        table += b"\0\0\0\0"
        struct.pack("I", base + len(table) + len(values))
    except struct.error as error:
        raise DamageError("it would be larger than 4 GiB") from error
    return bytes(table + values)


def block(tree: Tree, order: str) -> bytes:
    """A block of its own of a tree, its maker's note where it was found if that is not too far.

    What a note has inside is found by offsets from the beginning of the block or file, which nobody
    documents: it may not move. One that begins as :data:`ANYWHERE` says may.
    """
    note = note_of(tree)
    start = 0 if note is None or note.data.startswith(ANYWHERE) else note.at
    if note is None or not 8 <= start <= MAX_NOTE_AT:
        return header(order, 8) + build(tree, order, 8)
    body = build(tree, order, 8, start)
    if 8 + len(body) <= start:
        return (header(order, 8) + body).ljust(start, b"\0") + note.data
    base = start + len(note.data) + (start + len(note.data)) % 2
    head = header(order, base).ljust(start, b"\0") + note.data
    return head.ljust(base, b"\0") + build(tree, order, base, start)


def integers_field(kind: int, order: str, *values: int) -> Field:
    """A field of integers."""
    return Field(kind, len(values), struct.pack(f"{order}{len(values)}{_INTEGERS[kind]}", *values))


def rational_field(order: str, value: float) -> Field:
    """A field of one RATIONAL, to a ten-thousandth."""
    return Field(RATIONAL, 1, struct.pack(order + "II", round(value * 10000), 10000))


def bytes_field(kind: int, data: bytes) -> Field:
    """A field of BYTE, ASCII or UNDEFINED values."""
    return Field(kind, len(data), data)


def header(order: str, first: int) -> bytes:
    """The eight bytes a classic TIFF begins with."""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first)
