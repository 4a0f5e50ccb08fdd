"""The tensor operations under the degradations, against Pillow and against themselves."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from mirnet_cli.training.degrade import blur, camera, draw, draw_graphics
from mirnet_cli.training.degrade.jpeg import halve_colour, jpeg, quantisation, random_jpeg
from mirnet_cli.training.degrade.noise import _specks, sensor_noise
from mirnet_cli.training.degrade.resize import resize
from mirnet_cli.training.recipe import find


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(height: int, width: int) -> np.ndarray:
    """Discs, gradients and fine stripes in colour: HxWx3 uint8."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    red = 90 + 80 * np.sin(x / 17) * np.cos(y / 23)
    green = 120 + 60 * ((x - width / 3) ** 2 + (y - height / 2) ** 2 < 900)
    blue = 60 + 150 * x / width + 25 * np.sin(1.3 * x + 0.7 * y)
    return np.stack([red, green, blue], axis=2).clip(0, 255).astype(np.uint8)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.tensor(pixels).permute(2, 0, 1).unsqueeze(0).float() / 255


def levels(picture: torch.Tensor) -> np.ndarray:
    return (picture[0] * 255).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
@pytest.mark.parametrize("halved", [True, False])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_is_what_pillow_writes_and_reads(
    size: tuple[int, int], halved: bool, quality: int
) -> None:
    pixels = scene(*size)
    file = io.BytesIO()
    subsampling = "4:2:0" if halved else "4:4:4"
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    expected = np.asarray(Image.open(file)).astype(np.float64)
    got = levels(jpeg(tensor(pixels), torch.tensor([quality]), torch.tensor([halved])))
    difference = np.abs(got - expected)
    assert difference.mean() < 0.5
    assert np.percentile(difference, 99) <= 4
    # The same loss, not merely a small one.
    lost = np.abs(expected - pixels).mean()
    assert difference.mean() < 0.5 * lost


def test_jpeg_codes_each_sample_at_its_own_quality() -> None:
    picture = tensor(scene(48, 48))
    both = jpeg(picture.repeat(2, 1, 1, 1), torch.tensor([40, 90]), torch.tensor([True, False]))
    for i, (quality, halved) in enumerate([(40, True), (90, False)]):
        alone = jpeg(picture, torch.tensor([quality]), torch.tensor([halved]))
        assert torch.equal(both[i : i + 1], alone)


def test_quantisation_tables_are_libjpegs() -> None:
    for quality in (10, 49, 50, 75, 100):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
        tables = Image.open(file).quantization
        got = quantisation(torch.tensor([quality]))[0].int().tolist()
        assert got == [list(tables[0]), list(tables[1])]


def test_an_offset_moves_the_block_grid() -> None:
    picture = tensor(scene(64, 64))
    quality, halved = torch.tensor([30]), torch.tensor([False])
    moved = jpeg(picture, quality, halved, torch.tensor([3, 5]))
    larger = torch.nn.functional.pad(picture, (5, 11, 3, 13), mode="replicate")
    expected = jpeg(larger, quality, halved)[:, :, 3:67, 5:69]
    assert torch.equal(moved, expected)
    assert not torch.equal(moved, jpeg(picture, quality, halved))


def test_random_jpeg_leaves_the_other_samples_alone() -> None:
    pictures = tensor(scene(32, 32)).repeat(40, 1, 1, 1)
    got = random_jpeg(pictures, 0.25, seeded())
    same = (got - pictures).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert int(same.sum()) == 30


@pytest.mark.parametrize("kind", ["bicubic", "bilinear", "box"])
@pytest.mark.parametrize("size", [(60, 48), (40, 32), (30, 24), (48, 38), (240, 192), (180, 131)])
def test_resize_is_pillows_within_a_level(kind: str, size: tuple[int, int]) -> None:
    pixels = scene(120, 96)
    filters = {
        "bicubic": Image.Resampling.BICUBIC,
        "bilinear": Image.Resampling.BILINEAR,
        "box": Image.Resampling.BOX,
    }
    expected = np.asarray(Image.fromarray(pixels).resize(size[::-1], filters[kind]))
    got = levels(resize(tensor(pixels), *size, kind))
    difference = np.abs(got - expected)
    # A rounding at a half may fall either way, and be widened by the second pass.
    assert difference.max() <= 2.01
    assert (difference > 0.5).mean() < 0.06


