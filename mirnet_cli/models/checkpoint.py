"""Checkpoints of PyTorch (.pth, .pt), read as if a stranger had sent them.

Two formats: a zip archive (since PyTorch 1.6), and pickles followed by the numbers (before). What
the file claims is checked against what it has, without taking memory for the claim
(:mod:`mirnet_cli.models.pickles`); then ``torch.load`` reads it with ``weights_only=True`` given
explicitly, which no environment variable undoes.
"""

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli import extras
from mirnet_cli.errors import ModelError
from mirnet_cli.models import pickles
from mirnet_cli.models.pickles import Refused, Storage, Tensor, Walked

Array = NDArray[np.floating[Any]]

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Where checkpoints keep the weights when they hold more; the first that is there counts."""

_ZIP = b"PK\x03\x04"
_PROTOCOL = b"\x80\x02"
# torch.serialization.MAGIC_NUMBER and PROTOCOL_VERSION of the format before zip.
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001

# What zipfile raises where an archive is not what it says (found by changing bytes at random).
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
)
_MAX_ENTRIES = 20_000
_MAX_PICKLE = 16 << 20
_REMEDY = "get it from its source again, or save only the state dict with torch.save"


@dataclass(frozen=True)
class Described:
    """What a checkpoint says it holds; nothing of it has been loaded.

    Attributes:
        tensors: of the weights, by the keys they have there.
        wrapper: under which name of :data:`WRAPPERS` they stand; None at the top.
    """

    tensors: Mapping[str, Tensor]
    wrapper: str | None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: tensor.shape for key, tensor in self.tensors.items()}


def describe(data: bytes, path: Path) -> Described:
    """Read what a checkpoint claims and check that the file has it.

    Args:
        data: the whole file.
        path: named in errors.

    Raises:
        ModelError: for anything that is no intact checkpoint of tensors, numbers and texts.
    """
    try:
        walked = _walk_zip(data) if data.startswith(_ZIP) else _walk_old(data)
        return _state_dict(walked.value)
    except Refused as error:
        what = f"not a checkpoint that is safe to read ({error})"
        raise ModelError(what, _REMEDY, subject=path) from None


def load(data: bytes, described: Described, path: Path) -> dict[str, Array]:
    """The weights of a checkpoint that has been described.

    Returns:
        Arrays in float16, float32 or float64 (bfloat16 becomes float32); aliases share memory.

    Raises:
        ModelError: where torch finds it damaged, or is not installed.
    """
    extras.require("torch", "reading a PyTorch checkpoint", error=ModelError, subject=path)
    import torch

    loaded = _loaded(data, path)
    table = loaded if described.wrapper is None else loaded[described.wrapper]
    arrays: dict[str, Array] = {}
    for key, tensor in described.tensors.items():
        values = table[key].detach()
        if tuple(values.shape) != tensor.shape:
            what = f"not an intact checkpoint (the tensor {key[:80]!r} changed)"
            raise ModelError(what, _REMEDY, subject=path)
        if values.dtype == torch.bfloat16:
            values = values.float()
        arrays[key] = values.contiguous().numpy()
    return arrays


def _walk_zip(data: bytes) -> Walked:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _DAMAGE as error:
        raise Refused(f"damaged archive: {str(error)[:60]}") from None
    entries = _entries(archive, len(data))
    folder = next(iter(entries)).partition("/")[0]
    if f"{folder}/constants.pkl" in entries:
        raise Refused("a TorchScript program, not weights")
    pickled = entries.get(f"{folder}/data.pkl")
    if pickled is None:
        raise Refused("an archive without data.pkl")
    if pickled.file_size > _MAX_PICKLE:
        raise Refused(f"a data.pkl of {pickled.file_size >> 20} MiB")
    try:
        text = archive.read(pickled)
    except _DAMAGE as error:
        raise Refused(f"damaged archive: {str(error)[:60]}") from None
    walked = pickles.walk(text)
    for storage in walked.storages.values():
        entry = entries.get(f"{folder}/data/{storage.key}")
        if entry is None:
            raise Refused(f"the storage {storage.key[:40]!r} is missing")
        if entry.file_size != storage.bytes:
            raise Refused(
                f"the storage {storage.key[:40]!r} has {entry.file_size} bytes, not {storage.bytes}"
            )
    return walked


def _entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by name: none compressed, encrypted or outside of the one folder."""
    listed = archive.infolist()
    if not 0 < len(listed) <= _MAX_ENTRIES:
        raise Refused(f"an archive of {len(listed)} files")
    entries = {entry.filename: entry for entry in listed}
    if len(entries) != len(listed):
        raise Refused("an archive that has a file twice")
    folder = listed[0].filename.partition("/")[0]
    for name, entry in entries.items():
        # orig_filename: zipfile itself cuts names at a null and changes separators.
        parts = entry.orig_filename.split("/")
        if parts[0] != folder or not folder or "\\" in name or "\0" in entry.orig_filename:
            raise Refused(f"an archive with the file {name[:60]!r} outside of its folder")
        if any(part in ("", ".", "..") for part in parts):
            raise Refused(f"an archive with the file {name[:60]!r}, which leads out of its folder")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise Refused("a compressed or encrypted archive")
    if sum(entry.file_size for entry in listed) > size:
        raise Refused("an archive whose files are larger than itself")
    return entries


