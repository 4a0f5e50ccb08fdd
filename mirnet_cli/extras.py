"""Libraries that come with an extra of the installation, and what to say where one is missing."""

from importlib.util import find_spec

from mirnet_cli.errors import MirnetError, UsageError

EXTRAS = {
    "cryptography": "cluster",
    "distributed": "cluster",
    "fsspec": "cloud",
    "matplotlib": "train",
    "s3fs": "cloud",
    "torch": "torch",
}
"""A library's module, and the extra that brings it: ``pip install 'mirnet-cli[EXTRA]'``."""


def installed(module: str) -> bool:
    """Whether a library is here; it is not imported."""
    return find_spec(module) is not None


def remedy(module: str) -> str:
    """What to do where a library of :data:`EXTRAS` is missing."""
    return f"pip install 'mirnet-cli[{EXTRAS[module]}]'"


def require(
    module: str, what: str, *, error: type[MirnetError] = UsageError, subject: object = None
) -> None:
    """Refuse what needs a library that is not here.

    Args:
        module: one of :data:`EXTRAS`.
        what: needs it ("training").
        error: what is raised.
        subject: the file or option concerned.

    Raises:
        MirnetError: of the kind ``error``; says how to install it.
    """
    if not installed(module):
        what = f"{what} needs {module}, which is not installed"
        raise error(what, remedy(module), subject=subject)
