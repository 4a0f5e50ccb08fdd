"""Photos through ONNX networks: all that holds of other weights holds of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

import mirnet_cli as mirnet
from mirnet_cli.batches.journal import digest
from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.restore import PhotoOptions, RestoreWarning
from tests.networks.onnx_files import Graph, denoiser, enlarger, gaussian, save
from tests.runtime.test_measuring import bordered, everywhere, fixed, grey, sigma

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., mirnet.Restorer]:
    def loaded(model: onnx.ModelProto, task: str = "denoise", **named: Any) -> mirnet.Restorer:
        path = save(model, tmp_path / "Their Network.onnx")
        return mirnet.load(task, weights=str(path), device="cpu", **named)

    return loaded


def photo(height: int, width: int, kind: type = np.uint8, channels: int = 3) -> NDArray[Any]:
    generator = np.random.default_rng(5)
    rows, columns = np.mgrid[:height, :width]
    smooth = 0.5 + 0.3 * np.sin(rows / 17) * np.cos(columns / 23)
    noisy = smooth[..., None] + generator.normal(0, 0.05, (height, width, channels))
    peak = np.iinfo(kind).max
    return np.rint(np.clip(noisy, 0, 1) * peak).astype(kind)


def psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    error = np.square(one.astype(np.float64) - other).mean()
    return float(-10 * np.log10(max(error, 1e-15)))


def wide() -> onnx.ModelProto:
    """Looks nine pixels far, twice."""
    graph = Graph()
    soft = graph.conv(graph.conv("x", gaussian(3, 9)), gaussian(3, 9))
    return graph.model(
        graph.add("Sub", graph.number("Mul", "x", 1.5), graph.number("Mul", soft, 0.5))
    )


@pytest.mark.parametrize(("make", "task"), [(wide, "denoise"), (enlarger, "upscale")])
def test_tiles_equal_the_whole(
    make: Callable[[], onnx.ModelProto], task: str, load: Callable[..., mirnet.Restorer]
) -> None:
    x = photo(300, 530).astype(np.float32) / 255
    whole, tiles = (load(make(), task, tile=tile)(x) for tile in (0, 256))
    assert psnr(whole, tiles) > 60
    assert np.abs(whole - tiles).max() < 1e-3


def test_what_does_nothing_changes_nothing(load: Callable[..., mirnet.Restorer]) -> None:
    """Of 16 bits each is kept: the change is added to the original."""
    graph = Graph()
    same = graph.model(graph.number("Mul", "x", 1.0))
    pixels = photo(50, 70, np.uint16)
    np.testing.assert_array_equal(load(same)(pixels), pixels)
    with pytest.raises(UsageError, match="keeps the size"):
        load(same, "upscale")
    assert load(same, "upscale", scale=2)(pixels).shape == (100, 140, 3)


def test_file(load: Callable[..., mirnet.Restorer], tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(photo(60, 80, channels=4)).save(source, exif=Image.Exif(), dpi=(300, 300))
    restorer = load(enlarger(3), "upscale")
    result = restorer.file(str(source), str(target))
    assert (result.scale, result.model, result.context) == (3, "their-network", "whole")
    assert result.sha256 == restorer.weights.sha256
    with Image.open(target) as made:
        assert (made.size, made.mode) == ((240, 180), "RGBA")
        assert restorer.weights.sha256 in json.dumps({**made.info, "exif": ""}, default=str)


def test_strength(load: Callable[..., mirnet.Restorer]) -> None:
    x = photo(40, 60)
    restorer = load(enlarger(), "upscale")
    none, half, full = (restorer(x, strength=each).astype(int) for each in (0, 0.5, 1))
    assert np.abs(half - (none + full) / 2).max() <= 1
    assert restorer(x[..., 0]).shape == (80, 120)


@pytest.mark.parametrize("size", [(1, 1), (30, 40), (64, 96), (65, 97), (200, 300)])
def test_a_network_of_one_size(size: tuple[int, int], load: Callable[..., mirnet.Restorer]) -> None:
    x = photo(*size)
    made = load(fixed())(x)
    wanted = load(denoiser())(x)
    inner = slice(4, -4) if min(size) > 16 else slice(None)
    assert made.shape == x.shape
    assert np.abs(made[inner, inner].astype(int) - wanted[inner, inner]).max() <= 1
    assert load(fixed())(x, ensemble=True).shape == x.shape
    with pytest.raises(UsageError, match="96x64 only"):
        load(fixed(), tile=256)


def test_a_network_that_looks_at_everything(load: Callable[..., mirnet.Restorer]) -> None:
    x = photo(200, 300)
    with pytest.warns(RestoreWarning, match="looks at the whole picture"):
        load(everywhere(), tile=128)(x)
    # It is not cut where it need not be.
    assert load(everywhere()).tiles(3000, 2000).whole


@pytest.mark.parametrize("make", [grey, bordered])
def test_others(make: Callable[[], onnx.ModelProto], load: Callable[..., mirnet.Restorer]) -> None:
    x = photo(90, 120)
    whole, tiles = (load(make(), tile=tile)(x).astype(int) for tile in (0, 64))
    assert np.abs(whole - tiles).max() <= 1


def test_settings_are_part_of_what_a_batch_remembers(load: Callable[..., mirnet.Restorer]) -> None:
    options = PhotoOptions()
    one, other = (digest(load(sigma(), set=[f"sigma={each}"]), options) for each in (0.1, 0.2))
    assert one != other
    assert one == digest(load(sigma(), set={"sigma": 0.1}), options)
    with pytest.raises(UsageError, match=r"^set: 'sigma=much' is not NAME=NUMBER"):
        load(sigma(), set=["sigma=much"])
    with pytest.raises(UsageError, match="torch does not run"):
        load(denoiser(), runtime="torch")
    with pytest.raises(UsageError, match="enlarges 2 times, not 3"):
        load(enlarger(), "upscale", scale=3)
    with pytest.raises(UsageError, match="use mirnet upscale"):
        load(enlarger())


def test_a_result_that_is_not_finite(load: Callable[..., mirnet.Restorer]) -> None:
    graph = Graph()
    # Fine on photos, and not on what is brighter than all of them.
    broken = graph.model(graph.add("Log", graph.number("Sub", "x", 2.0)))
    with pytest.raises(ModelError):
        load(broken)
