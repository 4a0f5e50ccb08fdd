"""What is decided for a photo."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mirnet_cli
from mirnet_cli.batches.journal import digest
from mirnet_cli.errors import UsageError
from mirnet_cli.photo import decode
from mirnet_cli.restore import PhotoOptions, StepOptions
from mirnet_cli.restore.auto import Auto
from mirnet_cli.restore.estimates import Estimates


@pytest.fixture(scope="module")
def auto() -> Auto:
    made = mirnet_cli.load("auto", device="cpu")
    assert isinstance(made, Auto)
    return made


def decided(
    auto: Auto,
    removed: float,
    light: float,
    blur: float = 0.3,
    shade: float = 0.0,
    speed: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    found = Estimates(removed, removed, light, blur, shade=shade, speed=speed)
    chosen = auto.decide(found, 600, 400, StepOptions(**options))
    return {step.task: asked for step, asked in chosen}


def test_good_photos_are_left_alone(auto: Auto) -> None:
    assert decided(auto, 0.0, 0.0) == {}
    assert decided(auto, 0.5, 0.1) == {}


def test_noise_and_light_decide(auto: Auto) -> None:
    assert decided(auto, 5, 0) == {"denoise": {"strength": 1.0}}
    assert decided(auto, 0, 2) == {"enhance": {"ev": 2.0, "strength": 1.0}}
    assert [*decided(auto, 5, 2)] == ["denoise", "enhance"]
    # Light shows noise that could not be seen.
    assert "denoise" not in decided(auto, 0.5, 0)
    assert decided(auto, 0.5, 4)["denoise"]["strength"] > 0.5


def test_strengths_follow_without_cliffs(auto: Auto) -> None:
    steps = np.linspace(0, 6, 1201)
    for light in (0.0, 0.5, 3.0):
        strengths = [
            decided(auto, noise, light).get("denoise", {}).get("strength", 0) for noise in steps
        ]
        assert np.all(np.diff(strengths) >= 0)
        assert np.diff(strengths).max() < 0.035
    for shade in (0, 0.15, 0.2, 1):
        asked = [decided(auto, 0, light, shade=shade).get("enhance", {}) for light in steps[:1001]]
        stops = [each.get("ev", 0) * each.get("strength", 0) for each in asked]
        assert np.all(np.diff(stops) >= 0)
        assert np.diff(stops).max() < 0.05
        # Colour and contrast come with any light: they fade as a whole.
        assert np.diff([each.get("strength", 0) for each in asked]).max() < 0.08


def test_a_little_light_is_for_dull_photos(auto: Auto) -> None:
    """One that is dark and asks for a little may be so on purpose; much is believed."""
    assert decided(auto, 0, 0.3) == {"enhance": {"ev": 0.3, "strength": 1.0}}
    assert decided(auto, 0, 0.3, shade=0.4) == {}
    assert decided(auto, 0, 1.2, shade=0.9) == {"enhance": {"ev": 1.2, "strength": 1.0}}
    strengths = [
        decided(auto, 0, 0.35, shade=shade).get("enhance", {}).get("strength", 0)
        for shade in np.linspace(0, 0.5, 101)
    ]
    assert np.all(np.diff(strengths) <= 0)
    assert np.diff(strengths).min() > -0.1


def test_iso_says_how_likely_noise_is(auto: Auto) -> None:
    strengths = [
        decided(auto, 0.8, 0, speed=speed).get("denoise", {}).get("strength", 0)
        for speed in (100, 200, 400, 800, 3200, 1000000)
    ]
    assert strengths == sorted(strengths)
    assert (strengths[0], strengths[2]) == (0, decided(auto, 0.8, 0)["denoise"]["strength"])
    assert strengths[-1] == 1
    assert decided(auto, 0.3, 0, speed=1000000) == {}


def test_iso_is_read_from_exif(auto: Auto, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x8827] = 3200
    photo(tmp_path / "plain.png", 128, 1.1)
    Image.open(tmp_path / "plain.png").save(tmp_path / "shot.png", exif=exif)
    plain, shot = (
        auto.file(tmp_path / f"{name}.png", tmp_path / f"{name}-out.png", ev=0)
        for name in ("plain", "shot")
    )
    assert plain.estimates is not None
    assert shot.estimates is not None
    assert "iso" not in plain.estimates
    assert shot.estimates["iso"] == 3200


def test_more_or_less_than_auto_is_of_what_auto_gives(auto: Auto) -> None:
    assert decided(auto, 0, 0, ev="auto+0.7") == {"enhance": {"ev": 0.7}}
    # Which is nothing, of what may be dark on purpose.
    assert decided(auto, 0, 0.3, shade=0.5, ev="auto+0.7") == {"enhance": {"ev": 0.7}}
    assert decided(auto, 0, 1.5, ev="auto-0.5") == {"enhance": {"ev": 1.0}}
    assert decided(auto, 0, 0.5, ev="auto-0.5") == {}
    # Noise shows as much as the light that is given.
    assert "denoise" in decided(auto, 0.5, 0, ev="auto+3")
    # What is asked for beside light is done as a whole.
    assert decided(auto, 0, 0.15, shadows=0.5)["enhance"].keys() == {"ev"}


def test_what_is_done_is_said(auto: Auto, tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 128, 0)
    for options, said in (
        ({"ev": 0}, ": nothing"),
        ({"ev": 0, "shadows": 0.5}, ": enhance +0.0 shadows +0.5"),
        ({"ev": 0.7, "highlights": -1}, ": enhance +0.7 highlights -1.0"),
    ):
        result = auto.file(tmp_path / "a.png", tmp_path / "b.png", overwrite=True, **options)
        assert result.decision is not None
        assert result.decision.endswith(said)


def test_light_of_a_series_is_that_of_auto(auto: Auto, tmp_path: Path) -> None:
    """A night scene that auto leaves alone gets none through --same-light."""
    for level in (40, 128):
        photo(tmp_path / "a.png", level, 0)
        taken = decode(tmp_path / "a.png")
        found = auto.look(taken)
        expected = decided(auto, 0, found.light, shade=found.shade).get("enhance", {})
        given = expected.get("ev", 0) * expected.get("strength", 1)
        assert auto.asked(taken) == pytest.approx(given, abs=0.02)


def test_it_can_be_printed(auto: Auto) -> None:
    assert repr(auto).startswith("<Restorer auto with denoise+enhance, ")
    assert "denoise+enhance" in auto._repr_html_()


def test_options_overrule(auto: Auto) -> None:
    assert decided(auto, 5, 3, ev=0) == {"denoise": {"strength": 1.0}}
    assert decided(auto, 0, 0, ev="1.5") == {"enhance": {"ev": 1.5}}
    assert decided(auto, 0, 0, ev=1.5) == {"enhance": {"ev": 1.5}}
    assert decided(auto, 5, 0, strength=0.5) == {"denoise": {"strength": 0.5}}
    assert decided(auto, 5, 3, strength=0) == {}


def test_blur_without_noise_is_sharpened(auto: Auto) -> None:
    assert decided(auto, 0.2, 0, 0.35) == {}
    assert decided(auto, 0.2, 0, 0.55) == {"upscale": {"strength": 1.0}}
    assert 0.3 < decided(auto, 0.2, 0, 0.47)["upscale"]["strength"] < 0.7
    # What denoise leaves of noise would be sharpened, too.
    assert [*decided(auto, 3, 0, 0.55)] == ["denoise"]
    wild = Estimates(0.2, 0.2, 0, 0.55, sharpened=30)
    assert auto.decide(wild, 600, 400, StepOptions()) == []
    larger = mirnet_cli.load("auto", auto={"megapixels": 0.9}, device="cpu")
    assert isinstance(larger, Auto)
    (chosen,) = larger.decide(Estimates(0.2, 0.2, 0, 0.55), 600, 400, StepOptions())
    assert (chosen[0].scale, chosen[1]) == (2, {})


def test_a_pattern_that_sharpening_would_spoil_stays(auto: Auto, tmp_path: Path) -> None:
    y, x = np.mgrid[:96, :128] / 96
    scene = 130 + 60 * np.sin(40 * x)[..., None] * np.cos(30 * y)[..., None] * np.ones(3)
    Image.fromarray(np.rint(scene).astype(np.uint8)).save(tmp_path / "a.png")
    result = auto.file(tmp_path / "a.png", tmp_path / "b.png", ev=0)
    assert (result.status, result.steps) == ("done", ())


@pytest.mark.parametrize("ev", ["auto", 0.0, 1.0])
@pytest.mark.parametrize("noise", [0, 12])
def test_arrays_become_what_files_do(auto: Auto, tmp_path: Path, noise: int, ev: Any) -> None:
    photo(tmp_path / "a.png", 128, noise)
    auto.file(tmp_path / "a.png", tmp_path / "b.png", ev=ev)
    pixels = decode(tmp_path / "a.png").pixels
    assert np.array_equal(auto(pixels, ev=ev), decode(tmp_path / "b.png").pixels)


def photo(path: Path, level: int, noise: float) -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:200, :260] / 200
    scene = level + 30 * np.sin(5 * x)[..., None] * np.cos(4 * y)[..., None]
    pixels = scene + random.normal(0, noise, (200, 260, 3))
    Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)).save(path, quality=95)


def test_a_photo_that_needs_nothing_is_written_as_it_is(auto: Auto, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 128, 0)
    result = auto.file(tmp_path / "a.jpg", tmp_path / "b.jpg", ev=0)
    assert (tmp_path / "b.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()
    assert (result.status, result.steps, result.model) == ("done", (), None)
    assert result.decision is not None
    assert result.decision.endswith(": nothing")
    auto.file(tmp_path / "a.jpg", tmp_path / "c.jpg", ev=0, crop=(0, 0, 64, 64))
    assert decode(tmp_path / "c.jpg").pixels.shape == (64, 64, 3)
    auto.file(tmp_path / "a.jpg", tmp_path / "d.png", ev=0)
    assert Image.open(tmp_path / "d.png").format == "PNG"


def test_good_photos_are_skipped_where_asked(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", 128, 0)
    careful = mirnet_cli.load("auto", auto={"skip_good": True}, device="cpu")
    result = careful.file(tmp_path / "a.jpg", tmp_path / "b.jpg", ev=0)
    assert (result.status, result.output) == ("skipped", None)
    assert not (tmp_path / "b.jpg").exists()


def test_a_noisy_photo_is_denoised_and_that_is_said(auto: Auto, tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 128, 12)
    result = auto.file(tmp_path / "a.png", tmp_path / "b.png", ev=0)
    told = json.loads(json.dumps(result.as_dict()))
    assert [step["task"] for step in told["steps"]] == ["denoise"]
    assert told["estimates"]["noise"] == pytest.approx(12, rel=0.2)
    assert told["decision"].endswith(": denoise")
    alone = mirnet_cli.load("denoise", device="cpu").file(tmp_path / "a.png", tmp_path / "c.png")
    assert alone.status == "done"
    assert np.array_equal(decode(tmp_path / "b.png").pixels, decode(tmp_path / "c.png").pixels)
    assert b"step1.task=denoise" in (decode(tmp_path / "b.png").metadata.xmp or b"")


def test_a_size_that_is_asked_for_is_reached(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 128, 0)
    for asked, size in (({"to": "300x900"}, (300, 231)), ({"megapixels": 0.01}, (260, 200))):
        made = mirnet_cli.load("auto", auto=asked, device="cpu")
        target = tmp_path / f"{size[0]}.png"
        result = made.file(tmp_path / "a.png", target, ev=0, strength=0)
        assert (result.output_width, result.output_height) == size
        pixels = decode(tmp_path / "a.png").pixels
        again = made(pixels, ev=0, strength=0)
        assert np.array_equal(again, decode(target).pixels)
        assert not np.shares_memory(again, pixels)


def test_wrong_options_are_refused() -> None:
    for options, said in (
        ({"model": "denoise"}, "combined with auto"),
        ({"then": "enhance"}, "combined with auto"),
        ({"auto": {"to": "300x200", "megapixels": 2}}, "cannot be combined"),
        ({"auto": {"to": "300"}}, "is not WIDTHxHEIGHT"),
    ):
        with pytest.raises(UsageError, match=said):
            mirnet_cli.load("auto", **options)
    with pytest.raises(UsageError, match="only for auto"):
        mirnet_cli.load("denoise", auto={"skip_good": True})


def test_the_journal_tells_rules_and_sizes_apart(auto: Auto) -> None:
    large = mirnet_cli.load("auto", auto={"megapixels": 2}, device="cpu")
    denoise = SimpleNamespace(fingerprint=auto.steps[0].fingerprint)
    digests = {digest(each, PhotoOptions()) for each in (auto, large, denoise)}  # type: ignore[arg-type]
    assert len(digests) == 3
