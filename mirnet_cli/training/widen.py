"""A larger network that begins as a smaller one: what it computes is the same, what it can is more.

Channels are copied, and what follows takes a share of each copy (Chen, Goodfellow and Shlens,
"Net2Net", ICLR 2016). Shares differ at random, so that copies learn different things. Groups that
are added begin as nothing.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_UNEVEN = 0.5
"""How far shares of copies differ, in standard deviations of the layer's weights."""


def widened(given: Mapping[str, Tensor], made: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Weights of a larger compact network that computes what the given ones do.

    Args:
        given: of the smaller one.
        made: of the larger one, untrained; its shapes count, and values of groups that are added.

    Returns:
        None where its first width is not a whole number of times the smaller one's, two at least,
        another width is neither so many times the smaller one's nor the same, or something else
        differs than widths and the number of groups. Groups of a lean network cannot be added:
        their last convolution is what makes them nothing.
    """
    times = _times(given, made)
    if times is None or not given.keys() <= made.keys():
        return None
    added = {_group(name) for name in made.keys() - given.keys()}
    if added & {_group(name) for name in given} or not all(
        f"{g}.conv.weight" in made for g in added
    ):
        return None
    generator = torch.Generator().manual_seed(0)
    grown = {}
    for name, like in made.items():
        if name in given:
            value = _copied(given[name].float(), like.shape, name, times, generator)
            if value is None:
                return None
        else:
            # What is last in a group, before what came in is added.
            last = name.count(".") == 3 and ".conv." in name
            value = torch.zeros_like(like) if last else like.clone()
        grown[name] = value
    return grown


def _group(name: str) -> str:
    """The group that a tensor is of, ``groups.0`` for one; of others the first part of its name."""
    parts = name.split(".")
    return ".".join(parts[: 2 if parts[0] == "groups" else 1])


def _times(given: Mapping[str, Tensor], made: Mapping[str, Tensor]) -> int | None:
    first = "conv_in.weight"
    if first not in given or first not in made:
        return None
    times, rest = divmod(made[first].shape[0], given[first].shape[0])
    return times if times > 1 and rest == 0 else None


def _copied(
    value: Tensor, shape: torch.Size, name: str, times: int, generator: torch.Generator
) -> Tensor | None:
    """A tensor for so many times the channels; None where it does not become of this shape."""
    outputs = value.shape[0]
    if shape[0] == times * outputs:
        value = value.repeat(times, *(1,) * (value.ndim - 1))
    if value.ndim > 1 and shape[1] == times * value.shape[1]:
        # Two pictures of features, one behind the other, are copied each by itself.
        blocks = 2 if name.endswith("merge.weight") else 1
        parts = []
        for block in value.chunk(blocks, 1):
            uneven = torch.randn(times, *block.shape, generator=generator) * block.std() * _UNEVEN
            shares = block / times + uneven - uneven.mean(0)
            parts += list(shares)
        value = torch.cat(parts, 1)
    return value if value.shape == shape else None
