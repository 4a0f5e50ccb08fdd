"""Checkpoints made to do harm, or damaged: refused with one line, and nothing happens."""

import io
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mirnet_cli.errors import ExitCode, ModelError
from mirnet_cli.models.resolver import read, read_file

PROTOCOL = b"\x80\x02"
MAGIC = 0x1950A86A20F9469CFC6C
EMPTY = PROTOCOL + b"}q\x00."


class Harm:
    """Unpickling this would leave a file behind."""

    def __init__(self, function: Callable[..., Any] = os.system, *arguments: Any) -> None:
        self._call = function, arguments or ("touch pwned",)

    def __reduce__(self) -> Any:
        return self._call


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _number(number: int) -> bytes:
    data = pickle.encode_long(number)
    return b"\x8a" + bytes([len(data)]) + data


def _storage(
    key: str = "0", count: int = 4, kind: str = "torch\nFloatStorage", view: bytes = b""
) -> bytes:
    return (
        b"(" + _text("storage") + b"c" + kind.encode() + b"\n" + _text(key) + _text("cpu")
        + _number(count) + view
        + b"tQ"
    )  # fmt: skip


def _tensor(
    count: int = 4,
    shape: tuple[int, ...] = (4,),
    strides: tuple[int, ...] = (1,),
    offset: int = 0,
    key: str = "0",
    storage: bytes | None = None,
) -> bytes:
    numbers = [b"(" + b"".join(map(_number, each)) + b"t" for each in (shape, strides)]
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + (storage or _storage(key, count))
        + _number(offset)
        + b"".join(numbers)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def _table(**values: bytes) -> bytes:
    inside = b"".join(_text(key) + value for key, value in values.items())
    return b"}(" + inside + b"u"


def _pickled(value: bytes) -> bytes:
    return PROTOCOL + value + b"."


def _state(tensor: bytes | None = None) -> bytes:
    return _pickled(_table(a=tensor or _tensor()))


