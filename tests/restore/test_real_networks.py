"""Restorers over networks of the families there are, with random numbers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mirnet_cli.models import weights as files
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.restore import Restorer, load
from tests.models.builders import some_weights
from tests.restore.fakes import photo_like

SMALL = {"widths": [8, 12, 16], "groups": 1, "blocks": 1}
KINDS: dict[str, dict[str, Any]] = {
    "denoise": {"scales": [1], "base": "input", "config": SMALL},
    "enhance": {"scales": [1], "base": "guided", "config": SMALL | {"inputs": 6}},
    "upscale": {
        "scales": [2, 3],
        "base": "bicubic",
        "config": SMALL | {"unshuffle": 1, "scales": [2, 3]},
    },
}


def random_network(config: dict[str, Any]) -> NetworkSpec:
    generator = torch.Generator().manual_seed(1)
    state = FAMILIES["compact"].build(config).state_dict()
    tensors = {
        key: (torch.randn(value.shape, generator=generator) * 0.1).numpy()
        for key, value in state.items()
    }
    return NetworkSpec("compact", config, tensors, "")


def save(folder: Path, task: str) -> Path:
    kind = KINDS[task]
    path = folder / f"{task}.safetensors"
    made = some_weights(
        name=f"random-{task}",
        task=task,
        scales=tuple(kind["scales"]),
        base=kind["base"],
        network=random_network(kind["config"]),
        thumbnail=random_network(SMALL) if kind["base"] == "guided" else None,
        context="refine",
        overlap=None,
        licence="CC0-1.0",
    )
    files.save(path, made)
    return path


@pytest.mark.parametrize(("task", "scale"), [("denoise", 1), ("enhance", 1), ("upscale", 3)])
def test_tiles_equal_the_whole(tmp_path: Path, task: str, scale: int) -> None:
    path = save(tmp_path, task)
    pixels = photo_like(170, 250).astype(np.float32) / 255
    pixels[:, :120] *= 0.3
    whole = load(path, scale=scale, device="cpu", precision="fp32", tile=0)(pixels)
    cut = load(path, scale=scale, device="cpu", precision="fp32", tile=128)(pixels)
    alone = load(path, scale=scale, device="cpu", precision="fp32", tile=128, context="tile")(
        pixels
    )
    assert whole.shape == (170 * scale, 250 * scale, 3)
    # The default overlap is shorter than the reach of random weights; what it cuts off is small.
    assert np.abs(cut - whole).max() < 0.2 / 255
    assert np.abs(cut - whole).max() < 0.1 * np.abs(alone - whole).max()


def test_the_default_scale_is_two(tmp_path: Path) -> None:
    assert load(save(tmp_path, "upscale"), device="cpu").scale == 2


PEAK = """
import sys
import numpy as np
import mirnet_cli
from mirnet_cli.restore.context import Refinement

path, height, width, scale, ceiling = sys.argv[1], *map(int, sys.argv[2:])
restore = mirnet_cli.load(path, scale=scale, device="cpu", max_memory=ceiling)
restore.refinement = Refinement(rounds=1)
pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
restore(pixels)
status = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("task", "scale"), [("denoise", 1), ("upscale", 2)])
def test_twelve_megapixels_stay_below_the_ceiling(tmp_path: Path, task: str, scale: int) -> None:
    ceiling = 800 << 20
    arguments = [save(tmp_path, task), 3000, 4000, scale, ceiling]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEAK, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) < ceiling


@pytest.fixture(scope="module")
def shipped() -> dict[str, Restorer]:
    return {task: load(task, device="cpu", precision="fp32") for task in ("denoise", "upscale")}


@pytest.mark.parametrize("task", ["denoise", "upscale"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (8, 8), (9, 9), (31, 3), (200, 1)])
def test_tiny_pictures_are_restored(
    shipped: dict[str, Restorer], task: str, size: tuple[int, int]
) -> None:
    for seed in range(3):
        colours = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
        result = shipped[task](colours)
        scale = 2 if task == "upscale" else 1
        assert result.shape == (size[0] * scale, size[1] * scale, 3)
        moved = result.mean((0, 1)) - colours.mean((0, 1))
        assert np.abs(moved).max() < 64, "the colours are others"


def test_a_picture_of_one_colour_keeps_it_at_any_size(shipped: dict[str, Restorer]) -> None:
    for side in (1, 2, 7, 31, 33, 64):
        flat = np.full((side, side, 3), (200, 120, 40), np.uint8)
        assert np.abs(shipped["denoise"](flat).astype(int) - flat).max() <= 4
