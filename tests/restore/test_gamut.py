"""Photos whose colours are not sRGB: shown to the network as sRGB, back in their own unclipped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet_cli.errors import UsageError
from mirnet_cli.photo import Metadata, cicp, decode, encode
from mirnet_cli.photo.space import space_of
from mirnet_cli.restore import Restorer, RestoreWarning
from mirnet_cli.runtime import Output
from tests.photo.pictures import cmyk_profile, grey_profile, photo, rgb_profile
from tests.restore.fakes import FakeRunner, photo_like

Make = Callable[..., Restorer]

P3 = cicp.from_points(12, 13) or b""
SPACES = {
    "P3": P3,
    "BT.2020": cicp.from_points(9, 14) or b"",
    "linear": cicp.from_points(1, 8) or b"",
}


def in_space(icc: bytes, srgb: Any, dtype: str = "uint16", *, grey: bool = False) -> Any:
    """An sRGB picture of 8 bits in the space of a profile."""
    space, _ = space_of(icc, grey=grey)
    assert space is not None
    white = {"uint8": 255, "uint16": 65535}[dtype]
    return np.rint(space.encoded(srgb.astype(np.float32) / 255) * white).astype(dtype)


def shown(icc: bytes, pixels: Any, *, grey: bool = False) -> Any:
    space, _ = space_of(icc, grey=grey)
    assert space is not None
    return space.shown(pixels)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(
    "options",
    [{}, {"base": "guided"}, {"scales": (2,), "scale": 2}, {"base": "enlarged", "scales": (2,)}],
    ids=["input", "guided", "bicubic", "enlarged"],
)
@pytest.mark.parametrize("tile", [0, 40])
def test_the_result_is_that_of_the_srgb_photo(
    restorer: Make, name: str, options: dict[str, Any], tile: int
) -> None:
    icc, srgb = SPACES[name], photo_like(70, 60)
    scale = {"scale": max(options["scales"])} if "scales" in options else {}
    model = restorer(overlap=16, tile=tile, **{**options, **scale})
    expected = model(srgb.astype(np.float32) / 255, strength=0.7)
    result = model(in_space(icc, srgb), strength=0.7, profile=icc)
    assert np.abs(shown(icc, result) - expected).max() < 1.5 / 255


def test_a_grey_profile_is_honoured(restorer: Make) -> None:
    icc, srgb = grey_profile(1.0), photo_like(40, 50)[..., 0]
    model = restorer()
    expected = model(srgb.astype(np.float32) / 255)
    result = model(in_space(icc, srgb, grey=True), profile=icc)
    assert result.shape == srgb.shape
    assert np.abs(shown(icc, result, grey=True) - expected).max() < 1.5 / 255


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_network_that_changes_nothing_changes_no_sample(
    restorer: Make, runners: list[FakeRunner], dtype: str
) -> None:
    model = restorer(overlap=16, tile=40)
    runners[0].spoil = lambda batch, run: Output(np.zeros_like(batch), [[]])
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (50, 60, 3), dtype)
    for icc in SPACES.values():
        assert np.array_equal(model(pixels, profile=icc), pixels)
    grey = np.ascontiguousarray(pixels[..., 0])
    assert np.array_equal(model(grey, profile=grey_profile()), grey)


def beyond(pixels: Any) -> Any:
    """How far P3 colours lie outside sRGB, in linear light."""
    space, _ = space_of(P3, grey=False)
    assert space is not None
    assert space.matrix is not None
    decoded = np.where(
        pixels / 255 <= 0.04045, pixels / 255 / 12.92, ((pixels / 255 + 0.055) / 1.055) ** 2.4
    )
    srgb = decoded @ space.matrix.T
    return np.maximum(-srgb, srgb - 1).max(axis=-1)


@pytest.mark.parametrize("scale", [1, 2])
def test_saturated_colours_stay_outside_srgb(restorer: Make, scale: int) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32], pixels[:32, 32:] = (255, 0, 0), (0, 255, 0)
    pixels[32:, :32], pixels[32:, 32:] = (120, 0, 10), (0, 200, 40)
    model = restorer(scales=(scale,), scale=scale)
    result = model(pixels, profile=P3)[::scale, ::scale]
    middle = np.zeros((64, 64), bool)
    for row in (16, 48):
        for column in (16, 48):
            middle[row - 8 : row + 8, column - 8 : column + 8] = True
    assert beyond(pixels)[middle].min() > 0.005
    kept = (beyond(result)[middle] > 0.003).mean()
    assert kept > 0.9


def test_brightening_takes_colours_beyond_srgb_along(
    restorer: Make, runners: list[FakeRunner]
) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[...] = (80, 0, 0)
    model = restorer()

    def doubled(batch: Any, run: int) -> Output:
        return Output(batch.copy(), [[]])

    runners[0].spoil = doubled
    result = model(pixels, profile=P3)
    assert result[16, 16, 0] > 140
    assert beyond(result).min() > beyond(pixels).max() > 0


def test_srgb_profiles_and_none_give_the_same_bytes(restorer: Make) -> None:
    pixels = photo_like(50, 60)
    model = restorer()
    assert np.array_equal(model(pixels, profile=rgb_profile()), model(pixels))


def test_a_profile_that_cannot_be_computed_with_is_said(restorer: Make) -> None:
    with pytest.warns(RestoreWarning, match="for sRGB:"):
        restorer()(photo_like(20, 20), profile=cmyk_profile())


def test_two_views_have_no_profile(restorer: Make) -> None:
    model = restorer()
    model.two_views = True
    with pytest.raises(UsageError, match="profile"):
        model(np.zeros((8, 8, 6), np.uint8), profile=P3)


def test_a_file_keeps_its_profile_and_its_colours(restorer: Make, tmp_path: Path) -> None:
    source = tmp_path / "p3.png"
    pixels = np.dstack([photo_like(40, 50), np.full((40, 50), 255, np.uint8)])
    pixels[5:15, 5:15] = (0, 255, 0, 0)
    metadata = Metadata(icc=P3)
    made = encode(photo(pixels[..., :3], pixels[..., 3].copy(), metadata=metadata))
    source.write_bytes(made.data)
    model = restorer()
    result = model.file(source, tmp_path / "out.png")
    again = decode(tmp_path / "out.png")
    assert result.warnings == ()
    assert again.metadata.icc == P3
    assert np.array_equal(np.dstack([again.pixels, again.alpha]), model(pixels, profile=P3))
    assert not np.array_equal(again.pixels, model(pixels)[..., :3])


def test_doing_nothing_enlarges_in_the_same_way(restorer: Make) -> None:
    """Strength 0 is where ever smaller strengths lead."""
    pixels = in_space(P3, photo_like(30, 40))
    model = restorer(scales=(2,), scale=2)
    none = model(pixels, strength=0, profile=P3).astype(int)
    little = model(pixels, strength=1e-6, profile=P3).astype(int)
    assert np.abs(none - little).max() <= 3
