"""What training brings down: how far results are from their targets, by name."""

from collections.abc import Callable

from torch import Tensor

_CHARBONNIER = 1e-3
_LEAST_RMSE = 2e-3
"""Half a level of 8 bits: targets have no more to say."""


def charbonnier(result: Tensor, target: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + eps^2) (Lai et al., CVPR 2017; MIRNet, equation 2), d in 0..1.

    Much like the mean absolute error: outliers do not rule it, and training is quick.
    """
    return ((result - target) ** 2 + _CHARBONNIER**2).sqrt().mean()


def rmse(result: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared error of each picture, mean over pictures, in 0..1.

    Where the input leaves open what the target is, the absolute error asks for the median of what
    it may be, the squared one, and PSNR with it, for the mean. The root of each picture keeps the
    hard ones from outweighing the others.
    """
    squared = (result - target).square().mean((1, 2, 3))
    return (squared + _LEAST_RMSE**2).sqrt().mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "charbonnier": charbonnier,
    "rmse": rmse,
}
"""``(N, C, H, W)`` result and target -> scalar."""
