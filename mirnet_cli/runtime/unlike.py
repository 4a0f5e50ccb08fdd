"""Which parts of an ONNX network OpenVINO's CPU computes otherwise than ONNX says.

Found by running some 350 operators with their attributes in OpenVINO 2026.4 and ONNX Runtime 1.32,
which agrees with ONNX's own reference implementation. OpenVINO reads all of these without a word.
"""

from collections.abc import Callable, Mapping

Value = int | float | bytes
"""Of an attribute: a number, or a text."""


def _on(name: str) -> Callable[[Mapping[str, Value]], bool]:
    return lambda given: bool(given.get(name, 0))


def _policy(given: Mapping[str, Value]) -> bool:
    return given.get("keep_aspect_ratio_policy", b"stretch") != b"stretch"


def _padding_counts(given: Mapping[str, Value]) -> bool:
    return bool(given.get("ceil_mode", 0)) and bool(given.get("count_include_pad", 0))


def _largest(given: Mapping[str, Value]) -> bool:
    return given.get("mode") == b"max"


_UNHEEDED: Mapping[str, Mapping[str, Callable[[Mapping[str, Value]], bool]]] = {
    "Resize": {
        "antialias": _on("antialias"),
        "exclude_outside": _on("exclude_outside"),
        "keep_aspect_ratio_policy": _policy,
    },
    "AveragePool": {"ceil_mode and count_include_pad": _padding_counts},
    "LpPool": {"ceil_mode": _on("ceil_mode")},
    "RoiAlign": {"the mode max": _largest},
}
"""Operators, and with what they are computed otherwise."""

_FLATTENED = (11, 12)
"""Opsets whose Softmax is over the axis and all after it, of which OpenVINO takes the axis alone.

Of older ones it knows it; from 13 on Softmax is over one axis.
"""


def of_node(kind: str, given: Mapping[str, Value]) -> str | None:
    """What of an operator with these attributes is computed otherwise, in words; None if nothing.

    Args:
        kind: of a standard operator.
        given: its attributes that are a number or a text.
    """
    for name, has in _UNHEEDED.get(kind, {}).items():
        if has(given):
            return f"{kind} with {name}"
    return None


def of_softmax(opset: int, axis: int, rank: int) -> str | None:
    """The same of a Softmax in OpenVINO's graph, where ranks are known.

    Args:
        opset: of the file.
        axis: of the Softmax.
        rank: of what it is given.
    """
    inner = axis % rank != rank - 1 if rank else False
    return f"Softmax of opset {opset}" if opset in _FLATTENED and inner else None
