"""What a runtime needs to know of a network, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 256
"""Of the input of a convolution in integers."""

MOST = 64
"""The largest of the integers that its weights are; see :mod:`mirnet_cli.networks.integers`."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network as data: family, configuration and numbers.

    Attributes:
        family: key of :data:`mirnet_cli.networks.FAMILIES`.
        config: the family's configuration, as JSON-like values.
        tensors: the state dict under the family's own key names; float16 or float32.
        sha256: of the file the tensors came from, in hexadecimal.
        model: the network as ONNX, for the family "onnx", which has no tensors of its own.
        integers: what ``--precision int8`` takes in place of some convolutions of ``tensors``, for
            each NAME of them ``NAME.weight`` (int8, -64 to 64, the shape of the other),
            ``NAME.scale`` (``(outputs,)``: what 1 stands for where the input is in levels),
            ``NAME.step`` (``(inputs,)``: how far the levels of the input are apart) and
            ``NAME.zero`` (``(1,)``: which of them, 0 to 255, is 0), all three float32; empty where
            the network was not trained for it.
    """

    family: str
    config: Mapping[str, Any]
    tensors: Mapping[str, NDArray[np.floating[Any]]] = field(repr=False)
    sha256: str
    model: bytes = field(default=b"", repr=False)
    integers: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    @property
    def bytes(self) -> int:
        """Of its numbers in float32, about."""
        return len(self.model) + 4 * sum(int(tensor.size) for tensor in self.tensors.values())