def _walk_old(data: bytes) -> Walked:
    """The format before zip: four pickles, the storages' keys, the storages.

    Each storage is its count in eight bytes little endian, then the numbers.
    """
    if not data.startswith(_PROTOCOL):
        raise Refused("a pickle, but not one from PyTorch")
    at = 0
    for wanted in (_MAGIC, _VERSION):
        walked = pickles.walk(data, at)
        if walked.value != wanted:
            raise Refused("a pickle, but not one from PyTorch")
        at = walked.end
    system = pickles.walk(data, at)
    if isinstance(system.value, dict) and system.value.get("little_endian") is False:
        raise Refused("written on a big-endian machine")
    walked = pickles.walk(data, system.end)
    keys = pickles.walk(data, walked.end)
    if not isinstance(keys.value, list) or set(keys.value) != set(walked.storages):
        raise Refused("its list of storages does not match its tensors")
    at = keys.end
    for key in keys.value:
        at = _after_storage(data, at, walked.storages[key])
    if at != len(data):
        raise Refused(f"{len(data) - at} bytes after its end")
    return walked


def _after_storage(data: bytes, at: int, storage: Storage) -> int:
    count = int.from_bytes(data[at : at + 8], "little")
    end = at + 8 + storage.bytes
    if count != storage.count or end > len(data):
        raise Refused(f"the storage {storage.key[:40]!r} is cut short or of the wrong size")
    return end


def _state_dict(value: Any) -> Described:
    """The weights among whatever else a checkpoint holds."""
    if not isinstance(value, dict):
        raise Refused("no table of tensors")
    wrapper = next((name for name in WRAPPERS if isinstance(value.get(name), dict)), None)
    table = value if wrapper is None else value[wrapper]
    if not table:
        raise Refused("no tensors")
    for key, tensor in table.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise Refused(f"{str(key)[:80]!r} is no tensor")
        if tensor.storage.kind not in pickles.FLOATS:
            raise Refused(f"the tensor {key[:80]!r} is not of floating point")
    _check_shares(table.values())
    return Described(table, wrapper)


def _check_shares(tensors: Iterable[Tensor]) -> None:
    """Refuse more numbers than the file has: each tensor is given memory of its own."""
    left: dict[Storage, int] = {}
    # Aliases, the same tensor under several keys, stay one.
    for tensor in set(tensors):
        storage = tensor.storage
        left[storage] = left.get(storage, storage.count) - math.prod(tensor.shape)
        if left[storage] < 0:
            raise Refused(f"tensors that overlap in the storage {storage.key[:40]!r}")


def _loaded(data: bytes, path: Path) -> Any:
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # From memory: a file's name would let it try the tar format of 2016 first.
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise ModelError(
            "not enough memory to read it", "close other programs", subject=path
        ) from None
    # Whatever it raises for damage: RuntimeError, UnpicklingError, EOFError, AssertionError ...
    except Exception as error:
        text = " ".join(str(error).split())[:100]
        what = f"not an intact checkpoint ({text or type(error).__name__})"
        raise ModelError(what, _REMEDY, subject=path) from None
