"""``mirnet bench``, in processes of its own as it is used."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mirnet_cli.measure import bench, bench_process
from mirnet_cli.photo import decode
from mirnet_cli.restore.options import LoadOptions
from mirnet_cli.runtime.openvino_graph import operations
from tests.runtime.networks import random_spec


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mirnet_cli", "bench", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_every_row_has_its_figures() -> None:
    ran = run("--megapixels", "0.05", "--repeat", "1", "--compare", "--json", "--tile", "128")
    assert ran.returncode == 0, ran.stderr
    rows = {row["what"]: row for row in map(json.loads, ran.stdout.splitlines())}
    assert list(rows) == ["command", "network", bench.PLAIN, bench.NLM]
    for row in rows.values():
        assert row["megapixels"] == pytest.approx(0.05, rel=0.02)
        assert row["seconds"] > 0
        assert row["cold"] > 0
        assert row["memory"] > 20 << 20
    assert rows["command"]["tile"] <= 128
    assert rows["network"]["share"] > 0
    assert rows[bench.PLAIN]["ratio"] == pytest.approx(
        rows[bench.PLAIN]["seconds"] / rows["network"]["seconds"]
    )


def test_a_photo_that_is_none_is_one_line(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"no photo")
    ran = run(str(photo))
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--model nope", 3, "mirnet: nope: no model of that name; "),
        ("--runtime openvino --device cuda", 2, "mirnet: openvino does not compute on cuda; "),
    ],
)
def test_what_is_refused_has_the_code_of_the_command(words: str, code: int, said: str) -> None:
    ran = run("--megapixels", "0.01", *words.split())
    assert (ran.returncode, ran.stdout) == (code, "")
    assert ran.stderr.startswith(said)
    assert len(ran.stderr.splitlines()) == 1


def test_weights_are_fetched_before_the_first_measurement(
    real: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet_cli.cli import models_files

    order: list[str] = []
    monkeypatch.setattr(models_files, "fetch_first", lambda *_, **__: order.append("fetch"))
    monkeypatch.setattr(bench, "measure", lambda *_: order.append("measure") or iter(()))
    assert real("bench", "a.jpg", "--weights", "hf://a/b/c.safetensors").code == 0
    assert order == ["fetch", "measure"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_what_is_measured_ends_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(*given: Any, **more: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*given, **more))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        return started[-1]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            bench._timed([sys.executable, "-c", "import time; time.sleep(20)"])
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(started[0].pid, 0)


def test_the_command_writes_what_came_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def timed(words: Sequence[str]) -> tuple[float, int | None, str]:
        told = real(words)
        written.extend(each.name for each in Path(words[words.index("-o") + 1]).iterdir())
        return told

    real = bench._timed
    monkeypatch.setattr(bench, "_timed", timed)
    bench._command(bench.synthetic(0.01, tmp_path), bench.Settings(LoadOptions(task="denoise"), 0))
    assert written == ["0.01mp.jpg"]


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_non_local_means_take_any_depth(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    _, data = cv2.imencode(".tif", np.full((30, 40, 3), 0.5 if kind == "float32" else 90, kind))
    path.write_bytes(data.tobytes())
    assert bench_process.nlm({"photo": str(path)})["megapixels"] == 0.0012


@pytest.mark.parametrize("sizes", ["", "big", "0", "1,,2", "1e9", "nan"])
def test_sizes_that_are_none(sizes: str) -> None:
    from mirnet_cli.cli.bench import _sizes
    from mirnet_cli.errors import UsageError

    with pytest.raises(UsageError):
        _sizes(sizes)


def test_made_photos_have_their_size(tmp_path: Path) -> None:
    path = bench.synthetic(0.3, tmp_path)
    pixels = decode(path).pixels
    assert pixels.shape[0] * pixels.shape[1] == pytest.approx(3e5, rel=0.01)
    assert np.std(pixels) > 20


def test_operations_are_those_of_the_convolutions() -> None:
    spec = random_spec("mirnet_v2", bias=False, conv_groups=[1])
    torch = pytest.importorskip("torch")
    from mirnet_cli.networks import FAMILIES

    counted = 0

    def count(layer, given, result):  # type: ignore[no-untyped-def]
        nonlocal counted
        counted += 2 * result[0, 0].numel() * layer.weight.numel()

    module = FAMILIES["mirnet_v2"].build(spec.config)
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        module(torch.zeros(1, 3, 64, 64))
    found = operations(spec, scale=None, side=64)
    assert found == pytest.approx(counted / 64**2, rel=1e-6)
