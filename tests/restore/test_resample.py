"""Resampling is right, and the same for parts as for the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mirnet_cli.restore.base import (
    BicubicBase,
    GuidedBase,
    guided_coefficients,
)
from mirnet_cli.restore.picture import Picture, pad, reflected
from mirnet_cli.restore.resample import bicubic_phases, bilinear_at, reduced_shape
from tests.restore.fakes import photo_like

EMPTY = np.empty((0, 0, 3), np.float32)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_weights_sum_to_one(scale: int) -> None:
    for _, weights in bicubic_phases(scale):
        assert sum(weights) == pytest.approx(1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlargement_is_that_of_pillow_away_from_the_border(scale: int) -> None:
    pixels = photo_like(31, 23).astype(np.float32) / 255
    ours = BicubicBase(Picture(pixels), scale).at(EMPTY, (0, 31), (0, 23))
    image = Image.fromarray(pixels[..., 0])
    theirs = np.asarray(image.resize((23 * scale, 31 * scale), Image.Resampling.BICUBIC))
    inner = slice(2 * scale, -2 * scale)
    np.testing.assert_allclose(ours[inner, inner, 0], theirs[inner, inner], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 4]), st.data())
def test_a_part_enlarged_is_a_part_of_the_whole_enlarged(
    height: int, width: int, scale: int, data: st.DataObject
) -> None:
    base = BicubicBase(Picture(photo_like(height, width)), scale)
    whole = base.at(EMPTY, (0, height), (0, width))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = (
        data.draw(st.integers(top + 1, height)),
        data.draw(st.integers(left + 1, width)),
    )
    part = base.at(EMPTY, (top, bottom), (left, right))
    s = scale
    assert np.array_equal(part, whole[top * s : bottom * s, left * s : right * s])


def test_edges_are_repeated() -> None:
    flat = np.full((1, 1, 3), 77, np.uint8)
    enlarged = BicubicBase(Picture(flat), 3).at(EMPTY, (0, 1), (0, 1))
    np.testing.assert_allclose(enlarged, 77 / 255, atol=1e-7)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 9, 15])
def test_padding_reflects_and_tiny_sides_repeat(length: int) -> None:
    end = -(-length // 8) * 8
    places = reflected((0, end), length)
    beyond = end - length
    expected = np.pad(np.arange(length), (0, beyond), "reflect" if beyond < length else "edge")
    assert places.tolist() == expected.tolist()


def test_padding_keeps_what_there_is() -> None:
    x = np.random.default_rng(0).random((5, 9, 3), np.float32)
    padded = pad(x, 8)
    assert padded.shape == (8, 16, 3)
    assert np.array_equal(padded[:5, :9], x)


def test_bilinear_is_the_identity_at_equal_size() -> None:
    grid = np.random.default_rng(0).random((7, 5, 2), np.float32)
    assert np.array_equal(bilinear_at(grid, np.arange(7), np.arange(5), 7, 5), grid)


@pytest.mark.parametrize("shape", [(40, 60), (600, 31), (1, 500), (256, 256), (300, 257)])
def test_reduction_takes_means(shape: tuple[int, int]) -> None:
    pixels = photo_like(*shape)
    reduced = Picture(pixels).reduced(256)
    assert reduced.shape[:2] == reduced_shape(*shape, 256)
    assert max(reduced.shape[:2]) <= 256
    assert reduced.mean() == pytest.approx(pixels.mean() / 255, abs=2e-3)


def test_the_guide_finds_a_gain_and_an_offset() -> None:
    x = photo_like(40, 50).astype(np.float32) / 255
    a, b = guided_coefficients(x, 0.5 * x + 0.2, 2, 1e-9)
    np.testing.assert_allclose(a * x + b, 0.5 * x + 0.2, atol=1e-4)


def test_a_guided_base_is_the_same_for_parts() -> None:
    coefficients = np.random.default_rng(0).random((9, 13, 6), np.float32)
    x = photo_like(90, 130).astype(np.float32) / 255
    base = GuidedBase(coefficients, 90, 130)
    whole = base.at(x, (0, 90), (0, 130))
    part = base.at(x[17:64, 31:111], (17, 64), (31, 111))
    assert np.array_equal(part, whole[17:64, 31:111])


def test_a_guided_base_is_padded_like_the_picture() -> None:
    picture = Picture(photo_like(90, 130))
    base = GuidedBase(np.random.default_rng(0).random((9, 13, 6), np.float32), 90, 130)
    padded = base.at(picture.padded((0, 96), (0, 136)), (0, 96), (0, 136))
    assert np.array_equal(padded, pad(padded[:90, :130], 8))
