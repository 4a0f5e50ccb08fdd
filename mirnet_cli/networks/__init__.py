"""Mathematics: the networks, and what is true of each family as data.

Importing this package needs neither torch nor numpy; :meth:`Family.build` imports torch.
"""

from mirnet_cli.networks.families import FAMILIES, Family, recognise
from mirnet_cli.networks.spec import NetworkSpec

__all__ = ["FAMILIES", "Family", "NetworkSpec", "recognise"]
