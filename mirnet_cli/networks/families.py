"""What is true of each network family, as data: the one place that knows a family.

A new family is a module beside this one and an entry in :data:`FAMILIES`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mirnet_cli.errors import UsageError
from mirnet_cli.networks import authors, described
from mirnet_cli.networks.authors import Config, Renames, Shapes
from mirnet_cli.networks.described import Measured
from mirnet_cli.networks.fields import Either, Field, Flag, Number, Several, Whole

if TYPE_CHECKING:
    from torch import nn


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
        crop: side in pixels of the smallest pictures it was trained on: to which tiny ones are
            mirrored; 0 where it is not known.
        inputs: configuration -> channels of the network's input: 3, or 6 where the base is given
            beside the picture.
        scales: configuration -> sizes of the output over the input that the network can make.
        half_precision: half-precision formats that stay within the tolerance.
        integers: whether ``mirnet train --int8`` makes a version in 8-bit integers.
        fields: what a configuration may hold: plausible sizes, so that none is built that no
            network ever had.
        renames: configuration -> pairs of pattern and replacement that turn the authors' state-dict
            keys into this project's, applied in turn; none where the keys are the same.
        constants: pattern of the authors' keys that hold constants (blur kernels), not weights.
        constant: what each channel of such a constant holds.
        shared: pattern of this project's keys that all hold one and the same tensor.
        signature: pattern that finds a key in the authors' files of this family and in no others;
            empty where there are no such files.
        sizes: shapes of the authors' tensors -> configuration; ValueError for shapes that are none
            of this family.
        whole: configuration -> whether the network gives the picture itself, not a residual.
        context: how tiles are made to agree with the whole where a file does not say it.
        measured: configuration -> what was measured of a network that is known no other way.
    """

    name: str
    title: str
    build: Callable[[Config], "nn.Module"]
    stride: Callable[[Config], int]
    halo: int
    crop: int = 0
    inputs: Callable[[Config], int] = lambda config: int(config.get("inputs", 3))
    scales: Callable[[Config], tuple[int, ...]] = lambda config: (1,)
    half_precision: tuple[str, ...] = ("fp16", "bf16")
    integers: bool = False
    fields: Mapping[str, Field] = field(default_factory=dict)
    renames: Callable[[Config], Renames] = lambda config: ()
    constants: str = r"(?!)"
    shared: str = r"(?!)"
    constant: tuple[tuple[float, ...], ...] = ()
    signature: str = ""
    sizes: Callable[[Shapes], dict[str, Any]] | None = None
    whole: Callable[[Config], bool] = lambda config: False
    context: str = "refine"
    measured: Callable[[Config], Measured | None] = lambda config: None

    def recognises(self, keys: Iterable[str]) -> bool:
        """Whether the keys are those of the authors' files of this family."""
        return bool(self.signature) and any(re.search(self.signature, key) for key in keys)

    def check(self, config: Config) -> None:
        """Check that a configuration is a plausible one.

        Raises:
            ValueError: for an unknown name or a value out of bounds; says which.
        """
        for name, value in config.items():
            if name not in self.fields:
                raise ValueError(f"{str(name)[:40]!r} is not a size of {self.title}")
            if not self.fields[name].allows(value):
                raise ValueError(f"{name} = {str(value)[:40]}")

    def own_keys(self, keys: Iterable[str], config: Config) -> dict[str, str]:
        """The authors' keys mapped to this project's, constants left out.

        Aliases (one tensor saved under several keys) are mapped to the same name.
        """
        renames = self.renames(config)
        own = {}
        for key in keys:
            if re.search(self.constants, key):
                continue
            own[key] = authors.rename(key, renames)
        return own


def recognise(keys: Iterable[str]) -> Family | None:
    """The family whose authors' files have such keys; None where it is none of them."""
    names = tuple(keys)
    return next((family for family in FAMILIES.values() if family.recognises(names)), None)


def _build_onnx(config: Config) -> "nn.Module":
    raise UsageError("torch does not run ONNX networks", "leave --runtime out")


def _build_v1(config: Config) -> "nn.Module":
    from mirnet_cli.networks.configs import MIRNetConfig
    from mirnet_cli.networks.mirnet_v1 import MIRNet

    return MIRNet(MIRNetConfig(**config))


def _build_community(config: Config) -> "nn.Module":
    from mirnet_cli.networks.configs import MIRNetConfig
    from mirnet_cli.networks.mirnet_v1 import COMMUNITY, MIRNet

    return MIRNet(MIRNetConfig(**config), COMMUNITY)


def _build_v2(config: Config) -> "nn.Module":
    from mirnet_cli.networks.configs import MIRNetV2Config, with_tuples
    from mirnet_cli.networks.mirnet_v2 import MIRNetV2

    return MIRNetV2(MIRNetV2Config(**with_tuples(config)))


