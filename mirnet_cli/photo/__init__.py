"""Photos as files: decode, colour, metadata, encode. Knows nothing of networks.

What is light is here at once; :func:`decode`, :func:`encode` and the classes come with their
libraries when first used.
"""

from typing import TYPE_CHECKING, Any

from mirnet_cli.photo.formats import (
    EXTENSIONS,
    READABLE,
    WRITABLE,
    extension_for,
    format_from_name,
    format_from_option,
)
from mirnet_cli.photo.options import MAX_PIXELS, ReadOptions, WriteOptions

if TYPE_CHECKING:
    from mirnet_cli.photo.picture import Encoded as Encoded
    from mirnet_cli.photo.picture import Header as Header
    from mirnet_cli.photo.picture import JpegSettings as JpegSettings
    from mirnet_cli.photo.picture import Metadata as Metadata
    from mirnet_cli.photo.picture import Part as Part
    from mirnet_cli.photo.picture import Photo as Photo
    from mirnet_cli.photo.reading import decode as decode
    from mirnet_cli.photo.reading import probe as probe
    from mirnet_cli.photo.writing import encode as encode

_LAZY = {
    "decode": "reading",
    "probe": "reading",
    "encode": "writing",
    "Encoded": "picture",
    "Header": "picture",
    "JpegSettings": "picture",
    "Metadata": "picture",
    "Part": "picture",
    "Photo": "picture",
}

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "Encoded",
    "Header",
    "JpegSettings",
    "Metadata",
    "Part",
    "Photo",
    "ReadOptions",
    "WriteOptions",
    "decode",
    "encode",
    "extension_for",
    "format_from_name",
    "format_from_option",
    "probe",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
