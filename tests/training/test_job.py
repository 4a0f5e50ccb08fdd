"""``mirnet train`` from folders to a weights file that the tool takes."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors import SafetensorError

import mirnet_cli as mirnet
from mirnet_cli.errors import InputError, MirnetError, OutOfMemoryError, OutputError, UsageError
from mirnet_cli.models import weights as weights_file
from mirnet_cli.networks.configs import CompactConfig
from mirnet_cli.training import job, plan
from mirnet_cli.training.options import TrainOptions
from mirnet_cli.training.photos import load_pairs, load_photos, random_crops, split
from mirnet_cli.training.recipe import Recipe, find
from mirnet_cli.training.run import Progress
from tests.photo.pictures import grey_profile

pytestmark = pytest.mark.usefixtures("own_cache")

CONFIG = """
learning_rate = 1e-3
steps = 2
brightness = [0.0, 1.0]
stages = [{until = 1.0, crop = 48, batch = 2}]
[network]
widths = [8, 16]
groups = 1
blocks = 1
"""


def run(name: str, report: Callable[[Recipe, Progress], None] | None = None, **asked: Any) -> Path:
    return job.run(name, TrainOptions(**asked), report=report or (lambda recipe, progress: None))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((80, 64), Image.Resampling.BICUBIC).save(folder / f"photo-{i}.png")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("name", ["denoise", "enhance-lol", "upscale", "upscale-x1"])
def test_trained_weights_restore_a_photo(
    tmp_path: Path, photos: Path, config: Path, name: str
) -> None:
    path = run(name, data=[photos], out=tmp_path / "run", config=config)
    restorer = mirnet.load(path)
    assert restorer.weights.licence == "unknown"
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    assert restorer(pixels).shape == (20 * restorer.scale, 30 * restorer.scale, 3)
    assert list((tmp_path / "run").glob("*/curve.png"))


def test_fine_tuning_starts_from_given_weights(tmp_path: Path, photos: Path, config: Path) -> None:
    first = run("denoise", data=[photos], out=tmp_path / "first", config=config)
    pairs = tmp_path / "pairs"
    for part in ("input", "target"):
        (pairs / part).mkdir(parents=True)
        for photo in photos.iterdir():
            Image.open(photo).save(pairs / part / photo.name)
    second = run(
        "denoise",
        pairs=[pairs],
        start=str(first),
        steps=1,
        out=tmp_path / "b",
        config=config,
        licence="CC-BY-4.0",
    )
    made = mirnet.load(second).weights
    assert made.licence == "CC-BY-4.0"
    assert made.training["recipe"] == "denoise"
    assert made.training["from"] == f"denoise, sha256 {mirnet.load(first).weights.sha256}"
    a, b = (mirnet.load(path).weights.network.tensors for path in (first, second))
    difference = max(np.abs(a[key].astype(float) - b[key]).max() for key in a)
    assert difference < 0.01


def test_run_is_not_overwritten_by_accident(tmp_path: Path, photos: Path, config: Path) -> None:
    run("denoise", data=[photos], out=tmp_path / "run", config=config)
    with pytest.raises(OutputError, match="--resume"):
        run("denoise", data=[photos], out=tmp_path / "run", config=config)
    run("denoise", data=[photos], out=tmp_path / "run", config=config, resume=True)


def test_the_clock_decides_for_the_first_network_and_that_for_the_others(
    tmp_path: Path, photos: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirnet_cli.training.loop.steps_done", lambda folder: 6)
    config.write_text(CONFIG.replace("steps = 2\n", ""))
    path = run("enhance-lol", data=[photos], out=tmp_path / "run", config=config, hours=1e-6)
    history = mirnet.load(path).weights.training
    assert history["network"]["steps"] == 3


def test_unknown_recipe_and_no_data(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="choose from"):
        run("sharpen", data=[photos])
    with pytest.raises(UsageError, match="--data"):
        run("denoise")
    with pytest.raises(UsageError, match="not a licence name"):
        run("denoise", data=[photos], out=tmp_path / "run", licence="x" * 201)


def test_bad_recipe_file(tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("colour = 'blue'")
    with pytest.raises(UsageError, match="colour"):
        run("denoise", data=[photos], out=tmp_path / "run", config=path)


def test_a_missing_library_is_noticed_before_the_work(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="matplotlib, which is not installed"):
        run("denoise", data=[photos], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pairs_of_one_size_cannot_teach_enlarging(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="upscale-x1"):
        run("upscale", data=[photos], pairs=[photos], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_finer_depths_become_8_bits(tmp_path: Path, dtype: str) -> None:
    values = np.arange(256).repeat(3).reshape(16, 16, 3)
    finer = values * 257 if dtype == "uint16" else values / 255
    tifffile.imwrite(tmp_path / "a.tif", finer.astype(dtype), photometric="rgb")
    (tmp_path / ".b.tif").write_text("no photo: some systems write such files")
    (photo,) = load_photos(tmp_path)
    np.testing.assert_array_equal(photo.pixels()[0], values)


def test_photos_are_trained_on_as_the_network_sees_them_in_use(tmp_path: Path) -> None:
    grey = Image.new("L", (16, 16), 128)
    grey.save(tmp_path / "linear.png", icc_profile=grey_profile(1.0))
    (photo,) = load_photos(tmp_path, tmp_path / "copies")
    # IEC 61966-2-1 of 128 / 255.
    np.testing.assert_array_equal(photo.pixels()[0], 188)


def test_folders_without_photos_or_partners(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_photos(tmp_path / "nowhere")
    (tmp_path / "input").mkdir()
    with pytest.raises(InputError, match="target"):
        load_pairs(tmp_path)
    (tmp_path / "target").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "input/a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "input/b.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "target/b.png")
    with pytest.raises(InputError, match=r"a\.png: has no partner"):
        load_pairs(tmp_path)
    Image.new("RGB", (8, 9)).save(tmp_path / "target/a.jpg")
    with pytest.raises(InputError, match="size"):
        load_pairs(tmp_path)


def test_decoded_copies_are_used_again(tmp_path: Path, photos: Path) -> None:
    first = load_photos(photos, tmp_path / "copies")
    copies = {path: path.stat().st_mtime_ns for path in (tmp_path / "copies").iterdir()}
    assert len(copies) == len(first) == 4
    second = load_photos(photos, tmp_path / "copies")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "copies").iterdir()} == copies
    np.testing.assert_array_equal(first[0].pixels()[0], second[0].pixels()[0])


def test_damaged_and_impossible_copies_do_not_matter(tmp_path: Path, photos: Path) -> None:
    copies = tmp_path / "copies"
    first = load_photos(photos, copies)
    for copy in copies.iterdir():
        copy.write_bytes(b"")
    second = load_photos(photos, copies)
    (tmp_path / "file").write_text("no folder")
    third = load_photos(photos, tmp_path / "file/copies")
    for one, two, three in zip(first, second, third, strict=True):
        np.testing.assert_array_equal(one.pixels()[0], two.pixels()[0])
        np.testing.assert_array_equal(one.pixels()[0], three.pixels()[0])


def test_names_that_do_not_say_the_partner_are_refused(tmp_path: Path) -> None:
    for part in ("input", "target"):
        (tmp_path / part).mkdir()
        for name in ("a.png", "a.bmp"):
            Image.new("RGB", (8, 8)).save(tmp_path / part / name)
    with pytest.raises(InputError, match="the same name"):
        load_pairs(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_photos_may_be_more_than_files_may_be_open(tmp_path: Path, photos: Path) -> None:
    import resource

    loaded = load_photos(photos, tmp_path / "copies")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 8, limits[1]))
    try:
        random_crops(loaded * 20, 40, 32, (1, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 7}, r"another --seed \(1, not 7\)"),
        ({"config": None}, r"another recipe \(--config\)"),
        ({"start": "denoise.safetensors"}, r"another --from \(none, not denoise, sha256"),
        ({"data": 3}, r"another --data or --pairs \(4 photos and 0 pairs"),
        ({"name": "upscale-x1"}, r"another TASK \(denoise, not upscale-x1\)"),
    ],
)
def test_a_run_is_resumed_as_it_was_begun(
    tmp_path: Path,
    photos: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    message: str,
) -> None:
    asked = {"name": "denoise", "data": [photos], "config": config, "seed": 1}
    run(**asked, out=tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    if "data" in change:
        (photos / "photo-3.png").unlink()
        change = {}
    with pytest.raises(UsageError, match=message):
        run(**asked | change, out=tmp_path / "run", resume=True)


def test_other_photos_of_the_same_names_and_sizes_are_others(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    run("denoise", data=[photos], out=tmp_path / "run", config=config)
    Image.new("RGB", (80, 64), "red").save(photos / "photo-2.png")
    with pytest.raises(UsageError, match="another --data or --pairs"):
        run("denoise", data=[photos], out=tmp_path / "run", config=config, resume=True)


def test_no_run_ends_before_its_learning_rate_has_fallen(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    def stop(part: Recipe, progress: Progress) -> None:
        raise KeyboardInterrupt

    asked: dict[str, Any] = {"name": "denoise", "data": [photos], "config": config}
    asked |= {"out": tmp_path / "run", "resume": True}
    with pytest.raises(KeyboardInterrupt):
        # The report is at step 50, long before the fall.
        run(**asked, steps=1000, report=stop)
    for steps in (7, 50):
        with pytest.raises(UsageError, match=rf"50 steps already, and {steps} are.*--steps 72 or"):
            run(**asked, steps=steps)
    run(**asked, steps=72)
    with pytest.raises(UsageError, match=r"72 steps already, and 71 are.*--steps 72 or"):
        run(**asked, steps=71)
    run(**asked, steps=72)


def test_two_do_not_train_in_one_folder(tmp_path: Path, photos: Path, config: Path) -> None:
    def begin_another(part: Recipe, progress: Progress) -> None:
        with pytest.raises(OutputError, match="another process is training here"):
            run("denoise", data=[photos], out=tmp_path, config=config, resume=True)
        tried.append(progress.step)

    tried: list[int] = []
    run("denoise", data=[photos], out=tmp_path, config=config, report=begin_another)
    assert tried


def test_a_run_without_a_checkpoint_begins_anew(tmp_path: Path, photos: Path, config: Path) -> None:
    run("denoise", data=[photos], out=tmp_path / "run", config=config)
    shutil.rmtree(tmp_path / "run/network")
    run("denoise", data=[photos], out=tmp_path / "run", config=config, seed=7)
    assert json.loads((tmp_path / "run/run.json").read_text())["--seed"] == 7


def test_a_run_from_before_plans_is_taken_up(tmp_path: Path, photos: Path, config: Path) -> None:
    run("denoise", data=[photos], out=tmp_path / "run", config=config)
    (tmp_path / "run/run.json").unlink()
    run("denoise", data=[photos], out=tmp_path / "run", config=config, resume=True)
    assert (tmp_path / "run/run.json").exists()


def test_a_config_says_how_long_fine_tuning_is(tmp_path: Path, photos: Path, config: Path) -> None:
    first = run("denoise", data=[photos], out=tmp_path / "first", config=config)
    again = run("denoise", data=[photos], start=str(first), out=tmp_path / "b", config=config)
    assert mirnet.load(again).weights.training["network"]["steps"] == 2


def test_fine_tuning_takes_over_the_sizes(tmp_path: Path, photos: Path, config: Path) -> None:
    first = run("denoise", data=[photos], out=tmp_path / "first", config=config)
    config.write_text(CONFIG.partition("[network]")[0])
    again = run("upscale-x1", data=[photos], start=str(first), out=tmp_path / "b", config=config)
    assert mirnet.load(again).weights.network.config["widths"] == [8, 16]


def test_weights_to_start_from_must_fit(tmp_path: Path, photos: Path, config: Path) -> None:
    with pytest.raises(UsageError, match=r"\d of \d+ tensors fit"):
        run("denoise", data=[photos], start="denoise", out=tmp_path / "a", config=config)
    for bad in ("nothing.safetensors", "no-model"):
        with pytest.raises(MirnetError):
            run("denoise", data=[photos], start=bad, out=tmp_path / "a", config=config)
    assert not (tmp_path / "a").exists()


def test_a_place_that_takes_nothing(tmp_path: Path, photos: Path, config: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="--out"):
        run("denoise", data=[photos], out=tmp_path / "file/run", config=config)


def test_an_unknown_device(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="gpu"):
        run("denoise", data=[photos], out=tmp_path / "run", device="gpu")


def test_photos_that_one_network_cannot_take_are_refused_first(tmp_path: Path) -> None:
    folder = tmp_path / "dim"
    folder.mkdir()
    for i in range(3):
        # Bright enough for the thumbnail, not for the detail.
        Image.new("RGB", (64, 64), (40, 40, 40 + i)).save(folder / f"{i}.png")
    with pytest.raises(InputError, match="well exposed"):
        run("enhance-lol", data=[folder], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_dark_photos_cannot_be_targets_of_brightening(tmp_path: Path) -> None:
    (tmp_path / "dark").mkdir()
    Image.new("RGB", (64, 64), (5, 5, 5)).save(tmp_path / "dark/a.png")
    with pytest.raises(InputError, match="well exposed"):
        run("enhance-lol", data=[tmp_path / "dark"], out=tmp_path / "run")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'stages = [{until = 1.0, crop = 48, batch = 2, loss = "l3"}]',
            "no loss 'l3', choose from",
        ),
        ("stages = [{until = 1.0, cropp = 48, batch = 2}]", "'cropp'"),
        ("rate = 0.1", "a recipe has no 'rate'; use optimiser, weight_decay, learning_rate"),
        ("optimiser = 'sgd'", "optimiser is one of adamw, muon"),
        ("stages = [", "not a recipe"),
        ("stages = []", "stages is a list"),
        ("stages = [{until = 1.0, crop = 50, batch = 2}]", "crops of 50 .* multiples of 4$"),
        ("stages = [{until = 1.0, crop = 48, batch = 0}]", "batch = 0"),
        ("stages = [{until = 1.0, crop = 48.0, batch = 2}]", "crop = 48.0"),
        ("learning_rate = 'fast'", "learning_rate = fast"),
        ("weight_decay = 1", "weight_decay = 1"),
        ("steps = 2.5", "steps = 2.5"),
        ("steps = inf", "steps = inf"),
        ("steps = 1_000_000_001", "steps = 1000000001"),
        ("brightness = [0.9, 0.1]", "lowest mean, then the highest"),
        ("stages = [1]", "stages is a list"),
        ("stages = [{until = 1.0, crop = 8, batch = 2}]", "crop = 8"),
        ("stages = [{until = 1.0, crop = 40_000, batch = 2}]", "crop = 40000"),
        ("stages = [{until = 1.0, crop = 48, batch = 1_000_000_000}]", "batch = 1000000000"),
        ("pair_share = 2", "pair_share = 2"),
        ("brightness = [0.1]", "brightness is two"),
        ("context = 'none'", "no 'context'"),
        ("[network]\ngroups = 17", "groups = 17"),
        ("[network]\nscales = [2]", "no 'scales'"),
        ("[network]\nwidths = [8, 8, 8, 8]\nunshuffle = 16", "unshuffle = 16"),
    ],
)
def test_a_config_that_is_no_recipe_is_refused(
    tmp_path: Path, photos: Path, line: str, message: str
) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(line)
    with pytest.raises(UsageError, match=message):
        run("denoise", data=[photos], out=tmp_path / "run", config=config)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names are not bytes there")
def test_names_that_are_no_text(tmp_path: Path, photos: Path) -> None:
    odd = [path.rename(photos / f"\udcff{path.name}") for path in photos.iterdir()]
    training, held_out = split(load_photos(photos, tmp_path / "copies"))
    assert {pair.name for pair in (*training, *held_out)} == {path.stem for path in odd}


def test_a_full_disk_leaves_no_part_of_a_checkpoint(
    tmp_path: Path, photos: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("mirnet_cli.training.checkpoint.save_file", full)
    with pytest.raises(OutputError, match=r"No space left.*free some space"):
        run("denoise", data=[photos], out=tmp_path / "run", config=config)
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_run_killed_between_two_checkpoints_is_a_run(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    asked = {"name": "denoise", "data": [photos], "config": config, "out": tmp_path / "run"}
    run(**asked, seed=1)
    kept = tmp_path / "run/network/checkpoint"
    kept.rename(kept.with_name("checkpoint.old"))
    with pytest.raises(OutputError, match="--resume"):
        run(**asked, seed=2)
    with pytest.raises(UsageError, match="another --seed"):
        run(**asked, seed=2, resume=True)
    run(**asked, seed=1, resume=True)


def test_names_that_are_too_long(tmp_path: Path, photos: Path, config: Path) -> None:
    with pytest.raises(OutputError, match="--out"):
        run("denoise", data=[photos], out=tmp_path / ("n" * 300), config=config)
    for load in (load_photos, load_pairs):
        with pytest.raises(InputError):
            load(tmp_path / ("n" * 300))


@pytest.mark.parametrize(
    "file",
    [
        "run.json",
        "network/checkpoint/state.json",
        "network/checkpoint/model.safetensors",
        "network/best.safetensors",
    ],
)
def test_a_damaged_run_is_told(tmp_path: Path, photos: Path, config: Path, file: str) -> None:
    asked = {"name": "denoise", "data": [photos], "config": config, "out": tmp_path / "run"}
    run(**asked)
    (tmp_path / "run" / file).write_bytes(b"[1]")
    with pytest.raises(UsageError, match="not intact; start again with another --out"):
        run(**asked, resume=True)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError("no array of this size")]
)
def test_too_little_memory_is_told(
    tmp_path: Path,
    photos: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*asked: object) -> None:
        raise error

    monkeypatch.setattr("mirnet_cli.training.loop.make_batch", fail)
    with pytest.raises(OutOfMemoryError, match="smaller batch or crop"):
        run("denoise", data=[photos], out=tmp_path / "run", config=config)


def test_a_version_in_integers_leaves_the_weights_as_they_are(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    first = run("denoise", data=[photos], config=config, out=tmp_path / "first", steps=3)
    before = mirnet.load(weights=str(first), runtime="torch", precision="fp32")
    with pytest.raises(UsageError, match=r"^denoise: .* no version in 8-bit integers"):
        mirnet.load(weights=str(first), runtime="torch", precision="int8")
    made = run(
        "denoise", data=[photos], start=str(first), int8=True, steps=3, out=tmp_path / "second"
    )
    after = mirnet.load(weights=str(made), runtime="torch", precision="fp32")
    whole = mirnet.load(weights=str(made), runtime="torch", precision="int8")
    picture = np.asarray(Image.open(photos / "photo-0.png"))
    assert np.array_equal(before(picture), after(picture))
    assert whole.precision == "int8"
    assert np.abs(whole(picture).astype(int) - after(picture)).max() <= 16
    told = after.weights.training
    assert told["int8"]["from"] == f"denoise, sha256 {before.weights.sha256}"
    assert told["int8"]["network"]["steps"] == 3
    assert told["network"] == before.weights.training["network"]


def test_upscale_has_weights_for_clean_pictures_beside_the_others(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    first = run("upscale", data=[photos], config=config, out=tmp_path / "first", steps=3)
    made = mirnet.load(first).weights
    assert made.clean is not None
    assert made.clean.config == made.network.config
    differ = [k for k, v in made.network.tensors.items() if (v != made.clean.tensors[k]).any()]
    assert differ
    assert {"network", "clean"} < made.training.keys()
    again = run("upscale", data=[photos], start=str(first), steps=1, out=tmp_path / "again")
    begun = mirnet.load(again).weights
    assert begun.clean is not None
    for was, now in ((made.network, begun.network), (made.clean, begun.clean)):
        off = [np.abs(v.astype(float) - now.tensors[k]).max() for k, v in was.tensors.items()]
        assert max(off) < 0.01
    whole = run("upscale", data=[photos], start=str(first), int8=True, steps=2, out=tmp_path / "c")
    exact = mirnet.load(whole, runtime="torch", precision="int8").weights
    assert exact.clean is not None
    assert exact.network.integers.keys() == exact.clean.integers.keys() != set()
    assert all((exact.clean.tensors[k] == v).all() for k, v in made.clean.tensors.items())


def test_integers_are_of_the_networks_that_the_weights_have(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    path = run("upscale", data=[photos], config=config, out=tmp_path / "two")
    two = mirnet.load(path).weights
    one = weights_file.save(tmp_path / "one.safetensors", replace(two, clean=None))
    made = run("upscale", data=[photos], start=str(one.path), int8=True, out=tmp_path / "int8")
    found = mirnet.load(made, runtime="torch", precision="int8").weights
    assert found.network.integers
    assert found.clean is None


def test_a_version_in_integers_has_the_sizes_of_its_weights(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    with pytest.raises(UsageError, match="no weights of denoise-large ship; name yours"):
        run("denoise-large", data=[photos], int8=True)
    first = run("denoise", data=[photos], config=config, out=tmp_path / "first")
    with pytest.raises(UsageError, match="has the sizes of its weights"):
        run("denoise", data=[photos], start=str(first), int8=True, config=config)
    config.write_text(CONFIG.partition("[network]")[0])
    made = run(
        "denoise-large",
        data=[photos],
        start=str(first),
        int8=True,
        config=config,
        out=tmp_path / "second",
    )
    whole = mirnet.load(weights=str(made), runtime="torch", precision="int8")
    assert whole.weights.network.config["widths"] == [8, 16]


def test_training_for_integers_brings_them_nearer_to_the_teacher(
    tmp_path: Path, photos: Path, config: Path
) -> None:
    first = run("denoise", data=[photos], config=config, out=tmp_path / "first", steps=5)
    found: list[float] = []
    run(
        "denoise",
        data=[photos],
        start=str(first),
        int8=True,
        steps=100,
        out=tmp_path / "second",
        report=lambda part, progress: found.append(progress.loss or 0.0),
    )
    assert found[-1] < found[0]


def test_a_network_of_weights_stays_lean_or_not_whatever_else_is_changed(tmp_path: Path) -> None:
    config = tmp_path / "sizes.toml"
    (part,) = find("denoise")
    for lean in (False, True):
        sizes = {"network": replace(part.config, lean=lean)}
        for name, text in (("denoise", "[network]\nblocks = 2"), ("denoise-large", None)):
            if text is not None:
                config.write_text(text)
            given = None if text is None else config
            made = plan.make(name, config=given, seed=0, origin="x", sizes=sizes).parts[0].config
            assert isinstance(made, CompactConfig)
            assert made.lean is lean
    config.write_text("[network]\nlean = false")
    made = plan.make("denoise", config=config, seed=0, origin="x", sizes=sizes).parts[0].config
    assert made == replace(part.config, lean=False)
