"""The OpenVINO runtime, held against torch with small networks of each family."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet_cli import extras
from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.runtime import Output, Pools, Runner, prepare
from mirnet_cli.runtime import openvino_runtime as runtime
from mirnet_cli.runtime.devices import Device
from mirnet_cli.runtime.openvino_graph import GRAPHS
from tests.models.builders import some_weights
from tests.runtime.networks import SMALL, random_spec

KINDS = ("plain", "record", "replay", "replay and record")


def batch(count: int = 2, channels: int = 3, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).random((count, channels, height, width), np.float32)


def batch_for(family: str) -> np.ndarray:
    return batch(channels=FAMILIES[family].inputs({}))


@cache
def known(family: str, scale: int, precision: str) -> tuple[Runner, Runner]:
    """The same for a network of :data:`SMALL`, made once."""
    return pair(random_spec(family), scale, precision)


def pair(spec: NetworkSpec, scale: int = 1, precision: str = "fp32") -> tuple[Runner, Runner]:
    """The network run by torch in float32, and by OpenVINO."""
    return (
        prepare(spec, scale=scale, device="cpu", runtime="torch", precision="fp32"),
        prepare(spec, scale=scale, device="cpu", runtime="openvino", precision=precision),
    )


def outputs(runners: tuple[Runner, Runner], kind: str, x: np.ndarray) -> list[Output]:
    mask = np.zeros((len(x), 1, *x.shape[2:]), np.float32)
    mask[:, :, 8:40, :44] = 1
    replay = None
    if "replay" in kind:
        other = runners[0].run(x[:, :, ::-1] ** 2, Pools(mask=mask)).pooled[0]
        replay = [vector for vector, _ in other]
    pools = Pools(replay, mask if "record" in kind else None)
    return [runner.run(x, pools) for runner in runners]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", sorted(GRAPHS))
def test_it_agrees_with_torch(family: str, kind: str) -> None:
    spec = random_spec(family)
    for scale in FAMILIES[family].scales(spec.config):
        torch_says, says = outputs(known(family, scale, "fp32"), kind, batch_for(family))
        assert says.residual.shape == torch_says.residual.shape
        assert says.residual.dtype == np.float32
        assert np.abs(torch_says.residual).max() > 0.3
        np.testing.assert_allclose(says.residual, torch_says.residual, atol=1e-4)
        assert len(says.pooled) == len(torch_says.pooled) == (2 if "record" in kind else 0)
        for record, expected in zip(says.pooled, torch_says.pooled, strict=True):
            for (vector, weight), (right, right_weight) in zip(record, expected, strict=True):
                np.testing.assert_allclose(vector, right, atol=1e-5)
                assert weight == pytest.approx(right_weight, abs=1e-5)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("compact", {"inputs": 6}),
        ("compact", {"unshuffle": 1, "scales": [3], "widths": [8, 12]}),
        ("compact", {"widths": [8, 12, 16], "groups": 2, "lean": True}),
        ("light", {"widths": [8, 8, 12, 12]}),
        ("light", {"widths": [8, 8, 12, 12], "judges": 6}),
        ("light", {"widths": [8, 8, 12, 12], "judges": 6, "shades": 5}),
        ("mirnet_v1", {"bias": True, "levels": 2, "groups": 2}),
        ("community_v1", {"bias": False, "growth": 1}),
        ("mirnet_v2", {"bias": False, "feature_skip": True, "inputs": 6}),
    ],
)
def test_other_sizes_agree_too(family: str, changes: dict[str, Any]) -> None:
    spec = random_spec(family, **changes)
    scale = FAMILIES[family].scales(spec.config)[0]
    x = batch(channels=FAMILIES[family].inputs(spec.config))
    torch_says, says = outputs(pair(spec, scale), "record", x)
    np.testing.assert_allclose(says.residual, torch_says.residual, atol=1e-4)


@pytest.mark.parametrize("family", sorted(GRAPHS))
def test_small_and_uneven_sizes_and_views(family: str) -> None:
    runners = known(family, 1, "fp32")
    for height, width in ((8, 8), (8, 40), (72, 16)):
        channels = FAMILIES[family].inputs({})
        turned = batch(1, channels, height, width).transpose(0, 1, 3, 2)[:, :, ::-1, ::-1]
        torch_says, says = outputs(runners, "plain", turned)
        np.testing.assert_allclose(says.residual, torch_says.residual, atol=1e-4)


@pytest.mark.parametrize("family", sorted(GRAPHS))
def test_a_record_alone_is_the_one_beside_a_residual(family: str) -> None:
    _, runner = known(family, 1, "fp32")
    x = batch_for(family)
    pools = Pools(mask=np.ones((len(x), 1, *x.shape[2:]), np.float32))
    both, alone = runner.run(x, pools), runner.run(x, replace(pools, residual=False))
    pooled = bool(both.pooled[0])
    assert (alone.residual.size == 0) == pooled
    assert len(alone.pooled) == len(both.pooled) == 2
    for record, expected in zip(alone.pooled, both.pooled, strict=True):
        for (vector, weight), (right, right_weight) in zip(record, expected, strict=True):
            np.testing.assert_allclose(vector, right, atol=1e-5)
            assert weight == pytest.approx(right_weight, abs=1e-5)


def test_a_result_stays_as_it_is_when_more_is_run() -> None:
    _, runner = known("compact", 1, "fp32")
    first = runner.run(batch()).residual
    kept = first.copy()
    assert runner.run(batch()[::-1]).residual.tobytes() != kept.tobytes()
    assert first.tobytes() == kept.tobytes() == runner.run(batch()).residual.tobytes()


needs_bf16 = pytest.mark.skipif(
    "bf16" not in runtime.cpu().precisions, reason="this CPU has no bfloat16"
)


@needs_bf16
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", sorted(GRAPHS))
def test_bf16_is_near_fp32(family: str, kind: str) -> None:
    torch_says, says = outputs(known(family, 1, "bf16"), kind, batch_for(family))
    error = says.residual - torch_says.residual
    # Eight significant bits, a few dozen roundings one after the other.
    assert 0 < np.sqrt((error**2).mean()) < 0.02 * torch_says.residual.std()
    for record, expected in zip(says.pooled, torch_says.pooled, strict=True):
        for (vector, weight), (right, right_weight) in zip(record, expected, strict=True):
            assert np.abs(vector - right).max() < 0.03 * np.abs(right).max()
            assert weight == pytest.approx(right_weight, abs=0.01)


def test_precision_is_what_it_says() -> None:
    # Integers need weights that have them: tests/runtime/test_integers.py.
    for precision in set(runtime.cpu().precisions) - {"int8"}:
        runner = prepare(random_spec("compact"), scale=1, device="cpu", precision=precision)
        assert (runner.runtime, runner.device, runner.precision) == ("openvino", "cpu", precision)
    with pytest.raises(UsageError):
        prepare(random_spec("compact"), scale=1, runtime="openvino", precision="fp16")


@pytest.mark.parametrize("with_torch", [True, False])
def test_a_precision_that_this_cpu_lacks_is_left_to_torch(
    monkeypatch: pytest.MonkeyPatch, with_torch: bool
) -> None:
    monkeypatch.setattr(runtime, "cpu", lambda: Device("cpu", "an old one", None, ("fp32",)))
    monkeypatch.setattr(extras, "installed", lambda name: with_torch)
    spec = random_spec("compact")
    if with_torch:
        assert prepare(spec, scale=1, device="cpu", precision="bf16").runtime == "torch"
    else:
        with pytest.raises(UsageError, match="bf16 is not for cpu; use fp32"):
            prepare(spec, scale=1, device="cpu", precision="bf16")
    assert prepare(spec, scale=1, device="cpu", precision="fp32").runtime == "openvino"


Fault = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda t: t.pop("conv_in.weight"), "missing: conv_in"),
        (lambda t: t.update(extra=t["conv_in.bias"]), "unknown: extra"),
        (lambda t: t.update({"conv_in.bias": t["conv_in.bias"][:3]}), "shape: conv_in"),
        (lambda t: t["conv_in.bias"].fill(np.nan), "not finite: conv_in"),
        (lambda t: t["groups.0.blocks.0.skff.1.expand.2.weight"].fill(np.inf), "not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(fault: Fault, says: str) -> None:
    spec = random_spec("compact")
    tensors = {key: value.copy() for key, value in spec.tensors.items()}
    fault(tensors)
    with pytest.raises(ModelError, match=says):
        prepare(replace(spec, tensors=tensors), scale=1, device="cpu", runtime="openvino")


@pytest.mark.parametrize(
    "config",
    [
        {"width": 3},
        {"widths": ["a"]},
        {"widths": []},
        {"widths": 8},
        {"widths": [65536] * 3},
        {"groups": 65536},
        {"unshuffle": 0},
        {"unshuffle": 65536},
        {"scales": []},
        {"reduction": 0},
        {"lean": 1},
        {"inputs": 65536},
    ],
)
def test_configurations_that_are_none_are_refused(config: dict[str, Any]) -> None:
    spec = random_spec("compact")
    changed = replace(spec, config={**spec.config, **config})
    for scale in (None, 1):
        with pytest.raises(ModelError):
            prepare(changed, scale=scale, device="cpu", runtime="openvino")


def test_what_is_not_here_is_refused() -> None:
    spec = random_spec("compact")
    with pytest.raises(ModelError, match="no scale 3"):
        prepare(spec, scale=3, device="cpu", runtime="openvino")
    with pytest.raises(UsageError, match="--runtime torch"):
        prepare(spec, scale=1, device="cuda", runtime="openvino")
    with pytest.raises(UsageError, match="unknown runtime"):
        prepare(spec, scale=1, runtime="tensorflow")


def test_changed_weights_change_the_result_at_once() -> None:
    spec = random_spec("compact")
    before = pair(spec)[1].run(batch()).residual
    tensors = {key: value * np.float16(0.5) for key, value in spec.tensors.items()}
    # The name under which somebody might keep the compiled network stays the same.
    after = pair(replace(spec, tensors=tensors))[1].run(batch()).residual
    assert np.abs(before - after).max() > 0.1


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in a file, for processes that have no torch."""
    from mirnet_cli.models import weights

    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    weights.save(path, some_weights(network=random_spec("compact", scales=[1]), context="refine"))
    return path


