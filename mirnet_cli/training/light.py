"""How the network of light learns: what it sees of a step, and how far its curves are off.

Half of a batch are views of panoramas, whose stops are known for two amounts; the other half photos
that lost light, or pairs of a user's own, whose stops follow from what they should become. What is
brought down: the luminance as it is shown, stops and their gradients (halos), pairs of places whose
order is turned round, colours at the luminance that is wanted, and the amount.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.configs import LightConfig
from mirnet_cli.networks.light import LightNet
from mirnet_cli.restore import light
from mirnet_cli.restore.picture import Picture, pad
from mirnet_cli.training.degrade.views import MOST, SHIFT, SIDE
from mirnet_cli.training.panoramas import VIEWS
from mirnet_cli.training.photos import Pair, random_crops
from mirnet_cli.training.recipe import Recipe, Stage
from mirnet_cli.training.run import VALIDATION_CROP, Run
from mirnet_cli.values import HIGHEST_EV

LARGEST = SIDE
"""Side of the largest pictures that it learns from, in pixels."""
BOLD, EVEN = 0.62, 0.5
"""Quantiles of the amount that are learned: of views, and of photos."""
_EVEN_CURVE = 0.54
"""Of all places and amounts to begin with, before the logistic curve: about a stop for a stop."""
_PIECE = 0.35
"""Share of the smaller pictures that are pieces; others are reduced."""
_LIT, _RED, _BLUE = 0.4, 0.12, 0.15
"""Share of views under lamps, and how far their light is from white (deviations in stops)."""
_NOISE = 0.012
_VALIDATING = 16
_KNOTS = torch.tensor(light.KNOTS)


@dataclass(frozen=True)
class Batch:
    """Pictures, and what they should become.

    Attributes:
        given: ``(N, 3, H, W)`` sRGB in 0..1, on the levels of 8 bits.
        light: ``(N, 3, H, W)``: of photos the linear light of the target; of views their own,
            before lamps coloured it.
        first, second: ``(N, 1, H, W)`` stops of each place, for two amounts.
        black: ``(N, 1, 1, 1)``: the brightness of black where the first stops are given, of the
            whole picture: a piece of it need not have any.
        views: how many of them are views; they come first.
    """

    given: Tensor
    light: Tensor
    first: Tensor
    second: Tensor
    black: Tensor
    views: int

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        moved = {
            each.name: value.to(device)
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), Tensor)
        }
        return Batch(**moved, views=self.views)


def network(recipe: Recipe) -> nn.Module:
    """One that gives every place as many stops as are asked for, and asks for none."""
    assert isinstance(recipe.config, LightConfig)
    made = LightNet(recipe.config)
    nn.init.zeros_(made.curve.weight)
    if made.curve.bias is not None:
        nn.init.constant_(made.curve.bias, _EVEN_CURVE)
    nn.init.zeros_(made.colour.weight)
    return made


def make_batch(run: Run, step: int, stage: Stage) -> Batch:
    """What a step sees, on the run's device; the same whenever it is asked for."""
    generator = torch.Generator().manual_seed((run.seed << 32) + step)
    others = bool(run.photos or run.pairs)
    views = stage.batch // (2 if others else 1) if run.panoramas else 0
    parts = []
    if views:
        rng = np.random.default_rng([run.seed, step, 1])
        chosen = [
            divmod(int(n), VIEWS) for n in rng.integers(VIEWS * len(run.panoramas), size=views)
        ]
        parts.append(_views([run.panoramas[place].view(number) for place, number in chosen]))
        parts[0] = _under_lamps(parts[0], generator)
    if views < stage.batch:
        parts.append(_photos(run, step, stage.batch - views, generator))
    batch = _drawn(_joined(parts), stage.crop, generator)
    return batch.to(run.device)


def _views(found: list[tuple[NDArray[np.uint8], NDArray[np.float32]]]) -> Batch:
    given = torch.from_numpy(np.stack([each[0] for each in found])).permute(0, 3, 1, 2) / 255
    stops = torch.from_numpy(np.stack([each[1] for each in found]))
    first = stops[:, :1]
    return Batch(given, _light(given), first, stops[:, 1:], _lit_black(given, first), len(found))


