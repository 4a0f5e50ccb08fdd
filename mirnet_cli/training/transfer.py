"""A known brightening, carried from a reduced picture to full size: the base of ``enhance``.

In use the reduced result comes from the thumbnail network. The detail network is trained with the
true one in its place, so that both can be trained at the same time.
"""

from torch import Tensor
from torch.nn import functional as F


def guided_transfer(
    picture: Tensor, wanted: Tensor, reduction: int, radius: int = 2, epsilon: float = 1e-4
) -> Tensor:
    """The fast guided filter (He and Sun, 2015) with the picture as its own guide.

    Args:
        picture: ``(N, 3, H, W)`` in 0..1.
        wanted: the same scene as it should be, of the same shape; only its reduction is used.
        reduction: the coefficients are fitted on pictures this many times smaller.
        radius: of the fit's window, in reduced pixels.
        epsilon: regularises the fit where the guide is flat.

    Returns:
        ``a * picture + b`` with ``a``, ``b`` fitted in windows and enlarged bilinearly.
    """
    small = F.avg_pool2d(picture, reduction)
    small_wanted = F.avg_pool2d(wanted, reduction)

    def mean(x: Tensor) -> Tensor:
        padded = F.pad(x, (radius,) * 4, mode="replicate")
        return F.avg_pool2d(padded, 2 * radius + 1, 1)

    mean_in, mean_out = mean(small), mean(small_wanted)
    variance = mean(small * small) - mean_in**2
    covariance = mean(small * small_wanted) - mean_in * mean_out
    slope = covariance / (variance + epsilon)
    offset = mean_out - slope * mean_in
    size = picture.shape[-2:]
    slope = F.interpolate(mean(slope), size=size, mode="bilinear", align_corners=False)
    offset = F.interpolate(mean(offset), size=size, mode="bilinear", align_corners=False)
    return slope * picture + offset
