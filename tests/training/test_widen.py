"""Networks that grow: at first they compute what the smaller ones do."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mirnet_cli.networks.compact import CompactMIRNet
from mirnet_cli.networks.configs import CompactConfig
from mirnet_cli.training.widen import widened

SMALL = CompactConfig(widths=(8, 16), groups=1, blocks=1, unshuffle=1, scales=(2,), reduction=4)


def network(config: CompactConfig) -> CompactMIRNet:
    torch.manual_seed(1)
    made = CompactMIRNet(config).eval()
    for head in made.heads.values():
        assert isinstance(head, nn.Conv2d)
        nn.init.normal_(head.weight, std=0.1)
    return made


# SKFF's squeeze is an eighth of the channels, four at least, which 8 and 16 would not double.
@pytest.mark.parametrize(
    ("small", "large"),
    [
        (replace(SMALL, widths=(32, 64)), {"widths": (64, 128)}),
        (replace(SMALL, widths=(32, 64)), {"widths": (64, 64)}),
        (replace(SMALL, widths=(32, 64)), {"widths": (96, 192), "groups": 3}),
        (replace(SMALL, widths=(32, 64), groups=2, lean=True), {"widths": (64, 128)}),
    ],
)
def test_a_larger_network_begins_as_the_smaller_one(
    small: CompactConfig, large: dict[str, object]
) -> None:
    before, after = network(small), network(replace(small, **large))  # type: ignore[arg-type]
    grown = widened(before.state_dict(), after.state_dict())
    assert grown is not None
    after.load_state_dict(grown)
    x = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted, found = before(x), after(x)
    assert wanted.std() > 0.01
    assert float((found - wanted).abs().max()) < 1e-5 * float(wanted.abs().max())


def test_copies_learn_different_things() -> None:
    small = replace(SMALL, widths=(32, 64))
    before, after = network(small), network(replace(small, widths=(64, 128)))
    grown = widened(before.state_dict(), after.state_dict())
    assert grown is not None
    after.load_state_dict(grown)
    x = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(2))
    after(x).square().mean().backward()
    slope = after.groups[0].blocks[0].dau[0].conv1.weight.grad  # type: ignore[union-attr, index]
    first, second = slope[:32], slope[32:]
    assert float((first - second).norm()) > 0.1 * float(first.norm())


def test_other_sizes_are_not_grown() -> None:
    small = network(replace(SMALL, widths=(32, 64))).state_dict()
    for config in (
        replace(SMALL, widths=(32, 64)),
        replace(SMALL, widths=(48, 96)),
        replace(SMALL, widths=(64, 96)),
        replace(SMALL, widths=(64, 128), unshuffle=2),
        replace(SMALL, widths=(64, 128), scales=(2, 3)),
    ):
        assert widened(small, network(config).state_dict()) is None
    lean = replace(SMALL, widths=(32, 64), lean=True)
    for change in ({"groups": 2}, {"lean": False}):
        larger = network(replace(lean, widths=(64, 128), **change)).state_dict()  # type: ignore[arg-type]
        assert widened(network(lean).state_dict(), larger) is None
    assert widened({}, small) is None
