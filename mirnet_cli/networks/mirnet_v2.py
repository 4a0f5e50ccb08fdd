"""MIRNet-v2 as its authors run it: Zamir et al., "Learning Enriched Features for Fast Image
Restoration and Enhancement", TPAMI 2022 (arXiv 2205.01649), figure 2.

Three parallel streams as in MIRNet, but both lower ones are made from the first at once, fusion
goes upwards only, and residual contextual blocks take the place of dual attention units. The caller
adds the picture. Sides must be multiples of 4.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.blocks import RRG, SKFF, LinearUp, conv
from mirnet_cli.networks.configs import MIRNetV2Config
from mirnet_cli.networks.pooling import Pooling


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


class ContextBlock(nn.Module):
    """The attention of the residual contextual block: what the picture shows, added everywhere."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.score = conv(channels, 1, 1, bias)
        self.transform1 = conv(channels, channels, 1, bias)
        self.activation = _leaky()
        self.transform2 = conv(channels, channels, 1, bias)

    def forward(self, x: Tensor, pooling: Pooling) -> Tensor:
        context = pooling.softmax_mean(x, self.score(x))
        return x + self.transform2(self.activation(self.transform1(context)))


class RCB(nn.Module):
    """Residual contextual block (section 3.2)."""

    def __init__(self, channels: int, groups: int, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=bias)
        self.activation1 = _leaky()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=bias)
        self.context = ContextBlock(channels, bias)
        self.activation2 = _leaky()

    def forward(self, x: Tensor, pooling: Pooling) -> Tensor:
        features = self.conv2(self.activation1(self.conv1(x)))
        return self.activation2(self.context(features, pooling)) + x


class MeanDown(nn.Module):
    """Halving by the mean of 2x2 pixels, then a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.avg_pool2d(x, 2))


class MRB(nn.Module):
    """Multi-scale residual block of version 2 (section 3.1)."""

    def __init__(self, widths: Sequence[int], groups: int, bias: bool) -> None:
        super().__init__()
        top, middle, bottom = widths

        def fusion(channels: int) -> SKFF:
            return SKFF(channels, 2, max(channels // 8, 4), _leaky)

        self.rcb = nn.ModuleList(RCB(width, groups, bias) for width in widths)
        self.down2 = MeanDown(top, middle)
        self.down4 = nn.Sequential(MeanDown(top, middle), MeanDown(middle, bottom))
        self.up_to_middle = nn.ModuleList(LinearUp(bottom, middle) for _ in range(2))
        self.up_to_top = nn.ModuleList(LinearUp(middle, top) for _ in range(2))
        self.skff_middle = fusion(middle)
        self.skff_top = fusion(top)
        self.conv_out = conv(top, top, 1, bias)

    def forward(self, x: Tensor, pooling: Pooling) -> Tensor:
        top, middle, bottom = x, self.down2(x), self.down4(x)
        for up_to_middle, up_to_top in zip(self.up_to_middle, self.up_to_top, strict=True):
            # Both rounds have the same blocks and fusions.
            top = self.rcb[0](top, pooling)
            middle = self.rcb[1](middle, pooling)
            bottom = self.rcb[2](bottom, pooling)
            middle = self.skff_middle([middle, up_to_middle(bottom)], pooling)
            top = self.skff_top([top, up_to_top(middle)], pooling)
        return self.conv_out(top) + x


class MIRNetV2(nn.Module):
    """MIRNet-v2; see the module's text. Parity with the authors' code is tested."""

    def __init__(self, config: MIRNetV2Config) -> None:
        super().__init__()
        self.config = config
        features, bias = config.features, config.bias
        self.conv_in = conv(config.inputs, features, 3, bias)
        self.groups = nn.ModuleList(
            RRG([MRB(config.widths, groups, bias) for _ in range(config.blocks)], features, bias)
            for groups in config.conv_groups
        )
        self.conv_out = conv(features, config.outputs, 3, bias)

    def forward(self, x: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Map ``(N, inputs, H, W)`` in 0..1 to the residual ``(N, outputs, H, W)``.

        With ``feature_skip`` to the picture itself.
        """
        pooling = pooling or Pooling()
        shallow = self.conv_in(x)
        features = shallow
        for group in self.groups:
            features = group(features, pooling)
        return self.conv_out(features + shallow if self.config.feature_skip else features)
