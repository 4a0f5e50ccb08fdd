"""Files that claim to be ONNX networks, read as a stranger's."""

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mirnet_cli.errors import ModelError
from mirnet_cli.models import onnx_file
from mirnet_cli.runtime.measured import measured
from tests.networks.onnx_files import FLOAT, Graph, denoiser, enlarger, save


def refused(path: Path) -> str:
    """What is said of a file that is refused, in one line."""
    with pytest.raises(ModelError) as caught:
        onnx_file.read(path)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert caught.value.subject == str(path)
    return said


def test_interface(tmp_path: Path) -> None:
    found = onnx_file.read(save(denoiser(), tmp_path / "a.onnx"))
    assert (found.interface.input, found.interface.channels) == ("x", 3)
    assert found.interface.fixed is None
    assert (found.opset, found.producer) == (17, "tests")
    assert found.parameters == 3 * 3 * 3 * 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git-lfs"),
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture"),
        (b"PK\x03\x04" + bytes(100), "not an"),
        (np.random.default_rng(0).bytes(5000), "not an"),
        (b"\x00" * 1000, "not an"),
        (b"\x08\x08", "not an ONNX network"),
        # A field that claims more bytes than a file can have.
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends too early"),
    ],
)
def test_no_network(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    assert said in refused(path)


def test_cut_short(tmp_path: Path) -> None:
    whole = denoiser().SerializeToString()
    path = tmp_path / "a.onnx"
    for length in range(1, len(whole), 37):
        path.write_bytes(whole[:length])
        refused(path)


def test_any_byte_changed_is_read_or_refused(tmp_path: Path) -> None:
    whole = denoiser().SerializeToString()
    path = tmp_path / "a.onnx"
    generator = np.random.default_rng(3)
    for _ in range(300):
        changed = bytearray(whole)
        changed[generator.integers(len(whole))] = generator.integers(256)
        path.write_bytes(changed)
        with contextlib.suppress(ModelError):
            onnx_file.read(path)


def _tensor(model: onnx.ModelProto) -> Any:
    return model.graph.initializer[0]


def _external(location: str, **more: str) -> Any:
    def change(model: onnx.ModelProto) -> None:
        tensor = _tensor(model)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            tensor.external_data.add(key=key, value=value)

    return change


def _dims(*dims: int, empty: bool = False) -> Any:
    def change(model: onnx.ModelProto) -> None:
        tensor = _tensor(model)
        del tensor.dims[:]
        tensor.dims.extend(dims)
        if empty:
            tensor.ClearField("raw_data")

    return change


def _node(operator: str, domain: str = "", **attributes: Any) -> Any:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.insert(
            0, helper.make_node(operator, ["x"], ["other"], domain=domain, **attributes)
        )

    return change


def _body(inside: Any = None) -> Any:
    nodes = [helper.make_node("If", ["q"], ["y"], then_branch=inside, else_branch=inside)]
    return helper.make_graph(nodes if inside else [], "body", [], [])


def _nested(depth: int) -> Any:
    body = helper.make_graph([], "inner", [], [])
    for _ in range(depth):
        node = helper.make_node("If", [""], ["y"], then_branch=body, else_branch=body)
        body = helper.make_graph([node], "outer", [], [])
    return _node("If", then_branch=body, else_branch=body)


def _floats(model: onnx.ModelProto) -> None:
    _tensor(model).ClearField("raw_data")
    _tensor(model).float_data.extend([0.0] * 5)


def _strings(model: onnx.ModelProto) -> None:
    _tensor(model).data_type = TensorProto.STRING


def _opset(version: int) -> Any:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def _newer(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def _no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def _function(model: onnx.ModelProto) -> None:
    node = helper.make_node("again", ["a"], ["b"], domain="own")
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "again", ["a"], ["b"], [node], opset))


