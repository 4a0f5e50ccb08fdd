"""Two sets of weights in one file: which of them a picture is restored with."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mirnet_cli as mirnet
from mirnet_cli.batches.journal import digest
from mirnet_cli.errors import UsageError
from mirnet_cli.models import weights as files
from mirnet_cli.models.resolver import resolve
from mirnet_cli.models.weights import Weights
from mirnet_cli.networks import NetworkSpec, judge
from mirnet_cli.photo import decode
from mirnet_cli.restore import PhotoOptions, Restorer, RestoreWarning, prepared
from mirnet_cli.restore.picture import Picture
from mirnet_cli.restore.prepared import looks
from mirnet_cli.runtime import OutOfDeviceMemoryError, Output
from tests.models.builders import some_weights, tiny_network, verdict
from tests.restore.fakes import FakeRunner, make_weights, photo_like

SIDE = judge.CROP

Seen = list[np.ndarray]


def two_sets(gain: float = 1.0, **options: Any) -> Restorer:
    """Over fake runners: the first of them that of real pictures, the next that of clean ones."""
    weights = make_weights(scales=(2,))
    clean = replace(weights.network, sha256="1" * 64)
    weights = replace(weights, clean=clean, judge=verdict(gain))
    return Restorer(weights, scale=2, **options)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What judges are shown from now on."""
    shown: Seen = []

    def advantage(tensors: Any, crops: np.ndarray) -> float:
        shown.append(crops)
        return float(tensors["last.bias"][0])

    monkeypatch.setattr(judge, "advantage", advantage)
    return shown


@pytest.fixture
def upscale(tmp_path: Path) -> Callable[[float], str]:
    """Makes a file that brightens clean pictures by 8 of 255 and darkens real ones by 8."""

    def make(gain: float) -> str:
        path = tmp_path / f"two{gain:g}.safetensors"
        # A network at zero but for its biases: it adds the same to each pixel.
        real, clean = (
            replace(each, tensors={k: v * ("bias" in k) for k, v in each.tensors.items()})
            for each in (tiny_network(levels, scales=[2]) for levels in (-8, 8))
        )
        sets = {"network": real, "clean": clean, "judge": verdict(gain)}
        made = {"name": "two", "task": "upscale", "scales": (2,), "base": "bicubic"}
        files.save(path, some_weights(**made, **sets))
        return str(path)

    return make


@pytest.mark.parametrize(("gain", "chosen"), [(0.01, 1), (-0.01, 0), (0.0, 0)])
def test_the_judge_decides_and_one_network_runs(
    runners: list[FakeRunner], gain: float, chosen: int
) -> None:
    two_sets(gain)(photo_like(60, 70))
    # What is not wanted is not made ready either.
    assert [bool(each.shapes) for each in runners] == [True] if not chosen else [False, True]
    assert len(runners) == 1 + chosen


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (500, 700, [0, 113, 226, 339, 452], [0, 163, 326, 489, 652]),
        (5 * SIDE, 4 * SIDE, [0, 48, 96, 144, 192], [0, 48, 96, 144]),
        (SIDE, SIDE + 1, [0], [0, 1]),
        (3 * SIDE - 1, SIDE, [0, 47, 95], [0]),
    ],
)
@pytest.mark.parametrize("around", [0, 33])
def test_looks_are_spread_over_the_whole_picture(
    height: int, width: int, rows: list[int], columns: list[int], around: int
) -> None:
    pixels = photo_like(height, width)
    found = looks(Picture(pixels, around=around), SIDE)
    wanted = [pixels[top : top + SIDE, left : left + SIDE] for top in rows for left in columns]
    np.testing.assert_array_equal(found, np.stack(wanted) / np.float32(255))


@pytest.mark.parametrize("shape", [(1, 1), (20, 30), (47, 200), (30, 7)])
def test_small_pictures_are_mirrored(shape: tuple[int, int]) -> None:
    pixels = photo_like(*shape)
    beyond = [(0, max(SIDE - side, 0)) for side in shape]
    mirrored = np.pad(pixels, [*beyond, (0, 0)], mode="symmetric")
    found, wanted = looks(Picture(pixels), SIDE), looks(Picture(mirrored), SIDE)
    np.testing.assert_array_equal(found, wanted)
    assert found.shape[1:] == (SIDE, SIDE, 3)


