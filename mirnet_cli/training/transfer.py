"""A known brightening, carried from a reduced picture to full size: the base of ``enhance``.

In use the reduced result comes from the thumbnail network. The detail network is trained with the
true one in its place, so that both can be trained at the same time.
"""

from torch import Tensor
from torch.nn import functional as F


def guided_transfer(
    picture: Tensor, wanted: Tensor, reduction: int, radius: int = 2, epsilon: float = 1e-4
) -> Tensor:
    """The same as :func:`mirnet_cli.restore.base.guided_base`, for batches of tensors.

    Args:
        picture: ``(N, 3, H, W)`` in 0..1.
        wanted: the same scene as it should be, of the same shape; only its reduction is used.
        reduction: the coefficients are fitted on pictures this many times smaller.
        radius: of the fit's window, in reduced pixels.
        epsilon: what the guide's variance has to exceed for its local slope to count.

    Returns:
        ``a * picture + b`` with ``a``, ``b`` fitted in windows and enlarged bilinearly.
    """
    x = F.avg_pool2d(picture, reduction)
    y = F.avg_pool2d(wanted, reduction)

    def mean(values: Tensor) -> Tensor:
        padded = F.pad(values, (radius,) * 4, mode="replicate")
        return F.avg_pool2d(padded, 2 * radius + 1, 1)

    mean_x, mean_y = mean(x), mean(y)
    variance = mean(x * x) - mean_x**2
    covariance = mean(x * y) - mean_x * mean_y
    ratio = ((mean_y + 1e-2) / (mean_x + 1e-2)).clamp(max=32)
    a = (covariance + epsilon * ratio) / (variance + epsilon)
    b = mean_y - a * mean_x
    size = picture.shape[-2:]
    a = F.interpolate(mean(a), size=size, mode="bilinear", align_corners=False)
    b = F.interpolate(mean(b), size=size, mode="bilinear", align_corners=False)
    return a * picture + b
