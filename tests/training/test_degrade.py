"""Training pairs: shapes, ranges, repeatability, and the properties each task relies on."""

from collections.abc import Callable

import pytest
import torch

from mirnet_cli.training.degrade import denoise_pair, enhance_pair, upscale_pair
from mirnet_cli.training.degrade.lowlight import set_black
from mirnet_cli.training.degrade.resize import resize

Pair = Callable[[torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]

PAIRS: dict[str, Pair] = {
    "denoise": denoise_pair,
    "enhance": enhance_pair,
    "upscale-x1": lambda x, g: upscale_pair(x, 1, g),
    "upscale-x2": lambda x, g: upscale_pair(x, 2, g),
    "upscale-x3": lambda x, g: upscale_pair(x, 3, g),
    "upscale-x4": lambda x, g: upscale_pair(x, 4, g),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(count: int, height: int = 48, width: int = 60) -> torch.Tensor:
    """Well-exposed colour pictures of coarse and fine structure, on 8-bit levels."""
    generator = seeded(99)
    total = torch.full((count, 3, height, width), 0.45)
    for size, weight in ((3, 0.16), (9, 0.08), (24, 0.05)):
        coarse = torch.randn(count, 3, size, size, generator=generator)
        total += weight * torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (total.clamp(0.02, 0.98) * 255).round() / 255


def psnr(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return -10 * torch.log10((a - b).square().mean(dim=(1, 2, 3)).clamp(min=1e-10))


@pytest.mark.parametrize("task", PAIRS)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_pairs_are_pictures(task: str, count: int) -> None:
    clean = photos(count)
    before = clean.clone()
    for seed in range(3 if count > 2 else 12):
        given, target = PAIRS[task](clean, seeded(seed))
        scale = int(task[-1]) if task.startswith("upscale") else 1
        assert given.shape == (count, 3, 48 // scale, 60 // scale)
        assert target.shape == clean.shape
        for picture in (given, target):
            assert picture.dtype == torch.float32
            assert bool(torch.isfinite(picture).all())
            assert float(picture.min()) >= 0
            assert float(picture.max()) <= 1
        assert float((given * 255 - (given * 255).round()).abs().max()) < 1e-3
    assert torch.equal(clean, before)


@pytest.mark.parametrize("task", PAIRS)
def test_the_seed_decides_everything(task: str) -> None:
    clean = photos(6)
    torch.manual_seed(1)
    first = PAIRS[task](clean, seeded(3))
    torch.manual_seed(2)
    again = PAIRS[task](clean, seeded(3))
    other = PAIRS[task](clean, seeded(4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("task", PAIRS)
def test_black_and_white_pictures_stay_finite(task: str) -> None:
    for level in (0.0, 1.0):
        given, target = PAIRS[task](torch.full((8, 3, 48, 48), level), seeded())
        assert bool(torch.isfinite(given).all())
        assert bool(torch.isfinite(target).all())


@pytest.mark.parametrize("task", PAIRS)
def test_autocast_changes_nothing(task: str) -> None:
    clean = photos(4)
    expected = PAIRS[task](clean, seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = PAIRS[task](clean, seeded())
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])


@pytest.mark.parametrize("task", PAIRS)
def test_wrong_pictures_are_refused(task: str) -> None:
    with pytest.raises(ValueError, match="N,3,H,W"):
        PAIRS[task](torch.zeros(2, 1, 48, 48), seeded())
    with pytest.raises(ValueError, match="float32"):
        PAIRS[task](torch.zeros(2, 3, 48, 48, dtype=torch.float64), seeded())


def test_noise_spans_none_to_strong_and_shifts_no_colour() -> None:
    clean = photos(120)
    given, target = denoise_pair(
        clean, seeded(1), soften=0, soften_colour=0, compressed=0, again=0, grey=0
    )
    assert torch.allclose(target, clean, atol=1e-6)
    noise = given - target
    sigma = noise.std(dim=(1, 2, 3)) * 255
    assert int((sigma < 0.8).sum()) >= 9
    assert 2.5 < float(sigma.median()) < 9
    assert int((sigma > 14).sum()) >= 6
    moderate = sigma < 12
    shift = noise.mean(dim=(2, 3))[moderate].abs().mean(dim=0) * 255
    assert float(shift.max()) < 0.8


def test_noise_is_correlated_and_coloured() -> None:
    clean = torch.full((96, 3, 64, 64), 0.45)
    given, target = denoise_pair(clean, seeded(2), soften=0, compressed=0, grey=0)
    noise = given - target
    noise = noise[noise.std(dim=(1, 2, 3)) * 255 > 2]
    luma = noise.mean(dim=1, keepdim=True)
    chroma = noise - luma

    def correlation(field: torch.Tensor) -> torch.Tensor:
        product = (field[..., 1:] * field[..., :-1]).mean(dim=(1, 2, 3))
        return product / field.square().mean(dim=(1, 2, 3))

    assert float(correlation(luma).quantile(0.1)) < 0.1
    assert float(correlation(luma).quantile(0.9)) > 0.5
    assert float(correlation(chroma).median()) > 0.6
    share = chroma.std(dim=(1, 2, 3)) / luma.std(dim=(1, 2, 3))
    assert float(share.quantile(0.1)) < 0.7
    assert float(share.quantile(0.9)) > 1.2


def test_some_noisy_pictures_are_black_and_white() -> None:
    """Their noise is the same in all channels, and as strong as that of the others."""
    clean = photos(200)
    before = clean.clone()
    given, target = denoise_pair(clean, seeded(1))
    assert torch.equal(clean, before)

    def grey(pictures: torch.Tensor) -> torch.Tensor:
        return (pictures.amax(1) - pictures.amin(1)).flatten(1).amax(1) < 1e-6

    found = grey(given)
    assert torch.equal(found, grey(target))
    assert 0.07 <= float(found.float().mean()) <= 0.09
    noise = (given - target)[found].mean(1).std(dim=(1, 2)) * 255
    assert float(noise.max()) > 9
    assert 1 < float(noise.median()) < 9


@pytest.mark.parametrize("scale", [1, 2])
def test_some_small_pictures_are_black_and_white(scale: int) -> None:
    """Their noise too, where they have some: JPEG alone leaves traces of colours in them."""
    clean = photos(200)
    before = clean.clone()
    given, target = upscale_pair(clean, scale, seeded(1))
    assert torch.equal(clean, before)
    found = (target.amax(1) - target.amin(1)).flatten(1).amax(1) < 1e-6
    assert 0.07 <= float(found.float().mean()) <= 0.09
    coloured = (given.amax(1) - given.amin(1)).flatten(1).amax(1) * 255
    assert float(coloured[found].max()) < 1
    assert float(coloured[~found].min()) > 5


def test_softening_is_in_the_target_too() -> None:
    clean = photos(40)
    _, target = denoise_pair(
        clean, seeded(), soften=0.5, soften_colour=0, compressed=0, again=0, grey=0
    )
    changed = (target - clean).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 10 <= int(changed.sum()) <= 30


def test_colour_alone_is_softened_in_the_target_too() -> None:
    clean = photos(40)
    given, target = denoise_pair(
        clean, seeded(3), soften=0, soften_colour=0.5, compressed=0, again=0, grey=0
    )
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    off = (target - clean) * weights
    assert float(off.sum(1).abs().mean()) * 255 < 0.05

    def fine(pictures: torch.Tensor) -> torch.Tensor:
        colour = pictures[:, :1] - pictures[:, 1:2]
        return (colour[..., 1:] - colour[..., :-1]).abs().mean((1, 2, 3))

    left = fine(target) / fine(clean)
    assert 15 <= int((left < 0.8).sum()) <= 20
    assert int((left > 0.999).sum()) == 20
    # What has next to no noise shows that the input is no sharper.
    quiet = (given - target).std(dim=(1, 2, 3)) * 255 < 0.6
    assert int((quiet & (left < 0.8)).sum()) >= 2
    assert float((fine(given) / fine(clean))[quiet & (left < 0.8)].max()) < 0.95


def test_black_is_set_where_it_was_lifted() -> None:
    ramp = torch.linspace(0, 1, 1600).view(1, 1, 40, 40).repeat(1, 3, 1, 1)
    hazy, foggy = 0.1 + 0.9 * ramp, 0.5 + 0.5 * ramp
    result = set_black(torch.cat([ramp, hazy, foggy]))
    assert torch.allclose(result[0], ramp[0], atol=0.01)
    assert torch.allclose(result[1], ramp[0], atol=0.01)
    # Real fog is left: black moves by a sixth of white at most.
    assert float(result[2].min()) == pytest.approx((0.5 - 1 / 6) / (1 - 1 / 6), abs=0.01)
    assert torch.all(result.amax(dim=(1, 2, 3)) > 0.999)


def test_whole_photos_that_are_dark_on_purpose_stay_so() -> None:
    night = torch.rand(64, 3, 24, 24, generator=seeded()) * 0.3
    piece, _ = enhance_pair(night, seeded(), noise=0, identity=0, compressed=0)
    photo, target = enhance_pair(night, seeded(), whole=True, noise=0, identity=0, compressed=0)
    assert float(photo.mean()) > 0.5 * float(target.mean())
    assert float(piece.mean()) < 0.75 * float(photo.mean())


def test_enhance_leaves_its_share_alone_and_darkens_the_rest() -> None:
    clean = photos(100)
    given, target = enhance_pair(clean, seeded(), compressed=0)
    assert torch.equal(target, clean)
    same = (given - clean).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert int(same.sum()) == pytest.approx(20, abs=1)
    brightness = given.mean(dim=(1, 2, 3)) / clean.mean(dim=(1, 2, 3))
    dark = brightness[~same].sort().values
    assert float(dark[5]) < 0.2
    assert 0.75 < float(dark[-5]) < 1.15
    assert float(brightness[~same].median()) < 0.6


def test_mild_samples_are_flat_and_faded_not_dark() -> None:
    clean = photos(60)
    given, _ = enhance_pair(clean, seeded(), noise=0, identity=0, mild=1, compressed=0)
    ratio = given.mean(dim=(1, 2, 3)) / clean.mean(dim=(1, 2, 3))
    assert 0.6 < float(ratio.median()) < 1.0
    contrast = given.mean(dim=1).std(dim=(1, 2)) / clean.mean(dim=1).std(dim=(1, 2))
    assert float(contrast.median()) < 0.95
    assert float(psnr(given, clean).median()) > 12


def test_enhance_without_noise_adds_none() -> None:
    clean = torch.full((20, 3, 40, 40), 0.6)
    quiet, _ = enhance_pair(clean, seeded(), noise=0, identity=0, compressed=0)
    loud, _ = enhance_pair(clean, seeded(), noise=1, identity=0, compressed=0)

    def roughness(pictures: torch.Tensor) -> torch.Tensor:
        # Uneven light has slopes, but hardly any bends.
        return (pictures[..., 2:] - 2 * pictures[..., 1:-1] + pictures[..., :-2]).abs().mean()

    assert float(roughness(quiet)) * 255 < 0.35
    assert float(roughness(loud)) > 2 * float(roughness(quiet))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_good_reductions_are_bicubic_or_near(scale: int) -> None:
    clean = photos(60)
    given, _ = upscale_pair(clean, scale, seeded(), plain=0.6, well=True, grey=0)
    plain, _ = upscale_pair(clean, scale, seeded(), plain=1.0, grey=0)
    worse, _ = upscale_pair(clean, scale, seeded(), plain=0.6, grey=0)
    off, further = ((each - plain).square().mean((1, 2, 3)).sqrt() * 255 for each in (given, worse))
    assert 30 <= int((off == 0).sum()) <= 48
    assert 0.3 < float(off[off > 0].median()) < 0.6 * float(further[further > 0].median())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_plain_reductions_are_bicubic(scale: int) -> None:
    clean = photos(10)
    expected = resize(clean, 48 // scale, 60 // scale)
    given, target = upscale_pair(clean, scale, seeded(), grey=0)
    assert torch.equal(target, clean)
    same = (given - expected).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert 5 <= int(same.sum()) <= 6
    given, _ = upscale_pair(clean, scale, seeded(), plain=1, grey=0)
    assert torch.equal(given, expected)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_inputs_are_not_shifted(scale: int) -> None:
    """A ramp's reduction is the ramp: any shift would show as a constant difference."""
    size = 72
    ramp = torch.linspace(0.2, 0.8, size).expand(24, 3, size, size).contiguous()
    for clean in (ramp, ramp.transpose(2, 3).contiguous()):
        given, _ = upscale_pair(clean, scale, seeded(5), grey=0)
        expected = torch.nn.functional.avg_pool2d(clean, scale)
        inner = (
            (given - expected)[:, :, 6:-6, 6:-6]
            if scale < 4
            else (given - expected)[..., 4:-4, 4:-4]
        )
        step = scale * 0.6 / (size - 1)
        assert float(inner.mean(dim=(1, 2, 3)).median().abs()) < 0.1 * step


def test_same_size_inputs_are_blurred_or_untouched() -> None:
    clean = photos(40)
    given, target = upscale_pair(clean, 1, seeded(), grey=0)
    assert torch.equal(target, clean)
    assert int(((given - clean).abs().amax(dim=(1, 2, 3)) < 1e-6).sum()) >= 4
    assert float(psnr(given, clean).quantile(0.1)) > 20


def test_scales_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="scale"):
        upscale_pair(photos(1), 5, seeded())
    with pytest.raises(ValueError, match="multiples"):
        upscale_pair(photos(1, 48, 61), 2, seeded())
