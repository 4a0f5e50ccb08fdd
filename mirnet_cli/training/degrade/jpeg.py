"""JPEG compression as tensor operations: what libjpeg writes at a quality and reads back.

Follows ITU-T T.81 (baseline, the example tables K.1 and K.2 of annex K) and JFIF 1.02 (colour
conversion), with libjpeg's choices where the standard leaves them open: quality scaling, box
averaging for halved chroma, the triangle filter ("fancy upsampling") for reading it back.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mirnet_cli.training.degrade import draw

# ITU-T T.81 annex K, tables K.1 (luma) and K.2 (chroma), in row order.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8 for _ in range(4)),
)


@functools.lru_cache(maxsize=8)
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The cosine transform of flattened blocks (64,64), base tables (2,64), colour to and from."""
    k = torch.arange(8, dtype=torch.float64)
    cosine = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    cosine[0] /= math.sqrt(2)
    transform = torch.kron(cosine, cosine)
    tables = torch.tensor([_LUMA, _CHROMA], dtype=torch.float64).reshape(2, 64)
    forward = torch.tensor(
        [
            [0.299, 0.587, 0.114],
            [-0.168735892, -0.331264108, 0.5],
            [0.5, -0.418687589, -0.081312411],
        ],
        dtype=torch.float64,
    )
    backward = torch.tensor(
        [[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]],
        dtype=torch.float64,
    )
    return (
        transform.to(device, torch.float32),
        tables.to(device, torch.float32),
        forward.to(device, torch.float32),
        backward.to(device, torch.float32),
    )


def quantisation(quality: Tensor) -> Tensor:
    """libjpeg's tables for qualities 1..100: (N,) -> N,2,64 (luma, chroma), steps 1..255."""
    quality = quality.reshape(-1, 1, 1).float().round().clamp(1, 100)
    percent = torch.where(quality < 50, torch.floor(5000 / quality), 200 - 2 * quality)
    base = _constants(quality.device)[1]
    return torch.floor((base * percent + 50) / 100).clamp(1, 255)


