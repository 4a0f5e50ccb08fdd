"""From file to file."""

import dataclasses
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.errors import InputError, OutputError, UsageError
from mirnet_cli.photo import cicp, decode, encode
from mirnet_cli.restore import PhotoOptions, Restorer, load
from tests.photo import test_regions
from tests.restore.fakes import FakeRunner, photo_like

Make = Callable[..., Restorer]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo_like(50, 70)).save(path)
    return path


def test_a_file_is_the_array_restored(restorer: Make, photo: Path, tmp_path: Path) -> None:
    model = restorer(overlap=16, tile=40)
    target = tmp_path / "out.png"
    result = model.file(photo, target)
    assert np.array_equal(decode(target).pixels, model(photo_like(50, 70)))
    assert (result.status, result.error) == ("done", None)
    assert (result.input, result.output) == (str(photo), str(target))
    assert (result.width, result.height, result.output_width) == (70, 50, 70)
    assert (result.tile, result.overlap, result.context) == (40, 16, "refine")
    assert result.megapixels == pytest.approx(0.0035)
    again = json.loads(json.dumps(result.as_dict()))
    assert again["sha256"] == "0" * 64
    assert set(again) == {field.name for field in dataclasses.fields(result)}


def test_the_same_photo_gives_the_same_file(restorer: Make, photo: Path, tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        restorer().file(photo, tmp_path / name)
    assert (tmp_path / "1.jpg").read_bytes() == (tmp_path / "2.jpg").read_bytes()


def test_bytes_go_to_a_stream(restorer: Make, photo: Path) -> None:
    stream = io.BytesIO()
    result = restorer().file(photo.read_bytes(), stream)
    assert (result.input, result.output) == ("-", "-")
    assert Image.open(stream).format == "PNG"
    stream = io.BytesIO()
    restorer().file(photo.read_bytes(), stream, format="WEBP")
    assert Image.open(stream).format == "WEBP"


def test_a_photo_of_a_wrong_name_is_named(restorer: Make, photo: Path, tmp_path: Path) -> None:
    wrong = photo.rename(tmp_path / "wrong.JPG")
    result = restorer().file(wrong, tmp_path / "wrong-restored.JPG")
    assert Image.open(tmp_path / "wrong-restored.JPG").format == "JPEG"
    (warning,) = result.warnings
    assert "is PNG, whatever its name says, and was written as JPEG" in warning
    assert 'format="png"' in warning
    for name, format in (("kept.JPG", "PNG"), ("right.png", None), ("another.webp", None)):
        assert restorer().file(wrong, tmp_path / name, format=format).warnings == ()


def test_a_crop_is_all_there_is(restorer: Make, photo: Path, tmp_path: Path) -> None:
    model = restorer()
    result = model.file(photo, tmp_path / "out.png", crop=(10, 5, 30, 20))
    assert (result.width, result.height) == (30, 20)
    expected = model(np.ascontiguousarray(photo_like(50, 70)[5:25, 10:40]))
    assert np.array_equal(decode(tmp_path / "out.png").pixels, expected)


def test_what_metadata_says_of_places_is_cut_and_enlarged_too(
    restorer: Make, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(encode(test_regions.source()).data)
    model = restorer(scales=(2,), scale=2)
    model.file(tmp_path / "a.png", tmp_path / "b.png", crop=(4, 2, 40, 30))
    x, y = test_regions.MIDDLE
    wanted = (2 * (x - 4), 2 * (y - 2), 2 * test_regions.ACROSS, 2 * test_regions.DOWN)
    assert test_regions.numbers(decode(tmp_path / "b.png"), 0x9214) == wanted


@pytest.mark.parametrize("crop", [(60, 0, 20, 10), (0, 45, 10, 10), (70, 50, 1, 1)])
def test_a_crop_beyond_the_photo(
    restorer: Make, photo: Path, tmp_path: Path, crop: tuple[int, int, int, int]
) -> None:
    with pytest.raises(InputError, match="70x50"):
        restorer().file(photo, tmp_path / "out.png", crop=crop)


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        *(("crop", crop) for crop in [(-1, 0, 5, 5), (0, 0, 0, 5), (0, 0, 5), 5, "0,0,5"]),
        *(("crop", (0, 0, wrong, 5)) for wrong in (10.5, "10", None)),
        *(("quality", quality) for quality in (0, 101, 90.5, "best")),
        *(("strength", strength) for strength in (-0.1, 2, float("nan"), "half", None)),
    ],
)
def test_a_value_that_is_none_is_known_before_any_work(
    restorer: Make, tmp_path: Path, option: str, wrong: Any
) -> None:
    with pytest.raises(UsageError, match=f"{option}: .* (is not|has no) "):
        restorer().file(tmp_path / "missing.png", tmp_path / "out.png", **{option: wrong})


