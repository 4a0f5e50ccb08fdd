"""The torch runtime on the CPU, with small networks of each family."""

import contextlib
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mirnet_cli.errors import MirnetError, ModelError, UsageError
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.runtime import OutOfDeviceMemoryError, Pools, Runner
from mirnet_cli.runtime import prepare as prepare_by_any
from mirnet_cli.runtime.devices import available
from mirnet_cli.runtime.torch_runtime import TorchRunner, layout
from tests.runtime.networks import random_spec

prepare = partial(prepare_by_any, runtime="torch")


def batch(count: int = 1, height: int = 32, width: int = 48) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, height, width), np.float32)


@pytest.fixture(params=("compact", "mirnet_v1"))
def runner(request: pytest.FixtureRequest) -> Runner:
    return prepare(random_spec(request.param), device="cpu", scale=1)


def test_a_residual_comes_out(runner: Runner) -> None:
    output = runner.run(batch(2))
    assert (runner.runtime, runner.device, runner.precision) == ("torch", "cpu", "fp32")
    assert output.residual.shape == (2, 3, 32, 48)
    assert output.residual.dtype == np.float32
    assert output.pooled == []
    assert np.abs(output.residual).max() > 1e-4


def test_the_same_input_gives_the_same_bytes(runner: Runner) -> None:
    assert runner.run(batch()).residual.tobytes() == runner.run(batch()).residual.tobytes()


def test_what_was_pooled_can_be_replayed(runner: Runner) -> None:
    plain = runner.run(batch()).residual
    mask = np.ones((1, 1, 32, 48), np.float32)
    recorded = runner.run(batch(), Pools(mask=mask))
    np.testing.assert_allclose(recorded.residual, plain, atol=1e-5)
    (record,) = recorded.pooled
    assert record
    assert all(vector.ndim == 1 and vector.dtype == np.float32 for vector, _ in record)
    context = [vector for vector, _ in record]
    np.testing.assert_allclose(runner.run(batch(), Pools(context)).residual, plain, atol=1e-5)
    halved = [vector / 2 for vector in context]
    assert np.abs(runner.run(batch(), Pools(halved)).residual - plain).max() > 1e-5


def test_a_mask_leaves_out_what_it_hides(runner: Runner) -> None:
    mask = np.zeros((1, 1, 32, 48), np.float32)
    mask[..., :16] = 1
    (first, _), *_ = runner.run(batch(), Pools(mask=mask)).pooled[0]
    changed = batch()
    changed[..., 40:] = 0
    (second, weight), *_ = runner.run(changed, Pools(mask=mask)).pooled[0]
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.isfinite(weight)


def test_flipped_and_transposed_views_are_taken(runner: Runner) -> None:
    turned = batch().transpose(0, 1, 3, 2)[:, :, ::-1, ::-1]
    expected = runner.run(np.ascontiguousarray(turned)).residual
    np.testing.assert_allclose(runner.run(turned).residual, expected, atol=1e-6)


def test_bf16_is_near_fp32() -> None:
    spec = random_spec("compact")
    fine = prepare(spec, device="cpu", scale=1).run(batch()).residual
    coarse = prepare(spec, device="cpu", scale=1, precision="bf16").run(batch()).residual
    assert coarse.dtype == np.float32
    assert 0 < np.abs(fine - coarse).max() < 0.05 * np.abs(fine).max() + 0.01


def test_scales_are_told_apart() -> None:
    spec = random_spec("compact")
    assert prepare(spec, device="cpu", scale=2).run(batch()).residual.shape == (1, 3, 64, 96)
    with pytest.raises(ModelError, match="no scale 3"):
        prepare(spec, device="cpu", scale=3)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "nan"])
def test_tensors_that_do_not_fit_are_refused(fault: str) -> None:
    spec = random_spec("compact")
    tensors = dict(spec.tensors)
    if fault == "missing":
        del tensors["conv_in.weight"]
    elif fault == "unknown":
        tensors["conv_in.scale"] = tensors["conv_in.bias"]
    elif fault == "shape":
        tensors["conv_in.bias"] = tensors["conv_in.bias"][:3]
    else:
        tensors["conv_in.bias"] = np.full_like(tensors["conv_in.bias"], np.nan)
    with pytest.raises(ModelError, match="conv_in"):
        prepare(NetworkSpec("compact", spec.config, tensors, ""), device="cpu")