def _code(planes: Tensor, steps: Tensor, transform: Tensor) -> Tensor:
    """Quantise the 8x8 cosine coefficients of N,C,H,W levels with N,C,64 steps, and go back."""
    n, c, h, w = planes.shape
    blocks = planes.view(n, c, h // 8, 8, w // 8, 8).transpose(3, 4).reshape(n * c, -1, 64)
    steps = steps.reshape(n * c, 1, 64)
    coefficients = draw.product(blocks - 128, transform.T)
    # Halves are common, as flat blocks have few possible values, and libjpeg rounds them away from
    # zero here and upwards below; the sums are off by some 1e-5, hence a little more than 0.5.
    coefficients = coefficients.div_(steps)
    coefficients = torch.copysign((coefficients.abs() + 0.501).floor_(), coefficients).mul_(steps)
    levels = draw.product(coefficients, transform).add_(128.501).floor_().clamp_(0, 255)
    return levels.view(n, c, h // 8, w // 8, 8, 8).transpose(3, 4).reshape(n, c, h, w)


@draw.exactly
def jpeg(pictures: Tensor, quality: Tensor, halved: Tensor, offset: Tensor | None = None) -> Tensor:
    """Compress and decompress each picture at its own quality.

    Args:
        pictures: N,3,H,W sRGB, 0..1, any size.
        quality: N values (any shape), 1..100, libjpeg's scale.
        halved: N truth values (any shape): chroma at half size both ways (4:2:0), else 4:4:4.
        offset: two int64 values 0..15 (rows, columns) on the pictures' device: how far the block
            grid begins outside the picture, as in a picture cropped after compression.

    Returns: N,3,H,W float32 in 0..1 on the 256 levels of 8 bits.
    """
    n, _, height, width = pictures.shape
    device = pictures.device
    transform, _, forward, backward = _constants(device)
    levels = (pictures * 255).round().clamp(0, 255)
    slack = 0 if offset is None else 15
    rows = torch.arange(-(-(height + slack) // 16) * 16, device=device)
    columns = torch.arange(-(-(width + slack) // 16) * 16, device=device)
    if offset is not None:
        rows, columns = rows - offset[0], columns - offset[1]
    if len(rows) != height or len(columns) != width:
        levels = levels[:, :, rows.clamp(0, height - 1)][:, :, :, columns.clamp(0, width - 1)]
    h, w = levels.shape[2:]

    ycc = draw.product(forward, levels.reshape(n, 3, -1)).view(n, 3, h, w)
    ycc[:, 1:] += 128
    ycc.round_()
    # libjpeg rounds the mean of four down and up by turns along a row, so that it has no bias.
    bias = torch.tensor([0.25, 0.5], device=device).repeat(w // 4)
    small = torch.floor(F.avg_pool2d(ycc[:, 1:], 2) + bias)

    tables = quantisation(quality)
    ycc = _code(ycc, tables[:, (0, 1, 1)], transform)
    small = _code(small, tables[:, (1, 1)], transform)
    large = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    # The triangle filter's sums are sixteenths; libjpeg adds 8 and 7 of them by turns.
    nudge = torch.tensor([0.5, 0.4375], device=device).repeat(w // 2)
    large = torch.floor(large + nudge)
    ycc[:, 1:] = torch.where(halved.reshape(n, 1, 1, 1), large, ycc[:, 1:]) - 128
    rgb = draw.product(backward, ycc.view(n, 3, -1)).view(n, 3, h, w)
    rgb = rgb.round_().clamp_(0, 255).div_(255)
    if offset is not None:
        down = (torch.arange(height, device=device) + offset[0]).clamp(max=h - 1)
        across = (torch.arange(width, device=device) + offset[1]).clamp(max=w - 1)
        return rgb[:, :, down][:, :, :, across]
    return rgb[:, :, :height, :width].contiguous()


def halve_colour(pictures: Tensor, offset: Tensor | None = None) -> Tensor:
    """Colour as coarse as JPEG's 4:2:0 keeps it, and nothing else of JPEG.

    Args:
        pictures: N,3,H,W sRGB, 0..1.
        offset: as for :func:`jpeg`.

    Returns: N,3,H,W float32, not clamped.
    """
    n, _, h, w = pictures.shape
    down, across = (0, 0) if offset is None else (int(each) % 2 for each in offset)
    _, _, forward, backward = _constants(pictures.device)
    sides = (across, (w + across) % 2, down, (h + down) % 2)
    padded = F.pad(pictures, sides, mode="replicate")
    ycc = draw.product(forward, padded.reshape(n, 3, -1)).view_as(padded)
    small = F.avg_pool2d(ycc[:, 1:], 2)
    ycc[:, 1:] = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    rgb = draw.product(backward, ycc.reshape(n, 3, -1)).view_as(padded)
    return rgb[:, :, down : down + h, across : across + w]


def random_jpeg(
    pictures: Tensor,
    share: float,
    generator: torch.Generator,
    *,
    lowest: float = 60,
    usual: float = 0.33,
    targets: Tensor | None = None,
) -> Tensor:
    """Round to 8 bits, `share` of the samples by way of a JPEG file; N,3,H,W -> N,3,H,W.

    Qualities lie in `lowest` to 98; `usual` of the files have exactly 75 with halved chroma
    (libjpeg's default), of the others every second has halved chroma. In half of the calls the
    block grid starts inside the picture. Where colour is halved, it is in `targets`, too, which are
    written to.
    """
    result = (pictures * 255).round().clamp(0, 255) / 255
    chosen, _ = draw.split(len(pictures), (share,), generator)
    n = len(chosen)
    offset = torch.randint(16, (2,), generator=generator, device=pictures.device)
    if n == 0:
        return result
    default = draw.chance(n, usual, generator)
    quality = torch.where(default, 75.0, draw.uniform(n, lowest, 98.99, generator).floor())
    halved = default | draw.chance(n, 0.5, generator)
    aligned = torch.rand((), generator=generator, device=pictures.device).item() < 0.5
    begins = None if aligned else offset
    result[chosen] = jpeg(pictures[chosen], quality, halved, begins)
    if targets is not None and halved.any():
        coarse = chosen[halved.flatten()]
        targets[coarse] = halve_colour(targets[coarse], begins).clamp_(0, 1)
    return result
