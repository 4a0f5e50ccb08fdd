"""What a runtime needs to know of a network, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NetworkSpec:
    """A network as data: family, configuration and numbers.

    Attributes:
        family: key of :data:`mirnet_cli.networks.FAMILIES`.
        config: the family's configuration, as JSON-like values.
        tensors: the state dict under the family's own key names; float16 or float32.
        sha256: of the file the tensors came from, in hexadecimal.
        model: the network as ONNX, for the family "onnx", which has no tensors of its own.
    """

    family: str
    config: Mapping[str, Any]
    tensors: Mapping[str, NDArray[np.floating[Any]]] = field(repr=False)
    sha256: str
    model: bytes = field(default=b"", repr=False)

    @property
    def bytes(self) -> int:
        """Of its numbers in float32, about."""
        return len(self.model) + 4 * sum(int(tensor.size) for tensor in self.tensors.values())
