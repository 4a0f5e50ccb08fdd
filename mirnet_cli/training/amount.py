"""How much light a photo asks for: learned last, of features that no longer change.

What is dark on purpose and what got too little light are told apart by the whole picture alone, of
which one step sees a handful. So what judges see of thousands of pictures is taken once, and the
few layers that judge it are learned of large batches. Photos that are good as they are count most:
what is missed can be asked for, a good photo that is spoilt is an annoyance. Of photos that lost
light there are pieces, enlarged like those that the network learned of, and whole ones as sharp as
photos are in use: else sharp would come to mean good.
"""

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.light import LightNet
from mirnet_cli.restore import light as light_of
from mirnet_cli.restore.picture import Picture, pad
from mirnet_cli.training import light
from mirnet_cli.training.panoramas import VIEWS
from mirnet_cli.training.photos import Pixels
from mirnet_cli.training.run import Run

_DRAWN, _AT_ONCE = 1800, 8
"""Photos that lost light, and how many of them are made at a time."""
_BOLD = 0.68
"""Quantile that is learned of views."""
_GOOD, _WHOLE, _PART = 1.7, 5.0, 1.25
"""Weights of pictures that want nothing: of those that could have lost light, of whole photos as
they are, and of parts of them."""
_PARTS, _LOST = 4, 8
"""Parts of each photo as they are, and others that may have lost light."""
_LEAST = 0.6
"""Share of a photo's sides that parts have at least."""
_NOTHING = 0.03
"""Stops below which a picture wants nothing."""
_STEPS, _BATCH, _RATE, _DECAY, _DROPPED = 2500, 256, 2e-3, 0.05, 0.2


def learned(run: Run, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a network, with judges that were learned anew.

    Args:
        run: what it was trained on.
        tensors: of a network with ``judges``.
    """
    network = light.network(run.recipe)
    assert isinstance(network, LightNet)
    network.load_state_dict(tensors)
    network = network.to(run.device).eval()
    # One buffer: small tensors kept between large ones that come and go would leave memory in
    # pieces, some megabytes for each.
    kept, count = array("f"), 0
    for row in _examples(run, network):
        kept.extend(torch.cat([each.flatten().cpu() for each in row]).tolist())
        count += 1
    seen, *said = torch.tensor(kept).view(count, -1).tensor_split([-3, -2, -1], 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        _fit(network, seen, *(each.flatten() for each in said))
    return {name: value.detach().cpu() for name, value in network.state_dict().items()}


Row = tuple[Tensor, Tensor, Tensor, Tensor]
"""Features, stops that are wanted, the quantile of them that is learned, and the weight."""


def _examples(run: Run, network: LightNet) -> Iterator[Row]:
    for place in run.panoramas:
        for number in range(VIEWS):
            given, stops = place.view(number)
            weight = light_of.dark(_luminance(given))
            yield _row(network, given, float(np.average(stops[0], weights=weight)), _BOLD)
    for source in filter(None, (run.photos, run.pairs)):
        for number in range(_DRAWN // _AT_ONCE):
            batch = light.photos_of(run, source, number, _AT_ONCE)
            amounts = light.amounts(batch)
            for given, amount in zip(batch.given, amounts.tolist(), strict=True):
                yield _row(network, _integers(given), amount, light.EVEN)
    for index, photo in enumerate([*run.photos, *run.pairs]):
        rng = np.random.default_rng([run.seed, index, 3])
        for number in range(_LOST):
            batch = light.lost(run, _part(photo.pixels(), rng), index * _LOST + number)
            yield _row(network, _integers(batch.given[0]), float(light.amounts(batch)), light.EVEN)
    for index, photo in enumerate(run.photos):
        rng = np.random.default_rng([run.seed, index, 4])
        yield _row(network, np.asarray(photo.pixels()[0]), 0.0, light.EVEN, _WHOLE)
        for _ in range(_PARTS):
            yield _row(network, _part(photo.pixels(), rng)[0], 0.0, light.EVEN, _PART)


def _part(pixels: Sequence[Pixels], rng: np.random.Generator) -> list[Pixels]:
    """The same most of a photo, or of both of a pair, in a shape of its own."""
    height, width = pixels[0].shape[:2]
    share = rng.uniform(_LEAST, 1)
    sides = [max(int(side * min(1, share * rng.uniform(0.8, 1.25))), 1) for side in (height, width)]
    top, left = (
        int(rng.integers(whole - side + 1))
        for whole, side in zip((height, width), sides, strict=True)
    )
    there = np.s_[top : top + sides[0], left : left + sides[1]]
    turned = slice(None, None, -1 if rng.random() < 0.5 else 1)
    return [np.ascontiguousarray(np.asarray(each)[there][:, turned]) for each in pixels]


def _integers(given: Tensor) -> Pixels:
    integers: Pixels = given.permute(1, 2, 0).mul(255).round().byte().numpy()
    return integers


def _row(
    network: LightNet,
    pixels: NDArray[np.uint8],
    amount: float,
    quantile: float,
    good: float = _GOOD,
) -> Row:
    """A picture as the network sees it in use."""
    x = pad(light_of.features(light_of.seen(Picture(pixels, None))), 2 ** len(network.down))
    device = next(network.parameters()).device
    given = torch.from_numpy(x).permute(2, 0, 1)[None].to(device)
    with torch.inference_mode():
        evidence = network.evidence(given, network.looked(given)[1])
    weight = good if amount < _NOTHING and quantile == light.EVEN else 1.0
    said = (torch.tensor(each) for each in (amount, quantile, weight))
    return (evidence.flatten().clone(), *said)  # type: ignore[return-value]


def _luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return light_of.luminance(pixels.astype(np.float32) / np.float32(255))


def _fit(network: LightNet, x: Tensor, wanted: Tensor, quantile: Tensor, weight: Tensor) -> None:
    mean, deviation = x.mean(0), x.std(0) + 1e-3
    x = (x - mean) / deviation
    judges = [each for each in network.judge if isinstance(each, nn.Conv2d)]
    layers = [nn.Linear(each.in_channels, each.out_channels) for each in judges]
    weights = [each for layer in layers for each in layer.parameters()]
    optimiser = torch.optim.AdamW(weights, _RATE, weight_decay=_DECAY)
    for step in range(_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, 2 * (1 - step / _STEPS))
        chosen = torch.randint(len(x), (_BATCH,))
        judged = x[chosen]
        for index, layer in enumerate(layers):
            judged = layer(F.dropout(judged, _DROPPED))
            judged = judged if index == len(layers) - 1 else F.leaky_relu(judged, 0.2)
        short = wanted[chosen] - judged[:, 0]
        of = quantile[chosen]
        loss = (torch.maximum(of * short, (of - 1) * short) * weight[chosen]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        # What the features were brought to is done by the first layer.
        first = layers[0]
        first.bias.sub_(first.weight @ (mean / deviation))
        first.weight.div_(deviation)
        for layer, judge in zip(layers, judges, strict=True):
            judge.weight.copy_(layer.weight[..., None, None])
            if judge.bias is not None:
                judge.bias.copy_(layer.bias)
