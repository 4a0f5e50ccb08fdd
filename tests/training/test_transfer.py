"""The base of ``enhance`` while training is the one of use."""

import numpy as np
import torch

from mirnet_cli.restore.base import Guide, guided_coefficients
from mirnet_cli.training.transfer import guided_transfer


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def test_training_and_use_fit_alike() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((48, 64, 3), np.float32) * 0.1
    y = (x * 5).clip(0, 1) + np.float32(0.02)
    guide = Guide()
    a, b = guided_coefficients(x, y, guide.radius, guide.epsilon)
    in_training = guided_transfer(tensor(x), tensor(y), 1)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(in_training, a * x + b, atol=1e-5)


def test_detail_of_dark_flat_places_is_brightened_with_them() -> None:
    dark = torch.full((1, 3, 64, 64), 0.02)
    dark[..., ::2] += 0.002
    bright = torch.nn.functional.avg_pool2d(dark, 8) * 10
    bright = torch.nn.functional.interpolate(bright, scale_factor=8.0)
    base = guided_transfer(dark, bright, 8)
    torch.testing.assert_close(base, dark * 10, atol=0.005, rtol=0)