def test_any_kind_of_picture_is_looked_at(seen: Seen, runners: list[FakeRunner]) -> None:
    model = two_sets()
    pixels = photo_like(90, 110)
    for kind in (
        pixels,
        pixels.astype(np.uint16) * 257,
        pixels.astype(np.float32) / 255,
        np.dstack([pixels, np.full((90, 110), 255, np.uint8)]),
    ):
        model(kind)
        np.testing.assert_allclose(seen[-1], seen[0], atol=1e-6)
    model(pixels[..., 0])
    np.testing.assert_array_equal(seen[-1], seen[0][..., :1].repeat(3, axis=3))


def test_what_nobody_sees_is_not_looked_at(seen: Seen, runners: list[FakeRunner]) -> None:
    pixels = np.dstack([photo_like(90, 110), np.full((90, 110), 255, np.uint8)])
    pixels[10:40, 10:40, 3] = 0
    other = pixels.copy()
    other[10:40, 10:40, :3] ^= 255
    model = two_sets()
    assert np.array_equal(model(pixels), model(other))
    np.testing.assert_array_equal(seen[0], seen[1])


def test_neither_tiles_nor_memory_change_what_is_looked_at(
    seen: Seen, runners: list[FakeRunner]
) -> None:
    pixels = photo_like(300, 520)
    two_sets(tile=0)(pixels)
    two_sets(tile=128, overlap=16)(pixels)
    two_sets(tile=256, context="tile", precision="bf16", max_memory="1G")(pixels)
    short = two_sets(tile=0, overlap=16)
    short(photo_like(60, 60))
    seen.pop()

    def spoil(batch: Any, run: int) -> Output | None:
        if max(batch.shape[2:]) > 150:
            raise OutOfDeviceMemoryError("full")
        return None

    runners[-1].spoil = spoil
    with pytest.warns(RestoreWarning, match="out of memory"):
        short(pixels)
    assert len(seen) > 3
    for each in seen[1:]:
        np.testing.assert_array_equal(each, seen[0])


@pytest.mark.parametrize("gain", [1.0, -1.0])
def test_tiles_equal_the_whole(gain: float, runners: list[FakeRunner]) -> None:
    pixels = photo_like(300, 400).astype(np.float32) / 255
    whole = two_sets(gain, tile=0)(pixels)
    tiled = two_sets(gain, tile=256, context="whole", overlap=32)
    result = tiled(pixels)
    np.testing.assert_allclose(result, whole, atol=2e-5)
    assert np.array_equal(tiled(pixels), result)