@pytest.mark.parametrize("config", [{"width": 3}, {"widths": ["a"]}, {"widths": []}])
def test_configurations_that_are_none_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="configuration"):
        prepare(NetworkSpec("compact", config, {}, ""), device="cpu")


@pytest.mark.parametrize("config", [{"widths": [65536] * 3}, {"inputs": 65536}, {"scales": [4096]}])
def test_far_too_large_configurations_take_no_memory(config: dict[str, Any]) -> None:
    spec = random_spec("compact")
    with pytest.raises(ModelError, match=r"not those of|no scale"):
        prepare(NetworkSpec("compact", spec.config | config, spec.tensors, ""), device="cpu")


@pytest.mark.parametrize(
    "options",
    [
        {"device": "gpu"},
        {"device": "cuda:x"},
        {"device": "cuda:99"},
        {"device": "cpu:1"},
        {"precision": "fp8"},
        {"precision": "fp16", "device": "cpu"},
        {"runtime": "tensorflow"},
    ],
)
def test_what_is_not_here_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        prepare(random_spec("compact"), scale=1, **options)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB, max allowed: 18.1 GB)."),
        RuntimeError("Invalid buffer size: 19.45 GB"),
    ],
)
def test_running_out_of_memory_is_recognised(error: Exception) -> None:
    runner = prepare(random_spec("compact"), device="cpu", scale=1)
    assert isinstance(runner, TorchRunner)

    def fail(*args: object) -> None:
        raise error

    runner.module.register_forward_pre_hook(fail)
    with pytest.raises(OutOfDeviceMemoryError):
        runner.run(batch())


def test_a_real_allocation_failure_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    from mirnet_cli.runtime.torch_runtime import is_out_of_memory

    assert is_out_of_memory(caught.value)


def test_other_errors_are_not_taken_for_it() -> None:
    runner = prepare(random_spec("compact"), device="cpu", scale=1)
    with pytest.raises(RuntimeError) as caught:
        runner.run(batch(1, 31, 47))
    assert not isinstance(caught.value, OutOfDeviceMemoryError)


LOST = "CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA to ..."


def test_a_device_that_is_lost_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **more: object) -> None:
        raise RuntimeError(LOST)

    told = r"the device cpu failed \(CUDA error: unspecified launch failure\); run again"
    runner = prepare(random_spec("compact"), device="cpu", scale=1)
    assert isinstance(runner, TorchRunner)
    runner.module.register_forward_pre_hook(fail)
    with pytest.raises(MirnetError, match=told):
        runner.run(batch())
    # Nor does what is asked of it afterwards hide that.
    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    monkeypatch.setattr(runner, "_settings", contextlib.nullcontext)
    runner._device = torch.device("cuda")
    monkeypatch.setattr(runner, "_tensor", torch.from_numpy)
    with pytest.raises(MirnetError, match=told):
        runner.run(batch())
    monkeypatch.setattr(torch.nn.Module, "to", fail)
    with pytest.raises(MirnetError, match=told):
        prepare(random_spec("compact"), device="cpu", scale=1)


def test_a_device_without_memory_for_the_weights_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **more: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(torch.nn.Module, "to", fail)
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        prepare(random_spec("compact"), device="cpu", scale=1)


def test_a_device_that_is_counted_but_out_of_order_is_not_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def properties(index: int) -> SimpleNamespace:
        if index == 0:
            raise RuntimeError(LOST)
        return SimpleNamespace(major=9, name="H100", total_memory=1 << 36)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    assert [device.name for device in available()] == ["cuda:1", "cpu"]


def test_what_the_caller_has_set_in_torch_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = random_spec("compact")
    runner = prepare(spec, device="cpu", scale=1)
    expected = runner.run(batch()).residual
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(runner.run(batch()).residual, expected)
    torch.set_default_dtype(torch.float64)
    try:
        again = prepare(spec, device="cpu", scale=1)
        assert np.array_equal(again.run(batch()).residual, expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_memory_is_laid_out_as_the_device_takes_it() -> None:
    assert layout(torch.device("cpu")) == layout(torch.device("cuda:1")) == torch.channels_last
    assert layout(torch.device("mps")) == torch.contiguous_format
