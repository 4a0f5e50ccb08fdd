"""OpenVINO, imported so that it sends nothing.

On import OpenVINO's Python package reports the event to Google Analytics through
``openvino_telemetry``, and leaves a file with an identifier in the home folder. It does without
where that package is not installed; so it is kept from being found.
"""

import sys

_TELEMETRY = "openvino_telemetry"

_blocked = _TELEMETRY not in sys.modules
if _blocked:
    # None makes ``import`` raise ImportError.
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
try:
    import openvino
    from openvino import opset13 as ops
finally:
    if _blocked:
        del sys.modules[_TELEMETRY]

__all__ = ["openvino", "ops"]
