"""Train the network of light that ships as enhance.

    python tools/train_light.py --photos photos/ --panoramas hdri/ --out runs/light --hours 1.5

Half of what it learns from are views of HDR panoramas, exposed for what is bright in them, as a
camera would: the target is a fusion of exposures of the true light (Mertens, Kautz and Van Reeth,
"Exposure fusion", 2007), with black kept. The other half are photos that lost light and contrast
(:func:`mirnet_cli.training.degrade.enhance_pair`), a third of them none. Examples are made ahead,
into the folder of the run, and read from there; run it again to go on. Panoramas are EXR, HDR or
JPEG XL with 16 bits of the logarithm of light (``exp2(value / 2048 - 12)``), equirectangular, at
least 1024 pixels around; one in eight, chosen by a hash of its name, is kept apart.
"""

import argparse
import hashlib
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The checkout this script belongs to, whichever mirnet is installed.
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from mirnet_cli.models import weights as weights_file  # noqa: E402
from mirnet_cli.models.weights import Weights  # noqa: E402
from mirnet_cli.networks.configs import LightConfig  # noqa: E402
from mirnet_cli.networks.light import LightNet  # noqa: E402
from mirnet_cli.networks.spec import NetworkSpec  # noqa: E402
from mirnet_cli.photo.space import srgb_encoded, srgb_light  # noqa: E402
from mirnet_cli.restore import light  # noqa: E402
from mirnet_cli.training import degrade  # noqa: E402
from mirnet_cli.training.photos import Pair, load_photos, random_crops, split  # noqa: E402

Floats = NDArray[np.float32]

