"""What is true of each network family, as data: the one place that knows a family.

A new family is a module beside this one and an entry in :data:`FAMILIES`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
        renames: pairs of pattern and replacement that turn the authors' state-dict keys into this
            project's; the empty tuple where the keys are the same.
        ignored: pattern of keys that hold constants (blur kernels), not weights.
    """

    name: str
    title: str
    build: Callable[[Config], "nn.Module"]
    stride: Callable[[Config], int]
    halo: int
    inputs: Callable[[Config], int] = lambda config: int(config.get("inputs", 3))
    scales: Callable[[Config], tuple[int, ...]] = lambda config: (1,)
    half_precision: tuple[str, ...] = ("fp16", "bf16")
    renames: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ignored: str = r"(?!)"

    def own_key(self, key: str) -> str | None:
        """This project's name for the authors' key; None for a constant that is not loaded.

        Aliases (one tensor saved under several keys) get the same name.
        """
        if re.search(self.ignored, key):
            return None
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key

    def own_keys(self, keys: Iterable[str]) -> dict[str, str]:
        """The authors' keys mapped to this project's, constants left out."""
        return {key: own for key in keys if (own := self.own_key(key)) is not None}


def _build_v1(config: Config) -> "nn.Module":
    from mirnet_cli.networks.mirnet_v1 import MIRNet, MIRNetConfig

    return MIRNet(MIRNetConfig(**config))


def _build_compact(config: Config) -> "nn.Module":
    from mirnet_cli.networks.compact import CompactConfig, CompactMIRNet

    return CompactMIRNet(CompactConfig.from_mapping(config))


# The names "64_4" and so on hold channels of the stream and the factor: with the factor, the
# streams are known by the number of streams below or above, whatever the channels are.
_V1_RENAMES = (
    (r"^body\.(\d+)\.body\.(\d+)\.weight$", r"groups.\1.conv.weight"),
    (r"^body\.(\d+)\.body\.(\d+)\.", r"groups.\1.blocks.\2."),
    # Both columns of a stream are one unit, saved twice; one slope serves all units.
    (r"^groups\.\d+\.blocks\.\d+\.blocks\.\d+\.\d+\.body\.1\.weight$", "dau_slope.weight"),
    (r"(blocks\.\d+)\.blocks\.(\d+)\.\d+\.", r"\1.dau.\2."),
    (r"(dau\.\d+)\.body\.0\.", r"\1.conv1."),
    (r"(dau\.\d+)\.body\.2\.", r"\1.conv2."),
    (r"\.SA\.spatial\.conv\.", ".spatial.conv."),
    (r"\.CA\.conv_du\.0\.", ".channel.squeeze."),
    (r"\.CA\.conv_du\.2\.", ".channel.excite."),
    (r"\.conv1x1\.", ".merge."),
    (r"\.selective_kernel\.(\d+)\.conv_du\.0\.", r".skff.\1.squeeze."),
    (r"\.selective_kernel\.(\d+)\.conv_du\.1\.", r".skff.\1.activation."),
    (r"\.selective_kernel\.(\d+)\.fcs\.", r".skff.\1.expand."),
    (r"\.last_up\.(\d+)\.body\.", lambda m: f".last_up.{int(m[1]) - 1}."),
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="mirnet_v1",
            title="MIRNet (ECCV 2020)",
            build=_build_v1,
            stride=lambda config: 2 ** (int(config.get("levels", 3)) - 1),
            halo=32,
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