def _under_lamps(batch: Batch, generator: torch.Generator) -> Batch:
    count = len(batch.given)
    lit = (torch.rand(count, 1, generator=generator) < _LIT).float()
    moved = torch.randn(count, 2, generator=generator) * torch.tensor([_RED, _BLUE])
    lamps = torch.ones(count, 3)
    lamps[:, ::2] = (lit * moved).exp2()
    given = _shown((batch.light * lamps[..., None, None]).clamp(0, 1)).clamp(0, 1)
    return replace(batch, given=given)


def photos_of(run: Run, source: Sequence[Pair], number: int, count: int) -> Batch:
    """Photos that lost light, or pairs, of a number of their own that is no step's."""
    generator = torch.Generator().manual_seed((run.seed << 32) + number + (1 << 61))
    crops = random_crops(source, count, SIDE, (run.seed, number, 2), whole=True)
    return _from_targets(run.recipe, crops, generator)


def lost(run: Run, parts: Sequence[NDArray[np.uint8]], number: int) -> Batch:
    """A photo, or a pair, as the network sees whole ones, that lost light; of a number of its own.

    Args:
        run: its recipe decides what is lost.
        parts: of the photo, or of both, ``(H, W, 3)`` sRGB.
        number: seeds the draw, with the run's.
    """
    generator = torch.Generator().manual_seed((run.seed << 32) + number + (1 << 60))
    seen = np.concatenate([Picture(each, None).reduced(light.SIDE) for each in parts], 2)
    return _from_targets(run.recipe, torch.from_numpy(seen).permute(2, 0, 1)[None], generator)


