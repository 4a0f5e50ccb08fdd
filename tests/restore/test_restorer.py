"""What a restorer takes and gives, and what it does when things go wrong."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mirnet_cli.errors import InputError, ModelError, OutOfMemoryError, ResultError, UsageError
from mirnet_cli.restore import Restorer, RestoreWarning, cutting
from mirnet_cli.runtime import OutOfDeviceMemoryError, Output
from tests.restore.fakes import FakeRunner, photo_like

Make = Callable[..., Restorer]


def as_type(pixels: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "uint16":
        return pixels.astype(np.uint16) * 257
    return pixels if dtype == "uint8" else pixels.astype(np.float32) / 255


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(21, 30), (21, 30, 3), (21, 30, 4), (1, 1), (1, 3, 3)])
@pytest.mark.parametrize("scale", [1, 3])
def test_type_and_layout_come_back(
    restorer: Make, dtype: str, shape: tuple[int, ...], scale: int
) -> None:
    pixels = as_type(np.random.default_rng(0).integers(0, 256, shape, np.uint8), dtype)
    before = pixels.copy()
    result = restorer(scales=(scale,), scale=scale)(pixels)
    assert result.dtype == pixels.dtype
    assert result.shape == (shape[0] * scale, shape[1] * scale, *shape[2:])
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_that_changes_nothing_changes_nothing(
    restorer: Make, runners: list[FakeRunner], dtype: str, channels: int
) -> None:
    model = restorer(overlap=16, tile=40)
    runners[0].spoil = lambda batch, run: Output(np.zeros_like(batch), [[]])
    pixels = as_type(photo_like(77, 90), dtype)
    pixels = pixels[..., 0] if channels == 1 else pixels
    assert np.array_equal(model(pixels), pixels)


def test_depths_agree(restorer: Make) -> None:
    model = restorer(tile=0)
    pixels = photo_like(40, 40)
    deep = model(as_type(pixels, "float32"))
    assert np.array_equal(model(pixels), np.rint(deep * 255))
    assert np.array_equal(model(as_type(pixels, "uint16")), np.rint(deep * np.float32(65535)))


def test_strength_blends(restorer: Make) -> None:
    model = restorer()
    pixels = as_type(photo_like(40, 50), "float32")
    full = model(pixels)
    assert np.array_equal(model(pixels, strength=0), pixels)
    np.testing.assert_allclose(
        model(pixels, strength=0.25), pixels + 0.25 * (full - pixels), atol=1e-6
    )
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="strength"):
            model(pixels, strength=wrong)


def test_strength_blends_with_the_photo_not_with_the_base(restorer: Make) -> None:
    model = restorer(base="guided")
    pixels = as_type(photo_like(40, 50), "float32")
    full = model(pixels)
    np.testing.assert_allclose(
        model(pixels, strength=0.25), pixels + 0.25 * (full - pixels), atol=1e-6
    )


def test_no_strength_enlarges_plainly(restorer: Make) -> None:
    model = restorer(scales=(2,), scale=2)
    flat = np.full((9, 7, 3), 100, np.uint8)
    assert (model(flat, strength=0) == 100).all()


def test_hidden_colours_do_not_matter(restorer: Make) -> None:
    pixels = np.dstack([photo_like(48, 40), np.full((48, 40), 255, np.uint8)])
    pixels[10:30, 12:25, 3] = 0
    pixels[5, 5, 3] = 128
    other = pixels.copy()
    other[10:30, 12:25, :3] = 255 - other[10:30, 12:25, :3]
    visible = pixels[..., 3] > 0
    model = restorer(overlap=16, tile=40)
    first, second = model(pixels), model(other)
    assert np.array_equal(first[visible], second[visible])
    assert np.array_equal(first[~visible], pixels[~visible])
    assert np.array_equal(first[..., 3], pixels[..., 3])
    enlarge = restorer(scales=(2,), scale=2)
    assert np.array_equal(enlarge(pixels), enlarge(other))


def test_fully_transparent_pictures_pass(restorer: Make) -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    assert np.array_equal(restorer()(pixels), pixels)


def test_the_same_input_gives_the_same_bytes(restorer: Make) -> None:
    pixels = photo_like(77, 90)
    first = restorer(overlap=16, tile=40)(pixels)
    assert np.array_equal(restorer(overlap=16, tile=40)(pixels), first)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.int32),
        np.zeros((4, 4), np.float64),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(restorer: Make, pixels: np.ndarray) -> None:
    with pytest.raises(UsageError):
        restorer()(pixels)


@pytest.mark.parametrize("pixels", [[[0, 1], [2, 3]], "a.jpg", None])
def test_what_is_no_array_is_refused(restorer: Make, pixels: Any) -> None:
    with pytest.raises(UsageError, match="is not an array of pixels; give a numpy array"):
        restorer()(pixels)


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(restorer: Make, value: float, dtype: str) -> None:
    pixels = np.zeros((400, 4, 3), dtype)
    pixels[350, 2, 1] = value
    with pytest.raises(InputError, match="not finite"):
        restorer()(pixels)


@pytest.mark.parametrize("value", [255, -0.5, 1.0001])
def test_values_outside_the_range_are_refused_unless_they_may_be_clipped(
    restorer: Make, value: float
) -> None:
    pixels = as_type(photo_like(30, 30), "float32")
    pixels[3, 4, 1] = value
    with pytest.raises(UsageError, match=r"float32 pixels from .*; scale them to 0..1, or .*clip"):
        restorer()(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = restorer()(pixels, clip=True)
    assert np.array_equal(result, restorer()(np.clip(pixels, 0, 1)))


def test_a_result_that_is_not_finite_is_computed_again_in_fp32(
    restorer: Make, runners: list[FakeRunner]
) -> None:
    expected = restorer(overlap=16, tile=40, context="tile")(photo_like(77, 90))
    runners.clear()
    model = restorer(overlap=16, tile=40, context="tile", precision="fp16")
    runners[0].spoil = lambda batch, run: (
        Output(np.full_like(batch, np.inf)) if run in (2, 5) else None
    )
    with pytest.warns(
        RestoreWarning, match="2 results were not finite, black or off in colour in fp16"
    ):
        result = model(photo_like(77, 90))
    assert [runner.precision for runner in runners] == ["fp16", "fp32"]
    assert len(runners[1].shapes) == 2
    assert np.array_equal(result, expected)


def test_vectors_that_are_not_finite_are_computed_again_too(
    restorer: Make, runners: list[FakeRunner]
) -> None:
    model = restorer(overlap=16, tile=40, precision="bf16")

    def spoil(batch: Any, run: int) -> Output | None:
        vector = np.full(3, np.nan, np.float32)
        return Output(np.zeros_like(batch), [[(vector, 1.0)] * 2]) if run == 1 else None

    runners[0].spoil = spoil
    with pytest.warns(RestoreWarning, match="1 result was"):
        model(photo_like(77, 90))


def test_a_result_that_stays_infinite_is_an_error(
    restorer: Make, runners: list[FakeRunner]
) -> None:
    model = restorer()
    runners[0].spoil = lambda batch, run: Output(np.full_like(batch, np.nan))
    with pytest.raises(ResultError, match="not finite"):
        model(photo_like(20, 20))


def too_large(side: int) -> Callable[[Any, int], Output | None]:
    def spoil(batch: Any, run: int) -> Output | None:
        if max(batch.shape[2:]) > side:
            raise OutOfDeviceMemoryError("full")
        return None

    return spoil


def test_out_of_memory_halves_the_tile_and_is_remembered(
    restorer: Make, runners: list[FakeRunner]
) -> None:
    pixels = photo_like(300, 520)
    expected = restorer(tile=128, overlap=16)(pixels)
    runners.clear()
    model = restorer(tile=0, overlap=16)
    runners[0].spoil = too_large(150)
    with pytest.warns(RestoreWarning, match="out of memory") as said:
        result = model(pixels)
    # 520 -> 256 -> 128: what comes out is what tiles of 128 give.
    texts = [str(each.message) for each in said if "out of memory" in str(each.message)]
    assert [text.rsplit(maxsplit=1)[-1] for text in texts] == ["256", "128"]
    assert np.array_equal(result, expected)
    runs = len(runners[0].shapes)
    assert np.array_equal(model(pixels), expected)
    assert max(max(shape[2:]) for shape in runners[0].shapes[runs:]) <= 128


def test_out_of_memory_at_the_smallest_tile_is_an_error(
    restorer: Make, runners: list[FakeRunner]
) -> None:
    model = restorer()
    runners[0].spoil = too_large(16)
    with pytest.raises(OutOfMemoryError, match="is not enough"):
        model(photo_like(300, 300))


def test_memory_decides_whether_and_how_to_cut(restorer: Make, runners: list[FakeRunner]) -> None:
    pixels = photo_like(700, 900)
    restorer(max_memory="2G", context="tile")(pixels)
    assert runners[0].shapes == [(1, 3, 704, 904)]
    restorer(max_memory="440M", context="tile")(pixels)
    sides = [max(shape[2:]) for shape in runners[1].shapes]
    assert len(set(sides)) == 1
    assert 128 <= sides[0] < 700
    with pytest.raises(OutOfMemoryError, match="raise max_memory"):
        restorer(max_memory="100M")(pixels)


def test_a_full_device_is_not_mended_by_more_of_the_machines_memory(
    restorer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "device_ceiling", lambda device: 0)
    with pytest.raises(OutOfMemoryError, match="close other programs that use cpu, or use device="):
        restorer()(photo_like(700, 900))


def test_whole_context_that_does_not_fit_is_refined(restorer: Make) -> None:
    pixels = photo_like(700, 900)
    with pytest.warns(RestoreWarning, match="refine"):
        restorer(max_memory="440M", context="whole", tile=256)(pixels)


@pytest.mark.parametrize(
    "options",
    [
        {"tile": 8},
        {"tile": -1},
        {"tile": "big"},
        {"tile": 1.5},
        {"overlap": -1},
        {"tile": 64, "overlap": 32},
        {"context": "everything"},
        {"max_memory": "much"},
        {"max_memory": 0},
        {"scale": 3},
    ],
)
def test_wrong_options_are_refused(restorer: Make, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        restorer(**options)


def test_weights_that_contradict_themselves_are_refused(restorer: Make) -> None:
    with pytest.raises(ModelError):
        restorer(base="input", scales=(2,), scale=2)
    with pytest.raises(ModelError):
        restorer(base="input", inputs=6)


@pytest.mark.parametrize(("tile", "scale"), [(0, 1), (64, 1), (64, 2)])
def test_what_a_photo_takes_is_known_before(restorer: Make, tile: int, scale: int) -> None:
    model = restorer(scales=(scale,), scale=scale, tile=tile, overlap=16, context="tile")
    runs: list[int] = []
    model(photo_like(100, 230), progress=lambda done, total: runs.append(total))
    forecast = model.foresee(230, 100)
    assert forecast.tiles == runs[-1]
    assert forecast.tile <= tile
    assert (forecast.tile == 0) == (forecast.tiles == 1) == (tile == 0)
    assert forecast.memory < model.foresee(460, 200).memory
    assert forecast.pixels >= 100 * 230
