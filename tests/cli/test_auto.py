"""auto with its own weights: what is said of a photo, done or not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.cli import main


@pytest.fixture
def photos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a good photo and a noisy one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    y, x = np.mgrid[:120, :160] / 120
    scene = 128 + 40 * np.sin(5 * x)[..., None] * np.cos(4 * y)[..., None] * np.ones(3)
    noise = np.random.default_rng(0).normal(0, 12, scene.shape)
    for name, pixels in (("good", scene), ("noisy", scene + noise)):
        whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        Image.fromarray(whole).save(folder / f"{name}.png")
    return folder


def records(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def test_a_dry_run_explains(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["auto", "in/noisy.png", "--dry-run", "--explain", "--json", "--ev", "0"]) == 0
    out, err = capfd.readouterr()
    assert "noise about ISO" in err
    assert ": denoise (noise " in err
    (told,) = records(out)
    assert told["status"] == "planned"
    assert told["estimates"]["noise"] == pytest.approx(12, rel=0.2)
    assert [step["task"] for step in told["steps"]] == ["denoise"]
    assert sorted(path.name for path in photos.iterdir()) == ["good.png", "noisy.png"]


def test_a_dry_run_decides_on_the_crop(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A quarter of the photo is to be enlarged where the whole is large enough."""
    words = ["auto", "in/good.png", "--dry-run", "--json", "--ev", "0", "--to", "160x120"]
    assert main(words) == 0
    assert main([*words, "--crop", "0,0,80,60"]) == 0
    whole, part = records(capfd.readouterr().out)
    assert whole["steps"] == []
    assert [step["scale"] for step in part["steps"]] == [2]


def test_a_batch_tells_figures_and_counts_what_needs_nothing(
    photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["batch", "in", "--task", "auto", "-o", "out", "--ev", "0"]
    assert main([*words, "--dry-run", "--explain"]) == 0
    assert ": nothing (noise " in capfd.readouterr().out
    assert main([*words, "--dry-run", "--json"]) == 0
    planned = records(capfd.readouterr().out)
    assert all(each["estimates"]["noise"] >= 0 for each in planned)
    assert main([*words, "--skip-good", "--json"]) == 0
    out, err = capfd.readouterr()
    told = {Path(each["input"]).stem: each for each in records(out)}
    assert (told["good"]["status"], told["good"]["reason"]) == ("skipped", "needs nothing")
    assert told["noisy"]["status"] == "done"
    assert "nothing" in err.split("found", 1)[1]
    assert [path.name for path in (photos.parent / "out").glob("*.png")] == ["noisy.png"]


def test_a_dry_run_shares_light(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What --same-light gives is shown before it is done."""
    dark = np.asarray(Image.open(photos / "good.png")) // 5
    Image.fromarray(dark).save(photos / "dark.png")
    words = ["batch", "in", "--task", "auto", "-o", "out", "--same-light", "--json"]
    assert main([*words, "--dry-run"]) == 0
    planned = records(capfd.readouterr().out)
    assert main(words) == 0
    done = records(capfd.readouterr().out)
    assert [[step["options"] for step in each["steps"]] for each in planned] == [
        [step["options"] for step in each["steps"]] for each in done
    ]
    asked = {step["options"].get("ev") for each in planned for step in each["steps"]}
    assert len(asked - {None}) == 1


def test_a_pipe_gets_a_picture_always(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The good one goes through as it is; what may give nothing is refused before."""
    words = ["auto", "in/good.png", "-o", "-", "--ev", "0"]
    assert main([*words, "--skip-good"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "--skip-good may leave standard output without a picture" in err
    assert main([*words, "--skip-good", "--dry-run"]) == 0
