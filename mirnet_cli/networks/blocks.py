"""The blocks of MIRNet (Zamir et al., ECCV 2020, section 3), shared by its families.

Every tensor is ``(N, channels, height, width)``. Every global pool goes through the
:class:`~mirnet_cli.networks.pooling.Pooling` that a forward pass carries with it.
"""

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.pooling import Pooling

Activation = Callable[[], nn.Module]


def conv(inputs: int, outputs: int, kernel: int, bias: bool = False) -> nn.Conv2d:
    """A convolution that keeps the size ("same" zero padding, stride 1)."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


class SKFF(nn.Module):
    """Selective kernel feature fusion (section 3.1): a weighted sum of streams of one size.

    The weights come from the pooled sum of the streams and a softmax across the streams.

    Args:
        channels: of every stream.
        streams: how many are fused.
        hidden: width of the squeezed vector.
        activation: makes the non-linearity after the squeeze.
    """

    def __init__(self, channels: int, streams: int, hidden: int, activation: Activation) -> None:
        super().__init__()
        self.squeeze = conv(channels, hidden, 1)
        self.activation = activation()
        self.expand = nn.ModuleList(conv(hidden, channels, 1) for _ in range(streams))

    def forward(self, streams: Sequence[Tensor], pooling: Pooling) -> Tensor:
        total = streams[0]
        for stream in streams[1:]:
            total = total + stream
        squeezed = self.activation(self.squeeze(pooling.mean(total)))
        scores = torch.stack([expand(squeezed) for expand in self.expand])
        weights = scores.softmax(0)
        # One stream at a time: stacking them would need their memory a second time.
        fused = streams[0] * weights[0]
        for stream, weight in zip(streams[1:], weights[1:], strict=True):
            fused = torch.addcmul(fused, stream, weight.expand_as(stream))
        return fused


class ChannelAttention(nn.Module):
    """The channel branch of the dual attention unit: squeeze-and-excitation."""

    def __init__(self, channels: int, hidden: int, activation: Activation) -> None:
        super().__init__()
        self.squeeze = conv(channels, hidden, 1)
        self.activation = activation()
        self.excite = conv(hidden, channels, 1)

    def forward(self, x: Tensor, pooling: Pooling) -> Tensor:
        gate = self.excite(self.activation(self.squeeze(pooling.mean(x))))
        return x * gate.sigmoid()


class SpatialAttention(nn.Module):
    """The spatial branch of the dual attention unit: 5x5 over channel maximum and mean."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.conv = conv(2, 1, 5, bias)

    def forward(self, x: Tensor) -> Tensor:
        statistics = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * self.conv(statistics).sigmoid()


class DAU(nn.Module):
    """Dual attention unit (section 3.2): what matters in space and across channels.

    Args:
        channels: in and out.
        reduction: squeeze of the channel branch (8 in the paper's code).
        activation: between the two 3x3 convolutions.
        channel_activation: inside the channel branch.
        spatial_bias: whether the 5x5 convolution has a bias.
    """

    def __init__(
        self,
        channels: int,
        reduction: int,
        activation: Activation,
        channel_activation: Activation,
        spatial_bias: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 3)
        self.activation = activation()
        self.conv2 = conv(channels, channels, 3)
        self.spatial = SpatialAttention(spatial_bias)
        self.channel = ChannelAttention(channels, channels // reduction, channel_activation)
        self.merge = conv(2 * channels, channels, 1)

    def forward(self, x: Tensor, pooling: Pooling) -> Tensor:
        features = self.conv2(self.activation(self.conv1(x)))
        attended = torch.cat([self.spatial(features), self.channel(features, pooling)], 1)
        return self.merge(attended) + x


def blur_and_halve(x: Tensor) -> Tensor:
    """Anti-aliased halving (Zhang, ICML 2019): [1 2 1]x[1 2 1]/16, reflected edges, stride 2.

    Output (i, j) is centred on input (2i, 2j); sides must be even. Written as two box means, whose
    gradients are far cheaper on a CPU than those of a depthwise convolution.
    """
    padded = F.pad(x, (1, 0, 1, 0), mode="reflect")
    # The row and column after the last centre, x[2i+1], always exist: sides are even.
    return F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 2)


