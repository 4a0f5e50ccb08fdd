"""Blocks against plain definitions of what they compute."""

import torch
from torch.nn import functional as F

from mirnet_cli.networks.blocks import SKFF, blur_and_halve
from mirnet_cli.networks.pooling import Pooling


def test_blur_and_halve_is_the_binomial_blur_with_reflected_edges() -> None:
    x = torch.rand(2, 3, 12, 8, dtype=torch.float64)
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    kernel = (taps[:, None] * taps / 16).expand(3, 1, 3, 3)
    expected = F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), kernel, stride=2, groups=3)
    torch.testing.assert_close(blur_and_halve(x), expected)


def test_skff_is_a_convex_combination() -> None:
    torch.manual_seed(0)
    fusion = SKFF(8, 3, 4, torch.nn.PReLU)
    streams = [torch.full((1, 8, 4, 4), float(i)) for i in range(3)]
    fused = fusion(streams, Pooling())
    assert fused.min() >= 0
    assert fused.max() <= 2
    same = fusion([streams[2]] * 3, Pooling())
    torch.testing.assert_close(same, streams[2])


def test_softmax_mean_of_large_pictures_keeps_its_weights_in_half_precision() -> None:
    features = torch.ones(1, 2, 512, 512, dtype=torch.float16)
    logits = torch.zeros(1, 1, 512, 512, dtype=torch.float16)
    mean = Pooling().softmax_mean(features, logits)
    torch.testing.assert_close(mean, torch.ones(1, 2, 1, 1, dtype=torch.float16), atol=1e-3, rtol=0)


def test_softmax_mean_is_taken_in_float32_under_autocast() -> None:
    features = torch.rand(1, 8, 32, 48, generator=torch.Generator().manual_seed(0)).bfloat16()
    logits = torch.randn(1, 1, 32, 48, generator=torch.Generator().manual_seed(1)).bfloat16()
    pooling = Pooling(record=True)
    with torch.autocast("cpu", torch.bfloat16):
        pooling.softmax_mean(features, logits)
    ((vector, _),) = pooling.recorded
    expected = (features.double() * logits.double().flatten(2).softmax(2).view_as(logits)).sum(
        (2, 3)
    )
    assert vector.dtype == torch.float32
    torch.testing.assert_close(vector.double(), expected, atol=1e-6, rtol=1e-5)
