"""What is true of each network family, as data: the one place that knows a family.

A new family is a module beside this one and an entry in :data:`FAMILIES`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A network family.

    Attributes:
        name: key in :data:`FAMILIES` and in weights files.
        title: for people.
        build: configuration -> module; imports torch.
        stride: configuration -> what the sides of the network's input must be a multiple of.
        halo: pixels at a tile's inner border that differ visibly from the whole picture's when the
            pooled vectors are the same; the default overlap of tiles.
        inputs: configuration -> channels of the network's input: 3, or 6 where the base is given
            beside the picture.
        scales: configuration -> sizes of the output over the input that the network can make.
        half_precision: half-precision formats that stay within the tolerance.
        renames: configuration -> pairs of pattern and replacement that turn the authors' state-dict
            keys into this project's, applied in turn; none where the keys are the same.
        constants: pattern of the authors' keys that hold constants (blur kernels), not weights.
    """

    name: str
    title: str
    build: Callable[[Config], "nn.Module"]
    stride: Callable[[Config], int]
    halo: int
    inputs: Callable[[Config], int] = lambda config: int(config.get("inputs", 3))
    scales: Callable[[Config], tuple[int, ...]] = lambda config: (1,)
    half_precision: tuple[str, ...] = ("fp16", "bf16")
    renames: Callable[[Config], Sequence[tuple[str, str]]] = lambda config: ()
    constants: str = r"(?!)"

    def own_keys(self, keys: Iterable[str], config: Config) -> dict[str, str]:
        """The authors' keys mapped to this project's, constants left out.

        Aliases (one tensor saved under several keys) are mapped to the same name.
        """
        renames = self.renames(config)
        own = {}
        for key in keys:
            if re.search(self.constants, key):
                continue
            name = key
            for pattern, replacement in renames:
                name = re.sub(pattern, replacement, name)
            own[key] = name
        return own


def _build_v1(config: Config) -> "nn.Module":
    from mirnet_cli.networks.mirnet_v1 import MIRNet, MIRNetConfig

    return MIRNet(MIRNetConfig(**config))


def _build_community(config: Config) -> "nn.Module":
    from mirnet_cli.networks.mirnet_v1 import COMMUNITY, MIRNet, MIRNetConfig

    return MIRNet(MIRNetConfig(**config), COMMUNITY)


def _build_v2(config: Config) -> "nn.Module":
    from mirnet_cli.networks.mirnet_v2 import MIRNetV2, MIRNetV2Config

    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    return MIRNetV2(MIRNetV2Config(**fields))


def _build_compact(config: Config) -> "nn.Module":
    from mirnet_cli.networks.compact import CompactConfig, CompactMIRNet

    return CompactMIRNet(CompactConfig.from_mapping(config))


def _v1_renames(config: Config) -> list[tuple[str, str]]:
    renames = [
        (r"^body\.(\d+)\.body\.(\d+)\.weight$", r"groups.\1.conv.weight"),
        (r"^body\.(\d+)\.body\.(\d+)\.", r"groups.\1.blocks.\2."),
        # Both columns of a stream are one unit, saved twice.
        (r"\.blocks\.(\d+)\.blocks\.(\d+)\.\d+\.", r".blocks.\1.dau.\2."),
        (r"\.dau\.(\d+)\.body\.0\.", r".dau.\1.conv1."),
        # One slope serves all units of the network; it is saved once for each.
        (r"\.dau\.(\d+)\.body\.1\.", r".dau.\1.activation."),
        (r"\.dau\.(\d+)\.body\.2\.", r".dau.\1.conv2."),
        (r"\.SA\.spatial\.conv\.", ".spatial.conv."),
        (r"\.CA\.conv_du\.0\.", ".channel.squeeze."),
        (r"\.CA\.conv_du\.2\.", ".channel.excite."),
        (r"\.conv1x1\.", ".merge."),
        (r"\.selective_kernel\.(\d+)\.conv_du\.0\.", r".skff.\1.squeeze."),
        (r"\.selective_kernel\.(\d+)\.conv_du\.1\.", r".skff.\1.activation."),
        (r"\.selective_kernel\.(\d+)\.fcs\.", r".skff.\1.expand."),
        (r"\.top\.0\.", ".top1."),
        (r"\.top\.1\.", ".activation1."),
        (r"\.top\.2\.", ".top2."),
        (r"\.top\.3\.", ".activation2."),
        (r"\.top\.[45]\.", ".top3."),
        (r"\.bot\.1\.", ".bottom."),
    ]
    return renames + _resizer_renames(config, "body")


def _resizer_renames(config: Config, steps: str) -> list[tuple[str, str]]:
    """Resizers are named after the stream's channels and the factor, as in "down.64_4"."""
    channels, growth = int(config.get("features", 64)), int(config.get("growth", 2))
    levels = range(int(config.get("levels", 3)))
    renames = []
    for i in levels:
        for j in levels:
            way = "down" if j > i else "up"
            name = f"{channels * growth**i}_{growth ** abs(j - i)}"
            renames.append((rf"\.{way}\.{name}\.{steps}\.", f".resize.{i}_{j}."))
        renames.append((rf"\.last_up\.{i}\.{steps}\.", f".last_up.{i - 1}."))
    return renames


