"""How the weights are made: degradations, data, loop, and a recipe for each model.

This package imports torch; nothing outside of ``mirnet train`` needs it.
"""

from mirnet_cli.training.job import run

__all__ = ["run"]
