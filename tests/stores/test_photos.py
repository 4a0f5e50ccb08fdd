"""Real photos by way of a bucket: the same bytes as by way of files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mirnet_cli
from mirnet_cli.models import weights
from tests.models.builders import some_weights, tiny_network
from tests.stores.conftest import BUCKET, Bucket
from tests.stores.proxy import Proxy

S3 = f"s3://{BUCKET}"
Real = Callable[..., Any]


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "tiny.safetensors"
    weights.save(path, some_weights(network=tiny_network(3)))
    return str(path)


@pytest.fixture
def photos(tmp_path: Path, bucket: Bucket) -> dict[str, bytes]:
    """Photos in the folder ``in`` and in the bucket; one is larger than what is read ahead."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    found = {}
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.png", "c.tif", "d.webp"):
        Image.fromarray(noise).save(tmp_path / "in" / name)
        found[name] = (tmp_path / "in" / name).read_bytes()
        bucket[f"in/{name}"] = found[name]
    return found


def test_bytes_are_the_same(
    real: Real, photos: dict[str, bytes], bucket: Bucket, tmp_path: Path, small: str
) -> None:
    how = ("--task", "denoise", "--weights", small)
    assert real("batch", "in", "-o", "out", *how).code == 0
    wanted = {name: (tmp_path / "out" / name).read_bytes() for name in photos}
    assert real("batch", f"{S3}/in", "-o", f"{S3}/out", *how).code == 0
    assert {name: bucket[f"out/{name}"] for name in photos} == wanted
    types = ("image/jpeg", "image/png", "image/tiff", "image/webp")
    assert tuple(bucket.type_of(f"out/{name}") for name in photos) == types
    ran = real("denoise", f"{S3}/in/c.tif", "-o", f"{S3}/c.png", "--weights", small, "--preserve")
    assert ran.code == 0
    assert "warning: the photo's time is not kept: object stores set their own" in ran.err
    restorer = mirnet_cli.load("denoise", weights=small)
    result = restorer.file(f"{S3}/in/a.jpg", f"{S3}/api.jpg")
    assert (result.input, result.output) == (f"{S3}/in/a.jpg", f"{S3}/api.jpg")
    assert bucket["api.jpg"] == wanted["a.jpg"]
    results = list(mirnet_cli.batch(restorer, [f"{S3}/in"], into=f"{S3}/again"))
    assert {result.status for result in results} == {"done"}
    assert bucket["again/b.png"] == wanted["b.png"]
    with pytest.raises(mirnet_cli.UsageError, match="only read"):
        restorer.file(f"{S3}/in/a.jpg", "https://host/a.jpg")


@pytest.mark.slow
def test_bytes_are_the_same_in_processes(
    real: Real, photos: dict[str, bytes], bucket: Bucket, tmp_path: Path, small: str
) -> None:
    how = ("--task", "denoise", "--weights", small)
    assert real("batch", "in", "-o", "out", *how).code == 0
    assert real("batch", f"{S3}/in", "-o", f"{S3}/out", "--jobs", "2", *how).code == 0
    for name in photos:
        assert bucket[f"out/{name}"] == (tmp_path / "out" / name).read_bytes()


def test_what_is_too_large_is_refused_by_its_header(
    real: Real, proxy: Proxy, photos: dict[str, bytes], bucket: Bucket, small: str
) -> None:
    bucket["big.png"] = photos["b.png"] + os.urandom(4 << 20)
    proxy.misbehave("")
    ran = real("denoise", f"{S3}/big.png", "-o", "x.png", "--weights", small, "--max-pixels", "1k")
    assert ran.code == 1
    assert "more than --max-pixels allows" in ran.err
    assert proxy.count("GET") == 1
    assert proxy.sent < 1 << 20


def test_damage_is_told_from_a_broken_connection(
    real: Real, proxy: Proxy, photos: dict[str, bytes], bucket: Bucket, small: str
) -> None:
    bucket["cut.jpg"] = photos["a.jpg"][:-20000]
    ran = real("denoise", f"{S3}/cut.jpg", "-o", "x.jpg", "--weights", small)
    assert "damaged JPEG file" in ran.err
    proxy.misbehave("cut")
    ran = real("denoise", f"{S3}/in/c.tif", "-o", "x.tif", "--weights", small)
    assert ran.code == 1
    assert ran.err == (f"mirnet: {S3}/in/c.tif: the connection kept breaking; try again later\n")
