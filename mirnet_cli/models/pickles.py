"""What a pickle of PyTorch would make, found without making it.

The instructions are walked with nothing but lists, dicts and records of this module; nothing is
imported, called or allocated for what they claim. Only the instructions and names that state dicts
of tensors, numbers and texts need are known; any other ends the walk. What passes here is then left
to ``torch.load`` (:mod:`mirnet_cli.models.checkpoint`), which knows more instructions than weights
need.
"""

import io
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ITEM_BYTES = {
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "DoubleStorage": 8,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
}
"""Bytes of one number in each kind of PyTorch's storages."""

FLOATS = ("FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage")
"""Those that weights are kept in."""

MAX_STEPS = 1_000_000
"""Instructions of the longest pickle; v1 with its optimiser's state has 60,000."""
_MAX_AXES = 8


class Refused(ValueError):  # noqa: N818
    """A pickle that is none of weights; the text says why."""


@dataclass(frozen=True)
class Name:
    """A name that the pickle asks to be imported."""

    full: str


@dataclass(frozen=True)
class Storage:
    """Numbers that stand outside of the pickle.

    Attributes:
        kind: key of :data:`ITEM_BYTES`.
        key: their name in the file.
        count: how many there should be.
    """

    kind: str
    key: str
    count: int

    @property
    def bytes(self) -> int:
        return self.count * ITEM_BYTES[self.kind]


