"""Compiled graphs that are kept: the right one is found, and a faulty one is made again."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mirnet_cli.files import PART_SUFFIX
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.runtime import Pools, compiled, openvino_runtime, prepare
from mirnet_cli.runtime.compiled import Entry, Shelf, fingerprint
from mirnet_cli.runtime.openvino_graph import Pool
from tests.runtime.networks import random_spec

PICTURE = np.random.default_rng(0).random((1, 3, 48, 64), np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path))
    return tmp_path / "compiled"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every graph that is compiled."""
    seen: list[str] = []
    compile_ = openvino_runtime.OpenVinoRunner._compile

    def counted(self: openvino_runtime.OpenVinoRunner, kind: object) -> object:
        seen.append(str(kind))
        return compile_(self, kind)  # type: ignore[arg-type]

    monkeypatch.setattr(openvino_runtime.OpenVinoRunner, "_compile", counted)
    return seen


def result(spec: NetworkSpec, precision: str = "fp32", mask: bool = False) -> np.ndarray:
    runner = prepare(spec, scale=1, device="cpu", runtime="openvino", precision=precision)
    shape = (1, 1, *PICTURE.shape[2:])
    output = runner.run(PICTURE, Pools(mask=np.ones(shape, np.float32) if mask else None))
    pooled = [vector for record in output.pooled for vector, _ in record]
    return np.concatenate([output.residual.ravel(), *pooled])


@pytest.mark.parametrize("mask", [False, True], ids=["plain", "record"])
@pytest.mark.parametrize("family", ["compact", "mirnet_v2"])
def test_a_later_run_takes_what_an_earlier_one_compiled(
    folder: Path, compilations: list[str], family: str, mask: bool
) -> None:
    first = result(random_spec(family), mask=mask)
    assert len(compilations) == 1
    second = result(random_spec(family), mask=mask)
    assert len(compilations) == 1
    assert np.array_equal(first, second)
    assert len(list(folder.iterdir())) == 1


def test_other_weights_in_the_same_file_are_another_network(
    folder: Path, compilations: list[str]
) -> None:
    spec = random_spec("compact")
    first = result(spec)
    changed = {name: tensor * 1.5 for name, tensor in spec.tensors.items()}
    other = result(replace(spec, tensors=changed))
    assert len(compilations) == 2
    assert not np.array_equal(first, other)


def test_the_precision_tells_graphs_apart(folder: Path, compilations: list[str]) -> None:
    if "bf16" not in openvino_runtime.cpu().precisions:
        pytest.skip("this CPU does not compute in bfloat16")
    result(random_spec("compact"))
    result(random_spec("compact"), "bf16")
    assert len(compilations) == 2


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_a_changed_byte_is_noticed(folder: Path, compilations: list[str], place: float) -> None:
    first = result(random_spec("compact"))
    (path,) = folder.iterdir()
    raw = bytearray(path.read_bytes())
    raw[int(place * (len(raw) - 1))] ^= 1
    path.write_bytes(raw)
    assert np.array_equal(result(random_spec("compact")), first)
    assert len(compilations) == 2
    assert bytes(raw) != path.read_bytes()


@pytest.mark.parametrize("length", [0, 10, 40, 5000])
def test_half_an_entry_is_noticed(folder: Path, compilations: list[str], length: int) -> None:
    first = result(random_spec("compact"))
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:length])
    assert np.array_equal(result(random_spec("compact")), first)
    assert len(compilations) == 2


def test_what_openvino_refuses_is_compiled(folder: Path, compilations: list[str]) -> None:
    first = result(random_spec("compact"))
    (path,) = folder.iterdir()
    path.write_bytes(compiled._pack(Entry(b"not a graph", ())))
    assert np.array_equal(result(random_spec("compact")), first)
    assert len(compilations) == 2


@pytest.mark.skipif(os.name == "nt", reason="owners of POSIX")
def test_what_another_user_put_there_is_not_taken(
    folder: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = result(random_spec("compact"))
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert np.array_equal(result(random_spec("compact")), first)
    assert len(compilations) == 2


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / f".0123{PART_SUFFIX}").write_bytes(b"half")
    Shelf(tmp_path).put("network", {}, Entry(b"graph", ()))
    assert [path.suffix for path in tmp_path.iterdir()] == [".graph"]


def test_a_folder_that_cannot_be_written_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file"
    place.write_text("not a folder")
    monkeypatch.setenv("MIRNET_CACHE", str(place))
    assert result(random_spec("compact")).size


def test_not_every_graph_is_kept(
    folder: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_runtime, "_MOST_KEPT", 2)
    runner = prepare(random_spec("compact"), scale=1, device="cpu", runtime="openvino")
    for side in (16, 24, 32, 40):
        runner.run(PICTURE[:, :, :side, :side])
    assert len(compilations) == 4
    assert len(list(folder.iterdir())) == 2
    monkeypatch.setattr(openvino_runtime, "LARGEST", 1000)
    result(random_spec("mirnet_v2"))
    assert len(list(folder.iterdir())) == 2


def test_everything_that_makes_a_graph_is_in_its_fingerprint() -> None:
    spec = random_spec("compact")
    name, tensor = next(iter(spec.tensors.items()))
    seen = {
        fingerprint(spec),
        fingerprint(spec, scale=2),
        fingerprint(replace(spec, config={**spec.config, "groups": 9})),
        fingerprint(replace(spec, family="mirnet_v1")),
        fingerprint(replace(spec, tensors={**spec.tensors, name: tensor + 1})),
        fingerprint(replace(spec, tensors={**spec.tensors, name: tensor.astype("float64")})),
    }
    assert len(seen) == 6
    # The name of the file does not matter, only what is in it.
    assert fingerprint(replace(spec, sha256="0")) == fingerprint(spec)


def test_what_was_unused_for_longest_makes_room(tmp_path: Path) -> None:
    pools = (Pool(8, 2, False), Pool(4, 4, True))
    shelf = Shelf(tmp_path, limit=3500)
    for n in range(3):
        shelf.put("network", {"n": n}, Entry(bytes([n]) * 1000, pools))
        os.utime(shelf._path("network", {"n": n}), (n, n))
    assert shelf.get("network", {"n": 0}) == Entry(bytes([0]) * 1000, pools)
    shelf.put("network", {"n": 3}, Entry(bytes(1000), pools))
    there = [shelf.get("network", {"n": n}) is not None for n in range(4)]
    assert there == [True, False, True, True]
    shelf.put("network", {"n": 4}, Entry(bytes(4000), pools))
    assert shelf.get("network", {"n": 4}) is None
