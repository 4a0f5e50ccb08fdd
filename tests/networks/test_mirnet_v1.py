"""MIRNet against results of the authors' code on random weights."""

import re

import numpy as np
import pytest
import torch

from mirnet_cli.networks import FAMILIES
from mirnet_cli.networks.pooling import Pooling
from tests.networks import parity

V1 = FAMILIES["mirnet_v1"]


def config_of(reference: dict[str, object]) -> dict[str, object]:
    return {
        "features": reference["n_feat"],
        "groups": reference["n_RRG"],
        "blocks": reference["n_MSRB"],
        "levels": reference["height"],
        "growth": reference["stride"],
        "bias": reference["bias"],
    }


@pytest.mark.parametrize("name", ["v1_a", "v1_b"])
def test_outputs_equal_the_authors(name: str) -> None:
    if not (parity.DATA / f"{name}.npz").exists():
        pytest.skip("this parity file is not part of the repository")
    expected, arrays = parity.load(name)
    config = config_of(expected["reference_arguments"])
    network = V1.build(config).eval()
    network.load_state_dict(parity.state_of(V1, config, arrays))
    for i in range(3):
        x = torch.from_numpy(arrays[f"input/{i}"])
        with torch.inference_mode():
            result = network(x) + x
        np.testing.assert_allclose(result.numpy(), arrays[f"output/{i}"], atol=1e-5)


def full_size_keys() -> list[str]:
    """The authors' keys at full size, from those of the small file."""
    small = [k.removeprefix("state/") for k in parity.load("v1_b")[1] if k.startswith("state/")]
    first = [
        k for k in small if not k.endswith("bias") and re.match(r"body\.0\.body\.[02]|conv", k)
    ]
    keys = set()
    for key in first:
        key = re.sub(r"\.(down|up)\.(\d+)_", lambda m: f".{m[1]}.{int(m[2]) * 8}_", key)
        for group in range(3):
            for block in range(3):
                if block < 2 or key == "body.0.body.2.weight":
                    renamed = re.sub(r"^body\.0\.body\.0\.", f"body.{group}.body.{block}.", key)
                    keys.add(re.sub(r"^body\.0\.", f"body.{group}.", renamed))
    return sorted(keys)


def test_full_size_equals_the_authors() -> None:
    expected, arrays = parity.load("full_v1")
    config = config_of(expected["reference_arguments"])
    network = V1.build(config).eval()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    keys = full_size_keys()
    own = V1.own_keys(keys, config)
    assert len(keys) == expected["keys"]
    assert set(own.values()) == set(shapes)
    network.load_state_dict(
        {name: torch.from_numpy(parity.fill(key, shapes[name])) for key, name in own.items()}
    )
    assert sum(p.numel() for p in network.parameters()) == expected["unique_parameters"]
    x = parity.full_input(3)
    with torch.inference_mode():
        result = (network(x) + x).numpy()
    for crop, rows in (
        ("crop_centre", slice(24, 40)),
        ("crop_top_left", slice(0, 8)),
        ("crop_bottom_right", slice(-8, None)),
    ):
        np.testing.assert_allclose(result[:, :, rows, rows], arrays[crop], atol=1e-5)


def test_replayed_vectors_make_parts_equal_the_whole() -> None:
    expected, arrays = parity.load("v1_b")
    config = config_of(expected["reference_arguments"])
    network = V1.build(config).eval()
    network.load_state_dict(parity.state_of(V1, config, arrays))
    x = torch.rand(1, 3, 32, 128, generator=torch.Generator().manual_seed(0))
    x[..., 96:] *= 8
    with torch.inference_mode():
        pooling = Pooling(record=True)
        whole = network(x, pooling)
        vectors = [vector for vector, _ in pooling.recorded]
        part = network(x[..., :96], Pooling(replay=vectors))
        alone = network(x[..., :96])
    assert (part - whole[..., :96])[..., :32].abs().max() < 2e-4
    assert (alone - whole[..., :96])[..., :32].abs().max() > 2e-3