RUN = """
import sys
import numpy as np
import mirnet_cli as mirnet
restorer = mirnet.load({path!r}, tile=64, runtime={runtime!r})
out = restorer(np.arange(96 * 80 * 3, dtype=np.uint8).reshape(96, 80, 3))
print(restorer.runtime, restorer.device, out.shape, "torch" in sys.modules)
"""


def test_openvino_converts_models_for_others_in_the_process() -> None:
    ran = python(
        "import sys\n"
        "from mirnet_cli.runtime.openvino_library import openvino\n"
        "print('openvino.tools.ovc' in sys.modules)\n"
        "try:\n"
        "    openvino.convert_model('missing.onnx')\n"
        "except Exception as error:\n"
        "    print(type(error).__module__.partition('.')[0], openvino.convert_model.__module__)\n"
        "import openvino.tools.ovc\n"
    )
    assert ran.returncode == 0, ran.stderr
    early, late = ran.stdout.splitlines()
    assert early == "False"
    assert late.endswith("openvino.tools.ovc.convert")


def test_nothing_leaves_the_machine_and_no_torch_is_loaded(saved: Path, tmp_path: Path) -> None:
    blocked = """
import sys
def refuse(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.client")):
        print("OPENED", event, arguments[1:], flush=True)
        raise OSError("no network here")
sys.addaudithook(refuse)
"""
    code = blocked + RUN.format(path=str(saved), runtime="openvino")
    code += "import time; time.sleep(1); print('openvino_telemetry' in sys.modules)"
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    # CI would keep the library quiet by itself.
    ran = python(code, HOME=str(home), MIRNET_CACHE=str(cache), CI="", TF_BUILD="", JENKINS_URL="")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["openvino cpu (96, 80, 3) False", "False"]
    # Nothing is kept either, but the compiled network: no identifier.
    assert list(home.iterdir()) == []
    assert [each.name for each in cache.iterdir()] == ["compiled"]


def test_torch_takes_over_where_openvino_is_missing(saved: Path) -> None:
    missing = "import sys; sys.modules['openvino'] = None\n"
    ran = python(missing + RUN.format(path=str(saved), runtime="auto"))
    assert ran.stdout.startswith("torch "), ran.stderr
    ran = python(missing + RUN.format(path=str(saved), runtime="openvino"))
    assert "the runtime openvino is not installed" in ran.stderr


def test_auto_takes_openvino_for_the_cpu() -> None:
    for family in SMALL:
        assert prepare(random_spec(family), device="cpu").runtime == "openvino"


def test_other_processes_give_the_same_bytes(saved: Path) -> None:
    code = RUN.format(path=str(saved), runtime="openvino") + (
        "import hashlib; print(hashlib.sha256(out.tobytes()).hexdigest())"
    )
    assert python(code).stdout == python(code).stdout != ""


def test_running_out_of_memory_is_recognised() -> None:
    for text in ("std::bad_alloc", "Failed to allocate 12 bytes of memory"):
        assert runtime._is_out_of_memory(RuntimeError(text))
    assert not runtime._is_out_of_memory(RuntimeError("shapes do not fit"))
