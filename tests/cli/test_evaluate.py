"""``mirnet evaluate``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.models import weights
from mirnet_cli.models.catalogue import Model
from tests.models.builders import some_weights, tiny_network

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def pairs(tmp_path: Path) -> None:
    """Two pairs, ``i`` five levels brighter than ``t``, and weights that take four off."""
    for folder, change in (("i", 5), ("t", 0)):
        (tmp_path / folder).mkdir()
        for seed in range(2):
            random = np.random.default_rng(seed)
            pixels = random.integers(40, 200, (24, 32, 3), dtype=np.uint8) + np.uint8(change)
            Image.fromarray(pixels).save(tmp_path / folder / f"{seed}.png")
    weights.save(tmp_path / "w.safetensors", some_weights(network=tiny_network(-4)))


def test_as_they_are(real: Run) -> None:
    ran = real("evaluate", "i", "t")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["NAME", "PSNR", "SSIM"]
    assert lines[1].split()[:2] == ["0", "34.15"]
    assert lines[3].split()[:4] == ["mean", "of", "2", "34.15"]
    assert "Wang 2004, Gaussian 11x11 sigma 1.5, per RGB channel then mean, valid area" in ran.out


@pytest.mark.parametrize(
    "words", [("--weights", "w.safetensors"), ("--task", "denoise", "--weights", "w.safetensors")]
)
def test_restored_and_by_doing_nothing(words: tuple[str, ...], real: Run) -> None:
    ran = real("evaluate", "i", "t", *words, "--baseline", "--device", "cpu", "--verbose")
    assert ran.code == 0, ran.err
    cells = ran.out.splitlines()[3].split()
    assert cells[3] == "48.13"
    assert (cells[5], cells[7]) == ("34.15", "+13.98")
    assert "denoise" in ran.err


def test_a_catalogue_model_by_name(real: Run, shipped: Callable[..., Model]) -> None:
    shipped("denoise", ("denoise",), network=tiny_network(-4))
    for words in (("--task", "denoise"), ("--model", "denoise")):
        ran = real("evaluate", "i", "t", *words, "--device", "cpu")
        assert ran.code == 0, ran.err
        assert "48.13" in ran.out


def test_json_has_a_line_for_each_pair_and_a_summary(real: Run) -> None:
    ran = real("evaluate", "i", "t", "--weights", "w.safetensors", "--json", "--baseline")
    assert ran.code == 0, ran.err
    *each, summary = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["type"] for line in each] == ["pair", "pair"]
    assert each[0]["psnr"] == pytest.approx(48.13, abs=0.01)
    assert each[0]["baseline"]["psnr"] == pytest.approx(34.15, abs=0.01)
    assert summary["type"] == "summary"
    assert (summary["pairs"], summary["failed"], summary["worse"]) == (2, 0, 0)
    assert summary["model"] == "denoise"
    assert len(summary["sha256"]) == 64
    assert "Wang 2004" in summary["ssim_implementation"]


def test_a_pair_that_fails_is_told_and_counted(real: Run, tmp_path: Path) -> None:
    (tmp_path / "t" / "0.png").unlink()
    ran = real("evaluate", "i", "t")
    assert ran.code == 1
    assert ran.err == "mirnet: i/0.png: has no partner in t\n"
    assert "mean of 1" in ran.out
    assert "1 of 2 pairs failed" in ran.out


def test_upscale_against_bicubic(real: Run, tmp_path: Path) -> None:
    for name in ("0", "1"):
        picture = Image.open(tmp_path / "t" / f"{name}.png")
        picture.resize((16, 12), Image.Resampling.BICUBIC).save(tmp_path / "i" / f"{name}.png")
    network = tiny_network(unshuffle=1, scales=[2])
    weights.save(
        tmp_path / "up.safetensors",
        some_weights(name="up", task="upscale", scales=(2,), base="bicubic", network=network),
    )
    words = ("--baseline", "--border", 2, "--luma")
    ran = real("evaluate", "i", "t", "--weights", "up.safetensors", *words)
    assert ran.code == 0, ran.err
    # Untrained, it adds nothing to the bicubic enlargement.
    assert "+0.00" in ran.out.splitlines()[3]
    assert "without 2 pixels on each side" in ran.out
    assert "luma" in ran.out
    ran = real("evaluate", "i", "t", "--scale", "2")
    assert ran.code == 0
    assert real("evaluate", "i", "t").code == 1


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ("nowhere t", 1, "nowhere: there is no such folder"),
        ("i t --task dehaze", 2, "--task: 'dehaze' is not one of 'enhance', 'denoise', 'upscale'"),
        ("i t --weights w.safetensors --model denoise", 2, "cannot be combined"),
        ("i t --weights nowhere.safetensors", 3, "no such file"),
        ("i t --weights i/0.png", 3, "a picture, not weights"),
        ("i t --model nothing", 3, "no model of that name"),
        ("i t --task enhance --weights w.safetensors", 2, "made for denoise, not for enhance"),
        ("i t --weights w.safetensors --scale 2", 2, "made for scale 1, not 2"),
        ("i t --border x", 2, "border"),
        (
            "i t --strength 0.5",
            2,
            "(or MIRNET_STRENGTH, MIRNET_ENSEMBLE) need a",
        ),
        (
            "i t --ensemble",
            2,
            "(or MIRNET_STRENGTH, MIRNET_ENSEMBLE) need a",
        ),
        ("i", 2, "TARGET_DIR"),
    ],
)
def test_errors_are_one_line(words: str, code: int, expected: str, real: Run) -> None:
    ran = real("evaluate", *words.split())
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.count("\n") == 1
    assert expected in ran.err


def test_transparency_is_not_measured_in_silence(real: Run, tmp_path: Path) -> None:
    Image.open(tmp_path / "i" / "0.png").convert("RGBA").save(tmp_path / "i" / "0.png")
    ran = real("evaluate", "i", "t")
    said = "mirnet: i/0.png: warning: transparency is not measured; hidden colours count\n"
    assert (ran.code, ran.err) == (0, said)


@pytest.mark.parametrize("words", [(), ("--task", "denoise")])
def test_quiet_while_weights_are_fetched(
    words: tuple[str, ...], real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet_cli.cli import models_files

    heard: list[bool] = []
    monkeypatch.setattr(models_files, "fetch_first", lambda _, console: heard.append(console.quiet))
    real("evaluate", "i", "t", *words, "--weights", "w.safetensors", "--quiet")
    assert heard == [True]