def amounts(batch: Batch) -> Tensor:
    """Stops of what is dark that each is to get ``(N)``."""
    weight = _dark(_luminance(_light(batch.given)))
    return (batch.first * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def _photos(run: Run, step: int, count: int, generator: torch.Generator) -> Batch:
    use_pairs = bool(run.pairs) and (
        not run.photos or float(torch.rand(1, generator=generator)) < run.recipe.pair_share
    )
    source = run.pairs if use_pairs else run.photos
    crops = random_crops(source, count, SIDE, (run.seed, step), whole=True)
    return _from_targets(run.recipe, crops, generator)


def _from_targets(recipe: Recipe, crops: Tensor, generator: torch.Generator) -> Batch:
    """Clean photos, or pairs of six channels."""
    if crops.shape[1] == 6:
        given, targets = crops[:, :3], crops[:, 3:]
    else:
        made = recipe.degrade(recipe, crops, generator, 1)
        given, targets = made.inputs, made.targets
    luminance = _luminance(_light(given))
    # What a photo wants before its black is set.
    black = _black(given.mean(1, keepdim=True)) - _black(targets.mean(1, keepdim=True))
    black = black.clamp(0)
    wanted = _light(_shown(_luminance(_light(targets))) * (1 - black) + black)
    stops = torch.log2((wanted + SHIFT) / (luminance + SHIFT)).clamp(0, MOST)
    share = torch.rand(len(given), 1, 1, 1, generator=generator)
    return Batch(given, _light(targets), stops, share * stops, _lit_black(given, stops), 0)


def _joined(parts: list[Batch]) -> Batch:
    tensors = {
        name: torch.cat([getattr(each, name) for each in parts])
        for name in ("given", "light", "first", "second", "black")
    }
    return Batch(**tensors, views=parts[0].views)


def _drawn(batch: Batch, side: int, generator: torch.Generator) -> Batch:
    """With noise, turned, and of the size of the stage."""

    def chance(share: float) -> bool:
        return float(torch.rand(1, generator=generator)) < share

    count, views = len(batch.given), batch.views
    noise = torch.rand(count, 1, 1, 1, generator=generator) ** 2 * _NOISE
    noise = noise * torch.randn(batch.given.shape, generator=generator)
    parts = [_rounded((batch.given + noise).clamp(0, 1)), batch.light, batch.first, batch.second]
    if chance(0.5):
        parts = [each.flip(3) for each in parts]
    if chance(0.3):
        parts = [each.transpose(2, 3) for each in parts]
    if side < SIDE and chance(_PIECE):
        top, left = torch.randint(SIDE + 1 - side, (2,), generator=generator).tolist()
        parts = [each[..., top : top + side, left : left + side] for each in parts]
    elif side < SIDE:
        # As it is shown, like what the network sees: what stays as it is then is what it was.
        parts[1] = _shown(parts[1])
        parts = [F.interpolate(each, (side, side), mode="area") for each in parts]
        parts[0], parts[1] = _rounded(parts[0]), _light(parts[1])
    given, aim, *stops = parts
    shade = _luminance(_light(given[:views]))
    first, second = (torch.cat([_orderly(shade, s[:views]), s[views:]]) for s in stops)
    return Batch(given.contiguous(), aim.contiguous(), first, second, batch.black, views)


def _rounded(values: Tensor) -> Tensor:
    return (values * 255).round() / 255


def validation_batches(run: Run) -> list[Batch]:
    """Views, photos and pairs that are held out, the same in every run; one in each batch."""
    batches = []
    places = run.held_out_panoramas
    for index in range(_VALIDATING if places else 0):
        place, number = places[index % len(places)], index // len(places)
        batches.append(_views([place.view(number % VIEWS)]))
    for source in (run.held_out_photos, run.held_out_pairs):
        for index, pair in enumerate(source[:_VALIDATING]):
            crops = random_crops([pair], 1, VALIDATION_CROP, (12345, index), whole=True)
            generator = torch.Generator().manual_seed(index)
            batches.append(_from_targets(run.recipe, crops, generator))
    return [each.to(run.device) for each in batches]


def results(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """What comes out of the amount that is wanted; what came in; what should be.

    The amount is told: what a picture asks for by itself is learned when the rest is.
    """
    assert isinstance(model, LightNet)
    stride = 2 ** len(model.down)
    made = []
    for given, amount in zip(batch.given, amounts(batch).tolist(), strict=True):
        pixels = _rounded(given).permute(1, 2, 0).mul(255).byte().cpu().numpy()
        picture = Picture(pixels, None)
        seen = light.seen(picture)
        x = torch.from_numpy(pad(light.features(seen), stride)).permute(2, 0, 1)[None]
        raw = model(x.to(given.device)).float()[0].permute(1, 2, 0).cpu().numpy()
        said = light.answer(seen, raw)
        base = light.light_base(picture, seen, said, light.Wanted(min(amount, HIGHEST_EV)))
        rows, columns = (0, picture.height), (0, picture.width)
        result = base.at(picture.clamped(rows, columns), rows, columns)
        made.append(torch.from_numpy(result).permute(2, 0, 1))
    aim = _shown((batch.light * batch.first.exp2() if batch.views else batch.light).clamp(0, 1))
    if batch.views:
        aim = _blackened(aim, batch.black)
    return torch.stack(made).to(batch.given.device), batch.given, aim.clamp(0, 1)


def loss(model: nn.Module, batch: Batch, kind: str, teacher: nn.Module | None) -> Tensor:
    """What is brought down; see the module's text."""
    linear = _light(batch.given)
    luminance = _luminance(linear)
    x = features(batch.given).contiguous(memory_format=torch.channels_last)
    with torch.autocast(batch.given.device.type, torch.bfloat16):
        raw = model(x)
    said = _Said(raw.float(), luminance)
    amount = said.amount(batch.first)
    total = torch.zeros((), device=linear.device)
    for stops, share in ((batch.first, 1.0), (batch.second, 0.7)):
        made = said.stops(stops)
        off = _as_shown(luminance, made) - _as_shown(luminance, stops)
        if stops is batch.first:
            fully = (amount / light.SET).clamp(0, 1).view(-1, 1, 1, 1)
            toned = _toned(_as_shown(luminance, made), said, fully * batch.black, fully)
            final = _final(batch, luminance, fully * batch.black)
            off = torch.cat([toned - final, 0.3 * off[batch.views :]])
        part = off.abs().sum() / luminance.numel()
        part = part + 0.5 * (off.square().mean((1, 2, 3)) + 1e-5).sqrt().mean()
        part = part + 0.02 * (made - stops).abs().mean()
        for step, strength in ((1, 0.06), (6, 0.04)):
            pairs = zip(_differences(made, step), _differences(stops, step), strict=True)
            part = part + strength * sum((a - b).abs().mean() for a, b in pairs)
        total = total + share * (part + 0.08 * _turned(luminance, made))
    total = total + 1.5 * _off_in_colour(batch, linear, said.colour)
    return total + _off_in_amount(batch, said, amount)


def features(given: Tensor) -> Tensor:
    """What the network sees of pictures, as :func:`mirnet_cli.restore.light.features` makes it."""
    return torch.cat([given, (torch.log2(_luminance(_light(given)) + 1e-3) + 5) / 5], 1)


class _Said:
    """What the network says of a batch, as :func:`mirnet_cli.restore.light.answer` reads it."""

    def __init__(self, raw: Tensor, luminance: Tensor) -> None:
        segments = len(light.KNOTS) - 1
        self._weight = _dark(luminance)
        weight = _dark(F.avg_pool2d(luminance, 2))
        slopes = F.softplus(raw[:, :segments])
        mean = (slopes * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True)
        self._slopes = slopes / mean.clamp(min=1e-3)
        self._size = luminance.shape[2:]
        self.colour = F.interpolate(
            raw[:, segments:-3], self._size, mode="bilinear", align_corners=False
        )
        self.asked, black, contrast = raw[:, -3:, 0, 0].unbind(1)
        self.black, self.contrast = black.sigmoid(), contrast.sigmoid() * light.CONTRAST

    def amount(self, stops: Tensor) -> Tensor:
        """Stops of what is dark ``(N)``."""
        return (stops * self._weight).sum((1, 2, 3)) / self._weight.sum((1, 2, 3))

    def stops(self, wanted: Tensor) -> Tensor:
        """Stops of each place for the amount that is wanted ``(N, 1, H, W)``."""
        knots, amount = _KNOTS.to(wanted.device), self.amount(wanted)[:, None]
        parts = torch.minimum((amount - knots[:-1]).clamp(0), knots[1:] - knots[:-1])
        made = (self._slopes * parts[..., None, None]).sum(1, keepdim=True)
        return F.interpolate(made, self._size, mode="bilinear", align_corners=False)


def _final(batch: Batch, luminance: Tensor, black: Tensor) -> Tensor:
    """Brightness that is wanted in the end: of views, too, black is set."""
    views = batch.views
    lit = _blackened(_as_shown(luminance[:views], batch.first[:views]), black[:views])
    return torch.cat([lit, _shown(_luminance(batch.light[views:]))])


def _toned(shown: Tensor, said: _Said, black: Tensor, share: Tensor) -> Tensor:
    """Black set and contrast given, by so much as light is."""
    shade = _blackened(shown, said.black.view(-1, 1, 1, 1) * black).clamp(min=1e-5)
    inner = shade.clamp(max=1)
    curve = inner * inner * (3 - 2 * inner) - inner
    return shade + said.contrast.view(-1, 1, 1, 1) * share * curve


def _blackened(shown: Tensor, black: Tensor) -> Tensor:
    return ((shown - black) / (1 - black)).clamp(min=0)


def _turned(luminance: Tensor, made: Tensor) -> Tensor:
    """How far places that were brighter than others are so no longer."""
    level = torch.log2(F.avg_pool2d(luminance, 3) + 1e-3)
    after = level + F.avg_pool2d(made, 3)
    total = torch.zeros((), device=made.device)
    for step in (4, 10):
        for a, b in zip(_differences(level, step), _differences(after, step), strict=True):
            turned = F.relu(0.12 * a.abs() - b * torch.sign(a)) * (a.abs() > 0.25)
            total = total + turned.mean()
    return total


def _off_in_colour(batch: Batch, linear: Tensor, colour: Tensor) -> Tensor:
    """Colours alone: at the luminance that is wanted."""
    stops, views = batch.first, batch.views
    moved = colour.tanh()
    paler = (1 - light.FADE * stops).clamp(light.PALEST, 1)
    made = _coloured(linear, moved, paler) * stops.exp2()
    aim = torch.cat([batch.light[:views] * stops[:views].exp2(), batch.light[views:]])
    level = _luminance(aim)
    paler = torch.cat([paler[:views], torch.ones_like(paler[views:])])
    aim = level + (aim - level) * paler
    made = made * ((level + 1e-4) / (_luminance(made).detach() + 1e-4)).clamp(0.2, 5)
    seen = (_luminance(linear) > 2e-3).float()
    off = (_shown(made.clamp(1e-5, 1)) - _shown(aim.clamp(1e-5, 1))).abs()
    smooth = sum(each.abs().mean() for each in _differences(colour, 4))
    return (off * seen).mean() + 0.015 * moved[:, :2].abs().mean() + 0.05 * smooth


def _coloured(linear: Tensor, moved: Tensor, paler: Tensor) -> Tensor:
    """Light of other colours and the same luminance, as the product makes it of what is no white,
    and not so dark that its colour is that of rounding."""
    red, blue = (light.CAST * moved[:, i : i + 1] for i in (0, 1))
    made = linear * torch.cat([red, torch.zeros_like(red), blue], 1).exp2()
    grey = _luminance(linear)
    made = made * (grey / (_luminance(made) + 1e-6))
    return grey + (made - grey) * paler * (light.COLOURFUL * moved[:, 2:]).exp2()


def _off_in_amount(batch: Batch, said: _Said, amount: Tensor) -> Tensor:
    short = amount - said.asked
    photos = torch.arange(len(short), device=short.device) >= batch.views
    quantile = torch.where(photos, EVEN, BOLD)
    much = 1 + 0.6 * (amount > 3.3) * photos
    return 0.08 * (torch.maximum(quantile * short, (quantile - 1) * short) * much).mean()


def _light(shown: Tensor) -> Tensor:
    return torch.where(
        shown <= 0.04045, shown / 12.92, ((shown.clamp(min=0) + 0.055) / 1.055) ** 2.4
    )


def _shown(values: Tensor) -> Tensor:
    bright = 1.055 * values.clamp(min=1e-6) ** (1 / 2.4) - 0.055
    return torch.where(values <= 0.0031308, values * 12.92, bright)


def _as_shown(luminance: Tensor, stops: Tensor) -> Tensor:
    return _shown((luminance * stops.exp2()).clamp(0, 1.5))


def _luminance(values: Tensor) -> Tensor:
    return 0.2126 * values[:, :1] + 0.7152 * values[:, 1:2] + 0.0722 * values[:, 2:]


def _dark(luminance: Tensor) -> Tensor:
    """As :func:`mirnet_cli.restore.light.dark`."""
    shade = _shown(luminance)
    return ((0.5 - shade) / 0.25).clamp(0.02, 1) * ((shade - 0.006) / 0.02).clamp(0.02, 1)


def _differences(values: Tensor, step: int) -> tuple[Tensor, Tensor]:
    return values[..., step:] - values[..., :-step], values[..., step:, :] - values[..., :-step, :]


def _lit_black(given: Tensor, stops: Tensor) -> Tensor:
    return _black(_as_shown(_luminance(_light(given)), stops))


def _black(shown: Tensor) -> Tensor:
    return torch.quantile(shown.flatten(1), 0.005, dim=1).clamp(max=1 / 6).view(-1, 1, 1, 1)


def _orderly(luminance: Tensor, stops: Tensor) -> Tensor:
    """Stops drawn half way towards those of a rising curve of luminance."""
    made = [
        _ordered(each, given)
        for each, given in zip(luminance[:, 0].numpy(), stops[:, 0].numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(made))[:, None] if made else stops


def _ordered(luminance: NDArray[np.float32], stops: NDArray[np.float32]) -> Any:
    level = np.log2(luminance + 1e-3)
    bins = np.clip(((level + 10) * 2.4).astype(int), 0, 23).ravel()
    counts = np.bincount(bins, minlength=24)
    used = counts > 8
    if used.sum() < 2:
        return stops
    means = np.bincount(bins, stops.ravel(), minlength=24)[used] / counts[used]
    centres = (np.flatnonzero(used) + 0.5) / 2.4 - 10
    curve = np.maximum.accumulate(centres + means)
    alone = np.clip(np.interp(level, centres, curve) - level, 0, MOST)
    return (0.55 * stops + 0.45 * alone).astype(np.float32)