def test_the_curve_comes_back() -> None:
    curve = camera.random_curve(16, seeded())
    assert curve.curved.any()
    assert not curve.curved.all()
    pictures = torch.rand(16, 3, 20, 20, generator=seeded(1))
    light = camera.to_light(pictures, curve)
    assert float(light.min()) >= -1e-6
    assert float(light.max()) <= 1 + 1e-5
    assert torch.allclose(camera.to_display(light, curve), pictures, atol=2e-4)
    ends = camera.to_light(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(16, 3, 1, 2), curve)
    assert torch.allclose(ends[..., 0], torch.zeros(()), atol=1e-5)
    assert torch.allclose(ends[..., 1], torch.ones(()), atol=1e-4)


def test_white_stays_white_through_the_colour_matrices() -> None:
    settings = camera.random_camera(32, seeded())
    white = torch.ones(32, 3, 1, 1)
    sensor = camera.mix(settings.to_sensor, white)
    # Green is the reference; red and blue are darker by their gains.
    assert torch.allclose(sensor[:, 1], torch.ones(()), atol=1e-4)
    assert float(sensor[:, 0].max()) < 0.85
    assert torch.allclose(camera.mix(settings.from_sensor, sensor), white, atol=1e-4)


def test_bilinear_demosaic_keeps_flat_and_linear_colours() -> None:
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(14.0), indexing="ij")
    picture = torch.stack([0.2 + 0.01 * x, 0.5 + 0.02 * y, 0.9 - 0.01 * x]).unsqueeze(0)
    for phase in range(4):
        mosaic = picture * camera.bayer(12, 14, torch.device("cpu"))[phase]
        filled = camera.bilinear_demosaic(mosaic)
        assert torch.allclose(filled[..., 1:-1, 1:-1], picture[..., 1:-1, 1:-1], atol=1e-5)


def test_fourier_and_separable_blur_agree() -> None:
    pictures = torch.rand(2, 3, 40, 33, generator=seeded())
    sigma = torch.tensor([0.8, 1.7])
    taps = blur.gaussian_taps(sigma, 6)
    kernel = blur.kernels(sigma, sigma, torch.zeros(2), torch.ones(2), 6)
    expected = blur.separable(pictures, taps, taps)
    assert torch.allclose(blur.convolve(pictures, kernel), expected, atol=1e-4)


def test_kernels_sum_to_one_and_do_not_shift() -> None:
    kernel = blur.random_kernels(200, 0.3, 3.0, seeded())
    assert torch.allclose(kernel.sum(dim=(1, 2)), torch.ones(200), atol=1e-5)
    assert torch.allclose(kernel, kernel.flip(1, 2), atol=1e-6)
    assert float(kernel.min()) >= 0
    # What lies beyond the radius is cut off: it must be little.
    rim = torch.cat([kernel[:, 0], kernel[:, -1], kernel[:, :, 0], kernel[:, :, -1]], dim=1)
    assert float(rim.sum(dim=1).max()) < 0.03


def test_noise_has_the_strength_asked_for_at_mid_grey() -> None:
    grey = torch.full((48, 3, 64, 64), 0.5)
    for strength in (2, 8):
        asked = torch.full((48, 1, 1, 1), strength / 255)
        noise = (sensor_noise(grey, asked, seeded(4)) - grey) * 255
        got = noise.mean(dim=1).std(dim=(1, 2))
        # In-camera denoising may take part of it away, blotches and bands add to it.
        assert 0.75 * strength < float(got.median()) < 1.25 * strength
        assert float(noise.mean().abs()) < 0.2 * strength


def test_shares_hold_within_a_batch() -> None:
    parts = draw.split(20, (0.1, 0.25), seeded())
    assert sorted(torch.cat(parts).tolist()) == list(range(20))
    assert [len(part) for part in parts] == [2, 5, 13]
    sizes = [len(draw.split(3, (0.1,), seeded(i))[0]) for i in range(600)]
    assert set(sizes) == {0, 1}
    assert math.isclose(sum(sizes) / 600, 0.3, abs_tol=0.06)


