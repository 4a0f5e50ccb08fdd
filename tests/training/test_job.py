"""``mirnet train`` from folders to a weights file that the tool takes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import mirnet_cli as mirnet
from mirnet_cli import training
from mirnet_cli.errors import InputError, OutputError, UsageError
from mirnet_cli.training.photos import load_pairs, load_photos

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


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))


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


@pytest.mark.parametrize("name", ["denoise", "enhance", "upscale", "upscale-x1"])
def test_trained_weights_restore_a_photo(
    tmp_path: Path, photos: Path, config: Path, name: str
) -> None:
    path = training.run(name, data=[photos], out=tmp_path / "run", config=config)
    restorer = mirnet.load(path)
    assert restorer.weights.licence == "unknown"
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    assert restorer(pixels).shape == (20 * restorer.scale, 30 * restorer.scale, 3)
    assert list((tmp_path / "run").glob("*/curve.png"))


def test_fine_tuning_starts_from_given_weights(tmp_path: Path, photos: Path, config: Path) -> None:
    first = training.run("denoise", data=[photos], out=tmp_path / "first", config=config)
    pairs = tmp_path / "pairs"
    for part in ("input", "target"):
        (pairs / part).mkdir(parents=True)
        for photo in photos.iterdir():
            Image.open(photo).save(pairs / part / photo.name)
    second = training.run(
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
    training.run("denoise", data=[photos], out=tmp_path / "run", config=config)
    with pytest.raises(OutputError, match="--resume"):
        training.run("denoise", data=[photos], out=tmp_path / "run", config=config)
    training.run("denoise", data=[photos], out=tmp_path / "run", config=config, resume=True)


def test_the_clock_decides_for_the_first_network_and_that_for_the_others(
    tmp_path: Path, photos: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirnet_cli.training.loop.steps_done", lambda folder: 6)
    config.write_text(CONFIG.replace("steps = 2\n", ""))
    path = training.run("enhance", data=[photos], out=tmp_path / "run", config=config, hours=1e-6)
    history = mirnet.load(path).weights.training
    assert history["network"]["steps"] == 3


def test_unknown_recipe_and_no_data(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="choose from"):
        training.run("sharpen", data=[photos])
    with pytest.raises(UsageError, match="--data"):
        training.run("denoise")
    with pytest.raises(UsageError, match="no licence"):
        training.run("denoise", data=[photos], out=tmp_path / "run", licence="x" * 201)


def test_bad_recipe_file(tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("colour = 'blue'")
    with pytest.raises(UsageError, match="colour"):
        training.run("denoise", data=[photos], out=tmp_path / "run", config=path)


def test_a_missing_library_is_noticed_before_the_work(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"mirnet-cli\[train\]"):
        training.run("denoise", data=[photos], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pairs_of_one_size_cannot_teach_enlarging(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="upscale-x1"):
        training.run("upscale", data=[photos], pairs=[photos], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_finer_depths_become_8_bits(tmp_path: Path, dtype: str) -> None:
    values = np.arange(256).repeat(3).reshape(16, 16, 3)
    finer = values * 257 if dtype == "uint16" else values / 255
    tifffile.imwrite(tmp_path / "a.tif", finer.astype(dtype), photometric="rgb")
    (tmp_path / ".b.tif").write_text("no photo: some systems write such files")
    (photo,) = load_photos(tmp_path)
    np.testing.assert_array_equal(photo.pixels, values)


def test_folders_without_photos_or_partners(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_photos(tmp_path / "nowhere")
    (tmp_path / "input").mkdir()
    with pytest.raises(InputError, match="target"):
        load_pairs(tmp_path)
    (tmp_path / "target").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "input/a.png")
    with pytest.raises(InputError, match="partner"):
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
    np.testing.assert_array_equal(first[0].pixels, second[0].pixels)


def test_dark_photos_cannot_be_targets_of_brightening(tmp_path: Path) -> None:
    (tmp_path / "dark").mkdir()
    Image.new("RGB", (64, 64), (5, 5, 5)).save(tmp_path / "dark/a.png")
    with pytest.raises(InputError, match="well exposed"):
        training.run("enhance", data=[tmp_path / "dark"], out=tmp_path / "run")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'stages = [{until = 1.0, crop = 48, batch = 2, loss = "l3"}]',
            "no loss 'l3', choose from",
        ),
        ("stages = [{until = 1.0, cropp = 48, batch = 2}]", "'cropp'"),
        ("rate = 0.1", "'rate'"),
        ("stages = [", "not a recipe"),
    ],
)
def test_a_config_that_is_no_recipe_is_refused(
    tmp_path: Path, photos: Path, line: str, message: str
) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(line)
    with pytest.raises(UsageError, match=message):
        training.run("denoise", data=[photos], out=tmp_path / "run", config=config)
    assert not (tmp_path / "run").exists()
