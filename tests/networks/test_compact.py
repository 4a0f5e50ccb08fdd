"""The compact network: sizes, cost, and pooling that can be taken once and replayed."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mirnet_cli.networks import FAMILIES
from mirnet_cli.networks.compact import CompactMIRNet
from mirnet_cli.networks.configs import CompactConfig
from mirnet_cli.networks.pooling import Pooling
from mirnet_cli.training.recipe import RECIPES, Recipe

COMPACT = FAMILIES["compact"]


def network(**sizes: object) -> CompactMIRNet:
    torch.manual_seed(0)
    made = CompactMIRNet(CompactConfig(**sizes)).eval()
    for head in made.heads.values():
        torch.nn.init.normal_(head.weight, std=0.1)
    return made


@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_output_has_the_scaled_size(unshuffle: int, scale: int) -> None:
    made = network(widths=(8, 16), groups=1, blocks=1, unshuffle=unshuffle, scales=(scale,))
    stride = COMPACT.stride({"widths": (8, 16), "unshuffle": unshuffle})
    assert stride == 2 * unshuffle
    x = torch.rand(2, 3, 5 * stride, 3 * stride)
    assert made(x).shape == (2, 3, scale * x.shape[2], scale * x.shape[3])


def test_a_lean_one_leaves_out_what_closes_groups_and_the_last_small_stream() -> None:
    sizes = {"widths": (8, 16), "groups": 3, "blocks": 2}
    full, lean = (set(network(**sizes, lean=lean).state_dict()) for lean in (False, True))
    assert lean < full
    left_out = {key.removesuffix(".weight") for key in full - lean}
    closing = {f"groups.{group}.conv" for group in range(3)}
    last = {f"groups.2.blocks.{block}.conv_out" for block in range(2)}
    small = {
        key
        for key in left_out
        if key.startswith(("groups.2.blocks.0.dau2.1.", "groups.2.blocks.1.dau2.1."))
    }
    assert small
    assert left_out == closing | last | small


def test_untrained_network_changes_nothing() -> None:
    made = CompactMIRNet(CompactConfig())
    assert made(torch.rand(1, 3, 16, 24)).abs().max() == 0


@pytest.mark.parametrize(
    "recipe", [r for name in RECIPES for r in RECIPES[name] if r.family == "compact"]
)
def test_recipes_stay_within_the_cost_that_was_set(recipe: Recipe) -> None:
    """100 thousand multiply-adds a pixel, large ones 250; for upscale an output pixel at x2."""
    config = recipe.config
    made = CompactMIRNet(config)
    scale = config.scales[0]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        made(torch.rand(1, config.inputs, 256, 256))
    assert counter.get_total_flops() / 2 / (256 * scale) ** 2 <= (250e3 if recipe.grows else 100e3)


def test_vectors_of_tiles_merge_to_the_picture_s() -> None:
    made = network(widths=(8, 16), groups=1, blocks=1)
    x = torch.rand(1, 3, 16, 32)
    whole = Pooling(record=True)
    left, right = Pooling(record=True), Pooling(record=True)
    masks = torch.zeros(2, 1, 16, 32)
    masks[0, ..., :12] = 1
    masks[1, ..., 12:] = 1
    with torch.inference_mode():
        made(x, whole)
        replay = [vector for vector, _ in whole.recorded]
        left = Pooling(replay, masks[:1], record=True)
        right = Pooling(replay, masks[1:], record=True)
        made(x, left)
        made(x, right)
    for (vector, _), (a, wa), (b, wb) in zip(
        whole.recorded, left.recorded, right.recorded, strict=True
    ):
        weights = torch.softmax(torch.stack([wa, wb]), 0)
        merged = a * weights[0, :, None] + b * weights[1, :, None]
        torch.testing.assert_close(merged, vector, atol=1e-5, rtol=1e-4)


def test_replay_makes_a_part_equal_the_whole() -> None:
    made = network(widths=(8, 16), groups=1, blocks=1)
    x = torch.rand(1, 3, 32, 192)
    x[..., 128:] *= 0.1
    with torch.inference_mode():
        pooling = Pooling(record=True)
        whole = made(x, pooling)
        part = made(x[..., :128], Pooling(replay=[v for v, _ in pooling.recorded]))
    torch.testing.assert_close(part[..., :64], whole[..., :64], atol=1e-5, rtol=0)
