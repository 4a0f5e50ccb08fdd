"""Libraries that come with an extra of the installation, and what to say where one is missing."""

from importlib.util import find_spec

from mirnet_cli import installation
from mirnet_cli.errors import MirnetError, UsageError

EXTRAS = {
    "cryptography": "cluster",
    "distributed": "cluster",
    "fsspec": "cloud",
    "imagecodecs": "jxl",
    "matplotlib": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pillow_heif": "heif",
    "rawpy": "raw",
    "s3fs": "cloud",
    "torch": "torch",
}
"""A library's module, and the extra that brings it."""


def installed(module: str) -> bool:
    """Whether a library is here; it is not imported."""
    return find_spec(module) is not None


def remedy(module: str) -> str:
    """What to do where a library is missing: its extra is installed, or it alone if it has none."""
    if module in EXTRAS:
        return installation.add_extra(EXTRAS[module])
    return installation.add(module)


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
