"""Several networks on one photo."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mirnet_cli
from mirnet_cli.batches.journal import digest
from mirnet_cli.errors import UsageError
from mirnet_cli.photo import cicp, decode
from mirnet_cli.restore import PhotoOptions, Restorer, StepOptions, photos
from mirnet_cli.restore.chain import chain
from mirnet_cli.restore.work import Work
from tests.models.builders import tiny_network
from tests.restore.fakes import FakeRunner, photo_like

Make = Callable[..., Restorer]


def as_floats(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_in_floats_a_chain_is_its_steps_one_after_the_other(restorer: Make, channels: int) -> None:
    first, second, third = restorer(), restorer(base="guided"), restorer(scales=(2,))
    pixels = as_floats(photo_like(40, 56, channels=channels))
    pixels = pixels[..., 0] if channels == 1 else pixels
    alone = third(second(first(pixels), strength=0.6))
    made = chain(first, (second, {"strength": 0.6}), third)(pixels)
    assert made.dtype == np.float32
    assert np.array_equal(made, alone)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_rounded_once(restorer: Make, dtype: Any) -> None:
    steps = [restorer(), restorer(), restorer()]
    pixels = photo_like(40, 56).astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    exact = chain(*steps)(as_floats(pixels)) * np.iinfo(dtype).max
    made = chain(*steps)(pixels)
    assert made.dtype == dtype
    # Half a level of 8 bits, and what 16 bits between the steps add.
    assert np.abs(made - exact).max() <= (0.52 if dtype == np.uint8 else 3)


def test_doing_nothing_changes_nothing(restorer: Make) -> None:
    for channels in (3, 4):
        pixels = photo_like(40, 56, channels=channels)
        assert np.array_equal(chain(restorer(), restorer())(pixels, strength=0), pixels)


def test_a_chain_of_one_works_as_one(restorer: Make) -> None:
    x = np.random.default_rng(2).integers(0, 256, (50, 40, 4), np.uint8)
    assert np.array_equal(chain(restorer())(x), restorer()(x))


def test_no_more_is_held_than_each_step_needs(restorer: Make, tmp_path: Path) -> None:
    """From 8 bits to 16 and back without a copy of the whole picture in the other depth."""
    made: list[tuple[str, str]] = []

    class Noting(Restorer):
        def improve(self, work: Work, options: StepOptions, progress: Any = None) -> None:
            before = work.photo.pixels.dtype.name
            super().improve(work, options, progress)
            made.append((before, work.photo.pixels.dtype.name))

    steps = [restorer() for _ in range(3)]
    for step in steps:
        step.__class__ = Noting
    Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(tmp_path / "a.png")
    chain(*steps).file(tmp_path / "a.png", tmp_path / "b.png")
    assert made == [("uint8", "uint16"), ("uint16", "uint16"), ("uint16", "uint8")]


def test_hidden_colours_and_alpha_stay_what_they_were(restorer: Make, tmp_path: Path) -> None:
    pixels = photo_like(40, 56, channels=4)
    pixels[:20, :20, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    chain(restorer(), restorer()).file(tmp_path / "a.png", tmp_path / "b.png")
    made = np.asarray(Image.open(tmp_path / "b.png"))
    assert np.array_equal(made[..., 3], pixels[..., 3])
    assert np.array_equal(made[:20, :20], pixels[:20, :20])
    assert not np.array_equal(made[..., :3], pixels[..., :3])


def test_a_file_is_decoded_and_encoded_once(
    restorer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("decode", "encode"):
        real = getattr(photos, name)
        monkeypatch.setattr(
            photos, name, lambda *a, _n=name, _r=real, **k: (calls.append(_n), _r(*a, **k))[1]
        )
    Image.fromarray(photo_like(40, 56)).save(tmp_path / "a.png")
    made = chain(restorer(), restorer(scales=(2,)), restorer())
    result = made.file(tmp_path / "a.png", tmp_path / "b.png")
    assert calls == ["decode", "encode"]
    assert (result.output_width, result.output_height, result.scale) == (112, 80, 2)
    assert np.array_equal(decode(tmp_path / "b.png").pixels, made(photo_like(40, 56)))


def test_result_and_xmp_name_every_step(restorer: Make, tmp_path: Path) -> None:
    Image.fromarray(photo_like(40, 56)).save(tmp_path / "a.jpg")
    made = chain(restorer(), (restorer(), {"strength": 0.5}), restorer(scales=(2,)))
    result = json.loads(json.dumps(made.file(tmp_path / "a.jpg", tmp_path / "b.jpg").as_dict()))
    assert (result["task"], result["model"]) == ("enhance+enhance+upscale", "fake+fake+fake")
    assert [step["scale"] for step in result["steps"]] == [1, 1, 2]
    assert [step["options"] for step in result["steps"]] == [{}, {"strength": 0.5}, {}]
    assert 0 < sum(step["seconds"] for step in result["steps"]) <= result["seconds"]
    packet = decode(tmp_path / "b.jpg").metadata.xmp or b""
    assert packet.count(b"softwareAgent>mirnet") == 1
    for part in ("step1.model=fake", "step2.strength=0.5", f"step3.sha256={'0' * 64}"):
        assert part.encode() in packet


def test_colours_outside_srgb_pass_as_through_one_step(restorer: Make) -> None:
    pixels = as_floats(photo_like(40, 56))
    pixels[..., 0] *= 0.3
    profile = cicp.from_points(12, 13)
    first, second = restorer(), restorer()
    alone = second(first(pixels, profile=profile), profile=profile)
    assert np.array_equal(chain(first, second)(pixels, profile=profile), alone)
    assert not np.array_equal(chain(first, second)(pixels), alone)


def test_options_hold_for_steps_without_their_own(restorer: Make) -> None:
    steps = chain(restorer(), (restorer(), {"strength": 0.25}))
    asked = [each.options for each in steps.planned(PhotoOptions(strength=0.5, ensemble=True))]
    assert asked == [{"strength": 0.5, "ensemble": True}, {"strength": 0.25, "ensemble": True}]
    assert [str(each) for each in steps.planned(PhotoOptions())] == [
        "enhance",
        "enhance strength 0.25",
    ]
    # Of a chain within a chain, what is said of the step itself counts.
    outer = chain((steps, {"strength": 0.75}))
    assert [each.options["strength"] for each in outer.planned(PhotoOptions())] == [0.75, 0.25]


def test_the_journal_tells_chains_apart(restorer: Make) -> None:
    one, other, large = restorer(), restorer(tile=40, overlap=8), restorer(scales=(2,))
    options = PhotoOptions()
    chains = [
        one,
        chain(one, one),
        chain(one, large),
        chain(large, one),
        chain(one, other),
        chain(one, (one, {"strength": 0.5})),
        chain(one, one, one),
    ]
    assert len({digest(each, options) for each in chains}) == len(chains)
    assert digest(chain(one, large), options) == digest(chain(one, large), options)


def test_memory_is_that_of_the_largest_step(restorer: Make) -> None:
    small, large = restorer(), restorer(scales=(2,))
    alone = [each.foresee(300, 200) for each in (small, large)]
    both = chain(small, large).foresee(300, 200)
    # The last one is given 16 bits, and makes the 8 that are written.
    first, last = (each.memory + 3 * 300 * 200 for each in alone)
    assert both.memory == max(first, last)
    assert both.pixels == sum(each.pixels for each in alone)
    # What comes after is larger.
    turned = chain(large, small).foresee(300, 200)
    assert turned.pixels == large.foresee(300, 200).pixels + small.foresee(600, 400).pixels


def test_networks_give_their_memory_back_where_all_do_not_fit(
    restorer: Make, runners: list[FakeRunner]
) -> None:
    pixels = photo_like(40, 56)
    chain(restorer(), restorer())(pixels)
    assert [each.released for each in runners] == [0, 0]
    few = restorer(max_memory=600 << 20), restorer(max_memory=600 << 20)
    made = chain(*few)
    assert np.array_equal(made(pixels), chain(restorer(), restorer())(pixels))
    assert [each.released for each in runners[2:4]] == [1, 1]


def test_progress_goes_on_through_the_steps(restorer: Make) -> None:
    told: list[tuple[int, int]] = []
    steps = chain(restorer(), restorer())
    steps(photo_like(40, 56), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_what_cannot_follow_is_refused(restorer: Make) -> None:
    one, large, views = restorer(), restorer(scales=(2,)), restorer()
    views.two_views = True
    for steps, said in (
        ((), "no steps"),
        ((large, one, large), "two steps enlarge"),
        (("enhance",), "str is not a Restorer"),
        (((one, {"strength": 3}),), "not a number from 0 to 1"),
        ((one, views), "two views"),
    ):
        with pytest.raises(UsageError, match=said):
            chain(*steps)  # type: ignore[arg-type]


def test_load_makes_a_chain(shipped: Callable[..., Any]) -> None:
    shipped("denoise", default_for=("denoise",), network=tiny_network(3))
    one = mirnet_cli.load("denoise")
    made = mirnet_cli.load("denoise", then=["denoise:0.5", "denoise:model=denoise"])
    assert [each.sha256 for each in made.steps] == [one.sha256] * 3
    assert made.planned(PhotoOptions())[1].options == {"strength": 0.5}
    with pytest.raises(UsageError, match=r"^then dehaze: unknown task"):
        mirnet_cli.load("denoise", then="dehaze")
