"""Networks of the paper's authors on photos: enlarged first, or seeing two views."""

from pathlib import Path

import numpy as np
import pytest
import torch

import mirnet_cli
from mirnet_cli.errors import UsageError
from mirnet_cli.models.foreign import Foreign
from mirnet_cli.models.resolver import read_file
from mirnet_cli.networks import FAMILIES
from mirnet_cli.restore.picture import Enlarged, Picture
from mirnet_cli.restore.resample import BICUBIC_REACH, enlarge
from mirnet_cli.runtime import prepare
from tests.models import checkpoints


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    return checkpoints.save(tmp_path / "v2.pth", {"params": checkpoints.small("mirnet_v2")})


@pytest.fixture
def two_views(tmp_path: Path) -> Path:
    state = dict(checkpoints.small("mirnet_v2"))
    first = state["conv_in.weight"]
    state["conv_in.weight"] = torch.cat([first, first.flip(0)], 1)
    return checkpoints.save(tmp_path / "dual.pth", {"params": state})


def _pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _network(path: Path, x: np.ndarray) -> np.ndarray:
    """``(H, W, C)`` uint8, of sides that fit, to what the network makes of it whole."""
    found = read_file(path)
    assert isinstance(found, Foreign)
    batch = (x.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    runner = prepare(found.spec, device="cpu", precision="fp32")
    return runner.run(np.ascontiguousarray(batch)).residual[0].transpose(1, 2, 0)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("scale", [2, 3])
def test_an_enlarged_picture_reads_like_the_enlargement(scale: int, grey: bool) -> None:
    pixels = _pixels(9, 7) if grey else _pixels(9, 7, 3)
    picture = Enlarged(pixels, scale=scale)
    reach = BICUBIC_REACH
    small = Picture(pixels).clamped((-reach, 9 + reach), (-reach, 7 + reach))
    whole = np.clip(enlarge(small, scale), 0, 1)
    assert (picture.height, picture.width) == whole.shape[:2]
    np.testing.assert_array_equal(picture.padded((0, 9 * scale), (0, 7 * scale)), whole)
    np.testing.assert_array_equal(picture.padded((5, 12), (3, 4)), whole[5:12, 3:4])
    beyond = picture.padded((9 * scale - 2, 9 * scale + 3), (0, 5))
    rows = [-2, -1, -2, -3, -4]
    np.testing.assert_array_equal(beyond, whole[rows, :5])


@pytest.mark.parametrize("scale", [2, 4])
def test_upscaling_enlarges_first(scale: int, v2: Path) -> None:
    restorer = mirnet_cli.load(
        "upscale", weights=str(v2), scale=scale, device="cpu", precision="fp32"
    )
    pixels = _pixels(8, 12, 3)
    result = restorer(pixels)
    assert result.shape == (8 * scale, 12 * scale, 3)
    seen = Enlarged(pixels, scale=scale).padded((0, 8 * scale), (0, 12 * scale))
    batch = np.ascontiguousarray(seen.transpose(2, 0, 1)[None])
    spec = restorer.weights.network
    residual = prepare(spec, device="cpu", precision="fp32").run(batch).residual[0]
    expected = np.clip(seen + residual.transpose(1, 2, 0), 0, 1) * 255
    assert np.abs(result - expected).max() < 0.51


def test_enlarged_pictures_in_tiles_agree_with_the_whole(v2: Path) -> None:
    pixels = _pixels(40, 56, 3)
    options = {"weights": str(v2), "scale": 2, "device": "cpu", "precision": "fp32"}
    whole = mirnet_cli.load("upscale", tile=0, **options)(pixels)  # type: ignore[arg-type]
    tiles = mirnet_cli.load(
        "upscale",
        tile=64,
        overlap=24,
        context="whole",
        **options,  # type: ignore[arg-type]
    )(pixels)
    assert np.abs(whole.astype(int) - tiles).max() <= 2


def test_grey_and_alpha_are_enlarged_too(v2: Path) -> None:
    restorer = mirnet_cli.load("upscale", weights=str(v2), scale=2, device="cpu", precision="fp32")
    assert restorer(_pixels(5, 6)).shape == (10, 12)
    assert restorer(_pixels(5, 6, 4)).shape == (10, 12, 4)
    assert restorer(_pixels(1, 1, 3)).shape == (2, 2, 3)


def test_two_views_give_one_picture(two_views: Path) -> None:
    restorer = mirnet_cli.load(two_views, device="cpu", precision="fp32")
    assert restorer.task == "defocus"
    views = _pixels(12, 16, 6)
    result = restorer(views)
    assert result.shape == (12, 16, 3)
    expected = np.clip(_network(two_views, views), 0, 1) * 255
    assert np.abs(result - expected).max() < 0.51
    np.testing.assert_array_equal(restorer(views, strength=0), views[..., :3])
    # Sides that are no multiples of the stride, and 16 bits.
    assert restorer(_pixels(7, 9, 6).astype(np.uint16) * 257).dtype == np.uint16


def test_two_views_are_not_a_photo(two_views: Path, tmp_path: Path) -> None:
    restorer = mirnet_cli.load(two_views, device="cpu", precision="fp32")
    with pytest.raises(UsageError, match="two views"):
        restorer(_pixels(8, 8, 3))
    with pytest.raises(UsageError, match="dual-pixel"):
        restorer.file(tmp_path / "a.png", tmp_path / "b.png")
    with pytest.raises(UsageError, match="exchanges"):
        restorer(_pixels(8, 8, 6), ensemble=True)


def test_the_family_knows_that_two_views_are_no_residual() -> None:
    family = FAMILIES["mirnet_v2"]
    assert family.whole({"feature_skip": True})
    assert not family.whole({})