def _disordered(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "v2_0"


def _twice(model: onnx.ModelProto) -> None:
    model.graph.node[1].output[0] = "v0_0"


def _nothing_out(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "nowhere"


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def _sides(*sides: int) -> Any:
    def change(model: onnx.ModelProto) -> None:
        shape = model.graph.input[0].type.tensor_type.shape
        for dim, side in zip(shape.dim, sides, strict=True):
            dim.dim_value = side

    return change


def _two_pictures(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("second", FLOAT, (1, 3, None, None)))


def _a_vector(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("codes", FLOAT, (1, 512)))


def _classes(model: onnx.ModelProto) -> None:
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("v3_0", FLOAT, (1, 1000)))


def _sequence(model: onnx.ModelProto) -> None:
    kind = helper.make_tensor_sequence_value_info("x", FLOAT, None)
    model.graph.input[0].CopyFrom(kind)


def _long_name(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "x" * 5000


HOSTILE: dict[str, tuple[Any, str]] = {
    "beside, above": (_external("../secret.bin"), "outside"),
    "beside, above, inside": (_external("a/../../secret.bin"), "outside"),
    "beside, anywhere": (_external("/etc/hostname"), "outside"),
    "beside, of Windows": (_external("C:\\secret.bin"), "outside"),
    "beside, above, of Windows": (_external("..\\secret.bin"), "outside"),
    "beside, nowhere": (_external(""), "outside"),
    "beside, missing": (_external("none.bin"), "no such file"),
    "beside, too short": (_external("short.bin"), "claims 324 bytes and has 10"),
    "beside, behind its end": (_external("short.bin", offset="1000000"), "claims"),
    "beside, before its start": (_external("short.bin", offset="-8"), "claims"),
    "beside, no number": (_external("short.bin", offset="many"), "lies nowhere"),
    "beside, through a link": (_external("link.bin"), "outside"),
    "claims gigabytes": (_dims(100_000, 100_000, empty=True), "has 0"),
    "claims more than there are numbers": (_dims(1 << 40, 1 << 40), "claims"),
    "claims less than nothing": (_dims(-1, 3), "cannot be"),
    "claims another size": (_dims(3, 3, 3, 4), "claims 432 bytes and has 324"),
    "many axes": (_dims(*[1] * 40), "cannot be"),
    "few numbers of their own type": (_floats, "claims 81 numbers and has 5"),
    "texts": (_strings, "type"),
    "sparse": (_sparse, "sparse"),
    "a custom operator": (_node("Run", "com.stranger"), "custom operator com.stranger:Run"),
    "another's operator": (_node("Run", "ai.onnx.ml"), "custom operator"),
    "a loop": (_node("Loop", body=_body()), "loop"),
    "a scan": (_node("Scan", body=_body(), num_scan_inputs=1), "loop"),
    "a map": (_node("SequenceMap", body=_body()), "loop"),
    "graphs in graphs": (_nested(8), "more than 4 deep"),
    "a function that calls itself": (_function, "functions"),
    "an opset to come": (_opset(99), "opset 99 is too new"),
    "an ONNX to come": (_newer, "newer ONNX"),
    "no opset": (_no_opset, "no opset"),
    "a ring": (_disordered, "not there"),
    "made twice": (_twice, "made twice"),
    "made by nothing": (_nothing_out, "made by nothing"),
    "huge pictures only": (_sides(1, 3, 100_000, 100_000), "100000x100000 only"),
    "many channels": (_sides(1, 64, 32, 32), "does not take one picture"),
    "many pictures": (_sides(16, 3, 32, 32), "does not take one picture"),
    "two pictures": (_two_pictures, "does not take one picture"),
    "codes beside it": (_a_vector, "neither a picture nor one number"),
    "a classifier": (_classes, "does not give a picture"),
    "no tensor": (_sequence, "no tensor"),
    "a name without end": (_long_name, "5,000 characters"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(324))
    (folder / "short.bin").write_bytes(bytes(10))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    change, said = HOSTILE[case]
    model = denoiser()
    change(model)
    before = sorted(tmp_path.rglob("*"))
    assert said in refused(save(model, folder / "a.onnx"))
    assert sorted(tmp_path.rglob("*")) == sorted([*before, folder / "a.onnx"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.onnx")
    assert "regular file" in refused(tmp_path / "a.onnx")


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    model = denoiser()
    model.graph.node[0].input[0] = "\x1b[2J"
    assert "\x1b" not in refused(save(model, tmp_path / "a.onnx"))


def test_numbers_beside_the_file(tmp_path: Path) -> None:
    whole = denoiser()
    plain = onnx_file.read(save(whole, tmp_path / "plain.onnx"))
    onnx.save_model(
        denoiser(),
        tmp_path / "a.onnx",
        save_as_external_data=True,
        location="a.onnx.data",
        size_threshold=0,
    )
    found = onnx_file.read(tmp_path / "a.onnx")
    again = onnx.load_from_string(found.data)
    assert not any(tensor.external_data for tensor in again.graph.initializer)
    for one, other in zip(again.graph.initializer, whole.graph.initializer, strict=True):
        assert (
            onnx.numpy_helper.to_array(one).tolist() == onnx.numpy_helper.to_array(other).tolist()
        )
    assert again.graph.node == whole.graph.node
    assert found.parameters == plain.parameters
    # It counts in the hash.
    before = found.sha256
    data = bytearray((tmp_path / "a.onnx.data").read_bytes())
    data[0] ^= 1
    (tmp_path / "a.onnx.data").write_bytes(data)
    assert onnx_file.read(tmp_path / "a.onnx").sha256 != before


def _expanded() -> onnx.ModelProto:
    graph = Graph()
    wide = graph.add("Expand", "x", graph.constant([4096, 3, 4096, 4096], np.int64))
    return graph.model(graph.add("ReduceMax", wide, axes=[0]))


def _mismatched() -> onnx.ModelProto:
    graph = Graph()
    return graph.model(graph.conv("x", np.zeros((3, 5, 3, 3), np.float32)))


def _mask() -> onnx.ModelProto:
    graph = Graph()
    made = graph.conv("x", np.ones((1, 3, 3, 3), np.float32))
    return graph.model(made, shape=(1, 1, None, None))


def _smaller() -> onnx.ModelProto:
    graph = Graph()
    made = graph.conv("x", np.ones((3, 3, 3, 3), np.float32), strides=[2, 2])
    return graph.model(made)


def _unknown() -> onnx.ModelProto:
    graph = Graph()
    return graph.model(graph.add("NoSuchOperator", "x"))


UNFIT: dict[str, tuple[Any, str]] = {
    "memory without end": (_expanded, "not a network that can be used"),
    "weights of another shape": (_mismatched, "OpenVINO does not read it"),
    "a mask": (_mask, "takes no size"),
    "half the size": (_smaller, "takes no size"),
    "an operator that nobody has": (_unknown, "NoSuchOperator"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_unfit(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))
    make, said = UNFIT[case]
    found = onnx_file.read(save(make(), tmp_path / "a.onnx"))
    with pytest.raises(ModelError) as caught:
        measured(found.data, found.sha256, found.interface, settings={}, subject=found.path)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_enlarger_is_read(tmp_path: Path) -> None:
    assert onnx_file.read(save(enlarger(3), tmp_path / "a.ONNX")).interface.channels == 3
