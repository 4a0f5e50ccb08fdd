"""One amount of light for photos that were shot together."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mirnet_cli
from mirnet_cli.photo import decode
from mirnet_cli.restore import PhotoOptions, series
from mirnet_cli.restore.series import Shot
from tests.restore.test_light import as_integers, scene

NOON = datetime(2026, 6, 1, 12, 0, 0)


def shot(name: str, minutes: float | None = None, asked: float = 1.0, camera: str = "A") -> Shot:
    taken = None if minutes is None else NOON + timedelta(minutes=minutes)
    return Shot(Path(name), asked, camera, taken)


def names(shots: list[Shot]) -> list[set[str]]:
    return [{each.source.name for each in group} for group in series.series(shots)]


def test_a_pause_another_camera_and_another_folder_part_photos() -> None:
    shots = [shot("x/a", 0), shot("x/b", 9), shot("x/d", 60), shot("x/c", 18)]
    assert names(shots) == [{"a", "b", "c"}, {"d"}]
    assert names([shot("x/a", 0), shot("x/b", 0, camera="B")]) == [{"a"}, {"b"}]
    assert names([shot("x/a", 0), shot("y/b", 0)]) == [{"a"}, {"b"}]


def test_photos_without_a_time_are_together_by_their_folder() -> None:
    shots = [shot("x/a"), shot("x/b", camera="B"), shot("y/c"), shot("x/d", 0)]
    assert names(shots) == [{"a", "b"}, {"c"}, {"d"}]


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, brightness: float, taken: str = "") -> Path:
        path = tmp_path / name
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Maker", "Camera"
        if taken:
            exif.get_ifd(0x8769)[0x9003] = taken
        Image.fromarray(as_integers(np.clip(scene() * brightness, 0, 1))).save(path, exif=exif)
        return path

    return make


def test_a_series_gets_the_median_of_what_its_photos_ask(
    tmp_path: Path, photo: Callable[..., Path]
) -> None:
    times = ["2026:06:01 12:00:00", "2026:06:01 12:04:00", "2026:06:01 12:08:00"]
    paths = [
        photo(f"{i}.jpg", bright, taken)
        for i, (bright, taken) in enumerate(zip((0.6, 1.0, 2.2), times, strict=True))
    ]
    later = photo("later.jpg", 2.2, "2026:06:01 19:00:00")
    restorer = mirnet_cli.load("enhance", device="cpu")
    alone = {path: restorer.file(path, tmp_path / f"o{path.stem}.jpg").ev for path in paths}
    assert len(set(alone.values())) == 3
    found = list(
        mirnet_cli.batch(restorer, [*paths, later], into=tmp_path / "out", same_light=True)
    )
    given = {Path(each.input).name: each.ev for each in found}
    middle = sorted(ev for ev in alone.values() if ev is not None)[1]
    assert len({given[path.name] for path in paths}) == 1
    assert given["0.jpg"] == pytest.approx(middle, abs=0.011)
    assert given["later.jpg"] != given["0.jpg"]


def test_a_series_that_was_stopped_goes_on_with_the_same_light(
    tmp_path: Path, photo: Callable[..., Path]
) -> None:
    paths = [photo(f"{i}.png", bright) for i, bright in enumerate((0.6, 1.0, 2.2))]
    restorer = mirnet_cli.load("enhance", device="cpu")
    whole = list(mirnet_cli.batch(restorer, paths, into=tmp_path / "out", same_light=True))
    (tmp_path / "out" / "2.png").unlink()
    again = list(mirnet_cli.batch(restorer, paths, into=tmp_path / "out", same_light=True))
    assert [each.status for each in again].count("done") == 1
    (done,) = [each for each in again if each.status == "done"]
    assert done.ev == whole[0].ev


def test_more_than_asked_and_photos_that_cannot_be_read(
    tmp_path: Path, photo: Callable[..., Path]
) -> None:
    good, bad = photo("a.png", 1.0), tmp_path / "b.png"
    bad.write_bytes(b"no picture")
    restorer = mirnet_cli.load("enhance", device="cpu")
    alone = restorer.file(good, tmp_path / "alone.png").ev
    assert alone is not None
    options = PhotoOptions(ev="auto-0.5", same_light=True)
    given = series.amounts(restorer, [good, bad], options)
    assert given == {good: pytest.approx(alone - 0.5, abs=0.011)}


@pytest.mark.parametrize("task", ["denoise", "auto"])
def test_several_steps_give_a_series_one_light(
    tmp_path: Path, photo: Callable[..., Path], task: str
) -> None:
    paths = [photo(f"{i}.png", bright) for i, bright in enumerate((0.5, 0.7, 1.0))]
    then = {} if task == "auto" else {"then": "enhance"}
    restorer = mirnet_cli.load(task, device="cpu", **then)
    alone = [restorer.asked(decode(path)) for path in paths]
    found = list(mirnet_cli.batch(restorer, paths, into=tmp_path / "out", same_light=True))
    assert len(set(alone)) == 3
    assert [each.ev for each in found] == [pytest.approx(sorted(alone)[1], abs=0.011)] * 3
