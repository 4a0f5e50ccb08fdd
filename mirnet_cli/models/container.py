"""A safetensors file, read as if a stranger had sent it.

The format (https://github.com/huggingface/safetensors, "Format"): eight bytes little endian for the
header's length, the header in JSON, then the tensors. The safetensors library checks shapes,
offsets and overlaps; here is what has to be known before a byte of it is believed or memory is
taken, and what the file is when it is none.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import ModelError
from mirnet_cli.files import reason

MAX_FILE = 2 << 30
"""Bytes of the largest file that is read; the largest MIRNet known has 0.4 GB."""

MAX_HEADER = 16 << 20
"""Bytes of the longest header; v1's 797 tensors need 0.1 MB."""

MAX_TENSORS = 20_000

SUPPORTED = "give weights of MIRNet as .safetensors, .pth or .pt"
"""What to do about a file that is something else."""

_DTYPES = frozenset({"F16", "F32"})
_INTEGERS = re.compile(r"(network|thumbnail|clean)-int8\..*\.weight\Z")
"""Names of what may be int8 as well, in this project's own format."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\x00", b"MM\x00*")


@dataclass(frozen=True, eq=False)
class Container:
    """The content of a safetensors file.

    Attributes:
        tensors: by name; float16 or float32 (in this project's own format some of int8), all values
            finite, read-only.
        metadata: the header's texts.
        sha256: of all bytes that this was read from, in hexadecimal.
    """

    tensors: Mapping[str, NDArray[np.floating[Any]]]
    metadata: Mapping[str, str]
    sha256: str


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of weights; see :func:`read_file`."""
    return read_file(path)[0]


def read_file(path: Path) -> tuple[bytes, os.stat_result]:
    """The bytes of a file of weights: a regular file, neither empty nor larger than believable.

    Returns:
        The bytes, and the status of the very file that they were read from.

    Raises:
        ModelError: where it is missing, no regular file, too large or unreadable.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise ModelError("no such file", "check the path", subject=path) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise ModelError("a folder, not a file of weights", "give the file", subject=path)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("not a regular file", "give a file of weights", subject=path)
        if status.st_size == 0:
            raise ModelError("the file is empty", "fetch or copy it again", subject=path)
        if status.st_size > MAX_FILE:
            what = f"too large for weights ({status.st_size / 2**30:.1f} GiB)"
            raise ModelError(what, f"files up to {MAX_FILE >> 30} GiB are read", subject=path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(status.st_size), status
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)


def parse(data: bytes, path: Path, sha256: str | None = None) -> Container:
    """Check and read the bytes of a safetensors file.

    Args:
        data: the whole file.
        path: named in errors.
        sha256: of the data, where it is known already.

    Raises:
        ModelError: for anything that is not an intact safetensors file of finite float16 or
            float32 tensors.
    """
    if (kind := foreign_kind(data[:512])) is not None:
        raise ModelError(*kind, subject=path)
    if is_checkpoint(data[:512]):
        what = "a PyTorch checkpoint, not a safetensors file"
        raise ModelError(what, "convert it with: mirnet models convert", subject=path)
    metadata = _check_header(data, path)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise _broken(path, str(error).splitlines()[0][:120] if str(error) else "header") from None
    for name, tensor in tensors.items():
        check_finite(name, tensor, path)
    return Container(tensors, metadata, sha256 or hashlib.sha256(data).hexdigest())


def check_finite(name: str, tensor: NDArray[np.floating[Any]], path: Path) -> None:
    """Refuse a tensor with a value that is not finite (ModelError)."""
    if not np.isfinite(tensor).all():
        what = f"the tensor {name[:80]!r} has values that are not finite"
        raise ModelError(what, "the weights are damaged; use others", subject=path)


def is_checkpoint(head: bytes) -> bool:
    """Whether a file begins like a PyTorch checkpoint: a zip archive, or a pickle.

    A safetensors header of 640, 896, 1152 or 1408 bytes begins with the same two bytes as a pickle;
    there, the next six are zero.
    """
    pickle = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return head.startswith(b"PK\x03\x04") or (pickle and any(head[2:8]))


def foreign_kind(head: bytes) -> tuple[str, str] | None:
    """What and remedy for a file that begins like something else; ``None`` where it does not."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer, not the weights themselves", "fetch the file with: git lfs pull"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page saved as weights", "download the file itself, not the page about it"
    if head.startswith(_HDF5):
        return "a Keras or HDF5 file", SUPPORTED
    if head.startswith(_PICTURES) or head[:4] == b"RIFF":
        return "a picture, not weights", SUPPORTED
    return None


def _check_header(data: bytes, path: Path) -> dict[str, str]:
    """The metadata, once the header is known to be safe to hand to the library."""
    if len(data) < 10:
        raise _broken(path, "shorter than a header")
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        # What a cut download and a file of another kind have in common.
        raise _broken(path, "the header is longer than the file")
    if length > MAX_HEADER:
        raise _broken(path, f"a header of {length >> 20} MiB")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        raise _broken(path, "the header is not JSON") from None
    if not isinstance(header, dict):
        raise _broken(path, "the header is not a table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _broken(path, "the metadata is not text")
    if not 0 < len(header) <= MAX_TENSORS:
        raise _broken(path, f"{len(header)} tensors")
    for name, entry in header.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        if dtype not in _DTYPES and not (dtype == "I8" and _INTEGERS.match(name)):
            what = f"the tensor {name[:80]!r} is of type {str(dtype)[:20]}"
            raise ModelError(what, "float16 and float32 are read", subject=path)
    return metadata


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name appears twice")
    return table


def _broken(path: Path, detail: str) -> ModelError:
    what = f"not an intact safetensors file ({detail})"
    return ModelError(what, f"fetch or copy it again; {SUPPORTED}", subject=path)


def _unreadable(path: Path, error: Exception) -> ModelError:
    detail = reason(error) if isinstance(error, OSError) else str(error)
    return ModelError(f"cannot be read ({detail})", "check its permissions", subject=path)
