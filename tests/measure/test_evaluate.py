"""Pairs of pictures to figures."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mirnet_cli.errors import InputError, ModelError, ResultError
from mirnet_cli.measure.evaluate import Row, Scores, bicubic, evaluate, summarise
from mirnet_cli.measure.pairs import find_pairs

Pixels = NDArray[Any]


def _picture(seed: int = 0, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(40, 200, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two pairs whose input is five levels too bright."""
    inputs, targets = tmp_path / "input", tmp_path / "target"
    for folder, change, extension in ((inputs, 5, "png"), (targets, 0, "bmp")):
        folder.mkdir()
        for seed, name in enumerate(("a", "b.c")):
            Image.fromarray(_picture(seed) + np.uint8(change)).save(folder / f"{name}.{extension}")
    return inputs, targets


def test_pairs_are_matched_by_name(folders: tuple[Path, Path]) -> None:
    inputs, targets = folders
    (inputs / ".hidden.png").write_bytes(b"x")
    (inputs / "notes.txt").write_text("x")
    (targets / "folder.png").mkdir()
    pairs, warnings = find_pairs(inputs, targets)
    assert [(pair.name, pair.target) for pair in pairs] == [
        ("a", targets / "a.bmp"),
        ("b.c", targets / "b.c.bmp"),
    ]
    assert warnings == []


def test_figures_as_they_are_restored_and_by_doing_nothing(folders: tuple[Path, Path]) -> None:
    pairs, _ = find_pairs(*folders)
    plain = list(evaluate(pairs))
    five = 20 * math.log10(255 / 5)
    assert [row.scores and row.scores.psnr for row in plain] == pytest.approx([five, five])
    better = list(evaluate(pairs, lambda x, profile: x - np.uint8(4), baseline=True))
    summary = summarise(better)
    assert summary.psnr == pytest.approx(20 * math.log10(255))
    assert summary.baseline_psnr == pytest.approx(five)
    assert summary.gain == pytest.approx(20 * math.log10(5))
    assert (summary.pairs, summary.failed, summary.worse, summary.identical) == (2, 0, 0, 0)
    assert (better[0].width, better[0].height) == (32, 24)
    worse = summarise(list(evaluate(pairs, lambda x, profile: x + np.uint8(4), baseline=True)))
    assert worse.worse == 2


def test_equal_pictures_do_not_spoil_the_mean(folders: tuple[Path, Path]) -> None:
    pairs, _ = find_pairs(*folders)
    rows = list(evaluate(pairs, lambda x, profile: x - np.uint8(5 if x[0, 0, 0] == first else 4)))
    summary = summarise(rows)
    assert summary.identical == 1
    assert summary.psnr == pytest.approx(20 * math.log10(255))
    equal = next(row for row in rows if row.scores and math.isinf(row.scores.psnr))
    assert equal.as_dict()["psnr"] is None
    assert equal.as_dict()["identical"] is True
    assert equal.as_dict()["ssim"] == 1


first = int(_picture(0)[0, 0, 0]) + 5


def test_missing_partners_fail_alone(folders: tuple[Path, Path]) -> None:
    inputs, targets = folders
    (targets / "a.bmp").rename(targets / "other.bmp")
    pairs, warnings = find_pairs(inputs, targets)
    assert warnings == ["1 of its pictures have no input"]
    rows = list(evaluate(pairs))
    assert [row.scores is None for row in rows] == [True, False]
    assert "has no partner" in rows[0].error
    summary = summarise(rows)
    assert (summary.pairs, summary.failed) == (2, 1)
    assert rows[0].as_dict()["status"] == "failed"
    assert rows[0].as_dict()["identical"] is False


def test_two_files_of_one_name(folders: tuple[Path, Path]) -> None:
    inputs, targets = folders
    Image.fromarray(_picture(9)).save(inputs / "a.bmp")
    rows = list(evaluate(find_pairs(inputs, targets)[0]))
    assert "have the same name" in rows[0].error
    assert rows[1].scores is not None


@pytest.mark.parametrize("kind", ["missing", "empty", "file", "strangers"])
def test_folders_that_are_none(kind: str, tmp_path: Path, folders: tuple[Path, Path]) -> None:
    other = tmp_path / "other"
    expected = {
        "missing": "no such folder",
        "empty": "no pictures",
        "file": "not a folder",
        "strangers": r"no picture has a partner \(z.png here, a.bmp in",
    }[kind]
    if kind == "file":
        other.write_text("x")
    elif kind != "missing":
        other.mkdir()
    if kind == "strangers":
        Image.fromarray(_picture()).save(other / "z.png")
    with pytest.raises(InputError, match=expected):
        find_pairs(other, folders[1])


