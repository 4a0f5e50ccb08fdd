"""The network of light: what each place of a reduced photo gets when more light is asked for.

A small U-Net (Ronneberger et al., MICCAI 2015) that halves five times and comes back to half of the
picture's size, with means and maxima of its deepest features as what it knows of the whole. It sees
a photo once, whatever is asked for: :mod:`mirnet_cli.restore.light` makes curves of its numbers.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.blocks import double
from mirnet_cli.networks.configs import FINENESS, LightConfig
from mirnet_cli.networks.pooling import Pooling

_HISTOGRAMS = ("level", "brightest", "brightest where it is fine")


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.2))


class LightNet(nn.Module):
    """The network; see the module's text."""

    def __init__(self, config: LightConfig) -> None:
        super().__init__()
        widths, hidden = config.widths, config.hidden
        self.down = nn.ModuleList([_layer(config.inputs, widths[0], 2)])
        for before, width in pairwise(widths):
            self.down.append(nn.Sequential(_layer(before, width, 2), _layer(width, width)))
        self.squeeze = nn.Conv2d(2 * widths[-1], hidden, 1)
        self.mix = nn.Conv2d(hidden, hidden, 1)
        self.whole = nn.Conv2d(hidden, config.colours + config.amounts, 1)
        ends = [*widths[-2::-1], widths[0]]
        starts = [widths[-1] + hidden, *(2 * width for width in ends[:-1])]
        self.up = nn.ModuleList(_layer(a, b) for a, b in zip(starts, ends, strict=True))
        self.colour = nn.Conv2d(ends[2], config.colours, 3, padding=1)
        self.curve = nn.Conv2d(widths[0], config.segments, 3, padding=1)
        self.colours, self.shades = config.colours, config.shades
        if config.judges:
            seen = 2 * widths[-1] + len(_HISTOGRAMS) * config.shades
            sizes = (seen, config.judges, config.judges, 1)
            self.judge = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(sizes))

    def forward(self, x: Tensor, pooling: Pooling | None = None, **_: Any) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, segments + colours + amounts, H / 2, W / 2)``.

        Sides must be multiples of ``2 ** len(widths)``. The amounts are the same everywhere.
        Nothing is pooled that tiles could share: the picture is given whole.
        """
        given = x
        skips, pooled = self.looked(given)
        x = skips[-1]
        known = F.leaky_relu(self.mix(F.leaky_relu(self.squeeze(pooled), 0.2)), 0.2)
        x = self.up[0](torch.cat([x, known.expand(-1, -1, *x.shape[2:])], 1))
        whole = self.whole(known)
        colour = whole
        for index, layer in enumerate(list(self.up)[1:], 1):
            x = layer(torch.cat([double(x), skips[-1 - index]], 1))
            if index == 2:
                colour = self.colour(x) + whole[:, : self.colours]
        colour = F.interpolate(colour, x.shape[2:], mode="bilinear", align_corners=False)
        amounts = whole[:, self.colours :]
        if hasattr(self, "judge"):
            amounts = torch.cat([self.judged(self.evidence(given, pooled)), amounts[:, 1:]], 1)
        amounts = amounts.expand(-1, -1, *x.shape[2:])
        return torch.cat([self.curve(x), colour, amounts], 1)

    def looked(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features of all sizes, and means and maxima of the deepest, one behind the other."""
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        return skips, torch.cat([x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)], 1)

    def evidence(self, given: Tensor, pooled: Tensor) -> Tensor:
        """What judges see of a picture ``(N, inputs, H, W)`` and its deepest features.

        Beside these histograms, which depend on no training: of the logarithm of the luminance, of
        the brightest channel, and of the same weighted by how fine the picture is there, which
        tells white things from white skies.
        """
        if not self.shades:
            return pooled
        brightest = given[:, :3].amax(1, keepdim=True)
        even = F.avg_pool2d(brightest, 3, 1, 1, count_include_pad=False)
        fine = FINENESS * (brightest - even).abs()
        level = 0.5 + 0.5 * given[:, 3:4]
        parts = [self._shares(level), self._shares(brightest), self._shares(brightest, fine)]
        return torch.cat([pooled, *parts], 1)

    def _shares(self, values: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """A histogram of values in 0..1, between whose bins is shared: ``(N, shades, 1, 1)``."""
        bins = torch.arange(self.shades, device=values.device, dtype=values.dtype)
        off = (values.clamp(0, 1) * (self.shades - 1) - bins.view(1, -1, 1, 1)).abs()
        return (F.relu(1 - off) * weight).mean((2, 3), keepdim=True)

    def judged(self, evidence: Tensor) -> Tensor:
        """The light that is asked for ``(N, 1, 1, 1)``; features do not learn from it."""
        first, second, last = self.judge
        x = F.leaky_relu(first(evidence.detach()), 0.2)
        judged: Tensor = last(F.leaky_relu(second(x), 0.2))
        return judged
