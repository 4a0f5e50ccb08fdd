"""Property tests: lossless formats give back exactly what they were given."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from mirnet_cli.photo import decode, encode, raster
from tests.photo.pictures import photo

SIDES = st.integers(1, 40)


@st.composite
def pictures(draw: Any, dtypes: tuple[Any, ...]) -> tuple[Any, Any]:
    """Pixels and alpha, grey or RGB, of any of the dtypes."""
    height, width = draw(SIDES), draw(SIDES)
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.sampled_from([(height, width), (height, width, 3)]))
    values = st.floats(0, 1, width=32) if dtype.kind == "f" else nps.from_dtype(dtype)
    pixels = draw(nps.arrays(dtype, shape, elements=values))
    with_alpha = draw(st.booleans())
    alpha = draw(nps.arrays(dtype, (height, width), elements=values)) if with_alpha else None
    return pixels, alpha


def check(source: tuple[Any, Any], format: str) -> None:
    pixels, alpha = source
    encoded = encode(photo(pixels, alpha), format=format)
    found = decode(encoded.data)
    assert encoded.warnings == found.warnings == ()
    assert found.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(found.pixels, pixels)
    if alpha is None:
        assert found.alpha is None
    else:
        np.testing.assert_array_equal(found.alpha, alpha)


@settings(max_examples=60, deadline=None)
@given(pictures((np.uint8, np.uint16)))
def test_png(source: tuple[Any, Any]) -> None:
    check(source, "PNG")


@settings(max_examples=60, deadline=None)
@given(pictures((np.uint8, np.uint16, np.float32)))
def test_tiff(source: tuple[Any, Any]) -> None:
    check(source, "TIFF")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 8), st.sampled_from([1, 3]))
def test_the_stored_view_undoes_the_orientation(
    height: int, width: int, orientation: int, channels: int
) -> None:
    array, stored = raster.upright(height, width, channels, np.uint16, orientation)
    assert stored.shape[:2] == (height, width)
    stored[...] = np.arange(stored.size).reshape(stored.shape)
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(raster.as_stored(array, orientation), stored)


@pytest.mark.parametrize("band", [1, 7, 100])
def test_bands_change_nothing(monkeypatch: pytest.MonkeyPatch, band: int) -> None:
    monkeypatch.setattr(raster, "BAND", band)
    random = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16):
        pixels = random.integers(0, np.iinfo(dtype).max, (13, 9, 3), dtype, endpoint=True)
        check((pixels, pixels[..., 0].copy()), "PNG")
        check((pixels, None), "TIFF")
