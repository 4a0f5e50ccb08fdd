"""OpenVINO, imported so that it sends nothing, and without what only conversion needs.

On import OpenVINO's Python package reports the event to Google Analytics through
``openvino_telemetry``, and leaves a file with an identifier in the home folder. It does without
where that package is not installed; so it is kept from being found.

It also imports its converter of models, which takes twice as long as all the rest. That is found
when somebody in this process asks for it.
"""

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"
_CONVERTER = "openvino.tools.ovc"

_blocked = [name for name in (_TELEMETRY, _CONVERTER) if name not in sys.modules]
for _name in _blocked:
    # None makes ``import`` raise ImportError.
    sys.modules[_name] = None  # type: ignore[assignment]
try:
    import openvino
    from openvino import opset13 as ops
finally:
    for _name in _blocked:
        del sys.modules[_name]

if not hasattr(openvino, "convert_model"):

    def _convert_model(*given: Any, **named: Any) -> Any:
        """OpenVINO's ``convert_model``, imported at its first call."""
        from openvino.tools.ovc import convert_model

        openvino.convert_model = convert_model
        return convert_model(*given, **named)

    openvino.convert_model = _convert_model

__all__ = ["openvino", "ops"]