@dataclass(frozen=True)
class Tensor:
    """A tensor as the pickle describes it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Other:
    """A value that is harmless and of no interest: a size, a device."""


@dataclass(frozen=True)
class Walked:
    """What a pickle describes.

    Attributes:
        value: dicts, lists, tuples, numbers, texts, and the records of this module.
        storages: by key.
        end: the position after the pickle.
    """

    value: Any
    storages: dict[str, Storage]
    end: int


def walk(data: bytes, start: int = 0) -> Walked:
    """Walk the pickle that begins at ``start``.

    Raises:
        Refused: for anything that weights do not need.
    """
    walker = _Walker()
    stream = io.BytesIO(data)
    stream.seek(start)
    try:
        for steps, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if steps > MAX_STEPS:
                raise Refused(f"more than {MAX_STEPS:,} instructions")
            if opcode.name == "STOP":
                return Walked(walker.pop(), walker.storages, stream.tell())
            walker.step(opcode.name, argument)
    except Refused:
        raise
    # IndexError and the like: instructions that take from an empty stack.
    except (
        LookupError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise Refused(f"damaged pickle ({_short(error)})") from None
    raise Refused("the pickle has no end")


class _Walker:
    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def pop(self) -> Any:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise Refused("damaged pickle (a mark without its end)")
        return self._stack.pop()

    def step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _ARGUMENTS:
            self._stack.append(argument)
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            raise Refused(f"the pickle instruction {name}, which weights do not need")

    def _marked(self) -> list[Any]:
        place = self._marks.pop()
        items = self._stack[place:]
        del self._stack[place:]
        return items

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _protocol(self, version: int) -> None:
        if version != 2:
            raise Refused(f"pickle protocol {version}; PyTorch writes 2")

    def _global(self, argument: str) -> None:
        full = argument.replace(" ", ".")
        if full not in _CALLS and not _storage_kind(full):
            raise Refused(f"it asks for {full[:80]!r}, which weights do not need")
        self._stack.append(Name(full))

    def _reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        call = _CALLS.get(function.full) if isinstance(function, Name) else None
        if call is None or not isinstance(arguments, tuple):
            raise Refused("it calls something that weights do not need")
        self._stack.append(call(arguments))

    def _build(self, _: Any) -> None:
        state = self.pop()
        # The metadata that a state dict carries as an attribute.
        if not isinstance(self._stack[-1], dict) or not isinstance(state, dict):
            raise Refused("it changes an object that weights do not have")

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._marked()))

    def _short_tuple(self, length: int) -> None:
        items = [self.pop() for _ in range(length)]
        self._stack.append(tuple(reversed(items)))

    def _append(self, _: Any) -> None:
        item = self.pop()
        self._list().append(item)

    def _appends(self, _: Any) -> None:
        items = self._marked()
        self._list().extend(items)

    def _list(self) -> list[Any]:
        if not isinstance(self._stack[-1], list):
            raise Refused("damaged pickle (appends to something that is not a list)")
        return self._stack[-1]

    def _item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._fill([key, value])

    def _items(self, _: Any) -> None:
        self._fill(self._marked())

    def _fill(self, items: list[Any]) -> None:
        table = self._stack[-1]
        if not isinstance(table, dict) or len(items) % 2:
            raise Refused("damaged pickle (fills something that is not a table)")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | float | bool | None):
                raise Refused("a table with keys that are neither text nor numbers")
            if key in table:
                raise Refused(f"{str(key)[:80]!r} appears twice in one table")
            table[key] = value

    def _persistent(self, _: Any) -> None:
        # ("storage", kind, key, location, count[, view]), as torch.save writes it.
        identifier = self.pop()
        if not isinstance(identifier, tuple) or len(identifier) not in (5, 6):
            raise Refused("it refers to something that is not a storage")
        word, kind, key, _location, count = identifier[:5]
        named = _storage_kind(kind.full) if isinstance(kind, Name) else ""
        if word != "storage" or not named or not isinstance(key, str) or not _is_count(count):
            raise Refused("it refers to something that is not a storage")
        if len(identifier) == 6 and identifier[5] is not None:
            raise Refused("views of storages, as PyTorch wrote before version 0.4")
        storage = Storage(named, key, count)
        if self.storages.setdefault(key, storage) != storage:
            raise Refused(f"two sizes for the storage {key[:40]!r}")
        self._stack.append(storage)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 40


def _are_counts(values: object) -> bool:
    return isinstance(values, tuple) and len(values) <= _MAX_AXES and all(map(_is_count, values))


def _storage_kind(full: str) -> str:
    for module in ("torch.", "torch.cuda."):
        if full.startswith(module) and full[len(module) :] in ITEM_BYTES:
            return full[len(module) :]
    return ""


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
    """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])``."""
    if len(arguments) < 4:
        raise Refused("a tensor without a shape")
    storage, offset, shape, strides = arguments[:4]
    if (
        not isinstance(storage, Storage)
        or not _is_count(offset)
        or not _are_counts(shape)
        or not _are_counts(strides)
        or len(shape) != len(strides)
    ):
        raise Refused("a tensor whose shape makes no sense")
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if math.prod(shape) > storage.count or (0 not in shape and last >= storage.count):
        raise Refused(f"a tensor of shape {shape} in a storage of {storage.count} numbers")
    return Tensor(storage, offset, shape, strides)


def _parameter(arguments: tuple[Any, ...]) -> Tensor:
    """``_rebuild_parameter(tensor, requires_grad, hooks)``."""
    if not arguments or not isinstance(arguments[0], Tensor):
        raise Refused("a parameter that is not a tensor")
    return arguments[0]


def _table(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """``OrderedDict()`` or, as Python 2 wrote it, ``OrderedDict([[key, value], ...])``."""
    if not arguments:
        return {}
    pairs = arguments[0]
    if len(arguments) > 1 or not isinstance(pairs, list | dict):
        raise Refused("a table made of something else")
    try:
        return dict(pairs)
    except (TypeError, ValueError):
        raise Refused("a table made of something else") from None


def _other(arguments: tuple[Any, ...]) -> Other:
    return Other()


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())[:60]
    return text or type(error).__name__


_CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _table,
    "collections.Counter": _table,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _other,
    "torch.device": _other,
}

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}

_ARGUMENTS = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"}
)

_STEPS: dict[str, Callable[[_Walker, Any], None]] = {
    "PROTO": _Walker._protocol,
    "MARK": _Walker._mark,
    "GLOBAL": _Walker._global,
    "REDUCE": _Walker._reduce,
    "BUILD": _Walker._build,
    "BINPUT": _Walker._put,
    "LONG_BINPUT": _Walker._put,
    "BINGET": _Walker._get,
    "LONG_BINGET": _Walker._get,
    "TUPLE": _Walker._tuple,
    "TUPLE1": lambda walker, _: walker._short_tuple(1),
    "TUPLE2": lambda walker, _: walker._short_tuple(2),
    "TUPLE3": lambda walker, _: walker._short_tuple(3),
    "APPEND": _Walker._append,
    "APPENDS": _Walker._appends,
    "SETITEM": _Walker._item,
    "SETITEMS": _Walker._items,
    "BINPERSID": _Walker._persistent,
}
