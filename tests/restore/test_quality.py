"""Two sets of weights in one file: which of them a picture is restored with."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mirnet_cli as mirnet
from mirnet_cli.batches.journal import digest
from mirnet_cli.errors import OutOfMemoryError, UsageError
from mirnet_cli.models import weights as files
from mirnet_cli.models.resolver import resolve
from mirnet_cli.models.weights import Weights
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.photo import decode
from mirnet_cli.restore import PhotoOptions, Restorer, RestoreWarning, loading, prepared
from mirnet_cli.restore.picture import Picture
from mirnet_cli.restore.suited import LOOK, apart, suits
from mirnet_cli.runtime import OWN, Floats, OutOfDeviceMemoryError, Output, Pools
from tests.models.builders import some_weights, tiny_network
from tests.restore.fakes import FakeRunner, make_weights, photo_like


@dataclass
class Scaled(FakeRunner):
    """Whose residual is so many times that of other fakes."""

    part: str = "network"
    times: float = 1.0

    def run(self, batch: Floats, pools: Pools = OWN) -> Output:
        made = super().run(batch, pools)
        return replace(made, residual=made.residual * np.float32(self.times))


@dataclass
class Fakes:
    """The runners that are made, in order, and what the two sets are compared by.

    Attributes:
        times: what the weights for clean pictures add, over what the others do.
        looks: what was shown for comparing.
    """

    times: float = 1.0
    made: list[Scaled] = field(default_factory=list)
    looks: list[np.ndarray] = field(default_factory=list)

    def parts(self) -> list[str]:
        return [each.part for each in self.made]

    def restorer(self, **options: Any) -> Restorer:
        weights = make_weights(scales=(2,))
        clean = replace(weights.network, sha256="1" * 64)
        return Restorer(replace(weights, clean=clean), scale=2, **options)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    fakes = Fakes()

    def prepare(spec: NetworkSpec, *, scale: int | None, **options: str) -> Scaled:
        part = "clean" if spec.sha256 == "1" * 64 else "network"
        times = fakes.times if part == "clean" else 1.0
        precision = options["precision"].replace("auto", "fp32")
        fakes.made.append(Scaled(8, scale or 1, precision, part=part, times=times))
        return fakes.made[-1]

    def compared(
        picture: Picture, scale: int, stride: int, real: Callable[..., Any], clean: Any
    ) -> float:
        def seen(x: Floats) -> Any:
            fakes.looks.append(x.copy())
            return real(x)

        return apart(picture, scale, stride, seen, clean)

    monkeypatch.setattr(prepared, "prepare", prepare)
    monkeypatch.setattr(prepared, "apart", compared)
    return fakes


_REAL, _CLEAN, _FAR = {False: -8, True: 8}, {False: 8, True: 9}, -1.0


@pytest.fixture
def upscale(tmp_path: Path) -> Callable[[bool], str]:
    """Makes a file whose two sets agree (they add 8 and 9 of 255) or do not (-8 and 8)."""

    def make(agree: bool) -> str:
        path = tmp_path / f"agree{agree:d}.safetensors"
        # A network at zero but for its biases: it adds the same to each pixel.
        real, clean = (
            replace(each, tensors={k: v * ("bias" in k) for k, v in each.tensors.items()})
            for each in (tiny_network(levels[agree], scales=[2]) for levels in (_REAL, _CLEAN))
        )
        made = {"name": "two", "task": "upscale", "scales": (2,), "base": "bicubic"}
        files.save(path, some_weights(**made, network=real, clean=clean))
        return str(path)

    return make


@pytest.mark.parametrize(
    ("times", "chosen"), [(1.0, "clean"), (1.5, "clean"), (1.8, "real"), (_FAR, "real")]
)
def test_the_networks_decide_and_one_restores(fakes: Fakes, times: float, chosen: str) -> None:
    # Of 1.5 and 1.8 times they differ by 0.111 and 0.198.
    fakes.times = times
    fakes.restorer()(photo_like(300, 400))
    used = {"clean": 3, "real": 2}[chosen]
    assert fakes.parts() == ["network", "network", "clean", "clean"][: used + 1]
    large = [[shape for shape in each.shapes if max(shape) > LOOK] for each in fakes.made]
    assert bool(large[0]) is (chosen == "real")
    assert large[1:3] == [[], []]


def test_what_clean_is() -> None:
    assert [suits(each) for each in (0.0, 0.139, 0.14, 1000.0)] == ["clean"] * 2 + ["real"] * 2


def _compared(
    pixels: np.ndarray, around: int = 0
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """What is seen, the result, and two residuals of noise that it was made of."""
    seen: list[np.ndarray] = []
    random = np.random.default_rng(1)
    made = [random.standard_normal((LOOK * 2, LOOK * 2, 3)).astype(np.float32) for _ in range(2)]

    def add(which: int) -> Callable[[Floats], Floats]:
        def run(x: Floats) -> Floats:
            seen.append(x)
            return made[which][: 2 * x.shape[0], : 2 * x.shape[1]]

        return run

    found = apart(Picture(pixels, around=around), 2, 8, add(0), add(1))
    np.testing.assert_array_equal(seen[0], seen[1])
    return seen[0], found, made[0], made[1]


@pytest.mark.parametrize("around", [0, 33])
def test_pieces_are_from_all_over_the_picture(around: int) -> None:
    pixels = photo_like(500, 700)
    seen, found, real, clean = _compared(pixels, around)
    counted = np.zeros((LOOK, LOOK), bool)
    for row, top in enumerate((0, 150, 301, 452)):
        for column, left in enumerate((0, 217, 434, 652)):
            part = seen[48 * row :, 48 * column :][:48, :48]
            wanted = pixels[top : top + 48, left : left + 48] / np.float32(255)
            np.testing.assert_array_equal(part, wanted)
            counted[48 * row + 8 : 48 * row + 40, 48 * column + 8 : 48 * column + 40] = True
    counted = counted.repeat(2, 0).repeat(2, 1)
    difference = np.square(real - clean, dtype=np.float64)[counted].sum()
    whole = np.square(clean, dtype=np.float64)[counted].sum()
    assert found == pytest.approx(difference / whole, rel=1e-9)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (60, 192), (192, 70)])
def test_a_small_picture_is_looked_at_whole(height: int, width: int) -> None:
    pixels = photo_like(height, width)
    seen, found, real, clean = _compared(pixels)
    np.testing.assert_array_equal(seen[:height, :width], pixels / np.float32(255))
    assert [side % 8 for side in seen.shape[:2]] == [0, 0]
    parts = [each[: 2 * height, : 2 * width].astype(np.float64) for each in (real, clean)]
    difference = np.square(parts[0] - parts[1]).sum()
    assert found == pytest.approx(difference / np.square(parts[1]).sum(), rel=1e-5)


def test_a_side_that_is_long_is_looked_at_in_pieces() -> None:
    pixels = photo_like(50, 1000)
    seen, *_ = _compared(pixels)
    assert seen.shape == (56, LOOK, 3)
    np.testing.assert_array_equal(seen[:50, -48:], pixels[:, -48:] / np.float32(255))


def test_nothing_to_add_agrees() -> None:
    def constant(value: float) -> Callable[[Floats], Floats]:
        return lambda x: np.full((2 * x.shape[0], 2 * x.shape[1], 3), value, np.float32)

    picture = Picture(photo_like(20, 20))
    assert apart(picture, 2, 8, constant(0), constant(0)) == 0
    assert apart(picture, 2, 8, constant(1e-9), constant(0)) == 1000
    assert apart(picture, 2, 8, constant(1), constant(1e-6)) == 1000


def test_any_kind_of_picture_is_looked_at(fakes: Fakes) -> None:
    model = fakes.restorer()
    pixels = photo_like(90, 310)
    for kind in (
        pixels,
        pixels.astype(np.uint16) * 257,
        pixels.astype(np.float32) / 255,
        np.dstack([pixels, np.full((90, 310), 255, np.uint8)]),
    ):
        model(kind)
        np.testing.assert_allclose(fakes.looks[-1], fakes.looks[0], atol=1e-6)
    model(pixels[..., 0])
    wanted = fakes.looks[0][..., :1].repeat(3, axis=2)
    np.testing.assert_array_equal(fakes.looks[-1], wanted)


def test_what_nobody_sees_is_not_looked_at(fakes: Fakes) -> None:
    pixels = np.dstack([photo_like(90, 110), np.full((90, 110), 255, np.uint8)])
    pixels[10:40, 10:40, 3] = 0
    other = pixels.copy()
    other[10:40, 10:40, :3] ^= 255
    model = fakes.restorer()
    assert np.array_equal(model(pixels), model(other))
    np.testing.assert_array_equal(fakes.looks[0], fakes.looks[1])


def test_neither_tiles_nor_memory_change_what_is_looked_at(fakes: Fakes) -> None:
    pixels = photo_like(300, 520)
    fakes.restorer(tile=0)(pixels)
    fakes.restorer(tile=128, overlap=16)(pixels)
    fakes.restorer(tile=256, context="tile", precision="bf16", max_memory="1G")(pixels)
    fakes.restorer()(pixels, ensemble=True)
    short = fakes.restorer(tile=0, overlap=16)
    short(photo_like(60, 60))
    fakes.looks.pop()

    def spoil(batch: Any, run: int) -> Output | None:
        if max(batch.shape[2:]) > 220:
            raise OutOfDeviceMemoryError("full")
        return None

    fakes.made[-1].spoil = spoil
    with pytest.warns(RestoreWarning, match="out of memory"):
        short(pixels)
    # Not again for smaller tiles.
    assert len(fakes.looks) == 5
    for each in fakes.looks[1:]:
        np.testing.assert_array_equal(each, fakes.looks[0])


@pytest.mark.parametrize("times", [1.2, _FAR])
def test_tiles_equal_the_whole(times: float, fakes: Fakes) -> None:
    fakes.times = times
    pixels = photo_like(300, 400).astype(np.float32) / 255
    whole = fakes.restorer(tile=0)(pixels)
    tiled = fakes.restorer(tile=256, context="whole", overlap=32)
    result = tiled(pixels)
    np.testing.assert_allclose(result, whole, atol=2e-5)
    assert np.array_equal(tiled(pixels), result)


def _nothing(batch: Floats, run: int) -> Output:
    height, width = batch.shape[2:]
    return Output(np.full((1, 3, 2 * height, 2 * width), np.nan, np.float32))


def _spoil_once(fakes: Fakes, number: int, pixels: np.ndarray) -> None:
    """One of the networks in bfloat16 gives nothing finite: the result is as if it had."""
    fakes.times = 1.2
    expected = fakes.restorer()(pixels)
    fakes.made.clear()
    model = fakes.restorer(precision="bf16")
    model(pixels)
    fakes.made[number].spoil = _nothing
    with pytest.warns(RestoreWarning, match="1 result was not finite"):
        assert np.array_equal(model(pixels), expected)


def test_what_is_not_finite_is_computed_again_with_the_same_set(fakes: Fakes) -> None:
    _spoil_once(fakes, 3, photo_like(60, 70))
    assert fakes.parts() == ["network", "network", "clean", "clean", "clean"]
    assert [each.precision for each in fakes.made] == ["bf16"] * 4 + ["fp32"]
    assert not fakes.made[0].shapes


def test_what_is_compared_is_computed_again_too(fakes: Fakes) -> None:
    pixels = photo_like(60, 70)
    _spoil_once(fakes, 1, pixels)
    # What is finite in no precision is not for clean pictures.
    fakes.made[2].spoil = _nothing
    for each in fakes.made[4:]:
        each.spoil = _nothing
    exact = fakes.restorer(precision="fp32")
    exact(pixels)
    fakes.made[-2].spoil = _nothing
    fakes.times = _FAR
    real = fakes.restorer(precision="fp32")(pixels)
    assert np.array_equal(exact(pixels), real)


def test_memory_of_the_other_set_is_given_back(fakes: Fakes) -> None:
    model = fakes.restorer()
    released = []
    for times in (1.0, _FAR, 1.0):
        model(photo_like(60, 60))
        released.append([fakes.made[n].released for n in (0, 3)])
        fakes.made[2].times = {1.0: _FAR, _FAR: 1.0}[times]
    assert released == [[1, 0], [1, 1], [2, 1]]
    model.release()
    assert [each.released for each in fakes.made] == [3, 1, 1, 2]


@pytest.mark.parametrize(("memory", "held"), [("4G", True), ("440M", False)])
def test_memory_for_looking_is_kept_where_there_is_some(
    memory: str, held: bool, fakes: Fakes
) -> None:
    model = fakes.restorer(max_memory=memory)
    for _ in range(2):
        model(photo_like(600, 800))
    looks = [each.released for each in fakes.made[1:3]]
    assert looks == ([0, 0] if held else [2, 2])
    said = fakes.restorer(max_memory=memory, input_quality="real")
    more = model.foresee(800, 600).memory - said.foresee(800, 600).memory
    assert more == (2 * LOOK**2 * model._network.need.whole if held else 0)


def test_looking_needs_what_is_held_for_other_pictures(fakes: Fakes) -> None:
    pixels = photo_like(60, 70)
    expected = fakes.restorer()(pixels)
    fakes.made.clear()
    model = fakes.restorer()
    model(photo_like(300, 400))
    held = fakes.made[0]

    def full(batch: Any, run: int) -> Output | None:
        if not held.released:
            raise OutOfDeviceMemoryError("full")
        return None

    held.released = 0
    fakes.made[2].spoil = full
    assert np.array_equal(model(pixels), expected)
    assert held.released


def test_no_memory_for_looking_is_an_error_with_a_remedy(fakes: Fakes) -> None:
    model = fakes.restorer()
    model(photo_like(60, 70))

    def full(batch: Any, run: int) -> Output | None:
        raise OutOfDeviceMemoryError("full")

    fakes.made[1].spoil = full
    with pytest.raises(OutOfMemoryError, match="or give input_quality"):
        model(photo_like(60, 70))


def test_a_file_restores_with_the_set_that_suits(upscale: Callable[[bool], str]) -> None:
    pixels = np.full((50, 60, 3), 100, np.uint8)
    for agree, value in ((True, 109), (False, 92)):
        model = mirnet.load(weights=upscale(agree))
        assert np.unique(model(pixels)).tolist() == [value]
        assert np.unique(model(pixels[..., 0])).tolist() == [value]
        assert np.unique(model(pixels[:3, :5])).tolist() == [value]


def test_what_was_chosen_is_said(upscale: Callable[[bool], str], tmp_path: Path) -> None:
    Image.fromarray(photo_like(60, 70)).save(tmp_path / "a.png")
    for agree, word, differ in ((True, "clean", 1 / 81), (False, "real", 4)):
        model = mirnet.load("denoise", then=f"upscale:weights={upscale(agree)}")
        out = io.BytesIO()
        result = model.file(tmp_path / "a.png", out)
        assert result.input_quality == word
        first, second = result.as_dict()["steps"]
        assert (first["input_quality"], first["apart"]) == (None, None)
        assert second["input_quality"] == word
        assert second["apart"] == pytest.approx(differ, rel=0.2)
        xmp = decode(out.getvalue()).metadata.xmp
        assert f"step2.input_quality={word}".encode() in (xmp or b"")
    result = mirnet.load("denoise").file(tmp_path / "a.png", io.BytesIO())
    assert result.input_quality is None


def test_a_crop_is_looked_at_by_itself(fakes: Fakes, tmp_path: Path) -> None:
    pixels = photo_like(100, 120)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    fakes.restorer().file(tmp_path / "a.png", io.BytesIO(), crop=(20, 10, 48, 56))
    (look,) = fakes.looks
    np.testing.assert_array_equal(look, pixels[10:66, 20:68] / np.float32(255))


@pytest.mark.parametrize(("asked", "value"), [("clean", 8), ("real", -8), ("auto", -8)])
def test_what_is_said_is_not_looked_at(
    asked: str, value: int, upscale: Callable[[bool], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mirnet.load(weights=upscale(False), input_quality=asked)
    if asked != "auto":
        monkeypatch.delattr(prepared, "apart")
    assert np.unique(model(np.full((50, 60, 3), 100, np.uint8))).tolist() == [100 + value]


def test_what_is_said_is_another_result(upscale: Callable[[bool], str]) -> None:
    path = upscale(True)
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


@pytest.mark.parametrize(
    ("sets", "asked", "error"),
    [
        (2, {}, "auto enlarges only with to or megapixels"),
        (1, {"to": (99, 99)}, "the model upscale has one set of weights"),
        (2, {"to": (99, 99)}, None),
        (2, {"megapixels": 1}, None),
    ],
)
def test_a_run_that_chooses_the_steps_has_to_enlarge(
    sets: int, asked: dict[str, Any], error: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = shipped_twice() if sets == 2 else replace(resolve("upscale"), clean=None)

    def resolved(task: str, **named: Any) -> Weights:
        return both if task == "upscale" else resolve(task, **named)

    monkeypatch.setattr(loading, "resolve", resolved)
    if error is None:
        model = mirnet.load("auto", auto=asked, input_quality="clean")
        assert model.fingerprint()["input_quality"] == "clean"
    else:
        with pytest.raises(UsageError, match=error):
            mirnet.load("auto", auto=asked, input_quality="clean")


def shipped_twice() -> Weights:
    """The shipped weights for real pictures, and others made of them for clean ones."""
    known = resolve("upscale")
    real = known.network

    def smaller(numbers: Mapping[str, Any], like: Callable[[str], bool]) -> dict[str, Any]:
        return {k: (v / 2).astype(v.dtype) if like(k) else v for k, v in numbers.items()}

    clean = replace(
        real,
        tensors=smaller(real.tensors, lambda key: key.startswith("heads.")),
        integers=smaller(real.integers, lambda key: key.endswith(".scale")),
    )
    return replace(known, clean=clean)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_both_sets_are_computed_in_integers_and_floats(precision: str) -> None:
    options: dict[str, Any] = {"precision": precision, "device": "cpu", "scale": 2}
    pixels = photo_like(80, 90)
    both, found = shipped_twice(), {}
    assert both.clean is not None
    for asked, alone in (("clean", both.clean), ("real", both.network), ("auto", both.network)):
        single = replace(both, network=alone, clean=None)
        model = Restorer(both, input_quality=asked, **options)
        assert model.precision == precision
        # Half of what the one adds is far from it.
        found[asked] = model(pixels)
        assert np.array_equal(found[asked], Restorer(single, **options)(pixels))
    assert not np.array_equal(found["clean"], found["real"])


@pytest.mark.parametrize("asked", [None, "clean"])
def test_an_export_is_of_one_set(
    asked: str | None, real: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    word = asked or "real"
    both = shipped_twice()
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
    upscale: Callable[[bool], str], real: Callable[..., Any], tmp_path: Path
) -> None:
    given = files.load(Path(upscale(True)))
    ran = real("models", "convert", given.path, "b.safetensors", "--licence", "MIT")
    assert ran.code == 0, ran.err
    made = files.load(tmp_path / "b.safetensors")
    assert made.licence == "MIT"
    assert made.clean is not None
    assert given.clean is not None
    for key, tensor in given.clean.tensors.items():
        np.testing.assert_array_equal(made.clean.tensors[key], tensor)


def test_commands_say_which_set(
    upscale: Callable[[bool], str], real: Callable[..., Any], tmp_path: Path
) -> None:
    Image.fromarray(photo_like(60, 70)).save(tmp_path / "a.png")
    words = ["upscale", "a.png", "--overwrite", "--weights", upscale(True)]
    ran = real(*words, "--json", "--quiet")
    assert json.loads(ran.out)["input_quality"] == "clean"
    assert "taken for clean, in one piece" in real(*words, "--verbose").err
    ran = real(*words, "--input-quality", "real", "--json", "--quiet")
    assert json.loads(ran.out)["steps"][0]["input_quality"] == "real"


def test_a_variable_is_for_those_that_choose(
    upscale: Callable[[bool], str],
    real: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Image.fromarray(photo_like(60, 70)).save(tmp_path / "a.png")
    assert real("denoise", "a.png", "--input-quality", "clean").code == 2
    monkeypatch.setenv("MIRNET_INPUT_QUALITY", "clean")
    assert real("denoise", "a.png").code == 0
    assert real("upscale", "a.png", "--scale", "1").code == 0
    assert real("auto", "a.png").code == 0
    assert real("doctor", "--tiling", "a.png", "--tile", "32").code != 2
    ran = real("upscale", "a.png", "--weights", upscale(False), "--json", "--quiet")
    assert json.loads(ran.out)["input_quality"] == "clean"