SIDE, SMALL = 192, 128
"""Of the examples in pixels, and of what is learned from in the first part of a run."""
BATCH = 16
RATE = 1.6e-3
FIRST, FALL = 0.6, 0.45
"""Shares of a run: with small pictures; at the end, with a falling rate."""
MOST = 6.5
"""Stops of gain at most."""
SHIFT = 4e-4
"""Linear light added to both sides of a gain: a level of 8 bits is about as much."""
BOLD, EVEN = 0.62, 0.5
"""Quantiles of the amount that are learned: of views, and of photos."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


# --- examples -----------------------------------------------------------------------------------


def read_panorama(path: Path) -> Floats:
    """Linear light ``(H, W, 3)``."""
    if path.suffix == ".jxl":
        import imagecodecs

        stored = imagecodecs.jpegxl_decode(path.read_bytes()).astype(np.float32)
        return np.exp2(stored / 2048 - 12)
    read = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None:
        raise SystemExit(f"{path}: cannot be read")
    return np.ascontiguousarray(read[..., 2::-1].astype(np.float32))


def kept_apart(path: Path) -> bool:
    """Whether a panorama is one of those that are not learned from."""
    return hashlib.sha256(path.stem.encode()).digest()[0] < 32


def view(around: Floats, yaw: float, pitch: float, field: float) -> Floats:
    """What a camera sees: ``(SIDE, SIDE, 3)``; angles in degrees, ``field`` of the width."""
    side = 2 * SIDE
    focal = 0.5 * side / math.tan(math.radians(field) / 2)
    place = np.arange(side, dtype=np.float32) - side / 2 + 0.5
    x, y = np.meshgrid(place / focal, -place / focal)
    length = np.sqrt(x * x + y * y + 1)
    cosine, sine = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    up, ahead = (y * cosine + sine) / length, (cosine - y * sine) / length
    longitude = np.arctan2(x / length, ahead) + math.radians(yaw)
    latitude = np.arcsin(np.clip(up, -1, 1))
    height, width = around.shape[:2]
    across = (longitude / (2 * np.pi)) % 1 * width + 7.5
    down = (0.5 - latitude / np.pi) * height - 0.5
    wide = np.concatenate([around[:, -8:], around, around[:, :8]], 1)
    seen = cv2.remap(
        wide,
        across.astype(np.float32),
        down.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    reduced: Floats = cv2.resize(seen, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return reduced


def fused(luminance: Floats, stops: list[float]) -> Floats:
    """Exposures by so many stops, each where it is well exposed, blended over a pyramid (sRGB)."""
    shown = [np.minimum(srgb_encoded(luminance * np.float32(2**each)), 1) for each in stops]
    shares = [
        (np.exp(-((each - 0.55) ** 2) / 0.08) + 1e-4) * np.clip((1 - each) / 0.06, 0, 1) + 1e-5
        for each in shown
    ]
    total = sum(shares)
    levels = max(2, int(math.log2(min(luminance.shape))) - 2)
    summed: list[Floats] | None = None
    for share, each in zip(shares, shown, strict=True):
        weight, part = _pyramid((share / total).astype(np.float32), levels), _pyramid(each, levels)
        fine = [part[i] - _larger(part[i + 1], part[i]) for i in range(levels - 1)] + [part[-1]]
        weighted = [a * b for a, b in zip(weight, fine, strict=True)]
        if summed is not None:
            weighted = [a + b for a, b in zip(summed, weighted, strict=True)]
        summed = weighted
    assert summed is not None
    result = summed[-1]
    for each in reversed(summed[:-1]):
        result = _larger(result, each) + each
    return np.clip(result, 0, 1)


def _pyramid(values: Floats, levels: int) -> list[Floats]:
    made = [values]
    for _ in range(levels - 1):
        made.append(cv2.pyrDown(made[-1]).astype(np.float32))
    return made


def _larger(values: Floats, like: Floats) -> Floats:
    enlarged: Floats = cv2.pyrUp(values, dstsize=like.shape[1::-1])
    return enlarged


def wanted(luminance: Floats, up: float, contrast: float) -> Floats:
    """The linear luminance that a view is to have, ``up`` stops at most above what it was given."""
    steps = math.ceil(up)
    stops = [float(each) for each in np.linspace(0, up, steps + 1)] if steps else [0.0]
    if (luminance > 1).mean() > 0.002:
        stops = [-1.5, -0.75, *stops]
    shown = fused(np.minimum(luminance, 6), stops)
    # The darkest stays nearly what it was.
    black = np.percentile(shown, 0.6) - np.percentile(srgb_encoded(luminance), 0.6)
    black = max(float(black), 0.0) * 0.85
    shown = np.clip((shown - black) / (1 - black), 0, 1)
    return srgb_light((shown + contrast * (shown**2 * (3 - 2 * shown) - shown)).astype(np.float32))


def gains(target: Floats, given: Floats) -> Floats:
    """Stops from one luminance to another."""
    return np.clip(np.log2((target + SHIFT) / (given + SHIFT)), 0, MOST).astype(np.float32)


def weighted_mean(stops: Floats, luminance: Floats) -> float:
    """Stops of what is dark."""
    weight = light.dark(luminance)
    return float((stops * weight).sum() / weight.sum())


def view_example(
    around: Floats, night: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    """A photo of a view, and its gains for the amount it wants and for another one.

    Four in five are views that lack light.
    """
    dark = rng.random() < 0.8
    for _ in range(6):
        given, stops = _view_example(around, night, rng)
        luminance = srgb_light(given.astype(np.float32) / 255) @ _LUMINANCE
        if not dark or weighted_mean(stops[0], luminance) > 0.6:
            break
    return given, stops


def _view_example(
    around: Floats, night: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    for _ in range(8):
        seen = view(around, rng.uniform(0, 360), rng.normal(3, 9), rng.uniform(60, 105))
        if np.percentile(seen @ _LUMINANCE, 90) > 2**-11.5:
            break
    # Exposed for what is bright, and sometimes less.
    held = np.percentile(seen @ _LUMINANCE, rng.uniform(88, 99.7))
    seen *= np.float32(0.9 / max(held, 1e-6) * 2 ** -max(0.0, rng.normal(-0.3, 1.2)))
    true = seen @ _LUMINANCE
    shown = srgb_encoded(np.clip(seen, 0, 1))
    curve = rng.uniform(0, 0.7) * (rng.random() < 0.6)
    shown += np.float32(curve) * (shown**2 * (3 - 2 * shown) - shown)
    if rng.random() < 0.25:
        # Stray light.
        shown = shown * (1 - 0.03 * rng.random()) + 0.02 * rng.random()
    given = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    luminance = srgb_light(given.astype(np.float32) / 255) @ _LUMINANCE
    # Up to where the darker part, less what is black, becomes a middle grey.
    visible = given.max(2) > 4
    among = true[visible] if visible.mean() > 0.1 else true
    middle = np.percentile(among, rng.uniform(25, 42))
    up = float(np.clip(np.log2(rng.uniform(0.15, 0.22) / max(middle, 1e-5)), 0, 4.6))
    if night and rng.random() < 0.4:
        up *= rng.uniform(0.25, 0.6)
    other = up + rng.normal() if rng.random() < 0.5 else rng.uniform(0.3, 5.5)
    contrast = rng.uniform(0, 0.25)
    made = [
        gains(wanted(true, each, contrast), luminance)
        for each in (up, float(np.clip(other, 0.2, 5.5)))
    ]
    return given, np.stack(made)


def photo_examples(
    photos: list[Pair], count: int, seed: int, number: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Photos that lost light, and what they were."""
    clean = random_crops(photos, count, SIDE, (seed, number), whole=True)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    pair = degrade.enhance_pair(clean, generator, whole=True, identity=0.36, mild=0.34, noise=0)
    given, target = ((each.permute(0, 2, 3, 1) * 255).round().byte().numpy() for each in pair)
    return given, target