def _community_renames(config: Config) -> list[tuple[str, str]]:
    return [
        (r"^conv_start\.", "conv_in."),
        (r"^conv_end\.", "conv_out."),
        (r"^msrb_blocks\.(\d+)\.blocks\.(\d+)\.(weight|bias)$", r"groups.\1.conv.\3"),
        (r"^msrb_blocks\.(\d+)\.blocks\.(\d+)\.", r"groups.\1.blocks.\2."),
        (r"\.dual_attention_units\.(\d+)\.\d+\.", r".dau.\1."),
        (r"\.initial_convs\.0\.", ".conv1."),
        (r"\.initial_convs\.1\.", ".activation."),
        (r"\.initial_convs\.2\.", ".conv2."),
        (r"\.channel_attention\.excitation\.0\.", ".channel.squeeze."),
        (r"\.channel_attention\.excitation\.1\.", ".channel.activation."),
        (r"\.channel_attention\.excitation\.2\.", ".channel.excite."),
        (r"\.spatial_attention\.conv\.", ".spatial.conv."),
        (r"\.final_conv\.", ".merge."),
        (r"\.skff_blocks\.(\d+)\.convolution\.0\.", r".skff.\1.squeeze."),
        (r"\.skff_blocks\.(\d+)\.convolution\.1\.", r".skff.\1.activation."),
        (r"\.skff_blocks\.(\d+)\.attention_convs\.", r".skff.\1.expand."),
        (r"\.branch1\.0\.", ".top1."),
        (r"\.branch1\.1\.", ".activation1."),
        (r"\.branch1\.2\.", ".top2."),
        (r"\.branch1\.3\.", ".activation2."),
        (r"\.branch1\.5\.", ".top3."),
        (r"\.branch2\.1\.", ".bottom."),
        (r"\.out_conv\.", ".conv_out."),
        *_resizer_renames(config, "blocks"),
    ]


def _v2_renames(config: Config) -> list[tuple[str, str]]:
    renames = [
        (r"^body\.(\d+)\.body\.(\d+)\.(weight|bias)$", r"groups.\1.conv.\3"),
        (r"^body\.(\d+)\.body\.(\d+)\.", r"groups.\1.blocks.\2."),
        (r"\.body\.0\.(weight|bias)$", r".conv1.\1"),
        (r"\.body\.2\.(weight|bias)$", r".conv2.\1"),
        (r"\.gcnet\.conv_mask\.", ".context.score."),
        (r"\.gcnet\.channel_add_conv\.0\.", ".context.transform1."),
        (r"\.gcnet\.channel_add_conv\.2\.", ".context.transform2."),
        (r"\.down2\.body\.0\.bot\.1\.", ".down2.conv."),
        (r"\.down4\.(\d)\.body\.0\.bot\.1\.", r".down4.\1.conv."),
        (r"\.skff_mid\.", ".skff_middle."),
        (r"\.conv_du\.0\.", ".squeeze."),
        (r"\.fcs\.", ".expand."),
    ]
    for j, name in enumerate(("top", "mid", "bot")):
        renames.append((rf"\.dau_{name}\.", f".rcb.{j}."))
    for use in (1, 2):
        renames.append((rf"\.up32_{use}\.body\.0\.bot\.0\.", f".up_to_middle.{use - 1}.conv."))
        renames.append((rf"\.up21_{use}\.body\.0\.bot\.0\.", f".up_to_top.{use - 1}.conv."))
    return renames


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="mirnet_v1",
            title="MIRNet (ECCV 2020)",
            build=_build_v1,
            stride=lambda config: 2 ** (int(config.get("levels", 3)) - 1),
            halo=32,
            renames=_v1_renames,
            constants=r"\.filt$",
        ),
        Family(
            name="community_v1",
            title="MIRNet (ECCV 2020), community implementation",
            build=_build_community,
            stride=lambda config: 2 ** (int(config.get("levels", 3)) - 1),
            halo=32,
            renames=_community_renames,
            constants=r"\.filt$",
        ),
        Family(
            name="mirnet_v2",
            title="MIRNet-v2 (TPAMI 2022)",
            build=_build_v2,
            stride=lambda config: 4,
            halo=32,
            # Nothing is known of its float16 beyond the context softmax, which is in float32 here.
            half_precision=("bf16",),
            renames=_v2_renames,
        ),
        Family(
            name="compact",
            title="compact MIRNet",
            build=_build_compact,
            stride=lambda config: (
                int(config.get("unshuffle", 2)) * 2 ** (len(config.get("widths", (0, 0, 0))) - 1)
            ),
            halo=32,
            scales=lambda config: tuple(config.get("scales", (1,))),
        ),
    )
}
