"""Every family against results of its authors' code on random weights."""

import re

import numpy as np
import pytest
import torch

from mirnet_cli.networks import FAMILIES, Family
from mirnet_cli.networks.pooling import Pooling
from tests.networks import parity

NAMES = {"v1": "mirnet_v1", "v2": "mirnet_v2", "community": "community_v1"}

_V1_FIELDS = {"n_feat": "features", "n_RRG": "groups", "n_MSRB": "blocks", "bias": "bias"}
_COMMUNITY_FIELDS = {
    "num_features": "features",
    "number_rrg": "groups",
    "number_msrb": "blocks",
    "bias": "bias",
}
_V2_FIELDS = {
    "inp_channels": "inputs",
    "n_feat": "features",
    "chan_factor": "growth",
    "n_MRB": "blocks",
    "bias": "bias",
}
FIELDS = {"v1": _V1_FIELDS, "v2": _V2_FIELDS, "community": _COMMUNITY_FIELDS}


def family_and_config(described: dict[str, object]) -> tuple[Family, dict[str, object]]:
    kind = described["family"]
    arguments = described["reference_arguments"]
    config = {ours: arguments[theirs] for theirs, ours in FIELDS[kind].items()}
    if kind == "v2":
        config["feature_skip"] = arguments["task"] == "defocus_deblurring"
    return FAMILIES[NAMES[kind]], config


def picture(network: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        residual = network(x)
    whole = getattr(network.config, "feature_skip", False)
    return (residual if whole else residual + x).numpy()


@pytest.mark.parametrize("name", ["v1_b", "v2_c", "community_b"])
def test_small_networks(name: str) -> None:
    described, arrays = parity.load(name)
    family, config = family_and_config(described)
    network = family.build(config).eval()
    network.load_state_dict(parity.state_of(family, config, arrays))
    for i in range(3):
        x = torch.from_numpy(arrays[f"input/{i}"])
        assert x.shape[2] % family.stride(config) == 0
        np.testing.assert_allclose(picture(network, x), arrays[f"output/{i}"], atol=1e-5)


def authors_keys(kind: str, growth: int) -> list[str]:
    """The authors' keys at full size, from those of a small network of two blocks and groups."""
    arrays = parity.load({"v1": "v1_b", "v2": "v2_c", "community": "community_b"}[kind])[1]
    small = [k.removeprefix("state/") for k in arrays if k.startswith("state/")]
    group = "msrb_blocks" if kind == "community" else "body"
    block = "blocks" if kind == "community" else "body"
    first = re.compile(rf"{group}\.0\.{block}\.[02]\.|conv|(?!{group})")
    keys = set()
    for key in small:
        # Without biases, save those that are always there.
        if not first.match(key) or (key.endswith("bias") and ".spatial_attention." not in key):
            continue
        key = re.sub(r"\.(down|up)\.(\d+)_", lambda m: f".{m[1]}.{int(m[2]) * growth}_", key)
        for r in range(4 if kind == "v2" else 3):
            for m in range(2):
                renamed = re.sub(rf"^{group}\.0\.{block}\.0\.", f"{group}.{r}.{block}.{m}.", key)
                keys.add(re.sub(rf"^{group}\.0\.", f"{group}.{r}.", renamed))
    return sorted(keys)


@pytest.mark.parametrize("name", ["full_v1", "full_v2", "full_v2_dualpixel", "full_community"])
def test_full_size_networks(name: str) -> None:
    described, arrays = parity.load(name)
    kind = described["family"]
    described["reference_arguments"] = defaults(kind) | described["reference_arguments"]
    family, config = family_and_config(described)
    network = family.build(config).eval()
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    keys = authors_keys(kind, 8)
    own = family.own_keys(keys, config)
    assert len(keys) == described["keys"]
    assert set(own.values()) == set(shapes)
    filled = {key: parity.fill(key, shapes[ours]) for key, ours in own.items()}
    total = sum(np.abs(value, dtype=np.float64).sum() for value in filled.values())
    assert total == pytest.approx(described["weight_abs_sum"], rel=1e-6)
    network.load_state_dict({ours: torch.from_numpy(filled[key]) for key, ours in own.items()})
    assert sum(p.numel() for p in network.parameters()) == described["unique_parameters"]
    result = picture(network, parity.full_input(described["input_shape"][1]))
    for crop, rows in (
        ("crop_centre", slice(24, 40)),
        ("crop_top_left", slice(0, 8)),
        ("crop_bottom_right", slice(-8, None)),
    ):
        np.testing.assert_allclose(result[:, :, rows, rows], arrays[crop], atol=1e-5)


def defaults(kind: str) -> dict[str, object]:
    return {
        "v1": {},
        "v2": {"inp_channels": 3, "task": None, "bias": False},
        "community": {
            "num_features": 64,
            "number_rrg": 3,
            "number_msrb": 2,
            "bias": False,
        },
    }[kind]


@pytest.mark.parametrize("name", ["v1_b", "v2_c", "community_b"])
def test_replayed_vectors_make_a_part_equal_the_whole(name: str) -> None:
    described, arrays = parity.load(name)
    family, config = family_and_config(described)
    network = family.build(config).eval()
    network.load_state_dict(parity.state_of(family, config, arrays))
    x = torch.rand(1, 3, 32, 128, generator=torch.Generator().manual_seed(0))
    x[..., 96:] *= 8
    with torch.inference_mode():
        pooling = Pooling(record=True)
        whole = network(x, pooling)
        vectors = [vector for vector, _ in pooling.recorded]
        part = network(x[..., :96], Pooling(replay=vectors))
        alone = network(x[..., :96])
    replayed = (part - whole[..., :96])[..., :48].abs().max()
    assert replayed < 2e-5
    assert (alone - whole[..., :96])[..., :48].abs().max() > 20 * replayed


@pytest.mark.parametrize("name", ["v1_b", "v2_c"])
def test_masked_vectors_of_parts_merge_to_the_whole_s(name: str) -> None:
    described, arrays = parity.load(name)
    family, config = family_and_config(described)
    network = family.build(config).eval()
    network.load_state_dict(parity.state_of(family, config, arrays))
    x = torch.rand(1, 3, 16, 32, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, 1, 16, 32)
    masks[0, ..., :12] = 1
    masks[1, ..., 12:] = 1
    with torch.inference_mode():
        whole = Pooling(record=True)
        network(x, whole)
        replay = [vector for vector, _ in whole.recorded]
        left, right = (Pooling(replay, mask[None], record=True) for mask in masks)
        network(x, left)
        network(x, right)
    for (vector, weight), (a, wa), (b, wb) in zip(
        whole.recorded, left.recorded, right.recorded, strict=True
    ):
        torch.testing.assert_close(torch.logaddexp(wa, wb), weight)
        shares = torch.softmax(torch.stack([wa, wb]), 0)[..., None]
        torch.testing.assert_close(a * shares[0] + b * shares[1], vector, atol=1e-5, rtol=1e-4)