def test_values_of_numpy_are_as_good(restorer: Make, photo: Path, tmp_path: Path) -> None:
    photo.write_bytes(encode(test_regions.source()).data)
    numbers = np.array([10, 5, 30, 20])
    for crop in (numbers, iter(numbers)):
        options: dict[str, Any] = {"strength": np.float32(0.5), "quality": np.int64(90)}
        result = restorer().file(photo, tmp_path / "out.jpg", crop=crop, overwrite=True, **options)
        assert (result.width, result.height) == (30, 20)


def test_an_existing_target_is_refused_before_any_work(
    restorer: Make, runners: list[FakeRunner], photo: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists"):
        restorer().file(photo, target)
    assert target.read_bytes() == b"precious"
    assert not runners[0].shapes
    restorer().file(photo, target, overwrite=True)
    assert decode(target).pixels.shape == (50, 70, 3)


def test_a_target_that_appears_during_the_work_is_not_lost(
    restorer: Make, runners: list[FakeRunner], photo: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    model = restorer()
    runners[0].spoil = lambda batch, run: target.write_bytes(b"precious") and None
    with pytest.raises(OutputError, match="exists"):
        model.file(photo, target)
    assert target.read_bytes() == b"precious"


def test_a_source_that_goes_during_the_work_takes_nothing_along(
    restorer: Make, runners: list[FakeRunner], photo: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    photo.chmod(0o604)
    os.utime(photo, (1_000_000_000, 1_100_000_000))
    model = restorer()
    runners[0].spoil = lambda batch, run: photo.unlink()
    model.file(photo, target, preserve=True)
    assert target.stat().st_mtime == 1_100_000_000
    assert target.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("alias", ["same", "symlink"])
def test_a_source_that_changes_during_the_work_is_not_replaced(
    restorer: Make, runners: list[FakeRunner], photo: Path, tmp_path: Path, alias: str
) -> None:
    target = photo if alias == "same" else tmp_path / "alias.png"
    if alias == "symlink":
        target.symlink_to(photo)
    model = restorer()
    runners[0].spoil = lambda batch, run: photo.write_bytes(b"edited") and None
    with pytest.raises(OutputError, match="changed while it was worked on"):
        model.file(photo, target, overwrite=True)
    assert photo.read_bytes() == b"edited"


@pytest.mark.parametrize("alias", ["same", "link", "symlink"])
def test_the_source_is_safe(restorer: Make, photo: Path, tmp_path: Path, alias: str) -> None:
    before = photo.read_bytes()
    target = photo if alias == "same" else tmp_path / "alias.png"
    if alias == "link":
        os.link(photo, target)
    elif alias == "symlink":
        target.symlink_to(photo)
    with pytest.raises(UsageError, match="same file"):
        restorer().file(photo, target)
    assert photo.read_bytes() == before
    restorer().file(photo, target, overwrite=True)
    assert photo.read_bytes() != before or alias == "link"


def test_a_target_without_a_place(restorer: Make, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder"):
        restorer().file(photo, tmp_path / "missing/out.png")
    with pytest.raises(UsageError, match="output and input are the same file; use overwrite=True"):
        restorer().file(photo, tmp_path)


def test_times_are_kept_when_asked(restorer: Make, photo: Path, tmp_path: Path) -> None:
    os.utime(photo, (1_000_000_000, 1_100_000_000))
    restorer().file(photo, tmp_path / "kept.png", preserve=True)
    restorer().file(photo, tmp_path / "new.png")
    assert (tmp_path / "kept.png").stat().st_mtime == 1_100_000_000
    assert (tmp_path / "new.png").stat().st_mtime != 1_100_000_000


def test_grey_and_alpha_stay(restorer: Make, tmp_path: Path) -> None:
    model = restorer(scales=(2,), scale=2)
    grey = tmp_path / "grey.png"
    Image.fromarray(photo_like(20, 30)[..., 0]).save(grey)
    model.file(grey, tmp_path / "grey2.png")
    assert decode(tmp_path / "grey2.png").pixels.shape == (40, 60)
    clear = tmp_path / "clear.png"
    Image.fromarray(np.dstack([photo_like(20, 30), photo_like(20, 30)[..., 0]])).save(clear)
    model.file(clear, tmp_path / "clear2.png")
    result = decode(tmp_path / "clear2.png")
    assert result.alpha is not None
    assert result.alpha.shape == (40, 60)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_are_those_of_the_photo(restorer: Make, photo: Path, tmp_path: Path) -> None:
    photo.chmod(0o640)
    model, target = restorer(), tmp_path / "out.png"
    model.file(photo, target)
    assert target.stat().st_mode & 0o777 == 0o640
    target.chmod(0o604)
    model.file(photo, target, overwrite=True)
    assert target.stat().st_mode & 0o777 == 0o604


def test_a_format_that_cannot_be_written_is_refused_before_any_work(
    restorer: Make, runners: list[FakeRunner], photo: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        restorer().file(photo, tmp_path / "out.dng")
    assert not runners[0].shapes


def test_a_result_too_large_for_its_format_is_refused_before_any_work(
    restorer: Make, runners: list[FakeRunner], tmp_path: Path
) -> None:
    Image.new("RGB", (9000, 8)).save(tmp_path / "wide.webp")
    model = restorer(scales=(2,), scale=2)
    for target, format in (("out.webp", None), ("out", None), ("out.png", "webp")):
        with pytest.raises(InputError, match="16383 pixels a side, and these are 18000x16"):
            model.file(tmp_path / "wide.webp", tmp_path / target, format=format)
    assert not runners[0].shapes
    model.read(tmp_path / "wide.webp", tmp_path / "out.webp", PhotoOptions(crop=(0, 0, 8000, 8)))
    model.read(tmp_path / "wide.webp", tmp_path / "out.png", PhotoOptions())


@pytest.mark.parametrize("task", ["denoise", "upscale"])
@pytest.mark.parametrize("linear", [False, True])
def test_very_dark_pictures_keep_their_shadows(task: str, linear: bool) -> None:
    """The darkest three levels of 8 bits, in 16, through the weights that ship."""
    across = np.mgrid[:64, :256][1]
    noise = np.random.default_rng(0).integers(0, 30, (64, 256, 3))
    pixels = (across[..., None] * 3 + noise).astype(np.uint16)
    model = load(task, scale=1 if task == "upscale" else None, device="cpu")
    result = model(pixels, profile=cicp.from_points(1, 8) if linear else None)
    before, after = (
        each.astype(float).reshape(64, 16, 16, 3).mean(axis=(0, 2, 3)) for each in (pixels, result)
    )
    assert len(np.unique(result)) > 500
    assert np.abs(after - before).max() < (20 if linear else 128)
    assert (np.diff(after) > 0).all()


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP", "JPEG", "WEBP"])
def test_a_quality_that_a_lossless_format_does_not_take_is_said(name: str) -> None:
    from mirnet_cli.photo.options import QUALITY_UNUSED

    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (90, 80, 70)).save(buffer, name)
    photo = decode(buffer.getvalue())
    lossless = name in ("PNG", "TIFF", "BMP")
    said = [each for each in encode(photo, quality=80).warnings if QUALITY_UNUSED in each]
    assert bool(said) is lossless
    assert QUALITY_UNUSED not in " ".join(encode(photo).warnings)


@pytest.mark.parametrize("target", ["file.txt/out.png", "file.txt/a/b/out.png"])
def test_a_file_where_a_folder_would_have_to_be(tmp_path: Path, target: str) -> None:
    from mirnet_cli.restore.outcome import check

    file = tmp_path / "file.txt"
    file.touch()
    (tmp_path / "a.png").touch()
    with pytest.raises(OutputError) as caught:
        check(tmp_path / "a.png", tmp_path / target)
    assert caught.value.subject == str(tmp_path / target)
    assert f"{file} is not a folder" in str(caught.value)
