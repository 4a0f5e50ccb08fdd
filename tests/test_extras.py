"""Without the libraries that extras bring: what works, and what is said where one is needed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mirnet_cli import extras
from mirnet_cli.measure import bench, health
from tests.models import checkpoints

Real = Callable[..., Any]

HOW = extras.remedy("torch")


@pytest.fixture(autouse=True)
def _no_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where torch is not installed; a checkpoint and a photo are in the folder."""
    torch.save(checkpoints.small("mirnet_v2"), tmp_path / "weights.pth")
    Image.new("RGB", (40, 30), (90, 80, 70)).save(tmp_path / "photo.png")
    (tmp_path / "photos").mkdir()
    for name in [name for name in sys.modules if name.startswith("mirnet_cli.runtime.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.mark.parametrize("task", ["denoise", "enhance", "upscale"])
def test_what_ships_needs_no_torch(real: Real, task: str) -> None:
    pytest.importorskip("openvino")
    ran = real(task, "photo.png", "-o", "out.png", "--verbose")
    assert (ran.code, Path("out.png").exists()) == (0, True), ran.err
    assert "openvino" in ran.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["denoise", "photo.png", "--runtime", "torch"], 2),
        (["denoise", "photo.png", "--device", "cuda"], 2),
        (["denoise", "photo.png", "--device", "mps"], 2),
        (["train", "denoise", "--data", "photos"], 2),
        (["denoise", "photo.png", "--weights", "weights.pth"], 3),
    ],
)
def test_what_needs_torch_says_how_to_get_it(real: Real, words: list[str], code: int) -> None:
    ran = real(*words)
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1
    assert HOW in ran.err


def test_bench_compares_with_what_is_there(real: Real) -> None:
    ran = real("bench", "--compare", "--megapixels", "0.01", "--repeat", "1", "--json")
    rows = [json.loads(line)["what"] for line in ran.out.splitlines()]
    assert (ran.code, rows) == (0, ["command", "network", bench.NLM]), ran.err
    assert HOW in ran.err


def test_doctor_is_content(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(health, "_has_nvidia", lambda: False)
    ran = real("doctor")
    assert f"if wanted: {HOW}" in ran.out
    assert "PROBLEM" not in ran.out


def test_doctor_tells_of_a_gpu_that_is_not_used(
    real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_has_nvidia", lambda: True)
    ran = real("doctor")
    assert ran.code == 1
    assert "there is an NVIDIA GPU, but torch is not installed" in ran.out


def test_a_device_that_needs_torch_is_named(real: Real) -> None:
    """Not the runtime, which nobody asked for; and a name that is none is told first."""
    ran = real("denoise", "photo.png", "--device", "cuda:1")
    assert ran.err == (
        f"mirnet: --device cuda:1: the device cuda needs torch, which is not installed; {HOW}\n"
    )
    ran = real("denoise", "photo.png", "--device", "gpu")
    assert "'gpu' is not auto, cpu, cuda, cuda:N, mps or directml" in ran.err


def test_the_format_is_blamed_on_the_file_that_has_it(
    real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    Path("phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60))
    ran = real("denoise", "phone.heic")
    how = extras.remedy("pillow_heif")
    assert (ran.code, ran.err) == (
        1,
        f"mirnet: phone.heic: HEIC needs pillow-heif; {how}\n",
    )