def test_sizes_must_fit(folders: tuple[Path, Path]) -> None:
    inputs, targets = folders
    Image.fromarray(_picture(0, 23, 32)).save(inputs / "a.png")
    rows = list(evaluate(find_pairs(inputs, targets)[0]))
    assert "32x23 is not the target's 32x24" in rows[0].error
    rows = list(evaluate(find_pairs(inputs, targets)[0], scale=2))
    assert "32x24 times 2 is not the target's 32x24" in rows[1].error


def test_a_broken_picture_fails_alone(folders: tuple[Path, Path]) -> None:
    inputs, targets = folders
    data = (inputs / "a.png").read_bytes()
    (inputs / "a.png").write_bytes(data[: len(data) // 2])
    rows = list(evaluate(find_pairs(inputs, targets)[0]))
    assert [bool(row.error) for row in rows] == [True, False]


def test_what_hits_one_picture_and_what_hits_all(folders: tuple[Path, Path]) -> None:
    pairs, _ = find_pairs(*folders)

    def unusable(pixels: Pixels, profile: bytes | None) -> Pixels:
        raise ResultError("not finite")

    def unloadable(pixels: Pixels, profile: bytes | None) -> Pixels:
        raise ModelError("not intact")

    assert summarise(list(evaluate(pairs, unusable))).failed == 2
    with pytest.raises(ModelError):
        list(evaluate(pairs, unloadable))


def test_borders_and_small_pictures(folders: tuple[Path, Path]) -> None:
    pairs, _ = find_pairs(*folders)

    def spoil_edges(pixels: Pixels, profile: bytes | None) -> Pixels:
        result = pixels - np.uint8(4)
        result[:2] = result[-2:] = 0
        result[:, :2] = result[:, -2:] = 0
        return result

    rows = list(evaluate(pairs, spoil_edges, border=2))
    assert rows[0].scores is not None
    assert rows[0].scores.psnr == pytest.approx(20 * math.log10(255))
    # 8 pixels high: too small for the window of SSIM.
    rows = list(evaluate(pairs, spoil_edges, border=8))
    assert rows[0].scores is not None
    assert rows[0].scores.ssim is None
    assert summarise(rows).ssim is None
    assert "leaves nothing" in next(evaluate(pairs, border=12)).error


def test_grey_against_colour(tmp_path: Path) -> None:
    inputs, targets = tmp_path / "i", tmp_path / "t"
    inputs.mkdir()
    targets.mkdir()
    grey = _picture()[..., 0]
    Image.fromarray(grey).save(inputs / "a.png")
    Image.fromarray(np.stack([grey] * 3, 2)).save(targets / "a.png")
    for luma in (False, True):
        (row,) = evaluate(find_pairs(inputs, targets)[0], luma=luma)
        assert row.scores == Scores(math.inf, 1.0)


def test_enlarging_is_the_bicubic_that_pillow_has() -> None:
    small = np.array(Image.fromarray(_picture(3)).resize((16, 12), Image.Resampling.BOX))
    for scale in (2, 3, 4):
        ours = bicubic(small, scale).astype(int)
        theirs = Image.fromarray(small).resize((16 * scale, 12 * scale), Image.Resampling.BICUBIC)
        # Pillow renormalises its kernel at edges, where this one repeats the edge pixels.
        edge = 2 * scale
        inner = np.s_[edge:-edge, edge:-edge]
        assert np.abs(ours - np.array(theirs).astype(int))[inner].max() <= 1
    assert bicubic(small, 1) is small


def test_doing_nothing_at_a_scale_is_enlarging(tmp_path: Path) -> None:
    inputs, targets = tmp_path / "i", tmp_path / "t"
    inputs.mkdir()
    targets.mkdir()
    small = _picture()
    Image.fromarray(small).save(inputs / "a.png")
    Image.fromarray(bicubic(small, 2)).save(targets / "a.png")
    (row,) = evaluate(
        find_pairs(inputs, targets)[0],
        lambda x, profile: x.repeat(2, 0).repeat(2, 1),
        scale=2,
        baseline=True,
    )
    assert row.baseline == Scores(math.inf, 1.0)
    assert row.scores is not None
    assert row.scores.psnr < 40
    assert isinstance(row, Row)


def test_profiles_are_minded(tmp_path: Path) -> None:
    inputs, targets = tmp_path / "i", tmp_path / "t"
    inputs.mkdir()
    targets.mkdir()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(_picture()).save(inputs / "a.png", icc_profile=profile)
    Image.fromarray(_picture(1)).save(targets / "a.png")
    given: list[bytes | None] = []

    def restore(pixels: Pixels, profile: bytes | None) -> Pixels:
        given.append(profile)
        return pixels

    (row,) = evaluate(find_pairs(inputs, targets)[0], restore)
    assert given == [profile]
    assert "differs from its target" in row.warnings[0]
    Image.fromarray(_picture(1)).save(targets / "a.png", icc_profile=profile)
    (row,) = evaluate(find_pairs(inputs, targets)[0], restore)
    assert row.warnings == ()
