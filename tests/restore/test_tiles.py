"""Properties of the tile plan."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnet_cli.errors import UsageError
from mirnet_cli.restore.blend import Stitcher
from mirnet_cli.restore.sizing import check_overlap
from mirnet_cli.restore.tiles import TilePlan, plan


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    stride = draw(st.sampled_from([1, 2, 4, 8]))
    overlap = draw(st.integers(0, 24))
    least = 2 * (overlap + stride) + stride
    tile = draw(st.integers(least + stride, least + 60) | st.just(0))
    sides = st.integers(1, 200) | st.sampled_from([1, 2, 3, 127, 199, max(tile, 1), tile + 1])
    feather = draw(st.none() | st.integers(0, 30))
    return plan(draw(sides), draw(sides), tile, overlap, stride, feather=feather)


@given(plans())
def test_cores_cover_the_padded_picture_once(tiles: TilePlan) -> None:
    count = np.zeros((tiles.rows.padded, tiles.columns.padded), int)
    for tile in tiles:
        count[slice(*tile.core_rows), slice(*tile.core_columns)] += 1
    assert (count == 1).all()


@given(plans())
def test_tiles_are_of_one_size_on_the_grid_and_inside(tiles: TilePlan) -> None:
    assert len({tile.shape for tile in tiles}) == 1
    for axis in (tiles.rows, tiles.columns):
        assert axis.padded - axis.length < tiles.stride
        assert axis.origins[0] == 0
        assert axis.origins[-1] + axis.size == axis.padded
        assert not any(place % tiles.stride for place in (*axis.origins, *axis.seams, axis.size))


@given(st.integers(1, 300), st.integers(40, 90), st.integers(0, 16), st.sampled_from([1, 4, 8]))
def test_cores_and_blends_keep_their_distance_from_inner_borders(
    length: int, tile: int, overlap: int, stride: int
) -> None:
    axis = plan(length, 1, tile, overlap, stride).rows
    assert axis.size <= tile
    for i, origin in enumerate(axis.origins):
        start, end = axis.core(i)
        first, last = axis.support(i)
        if i > 0:
            assert start - origin >= overlap
            assert first - origin >= overlap * 3 // 4
        if i < len(axis) - 1:
            assert origin + axis.size - end >= overlap
            assert origin + axis.size - last >= overlap * 3 // 4


@given(st.integers(1, 100), st.integers(1, 100))
def test_zero_never_cuts(height: int, width: int) -> None:
    assert plan(height, width, 0, 32, 8).whole


def test_tiles_shrink_to_what_is_needed() -> None:
    assert plan(1, 520, 512, 32, 8).columns.size == 296


@pytest.mark.parametrize("overlap", [32, 29])
def test_an_overlap_without_room_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="no room"):
        plan(100, 100, 64, overlap, 8)


@given(plans(), st.sampled_from([1, 2, 3]))
def test_equal_tiles_stitch_to_the_picture(tiles: TilePlan, scale: int) -> None:
    shape = (tiles.rows.padded * scale, tiles.columns.padded * scale, 3)
    picture = np.random.default_rng(0).random(shape, np.float32)
    result = np.full(shape, np.nan, np.float32)
    stitcher = Stitcher(tiles, scale)
    for tile in tiles:
        (top, bottom), (left, right) = tile.rows, tile.columns
        part = picture[top * scale : bottom * scale, left * scale : right * scale].copy()
        done = stitcher.add(tile, part)
        (top, bottom), (left, right) = done.rows, done.columns
        place = result[top * scale : bottom * scale, left * scale : right * scale]
        assert np.isnan(place).all()
        place[...] = done.values
    np.testing.assert_allclose(result, picture, atol=3e-7)


@pytest.mark.parametrize("tile", [16, 24, 64, 68, 100])
@pytest.mark.parametrize("stride", [4, 8, 32])
def test_a_refused_overlap_names_the_largest_that_is_not(tile: int, stride: int) -> None:
    with pytest.raises(UsageError) as refused:
        check_overlap(tile, tile, stride)
    most = int(refused.value.remedy.split()[1])
    check_overlap(tile, most, stride)
    assert plan(500, 500, tile, most, stride).overlap == most
    with pytest.raises(UsageError):
        check_overlap(tile, most + 1, stride)
