"""The compact MIRNet of the weights that ship: MIRNet's blocks where they cost little.

The same groups, blocks, fusion and attention as in :mod:`mirnet_cli.networks.mirnet_v1`, with four
changes that make it 90 times cheaper for each pixel: it works on the pixel-unshuffled picture
(Shi et al., CVPR 2016, backwards), streams are narrow and grow by chosen widths, resizing keeps
only its linear branch, and slopes are fixed (LeakyReLU). Columns have their own DAUs: sharing saves
parameters, not time. A lean one leaves out some of that, too.

For super-resolution the body works at the small picture's size, and one convolution for each scale
followed by a pixel shuffle makes the large one.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mirnet_cli.networks.blocks import DAU, MSRB, RRG, SKFF, LinearDown, LinearUp, conv
from mirnet_cli.networks.configs import CompactConfig
from mirnet_cli.networks.pooling import Pooling


class CompactMIRNet(nn.Module):
    """The compact MIRNet; see the module's text."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        features, unshuffle = config.widths[0], config.unshuffle

        def activation() -> nn.Module:
            return nn.LeakyReLU(0.2)

        def block(last: bool) -> MSRB:
            made = MSRB(
                config.widths,
                dau=lambda c: DAU(c, config.reduction, activation, activation),
                skff=lambda c: SKFF(c, len(config.widths), max(c // 8, 4), activation),
                down=LinearDown,
                up=LinearUp,
                shared_columns=False,
            )
            return made.lean() if last else made

        self.conv_in = conv(config.inputs * unshuffle**2, features, 3, bias=True)
        self.groups = nn.ModuleList(
            RRG(
                [block(config.lean and group == config.groups - 1) for _ in range(config.blocks)],
                features,
                closes=not config.lean,
            )
            for group in range(config.groups)
        )
        self.heads = nn.ModuleDict(
            {
                str(scale): conv(features, 3 * (scale * unshuffle) ** 2, 3, bias=True)
                for scale in config.scales
            }
        )
        for head in self.heads.values():
            # The untrained network changes nothing: training starts at "doing nothing".
            for parameter in head.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, x: Tensor, pooling: Pooling | None = None, scale: int | None = None
    ) -> Tensor:
        """Map ``(N, inputs, H, W)`` in 0..1 to the residual ``(N, 3, scale H, scale W)``.

        Sides must be multiples of ``unshuffle * 2 ** (levels - 1)``; ``scale`` may be left out
        where there is one.
        """
        pooling = pooling or Pooling()
        scale = scale or self.config.scales[0]
        features = self.conv_in(F.pixel_unshuffle(x, self.config.unshuffle))
        shallow = features
        for group in self.groups:
            features = group(features, pooling)
        residual = self.heads[str(scale)](features + shallow)
        return F.pixel_shuffle(residual, scale * self.config.unshuffle)