def test_drawn_pages_have_flat_colours_and_hard_edges() -> None:
    pages = draw_graphics(64, 48, seeded(1))
    assert pages.shape == (64, 3, 48, 48)
    assert torch.equal(pages, (pages * 255).round() / 255)
    assert 0 <= float(pages.min()) < float(pages.max()) <= 1
    steps = (pages[..., 1:] - pages[..., :-1]).abs().amax(1)
    # Most neighbours are equal, which no photo has, and many edges are as hard as can be.
    assert float((steps == 0).float().mean()) > 0.4
    assert float((steps.amax((1, 2)) > 0.9).float().mean()) > 0.3
    assert torch.equal(pages, draw_graphics(64, 48, seeded(1)))
    assert not torch.equal(pages, draw_graphics(64, 48, seeded(2)))
    assert draw_graphics(0, 48, seeded()).shape == (0, 3, 48, 48)


def test_some_samples_of_denoise_are_pages_that_stay() -> None:
    recipe = find("denoise")[0]
    photos = torch.full((200, 3, 32, 32), 0.5)
    batch = recipe.degrade(recipe, photos, seeded(), 1)
    kept = (batch.inputs == batch.targets).flatten(1).all(1)
    drawn = batch.targets.flatten(2).std(2).amax(1) > 0.05
    assert 0.05 < float((kept & drawn).float().mean()) < 0.15
    assert not kept[~drawn].all()


def test_some_noisy_pictures_have_single_pixels_that_stand_out() -> None:
    grey = torch.full((400, 3, 48, 48), 0.5)
    none = torch.full((400, 1, 1, 1), 0.4 / 255)
    some = torch.full((400, 1, 1, 1), 2.0 / 255)
    assert torch.equal(_specks(grey, none, seeded()), grey)
    moved = _specks(grey, some, seeded()) - grey
    specked = moved.flatten(1).any(1)
    assert 0.05 < float(specked.float().mean()) < 0.15
    # In all colours alike, few, more of them dark.
    assert torch.equal(moved[:, :1].expand_as(moved), moved)
    assert float((moved[:, 0] != 0).float().mean((1, 2)).max()) < 4e-3
    assert int((moved < 0).sum()) > 2 * int((moved > 0).sum()) > 0
    heights = moved[moved != 0].abs() * 255
    assert 7.9 < float(heights.min()) < float(heights.max()) < 60.1


@pytest.mark.parametrize("offset", [None, (0, 0), (1, 0), (3, 5)])
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_halved_colour_is_jpegs_without_its_losses(
    size: tuple[int, int], offset: tuple[int, int] | None
) -> None:
    picture = tensor(scene(*size))
    begins = None if offset is None else torch.tensor(offset)
    best = jpeg(picture, torch.tensor([100]), torch.tensor([True]), begins)
    sharp = jpeg(picture, torch.tensor([100]), torch.tensor([False]), begins)
    off = (halve_colour(picture, begins).clamp(0, 1) - best).abs()
    assert off.mean() * 255 < 0.8
    assert off.mean() < 0.25 * (sharp - best).abs().mean()


def test_targets_of_halved_files_have_halved_colour() -> None:
    picture = tensor(scene(64, 64)).expand(32, -1, -1, -1)
    targets = picture.clone()
    random_jpeg(picture, 1.0, seeded(), usual=0.5, targets=targets)
    halved = [not torch.equal(a, b) for a, b in zip(picture, targets, strict=True)]
    assert 12 <= sum(halved) < 32
    coarse = halve_colour(picture[:1]).clamp(0, 1)
    shifted = [
        halve_colour(picture[:1], torch.tensor(o)).clamp(0, 1) for o in ((0, 1), (1, 0), (1, 1))
    ]
    for target, changed in zip(targets, halved, strict=True):
        assert not changed or any(
            torch.allclose(target, each[0], atol=1e-5) for each in (coarse, *shifted)
        )
