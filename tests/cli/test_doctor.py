"""``mirnet doctor``."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mirnet_cli import extras, installation, settings
from mirnet_cli.errors import UsageError
from mirnet_cli.measure import health
from mirnet_cli.models import catalogue
from mirnet_cli.models.catalogue import Model
from mirnet_cli.photo import decode
from tests.models.builders import tiny_network

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shipped: Callable[..., Model]
) -> None:
    """A machine without problems, one model for everything that is needed."""
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(settings, "memory_free", lambda: 8 << 30)
    monkeypatch.setattr(settings, "memory_limit", lambda: 16 << 30)
    monkeypatch.setattr(health, "NEEDED", ("denoise",))
    monkeypatch.setattr(health, "_has_nvidia", lambda: False)
    shipped("denoise", ("denoise",), network=tiny_network(3))


def _checks(real: Run, code: int) -> dict[str, dict[str, str]]:
    ran = real("doctor", "--json")
    assert ran.code == code, ran.out
    assert ran.err == ""
    found = json.loads(ran.out)
    bad = [check for check in found["checks"] if check["state"] in ("problem", "broken")]
    assert found["problems"] == len(bad)
    assert all(check["remedy"] for check in bad)
    return {check["name"]: check for check in found["checks"]}


def test_all_is_well(real: Run) -> None:
    ran = real("doctor")
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert ran.out.splitlines()[-1] == "no problem found"
    for name in ("torch", "opencv", "safetensors", "runtime torch", "cpu fp32", "cpu bf16"):
        assert f"ok      {name:18}" in ran.out
    assert "intact, sha256" in ran.out
    assert "openvino fp32" in ran.out
    for name in _checks(real, 0):
        assert f"{name}  " in ran.out, name


@pytest.mark.skipif(not extras.installed("openvino"), reason="needs the extra openvino")
def test_what_a_runtime_says_to_do_is_said(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mirnet_cli.runtime import openvino_runtime

    def fail(*given: object) -> None:
        raise RuntimeError("Exception from src/here.cpp:1:\nbad combination")

    monkeypatch.setattr(openvino_runtime.OpenVinoRunner, "_known", lambda *given: None)
    monkeypatch.setattr(openvino_runtime.openvino.Core, "compile_model", fail)
    check = _checks(real, 1)["openvino fp32"]
    assert "cannot compile" in check["value"]
    assert check["remedy"] == "use --runtime torch"


def test_openvino_may_be_missing(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mirnet_cli.runtime.openvino")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = _checks(real, 0)
    assert found["runtime openvino"]["state"] == "info"
    assert found["cpu fp32"]["state"] == "ok"


def test_changed_weights_are_exit_code_3(real: Run) -> None:
    path = catalogue.path_of(catalogue.find("denoise"))
    path.write_bytes(path.read_bytes()[:-1])
    check = _checks(real, 3)["denoise"]
    assert check["state"] == "broken"
    assert str(path) in check["value"]


def test_missing_weights_are_exit_code_3(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "NEEDED", ("denoise", "enhance"))
    assert _checks(real, 3)["enhance"]["state"] == "broken"


def test_a_library_that_does_not_import(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    check = _checks(real, 1)["huggingface-hub"]
    assert check["state"] == "problem"
    assert "pip install" in check["remedy"]


def test_a_library_that_is_too_old(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_requirements", lambda: {"pillow": ">=99"})
    check = _checks(real, 1)["pillow"]
    assert "needed is >=99" in check["value"]
    assert "pillow>=99" in check["remedy"]


def test_what_is_needed_is_read_from_the_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = ["numpy>=2.0", "opencv-python-headless>=4.11", 'pytest>=8; extra == "test"']
    lines = ["Metadata-Version: 2.4", "Name: mirnet-cli", "Version: 0.1.0"]
    lines += [f"Requires-Dist: {each}" for each in needed]
    info = tmp_path / "mirnet_cli-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert health._requirements() == {"numpy": ">=2.0", "opencv": ">=4.11"}


def test_a_cache_that_cannot_be_written(
    real: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "file" / "cache"))
    check = _checks(real, 1)["folder"]
    assert "MIRNET_CACHE" in check["remedy"]


def test_little_memory(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "memory_limit", lambda: 1 << 30)
    assert "--max-memory" in _checks(real, 1)["memory"]["remedy"]
    monkeypatch.setattr(settings, "memory_limit", lambda: 16 << 30)
    monkeypatch.setattr(settings, "memory_free", lambda: 1 << 30)
    assert "--max-memory 512M" in _checks(real, 1)["free"]["remedy"]


def test_a_gpu_that_torch_cannot_use(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch can use the GPU here")
    monkeypatch.setattr(health, "_has_nvidia", lambda: True)
    assert "CUDA" in _checks(real, 1)["cuda"]["remedy"]


def test_a_precision_that_computes_nonsense(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mirnet_cli.runtime.torch_runtime import TorchRunner

    honest = TorchRunner.run

    def run(self: Any, *given: Any, **options: Any) -> Any:
        output = honest(self, *given, **options)
        if self.precision == "bf16":
            output.residual[:] = float("nan")
        return output

    monkeypatch.setattr(TorchRunner, "run", run)
    found = _checks(real, 1)
    assert found["cpu fp32"]["state"] == "ok"
    assert "--precision fp32" in found["cpu bf16"]["remedy"]


def test_what_breaks_a_check_does_not_hide_the_others(
    real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise OSError("no such\nthing")

    monkeypatch.setattr(settings, "cache_folder", broken)
    found = _checks(real, 1)
    assert found["check"]["value"] == "not finished: no such thing"
    assert found["denoise"]["state"] == "ok"


def test_settings_are_shown(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_TILE", "512\x1b[31m")
    ran = real("doctor")
    assert "MIRNET_TILE" in ran.out
    assert "\x1b" not in ran.out


def png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def test_tiling_measures_a_photo_of_ones_own(real: Run, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    random = np.random.default_rng(0)
    photo.write_bytes(png(random.integers(0, 256, (150, 170, 3), np.uint8)))
    out = tmp_path / "out"
    out.mkdir()
    words = ("doctor", "--tiling", str(photo), "--tile", "96", "-o", str(out))
    ran = real(*words, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["width"], found["height"], found["model"]) == (170, 150, "denoise")
    (tiling,) = found["tilings"]
    assert tiling["tile"] <= 96
    assert tiling["equal"]
    assert tiling["psnr"] is None or tiling["psnr"] > 50
    assert tiling["tile"] == 92  # as 96 cuts this photo
    assert decode(Path(tiling["difference"])).pixels.shape == (150, 170, 3)
    assert Path(tiling["difference"]) == out / "photo-tiling-80x92.png"

    again = real(*words)
    assert again.code == 1
    assert "exists already" in again.err
    again = real(*words, "--overwrite")
    assert again.code == 0
    assert "equal" in again.out
    assert "photo-tiling-80x92.png" in again.out


def test_the_picture_of_a_tiling_goes_where_it_is_told(real: Run, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    random = np.random.default_rng(0)
    photo.write_bytes(png(random.integers(0, 256, (150, 170, 3), np.uint8)))
    words = ("doctor", "--tiling", str(photo), "--tile", "96", "-o")
    assert real(*words, str(tmp_path / "new" / "folder")).code == 0
    assert (tmp_path / "new" / "folder" / "photo-tiling-80x92.png").exists()
    assert real(*words, str(tmp_path / "mine.png")).code == 0
    assert (tmp_path / "mine.png").exists()
    ran = real("doctor", "--tiling", str(photo), "-o", str(tmp_path / "mine2.png"))
    assert (ran.code, "is one picture" in ran.err) == (2, True)
    assert real(*words, str(photo / "in")).err.endswith(
        f"cannot be written: {photo} is not a folder; choose another place with -o\n"
    )


def test_tiling_needs_more_than_one_tile(real: Run, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(np.zeros((60, 60, 3), np.uint8)))
    ran = real("doctor", "--tiling", str(photo), "--tile", "96")
    assert ran.code == 2
    assert "smaller --tile" in ran.err
    assert list(tmp_path.glob("*tiling*")) == []


def test_variables_set_options_of_tiling_and_never_stop_the_checks(
    real: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(np.zeros((60, 60, 3), np.uint8)))
    monkeypatch.setenv("MIRNET_TILE", "96")
    ran = real("doctor", "--tiling", str(photo))
    assert (ran.code, "one tile of 96" in ran.err) == (2, True)
    monkeypatch.setenv("MIRNET_CROP", "0,0,70,70")
    ran = real("doctor", f"--tiling={photo}")
    assert (ran.code, "reaches beyond" in ran.err) == (1, True)
    monkeypatch.setenv("MIRNET_TILE", "big")
    ran = real("doctor", "--tiling", str(photo))
    assert (ran.code, "set by MIRNET_TILE" in ran.err) == (2, True)
    assert "MIRNET_TILE" in real("doctor").out


def test_each_extra_is_listed_with_what_brings_it(
    real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _checks(real, 0)
    assert {*health.EXTRAS} <= {*here}
    assert "pillow-heif" in here["heif"]["value"]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    missing = _checks(real, 0)["heif"]
    assert (missing["state"], missing["remedy"]) == ("info", installation.add_extra("heif"))
    assert "not installed: pillow-heif" in missing["value"]


def test_half_an_extra_is_no_problem(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other half came for something else."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setattr(health, "_requirements", lambda: {"cryptography": ">=999"})
    found = _checks(real, 0)
    assert "not installed: distributed" in found["cluster"]["value"]
    assert "cryptography" not in found


def test_no_home_is_no_problem(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ships needs no cache."""

    def unknown() -> Path:
        raise UsageError("the home folder is not known", "set MIRNET_CACHE to a folder, or HOME")

    monkeypatch.setattr(settings, "cache_folder", unknown)
    found = _checks(real, 0)["folder"]
    assert (found["state"], "MIRNET_CACHE" in found["remedy"]) == ("info", True)


def test_no_check_speaks_python(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    said = json.dumps([*_checks(real, 1).values()])
    assert "Error" not in said
