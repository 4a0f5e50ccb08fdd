"""Average the weights of two runs, the second of which started from the first (a model soup).

    python tools/average.py first.safetensors second.safetensors --share 0.7 average.safetensors

Such runs lie in one basin, and what is between them often fits other photos than those of the
training better than either. Source: Wortsman et al., Model soups, ICML 2022; WiSE-FT, CVPR 2022.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# The checkout this script belongs to, whichever mirnet is installed.
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from mirnet_cli.errors import MirnetError, UsageError  # noqa: E402
from mirnet_cli.models import resolver  # noqa: E402
from mirnet_cli.models import weights as weights_file  # noqa: E402
from mirnet_cli.models.weights import PARTS, Weights  # noqa: E402
from mirnet_cli.networks import NetworkSpec  # noqa: E402


def average(first: Weights, second: Weights, share: float) -> Weights:
    """The second's weights by ``share``, the first's by the rest.

    Raises:
        UsageError: if the share is not in 0..1 or the networks differ in their sizes.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"{share}", "use a share from 0 to 1", subject="--share")
    origin = f"{first.name}, sha256 {first.sha256}"
    history = {**second.training, "averaged": f"{share:g} of it with the rest of {origin}"}
    parts: dict[str, Any] = {
        part: _between(getattr(first, part), getattr(second, part), share) for part in PARTS
    }
    return replace(second, **parts, training=history)


def _between(
    first: NetworkSpec | None, second: NetworkSpec | None, share: float
) -> NetworkSpec | None:
    if first is None and second is None:
        return None
    if first is None or second is None or _shapes(first.tensors) != _shapes(second.tensors):
        raise UsageError("networks of other sizes", "average runs that started from one another")
    return replace(
        second,
        tensors={
            name: (1 - share) * np.asarray(first.tensors[name], np.float32)
            + share * np.asarray(tensor, np.float32)
            for name, tensor in second.tensors.items()
        },
    )


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _own(path: Path) -> Weights:
    found = resolver.read_file(path)
    if not isinstance(found, Weights):
        raise UsageError("not in mirnet's own format", "use weights of mirnet train", subject=path)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; see the module's text."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("first", "second", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second")
    given = parser.parse_args(arguments)
    try:
        made = average(_own(given.first), _own(given.second), given.share)
        weights_file.save(given.out, made, overwrite=False)
    except MirnetError as error:
        print(f"average: {error}", file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
