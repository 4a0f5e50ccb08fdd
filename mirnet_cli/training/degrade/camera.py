"""A simple camera: from sRGB back to the light its sensor saw, and forward again.

The steps and their ranges follow Brooks et al., "Unprocessing Images for Learned Raw Denoising"
(CVPR 2019), section 3: tone curve, gamma, colour matrix, white balance, Bayer mosaic.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mirnet_cli.training.degrade import draw

# CIE XYZ (D65) to camera RGB: the colour matrices of the four cameras that Brooks et al. mix
# (Sony A7R, Olympus E-M10, Sony RX100 IV, Huawei Nexus 6P).
_XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.6130, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.8380, -0.2630, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.0970, 0.1581, 0.5181)),
)
# IEC 61966-2-1: linear sRGB to CIE XYZ (D65).
_RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


@dataclass(frozen=True)
class Curve:
    """How linear light becomes display values, one setting a sample; all tensors N,1,1,1.

    Attributes:
        gamma: exponent of the display curve (2.2 in the paper).
        toe: light added before the curve, which limits its slope in the shadows: with pure powers
            black would be as noisy as no camera's is. Black and white stay in place.
        curved: bool, whether the S-shaped tone curve (smoothstep) follows the gamma.
    """

    gamma: Tensor
    toe: Tensor
    curved: Tensor

    def ends(self) -> tuple[Tensor, Tensor]:
        """What gamma and toe make of black and of white, N,1,1,1 each."""
        return self.toe.pow(1 / self.gamma), (1 + self.toe).pow(1 / self.gamma)


@dataclass(frozen=True)
class Camera:
    """One camera setting a sample.

    Attributes:
        to_sensor: N,3,3 linear sRGB to sensor colours (colour matrix, gains undone).
        from_sensor: N,3,3 its inverse.
        curve: how its light is shown.
    """

    to_sensor: Tensor
    from_sensor: Tensor
    curve: Curve


@functools.lru_cache(maxsize=8)
def _matrices(device: torch.device) -> Tensor:
    """Linear sRGB to camera RGB of the four cameras, rows summing to one: 4,3,3."""
    matrices = torch.tensor(_XYZ_TO_CAMERA, dtype=torch.float64) @ torch.tensor(
        _RGB_TO_XYZ, dtype=torch.float64
    )
    return (matrices / matrices.sum(dim=2, keepdim=True)).to(device, torch.float32)


def random_curve(count: int, generator: torch.Generator, *, curved: float = 0.5) -> Curve:
    """Draw `count` curves: gamma 1.9 to 2.5, a small toe, `curved` of them with the S-shape."""
    return Curve(
        gamma=draw.uniform(count, 1.9, 2.5, generator),
        toe=draw.log_uniform(count, 0.002, 0.03, generator),
        curved=draw.chance(count, curved, generator),
    )


def random_camera(count: int, generator: torch.Generator) -> Camera:
    """Draw `count` settings: a mix of four colour matrices, white-balance gains, tone and gamma.

    Gains are those of daylight to tungsten: red 1.2 to 2.6, blue 1.2 to 2.6 (green is 1).
    """
    weights = draw.uniform(count, 1e-3, 1, generator, channels=4)
    weights = weights / weights.sum(dim=1, keepdim=True)
    matrix = torch.einsum("nk,kij->nij", weights[:, :, 0, 0], _matrices(generator.device))
    red = draw.uniform(count, 1.2, 2.6, generator)[:, :, 0, 0]
    blue = draw.uniform(count, 1.2, 2.6, generator)[:, :, 0, 0]
    gains = torch.cat([red, torch.ones_like(red), blue], dim=1)
    to_sensor = matrix / gains[:, :, None]
    return Camera(
        to_sensor=to_sensor,
        from_sensor=torch.linalg.inv(to_sensor),
        curve=random_curve(count, generator),
    )


def mix(matrix: Tensor, pictures: Tensor) -> Tensor:
    """Multiply each pixel's colour by its sample's matrix: N,3,3 and N,3,H,W -> N,3,H,W."""
    return torch.matmul(matrix, pictures.flatten(2)).view_as(pictures)


def to_light(pictures: Tensor, curve: Curve) -> Tensor:
    """Undo tone curve and gamma: sRGB 0..1 to linear light 0..1, N,3,H,W."""
    clipped = pictures.clamp(0, 1)
    straight = 0.5 - torch.sin(torch.asin(1 - 2 * clipped) / 3)
    display = torch.where(curve.curved, straight, clipped)
    low, high = curve.ends()
    return display.mul_(high - low).add_(low).pow_(curve.gamma).sub_(curve.toe)


def to_display(light: Tensor, curve: Curve) -> Tensor:
    """Apply gamma and tone curve: linear light to sRGB, clipped to 0..1. Inverse of `to_light`."""
    low, high = curve.ends()
    display = light.clamp(0, 1).add_(curve.toe).pow_(1 / curve.gamma)
    display = display.sub_(low).div_(high - low)
    return torch.where(curve.curved, display.square() * (3 - 2 * display), display)


def rise(light: Tensor, curve: Curve) -> Tensor:
    """The slope of `to_display` at `light` (0.001 to 0.99), by a central difference."""
    return (to_display(light * 1.01, curve) - to_display(light * 0.99, curve)) / (light * 0.02)


@functools.lru_cache(maxsize=16)
def bayer(height: int, width: int, device: torch.device) -> Tensor:
    """Which colour each pixel of the four Bayer phases (RGGB, GRBG, GBRG, BGGR) measures.

    Returns: 4,3,H,W float32, one for the measured colour and zero for the others.
    """
    rggb = torch.zeros(3, height + 1, width + 1)
    rggb[0, 0::2, 0::2] = 1
    rggb[1, 0::2, 1::2] = 1
    rggb[1, 1::2, 0::2] = 1
    rggb[2, 1::2, 1::2] = 1
    phases = [rggb[:, y : y + height, x : x + width] for y in (0, 1) for x in (0, 1)]
    return torch.stack(phases).to(device)


def bilinear_demosaic(mosaic: Tensor) -> Tensor:
    """Fill the gaps of a mosaic (N,3,H,W, zero where a colour was not measured) from neighbours."""
    h, w = mosaic.shape[2:]
    padded = F.pad(mosaic, (1, 1, 1, 1), mode="reflect")
    sides = padded[..., :-2] + padded[..., 2:]
    here = padded[..., 1:-1]
    filled = here + sides / 2
    filled = filled[:, :, 1:-1] + (filled[:, :, :-2] + filled[:, :, 2:]) / 2
    green = here[:, 1, :-2] + here[:, 1, 2:] + sides[:, 1, 1:-1]
    filled[:, 1] = here[:, 1, 1:-1] + green / 4
    return filled.view(-1, 3, h, w)