def _build_compact(config: Config) -> "nn.Module":
    from mirnet_cli.networks.compact import CompactMIRNet
    from mirnet_cli.networks.configs import CompactConfig

    return CompactMIRNet(CompactConfig.from_mapping(config))


def _build_light(config: Config) -> "nn.Module":
    from mirnet_cli.networks.configs import LightConfig
    from mirnet_cli.networks.light import LightNet

    return LightNet(LightConfig.from_mapping(config))


_PICTURE: Mapping[str, Field] = {"inputs": Whole(3, 3), "outputs": Whole(3, 3)}
_BODY: Mapping[str, Field] = {"groups": Whole(1, 16), "blocks": Whole(1, 16), "bias": Flag()}
_V1_FIELDS: Mapping[str, Field] = {
    **_PICTURE,
    **_BODY,
    "features": Whole(4, 512),
    "levels": Whole(2, 5),
    "growth": Whole(1, 4),
}
_V2_FIELDS: Mapping[str, Field] = {
    **_PICTURE,
    "inputs": Either((3, 6)),
    "blocks": Whole(1, 16),
    "bias": Flag(),
    "features": Whole(4, 512),
    "growth": Number(1, 4),
    "conv_groups": Several(Whole(1, 64), 16),
    "feature_skip": Flag(),
}
_COMPACT_FIELDS: Mapping[str, Field] = {
    "inputs": Either((3, 6)),
    "widths": Several(Whole(1, 512), 6),
    "groups": Whole(1, 16),
    "blocks": Whole(1, 16),
    "unshuffle": Whole(1, 4),
    "scales": Several(Whole(1, 4), 4),
    "reduction": Whole(1, 64),
    "lean": Flag(),
}
_LIGHT_FIELDS: Mapping[str, Field] = {
    "inputs": Whole(4, 4),
    # Three at least: the correction of colour is made at an eighth of the size.
    "widths": Several(Whole(1, 512), 6),
    "hidden": Whole(1, 512),
    "segments": Whole(5, 5),
    "colours": Whole(3, 3),
    "amounts": Whole(3, 3),
    "judges": Whole(0, 512),
    "shades": Whole(0, 64),
}


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="mirnet_v1",
            title="MIRNet (ECCV 2020)",
            build=_build_v1,
            stride=lambda config: 2 ** (int(config.get("levels", 3)) - 1),
            halo=32,
            fields=_V1_FIELDS,
            renames=authors.v1_renames,
            signature=authors.V1_SIGNATURE,
            sizes=authors.v1_sizes,
            constants=r"\.filt$",
            constant=authors.BLUR,
            # The slope that the authors' code makes once, for all dual attention units.
            shared=r"\.dau\.\d+\.activation\.weight$",
        ),
        Family(
            name="community_v1",
            title="MIRNet (ECCV 2020), community implementation",
            build=_build_community,
            stride=lambda config: 2 ** (int(config.get("levels", 3)) - 1),
            halo=32,
            fields=_V1_FIELDS,
            renames=authors.community_renames,
            signature=authors.COMMUNITY_SIGNATURE,
            sizes=authors.community_sizes,
            constants=r"\.filt$",
            constant=authors.BLUR,
        ),
        Family(
            name="mirnet_v2",
            title="MIRNet-v2 (TPAMI 2022)",
            build=_build_v2,
            stride=lambda config: 4,
            halo=32,
            # Nothing is known of its float16 beyond the context softmax, which is in float32 here.
            half_precision=("bf16",),
            whole=lambda config: bool(config.get("feature_skip", False)),
            fields=_V2_FIELDS,
            renames=authors.v2_renames,
            signature=authors.V2_SIGNATURE,
            sizes=authors.v2_sizes,
        ),
        Family(
            name="compact",
            title="compact MIRNet",
            build=_build_compact,
            stride=lambda config: (
                int(config.get("unshuffle", 2)) * 2 ** (len(config.get("widths", (0, 0, 0))) - 1)
            ),
            halo=32,
            crop=64,
            scales=lambda config: tuple(config.get("scales", (1,))),
            integers=True,
            fields=_COMPACT_FIELDS,
        ),
        # Known by its file alone: what is true of it was measured.
        Family(
            name=described.FAMILY,
            title="ONNX network",
            build=_build_onnx,
            stride=lambda config: int(config["stride"]),
            halo=32,
            scales=lambda config: (int(config["measured"]["scale"]),),
            whole=lambda config: int(config["measured"]["scale"]) > 1,
            context="tile",
            measured=lambda config: Measured.of(config["measured"]),
        ),
        Family(
            name="light",
            title="network of light",
            build=_build_light,
            stride=lambda config: 2 ** len(config.get("widths", (0,) * 5)),
            # It sees reduced pictures, which are never cut.
            halo=0,
            crop=64,
            inputs=lambda config: int(config.get("inputs", 4)),
            fields=_LIGHT_FIELDS,
        ),
    )
}
