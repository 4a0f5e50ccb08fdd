"""An ONNX network from the Hub, and what is said of one."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.hub.conftest import REPOSITORY
from tests.hub.server import COMMIT, State
from tests.networks.onnx_files import denoiser, save
from tests.runtime.test_measuring import noise, sigma

Run = Callable[..., Any]


@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_a_photo_through_a_network_of_the_hub(
    revision: str, real: Run, hub: State, tmp_path: Path
) -> None:
    data = denoiser().SerializeToString()
    hub.files[f"{REPOSITORY}/nets/theirs.onnx"] = data
    name = f"hf://{REPOSITORY}/nets/theirs.onnx{revision}"
    pixels = np.random.default_rng(3).integers(90, 160, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ran = real("denoise", "a.png", "-o", "b.png", "--weights", name, "--json", "--verbose")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["sha256"] == hashlib.sha256(data).hexdigest()
    assert "takes 0..1, red first; gives the picture" in ran.err
    made = np.asarray(Image.open(tmp_path / "b.png"))
    assert made.std() < 0.8 * pixels.std()
    hub.requests.clear()
    shown = json.loads(real("models", "show", name, "--json").out)
    assert (shown["name"], shown["scale"], shown["field"]) == ("theirs.onnx", 1, 1)
    # It is not fetched again.
    assert hub.count("GET") == 0


def test_a_page_by_that_name(real: Run, hub: State) -> None:
    hub.files[f"{REPOSITORY}/theirs.onnx"] = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    ran = real("models", "show", f"hf://{REPOSITORY}/theirs.onnx")
    assert (ran.code, len(ran.err.splitlines())) == (3, 1), ran.err
    assert "web page" in ran.err


def test_show_takes_what_has_to_be_said(
    real: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(sigma(), tmp_path / "sigma.onnx")
    ran = real("models", "show", "sigma.onnx")
    assert (ran.code, "--set sigma=VALUE" in ran.err) == (2, True)
    shown = json.loads(real("models", "show", "sigma.onnx", "--set", "sigma=0.2", "--json").out)
    assert shown["settings"] == ["sigma"]
    save(noise(), tmp_path / "noise.onnx")
    said = ("--input-range", "0..255", "--bgr", "--json")
    shown = json.loads(real("models", "show", "noise.onnx", *said).out)
    assert (shown["input_range"], shown["channel_order"]) == ("0..255", "BGR")
    for words in (["--set", "sigma"], ["--set", "=1"], ["--input-range", "0..2"]):
        ran = real("models", "show", "sigma.onnx", *words)
        assert (ran.code, words[0].lstrip("-") in ran.err) == (2, True), ran.err
    ran = real("models", "show", "denoise", "--bgr")
    assert (ran.code, "are for ONNX networks" in ran.err) == (2, True)
    monkeypatch.setenv("MIRNET_BGR", "1")
    assert real("models", "show", "denoise").code == 0


def test_what_was_read_is_said(real: Run, tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / "a.png")
    save(sigma(), tmp_path / "sigma.onnx")
    words = ("denoise", "a.png", "-o", "b.png", "--weights", "sigma.onnx", "--overwrite")
    said = real(*words, "--set", "sigma=0.1", "--verbose").err
    assert "red first, sigma=0.1; gives the picture" in said
    assert "gives" not in real(*words, "--set", "sigma=0.1").err
    save(noise(), tmp_path / "noise.onnx")
    said = real("denoise", "a.png", "-o", "c.png", "--weights", "noise.onnx", "-v", "--bgr").err
    assert "takes 0..1, blue first; gives the noise in the picture" in said
