"""Tiles against the whole."""

import cv2
import numpy as np
import pytest

from mirnet_cli.measure import tiling
from mirnet_cli.restore.tiles import plan


def grain(height: int = 300, width: int = 420, scale: int = 1) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.random((height * scale, width * scale, 3), np.float32) * 0.5 + 0.25


@pytest.mark.parametrize("scale", [1, 2])
def test_equal_pictures_are_equal(scale: int) -> None:
    whole = grain(scale=scale)
    found = tiling.compare(whole, whole.copy(), plan(300, 420, 128, 16, 8))
    assert (found.psnr, found.largest, found.step, found.nearby) == (np.inf, 0, 0, 0)
    assert found.equal
    assert tiling.decibels(found.psnr) is None


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("across", [False, True])
def test_a_step_at_a_border_is_found(scale: int, across: bool) -> None:
    cut = plan(300, 420, 128, 16, 8)
    whole = grain(scale=scale)
    tiled = whole + 0.2 / 255 * np.random.default_rng(1).standard_normal(whole.shape, np.float32)
    noisy = tiling.compare(whole, tiled, cut)
    assert noisy.equal
    assert noisy.psnr == pytest.approx(20 * np.log10(255 / 0.2), abs=0.2)
    # One tile half a level too bright.
    core = (cut.columns if across else cut.rows).core(1)
    span = slice(core[0] * scale, core[1] * scale)
    tiled[(slice(None), span) if across else span] += 0.5 / 255
    stepped = tiling.compare(whole, tiled, cut)
    assert stepped.step == pytest.approx(0.5, abs=0.1)
    assert stepped.nearby < 0.1
    assert stepped.psnr > tiling.ENOUGH
    assert not stepped.equal


def test_a_change_that_belongs_to_the_picture_is_no_step() -> None:
    whole = grain()
    ramp = np.linspace(0, 1 / 255, 420, dtype=np.float32)[None, :, None]
    assert tiling.compare(whole, whole + ramp, plan(300, 420, 128, 16, 8)).equal


def test_one_wrong_pixel_is_too_much() -> None:
    whole = grain()
    tiled = whole.copy()
    tiled[20, 20, 1] += 6 / 255
    found = tiling.compare(whole, tiled, plan(300, 420, 128, 16, 8))
    assert found.largest == pytest.approx(6, abs=1e-3)
    assert not found.equal


def test_the_difference_is_shown_twenty_times_as_large() -> None:
    whole = grain()
    tiled = whole.copy()
    tiled[5, 7] += np.array([1, -1, 100], np.float32) / 255
    data = tiling.amplified(whole, tiled)
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert shown[5, 7].tolist() == [148, 108, 255]
    assert shown[0, 0].tolist() == [128, 128, 128]
