"""Better photos with MIRNet: less noise, more light, more resolution.

The public Python API, loaded on first use so that importing the package costs nothing::

    import mirnet_cli as mirnet

    denoise = mirnet.load("denoise")
    clean = denoise(pixels)
    result = denoise.file("in.jpg", "out.jpg")
    for result in mirnet.batch(denoise, ["photos/"], into="out/"): ...
"""

from typing import TYPE_CHECKING, Any

from mirnet_cli._version import __version__

if TYPE_CHECKING:
    from mirnet_cli.batches.plan import BatchOptions as BatchOptions
    from mirnet_cli.batches.run import batch as batch
    from mirnet_cli.errors import (
        DiskFullError,
        DownloadError,
        InputError,
        LicenceError,
        MirnetError,
        ModelError,
        OutOfMemoryError,
        OutputError,
        ResultError,
        TransferError,
        UsageError,
    )
    from mirnet_cli.python import load as load
    from mirnet_cli.restore import LoadOptions, PhotoOptions, Restorer, Result, StepOptions
    from mirnet_cli.restore.chain import chain as chain
    from mirnet_cli.restore.steps import ChainOptions as ChainOptions

_ERRORS = (
    "DiskFullError",
    "DownloadError",
    "InputError",
    "LicenceError",
    "MirnetError",
    "ModelError",
    "OutOfMemoryError",
    "OutputError",
    "ResultError",
    "TransferError",
    "UsageError",
)
_HOME = {
    "chain": "mirnet_cli.restore.chain",
    "ChainOptions": "mirnet_cli.restore.steps",
    "load": "mirnet_cli.python",
    "LoadOptions": "mirnet_cli.restore",
    "PhotoOptions": "mirnet_cli.restore",
    "Restorer": "mirnet_cli.restore",
    "Result": "mirnet_cli.restore",
    "StepOptions": "mirnet_cli.restore",
    "batch": "mirnet_cli.batches.run",
    "BatchOptions": "mirnet_cli.batches.plan",
    **dict.fromkeys(_ERRORS, "mirnet_cli.errors"),
}

__all__ = [
    "BatchOptions",
    "ChainOptions",
    "DiskFullError",
    "DownloadError",
    "InputError",
    "LicenceError",
    "LoadOptions",
    "MirnetError",
    "ModelError",
    "OutOfMemoryError",
    "OutputError",
    "PhotoOptions",
    "Restorer",
    "Result",
    "ResultError",
    "StepOptions",
    "TransferError",
    "UsageError",
    "__version__",
    "batch",
    "chain",
    "load",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Name the lazily loaded parts too."""
    return sorted({*globals(), *_HOME})
