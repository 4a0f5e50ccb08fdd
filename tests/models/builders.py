"""Small weights and catalogue entries to test with."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from mirnet_cli.models.catalogue import Model
from mirnet_cli.models.weights import Weights
from mirnet_cli.networks.spec import NetworkSpec

TINY = {"widths": [8, 12], "groups": 1, "blocks": 1, "unshuffle": 2, "scales": [1]}


def tiny_network(levels: float = 0, **changes: Any) -> NetworkSpec:
    """A real compact network, untrained: it adds so many of 255 levels to each pixel."""
    import torch

    from mirnet_cli.networks import FAMILIES

    config = TINY | changes
    torch.manual_seed(0)
    tensors = FAMILIES["compact"].build(config).state_dict()
    arrays = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
    for name in arrays:
        if name.startswith("heads.") and name.endswith(".bias"):
            arrays[name] += np.float32(levels / 255)
    return NetworkSpec("compact", config, arrays, "")


def spec(seed: int = 0) -> NetworkSpec:
    """A made-up network: what reading and writing need, not what running does."""
    random = np.random.default_rng(seed)
    tensors = {
        "conv.weight": random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "conv.bias": random.standard_normal(4).astype(np.float32),
    }
    return NetworkSpec("compact", {"widths": [4, 8], "unshuffle": 2}, tensors, "")


def some_weights(**changes: Any) -> Weights:
    """Weights of no file yet."""
    values = {
        "path": Path(),
        "sha256": "",
        "name": "denoise",
        "task": "denoise",
        "scales": (1,),
        "network": spec(),
        "base": "input",
        "context": "tile",
        "overlap": 16,
        "licence": "Apache-2.0",
        "thumbnail": None,
        "training": {"seed": 1},
    } | changes
    return Weights(**values)


def entry(path: Path, **changes: Any) -> Model:
    """A catalogue entry for a file that exists."""
    data = path.read_bytes()
    fields = {
        "name": path.stem,
        "title": "for tests",
        "task": "denoise",
        "scales": (1,),
        "family": "compact",
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": "Apache-2.0",
        "commercial": True,
        "source": "shipped",
        "default_for": (),
        "scores": {},
    }
    return Model(**(fields | changes))
