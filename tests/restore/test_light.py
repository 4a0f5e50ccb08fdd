"""Light that is asked for: what the shipped network and its base do with amounts."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mirnet_cli
from mirnet_cli.errors import UsageError
from mirnet_cli.photo import cicp
from mirnet_cli.photo.space import space_of
from mirnet_cli.restore import Restorer, light
from mirnet_cli.restore.picture import Picture

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@cache
def enhance(**options: object) -> Restorer:
    return mirnet_cli.load("enhance", device="cpu", **options)


def scene(height: int = 150, width: int = 230, noise: float = 0.0, seed: int = 1) -> np.ndarray:
    """A dark room with things of all colours in it, a bright window, and black: sRGB, 0..1."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    light_in_room = 0.012 * (0.4 + x) * (1.2 - y)
    room = light_in_room[..., None] * np.array([1.15, 1.0, 0.75])
    for i in range(10):
        top, left = int(height * random.uniform(0.3, 0.9)), int(width * random.uniform(0, 0.9))
        thing = np.s_[top : top + height // 8, left : left + width // 9]
        room[thing] = 0.02 * random.uniform(0.1, 1.0, 3) * (0.5 + i / 10)
    room[: height // 3, width // 3 : width // 2] = [0.8, 0.9, 1.0]
    room[-height // 8 :, : width // 6] = 0
    shown = np.where(room <= 0.0031308, 12.92 * room, 1.055 * room ** (1 / 2.4) - 0.055)
    return np.clip(shown + noise * random.standard_normal(shown.shape), 0, 1)


def as_integers(values: np.ndarray, kind: str = "uint8") -> np.ndarray:
    return np.rint(values * np.iinfo(kind).max).astype(kind)


def linear(pixels: np.ndarray) -> np.ndarray:
    shown = pixels / np.iinfo(pixels.dtype).max
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def luminance(pixels: np.ndarray) -> np.ndarray:
    return linear(pixels) @ LUMINANCE


def dark(pixels: np.ndarray) -> np.ndarray:
    return (pixels.mean(2) < 90) & (pixels.max(2) > 8)


def test_a_dark_room_is_lit_and_its_window_and_black_stay() -> None:
    pixels = as_integers(scene())
    result = enhance()(pixels)
    before, after = luminance(pixels), luminance(result)
    assert np.median(after[dark(pixels)]) > 3 * np.median(before[dark(pixels)])
    window, black = np.s_[8:40, 90:110], np.s_[-12:, 4:30]
    assert np.abs(after[window] - before[window]).max() < 0.25
    assert result[black].max() < 16
    # Nothing is driven into white.
    assert ((result >= 254).any(2) & ~(pixels >= 254).any(2)).sum() == 0


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_more_stops_are_more_light_everywhere(noise: float) -> None:
    pixels = as_integers(scene(noise=noise))
    amounts = [-2, -1, -0.3, 0, 0.1, 0.3, 0.7, 1, 1.7, 2, 3, 4, 5]
    results = [enhance()(pixels, ev=ev) for ev in amounts]
    means = [luminance(result).mean() for result in results]
    assert means == sorted(means)
    assert np.diff(means).min() > 0
    lit = dark(pixels)
    for before, after in pairwise(results):
        # Rounding and the noise that is taken out may each move a pixel a little.
        fell = before[lit].astype(int) - after[lit]
        assert np.quantile(fell, 0.999) <= (2 if noise == 0 else 12)


def test_there_are_no_jumps() -> None:
    pixels = as_integers(scene())
    means = [enhance()(pixels, ev=ev).mean() for ev in np.arange(-0.3, 2.01, 0.1).round(1)]
    steps = np.diff(means)
    assert steps.max() < 4 * np.median(steps)


@pytest.mark.parametrize("ev", [0.5, 1, 2, 3])
def test_stops_mean_what_they_say_of_what_is_dark(ev: float) -> None:
    picture = Picture(as_integers(scene()))
    network = enhance()._cutter._network
    reduced, said, _ = network._asked(picture, ensemble=False)
    gained = light.stops(said.slopes, ev)
    before = light.srgb_light(reduced) @ LUMINANCE.astype(np.float32)
    assert np.average(gained, weights=light.dark(before)) == pytest.approx(ev, abs=1e-3)
    assert gained.min() >= 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_stops_leave_the_exposure(seed: int) -> None:
    pixels = as_integers(scene(seed=seed, noise=0.01))
    result = enhance()(pixels, ev=0)
    before, after = luminance(pixels), luminance(result)
    assert after.mean() == pytest.approx(before.mean(), rel=0.01)
    assert np.abs(after - before).max() < 0.02


def test_fewer_stops_than_none_keep_white_white() -> None:
    pixels = as_integers(scene())
    pixels[:20, :40] = 255
    result = enhance()(pixels, ev=-2)
    assert result[5:15, 5:35].min() >= 254
    lit = luminance(pixels) > 0.005
    ratio = luminance(result)[lit] / luminance(pixels)[lit]
    assert np.median(ratio) == pytest.approx(0.25, abs=0.04)


def test_what_auto_chose_gives_the_same_picture(tmp_path: Path) -> None:
    photo = tmp_path / "room.png"
    Image.fromarray(as_integers(scene())).save(photo)
    first = enhance().file(photo, tmp_path / "auto.png")
    assert first.ev is not None
    assert 0.5 < first.ev <= 5
    assert first.as_dict()["ev"] == first.ev
    again = enhance().file(photo, tmp_path / "again.png", ev=first.ev)
    assert again.ev == first.ev
    pixels = [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("auto", "again")]
    assert np.array_equal(*pixels)
    more = enhance().file(photo, tmp_path / "more.png", ev="auto+0.7")
    assert more.ev == pytest.approx(min(first.ev + 0.7, 5), abs=0.006)
    assert f"ev={first.ev:g}".encode() in (tmp_path / "auto.png").read_bytes()


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("tile", [48, 64, 97])
def test_tiles_equal_the_whole_to_the_last_bit(tile: int, noise: float) -> None:
    pixels = as_integers(scene(noise=noise), "uint16")
    whole = enhance(tile=0)(pixels)
    assert np.array_equal(enhance(tile=tile)(pixels), whole)


def test_threads_equal_one() -> None:
    pixels = as_integers(scene(410, 530, noise=0.02))
    assert pixels.size > light._ALONE
    assert np.array_equal(enhance(tile=0)(pixels), enhance(tile=150)(pixels))


def test_sixteen_bits_are_kept() -> None:
    values = scene(300, 400)
    coarse, fine = (enhance()(as_integers(values, kind)) for kind in ("uint8", "uint16"))
    assert np.abs(coarse / 255 - fine / 65535)[dark(coarse)].mean() < 0.02
    # A ramp of many shades does not come out in 256 of them.
    ramp = np.linspace(0, 0.2, 60000).reshape(200, 300)
    shades = enhance()(as_integers(np.repeat(ramp[..., None], 3, 2), "uint16"), ev=2)
    assert len(np.unique(shades[..., 1])) > 5000


def test_hues_stay() -> None:
    pixels = as_integers(scene())
    result = enhance()(pixels, ev=2)
    lit = dark(pixels) & (linear(pixels).min(2) > 0.002)
    before, after = (np.log2(linear(each)[lit] + 1e-6) for each in (pixels, result))
    turned = (after[:, 0] - after[:, 2]) - (before[:, 0] - before[:, 2])
    assert np.abs(np.median(turned)) < 0.35


def test_grey_and_alpha_are_kept() -> None:
    colours = as_integers(scene())
    grey = enhance()(colours[..., 1])
    assert grey.shape == colours.shape[:2]
    assert grey.mean() > 1.5 * colours[..., 1].mean()
    alpha = np.full((*colours.shape[:2], 1), 200, np.uint8)
    alpha[:50] = 0
    result = enhance()(np.concatenate([colours, alpha], 2))
    assert np.array_equal(result[..., 3:], alpha)
    assert np.array_equal(result[:50, :, :3], colours[:50])


def test_a_wide_gamut_is_kept() -> None:
    """A photo in a wide space comes out as light as the same photo in sRGB."""
    profile = cicp.from_points(9, 14) or b""
    space, _ = space_of(profile, grey=False)
    assert space is not None
    pixels = as_integers(scene())
    wide = as_integers(space.encoded(pixels.astype(np.float32) / 255), "uint16")
    result = enhance()(wide, profile=profile)
    assert np.abs(space.shown(result) - enhance()(pixels) / 255).max() < 0.03
    # A green that sRGB does not have stays out of it.
    wide[40:80, 150:200] = [0, 9000, 0]
    green = enhance()(wide, profile=profile, ev=2)[50:70, 160:190]
    assert green[..., 1].min() > 12000
    assert green[..., 0].max() < 0.35 * green[..., 1].min()


def test_tiny_and_odd_pictures() -> None:
    for shape in ((1, 1, 3), (1, 40, 3), (33, 2), (65, 127, 3)):
        pixels = np.full(shape, 30, np.uint8)
        assert enhance()(pixels).shape == shape
    black, white = (np.full((70, 90, 3), value, np.uint8) for value in (0, 255))
    assert enhance()(black).max() == 0
    assert enhance()(white).min() == 255


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (1, 300), (64, 64), (300, 400)])
@pytest.mark.parametrize("colour", [(0, 0, 0), (20, 20, 20), (90, 60, 30), (128, 128, 128)])
def test_plain_colours_have_nothing_that_lacks_light(
    size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """A sheet of brown paper is no dull photo; who says how much gets that much."""
    pixels = np.broadcast_to(np.uint8(colour), (*size, 3)).copy()
    for ev in ("auto", 0):
        assert np.array_equal(enhance()(pixels, ev=ev), pixels), ev
    if any(colour):
        assert enhance()(pixels, ev=2).mean() > 1.2 * pixels.mean()


def test_noise_on_plain_colours_and_icons_do_not_lack_light() -> None:
    random = np.random.default_rng(0)
    grain = np.rint(128 + 10 * random.standard_normal((500, 500, 3))).astype(np.uint8)
    # A dull brown one.
    icon = np.rint([120, 80, 50] + 30 * random.random((7, 12, 3))).astype(np.uint8)
    for pixels in (grain, icon):
        assert np.abs(enhance()(pixels).mean((0, 1)) - pixels.mean((0, 1))).max() < 1


def test_noise_is_found_and_not_revealed() -> None:
    quiet, noisy = (Picture(as_integers(scene(noise=noise))) for noise in (0, 0.02))
    assert light.noise_of(noisy) == pytest.approx(0.02 / np.sqrt(3), rel=0.4)
    assert light.noise_of(quiet) < 0.003
    pixels = noisy.pixels
    wall = np.s_[60:75, 150:170]
    lifted = enhance()(pixels, ev=2)[wall].std((0, 1)).mean()
    clean = enhance()(quiet.pixels, ev=2)[wall].std((0, 1)).mean()
    # Two stops make noise twice as high on the screen, and more.
    assert lifted - clean < 0.02 * 255 * 1.2


TILTS = [-1, -0.5, 0, 0.3, 1]


def test_what_noise_covers_gets_less_light() -> None:
    def curtain(level: float, noise: float) -> np.ndarray:
        shown = scene()
        shown[30:110, 140:220] = level / 255
        shown += noise / 255 * np.random.default_rng(5).standard_normal(shown.shape)
        return as_integers(np.clip(shown, 0, 1))

    inner = np.s_[40:100, 150:210]
    stops = {}
    for level in (3, 30):
        for noise in (0.0, 2.0):
            pixels = curtain(level, noise)
            before, after = (
                luminance(each)[inner].mean() for each in (pixels, enhance()(pixels, ev=5))
            )
            stops[level, noise] = np.log2(after / before)
    assert stops[3, 2.0] < stops[3, 0.0] - 0.7
    assert stops[30, 2.0] > stops[30, 0.0] - 0.3


@pytest.mark.parametrize("black", [0.0, 1.0])
@pytest.mark.parametrize("ev", [0.2, 0.4, 1, 2])
def test_what_is_dark_comes_out_no_darker_whatever_black_is_set(ev: float, black: float) -> None:
    pixels = as_integers(0.1 + 0.85 * scene())
    picture = Picture(pixels, None)
    seen = light.seen(picture)
    height, width = seen.shape[:2]
    even = np.ones((height, width, len(light.KNOTS) - 1), np.float32)
    plain = np.zeros((height, width, 3), np.float32)
    said = light.Answer(even, plain, asked=0.0, black=black, contrast=light.CONTRAST)
    base = light.light_base(picture, seen, said, light.Wanted(ev))
    rows, columns = (0, picture.height), (0, picture.width)
    given = picture.clamped(rows, columns)
    before, after = (light.luminance(each) for each in (given, base.at(given, rows, columns)))
    lit = before < np.quantile(before, 0.8)
    assert np.median(after[lit]) > np.median(before[lit]) - 1e-3
    # Grey that should be black becomes so, whatever the network says, where there is light at all.
    if ev >= light.SET:
        assert np.quantile(after, 0.01) < 0.6 * np.quantile(before, 0.01)


@pytest.mark.parametrize(("grey", "end"), [(0.0, 0.3), (0.02, 0.5), (0.2, 0.3), (0.3, 0.0)])
def test_a_toe_turns_nothing_round_and_ends(grey: float, end: float) -> None:
    toe = light._toe(grey, grey, end)
    root = np.linspace(0, 1, 2001, dtype=np.float32)
    toed = root * np.sqrt(light._toed(root * root, *toe))
    slope = np.diff(toed) / np.diff(root)
    assert slope.min() >= -1e-3
    assert slope.max() < 3.1
    assert np.allclose(toed[root >= end], root[root >= end], atol=1e-6)
    if 0 < grey <= light._STEEP * end:
        assert np.interp(grey, root, toed) < 1e-3


def test_a_deep_blue_is_no_black() -> None:
    pixels = np.empty((120, 160, 3), np.uint8)
    pixels[:] = np.linspace(20, 110, 160)[None, :, None]
    pixels[:60, :20] = 20
    blue = pixels.copy()
    blue[:60, :20] = (4, 12, 70)
    made = (enhance()(each, ev=2)[10:50, 5:15].max(2).mean() for each in (pixels, blue))
    grey, deep = made
    assert grey < 12
    assert deep > 40


@pytest.mark.parametrize("ev", [0, 1.5])
def test_shadows_move_what_is_dark_and_highlights_what_is_bright(ev: float) -> None:
    ramp = np.repeat(np.linspace(0, 255, 240).round()[None], 160, 0)
    pixels = np.repeat(ramp[..., None], 3, 2).astype(np.uint8)
    plain = enhance()(pixels, ev=ev)[80, :, 1].astype(int)
    low, high = (plain > 8) & (plain < 50), (plain > 190) & (plain < 235)
    for name, moved, still in (("shadows", low, high), ("highlights", high, plain < 70)):
        rows = [enhance()(pixels, ev=ev, **{name: n})[80, :, 1].astype(int) for n in TILTS]
        means = [row[moved].mean() for row in rows]
        assert np.diff(means).min() > 1
        assert means[-1] - means[0] > 20
        for row in rows:
            assert np.abs(row[still] - plain[still]).max() <= 3
            # What was brighter stays brighter, black stays black and white white.
            assert np.diff(row).min() >= -1
            assert row[0] <= 2
            assert row[-1] >= plain[-1] - 1
        assert np.array_equal(rows[2], plain)


def test_shadows_and_highlights_agree_in_tiles_and_files(tmp_path: Path) -> None:
    pixels = as_integers(scene(noise=0.02), "uint16")
    asked = {"shadows": 0.6, "highlights": -0.8}
    whole = enhance(tile=0)(pixels, **asked)
    assert np.array_equal(enhance(tile=64)(pixels, **asked), whole)
    Image.fromarray(as_integers(scene())).save(tmp_path / "room.png")
    result = enhance().file(tmp_path / "room.png", tmp_path / "out.png", **asked)
    assert result.steps[0].options == asked
    assert b"shadows=0.6" in (tmp_path / "out.png").read_bytes()
    assert b"highlights=-0.8" in (tmp_path / "out.png").read_bytes()


def test_shadows_reveal_no_noise() -> None:
    noisy, quiet = (as_integers(scene(noise=noise)) for noise in (0.02, 0))
    wall = np.s_[60:75, 150:170]
    lifted, clean = (
        enhance()(each, ev=0, shadows=1)[wall].std((0, 1)).mean() for each in (noisy, quiet)
    )
    assert lifted - clean < 0.02 * 255 * 1.2


@pytest.mark.parametrize("given", [1.1, -2, "much", float("nan"), ""])
def test_what_is_no_tilt_is_refused(given: object) -> None:
    for name in ("shadows", "highlights"):
        with pytest.raises(UsageError, match="-1 to 1"):
            enhance()(as_integers(scene()), **{name: given})


@pytest.mark.parametrize("task", ["denoise", "upscale"])
def test_others_cannot_be_asked_for_light(task: str, tmp_path: Path) -> None:
    restorer = mirnet_cli.load(task, device="cpu")
    with pytest.raises(UsageError, match="light"):
        restorer(as_integers(scene()), ev=1)
    with pytest.raises(UsageError, match="leave highlights out"):
        restorer(as_integers(scene()), highlights=-1)
    with pytest.raises(UsageError, match="light"):
        restorer.file("photo.jpg", tmp_path / "out.jpg", same_light=True)


@pytest.mark.parametrize("ev", [5.1, -3, "bright", "auto1", "", float("nan")])
def test_what_is_no_amount_is_refused(ev: object) -> None:
    with pytest.raises(UsageError, match="stops of light"):
        enhance()(as_integers(scene()), ev=ev)


def test_integers_asked_for_every_step_leave_light_in_floats() -> None:
    """It sees a reduced picture: there is nothing to save, and a batch is of all kinds of steps."""
    model = enhance(precision="int8")
    assert model.precision == enhance().precision != "int8"
    pixels = as_integers(scene())
    assert np.array_equal(model(pixels), enhance()(pixels))
    chain = mirnet_cli.load("denoise", device="cpu", precision="int8", then=("enhance",))
    assert [step.precision for step in chain.steps] == ["int8", model.precision]


def test_the_ensemble_gives_about_the_same_light() -> None:
    pixels = as_integers(scene())
    assert enhance()(pixels, ev=2, ensemble=True).mean() == pytest.approx(
        enhance()(pixels, ev=2).mean(), rel=0.15
    )


def test_a_file_of_light_must_have_its_network(tmp_path: Path) -> None:
    from mirnet_cli.errors import ModelError
    from mirnet_cli.models import weights

    shipped = enhance().weights
    data = bytearray(shipped.path.read_bytes())
    text = json.dumps("light")[1:-1].encode()
    start = data.index(b'\\"base\\": \\"' + text) + len(b'\\"base\\": \\"')
    data[start : start + len(text)] = b"input"
    with pytest.raises(ModelError, match="go together"):
        weights.parse(bytes(data), tmp_path / "x.safetensors")
