"""Several steps, and those that a photo needs, by way of a bucket: the same bytes as by files."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.stores.conftest import BUCKET, Bucket

S3 = f"s3://{BUCKET}"


@pytest.fixture
def photos(tmp_path: Path, bucket: Bucket) -> dict[str, bytes]:
    """A noisy dark photo and one that needs nothing, in the folder ``in`` and in the bucket."""
    y, x = np.mgrid[:96, :128] / 96
    scene = 130 + 60 * np.sin(40 * x)[..., None] * np.cos(30 * y)[..., None] * np.ones(3)
    noise = np.random.default_rng(0).normal(0, 8, scene.shape)
    found = {}
    (tmp_path / "in").mkdir()
    for name, pixels in (("good.jpg", scene), ("night.png", scene / 6 + noise)):
        stream = io.BytesIO()
        picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
        picture.save(stream, Path(name).suffix[1:].replace("jpg", "jpeg"), quality=95)
        bucket[f"in/{name}"] = found[name] = stream.getvalue()
        (tmp_path / "in" / name).write_bytes(found[name])
    return found


@pytest.mark.parametrize(
    "how",
    [
        ("--task", "denoise", "--then", "enhance:0.6", "--same-light"),
        ("--task", "auto"),
        ("--task", "auto", "--skip-good", "--ev", "0"),
    ],
)
def test_bytes_are_the_same(
    real: Callable[..., Any],
    photos: dict[str, bytes],
    bucket: Bucket,
    tmp_path: Path,
    how: tuple[str, ...],
) -> None:
    assert real("batch", "in", "-o", "out", *how).code == 0
    ran = real("batch", f"{S3}/in", "-o", f"{S3}/out", *how)
    assert ran.code == 0, ran.err
    wanted = {f"out/{path.name}": path.read_bytes() for path in (tmp_path / "out").glob("*.*g")}
    every = bucket.keys()
    stored = {key: bucket[key] for key in every if key.startswith("out/") and key.endswith("g")}
    assert stored == wanted
    assert "out/night.png" in wanted
    assert ("out/good.jpg" in wanted) == ("--skip-good" not in how)


def test_one_photo(real: Callable[..., Any], photos: dict[str, bytes], bucket: Bucket) -> None:
    assert real("auto", f"{S3}/in/good.jpg", "-o", f"{S3}/same.jpg", "--ev", "0").code == 0
    assert bucket["same.jpg"] == photos["good.jpg"]
    ran = real("denoise", f"{S3}/in/night.png", "--then", "upscale", "-o", f"{S3}/large.png")
    assert ran.code == 0, ran.err
    assert Image.open(io.BytesIO(bucket["large.png"])).size == (256, 192)