def _zip(
    data: bytes | None = None,
    files: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    numbers: bytes = b"\0" * 16,
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", _state() if data is None else data)
        archive.writestr("archive/data/0", numbers)
        archive.writestr("archive/version", b"3\n")
        for name, content in (files or {}).items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _old(
    state: bytes | None = None,
    keys: Any = None,
    numbers: bytes | None = None,
    magic: int = MAGIC,
    system: Any = None,
) -> bytes:
    parts = [pickle.dumps(magic, 2), pickle.dumps(1001, 2)]
    parts.append(pickle.dumps({"little_endian": True} if system is None else system, 2))
    # Before zip, a storage could be a view of another; here it says that it is none.
    whole = _state(_tensor(storage=_storage(view=b"N")))
    parts.append(whole if state is None else state)
    parts.append(pickle.dumps(["0"] if keys is None else keys, 2))
    parts.append(struct.pack("<q", 4) + b"\0" * 16 if numbers is None else numbers)
    return b"".join(parts)


def _twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("archive/data.pkl", _state())
        archive.writestr("archive/data/0", b"\0" * 16)
        archive.writestr("archive/data.pkl", pickle.dumps(Harm(), 2))
    return buffer.getvalue()


def _overlapping() -> bytes:
    """Two names in the directory for one and the same file."""
    data = bytearray(_zip(files={"archive/data/1": b"\0" * 64}))
    directory = data.find(b"PK\x01\x02")
    entries = []
    while (found := data.find(b"PK\x01\x02", directory)) >= 0:
        entries.append(found)
        directory = found + 4
    # The size and the place of the first storage become those of a file as large as the archive.
    for place in (20, 24):
        struct.pack_into("<I", data, entries[1] + place, len(data) - 60)
    return bytes(data)


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("storages", "tensors", "pickle", "../pwned"):
            information = tarfile.TarInfo(name)
            content = pickle.dumps(Harm(), 2)
            information.size = len(content)
            archive.addfile(information, io.BytesIO(content))
    return buffer.getvalue()


def _saved(value: Any, old: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def _doubling(levels: int) -> bytes:
    """Lists of lists, each twice the one before: 2**levels when anyone walks them."""
    value = b"]"
    for level in range(levels):
        value += b"q" + bytes([level]) + b"]q" + bytes([level + 100])
        value += b"(h" + bytes([level]) + b"h" + bytes([level]) + b"e"
    return value


HOSTILE: dict[str, Callable[[], bytes]] = {
    "reduce, in a zip": lambda: _zip(pickle.dumps({"a": Harm()}, 2)),
    "reduce, before zip": lambda: _old(pickle.dumps({"a": Harm()}, 2)),
    "reduce in the first pickle": lambda: pickle.dumps(Harm(), 2),
    "reduce in the system's pickle": lambda: _old(system=Harm()),
    "reduce in the list of storages": lambda: _old(keys=[Harm()]),
    "reduce as torch.save writes it": lambda: _saved({"state_dict": {"a": Harm()}}),
    "reduce as torch.save wrote it": lambda: _saved({"state_dict": {"a": Harm()}}, old=True),
    "reduce beside good weights": lambda: _saved({"params": {"a": torch.zeros(2)}, "x": Harm()}),
    "reduce of eval": lambda: _zip(pickle.dumps(Harm(eval, "open('pwned','w')"), 2)),
    "reduce of a protocol 4 pickle": lambda: _zip(pickle.dumps(Harm(), 4)),
    "an instance": lambda: _zip(PROTOCOL + b"(i" + b"os\nsystem\n" + b"."),
    "an object of a class": lambda: _zip(PROTOCOL + b"cbuiltins\nobject\n)\x81."),
    "a whole module": lambda: _saved(torch.nn.Conv2d(1, 1, 1)),
    "a state that changes a tensor": lambda: _zip(_state(_tensor() + b"}b")),
    "a persistent module": lambda: _zip(
        _pickled(b"(" + _text("module") + b"cos\nsystem\n" + _text("f") + _text("g") + b"tQ")
    ),
    "a persistent text": lambda: _zip(_pickled(b"Phello\n")),
    "bytes without end": lambda: _zip(
        _pickled(b"cbuiltins\nbytearray\n(" + _number(1 << 40) + b"tR")
    ),
    "a bytes instruction of 2**62": lambda: _zip(PROTOCOL + b"\x8e" + struct.pack("<Q", 1 << 62)),
    "a memo of 2**32": lambda: _zip(PROTOCOL + b"Nr\xff\xff\xff\xff"),
    "lists that double": lambda: _zip(_pickled(_doubling(60))),
    "tensors that overlap": lambda: _zip(
        _pickled(_table(a=_tensor(), b=_tensor(shape=(2, 2), strides=(1, 2))))
    ),
    "a pickle without an end": lambda: _zip(PROTOCOL + b"}"),
    "an empty pickle": lambda: _zip(b""),
    "an empty stack": lambda: _zip(PROTOCOL + b"0."),
    "a mark that is never met": lambda: _zip(PROTOCOL + b"(."),
    "a key that is a list": lambda: _zip(PROTOCOL + b"}]Ns."),
    "a tensor larger than its storage": lambda: _zip(_state(_tensor(4, (5,)))),
    "a tensor beyond its storage": lambda: _zip(_state(_tensor(4, (2,), (1,), 3))),
    "strides beyond its storage": lambda: _zip(_state(_tensor(4, (2, 2), (100, 1)))),
    "strides that repeat one number": lambda: _zip(_state(_tensor(4, (1 << 36,), (0,)))),
    "a negative shape": lambda: _zip(_state(_tensor(4, (-4,)))),
    "a negative offset": lambda: _zip(_state(_tensor(4, (4,), (1,), -4))),
    "a hundred axes": lambda: _zip(_state(_tensor(4, (1,) * 100, (1,) * 100))),
    "a storage of 2**60": lambda: _zip(_state(_tensor(1 << 60))),
    "a storage larger than its file": lambda: _zip(_state(_tensor(1 << 38))),
    "a storage smaller than its file": lambda: _zip(numbers=b"\0" * 20),
    "a storage of two sizes": lambda: _zip(_pickled(_table(a=_tensor(4), b=_tensor(2, (2,))))),
    "a storage that is missing": lambda: _zip(_state(_tensor(key="../../etc/passwd"))),
    "a storage of complex numbers": lambda: _zip(
        _state(_tensor(storage=_storage(kind="torch\nComplexFloatStorage")))
    ),
    "a path out of the archive": lambda: _zip(files={"../../pwned": b"x"}),
    "a path out of its folder": lambda: _zip(files={"archive/../../pwned": b"x"}),
    "an absolute path": lambda: _zip(files={"/tmp/pwned": b"x"}),
    "a path of Windows": lambda: _zip(files={"archive/..\\..\\pwned": b"x"}),
    "two folders": lambda: _zip(files={"other/data.pkl": pickle.dumps(Harm(), 2)}),
    "a file twice": _twice,
    "files that overlap": _overlapping,
    "a zip bomb": lambda: _zip(compression=zipfile.ZIP_DEFLATED, numbers=b"\0" * (1 << 24)),
    "a program": lambda: _zip(files={"archive/constants.pkl": EMPTY, "archive/code/a.py": b"x"}),
    "an archive of something else": lambda: _zip_of({"hello.txt": b"x"}),
    "only a zip's first bytes": lambda: b"PK\x03\x04" + b"\0" * 100,
    "a zip cut short": lambda: _zip()[:-40],
    "a flipped bit in the pickle": lambda: _flipped(_zip(), b"_rebuild"),
    "a tar of 2016": _tar,
    "another magic number": lambda: _old(magic=1),
    "numbers cut short": lambda: _old(numbers=struct.pack("<q", 4) + b"\0" * 15),
    "numbers of another count": lambda: _old(numbers=struct.pack("<q", 1 << 40) + b"\0" * 16),
    "numbers after the end": lambda: _old(numbers=struct.pack("<q", 4) + b"\0" * 17),
    "storages that nobody uses": lambda: _old(keys=["0", "1"]),
    "no storages": lambda: _old(keys=[]),
    "storages twice": lambda: _old(keys=["0", "0"]),
    "big-endian": lambda: _old(system={"little_endian": False}),
    "a pickle of numbers": lambda: pickle.dumps([1, 2, 3], 2),
    "a pickle of protocol 5": lambda: pickle.dumps(Harm(), 5),
    "nothing but zeros": lambda: b"\x80\x02" + b"\0" * 1000,
}


def _zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _flipped(data: bytes, where: bytes) -> bytes:
    place = data.index(where)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_happens(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    path.write_bytes(HOSTILE[case]())
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            read_file(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    # Found while looking, not because it is no MIRNet.
    assert "does not know" not in message
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 500
    assert caught.value.remedy
    assert caught.value.exit_code == ExitCode.MODEL
    assert peak < 3 * size + (8 << 20)
    assert [each.name for each in tmp_path.iterdir()] == ["x.pth"]


@pytest.mark.parametrize("template", ["zip", "old"])
def test_bytes_changed_at_random(template: str) -> None:
    chance = random.Random(0)
    good = _zip() if template == "zip" else _old()
    for _ in range(600):
        data = bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 4))):
            place = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[place] ^= 1 << chance.randrange(8)
                case 1:
                    del data[place : place + chance.randrange(1, 9)]
                case _:
                    data[place:place] = chance.randbytes(chance.randrange(1, 5))
        # Never another exception, never a network.
        with pytest.raises(ModelError):
            read(bytes(data), Path("x.pth"))


def test_the_templates_are_good(tmp_path: Path) -> None:
    for name, data in (("zip", _zip()), ("old", _old())):
        path = tmp_path / name
        path.write_bytes(data)
        # Read, and found to be no network that is known.
        with pytest.raises(ModelError, match="does not know"):
            read_file(path)
        assert torch.load(path, weights_only=True)["a"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "variables",
    [
        {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"},
    ],
)
def test_no_variable_undoes_it(variables: dict[str, str], tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.pth", tmp_path / "good.pth"
    bad.write_bytes(_zip(pickle.dumps({"a": Harm()}, 2)))
    from tests.models import checkpoints

    checkpoints.save(good, checkpoints.small("mirnet_v2"))
    ran = [
        subprocess.run(
            [sys.executable, "-m", "mirnet_cli", "models", "verify", str(path)],
            env={**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (bad, good)
    ]
    assert ran[0].returncode == 3
    assert ran[0].stderr.count("\n") == 1
    assert "posix.system" in ran[0].stderr or "nt.system" in ran[0].stderr
    assert not (tmp_path / "pwned").exists()
    assert ran[1].stderr.count("\n") <= 1
    assert ran[1].returncode == (3 if len(variables) == 2 else 0)


def test_names_that_others_declared_safe_are_not(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(_zip(pickle.dumps({"a": Harm()}, 2)))
    with torch.serialization.safe_globals([os.system]), pytest.raises(ModelError):
        read_file(path)
    assert not Path("pwned").exists()
