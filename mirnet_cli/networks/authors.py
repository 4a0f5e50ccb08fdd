"""The authors' checkpoints: how each family is recognised, its sizes, and its keys.

Everything here follows from names and shapes alone, so that nothing has to be built to know what a
file is. :mod:`mirnet_cli.networks.families` ties these functions to their families.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Config = Mapping[str, Any]
Shapes = Mapping[str, tuple[int, ...]]
"""The shape of each tensor, by the authors' key."""

Renames = Sequence[tuple[str, str]]
"""Pairs of pattern and replacement, applied in turn."""

BLUR = tuple(tuple(a * b / 16 for b in (1, 2, 1)) for a in (1, 2, 1))
"""What the blur before subsampling holds, for every channel (Zhang, ICML 2019)."""


class Sizes:
    """Reads numbers from shapes; what does not fit is a ValueError that says so."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def axis(self, key: str, axis: int) -> int:
        """The length of one axis of a tensor."""
        if key not in self._shapes:
            raise ValueError(f"{key} is missing")
        shape = self._shapes[key]
        if len(shape) <= axis:
            raise ValueError(f"{key} has the shape {shape}")
        return shape[axis]

    def has(self, key: str) -> bool:
        """Whether there is a tensor of that name."""
        return key in self._shapes

    def count(self, prefix: str) -> int:
        """How many children ``PREFIX.0``, ``PREFIX.1`` ... there are, without a gap."""
        found = self.children(prefix)
        numbers = {int(each) for each in found if each.isascii() and each.isdecimal()}
        if not numbers or numbers != set(range(len(numbers))):
            raise ValueError(f"the children of {prefix} are {_listed(found) or 'missing'}")
        return len(numbers)

    def picture(self, first: str, last: str) -> dict[str, int]:
        """Channels in, channels out and features."""
        return {
            "inputs": self.axis(f"{first}.weight", 1),
            "outputs": self.axis(f"{last}.weight", 0),
            "features": self.axis(f"{first}.weight", 0),
        }

    def children(self, prefix: str) -> set[str]:
        """The names that stand after ``PREFIX.``."""
        start = f"{prefix}."
        return {
            key[len(start) :].partition(".")[0] for key in self._shapes if key.startswith(start)
        }

    def squeezed(self, key: str, channels: int, reduction: int) -> None:
        """Check how far a fusion squeezes: implementations differ in it."""
        wanted, found = max(channels // reduction, 4), self.axis(key, 0)
        if found != wanted:
            raise ValueError(f"{key} squeezes to {found} channels, not to {wanted}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:5])


def _whole_ratio(larger: int, smaller: int) -> int:
    if smaller < 1 or larger % smaller:
        raise ValueError(f"a stream of {larger} channels follows one of {smaller}")
    return larger // smaller


V1_SIGNATURE = r"^body\.0\.body\.0\.(blocks\.0\.[01]\.|selective_kernel\.0\.)"
COMMUNITY_SIGNATURE = r"^msrb_blocks\.0\.blocks\.0\."
V2_SIGNATURE = r"^body\.0\.body\.0\.dau_(top|mid|bot)\."


def v1_sizes(shapes: Shapes) -> dict[str, Any]:
    """The configuration of a ``mirnet_v1``.

    Raises:
        ValueError: for shapes that are none of it; says what.
    """
    sizes = Sizes(shapes)
    block = "body.0.body.0"
    config: dict[str, Any] = dict(sizes.picture("conv_in", "conv_out"))
    config |= {
        "groups": sizes.count("body"),
        # The last child of a group is its convolution.
        "blocks": sizes.count("body.0.body") - 1,
        "levels": sizes.count(f"{block}.blocks"),
        "bias": sizes.has("conv_in.bias"),
    }
    config["growth"] = _growth(sizes, f"{block}.blocks.{{}}", "body.0.weight", config)
    sizes.squeezed(f"{block}.selective_kernel.0.conv_du.0.weight", config["features"], 8)
    return config


def community_sizes(shapes: Shapes) -> dict[str, Any]:
    """The configuration of a ``community_v1``; as :func:`v1_sizes`."""
    sizes = Sizes(shapes)
    block = "msrb_blocks.0.blocks.0"
    config: dict[str, Any] = dict(sizes.picture("conv_start", "conv_end"))
    config |= {
        "groups": sizes.count("msrb_blocks"),
        "blocks": sizes.count("msrb_blocks.0.blocks") - 1,
        "levels": sizes.count(f"{block}.dual_attention_units"),
        "bias": sizes.has("conv_start.bias"),
    }
    stream = f"{block}.dual_attention_units.{{}}"
    config["growth"] = _growth(sizes, stream, "initial_convs.0.weight", config)
    sizes.squeezed(f"{block}.skff_blocks.0.convolution.0.weight", config["features"], 3)
    return config


def _growth(sizes: Sizes, stream: str, weight: str, config: Config) -> int:
    """Channels of the second stream over those of the first.

    Args:
        stream: the attention units of a stream, with a place for its number.
        weight: a square convolution of such a unit.
    """
    if config["levels"] < 2:
        raise ValueError("a single stream")
    # Where aliases are stored once, only one of the two columns is there.
    columns = sizes.children(stream.format(1))
    if not columns or not columns <= {"0", "1"}:
        raise ValueError(f"columns {_listed(columns)} of attention units instead of 0, 1")
    second = sizes.axis(f"{stream.format(1)}.{min(columns)}.{weight}", 0)
    return _whole_ratio(second, int(config["features"]))


def v2_sizes(shapes: Shapes) -> dict[str, Any]:
    """The configuration of a ``mirnet_v2``; as :func:`v1_sizes`.

    Six channels in are the two views of a dual-pixel sensor; such networks add the first features
    and not the picture (their task is "defocus_deblurring").
    """
    sizes = Sizes(shapes)
    config: dict[str, Any] = dict(sizes.picture("conv_in", "conv_out"))
    features = config["features"]
    groups = sizes.count("body")
    widths = [
        sizes.axis(f"body.0.body.0.dau_{name}.body.0.weight", 0) for name in ("top", "mid", "bot")
    ]
    if widths[0] != features:
        raise ValueError(f"the first stream has {widths[0]} channels, the picture's {features}")
    config |= {
        "growth": _fraction(widths[0], widths[1], widths[2]),
        "conv_groups": [
            _whole_ratio(features, sizes.axis(f"body.{r}.body.0.dau_top.body.0.weight", 1))
            for r in range(groups)
        ],
        "blocks": sizes.count("body.0.body") - 1,
        "bias": sizes.has("conv_in.bias"),
        "feature_skip": config["inputs"] == 6,
    }
    sizes.squeezed("body.0.body.0.skff_top.conv_du.0.weight", features, 8)
    return config


def _fraction(first: int, second: int, third: int) -> float:
    """The growth f with ``int(f * first) == second`` and ``int(f * f * first) == third``.

    The roundest such number: channels say it only up to what truncation hides.
    """
    if first < 1:
        raise ValueError("a stream without channels")
    low = max(second / first, math.sqrt(third / first))
    for digits in range(1, 7):
        near = round(low, digits)
        for growth in (near, near + 10**-digits):
            if int(first * growth) == second and int(first * growth**2) == third:
                return round(growth, digits)
    raise ValueError(f"streams of {first}, {second} and {third} channels do not grow evenly")


def v1_renames(config: Config) -> Renames:
    """From the authors' keys of ``mirnet_v1`` to this project's."""
    return [
        (r"^body\.(\d+)\.body\.(\d+)\.weight$", r"groups.\1.conv.weight"),
        (r"^body\.(\d+)\.body\.(\d+)\.", r"groups.\1.blocks.\2."),
        # Both columns of a stream are one unit, saved twice.
        (r"\.blocks\.(\d+)\.blocks\.(\d+)\.\d+\.", r".blocks.\1.dau.\2."),
        # One slope serves all units of the network; it is saved once for each.
        (r"\.dau\.(\d+)\.body\.0\.", r".dau.\1.conv1."),
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
        *_resizer_renames(config, "body"),
    ]


def community_renames(config: Config) -> Renames:
    """From the keys of ``community_v1`` to this project's."""
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


def v2_renames(config: Config) -> Renames:
    """From the authors' keys of ``mirnet_v2`` to this project's."""
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


def rename(key: str, renames: Renames) -> str:
    """One key after all renames."""
    for pattern, replacement in renames:
        key = re.sub(pattern, replacement, key)
    return key
