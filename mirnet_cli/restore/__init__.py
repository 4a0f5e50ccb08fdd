"""A photo through a network: tiles, context, blend, and the Restorer over them.

What computes comes with its libraries when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from mirnet_cli.restore.options import LoadOptions, PhotoOptions, StepOptions
from mirnet_cli.restore.result import Result

if TYPE_CHECKING:
    from mirnet_cli.restore.loading import load as load
    from mirnet_cli.restore.restorer import Restorer as Restorer
    from mirnet_cli.restore.restorer import RestoreWarning as RestoreWarning

__all__ = [
    "LoadOptions",
    "PhotoOptions",
    "RestoreWarning",
    "Restorer",
    "Result",
    "StepOptions",
    "load",
]


def __getattr__(name: str) -> Any:
    """Load what computes when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mirnet_cli.restore import loading, restorer

    return getattr(loading if name == "load" else restorer, name)
