"""Compiled graphs kept between runs: making one takes longer than a small photo.

OpenVINO has such a cache of its own, which tells graphs apart by their path and believes what it
finds. Here the name of an entry follows from everything that goes into a graph, and an entry that
is not what was written is made again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mirnet_cli.files import remove_leftovers, write_replaceable
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.runtime import onnx_graph, openvino_graph
from mirnet_cli.runtime.openvino_graph import Pool

LIMIT = 256 << 20
"""Bytes that all entries may take together; a compact network takes 8 MB for each size."""

LARGEST = LIMIT // 4
"""Bytes of a network's numbers, in float32, beyond which it is not kept: compiling is then a small
part of the work, and copies of it would take memory that nobody has allowed."""

_SUFFIX = ".graph"
_DIGEST = 32


@dataclass(frozen=True)
class Entry:
    """A compiled graph.

    Attributes:
        blob: as OpenVINO exports it.
        pools: of the graph.
    """

    blob: bytes
    pools: tuple[Pool, ...]


def fingerprint(spec: NetworkSpec, **rest: Any) -> str:
    """Identify a network and whatever else, JSON-like, makes a compiled graph what it is."""
    digest = hashlib.sha256(spec.model)
    for module in (openvino_graph, onnx_graph):
        digest.update(Path(str(module.__file__)).read_bytes())
    told = {"family": spec.family, "config": spec.config, **rest}
    digest.update(json.dumps(told, sort_keys=True, default=dict).encode())
    numbers = [*sorted(spec.tensors.items()), *sorted(spec.integers.items())]
    for name, tensor in numbers:
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()


class Shelf:
    """A folder of entries; whatever is wrong with it, nothing is kept and nothing is said.

    Args:
        folder: need not exist.
        limit: bytes that all entries may take together.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    def get(self, network: str, kind: Mapping[str, Any]) -> Entry | None:
        """What was put under these two, if it is there and intact."""
        path = self._path(network, kind)
        try:
            with path.open("rb") as file:
                if not _own(file.fileno()):
                    return None
                raw = file.read()
        except OSError:
            return None
        entry = _unpack(raw)
        with contextlib.suppress(OSError):
            if entry is None:
                path.unlink()
            else:
                # The time of its last use decides what is thrown away first.
                path.touch()
        return entry

    def put(self, network: str, kind: Mapping[str, Any], entry: Entry) -> None:
        """Keep an entry, and throw away those unused for longest where it gets too much.

        Args:
            network: from :func:`fingerprint`.
            kind: what else tells graphs of this network apart.
            entry: what is kept.
        """
        data = _pack(entry)
        if len(data) > self._limit:
            return
        with contextlib.suppress(OSError):
            # Others must not put graphs here: they would be run.
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(len(data))
            write_replaceable(self._path(network, kind), data)

    def forget(self, network: str, kind: Mapping[str, Any]) -> None:
        """Remove an entry."""
        with contextlib.suppress(OSError):
            self._path(network, kind).unlink()

    def _path(self, network: str, kind: Mapping[str, Any]) -> Path:
        name = hashlib.sha256(f"{network} {json.dumps(kind, sort_keys=True)}".encode())
        return self._folder / f"{name.hexdigest()[:40]}{_SUFFIX}"

    def _make_room(self, size: int) -> None:
        remove_leftovers(self._folder)
        found = [(path, path.stat()) for path in self._folder.glob(f"*{_SUFFIX}")]
        taken = size + sum(status.st_size for _, status in found)
        for path, status in sorted(found, key=lambda each: each[1].st_mtime_ns):
            if taken <= self._limit:
                return
            path.unlink()
            taken -= status.st_size


def _own(descriptor: int) -> bool:
    """Whether a file is this user's: whoever can write to the folder can make a digest, too."""
    return not hasattr(os, "getuid") or os.fstat(descriptor).st_uid == os.getuid()


def _pack(entry: Entry) -> bytes:
    """SHA-256 of the rest, one line of JSON with the pools, the blob."""
    line = json.dumps([asdict(pool) for pool in entry.pools]).encode() + b"\n"
    digest = hashlib.sha256(line)
    digest.update(entry.blob)
    return b"".join((digest.digest(), line, entry.blob))


def _unpack(raw: bytes) -> Entry | None:
    rest = memoryview(raw)[_DIGEST:]
    if hashlib.sha256(rest).digest() != raw[:_DIGEST]:
        return None
    end = raw.index(b"\n", _DIGEST)
    pools = tuple(Pool(**each) for each in json.loads(raw[_DIGEST:end]))
    return Entry(raw[end + 1 :], pools)