@dataclass
class Examples:
    """What is learned from, on disk: views and photos, as many of each."""

    views: NDArray[np.uint8]
    stops: NDArray[np.float16]
    given: NDArray[np.uint8]
    target: NDArray[np.uint8]

    @classmethod
    def made(cls, folder: Path, panoramas: Path, photos: Path, count: int, seed: int) -> "Examples":
        """Those of the folder, made first where they are not there."""
        kinds = {
            "views": (np.uint8, (count, SIDE, SIDE, 3)),
            "stops": (np.float16, (count, 2, SIDE, SIDE)),
            "given": (np.uint8, (count, SIDE, SIDE, 3)),
            "target": (np.uint8, (count, SIDE, SIDE, 3)),
        }
        done = folder / "examples"
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            arrays = {
                name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)
                for name, (kind, shape) in kinds.items()
            }
            cls(**arrays)._fill(panoramas, photos, seed)
            done.touch()
        return cls(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in kinds})

    def _fill(self, panoramas: Path, photos: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        files = [each for each in sorted(panoramas.iterdir()) if not kept_apart(each)]
        files = [each for each in files if each.suffix in (".jxl", ".exr", ".hdr")]
        order = np.arange(len(self.views)) % len(files)
        for index, path in enumerate(files):
            around = read_panorama(path)
            night = "night" in path.stem or "moon" in path.stem
            for each in np.flatnonzero(order == index):
                self.views[each], self.stops[each] = view_example(around, night, rng)
            print(f"{index + 1} of {len(files)} panoramas", flush=True)
        learned = split(load_photos(photos))[0]
        learned = [each for each in learned if 0.1 <= each.brightness() <= 0.72]
        for start in range(0, len(self.given), 6):
            part = np.s_[start : start + 6]
            count = len(self.given[part])
            self.given[part], self.target[part] = photo_examples(learned, count, seed, start)
        print(f"{len(learned)} photos", flush=True)


# --- learning -----------------------------------------------------------------------------------


def _light(shown: Tensor) -> Tensor:
    return torch.where(
        shown <= 0.04045, shown / 12.92, ((shown.clamp(min=0) + 0.055) / 1.055) ** 2.4
    )


def _shown(values: Tensor) -> Tensor:
    bright = 1.055 * values.clamp(min=1e-6) ** (1 / 2.4) - 0.055
    return torch.where(values <= 0.0031308, values * 12.92, bright)


def _luminance(values: Tensor) -> Tensor:
    return (values * torch.from_numpy(_LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _dark(luminance: Tensor) -> Tensor:
    shade = _shown(luminance)
    return ((0.5 - shade) / 0.25).clamp(0.02, 1) * ((shade - 0.006) / 0.02).clamp(0.02, 1)


def _mean(stops: Tensor, weight: Tensor) -> Tensor:
    return (stops * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def _differences(values: Tensor, step: int) -> tuple[Tensor, Tensor]:
    return values[..., step:] - values[..., :-step], values[..., step:, :] - values[..., :-step, :]


def _black(shown: Tensor) -> Tensor:
    return torch.quantile(shown.flatten(1), 0.005, dim=1).clamp(max=1 / 6).view(-1, 1, 1, 1)


def _orderly(luminance: Tensor, stops: Tensor) -> Tensor:
    """Stops drawn towards those of a rising curve of luminance."""
    made = []
    for each, given in zip(luminance[:, 0].numpy(), stops[:, 0].numpy(), strict=True):
        level = np.log2(each + 1e-3)
        bins = np.clip(((level + 10) * 2.4).astype(int), 0, 23).ravel()
        counts = np.bincount(bins, minlength=24)
        used = counts > 8
        if used.sum() < 2:
            made.append(given)
            continue
        means = np.bincount(bins, given.ravel(), minlength=24)[used] / counts[used]
        centres = (np.flatnonzero(used) + 0.5) / 2.4 - 10
        curve = np.maximum.accumulate(centres + means)
        alone = np.clip(np.interp(level, centres, curve) - level, 0, MOST)
        made.append((0.55 * given + 0.45 * alone).astype(np.float32))
    return torch.from_numpy(np.stack(made))[:, None]


@dataclass
class Batch:
    """Inputs ``(N, 3, H, W)``, the light of their targets, and gains for two amounts."""

    given: Tensor
    light: Tensor
    first: Tensor
    second: Tensor
    views: int


def batch(examples: Examples, side: int, rng: np.random.Generator) -> Batch:
    """Half views, half photos; lamps' colours, noise, flips and sizes are drawn anew."""

    def tensor(values: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).permute(0, 3, 1, 2).float() / 255

    half = BATCH // 2
    chosen = (
        rng.integers(len(examples.views), size=half),
        rng.integers(len(examples.given), size=half),
    )
    views, stops = (
        tensor(examples.views[chosen[0]]),
        torch.from_numpy(examples.stops[chosen[0]].astype(np.float32)),
    )
    photos, targets = tensor(examples.given[chosen[1]]), tensor(examples.target[chosen[1]])
    seen = _light(views)
    lamps = torch.ones(half, 3, 1, 1)
    lit = (torch.rand(half, 1, 1, 1) < 0.4).float()
    lamps[:, 0:1] = 2 ** (lit * torch.randn(half, 1, 1, 1) * 0.12)
    lamps[:, 2:3] = 2 ** (lit * torch.randn(half, 1, 1, 1) * 0.15)
    coloured = _shown((seen * lamps).clamp(0, 1)).clamp(0, 1)
    given = torch.cat([coloured, photos])
    aim = torch.cat([seen, _light(targets)])
    luminance = _luminance(_light(given))
    # What a photo wants before its black is set.
    black = (_black(photos.mean(1, keepdim=True)) - _black(targets.mean(1, keepdim=True))).clamp(0)
    before = _light(_shown(_luminance(_light(targets))) * (1 - black) + black)
    photo_stops = torch.log2((before + SHIFT) / (luminance[half:] + SHIFT)).clamp(0, MOST)
    first = torch.cat([stops[:, :1], photo_stops])
    second = torch.cat([stops[:, 1:], photo_stops * torch.rand(half, 1, 1, 1)])
    noise = torch.rand(BATCH, 1, 1, 1) ** 2 * 0.012
    given = ((given + torch.randn(given.shape) * noise).clamp(0, 1) * 255).round() / 255
    parts = [given, aim, first, second]
    if torch.rand(1) < 0.5:
        parts = [each.flip(3) for each in parts]
    if torch.rand(1) < 0.3:
        parts = [each.transpose(2, 3) for each in parts]
    if side < SIDE and torch.rand(1) < 0.35:
        top, left = (int(torch.randint(SIDE + 1 - side, (1,))) for _ in range(2))
        parts = [each[..., top : top + side, left : left + side] for each in parts]
    elif side < SIDE:
        parts = [F.interpolate(each, (side, side), mode="area") for each in parts]
        parts[0] = (parts[0] * 255).round() / 255
    given, aim, first, second = parts
    shade = _luminance(_light(given[:half]))
    first, second = (
        torch.cat([_orderly(shade, each[:half]), each[half:]]) for each in (first, second)
    )
    return Batch(given.contiguous(), aim.contiguous(), first, second, half)


def loss(network: LightNet, learned: Batch) -> Tensor:
    """Luminance, gradients of the gain, reversals of order, colour, and the amount."""
    linear = _light(learned.given)
    luminance = _luminance(linear)
    weight = _dark(luminance)
    features = torch.cat([learned.given, (torch.log2(luminance + 1e-3) + 5) / 5], 1)
    with torch.autocast("cpu", torch.bfloat16):
        raw = network(features.contiguous(memory_format=torch.channels_last))
    raw = raw.float()
    half_weight = _dark(F.avg_pool2d(luminance, 2))
    slopes = F.softplus(raw[:, :5])
    slopes = slopes / (
        (slopes * half_weight).sum((2, 3), keepdim=True) / half_weight.sum((2, 3), keepdim=True)
    ).clamp(min=1e-3)
    size = learned.given.shape[2:]
    colour = F.interpolate(raw[:, 5:8], size, mode="bilinear", align_corners=False)
    asked, black, contrast = raw[:, 8:, 0, 0].unbind(1)
    black, contrast = black.sigmoid(), contrast.sigmoid() * 0.6
    half = learned.views
    final = torch.cat(
        [
            _shown((luminance[:half] * learned.first[:half].exp2()).clamp(0, 1.5)),
            _shown(_luminance(learned.light[half:])),
        ]
    )
    knots = torch.tensor(light.KNOTS)
    total = torch.zeros(())
    for number, (stops, share) in enumerate(((learned.first, 1.0), (learned.second, 0.7))):
        amount = _mean(stops, weight)
        parts = torch.minimum((amount[:, None] - knots[:-1]).clamp(0), knots[1:] - knots[:-1])
        made = (slopes * parts[:, :, None, None]).sum(1, keepdim=True)
        made = F.interpolate(made, size, mode="bilinear", align_corners=False)
        shown = _shown((luminance * made.exp2()).clamp(0, 1.5))
        off = shown - _shown((luminance * stops.exp2()).clamp(0, 1.5))
        if number == 0:
            toned = _toned(shown, black, contrast, amount)
            off = torch.cat([toned - final, 0.3 * off[half:]])
        part = off.abs().sum() / luminance.numel()
        part = part + 0.5 * (off.square().mean((1, 2, 3)) + 1e-5).sqrt().mean()
        part = part + 0.02 * (made - stops).abs().mean()
        for step, strength in ((1, 0.06), (6, 0.04)):
            pairs = zip(_differences(made, step), _differences(stops, step), strict=True)
            part = part + strength * sum((a - b).abs().mean() for a, b in pairs)
        level = torch.log2(F.avg_pool2d(luminance, 3) + 1e-3)
        after = level + F.avg_pool2d(made, 3)
        for step in (4, 10):
            pairs = zip(_differences(level, step), _differences(after, step), strict=True)
            for a, b in pairs:
                turned = F.relu(0.12 * a.abs() - b * torch.sign(a)) * (a.abs() > 0.25)
                part = part + 0.08 * turned.mean()
        total = total + share * part
    total = total + 1.5 * _colour_loss(learned, linear, luminance, colour)
    short = _mean(learned.first, weight) - asked
    photos = torch.arange(len(short)) >= half
    quantile = torch.where(photos, EVEN, BOLD)
    much = 1 + 0.6 * (short + asked > 3.3) * photos
    return total + 0.08 * (torch.maximum(quantile * short, (quantile - 1) * short) * much).mean()


def _toned(shown: Tensor, black: Tensor, contrast: Tensor, amount: Tensor) -> Tensor:
    """Black set and contrast given, by so much as light is."""
    share = (amount / 0.4).clamp(0, 1).view(-1, 1, 1, 1)
    low = _black(shown) * black.view(-1, 1, 1, 1) * share
    shade = ((shown - low) / (1 - low)).clamp(min=1e-5)
    inner = shade.clamp(max=1)
    curve = inner * inner * (3 - 2 * inner) - inner
    return shade + contrast.view(-1, 1, 1, 1) * share * curve


def _colour_loss(learned: Batch, linear: Tensor, luminance: Tensor, colour: Tensor) -> Tensor:
    stops, half = learned.first, learned.views
    casts = [
        colour[:, :1].tanh() * 0.5,
        torch.zeros_like(colour[:, :1]),
        colour[:, 1:2].tanh() * 0.5,
    ]
    made = linear * torch.cat(casts, 1).exp2()
    made = made * (luminance / (_luminance(made) + 1e-6)) * stops.exp2()
    grey = _luminance(made)
    paler = (1 - 0.05 * stops).clamp(0.7, 1)
    made = grey + (made - grey) * paler * (colour[:, 2:].tanh() * 0.7).exp2()
    aim = torch.cat([learned.light[:half] * stops[:half].exp2(), learned.light[half:]])
    level = _luminance(aim)
    paler = torch.cat([paler[:half], torch.ones_like(paler[half:])])
    aim = level + (aim - level) * paler
    # Colours alone: at the luminance that is wanted.
    made = made * ((level + 1e-4) / (_luminance(made).detach() + 1e-4)).clamp(0.2, 5)
    seen = (luminance > 2e-3).float()
    off = (_shown(made.clamp(1e-5, 1)) - _shown(aim.clamp(1e-5, 1))).abs()
    cast = colour[:, :2].tanh().abs().mean()
    smooth = sum(each.abs().mean() for each in _differences(colour, 4))
    return (off * seen).mean() + 0.015 * cast + 0.05 * smooth


def train(examples: Examples, folder: Path, hours: float, seed: int) -> Iterator[str]:
    """Learns for so many hours, or what is left of them; yields how it goes."""
    torch.manual_seed(seed)
    network = LightNet(LightConfig()).to(memory_format=torch.channels_last)
    torch.nn.init.zeros_(network.curve.weight)
    torch.nn.init.constant_(network.curve.bias, 0.54)
    torch.nn.init.zeros_(network.colour.weight)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, betas=(0.9, 0.98), weight_decay=1e-3)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    kept, step, spent = folder / "run.pt", 0, 0.0
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        average, step, spent = state["average"], state["step"], state["spent"]
    rng = np.random.default_rng(seed + step)
    began = said = time.monotonic()
    while (done := (spent + time.monotonic() - began) / 3600 / hours) < 1:
        falling = max(0.0, (done - 1 + FALL) / FALL)
        rate = (
            RATE * min(1.0, (step + 1) / 100) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * falling))
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        value = loss(network, batch(examples, SMALL if done < FIRST else SIDE, rng))
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        keep = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for name, each in network.state_dict().items():
                average[name].lerp_(each, 1 - keep)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            state |= {"average": average, "step": step, "spent": spent + said - began}
            torch.save(state, folder / "run.part")
            (folder / "run.part").replace(kept)
            yield f"step {step}, {(spent + said - began) / 3600:.2f} h, loss {value.item():.4f}"
    config = {"widths": list(LightConfig().widths), "hidden": LightConfig().hidden}
    tensors = {name: value.numpy() for name, value in average.items()}
    out = folder / "enhance.safetensors"
    weights_file.save(
        out,
        Weights(
            name="enhance",
            path=out,
            sha256="",
            task="enhance",
            scales=(1,),
            licence="Apache-2.0",
            network=NetworkSpec("light", config, tensors, ""),
            thumbnail=None,
            base="light",
            context="tile",
            overlap=None,
            training={"network": {"steps": step, "seed": seed, "hours": round(hours, 2)}},
        ),
    )
    yield f"{out}"


def main() -> None:
    """Runs the script; see the module's text."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--photos", type=Path, required=True, help="clean photos")
    parser.add_argument("--panoramas", type=Path, required=True, help="HDR panoramas")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the run")
    parser.add_argument("--hours", type=float, default=1.5)
    parser.add_argument("--examples", type=int, default=2400, help="views, and as many photos")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    examples = Examples.made(given.out, given.panoramas, given.photos, given.examples, given.seed)
    for line in train(examples, given.out, given.hours, given.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
