"""Planning numbers."""

import subprocess
import sys

import numpy as np

from mirnet_cli.networks import NetworkSpec
from mirnet_cli.runtime.memory import (
    INPUTS,
    OPENVINO,
    OUTPUTS,
    TORCH,
    USEFUL,
    Ceiling,
    ceiling,
    footprint,
    need,
)


def test_the_ceiling() -> None:
    assert ceiling(None, 2 << 30) == Ceiling(1 << 30, 1 << 30)
    assert ceiling(None, 64 << 30) == Ceiling(USEFUL, 32 << 30)
    assert ceiling(8 << 30, 2 << 30) == Ceiling(8 << 30, 8 << 30)


def test_large_pictures_get_more_unless_a_ceiling_was_set() -> None:
    assert ceiling(None, 64 << 30).beside(1 << 20) == USEFUL
    assert ceiling(None, 64 << 30).beside(5 << 30) == 5 << 30
    assert ceiling(None, 8 << 30).beside(5 << 30) == 4 << 30
    assert ceiling(1 << 30, 64 << 30).beside(5 << 30) == 1 << 30


def first_layer(features: int, inputs: int) -> NetworkSpec:
    tensors = {"conv_in.weight": np.zeros((features, inputs, 3, 3), np.float16)}
    return NetworkSpec("compact", {}, tensors, "")


def test_planned_bytes_follow_the_first_layer() -> None:
    unshuffled = need(first_layer(32, 12), 3, 1)
    assert unshuffled.whole == 4 * (TORCH.whole * 8 + INPUTS * 3 + OUTPUTS * 3)
    assert unshuffled.tile > unshuffled.whole
    assert need(first_layer(32, 3), 3, 1).tile > unshuffled.tile
    assert need(first_layer(32, 12), 3, 4).tile > unshuffled.tile
    assert need(first_layer(32, 24), 6, 1).tile == unshuffled.tile + 4 * 3 * INPUTS
    assert need(NetworkSpec("other", {}, {}, ""), 3, 1).tile == need(first_layer(64, 3), 3, 1).tile


def test_the_package_needs_no_torch() -> None:
    code = (
        "import sys, mirnet_cli.runtime, mirnet_cli.runtime.memory, mirnet_cli.runtime.devices;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_planned_bytes_follow_what_computes() -> None:
    assert footprint("torch", "bf16", "compact") is TORCH
    assert footprint("openvino", "bf16", "compact") is OPENVINO["bf16"]
    small, large = first_layer(32, 12), first_layer(320, 12)
    for each in (TORCH, *OPENVINO.values(), footprint("openvino", "fp32", "mirnet_v1")):
        assert need(small, 3, 1, each).fixed == each.fixed + each.copies * 4 * 32 * 12 * 9
        assert need(large, 3, 1, each).fixed > need(small, 3, 1, each).fixed
        assert need(small, 3, 1, each).tile > need(small, 3, 1, each).whole
