"""Convolutions in 8-bit integers: what the runtimes make of them, and where they are taken."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from mirnet_cli import extras
from mirnet_cli.errors import MirnetError, UsageError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.networks.spec import LEVELS, MOST
from mirnet_cli.runtime import prepare
from mirnet_cli.training import integers
from tests.runtime.networks import random_spec

PICTURE = np.random.default_rng(0).random((1, 3, 48, 64), np.float32)

needs_openvino = pytest.mark.skipif(
    not extras.installed("openvino"), reason="needs the extra openvino"
)


@cache
def spec() -> NetworkSpec:
    """A small network with a version in integers, as it is before it has learnt anything."""
    made = random_spec("compact", widths=[16, 32])
    network = FAMILIES["compact"].build(made.config)
    network.load_state_dict({k: torch.from_numpy(v).float() for k, v in made.tensors.items()})
    learner = integers.learner(network)  # type: ignore[arg-type]
    picture = torch.from_numpy(PICTURE)
    runs = (network(picture, scale=scale) for scale in (1, 2))
    with torch.no_grad():
        integers.calibrate(learner, network, runs)
    return replace(made, integers=integers.integers(learner))


def residual(runtime: str, precision: str, network: NetworkSpec | None = None) -> np.ndarray:
    runner = prepare(network or spec(), scale=1, device="cpu", runtime=runtime, precision=precision)
    assert runner.precision == precision
    return runner.run(PICTURE).residual


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """In dB, where the first's own range is the peak."""
    return float(20 * np.log10(np.ptp(first)) - 10 * np.log10(np.square(first - second).mean()))


def test_integers_say_nearly_what_float32_does() -> None:
    exact, whole = residual("torch", "fp32"), residual("torch", "int8")
    assert not np.array_equal(exact, whole)
    assert psnr(exact, whole) > 38


def test_weights_fit_into_seven_bits_and_the_last_convolutions_are_left() -> None:
    names = {key.rpartition(".")[0] for key in spec().integers}
    assert {"groups.0.blocks.0.dau.0.conv1", "groups.0.blocks.0.dau2.1.merge"} <= names
    assert (
        not {"conv_in", "groups.0.conv", "heads.1", "groups.0.blocks.0.dau.0.spatial.conv"} & names
    )
    for name in names:
        weight = spec().integers[f"{name}.weight"]
        assert np.abs(weight.astype(int)).max() == MOST
        assert 0 <= spec().integers[f"{name}.zero"] < LEVELS


@needs_openvino
def test_openvino_computes_what_torch_does() -> None:
    """Nearer to it than to float32: it is the same rounding, but for what lies between two."""
    reference, whole = residual("torch", "int8"), residual("openvino", "int8")
    assert psnr(reference, whole) > psnr(residual("torch", "fp32"), whole) + 3


@needs_openvino
@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE_VNNI"])
def test_every_processor_gives_the_same(isa: str, tmp_path: Path) -> None:
    """One that has AVX2 alone adds in 16 bits: whatever does not fit there is cut off."""
    loud = np.where(PICTURE > 0.5, 1, 0).astype(np.float32)
    script = (
        "import sys, numpy as np\n"
        "from tests.runtime import test_integers as t\n"
        "made = {'runtime': 'openvino', 'precision': 'int8', 'device': 'cpu', 'scale': 1}\n"
        "result = t.prepare(t.spec(), **made).run(np.load(sys.argv[2]))\n"
        "np.save(sys.argv[1], result.residual)\n"
    )
    np.save(tmp_path / "in.npy", loud)
    environment = {"MIRNET_CACHE": str(tmp_path / "cache"), "ONEDNN_MAX_CPU_ISA": isa}
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out.npy"), str(tmp_path / "in.npy")],
        env=os.environ | environment,
        check=True,
    )
    runner = prepare(spec(), scale=1, device="cpu", runtime="torch", precision="int8")
    assert psnr(runner.run(loud).residual, np.load(tmp_path / "out.npy")) > 38


@needs_openvino
@pytest.mark.parametrize(
    ("machine", "taken"), [("x86_64", True), ("AMD64", True), ("arm64", False)]
)
def test_auto_takes_them_where_they_are_known_to_be_fast(
    machine: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    chosen = prepare(spec(), scale=1, device="cpu", runtime="openvino").precision
    assert (chosen == "int8") == taken
    assert prepare(replace(spec(), integers={}), runtime="openvino").precision != "int8"


@pytest.mark.parametrize("runtime", ["torch", pytest.param("openvino", marks=needs_openvino)])
def test_weights_without_them_are_told_where_they_are_asked_for(runtime: str) -> None:
    with pytest.raises(UsageError) as caught:
        residual(runtime, "int8", replace(spec(), integers={}))
    assert "no version in 8-bit integers" in caught.value.what
    assert "--int8" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        residual(runtime, "int8", random_spec("mirnet_v2"))
    assert caught.value.remedy == "use --precision auto"


@needs_openvino
def test_kept_graphs_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path))
    results = [residual("openvino", precision) for precision in ("int8", "fp32", "int8")]
    assert np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[1])
    assert len(list((tmp_path / "compiled").iterdir())) == 2


@needs_openvino
def test_other_integers_are_another_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path))
    first = residual("openvino", "int8")
    coarse = {k: v * 2 if k.endswith(".step") else v for k, v in spec().integers.items()}
    assert not np.array_equal(first, residual("openvino", "int8", replace(spec(), integers=coarse)))


@needs_openvino
@pytest.mark.parametrize(
    ("limit", "computes"),
    [("AVX2", False), ("avx512_core_vnni", False), ("SSE41", False), ("AVX512_CORE_BF16", True)],
)
def test_a_limit_on_instructions_is_heeded(
    limit: str, computes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO tells of bfloat16 as if there were none, and then fails, or takes longer."""
    from mirnet_cli.runtime import openvino_runtime

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    has = "bf16" in openvino_runtime.cpu().precisions
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert ("bf16" in openvino_runtime.cpu().precisions) == (has and computes)


@needs_openvino
def test_a_network_that_cannot_be_compiled_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet_cli.runtime import openvino_runtime

    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path))
    monkeypatch.setattr(openvino_runtime, "_options", lambda precision: {"NUM_STREAMS": "many"})
    with pytest.raises(MirnetError) as caught:
        residual("openvino", "fp32")
    assert "cannot compile" in caught.value.what
    assert "--runtime torch" in caught.value.remedy
    assert "\n" not in str(caught.value)
