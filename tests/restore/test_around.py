"""Panoramas of 360 degrees: what is left of the left edge is at the right edge."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mirnet_cli.photo import Metadata, decode, encode
from mirnet_cli.photo.xmp_regions import goes_around
from mirnet_cli.restore import load
from tests.photo.pictures import photo

SPACE = "http://ns.google.com/photos/1.0/panorama/"


def packet(**told: object) -> bytes:
    stated = " ".join(f"p:{name}='{value}'" for name, value in told.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF '
        'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<r:Description r:about="" xmlns:p="{SPACE}" {stated}/></r:RDF></x:xmpmeta>'
    ).encode()


SPHERE = packet(ProjectionType="equirectangular")


def panorama(width: int, height: int) -> NDArray[Any]:
    """Waves that go around, and noise."""
    down, across = np.mgrid[0:height, 0:width]
    turn = 2 * np.pi * across / width
    waves = [np.sin(n * turn + down / n) for n in (3, 5, 8)]
    grain = np.random.default_rng(0).normal(0, 10, (height, width, 3))
    values = 128 + 60 * np.stack(waves, axis=-1) + grain
    return np.clip(values, 0, 255).round().astype(np.uint8)


def restored(restorer: Any, pixels: NDArray[Any], xmp: bytes | None, **how: Any) -> Any:
    source = encode(photo(pixels, metadata=Metadata(xmp=xmp)), format="PNG").data
    out = io.BytesIO()
    restorer.file(source, out, format="PNG", **how)
    return decode(out.getvalue()).pixels.astype(int)


@pytest.mark.parametrize(
    ("task", "scale", "tile", "how"),
    [
        ("denoise", None, 0, {}),
        ("denoise", None, 128, {}),
        ("upscale", 2, 128, {}),
        ("upscale", 2, 0, {"strength": 0}),
    ],
)
def test_the_edges_of_a_sphere_are_restored_as_its_inside(
    task: str, scale: int | None, tile: int, how: dict[str, Any]
) -> None:
    pixels = panorama(256, 128)
    restorer = load(task, scale=scale, tile=tile)
    turned = restored(restorer, np.roll(pixels, 128, 1), None, **how)
    inside = np.roll(turned, -128 * restorer.scale, 1)
    around = restored(restorer, pixels, SPHERE, **how)
    alone = restored(restorer, pixels, None, **how)
    assert around.shape == alone.shape

    def off(found: Any) -> float:
        edges = [np.abs(found - inside)[:, side] for side in (slice(0, 4), slice(-4, None))]
        return float(np.mean(edges))

    assert off(around) < 0.35 * off(alone)
    assert off(alone) > 0.4


@pytest.mark.parametrize(
    ("width", "height", "told", "wanted"),
    [
        (200, 100, {"ProjectionType": "equirectangular"}, True),
        (200, 90, {"ProjectionType": "equirectangular"}, False),
        (200, 100, {"ProjectionType": "fisheye"}, False),
        (200, 100, {"UsePanoramaViewer": "True"}, False),
        (200, 90, {"FullPanoWidthPixels": 200, "FullPanoHeightPixels": 100,
                   "CroppedAreaImageWidthPixels": 200, "CroppedAreaImageHeightPixels": 90}, True),
        (100, 90, {"FullPanoWidthPixels": 200, "FullPanoHeightPixels": 100,
                   "CroppedAreaImageWidthPixels": 100, "CroppedAreaImageHeightPixels": 90}, False),
        # Shared at half its size by a program that left the metadata as it was.
        (100, 50, {"FullPanoWidthPixels": 200, "FullPanoHeightPixels": 100}, True),
    ],
)  # fmt: skip
def test_which_pictures_go_around(
    width: int, height: int, told: dict[str, object], wanted: bool
) -> None:
    assert goes_around(packet(**told), width, height) == wanted


def test_a_part_of_a_sphere_does_not_go_around(tmp_path: Path) -> None:
    pixels = panorama(256, 128)
    told = {"FullPanoWidthPixels": 256, "FullPanoHeightPixels": 128}
    area = {"CroppedAreaImageWidthPixels": 256, "CroppedAreaImageHeightPixels": 128}
    sphere = packet(**told, **area, CroppedAreaLeftPixels=0, CroppedAreaTopPixels=0)
    restorer = load("denoise", tile=0)
    crop = (0, 0, 128, 128)
    part = restored(restorer, pixels, sphere, crop=crop)
    np.testing.assert_array_equal(part, restored(restorer, pixels, None, crop=crop))
