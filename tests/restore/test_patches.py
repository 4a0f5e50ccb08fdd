"""Patches that stand for a whole picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnet_cli.restore.patches import MOST, PATCH, sample

HUGE = 1 << 40


@given(
    st.sampled_from([4, 8]),
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.integers(0, 8),
    st.integers(6, 24),
)
def test_patches_lie_inside_on_the_grid(
    stride: int, rows: int, columns: int, halo: int, bits: int
) -> None:
    height, width, limit = rows * stride, columns * stride, 1 << bits
    found = sample(height, width, halo * stride, stride, limit)
    if found is None:
        assert height * width <= limit
        return
    assert found.side % stride == 0
    assert (found.count * found.side) ** 2 <= max(limit, stride**2)
    assert found.mask().sum() == (found.count * (found.side - 2 * found.halo)) ** 2 > 0
    for spans, length in ((found.rows, height), (found.columns, width)):
        assert len(spans) == found.count
        assert all(end - start == found.side and start % stride == 0 for start, end in spans)
        assert spans[0][0] >= 0
        assert spans[-1][1] <= length


@pytest.mark.parametrize(("side", "count"), [(1600, 3), (4096, 4), (10000, MOST)])
def test_a_sixteenth_of_the_picture_within_bounds(side: int, count: int) -> None:
    found = sample(side, side, 32, 8, HUGE)
    assert found is not None
    assert (found.count, found.side, found.halo) == (count, PATCH, 32)
    starts = np.array([start for start, _ in found.rows])
    assert np.ptp(np.diff(starts)) <= 8
    # As far from the first border as from the last.
    assert abs(starts[0] - (side - found.rows[-1][1])) <= 8


def test_little_pictures_are_taken_as_they_are() -> None:
    assert sample(1000, 1000, 32, 8, HUGE) is None
    assert sample(1000, 1000, 32, 8, 500_000) is not None
    for narrow in ((8, 3000), (3000, 8), (16, 4104), (64, 15000)):
        assert sample(*narrow, 32, 8, HUGE) is None
        assert sample(*narrow, 32, 8, 20_000) is not None
