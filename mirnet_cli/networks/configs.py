"""The sizes of networks of each family, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class MIRNetConfig:
    """Sizes of a MIRNet; the defaults are the paper's.

    Attributes:
        inputs, outputs: picture channels.
        features: channels of the full-size stream.
        groups: recursive residual groups (RRG).
        blocks: multi-scale residual blocks (MSRB) in a group.
        levels: parallel streams, each half the size of the one before.
        growth: channels of a stream over those of the one above.
        bias: whether ``conv_in``, ``conv_out`` and the last convolution of each MSRB have one.
    """

    inputs: int = 3
    outputs: int = 3
    features: int = 64
    groups: int = 3
    blocks: int = 2
    levels: int = 3
    growth: int = 2
    bias: bool = False

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stream."""
        return tuple(self.features * self.growth**j for j in range(self.levels))


@dataclass(frozen=True)
class MIRNetV2Config:
    """Sizes of a MIRNet-v2; the defaults are those of the released weights.

    Attributes:
        inputs: picture channels; 6 for the two views of a dual-pixel sensor.
        outputs: picture channels.
        features: channels of the full-size stream.
        growth: channels of a stream over those of the one above.
        conv_groups: groups of the 3x3 convolutions in each recursive residual group.
        blocks: multi-scale residual blocks (MRB) in each of them.
        bias: of the convolutions that can have one.
        feature_skip: the first features are added before the last convolution, and the output is
            the picture itself rather than a residual (defocus deblurring).
    """

    inputs: int = 3
    outputs: int = 3
    features: int = 80
    growth: float = 1.5
    conv_groups: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    bias: bool = False
    feature_skip: bool = False

    @property
    def widths(self) -> tuple[int, int, int]:
        """Channels of the three streams."""
        return tuple(int(self.features * self.growth**j) for j in range(3))  # type: ignore[return-value]


@dataclass(frozen=True)
class CompactConfig:
    """Sizes of a compact MIRNet.

    Attributes:
        inputs: picture channels; 6 when the base is given beside the picture.
        widths: channels of the streams at full, half, quarter ... body size.
        groups, blocks: recursive residual groups, and multi-scale residual blocks in each.
        unshuffle: the body's pixels are so many input pixels wide; 1 or 2.
        scales: output sizes over input size that this network has a last layer for.
        reduction: squeeze of the channel attention.
        lean: leave out what hardly pays. A group ends with one convolution, not two that nothing
            bends between, and the last group with none, as the last layer is one; and there only
            the full size has a second dual attention unit.
    """

    inputs: int = 3
    widths: tuple[int, ...] = (32, 48, 64)
    groups: int = 2
    blocks: int = 2
    unshuffle: int = 2
    scales: tuple[int, ...] = (1,)
    reduction: int = 8
    lean: bool = False

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """From JSON-like values, where tuples are lists.

        Raises:
            TypeError: for a name that is not a field.
        """
        return cls(**with_tuples(values))


FINENESS = 20.0
"""Weight of differences from the mean of 3x3 pixels, in units of white, where judges of light see
how fine a picture is."""


@dataclass(frozen=True)
class LightConfig:
    """Sizes of a network of light.

    Attributes:
        inputs: channels of what it sees of a reduced picture.
        widths: channels at half, quarter ... size.
        hidden: numbers that it knows of the whole picture.
        segments: of the curve that each place gets.
        colours: numbers of the correction of colour, for each place.
        amounts: numbers for the whole picture.
        judges: numbers that the first of them, the light that is asked for, follows from alone; 0
            where it follows from the hidden ones like the others.
        shades: bins of the histograms that the judges see beside the deepest features; 0 for none.
    """

    inputs: int = 4
    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    hidden: int = 64
    segments: int = 5
    colours: int = 3
    amounts: int = 3
    judges: int = 0
    shades: int = 0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """From JSON-like values, where tuples are lists.

        Raises:
            TypeError: for a name that is not a field.
        """
        return cls(**with_tuples(values))


def with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-like values with tuples for lists, as configurations have them."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
