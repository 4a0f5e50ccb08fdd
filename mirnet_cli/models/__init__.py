"""Where numbers come from: the catalogue, the shipped files, reading and checking weights.

``catalogue`` needs neither numpy nor safetensors, so that listing models is quick;
``container`` reads files that nobody vouches for; ``weights`` is this project's own format;
``resolver`` turns what a user asks for into weights.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirnet_cli.models.resolver import resolve
    from mirnet_cli.models.weights import Weights, load, save

__all__ = ["Weights", "load", "resolve", "save"]


def __getattr__(name: str) -> Any:
    if name == "resolve":
        from mirnet_cli.models import resolver

        return resolver.resolve
    if name in ("Weights", "load", "save"):
        from mirnet_cli.models import weights

        return getattr(weights, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
