"""tools/kept_apart.py makes folders of what training has not seen."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.measure import metrics
from mirnet_cli.training.photos import load_photos, split
from tests import scripts
from tests.photo.pictures import smooth

pytestmark = scripts.needs_tools


def test_folders_of_what_training_keeps_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = scripts.load("kept_apart")
    photos, out = tmp_path / "photos", tmp_path / "sets"
    photos.mkdir()
    for i in range(8):
        Image.fromarray(np.roll(smooth(62, 85), 9 * i, axis=1)).save(photos / f"photo {i}.png")

    assert script.main([str(photos), str(out)]) == 0
    apart = {photo.name for photo in split(load_photos(photos))[1]}
    assert f"{len(apart)} x3-noisy-photos-kept-apart\n" in capsys.readouterr().out
    for folder in out.iterdir():
        for half in ("input", "target"):
            assert {path.stem for path in (folder / half).iterdir()} == apart
    name = f"{min(apart)}.png"
    target = Image.open(out / "x3-photos-kept-apart/target" / name)
    plain = Image.open(out / "x3-photos-kept-apart/input" / name)
    noisy = Image.open((out / "x3-noisy-photos-kept-apart/input" / name).with_suffix(".jpg"))
    assert (target.size, plain.size, noisy.size) == ((84, 60), (28, 20), (28, 20))
    assert target.resize((28, 20), Image.Resampling.BICUBIC).tobytes() == plain.tobytes()
    assert 25 < metrics.psnr(np.asarray(plain), np.asarray(noisy)) < 45
    clean = out / "clean-photos-kept-apart"
    assert (clean / "input" / name).read_bytes() == (clean / "target" / name).read_bytes()

    assert script.main([str(photos), str(out)]) == 1
    assert capsys.readouterr().err.startswith("kept_apart: ")
