"""What the public API adds to the parts: messages in terms of Python's arguments."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirnet_cli.options import in_python

if TYPE_CHECKING:
    from mirnet_cli.restore import LoadOptions, Restorer


@in_python()
def load(
    task: str | Path | None = None, options: "LoadOptions | None" = None, **named: Any
) -> "Restorer":
    """Load a network, ready to restore photos.

    Args:
        task: "denoise", "enhance" or "upscale", the name of a model, or the path of weights; by
            default what the options say.
        options: which weights, and what computes; of several steps :class:`ChainOptions`.
        **named: options by their names, in the place of those of ``options``; with ``then`` further
            steps, as ``--then`` takes them.

    Raises:
        UsageError: for an option that is none, or a step that cannot follow.
        ModelError: for weights that are not found, not intact or not understood.
    """
    from mirnet_cli import restore

    return restore.load(task, options, **named)
