"""Results that are finite but not of the picture: once more in float32, refused if they stay."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mirnet_cli.errors import ResultError
from mirnet_cli.restore import Restorer, RestoreWarning, output_checks
from mirnet_cli.runtime import Output
from tests.restore.fakes import FakeRunner, make_weights, photo_like

Make = Callable[..., Restorer]
Spoil = Callable[[Any], Any]

REDDER = np.array([0.4, 0.0, -0.2])[:, None, None]

FAULTS: dict[str, tuple[str, str, Spoil]] = {
    "black": ("denoise", "black", lambda x: -x),
    "far below black": ("denoise", "black", lambda x: np.full_like(x, -30)),
    "off in colour": ("denoise", "off in mean colour", lambda x: x * 0 + REDDER),
    "exchanged channels": ("denoise", "off in mean colour", lambda x: x[:, [2, 0, 1]] - x),
    "brighter": ("denoise", "off in mean colour", lambda x: 0.5 * x),
    "enhanced to black": ("enhance", "black", lambda x: -x),
    "enhanced to blue": ("enhance", "off in mean colour", lambda x: x[:, [2, 1, 0]] - x),
    "enhanced to darker": ("enhance", "darker", lambda x: -0.6 * x),
    "enhanced to white": ("enhance", "white", lambda x: 1.0 - x),
    "upscaled to black": ("upscale", "black", lambda x: -x),
    "upscaled off in colour": ("upscale", "off in mean colour", lambda x: x * 0 + REDDER),
}


def spoiled(spoil: Spoil, runner: FakeRunner, *, only: int | None = None) -> None:
    """Let a runner give a faulty residual, in one run or in all; else none at all."""

    def run(batch: Any, number: int) -> Output:
        faulty = only is None or number == only
        found = spoil(batch[:, :3]) if faulty else np.zeros_like(batch[:, :3])
        s = runner.scale
        return Output(found.astype(np.float32).repeat(s, 2).repeat(s, 3), [[]])

    runner.spoil = run


def warm(height: int, width: int) -> Any:
    """A picture of reddish colours."""
    bright = 150 + 0.4 * photo_like(height, width)
    return (bright * np.array([0.95, 0.6, 0.25])).astype(np.uint8)


def made(task: str, *, known: bool = False, **options: Any) -> Restorer:
    scale = 2 if task == "upscale" else 1
    weights = replace(make_weights(scales=(scale,)), task=task, known=known)
    return Restorer(weights, scale=scale, overlap=16, context="tile", **options)


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_tile_is_computed_again(runners: list[FakeRunner], name: str) -> None:
    task, _, spoil = FAULTS[name]
    pixels = warm(77, 90)
    model = made(task, tile=40, precision="fp16", known=True)
    plain = model(pixels, strength=0)
    spoiled(spoil, runners[0], only=3)
    exact = FakeRunner(8, model.scale)
    spoiled(spoil, exact, only=0)
    model._cutter._network._safe["network"] = exact
    with pytest.warns(RestoreWarning, match="1 result was not finite, black or off in colour"):
        result = model(pixels)
    assert len(exact.shapes) == 1
    assert np.array_equal(result, plain)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("tile", [0, 40])
def test_what_stays_faulty_is_refused(runners: list[FakeRunner], name: str, tile: int) -> None:
    task, what, spoil = FAULTS[name]
    model = made(task, tile=tile, known=True)
    spoiled(spoil, runners[0], only=None if tile == 0 else 5)
    exact = FakeRunner(8, model.scale)
    spoiled(spoil, exact)
    # Uncut the runner is float32 already, and the same one is asked twice.
    model._cutter._network._safe["network"] = exact
    if tile:
        runners[0].precision = "fp16"
    with pytest.raises(ResultError, match=what):
        model(warm(77, 90))


def test_a_faulty_second_network_is_refused(restorer: Make, runners: list[FakeRunner]) -> None:
    model = restorer(base="guided", known=True)
    spoiled(FAULTS["black"][2], runners[1])
    with pytest.raises(ResultError, match="black"):
        model(warm(77, 90))


def test_other_weights_may_change_colours_and_it_is_said(runners: list[FakeRunner]) -> None:
    model = made("denoise", tile=40)
    spoiled(FAULTS["off in colour"][2], runners[0])
    with pytest.warns(RestoreWarning, match="mean colour far more than usual"):
        result = model(warm(77, 90))
    assert result[..., 0].mean() > 180
    # The second look at the first tile settled it for all.
    assert len(runners[0].shapes) == model.foresee(90, 77).tiles + 1


def test_other_weights_may_not_give_black(restorer: Make, runners: list[FakeRunner]) -> None:
    model = restorer()
    spoiled(FAULTS["black"][2], runners[0])
    with pytest.raises(ResultError, match="black"):
        model(warm(40, 40))


@pytest.mark.parametrize("value", [0, 1, 255])
def test_pictures_of_one_colour_pass(restorer: Make, runners: list[FakeRunner], value: int) -> None:
    model = restorer(known=True)
    spoiled(lambda x: x * 0, runners[0])
    pixels = np.full((20, 20, 3), value, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(model(pixels), pixels)


def test_taking_haze_away_is_no_fault() -> None:
    for level in np.linspace(0, 1, 21):
        before = np.array([level] * 3)
        after = np.clip((before - 1 / 6) / (1 - 1 / 6), 0, 1)
        assert output_checks.fault("enhance", before, after, haze=True) is None
    assert (
        output_checks.fault("enhance", np.array([0.4] * 3), np.array([0.05] * 3), haze=True)
        is not None
    )


def test_a_dark_tile_that_comes_out_black_is_computed_again(runners: list[FakeRunner]) -> None:
    pixels = warm(77, 90) // 5
    model = made("enhance", tile=40, precision="fp16", known=True)
    plain = model(pixels, strength=0)
    spoiled(lambda x: -x, runners[0], only=3)
    exact = FakeRunner(8, 1)
    spoiled(lambda x: x * 0, exact)
    model._cutter._network._safe["network"] = exact
    with pytest.warns(RestoreWarning, match="1 result was not finite, black or off in colour"):
        assert np.array_equal(model(pixels), plain)


def test_haze_that_float32_takes_away_too_is_on_purpose(runners: list[FakeRunner]) -> None:
    model = made("enhance", tile=40, precision="fp16", known=True)
    exact = FakeRunner(8, 1)
    for runner in (runners[0], exact):
        spoiled(lambda x: -0.6 * x, runner)
    model._cutter._network._safe["network"] = exact
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = model(warm(77, 90) // 2)
    assert result.mean() == pytest.approx(0.4 * (warm(77, 90) // 2).mean(), abs=1)
    # The first tile settled it for all.
    assert len(exact.shapes) == 1 < len(runners[0].shapes)


def test_brightening_is_no_fault() -> None:
    """What enhancing made of real dark photos, the most extreme of 464 tiles."""
    for before, after in (
        ((0.071, 0.063, 0.042), (0.663, 0.553, 0.454)),
        ((0.267, 0.159, 0.096), (0.685, 0.399, 0.197)),
        ((0.085, 0.267, 0.501), (0.167, 0.633, 0.831)),
        ((0.851, 0.574, 0.196), (0.830, 0.576, 0.196)),
    ):
        assert output_checks.fault("enhance", np.array(before), np.array(after)) is None
        assert (
            output_checks.fault("enhance", np.array(after), np.array(before)[[2, 1, 0]]) is not None
        )
