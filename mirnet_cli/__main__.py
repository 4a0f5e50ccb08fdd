"""``python -m mirnet_cli``: the same as ``mirnet``."""

import sys

from mirnet_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
