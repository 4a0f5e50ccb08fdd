"""An ONNX file, read as if a stranger had sent it.

The format (https://github.com/onnx/onnx, ``onnx/onnx.proto`` and ``docs/IR.md``) is one protocol
buffer. What runs networks believes most of what a file says; here is what has to be known before
it sees a byte: that every tensor has the numbers that its shape claims, that data beside the file
lie in its own folder, that each node comes after what it needs, and that nothing in it may go on
for ever. Nothing of it takes more memory than the file, and the ``onnx`` package is not needed.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mirnet_cli.errors import ModelError
from mirnet_cli.models import container
from mirnet_cli.networks.described import Interface, Port, describe
from mirnet_cli.runtime import unlike

SUFFIX = ".onnx"
NEWEST_OPSET = 28
NEWEST_IR = 14
"""Of ONNX 1.23, which is what is tested; later ones may give the same name another meaning."""

_MOST = 100_000
"""Nodes, tensors and attributes of the largest network that is read; known ones have 5000."""
_DEEPEST = 4
"""Levels of graphs within graphs (of ``If``)."""
_LONGEST = 1024
"""Characters of the longest name."""
_MOST_DIMS = 16
_STANDARD = frozenset({"", "ai.onnx"})
_DOMAINS = _STANDARD | {"com.microsoft", "org.openvinotoolkit"}
_ENDLESS = frozenset({"Loop", "Scan", "SequenceMap"})

_BITS: Mapping[int, int] = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13), 64),
    **dict.fromkeys((21, 22, 23), 4),
}
"""Bits of an element of each data type (``TensorProto.DataType``); texts and complex numbers are
none of a network for pictures."""
_TYPED: Mapping[int, int] = {4: 1, 5: 6, 7: 7, 10: 11, 11: 13}
"""Fields of a tensor that hold numbers, and the type whose width theirs is; 5 holds small ones."""
_EXTERNAL = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Message = dict[int, list[int | memoryview]]
"""Values of each field; bytes are parts of the file, numbers are integers."""


class _BadFileError(ValueError):
    """What is wrong with a file, in words."""


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """An ONNX file that has been checked.

    Attributes:
        path: where it is.
        data: the network as one protocol buffer; data beside the file are put into it.
        sha256: of the file, in hexadecimal; of it and those beside it, one after the other, where
            there are some.
        interface: what goes in and comes out.
        parameters: how many numbers its tensors have.
        opset: of the standard operators.
        producer: what wrote it.
    """

    path: Path
    data: bytes
    sha256: str
    interface: Interface
    parameters: int
    opset: int
    producer: str


def is_onnx(name: str) -> bool:
    """Whether a file's name says ONNX; the format has no magic number."""
    return name.lower().endswith(SUFFIX)


def read(path: Path, data: bytes | None = None) -> OnnxFile:
    """Read and check a file.

    Args:
        path: of the file.
        data: its bytes, where they have been read.

    Raises:
        ModelError: for anything that is not an intact network that can end and stays in its folder.
    """
    if data is None:
        data = container.read_bytes(path)
    kind = container.foreign_kind(data[:512])
    if kind is not None:
        remedy = kind[1] if kind[1] != container.SUPPORTED else _REMEDY
        raise ModelError(kind[0], remedy, subject=path)
    try:
        return _Reader(path, data).read()
    except ValueError as error:
        raise ModelError(str(error), _REMEDY, subject=path) from None


_REMEDY = "get the file again, or export it again with an opset of 17 to 21"


