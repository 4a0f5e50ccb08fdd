"""Tiles equal the whole picture."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirnet_cli.restore import Restorer, RestoreWarning, patches
from mirnet_cli.restore.context import Refinement
from mirnet_cli.restore.symmetry import ALL, Symmetry
from mirnet_cli.restore.tiles import plan
from tests.restore.fakes import FakeRunner, photo_like

# The fixture only replaces a function: it need not be renewed for each example.
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# The fake network reaches stride + 1 pixels; three quarters of the overlap stay beyond blends.
OVERLAPS = {4: 8, 8: 16}


def floats(height: int, width: int, seed: int = 0) -> np.ndarray:
    return photo_like(height, width, seed).astype(np.float32) / 255


def exact(restorer: Restorer) -> Restorer:
    restorer.refinement = Refinement(rounds=6, deviation=0, peak=0)
    return restorer


@few
@given(
    st.sampled_from([4, 8]),
    st.sampled_from(["refine", "whole"]),
    st.integers(40, 70),
    st.integers(1, 150) | st.sampled_from([1, 2, 3, 7, 41, 71, 101, 149]),
    st.integers(1, 150) | st.sampled_from([1, 2, 3, 7, 41, 71, 101, 149]),
)
def test_tiles_equal_the_whole(
    restorer: Callable[..., Restorer], stride: int, context: str, tile: int, height: int, width: int
) -> None:
    options = {"stride": stride, "overlap": OVERLAPS[stride]}
    pixels = floats(height, width, height + width)
    whole = restorer(**options, tile=0)(pixels)
    cut = exact(restorer(**options, tile=tile, context=context))(pixels)
    np.testing.assert_allclose(cut, whole, atol=2e-6)


@pytest.mark.parametrize("context", ["refine", "whole"])
@pytest.mark.parametrize("over", [0, 1, 8])
def test_pictures_about_the_size_of_a_tile(
    restorer: Callable[..., Restorer], context: str, over: int
) -> None:
    pixels = floats(64 + over, 64 + over)
    whole = restorer(overlap=16, tile=0)(pixels)
    cut = exact(restorer(overlap=16, tile=64, context=context))(pixels)
    np.testing.assert_allclose(cut, whole, atol=2e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlarged_tiles_equal_the_whole(restorer: Callable[..., Restorer], scale: int) -> None:
    options = {"scales": (scale,), "scale": scale, "overlap": 16}
    pixels = floats(83, 71)
    whole = restorer(**options, tile=0)(pixels)
    cut = exact(restorer(**options, tile=48))(pixels)
    assert cut.shape == (83 * scale, 71 * scale, 3)
    np.testing.assert_allclose(cut, whole, atol=3e-6)


@pytest.mark.parametrize("inputs", [3, 6])
def test_a_guided_base_does_not_depend_on_tiles(
    restorer: Callable[..., Restorer], inputs: int
) -> None:
    options = {"base": "guided", "inputs": inputs, "overlap": 16}
    pixels = floats(83, 71)
    whole = restorer(**options, tile=0)(pixels)
    cut = exact(restorer(**options, tile=48))(pixels)
    np.testing.assert_allclose(cut, whole, atol=3e-6)
    assert np.abs(whole - pixels).max() > 0.02


def test_ensembles_agree_too(restorer: Callable[..., Restorer]) -> None:
    pixels = floats(61, 83)
    whole = restorer(overlap=16, tile=0)(pixels, ensemble=True)
    cut = exact(restorer(overlap=16, tile=48))(pixels, ensemble=True)
    np.testing.assert_allclose(cut, whole, atol=2e-6)


@pytest.mark.parametrize("symmetry", ALL)
def test_an_ensemble_turns_with_the_picture(
    restorer: Callable[..., Restorer], symmetry: Symmetry
) -> None:
    # The fake network itself does not: its filter is lopsided.
    pixels = floats(64, 48)
    model = restorer(tile=0)
    expected = model(pixels, ensemble=True)
    turned = model(np.ascontiguousarray(symmetry.apply(pixels)), ensemble=True)
    np.testing.assert_allclose(symmetry.undo(turned), expected, atol=1e-6)


def test_tiles_on_their_own_differ(restorer: Callable[..., Restorer]) -> None:
    pixels = floats(150, 150)
    pixels[:, :75] *= 0.2
    whole = restorer(overlap=16, tile=0)(pixels)
    cut = restorer(overlap=16, tile=48, context="tile")(pixels)
    assert np.abs(cut - whole).max() > 0.005


def test_what_is_measured_first_is_nearer_than_tiles_on_their_own(
    restorer: Callable[..., Restorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "PATCH", 24)
    pixels = floats(150, 150)
    pixels[:, :75] *= 0.2
    whole = restorer(overlap=16, tile=0)(pixels)
    errors = [
        np.abs(restorer(overlap=16, tile=48, context=context)(pixels) - whole).mean()
        for context in ("refine", "sample", "tile")
    ]
    assert errors[0] < errors[1] < errors[2]


def test_every_run_of_a_cut_picture_has_one_shape(
    restorer: Callable[..., Restorer], runners: list[FakeRunner]
) -> None:
    restorer(overlap=16, tile=48, context="tile")(floats(150, 131))
    assert len(set(runners[0].shapes)) == 1


def test_refinement_ends_when_the_result_is_found(
    restorer: Callable[..., Restorer], runners: list[FakeRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the picture were much larger than what may be sampled.
    monkeypatch.setattr(patches, "PATCH", 16)
    monkeypatch.setattr(patches, "MOST", 3)
    pixels = floats(150, 131)
    pixels[:, :65] *= 0.2
    whole = restorer(overlap=16, tile=0)(pixels)
    runners.clear()
    model = restorer(overlap=16, tile=48)
    seen: list[tuple[int, int]] = []
    cut = model(pixels, progress=lambda done, total: seen.append((done, total)))
    tiles = len(plan(150, 131, 48, 16, 8))
    probes = len(model.refinement.probed(tiles))
    # One run for the sample, then passes, each with a few probes.
    passes, probed = divmod(len(runners[0].shapes) - 1, tiles)
    assert 2 <= passes <= 3
    assert probed <= passes * probes
    assert runners[0].measured == 1 + passes * tiles + probed
    # The pass before would not have done; this one does.
    assert np.sqrt(np.mean((cut - whole) ** 2)) < 2 * model.refinement.deviation
    model.refinement = Refinement(rounds=passes - 1)
    with pytest.warns(RestoreWarning, match="still changing"):
        model(pixels)
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(("tiles", "count"), [(2, 1), (15, 1), (16, 2), (500, 8)])
def test_probes_are_few_and_spread(tiles: int, count: int) -> None:
    probed = Refinement().probed(tiles)
    assert len(set(probed)) == len(probed) == count
    assert 0 <= min(probed) <= max(probed) < tiles