def test_what_is_not_finite_is_computed_again_with_the_same_set(
    runners: list[FakeRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    prepare = prepared.prepare

    def told(spec: NetworkSpec, **options: Any) -> Any:
        made.append(spec.sha256[0])
        return prepare(spec, **options)

    monkeypatch.setattr(prepared, "prepare", told)
    pixels = photo_like(60, 70)
    expected = two_sets()(pixels)
    runners.clear()
    made.clear()
    model = two_sets(precision="bf16")
    model(pixels)
    runners[1].spoil = lambda batch, run: Output(
        np.full((1, 3, *(2 * side for side in batch.shape[2:])), np.nan, np.float32)
    )
    with pytest.warns(RestoreWarning, match="computed again in fp32"):
        assert np.array_equal(model(pixels), expected)
    assert [each.precision for each in runners] == ["bf16", "bf16", "fp32"]
    assert made == ["0", "1", "1"]
    assert not runners[0].shapes


def test_memory_of_the_other_set_is_given_back(
    runners: list[FakeRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    gains = iter([-1.0, 1.0, -1.0])
    monkeypatch.setattr(judge, "advantage", lambda tensors, crops: next(gains))
    model = two_sets()
    released = []
    for _ in range(3):
        model(photo_like(60, 60))
        released.append([each.released for each in runners])
    assert released == [[0], [1, 0], [1, 1]]
    model.release()
    assert [each.released for each in runners] == [2, 2]


def test_one_network_of_the_right_set_computes(
    upscale: Callable[[float], str], tmp_path: Path
) -> None:
    pixels = np.full((50, 60, 3), 100, np.uint8)
    for gain, value in ((1.0, 108), (-1.0, 92)):
        model = mirnet.load(weights=upscale(gain))
        assert np.unique(model(pixels)).tolist() == [value]
        assert np.unique(model(pixels[..., 0])).tolist() == [value]
        assert np.unique(model(pixels[:3, :5])).tolist() == [value]


def test_what_was_chosen_is_said(upscale: Callable[[float], str], tmp_path: Path) -> None:
    Image.fromarray(photo_like(60, 70)).save(tmp_path / "a.png")
    for gain, word in ((1.0, "clean"), (-1.0, "real")):
        model = mirnet.load("denoise", then=f"upscale:weights={upscale(gain)}")
        out = io.BytesIO()
        result = model.file(tmp_path / "a.png", out)
        assert result.input_quality == word
        assert [step.input_quality for step in result.steps] == [None, word]
        assert result.as_dict()["steps"][1]["input_quality"] == word
        xmp = decode(out.getvalue()).metadata.xmp
        assert f"step2.input_quality={word}".encode() in (xmp or b"")
    result = mirnet.load("denoise").file(tmp_path / "a.png", io.BytesIO())
    assert result.input_quality is None


def test_a_crop_is_judged_by_itself(
    seen: Seen, upscale: Callable[[float], str], tmp_path: Path
) -> None:
    pixels = photo_like(100, 120)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    model = mirnet.load(weights=upscale(1.0))
    model.file(tmp_path / "a.png", io.BytesIO(), crop=(20, 10, 48, 48))
    (crops,) = seen
    np.testing.assert_array_equal(crops[0], pixels[10:58, 20:68] / np.float32(255))


@pytest.mark.parametrize(("asked", "value"), [("clean", 108), ("real", 92), ("auto", 92)])
def test_what_is_said_is_not_judged(
    asked: str, value: int, upscale: Callable[[float], str]
) -> None:
    model = mirnet.load(weights=upscale(-1.0), input_quality=asked)
    assert np.unique(model(np.full((50, 60, 3), 100, np.uint8))).tolist() == [value]


def test_what_is_said_is_another_result(upscale: Callable[[float], str]) -> None:
    path = upscale(1.0)
    every = [mirnet.load(weights=path, input_quality=each) for each in ("auto", "clean", "real")]
    assert "input_quality" not in every[0].fingerprint()
    assert len({digest(each, PhotoOptions()) for each in every}) == 3
    chained = mirnet.load("denoise", then=f"upscale:weights={path}", input_quality="clean")
    assert [step.weights.clean is not None for step in chained.steps] == [False, True]


def test_nothing_to_choose_is_told() -> None:
    with pytest.raises(UsageError, match="the model denoise has one set of weights"):
        mirnet.load("denoise", input_quality="clean")
    with pytest.raises(UsageError, match="'dirty' is not one of auto, clean, real"):
        mirnet.load("upscale", input_quality="dirty")


def shipped_twice(gain: float) -> Weights:
    """The shipped weights for real pictures, and others made of them for clean ones."""
    known = resolve("upscale")
    real = replace(known, clean=None, judge=None).network

    def smaller(numbers: Mapping[str, Any], like: Callable[[str], bool]) -> dict[str, Any]:
        return {k: (v / 2).astype(v.dtype) if like(k) else v for k, v in numbers.items()}

    clean = replace(
        real,
        tensors=smaller(real.tensors, lambda key: key.startswith("heads.")),
        integers=smaller(real.integers, lambda key: key.endswith(".scale")),
    )
    return replace(known, clean=clean, judge=verdict(gain))


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_both_sets_are_computed_in_integers_and_floats(precision: str) -> None:
    options: dict[str, Any] = {"precision": precision, "device": "cpu", "scale": 2}
    pixels = photo_like(80, 90)
    for gain in (1.0, -1.0):
        both = shipped_twice(gain)
        alone = both.clean if gain > 0 else both.network
        assert alone is not None
        single = replace(both, network=alone, clean=None, judge=None)
        model = Restorer(both, **options)
        assert model.precision == precision
        assert np.array_equal(model(pixels), Restorer(single, **options)(pixels))
    first, second = (Restorer(shipped_twice(gain), **options)(pixels) for gain in (1.0, -1.0))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("asked", [None, "clean"])
def test_an_export_is_of_one_set(
    asked: str | None, real: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    word = asked or "real"
    both = shipped_twice(1.0)
    files.save(tmp_path / "two.safetensors", both)
    words = ["models", "export", tmp_path / "two.safetensors", tmp_path / "a.onnx"]
    ran = real(*words, *(["--input-quality", asked] if asked else []), "--json")
    assert ran.code == 0, ran.err
    assert f'"input_quality": "{word}"' in ran.out
    assert f"for {word} photos" in ran.err or f"for {word} photos" in ran.out
    x = np.random.default_rng(4).random((96, 128, 3), np.float32)
    from mirnet_cli.runtime.openvino_library import openvino

    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(tmp_path / "a.onnx"), "CPU", hint)
    made = compiled(x.transpose(2, 0, 1)[None])[0][0].transpose(1, 2, 0)
    loaded = files.load(tmp_path / "two.safetensors")
    restorer = Restorer(loaded, input_quality=word, scale=2, precision="fp32", device="cpu")
    np.testing.assert_allclose(made, restorer(x), atol=1e-4)


def test_an_export_of_one_set_has_nothing_to_choose(
    real: Callable[..., Any], tmp_path: Path
) -> None:
    ran = real("models", "export", "denoise", "a.onnx", "--input-quality", "clean")
    assert ran.code == 2
    assert "one set of weights" in ran.err
    assert not (tmp_path / "a.onnx").exists()


def test_converting_keeps_both_sets(
    upscale: Callable[[float], str], real: Callable[..., Any], tmp_path: Path
) -> None:
    given = files.load(Path(upscale(1.0)))
    ran = real("models", "convert", given.path, "b.safetensors", "--licence", "MIT")
    assert ran.code == 0, ran.err
    made = files.load(tmp_path / "b.safetensors")
    assert made.licence == "MIT"
    assert made.clean is not None
    assert made.judge is not None
    assert given.clean is not None
    for key, tensor in given.clean.tensors.items():
        np.testing.assert_array_equal(made.clean.tensors[key], tensor)
    np.testing.assert_array_equal(made.judge["last.bias"], verdict(1.0)["last.bias"])


def test_commands_say_which_set(
    upscale: Callable[[float], str], real: Callable[..., Any], tmp_path: Path
) -> None:
    Image.fromarray(photo_like(60, 70)).save(tmp_path / "a.png")
    words = ["upscale", "a.png", "--overwrite", "--weights", upscale(1.0)]
    ran = real(*words, "--json", "--quiet")
    assert json.loads(ran.out)["input_quality"] == "clean"
    assert "taken for clean, in one piece" in real(*words, "--verbose").err
    ran = real(*words, "--input-quality", "real", "--json", "--quiet")
    assert json.loads(ran.out)["steps"][0]["input_quality"] == "real"


def test_a_variable_is_for_those_that_choose(
    upscale: Callable[[float], str],
    real: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Image.fromarray(photo_like(60, 70)).save(tmp_path / "a.png")
    assert real("denoise", "a.png", "--input-quality", "clean").code == 2
    monkeypatch.setenv("MIRNET_INPUT_QUALITY", "clean")
    assert real("denoise", "a.png").code == 0
    assert real("upscale", "a.png", "--scale", "1").code == 0
    assert real("doctor", "--tiling", "a.png", "--tile", "32").code != 2
    ran = real("upscale", "a.png", "--weights", upscale(-1.0), "--json", "--quiet")
    assert json.loads(ran.out)["input_quality"] == "clean"
