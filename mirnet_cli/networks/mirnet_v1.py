"""MIRNet as its authors run it: Zamir et al., "Learning Enriched Features for Real Image
Restoration and Enhancement", ECCV 2020 (arXiv 2003.06792), figure 1.

    residual = conv_out(RRG(... RRG(conv_in(x))))

The caller adds the picture. Sides must be multiples of ``2 ** (levels - 1)``.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from mirnet_cli.networks.blocks import (
    DAU,
    MSRB,
    RRG,
    SKFF,
    Activation,
    ResidualDown,
    ResidualUp,
    conv,
)
from mirnet_cli.networks.configs import MIRNetConfig
from mirnet_cli.networks.pooling import Pooling


@dataclass(frozen=True)
class Dialect:
    """Where implementations of the paper differ in numbers.

    Attributes:
        shared_slope: one PReLU slope serves all dual attention units of the network.
        channel_activation: inside the channel attention.
        spatial_bias: whether the spatial attention's convolution always has a bias.
        fusion_reduction: channels over the squeezed width of SKFF.
        transposed_up: upsampling by a transposed convolution rather than bilinearly.
        group_bias: whether ``bias`` reaches the last convolution of each group.
    """

    shared_slope: bool
    channel_activation: Activation
    spatial_bias: bool
    fusion_reduction: int
    transposed_up: bool
    group_bias: bool


AUTHORS = Dialect(
    # The authors' code makes the slope once, as a default argument.
    shared_slope=True,
    channel_activation=nn.ReLU,
    spatial_bias=False,
    fusion_reduction=8,
    transposed_up=True,
    group_bias=False,
)

COMMUNITY = Dialect(
    shared_slope=False,
    channel_activation=nn.PReLU,
    spatial_bias=True,
    fusion_reduction=3,
    transposed_up=False,
    group_bias=True,
)
"""The implementation behind the low-light weights on the Hugging Face Hub."""


class MIRNet(nn.Module):
    """MIRNet; see the module's text. Parity with both implementations is tested."""

    def __init__(self, config: MIRNetConfig, dialect: Dialect = AUTHORS) -> None:
        super().__init__()
        self.config = config
        features = config.features
        slope = nn.PReLU()

        def dau(channels: int) -> DAU:
            activation = (lambda: slope) if dialect.shared_slope else nn.PReLU
            return DAU(channels, 8, activation, dialect.channel_activation, dialect.spatial_bias)

        def skff(channels: int) -> SKFF:
            hidden = max(channels // dialect.fusion_reduction, 4)
            return SKFF(channels, config.levels, hidden, nn.PReLU)

        def block() -> MSRB:
            return MSRB(
                config.widths,
                dau,
                skff,
                down=lambda i, o: ResidualDown(i, o, nn.PReLU),
                up=lambda i, o: ResidualUp(i, o, nn.PReLU, transposed=dialect.transposed_up),
                shared_columns=True,
                bias=config.bias,
            )

        self.conv_in = conv(config.inputs, features, 3, config.bias)
        self.groups = nn.ModuleList(
            RRG(
                [block() for _ in range(config.blocks)],
                features,
                config.bias and dialect.group_bias,
            )
            for _ in range(config.groups)
        )
        self.conv_out = conv(features, config.outputs, 3, config.bias)

    def forward(self, x: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Map ``(N, inputs, H, W)`` in 0..1 to the residual ``(N, outputs, H, W)``."""
        pooling = pooling or Pooling()
        features = self.conv_in(x)
        for group in self.groups:
            features = group(features, pooling)
        return self.conv_out(features)
