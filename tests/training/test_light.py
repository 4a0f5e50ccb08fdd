"""``mirnet train enhance``: views of panoramas, curves that are learned, and going on exactly."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import mirnet_cli as mirnet
from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.networks.configs import CompactConfig, LightConfig, with_tuples
from mirnet_cli.networks.light import LightNet
from mirnet_cli.restore import light as product
from mirnet_cli.restore.picture import Picture
from mirnet_cli.training import amount, job, light, loop, panoramas, plan
from mirnet_cli.training.degrade import views
from mirnet_cli.training.options import TrainOptions
from mirnet_cli.training.panoramas import Panorama
from mirnet_cli.training.photos import Pair
from mirnet_cli.training.recipe import Recipe, Stage, find
from mirnet_cli.training.run import Run
from tests.photo.pictures import smooth
from tests.restore.test_light import as_integers, scene

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (panoramas, light, amount):
        monkeypatch.setattr(module, "VIEWS", 4)
    monkeypatch.setattr(amount, "_DRAWN", 16)
    monkeypatch.setattr(amount, "_STEPS", 40)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def around(seed: int = 0) -> np.ndarray:
    """A room with a bright window, all around: linear light of 0.01 to 40."""
    rng = np.random.default_rng(seed)
    level = cv2.resize(rng.random((8, 16), np.float32), (256, 128), interpolation=cv2.INTER_CUBIC)
    light_there = np.repeat(0.01 * 2 ** (3 * level[..., None]), 3, 2).astype(np.float32)
    light_there[50:75, 100:140] = 40
    return light_there


def radiance(light_there: np.ndarray) -> bytes:
    return cv2.imencode(".hdr", light_there[..., ::-1])[1].tobytes()


@pytest.fixture
def places(tmp_path: Path) -> Path:
    folder = tmp_path / "hdri"
    folder.mkdir()
    for index, name in enumerate(("hall", "yard", "night_street")):
        (folder / f"{name}.hdr").write_bytes(radiance(around(index)))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(4):
        picture = np.roll(smooth(220, 260), 40 * index, axis=1)
        Image.fromarray(picture).save(folder / f"photo-{index}.png")
    return folder


def asked(tmp_path: Path, **more: object) -> TrainOptions:
    config = tmp_path / "tiny.toml"
    config.write_text(
        "stages = [{until = 1.0, crop = 64, batch = 4}]\n"
        "[network]\nwidths = [8, 8, 8]\nhidden = 8\njudges = 8\nshades = 4\n"
    )
    return TrainOptions.of(None, {"config": config, "steps": 4, **more})


def test_weights_of_a_run_enhance(tmp_path: Path, photos: Path, places: Path) -> None:
    out = tmp_path / "run"
    path = job.run("enhance", asked(tmp_path, data=[photos], panoramas=[places], out=out))
    restorer = mirnet.load(path)
    assert restorer.light
    history = restorer.weights.training["network"]
    assert (history["photos"], history["panoramas"], history["steps"]) == (3, 2, 4)
    assert history["validation_psnr"] > 0
    assert (out / "network/curve.png").exists()
    pixels = smooth(60, 90)
    assert restorer(pixels, ev=2).mean() > restorer(pixels, ev=0).mean()
    # Fine-tuning takes up what is there, its sizes as well.
    pairs = tmp_path / "pairs"
    for half in ("input", "target"):
        (pairs / half).mkdir(parents=True)
        for photo in photos.iterdir():
            (pairs / half / photo.name).write_bytes(photo.read_bytes())
    options = TrainOptions(start=str(path), pairs=(pairs,), steps=1, out=tmp_path / "mine")
    again = job.run("enhance", options)
    assert mirnet.load(again).weights.network.config == restorer.weights.network.config


@pytest.mark.parametrize("name", ["denoise", "enhance"])
def test_sizes_can_be_told_and_are_taken_up_all_but_what_the_use_decides(
    tmp_path: Path, name: str
) -> None:
    (part,) = find(name)
    given = {"compact": {"inputs", "scales"}, "light": {"inputs", "segments", "colours", "amounts"}}
    config = tmp_path / "sizes.toml"
    for field in fields(part.config):
        usual = getattr(part.config, field.name)
        usual = list(usual) if isinstance(usual, tuple) else usual
        other: object = [2 * each for each in usual] if isinstance(usual, list) else 2 * usual
        other = not usual if isinstance(usual, bool) else other
        if field.name in given[part.family]:
            other = usual
        config.write_text(f"[network]\n{field.name} = {json.dumps(other)}\n")
        if field.name in given[part.family]:
            with pytest.raises(UsageError, match=f"no '{field.name}'"):
                plan.make(name, config=config, seed=0, origin=None, sizes={})
            continue
        made = plan.make(name, config=config, seed=0, origin=None, sizes={}).parts[0].config
        assert made == with_changes(part, {field.name: other})
        mine = with_changes(part, {field.name: other})
        kept = plan.make(name, config=None, seed=0, origin="x", sizes={part.part: mine}).parts[0]
        assert kept.config == mine


def with_changes(part: Recipe, changes: dict[str, object]) -> CompactConfig | LightConfig:
    return replace(part.config, **with_tuples(changes))


def run_of(folder: Path, steps: int = 8) -> Run:
    part = find("enhance")[0]
    config = type(part.config).from_mapping({"widths": [8, 8, 8], "hidden": 8, "judges": 8})
    part = replace(part, config=config, stages=(Stage(0.5, 64, 4), Stage(1.0, 192, 2)))
    found = [Pair(str(i), (np.roll(smooth(220, 260), 40 * i, 1),)) for i in range(3)]
    rng = np.random.default_rng(0)
    made = [views.example(around(i), False, rng) for i in range(4)]
    given, stops = (np.stack([each[i] for each in made]) for i in (0, 1))
    place = Panorama("hall", "0" * 64, given, stops.astype(np.float16))
    return Run(
        part,
        folder,
        found,
        [],
        found[:1],
        [],
        steps,
        panoramas=[place],
        held_out_panoramas=[place],
        validate_every=4,
        report_every=4,
    )


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    once = loop.train(run_of(tmp_path / "once"))

    def stop(progress: object) -> None:
        if getattr(progress, "step", 0) == 4:
            raise KeyboardInterrupt

    stopped = run_of(tmp_path / "twice")
    stopped.report = stop
    with pytest.raises(KeyboardInterrupt):
        loop.train(stopped)
    twice = loop.train(run_of(tmp_path / "twice"))
    for file in ("model", "average", "exp_avg"):
        one, two = (
            (tmp_path / name / f"checkpoint/{file}.safetensors").read_bytes()
            for name in ("once", "twice")
        )
        assert one == two, file
    learned = [amount.learned(run_of(tmp_path), each) for each in (once, twice)]
    assert all(torch.equal(learned[0][key], learned[1][key]) for key in once)
    # Nothing but what judges was learned by that.
    assert {key for key in once if not torch.equal(learned[0][key], once[key])} <= {
        f"judge.{i}.{kind}" for i in range(3) for kind in ("weight", "bias")
    }


def test_the_loss_falls_and_the_amount_is_learned(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    network = light.network(run.recipe)
    batch = light.make_batch(run, 0, run.recipe.stages[0])
    assert batch.views == 2
    assert batch.given.shape == (4, 3, 64, 64)
    assert torch.equal(light.make_batch(run, 0, run.recipe.stages[0]).given, batch.given)
    assert not torch.equal(light.make_batch(run, 1, run.recipe.stages[0]).given, batch.given)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = light.loss(network, batch, "charbonnier", None)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]


def test_what_is_learned_is_what_is_done() -> None:
    """The loss and the product make the same of what the network says."""
    torch.manual_seed(4)
    network = LightNet(LightConfig(widths=(8, 8, 8), hidden=8))
    pixels = as_integers(scene(192, 256))
    seen = product.seen(Picture(pixels, None))
    given = torch.from_numpy(seen).permute(2, 0, 1)[None]
    x = light.features(given)
    assert np.allclose(x[0].permute(1, 2, 0), product.features(seen), atol=1e-5)
    luminance = product.luminance(seen)
    assert np.allclose(light._dark(torch.from_numpy(luminance)), product.dark(luminance), atol=1e-4)
    with torch.no_grad():
        raw = network(x)
        # Curves and colours that differ from place to place.
        raw[:, :8] = 20 * (raw[:, :8] - raw[:, :8].mean((2, 3), keepdim=True))
    said = product.answer(seen, raw[0].permute(1, 2, 0).contiguous().numpy())
    learned = light._Said(raw, torch.from_numpy(luminance)[None, None])
    for ev in (0.3, 1.0, 2.5, 5.0):
        made = learned.stops(torch.full((1, 1, 192, 256), ev))[0, 0].numpy()
        done = product.stops(said.slopes, ev)
        assert done.std() > 0.03 * ev
        assert np.abs(made - done).mean() < 0.02 * ev
    assert np.allclose([float(learned.black), float(learned.contrast)], [said.black, said.contrast])
    colour = learned.colour.tanh()
    assert np.abs(colour[0].permute(1, 2, 0).numpy() - said.colour).mean() < 0.01
    # Then black, contrast and colour at full size, by the same numbers.
    shade = np.linspace(0, 1, 50, dtype=np.float32)
    toned = product._toned(shade, 0.1 * said.black, 0.5 * said.contrast)
    half = torch.full((1, 1, 1, 1), 0.5)
    also = light._toned(torch.from_numpy(shade).view(1, 1, 1, -1), learned, 0.1 + 0 * half, half)
    assert np.allclose(also.flatten(), toned, atol=2e-5)
    linear = np.random.default_rng(0).uniform(0.1, 0.8, (5, 6, 3)).astype(np.float32)
    moved = np.random.default_rng(1).uniform(-1, 1, (5, 6, 3)).astype(np.float32)
    level = product._luminance(linear)
    done = product._coloured(linear, level, moved, np.full_like(level, 2.0))
    parts = [torch.from_numpy(each).permute(2, 0, 1)[None] for each in (linear, moved)]
    made = light._coloured(*parts, torch.tensor(1 - 2 * product.FADE))[0].permute(1, 2, 0)
    # The product believes less of the hue of what is dark.
    assert np.allclose(made.clamp(min=0), done, atol=0.01)


def test_black_is_set_in_views_and_pieces_have_that_of_the_whole(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    batch = light.make_batch(run, 0, run.recipe.stages[1])
    luminance = light._luminance(light._light(batch.given))
    lit = light._as_shown(luminance, batch.first)[: batch.views]
    final = light._final(batch, luminance, batch.black)[: batch.views]
    assert (batch.black[: batch.views] > 0.01).any()
    low, after = (torch.quantile(each.flatten(1), 0.005, dim=1) for each in (lit, final))
    # The highest grey that becomes black is a sixth.
    assert (after < 0.02 + 1.2 * (low - 1 / 6).clamp(min=0)).all()
    assert torch.allclose(final.amax((1, 2, 3)), lit.amax((1, 2, 3)), atol=0.15)
    # None of a photo's own black moves with where a piece of it is cut.
    pieces = [light.make_batch(run, step, Stage(0.5, 32, 4)) for step in range(12)]
    assert all(each.black.shape == (4, 1, 1, 1) for each in pieces)


def test_what_is_to_stay_is_what_it_was_at_any_size(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.panoramas = []
    for step in range(6):
        batch = light.make_batch(run, step, Stage(0.5, 64, 8))
        stays = light.amounts(batch) < 1e-3
        off = light._shown(batch.light) - batch.given
        # But for the noise of what is seen.
        assert not stays.any() or off[stays].mean((1, 2, 3)).abs().max() < 2e-3


@pytest.mark.parametrize("kind", ["photos", "pairs", "panoramas"])
def test_any_kind_of_data_alone(tmp_path: Path, kind: str) -> None:
    run = run_of(tmp_path)
    run.pairs = [Pair("pair", (smooth(220, 260), smooth(220, 260)))]
    for other in {"photos", "pairs", "panoramas"} - {kind}:
        setattr(run, other, [])
    batch = light.make_batch(run, 0, run.recipe.stages[1])
    assert len(batch.given) == 2
    assert torch.isfinite(light.loss(light.network(run.recipe), batch, "charbonnier", None))


def test_gains_of_views_brighten_what_is_dark_and_leave_white() -> None:
    rng = np.random.default_rng(3)
    found = [views.example(around(), False, rng) for _ in range(6)]
    given, stops = max(found, key=lambda each: each[1][0].mean())
    white, lit = given.min(2) >= 254, given.max(2) < 90
    assert lit.mean() > 0.2
    assert stops[0][lit].mean() > 0.5
    assert not white.any() or stops[0][white].max() < 0.1


def test_a_view_looks_where_it_is_told() -> None:
    room = np.full((128, 256, 3), 0.1, np.float32)
    room[60:68, 188:196] = 9
    ahead, aside = (views.view(room, yaw, 0, 70) for yaw in (-90, 90))
    assert sorted(float(each.max()) > 5 for each in (ahead, aside)) == [False, True]
    assert np.allclose(min((ahead, aside), key=lambda each: each.max()), 0.1, atol=1e-3)


def test_panoramas_are_read_as_they_were_written(tmp_path: Path) -> None:
    light_there = around()
    (tmp_path / "a.hdr").write_bytes(radiance(light_there))
    assert np.allclose(panoramas.read(tmp_path / "a.hdr"), light_there, rtol=0.02)
    codecs = pytest.importorskip("imagecodecs")
    stored = np.round((np.log2(light_there) + 12) * 2048).astype(np.uint16)
    (tmp_path / "b.jxl").write_bytes(codecs.jpegxl_encode(stored, lossless=True))
    assert np.allclose(panoramas.read(tmp_path / "b.jxl"), light_there, rtol=1e-3)


def test_views_are_made_once(tmp_path: Path, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    first = panoramas.load_panoramas(places, cache)
    monkeypatch.setattr(panoramas.views, "example", None)
    second = panoramas.load_panoramas(places, cache)
    assert [each.name for each in second] == ["hall", "night_street", "yard"]
    for one, two in zip(first, second, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one.view(3), two.view(3), strict=True))


def test_what_is_no_panorama_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "hdri"
    with pytest.raises(InputError, match="no such folder"):
        panoramas.load_panoramas(folder)
    folder.mkdir()
    with pytest.raises(InputError, match="no panoramas"):
        panoramas.load_panoramas(folder)
    path = folder / "a.hdr"
    for content, said in (
        (b"not a picture", "can be read"),
        (cv2.imencode(".hdr", around()[:, :100])[1].tobytes(), "100x128 pixels"),
        (cv2.imencode(".hdr", np.zeros((128, 256, 3), np.float32))[1].tobytes(), "no light"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            panoramas.load_panoramas(folder)
    (folder / "b.exr").write_bytes(b"v/1\x01")
    with pytest.raises(InputError, match=r"save it as \.hdr"):
        panoramas.load_panoramas(folder)


def test_what_other_recipes_and_versions_do_not_have(tmp_path: Path, places: Path) -> None:
    with pytest.raises(UsageError, match="does not learn from panoramas"):
        job.run("denoise", TrainOptions(panoramas=(places,)))
    with pytest.raises(UsageError, match="integers"):
        job.run("enhance", TrainOptions(panoramas=(places,), int8=True))
    with pytest.raises(UsageError, match="cannot be trained by this recipe"):
        job.run("enhance", TrainOptions(panoramas=(places,), start="denoise"))
    config = tmp_path / "wrong.toml"
    for text, said in (
        ("stages = [{until = 1.0, crop = 224, batch = 2}]", "at most 192"),
        ('stages = [{until = 1.0, crop = 64, batch = 2, loss = "rmse"}]', "losses of its own"),
        ("[network]\ngroups = 2", "only widths, hidden, judges, shades"),
    ):
        config.write_text(text)
        with pytest.raises(UsageError, match=said):
            job.run("enhance", TrainOptions(panoramas=(places,), config=config))
