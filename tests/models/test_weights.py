"""Weights survive their file; what is not weights is refused with one line."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as serialise

from mirnet_cli.errors import ExitCode, ModelError
from mirnet_cli.models import weights
from mirnet_cli.networks.spec import NetworkSpec
from tests.models.builders import some_weights, spec


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "denoise.safetensors"
    thumbnail = spec(1)
    saved = weights.save(path, some_weights(base="guided", thumbnail=thumbnail))
    loaded = weights.load(path)
    assert loaded.sha256 == saved.sha256 == loaded.network.sha256
    assert (loaded.name, loaded.task, loaded.scales) == ("denoise", "denoise", (1,))
    assert (loaded.base, loaded.context, loaded.overlap) == ("guided", "tile", 16)
    assert (loaded.licence, loaded.training) == ("Apache-2.0", {"seed": 1})
    assert loaded.network.config == spec().config
    assert loaded.thumbnail is not None
    for key, tensor in thumbnail.tensors.items():
        np.testing.assert_array_equal(loaded.thumbnail.tensors[key], tensor.astype(np.float16))


def test_the_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        weights.save(tmp_path / name, some_weights())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("half", [True, False])
def test_tensors_in_another_order_in_memory_are_saved_as_they_are(
    half: bool, tmp_path: Path
) -> None:
    # safetensors 0.8 writes the memory of an array, whatever its strides.
    network = spec()
    turned = {
        key: np.asfortranarray(tensor.astype(np.float16)) for key, tensor in network.tensors.items()
    }
    assert not all(tensor.flags.c_contiguous for tensor in turned.values())
    path = tmp_path / "a.safetensors"
    weights.save(path, some_weights(network=replace(network, tensors=turned)), half=half)
    loaded = weights.load(path).network.tensors
    for key, tensor in turned.items():
        np.testing.assert_array_equal(loaded[key], tensor)


def test_what_float16_cannot_hold_is_not_saved(tmp_path: Path) -> None:
    network = NetworkSpec("compact", {}, {"a": np.array([1e6], np.float32)}, "")
    with pytest.raises(ModelError, match="float16"):
        weights.save(tmp_path / "a", some_weights(network=network))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("scales", "expected"), [((1,), 1), ((2, 3, 4), 2), ((4,), 4), ((1, 2), 2)]
)
def test_default_scale(tmp_path: Path, scales: tuple[int, ...], expected: int) -> None:
    weights.save(tmp_path / "a", some_weights(task="upscale", scales=scales, base="bicubic"))
    assert weights.load(tmp_path / "a").default_scale == expected


def _header(header: Any, tail: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + tail


def _tensor(begin: int, end: int, shape: list[int], dtype: str = "F16") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def _described(**changes: Any) -> bytes:
    network = {"family": "compact", "config": {"widths": [4]}}
    text = {
        "format": 1,
        "name": "x",
        "task": "denoise",
        "scales": [1],
        "base": "input",
        "context": "tile",
        "overlap": None,
        "licence": "MIT",
        "network": network,
    }
    tensors = {"network.a": np.zeros(2, np.float16)}
    return serialise(tensors, metadata={"mirnet": json.dumps(text | changes)})


def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil", b"x")
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return buffer.getvalue()


class _Bomb:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch pwned",)


def _nan() -> bytes:
    tensors = {"network.a": np.array([1, np.nan], np.float16)}
    return serialise(tensors, metadata={"mirnet": "{}"})


def _metadata(data: bytes) -> dict[str, str]:
    found: dict[str, str] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])[
        "__metadata__"
    ]
    return found


_GOOD = _described()
_DEEP = b"[" * 200_000

HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "one byte": (b"\x00", "not an intact"),
    "only a length": (struct.pack("<Q", 0), "not an intact"),
    "header of 2**63": (_header({}, length=1 << 63), "longer than the file"),
    "header of 2**64 - 1": (_header({}, length=(1 << 64) - 1), "longer than the file"),
    "header longer than the file": (_header({}, length=1000), "longer than the file"),
    "header without limit": (_header(b" " * (17 << 20)), "a header of 17 MiB"),
    "header not JSON": (_header(b"hello world {}"), "not JSON"),
    "header nested deeply": (_header(_DEEP), "not JSON"),
    "header a list": (_header([1, 2, 3]), "not a table"),
    "no tensors": (_header({"__metadata__": {}}), "0 tensors"),
    "metadata not texts": (_header({"__metadata__": {"mirnet": 1}, "a": 1}), "not text"),
    "metadata a list": (_header({"__metadata__": [], "a": 1}), "not text"),
    "name twice": (
        _header(
            b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},'
            b'"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}',
            b"\0\0",
        ),
        "not JSON",
    ),
    "offsets overlap": (
        _header({"a": _tensor(0, 4, [2]), "b": _tensor(2, 6, [2])}, b"\0" * 6),
        "not an intact",
    ),
    "hole between tensors": (
        _header({"a": _tensor(0, 4, [2]), "b": _tensor(6, 10, [2])}, b"\0" * 10),
        "not an intact",
    ),
    "offsets beyond the end": (_header({"a": _tensor(0, 400, [200])}, b"\0" * 4), "not an intact"),
    "offsets backwards": (_header({"a": _tensor(4, 0, [2])}, b"\0" * 4), "not an intact"),
    "negative offset": (_header({"a": _tensor(-4, 0, [2])}, b"\0" * 4), "not an intact"),
    "negative shape": (_header({"a": _tensor(0, 4, [-2])}, b"\0" * 4), "not an intact"),
    "shape overflows": (
        _header({"a": _tensor(0, 4, [1 << 62, 1 << 62])}, b"\0" * 4),
        "not an intact",
    ),
    "shape larger than its bytes": (_header({"a": _tensor(0, 4, [100])}, b"\0" * 4), "not an"),
    "bytes after the end": (_GOOD + b"\0" * 8, "not an intact"),
    "cut": (_GOOD[:-1], "not an intact"),
    "cut in the header": (_GOOD[:100], "longer than the file"),
    "type of integers": (_header({"a": _tensor(0, 4, [1], "I32")}, b"\0" * 4), "of type I32"),
    "type unknown": (_header({"a": _tensor(0, 4, [1], "X9")}, b"\0" * 4), "of type X9"),
    "tensor entry a text": (_header({"a": "b"}), "of type None"),
    "not finite": (_nan(), "not finite"),
    "zip of PyTorch": (_zipped(), "PyTorch checkpoint"),
    "pickle of PyTorch": (pickle.dumps(_Bomb(), protocol=2), "PyTorch checkpoint"),
    "pickle of protocol 5": (pickle.dumps(_Bomb(), protocol=5), "PyTorch checkpoint"),
    "git-lfs pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
        "git-lfs pointer",
    ),
    "web page": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
    "Keras file": (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "Keras"),
    "a photo": (b"\xff\xd8\xff\xe0" + b"\0" * 64, "a picture"),
    "someone else's safetensors": (
        serialise({"a": np.zeros(2, np.float16)}),
        "not weights of mirnet",
    ),
    "description not JSON": (
        serialise({"a": np.zeros(2, np.float16)}, metadata={"mirnet": "{"}),
        "damaged",
    ),
    "description nested deeply": (
        serialise({"a": np.zeros(2, np.float16)}, metadata={"mirnet": "[" * 200_000}),
        "damaged",
    ),
    "newer format": (_described(format=3), "newer mirnet"),
    "tensors of no description": (
        serialise(
            {"network.a": np.zeros(2, np.float16), "clean.a": np.zeros(2, np.float16)},
            metadata=_metadata(_GOOD),
        ),
        "do not agree",
    ),
    "format of two sets with one": (_described(format=2), "go together"),
    "two sets in the format of one": (
        _described(clean={"family": "compact", "config": {"widths": [4]}}),
        "go together",
    ),
    "format a text": (_described(format="1"), "format = '1'"),
    "name with a path": (_described(name="../../x"), "name = "),
    "name with an escape": (_described(name="\x1b[31m"), "name = "),
    "unknown task": (_described(task="dehaze"), "task = "),
    "task a list": (_described(task=["denoise"]), "task = "),
    "scale 0": (_described(task="upscale", scales=[0]), "scales = "),
    "scale true": (_described(task="upscale", scales=[True]), "scales = "),
    "no scale": (_described(scales=[]), "scales = "),
    "scale of another task": (_described(scales=[2]), "do not suit"),
    "unknown base": (_described(base="magic"), "base = "),
    "guided without thumbnail": (_described(base="guided"), "go together"),
    "unknown context": (_described(context="all"), "context = "),
    "overlap endless": (_described(overlap=1 << 40), "overlap = "),
    "no network": (_described(network=None), "network = "),
    "unknown family": (
        _described(network={"family": "\x1b]0;x", "config": {}}),
        "unknown to this version",
    ),
    "configuration too large": (
        _described(network={"family": "compact", "config": {"widths": [1 << 40]}}),
        "network = ",
    ),
    "configuration negative": (
        _described(network={"family": "compact", "config": {"groups": -1}}),
        "network = ",
    ),
    "configuration too deep": (
        _described(network={"family": "compact", "config": {"a": [[[[1]]]]}}),
        "network = ",
    ),
    "thumbnail without tensors": (
        _described(base="guided", thumbnail={"family": "compact", "config": {}}),
        "do not agree",
    ),
    "tensor of no part": (
        serialise({"other.a": np.zeros(2, np.float16)}, metadata={"mirnet": "{}"}),
        "description of the weights says",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, expected = HOSTILE[case]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        weights.load(path)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 500
    assert caught.value.remedy
    assert caught.value.exit_code == ExitCode.MODEL
    assert [each.name for each in tmp_path.iterdir()] == ["x.safetensors"]


def test_the_template_of_the_hostile_files_is_good(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(_GOOD)
    assert weights.load(tmp_path / "x").name == "x"


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_a_header_that_begins_like_a_pickle(length: int, tmp_path: Path) -> None:
    data = _described(training={})
    for padding in range(2000):
        data = _described(training={"note": "x" * padding})
        if int.from_bytes(data[:8], "little") == length:
            break
    (tmp_path / "x").write_bytes(data)
    assert weights.load(tmp_path / "x").name == "x"


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        weights.load(tmp_path / "none")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a folder"):
        weights.load(tmp_path)


def test_a_name_with_a_null() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        weights.load(Path("a\0b"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="regular file"):
        weights.load(tmp_path / "pipe")


def test_a_device_is_refused() -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("no devices here")
    with pytest.raises(ModelError, match="regular file"):
        weights.load(Path("/dev/zero"))


def test_a_sparse_giant_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="too large"):
        weights.load(tmp_path / "x")


@pytest.mark.parametrize("family", ["compact", "mirnet_v2"])
def test_a_network_sees_one_picture_or_two(family: str, tmp_path: Path) -> None:
    network = NetworkSpec(family, {"inputs": 5}, spec().tensors, "")
    with pytest.raises(ModelError, match="network: inputs = 5"):
        weights.save(tmp_path / "x.safetensors", some_weights(network=network))


def _integers(**changes: Any) -> dict[str, np.ndarray]:
    parts = {
        "weight": np.full((2, 3, 1, 1), 64, np.int8),
        "scale": np.ones(2, np.float32),
        "step": np.ones(3, np.float32),
        "zero": np.full(1, 128, np.float32),
    }
    return {f"conv.{kind}": value for kind, value in (parts | changes).items() if value is not None}


def _with_integers(integers: dict[str, np.ndarray]) -> weights.Weights:
    tensors = {"conv.weight": np.ones((2, 3, 1, 1), np.float16)}
    return some_weights(network=replace(spec(), tensors=tensors, integers=integers))


def test_integers_are_kept_as_they_are(tmp_path: Path) -> None:
    weights.save(tmp_path / "a", _with_integers(_integers()))
    loaded = weights.load(tmp_path / "a").network
    assert set(loaded.tensors) == {"conv.weight"}
    for key, value in _integers().items():
        assert loaded.integers[key].dtype == value.dtype
        np.testing.assert_array_equal(loaded.integers[key], value)


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": np.full((2, 3, 1, 1), 65, np.int8)},
        {"weight": np.full((2, 3, 1, 1), -128, np.int8)},
        {"weight": np.ones((2, 3, 1, 1), np.float32)},
        {"weight": np.ones((2, 3, 3, 3), np.int8)},
        {"weight": np.ones((3, 2, 1, 1), np.int8)},
        {"scale": np.zeros(2, np.float32)},
        {"scale": np.ones(3, np.float32)},
        {"step": np.array([1, -1, 1], np.float32)},
        {"step": np.ones(1, np.float32)},
        {"step": np.ones(3, np.float16)},
        {"zero": np.full(1, 256, np.float32)},
        {"zero": np.full(1, 0.5, np.float32)},
        {"zero": np.ones(2, np.float32)},
        {"zero": None},
        {"scale": None},
        {"bias": np.ones(2, np.float32)},
    ],
    ids=lambda changes: " ".join(f"{k} {getattr(v, 'dtype', v)}" for k, v in changes.items()),
)
def test_integers_that_do_not_suit_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="integers") as caught:
        weights.save(tmp_path / "a", _with_integers(_integers(**changes)))
    assert caught.value.exit_code == ExitCode.MODEL
    assert list(tmp_path.iterdir()) == []


def test_integers_of_a_convolution_that_is_not_there(tmp_path: Path) -> None:
    other = {key.replace("conv", "other"): value for key, value in _integers().items()}
    with pytest.raises(ModelError, match="integers"):
        weights.save(tmp_path / "a", _with_integers(other))


def test_other_tensors_are_not_of_integers(tmp_path: Path) -> None:
    tensors = {"conv.weight": np.ones((2, 3, 1, 1), np.int8)}
    with pytest.raises(ModelError, match="type I8"):
        weights.save(
            tmp_path / "a", some_weights(network=replace(spec(), tensors=tensors)), half=False
        )


def _two_sets(**changes: Any) -> weights.Weights:
    given = {"task": "upscale", "scales": (2,), "base": "bicubic", "thumbnail": None}
    return some_weights(**(given | {"clean": spec(1)} | changes))


@pytest.mark.parametrize("half", [True, False])
def test_two_sets_of_weights_are_kept(half: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    saved = weights.save(path, _two_sets(), half=half)
    loaded = weights.load(path)
    assert loaded.clean is not None
    assert loaded.clean.config == loaded.network.config
    assert saved.sha256 == loaded.clean.sha256
    for given, found in ((spec(0), loaded.network), (spec(1), loaded.clean)):
        for key, tensor in given.tensors.items():
            kept = tensor.astype(np.float16) if half else tensor
            np.testing.assert_array_equal(found.tensors[key], kept)
    weights.save(tmp_path / "b.safetensors", loaded, half=half)
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()


def _said(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(_metadata(path.read_bytes())["mirnet"])
    return said


def test_older_versions_refuse_two_sets_and_read_one(tmp_path: Path) -> None:
    weights.save(tmp_path / "two", _two_sets())
    weights.save(tmp_path / "one", _two_sets(clean=None))
    assert _said(tmp_path / "two")["format"] == 2
    one = _said(tmp_path / "one")
    assert one["format"] == 1
    assert "clean" not in one


@pytest.mark.parametrize("name", ["denoise", "enhance", "upscale", "upscale-x1"])
def test_files_that_ship_stay_the_same_bytes(name: str, tmp_path: Path) -> None:
    from mirnet_cli.models import catalogue

    path = catalogue.path_of(catalogue.find(name))
    assert _said(path)["format"] == (2 if name == "upscale" else 1)
    weights.save(tmp_path / "again", weights.load(path))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


_OTHER = replace(spec(1), tensors={**spec(1).tensors, "more": np.ones(1, np.float32)})
_WIDER = replace(spec(1), config={**spec().config, "unshuffle": 4})
_SMALLER = replace(spec(1), tensors={"conv.weight": spec().tensors["conv.weight"]})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"base": "input", "scales": (1,)}, "do not suit the base input"),
        ({"base": "enlarged"}, "do not suit the base enlarged"),
        ({"base": "guided", "scales": (1,), "thumbnail": spec(2)}, "do not suit the base guided"),
        ({"clean": _OTHER}, "are not those of its network"),
        ({"clean": _SMALLER}, "are not those of its network"),
        ({"clean": _WIDER}, "another one than its network"),
        ({"clean": replace(spec(1), tensors={})}, "of its network for clean pictures do not agree"),
    ],
)
def test_sets_that_do_not_suit_each_other_are_refused(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=expected) as caught:
        weights.save(tmp_path / "a", _two_sets(**changes))
    assert caught.value.exit_code == ExitCode.MODEL
    assert list(tmp_path.iterdir()) == []


def test_both_sets_have_integers_or_neither(tmp_path: Path) -> None:
    whole = _with_integers(_integers()).network
    floats = replace(whole, integers={})
    weights.save(tmp_path / "a", _two_sets(network=whole, clean=whole))
    loaded = weights.load(tmp_path / "a").clean
    assert loaded is not None
    for key, value in _integers().items():
        np.testing.assert_array_equal(loaded.integers[key], value)
    for network, clean in ((whole, floats), (floats, whole)):
        with pytest.raises(ModelError, match="same integers"):
            weights.save(tmp_path / "b", _two_sets(network=network, clean=clean))
