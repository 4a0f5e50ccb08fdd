"""A photo through a network: tiles, context, blend, and the Restorer over them."""

from mirnet_cli.restore.restorer import Restorer, RestoreWarning, load
from mirnet_cli.restore.result import Result

__all__ = ["RestoreWarning", "Restorer", "Result", "load"]
