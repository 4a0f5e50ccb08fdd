"""Small networks of each family with random numbers, as a weights file holds them."""

from typing import Any

import torch

from mirnet_cli.networks import FAMILIES, NetworkSpec

SMALL: dict[str, dict[str, Any]] = {
    "compact": {"widths": [8, 12, 16], "groups": 1, "blocks": 1, "scales": [1, 2]},
    "mirnet_v1": {"features": 16, "groups": 1, "blocks": 1},
    "community_v1": {"features": 16, "groups": 1, "blocks": 1, "bias": True},
    "light": {"widths": [8, 12, 16], "hidden": 8},
    "mirnet_v2": {"features": 16, "conv_groups": [1, 2], "blocks": 1, "bias": True},
}


def random_spec(family: str, seed: int = 0, **changes: Any) -> NetworkSpec:
    """A network whose features neither vanish nor explode."""
    config = SMALL[family] | changes
    generator = torch.Generator().manual_seed(seed)
    module = FAMILIES[family].build(config)
    with torch.no_grad():
        # Parameters, not the state dict: there, a shared slope has several names.
        for value in module.parameters():
            size = value[0].numel() ** -0.5 if value.ndim == 4 else 0.15
            value.copy_(size * torch.randn(value.shape, generator=generator))
    tensors = {key: value.half().numpy() for key, value in module.state_dict().items()}
    return NetworkSpec(family, config, tensors, "0" * 64)
