"""Which of two sets of weights suits a picture: what the file of ``upscale`` has beside them.

One set is for pictures that were only made smaller, the other for those that also have blur, noise
or the marks of JPEG. Three small convolutions look at pieces of the picture, and their mean says
how much nearer to the truth the first would come. Like a routed mixture of experts (Shazeer et
al., ICLR 2017) with one choice for the whole picture. Computed with numpy, in float32, so that the
choice is the same whatever runs the networks.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CROP = 48
"""Side of the pieces, in pixels."""
WIDTHS = (16, 24, 32)
STRIDES = (1, 2, 2)
GAIN = 24.0
"""Of what pixels differ from the mean of their neighbourhood of 3x3: that is all that is seen."""
SLOPE = 0.2
"""Of the activations below zero."""
SHAPES: Mapping[str, tuple[int, ...]] = {
    **{
        f"{index}.{kind}": shape
        for index, (inputs, outputs) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False))
        for kind, shape in (("weight", (outputs, inputs, 3, 3)), ("bias", (outputs,)))
    },
    "last.weight": (1, WIDTHS[-1]),
    "last.bias": (1,),
}
"""Of its tensors, by name."""


def advantage(tensors: Mapping[str, Floats], crops: Floats) -> float:
    """How many dB more the weights for clean pictures are expected to gain than the others.

    Args:
        tensors: of the shapes of :data:`SHAPES`.
        crops: ``(N, 48, 48, 3)`` float32 in 0..1, pieces of the picture as networks see it.

    Returns:
        The mean over the pieces; above 0 the weights for clean pictures suit better.
    """
    crops = np.asarray(crops, np.float32)
    around = np.lib.stride_tricks.sliding_window_view(crops, (3, 3), (1, 2)).mean((-2, -1))
    x = np.tanh(np.float32(GAIN) * (crops[:, 1:-1, 1:-1] - around))
    for index, stride in enumerate(STRIDES):
        weight, bias = tensors[f"{index}.weight"], tensors[f"{index}.bias"]
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
        windows = windows[:, ::stride, ::stride]
        x = windows.reshape(*windows.shape[:3], -1) @ weight.reshape(len(weight), -1).T + bias
        x = np.maximum(x, np.float32(SLOPE) * x)
    features = x.mean((1, 2))
    return float((features @ tensors["last.weight"].T + tensors["last.bias"]).mean())
