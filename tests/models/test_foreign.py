"""The authors' files: every format, every family, and what is wrong with files that look alike."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mirnet_cli.errors import ExitCode, MirnetError, ModelError, UsageError
from mirnet_cli.models import resolve
from mirnet_cli.models.foreign import Foreign
from mirnet_cli.models.resolver import read_file
from mirnet_cli.runtime import prepare
from tests.models import checkpoints
from tests.networks import parity


def _found(path: Path) -> Foreign:
    found = read_file(path)
    assert isinstance(found, Foreign)
    return found


def _run(found: Foreign, x: np.ndarray) -> np.ndarray:
    runner = prepare(found.spec, device="cpu", precision="fp32")
    result = runner.run(np.ascontiguousarray(x)).residual
    return result if found.family.whole(found.spec.config) else result + x


def _check_small(found: Foreign) -> None:
    _, arrays = parity.load(checkpoints.SMALL[found.family.name])
    result = _run(found, arrays["input/0"])
    np.testing.assert_allclose(result, arrays["output/0"], atol=1e-5)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before zip"])
@pytest.mark.parametrize("family", checkpoints.SMALL)
def test_what_the_authors_write(family: str, old: bool, tmp_path: Path) -> None:
    state = checkpoints.small(family)
    path = checkpoints.save(tmp_path / "a.pth", checkpoints.wrapped(family, state), old=old)
    found = _found(path)
    assert found.family.name == family
    _check_small(found)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params_ema": state, "params": {"x": torch.zeros(1)}},
        lambda state: {"params": state},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
        lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"model": state, "name": "x", "best": [1.5, None, True, (1, 2)]},
        lambda state: {k: torch.nn.Parameter(v) for k, v in state.items()},
        lambda state: {k: v.double() for k, v in state.items()},
    ],
    ids=[
        "bare",
        "params_ema",
        "params",
        "module.",
        "module._orig_mod.",
        "model_state_dict",
        "model",
        "nn",
        "double",
    ],
)
def test_wrappers(wrap: Callable[[Any], Any], tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path / "a.pth", wrap(checkpoints.small("mirnet_v2")))
    _check_small(_found(path))


def test_a_model_s_own_state_dict_with_its_metadata(tmp_path: Path) -> None:
    holder = torch.nn.Module()
    for name, tensor in checkpoints.small("mirnet_v2").items():
        *path, last = name.split(".")
        place = holder
        for part in path:
            if part not in dict(place.named_children()):
                place.add_module(part, torch.nn.Module())
            place = place.get_submodule(part)
        place.register_parameter(last, torch.nn.Parameter(tensor))
    _check_small(_found(checkpoints.save(tmp_path / "a.pt", holder.state_dict())))


@pytest.mark.parametrize("family", checkpoints.SMALL)
def test_safetensors_with_the_authors_keys(family: str, tmp_path: Path) -> None:
    state = checkpoints.small(family)
    save_file({k: v.clone() for k, v in state.items()}, tmp_path / "all.safetensors")
    _check_small(_found(tmp_path / "all.safetensors"))
    once = {id(tensor): (key, tensor) for key, tensor in state.items()}
    save_file(dict(once.values()), tmp_path / "once.safetensors")
    _check_small(_found(tmp_path / "once.safetensors"))


def test_half_precision_files(tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        state = {k: v.to(dtype) for k, v in checkpoints.small("mirnet_v2").items()}
        found = _found(checkpoints.save(tmp_path / "a.pth", state))
        runs = prepare(found.spec, device="cpu", precision="fp32")
        assert np.isfinite(runs.run(np.zeros((1, 3, 8, 8), np.float32)).residual).all()


def _full(name: str, tmp_path: Path) -> None:
    state, described, arrays = checkpoints.full(name)
    assert len(state) == described["keys"]
    kind = {"v1": "mirnet_v1", "v2": "mirnet_v2", "community": "community_v1"}[described["family"]]
    path = checkpoints.save(tmp_path / "a.pth", checkpoints.wrapped(kind, state))
    del state
    found = _found(path)
    assert found.family.name == kind
    assert found.parameters == described["unique_parameters"]
    x = parity.full_input(described["input_shape"][1]).numpy()
    result = _run(found, x)
    for crop, rows in (("crop_centre", slice(24, 40)), ("crop_top_left", slice(0, 8))):
        np.testing.assert_allclose(result[:, :, rows, rows], arrays[crop], atol=1e-5)


@pytest.mark.parametrize("name", ["full_v2", "full_v2_dualpixel"])
def test_full_size_files(name: str, tmp_path: Path) -> None:
    _full(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full_v1", "full_community"])
def test_full_size_files_that_are_large(name: str, tmp_path: Path) -> None:
    _full(name, tmp_path)


def test_the_parity_data_that_is_not_in_the_repository(tmp_path: Path) -> None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "parity"
    if not folder.is_dir():
        pytest.skip("not here")
    for name in ("v1_a", "v2_a", "v2_b", "community_a"):
        with np.load(folder / f"{name}.npz") as arrays:
            state = {
                k.removeprefix("state/"): torch.from_numpy(arrays[k])
                for k in arrays.files
                if k.startswith("state/")
            }
            found = _found(checkpoints.save(tmp_path / f"{name}.pth", state))
            for i in range(3):
                result = _run(found, arrays[f"input/{i}"])
                np.testing.assert_allclose(result, arrays[f"output/{i}"], atol=1e-5)


def _without(pattern: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {k: v for k, v in state.items() if not re.search(pattern, k)}


def _changed(pattern: str, change: Callable[[Any], Any], *, first: bool = False) -> Any:
    def apply(state: dict[str, Any]) -> dict[str, Any]:
        keys = [key for key in state if re.search(pattern, key)]
        assert keys
        for key in keys[:1] if first else keys:
            state[key] = change(state[key].clone())
        return state

    return apply


def _nan(tensor: torch.Tensor) -> torch.Tensor:
    tensor.view(-1)[0] = float("nan")
    return tensor


WRONG: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "missing": ("mirnet_v1", _without(r"selective_kernel\.1\.fcs\.2"), "missing: groups.0.blocks"),
    "missing in one group": ("mirnet_v2", _without(r"^body\.1\.body\.0\.conv_out"), "missing: "),
    "missing first layer": ("mirnet_v1", _without(r"^conv_in"), "conv_in.weight is missing"),
    "a group left out": ("mirnet_v2", _without(r"^body\.2\."), "the children of body are 0, 1, 3"),
    "unknown": (
        "mirnet_v2",
        lambda s: s | {"body.0.body.0.extra.weight": torch.zeros(1)},
        "unknown: body.0.body.0.extra.weight",
    ),
    "unknown at the top": ("mirnet_v1", lambda s: s | {"head.bias": torch.zeros(3)}, "head.bias"),
    "misshapen": (
        "mirnet_v2",
        _changed(r"^body\.3\.body\.1\.conv_out\.weight", lambda t: t[:4]),
        "misshapen: body.3.body.1.conv_out.weight (4, 8, 1, 1) for (8, 8, 1, 1)",
    ),
    "transposed": (
        "community_v1",
        _changed(r"final_conv", lambda t: t.transpose(0, 1)),
        "misshapen",
    ),
    "fusion of another reduction": (
        "mirnet_v1",
        _changed(r"body\.0\.body\.0\.selective_kernel\.0\.conv_du\.0", lambda t: t[:3]),
        "squeezes to 3 channels, not to 4",
    ),
    "aliases that differ": (
        "mirnet_v1",
        _changed(r"blocks\.1\.1\.conv1x1", lambda t: t + 1, first=True),
        "should be one tensor but differ",
    ),
    "slopes that differ": (
        "mirnet_v1",
        _changed(r"^body\.1\.body\.1\.blocks\.2\.\d\.body\.1", lambda t: t + 1),
        "should be one tensor but differ",
    ),
    "columns that differ": (
        "community_v1",
        _changed(r"dual_attention_units\.0\.1\.final_conv", lambda t: -t, first=True),
        "should be one tensor but differ",
    ),
    "another blur": ("mirnet_v1", _changed(r"filt$", lambda t: t * 1.1), "has other values"),
    "a blur of another size": ("mirnet_v1", _changed(r"filt$", lambda t: t[..., :2]), "constant"),
    "not a number": ("mirnet_v2", _changed(r"conv_out", _nan, first=True), "not finite"),
    "infinite in float32": (
        "mirnet_v2",
        lambda s: {k: v.double() * 1e60 for k, v in s.items()},
        "not finite",
    ),
    "four channels in": (
        "mirnet_v1",
        _changed(r"^conv_in\.weight", lambda t: torch.cat([t, t[:, :1]], 1)),
        "inputs = 4",
    ),
    "a stream that does not grow evenly": (
        "mirnet_v2",
        _changed(r"dau_mid\.body\.0\.weight", lambda t: t[:7]),
        "do not grow evenly",
    ),
    "of integers": ("mirnet_v2", lambda s: {k: v.long() for k, v in s.items()}, "floating point"),
    "another network": (
        "mirnet_v2",
        lambda s: {"params": {"body.0.conv.weight": torch.zeros(4, 4, 3, 3)}},
        "does not know",
    ),
    "MPRNet's names": (
        "mirnet_v1",
        lambda s: {"stage1_encoder.encoder_level1.0.body.0.weight": torch.zeros(4, 4, 3, 3)},
        "does not know",
    ),
    "an empty table": ("mirnet_v1", lambda s: {}, "no tensors"),
    "an empty state dict": ("mirnet_v1", lambda s: {"state_dict": {}}, "no tensors"),
    "a list": ("mirnet_v1", lambda s: list(s.values()), "no table"),
    "one tensor": ("mirnet_v1", lambda s: torch.zeros(3), "no table"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_complete_network_is_refused(case: str, tmp_path: Path) -> None:
    family, change, expected = WRONG[case]
    state = {k: v.clone() for k, v in checkpoints.small(family).items()}
    path = checkpoints.save(tmp_path / "a.pth", change(state))
    with pytest.raises(ModelError) as caught:
        read_file(path)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert len(message) < 700
    assert caught.value.remedy
    assert caught.value.exit_code == ExitCode.MODEL


def test_at_most_three_keys_are_named(tmp_path: Path) -> None:
    state = _without(r"^body\.3\.body\.1")(dict(checkpoints.small("mirnet_v2")))
    path = checkpoints.save(tmp_path / "a.pth", state)
    with pytest.raises(ModelError, match=r"and \d+ more"):
        read_file(path)


@pytest.fixture
def v2(tmp_path: Path) -> str:
    state = checkpoints.small("mirnet_v2")
    return str(checkpoints.save(tmp_path / "Real Denoising.pth", {"params": state}))


@pytest.fixture
def two_views(tmp_path: Path) -> str:
    state = dict(checkpoints.small("mirnet_v2"))
    state["conv_in.weight"] = state["conv_in.weight"].repeat(1, 2, 1, 1)
    return str(checkpoints.save(tmp_path / "dual.pth", state))


def test_the_task_is_said_by_the_user(v2: str) -> None:
    found = resolve("denoise", weights=v2)
    assert (found.name, found.task, found.scales) == ("real-denoising", "denoise", (1,))
    assert (found.base, found.context) == ("input", "refine")
    assert found.sha256 == found.network.sha256
    large = resolve("upscale", weights=v2, scale=4)
    assert (large.base, large.scales) == ("enlarged", (4,))
    assert resolve("upscale", weights=v2, scale=1).base == "input"
    assert resolve("upscale", weights=v2).scales == (2,)


@pytest.mark.parametrize(
    ("task", "scale", "expected"),
    [
        (None, None, "--task denoise|enhance|upscale"),
        ("denoise", 2, "only upscale has scales"),
    ],
)
def test_what_has_to_be_said(v2: str, task: str | None, scale: int | None, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(task, weights=v2, scale=scale)
    assert expected in str(caught.value)


def test_two_views(two_views: str) -> None:
    found = resolve(None, weights=two_views)
    assert (found.task, found.base) == ("defocus", "none")
    with pytest.raises(MirnetError, match="dual-pixel"):
        resolve("denoise", weights=two_views)