class _Reader:
    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data
        self._digest = hashlib.sha256(data)
        self._left = _MOST
        self._parameters = 0
        self._unlike: dict[str, None] = {}
        self._inlined: dict[int, bytes] = {}
        self._beside: dict[Path, memoryview] = {}

    def read(self) -> OnnxFile:
        model = self._message(memoryview(self._data), "file")
        graphs = model.get(7, [])
        if len(graphs) != 1 or not isinstance(graphs[0], memoryview):
            raise _BadFileError("not an ONNX network")
        opset = self._versions(model)
        if model.get(25):
            raise _BadFileError("it defines functions of its own")
        graph = self._message(graphs[0], "graph")
        inputs, outputs, first = self._graph(graph, frozenset(), 0)
        stated = describe(inputs, outputs, first)
        interface = replace(stated, opset=opset, unlike=tuple(self._unlike))
        producer = _text(model.get(2, [b""])[-1])
        data = self._data if not self._inlined else self._whole(model, graphs[0])
        return OnnxFile(
            self._path,
            data,
            self._digest.hexdigest(),
            interface,
            self._parameters,
            opset,
            " ".join(filter(None, (producer, _text(model.get(3, [b""])[-1]))))[:80],
        )

    def _message(self, data: memoryview, what: str) -> Message:
        """The fields of a message, bytes unread."""
        found: Message = {}
        for number, value, _ in self._fields(data, what):
            found.setdefault(number, []).append(value)
        return found

    def _fields(
        self, data: memoryview, what: str
    ) -> Iterator[tuple[int, int | memoryview, memoryview]]:
        """Number, value and raw bytes of each field."""
        at, end = 0, len(data)
        while at < end:
            start = at
            key, at = _varint(data, at, what)
            kind = key & 7
            value: int | memoryview
            if kind == _VARINT:
                value, at = _varint(data, at, what)
            elif kind == _BYTES:
                length, at = _varint(data, at, what)
                value, at = data[at : at + length], at + length
            elif kind in (_FIXED32, _FIXED64):
                length = 4 if kind == _FIXED32 else 8
                value, at = data[at : at + length], at + length
            else:
                raise _BadFileError(f"not an ONNX network (the {what} is damaged)")
            if at > end or key >> 3 == 0:
                raise _BadFileError(f"not an intact ONNX network (the {what} ends too early)")
            yield key >> 3, value, data[start:at]

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _BadFileError(f"a network of more than {_MOST:,} parts")

    def _versions(self, model: Message) -> int:
        version = max(_number(model, 1), 0)
        if version > NEWEST_IR:
            raise _BadFileError(f"written in a newer ONNX (IR {version}; {NEWEST_IR} is known)")
        found = 0
        for each in model.get(8, []):
            entry = self._message(_part(each), "opset")
            domain, opset = _text(entry.get(1, [b""])[-1]), _number(entry, 2)
            if domain in _STANDARD:
                found = max(found, opset)
        if not found:
            raise _BadFileError("not an ONNX network (it states no opset)")
        if found > NEWEST_OPSET:
            raise _BadFileError(f"opset {found} is too new ({NEWEST_OPSET} is known)")
        return found

    def _graph(
        self, graph: Message, outer: frozenset[str], depth: int
    ) -> tuple[list[Port], list[Port], int | None]:
        """Check a graph: inputs, outputs, and the channels that its first convolution takes."""
        if depth > _DEEPEST:
            raise _BadFileError(f"graphs within graphs, more than {_DEEPEST} deep")
        shapes: dict[str, tuple[int, ...]] = {}
        for each in graph.get(5, []):
            name, shape = self._tensor(_part(each), top=depth == 0)
            shapes[name] = shape
        if graph.get(15):
            raise _BadFileError("it has sparse tensors")
        ports = [self._port(_part(each)) for each in graph.get(11, [])]
        known = set(outer) | shapes.keys() | {port.name for port in ports} | {""}
        first: int | None = None
        inputs = [port for port in ports if port.name not in shapes]
        pictures = {port.name for port in inputs}
        for each in graph.get(1, []):
            self._count()
            node = self._message(_part(each), "node")
            kind, domain = _text(node.get(4, [b""])[-1]), _text(node.get(7, [b""])[-1])
            if domain not in _DOMAINS:
                raise _BadFileError(f"it needs the custom operator {domain[:40]}:{kind[:40]}")
            if kind in _ENDLESS:
                raise _BadFileError(f"it has a loop ({kind}), which may never end")
            taken = [_text(name) for name in node.get(1, [])]
            for name in taken:
                if name not in known:
                    raise _BadFileError(
                        f"the node {kind[:40]} needs {name[:60]!r}, which is not there"
                    )
            if kind == "Conv" and first is None and len(taken) > 1 and taken[0] in pictures:
                shape = shapes.get(taken[1], ())
                first = shape[1] if len(shape) == 4 else None
            given: dict[str, unlike.Value] = {}
            for attribute in node.get(5, []):
                given |= self._attribute(_part(attribute), frozenset(known), depth)
            doubt = unlike.of_node(kind, given) if domain in _STANDARD else None
            if doubt is not None:
                self._unlike[doubt] = None
            for made in node.get(2, []):
                text = _text(made)
                if text and (text in known and text not in outer):
                    raise _BadFileError(f"{text[:60]!r} is made twice")
                known.add(text)
        outputs = [self._port(_part(each)) for each in graph.get(12, [])]
        for port in outputs:
            if port.name not in known:
                raise _BadFileError(f"the output {port.name[:60]!r} is made by nothing")
        return inputs, outputs, first

    def _attribute(
        self, data: memoryview, known: frozenset[str], depth: int
    ) -> dict[str, unlike.Value]:
        """Check an attribute: its name and value, where that is an integer or a short text."""
        self._count()
        found = self._message(data, "attribute")
        for field in (5, 10):
            for each in found.get(field, []):
                self._tensor(_part(each), top=False)
        if found.get(22) or found.get(23):
            raise _BadFileError("it has sparse tensors")
        for field in (6, 11):
            for each in found.get(field, []):
                self._graph(self._message(_part(each), "graph"), known, depth + 1)
        name = _text(found.get(1, [b""])[-1])
        if 3 in found:
            return {name: _number(found, 3)}
        text = _part(found[4][-1]) if 4 in found else b""
        return {name: bytes(text)} if 0 < len(text) <= _LONGEST else {}

    def _port(self, data: memoryview) -> Port:
        """An input or output; sizes that are left open are None."""
        self._count()
        value = self._message(data, "input or output")
        name = _text(value.get(1, [b""])[-1])
        kind = self._message(_part(value.get(2, [b""])[-1]), "type")
        if 1 not in kind:
            raise _BadFileError(f"{name[:60]!r} is no tensor")
        tensor = self._message(_part(kind[1][-1]), "type")
        if 2 not in tensor:
            return Port(name, _number(tensor, 1), None)
        shape: list[int | None] = []
        for each in self._message(_part(tensor[2][-1]), "shape").get(1, []):
            size = self._message(_part(each), "shape")
            stated = _signed(size[1][-1]) if 1 in size else 0
            if stated < -1 or len(shape) >= _MOST_DIMS:
                raise _BadFileError(f"{name[:60]!r} has a shape that cannot be")
            # Exporters write 0 or -1 for what they leave open.
            shape.append(stated if stated > 0 else None)
        return Port(name, _number(tensor, 1), tuple(shape))

    def _tensor(self, data: memoryview, *, top: bool) -> tuple[str, tuple[int, ...]]:
        """Check that a tensor has as many numbers as its shape claims."""
        self._count()
        found = self._message(data, "tensor")
        name = _text(found.get(8, [b""])[-1])
        shown = repr(name[:60])
        shape = tuple(_signed(each) for each in _numbers(found.get(1, [])))
        if len(shape) > _MOST_DIMS or any(size < 0 for size in shape):
            raise _BadFileError(f"the tensor {shown} has a shape that cannot be")
        kind = _number(found, 2)
        if kind not in _BITS:
            raise _BadFileError(f"the tensor {shown} is of a type that is not read ({kind})")
        count = 1
        for size in shape:
            count *= size
        wanted = -(-count * _BITS[kind] // 8)
        if _number(found, 14) == _EXTERNAL or found.get(13):
            if not top:
                raise _BadFileError(f"the tensor {shown} lies beside the file, inside of a node")
            self._inlined[_place(data)] = self._from_beside(found, shown, wanted)
        elif 9 in found:
            have = len(_part(found[9][-1]))
            if have != wanted:
                raise _BadFileError(_claims(shown, wanted, have))
        else:
            self._typed(found, shown, kind, count)
        self._parameters += count if kind in (1, 10, 11, 16) else 0
        return name, shape

    def _typed(self, found: Message, shown: str, kind: int, count: int) -> None:
        """Numbers in a field of their own type, packed or one by one."""
        # The small ones lie in one of 32 bits each; those of four bits two together.
        expected = -(-count // 2) if _BITS[kind] == 4 else count
        have = 0
        for field, wide in _TYPED.items():
            for value in found.get(field, []):
                if not isinstance(value, memoryview):
                    have += 1
                elif field in (4, 10):
                    have += len(value) * 8 // _BITS[wide]
                else:
                    have += int(np.count_nonzero(np.frombuffer(value, np.uint8) < 0x80))
        if have != expected:
            raise _BadFileError(f"the tensor {shown} claims {expected:,} numbers and has {have:,}")

    def _from_beside(self, found: Message, shown: str, wanted: int) -> bytes:
        """A tensor whose numbers lie in a file beside this one, as a tensor that holds them."""
        entries = {}
        for each in found.get(13, []):
            entry = self._message(_part(each), "tensor")
            entries[_text(entry.get(1, [b""])[-1])] = _text(entry.get(2, [b""])[-1])
        beside = self._file_beside(entries.get("location", ""), shown)
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries.get("length", str(wanted)))
        except ValueError:
            raise _BadFileError(f"the tensor {shown} lies nowhere") from None
        if length != wanted or offset < 0 or offset + length > len(beside):
            raise _BadFileError(_claims(shown, wanted, max(len(beside) - max(offset, 0), 0)))
        kept = b"".join(raw for number, _, raw in self._fields(_rebuilt(found), "tensor") if number)
        return kept + _field(9, beside[offset : offset + length])

    def _file_beside(self, location: str, shown: str) -> memoryview:
        parts = location.replace("\\", "/").split("/")
        absolute = parts[0] == "" or ":" in location or "\0" in location
        unsafe = not location or absolute or ".." in parts
        folder = self._path.parent
        if not unsafe:
            path = folder.joinpath(*parts)
            unsafe = not path.resolve().is_relative_to(folder.resolve())
        if unsafe:
            what = f"the tensor {shown} lies outside of the file's own folder ({location[:80]!r})"
            raise _BadFileError(what)
        if path not in self._beside:
            try:
                data = container.read_bytes(path)
            except ModelError as error:
                raise ModelError(
                    f"its tensors lie in {path.name}, and that: {error.what}",
                    "keep both files in one folder",
                    subject=self._path,
                ) from None
            self._digest.update(data)
            self._beside[path] = memoryview(data)
        return self._beside[path]

    def _whole(self, model: Message, graph: memoryview) -> bytes:
        """The file with the numbers from beside it inside."""
        del model
        made = []
        for number, value, raw in self._fields(graph, "graph"):
            inlined = self._inlined.get(_place(value)) if isinstance(value, memoryview) else None
            made.append(raw if inlined is None or number != 5 else _field(5, inlined))
        inside = _field(7, b"".join(made))
        del made
        rest = [
            raw for number, _, raw in self._fields(memoryview(self._data), "file") if number != 7
        ]
        whole = b"".join((*rest, inside))
        if len(whole) >= container.MAX_FILE:
            raise _BadFileError("too large to be read (2 GiB)")
        return whole


def _claims(shown: str, wanted: int, have: int) -> str:
    return f"the tensor {shown} claims {wanted:,} bytes and has {have:,}"


def _place(part: memoryview) -> int:
    """Where a part of the file begins, which tells parts apart."""
    return int(np.frombuffer(part, np.uint8).ctypes.data) if len(part) else -1


def _rebuilt(found: Message) -> memoryview:
    """Shape, type and name of a tensor, which lies here from now on."""
    shape = b"".join(_field_number(1, each) for each in _numbers(found.get(1, [])))
    name = b"".join(_field(8, _part(each)) for each in found.get(8, [])[-1:])
    return memoryview(shape + _field_number(2, _number(found, 2)) + name)


def _varint(data: memoryview, at: int, what: str) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _BadFileError(f"not an intact ONNX network (the {what} ends too early)")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def _encoded(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*made, value))


def _field(number: int, value: bytes | memoryview) -> bytes:
    return b"".join((_encoded(number << 3 | _BYTES), _encoded(len(value)), value))


def _field_number(number: int, value: int) -> bytes:
    return _encoded(number << 3 | _VARINT) + _encoded(value)


def _signed(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise _BadFileError("not an intact ONNX network (a number is none)")
    return value - (1 << 64) if value >> 63 else value


def _part(value: object) -> memoryview:
    if isinstance(value, bytes):
        return memoryview(value)
    if not isinstance(value, memoryview):
        raise _BadFileError("not an intact ONNX network (a part is a number)")
    return value


def _text(value: object) -> str:
    part = _part(value)
    if len(part) > _LONGEST:
        raise _BadFileError(f"a name of {len(part):,} characters")
    return bytes(part).decode("utf-8", errors="replace")


def _number(message: Message, field: int) -> int:
    return _signed(message[field][-1]) if field in message else 0


def _numbers(values: list[int | memoryview]) -> list[int]:
    """A repeated number, packed or not."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at, "tensor")
            found.append(number)
            if len(found) > _MOST_DIMS:
                break
    return found
