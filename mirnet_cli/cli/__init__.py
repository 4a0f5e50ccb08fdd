"""The ``mirnet`` command: words in, words out; the work is done by the Python API."""

from mirnet_cli.cli.process import main

__all__ = ["main"]