def double(x: Tensor) -> Tensor:
    """Bilinear doubling with half-pixel centres and clamped edges."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class ResidualDown(nn.Module):
    """Residual downsampling (section 3.3, figure 5a): half the size, more channels."""

    def __init__(self, inputs: int, outputs: int, activation: Activation) -> None:
        super().__init__()
        self.top1 = conv(inputs, inputs, 1)
        self.activation1 = activation()
        self.top2 = conv(inputs, inputs, 3)
        self.activation2 = activation()
        self.top3 = conv(inputs, outputs, 1)
        self.bottom = conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        top = self.activation1(self.top1(x))
        top = blur_and_halve(self.activation2(self.top2(top)))
        return self.top3(top) + self.bottom(blur_and_halve(x))


class ResidualUp(nn.Module):
    """Residual upsampling (section 3.3, figure 5b): twice the size, fewer channels.

    The 1x1 convolution of the lower branch comes before the bilinear step: they commute, and so
    it works on a quarter of the pixels.

    Args:
        transposed: the middle of the upper branch is a transposed convolution of stride 2 (the
            authors' code) or, if false, a plain one followed by a bilinear step (community).
    """

    def __init__(self, inputs: int, outputs: int, activation: Activation, transposed: bool) -> None:
        super().__init__()
        self.top1 = conv(inputs, inputs, 1)
        self.activation1 = activation()
        self.top2: nn.Module = (
            nn.ConvTranspose2d(inputs, inputs, 3, 2, padding=1, output_padding=1, bias=False)
            if transposed
            else conv(inputs, inputs, 3)
        )
        self.activation2 = activation()
        self.top3 = conv(inputs, outputs, 1)
        self.bottom = conv(inputs, outputs, 1)
        self.transposed = transposed

    def forward(self, x: Tensor) -> Tensor:
        top = self.activation1(self.top1(x))
        top = self.top3(self.activation2(self.top2(top)))
        bottom = self.bottom(x)
        return top + double(bottom) if self.transposed else double(top + bottom)


class LinearDown(nn.Module):
    """The lower branch of :class:`ResidualDown` alone: blur, halve, 1x1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(blur_and_halve(x))


class LinearUp(nn.Module):
    """The lower branch of :class:`ResidualUp` alone: 1x1, bilinear doubling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return double(self.conv(x))


class MSRB(nn.Module):
    """Multi-scale residual block (section 3.1): parallel streams that exchange information.

    Streams have ``widths[0]``, ``widths[1]``, ... channels at full, half, ... size. First column: a
    DAU on each stream, each stream made from the one above. Then every stream is fused from all
    (SKFF). Second column: a DAU on each. Finally all are fused at full size.

    Args:
        widths: channels of each stream.
        dau: makes a DAU of so many channels.
        skff: makes an SKFF of so many channels.
        down: makes one halving step from so many to so many channels.
        up: makes one doubling step.
        shared_columns: one DAU serves both columns of a stream, and the first SKFF also fuses the
            result (the authors' code); else each place has its own.
        bias: of the last convolution.
    """

    def __init__(
        self,
        widths: Sequence[int],
        dau: Callable[[int], DAU],
        skff: Callable[[int], SKFF],
        down: Callable[[int, int], nn.Module],
        up: Callable[[int, int], nn.Module],
        shared_columns: bool,
        bias: bool = False,
    ) -> None:
        super().__init__()
        levels = range(len(widths))

        def steps(start: int, end: int) -> nn.Sequential:
            make, direction = (down, 1) if end > start else (up, -1)
            return nn.Sequential(
                *(make(widths[j], widths[j + direction]) for j in range(start, end, direction))
            )

        self.dau = nn.ModuleList(dau(width) for width in widths)
        self.skff = nn.ModuleList(skff(width) for width in widths)
        self.resize = nn.ModuleDict(
            {f"{i}_{j}": steps(i, j) for i in levels for j in levels if i != j}
        )
        self.dau2 = None if shared_columns else nn.ModuleList(dau(width) for width in widths)
        self.skff2 = None if shared_columns else skff(widths[0])
        self.last_up = nn.ModuleList(steps(j, 0) for j in levels if j > 0)
        self.conv_out: nn.Conv2d | None = conv(widths[0], widths[0], 3, bias)

    def lean(self) -> Self:
        """Leave out the last convolution, and the second DAU of all streams but the first."""
        self.conv_out = None
        if self.dau2 is not None:
            self.dau2 = self.dau2[:1]
        return self

    def forward(self, x: Tensor, pooling: Pooling) -> Tensor:
        levels = range(len(self.dau))
        first: list[Tensor] = []
        for j in levels:
            stream = x if j == 0 else self.resize[f"{j - 1}_{j}"](first[-1])
            first.append(self.dau[j](stream, pooling))
        fused = [
            self.skff[j](
                [a if i == j else self.resize[f"{i}_{j}"](a) for i, a in enumerate(first)], pooling
            )
            for j in levels
        ]
        second = self.dau if self.dau2 is None else self.dau2
        streams = [dau(stream, pooling) for dau, stream in zip(second, fused, strict=False)]
        streams += fused[len(streams) :]
        enlarged = [up(stream) for up, stream in zip(self.last_up, streams[1:], strict=True)]
        last = self.skff[0] if self.skff2 is None else self.skff2
        merged = last([streams[0], *enlarged], pooling)
        return (merged if self.conv_out is None else self.conv_out(merged)) + x


class RRG(nn.Module):
    """Recursive residual group (section 3, figure 2): blocks, a convolution, a skip.

    Without the convolution there is no skip either: blocks have one of their own.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        channels: int,
        bias: bool = False,
        closes: bool = True,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.conv = conv(channels, channels, 3, bias) if closes else None

    def forward(self, x: Tensor, pooling: Pooling) -> Tensor:
        features = x
        for block in self.blocks:
            features = block(features, pooling)
        return features if self.conv is None else self.conv(features) + x
