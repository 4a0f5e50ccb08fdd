"""Weights and what has to be known of them, and the file they are kept in.

A file is safetensors with tensors in float16, named ``network.KEY`` and ``thumbnail.KEY``; where a
network has a version in integers (:attr:`NetworkSpec.integers`), ``network-int8.KEY``; and one
metadata text ``mirnet``: JSON with ``format`` (1), ``name``, ``task``, ``scales``, ``base``,
``context``, ``overlap``, ``licence``, ``network`` and ``thumbnail`` (family and config; the second
may be null) and ``training`` (what the recipe wants to remember: data, seed, hours).

A file with a second set of weights, for clean pictures, has ``format`` 2: also ``clean.KEY``,
``clean-int8.KEY`` and ``clean`` in the JSON, of the same names, shapes and config as ``network``.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.models import container
from mirnet_cli.models.catalogue import CONTEXTS, DEFOCUS, NAME, SCALES, TASKS
from mirnet_cli.models.container import Container
from mirnet_cli.networks.described import FAMILY
from mirnet_cli.networks.spec import LEVELS, MOST, NetworkSpec

FORMAT, WITH_CLEAN = 1, 2
"""Of files, and of those with a second set of weights, which older versions cannot use."""
PARTS = ("network", "thumbnail", "clean")
_INTEGERS = "-int8"
"""What is added to a part's name for :attr:`NetworkSpec.integers`."""
BASES = ("input", "bicubic", "enlarged", "guided", "light", "none")

GUIDE = ("side", "radius", "epsilon")
"""Names in a thumbnail's configuration that are the guided filter's, not the network's."""

UNKNOWN_LICENCE = "unknown"

_MAX_LICENCE = 200
"""Characters of the longest licence that a file may state."""

_MAX_OVERLAP = 1024
_MAX_INTEGER = 1 << 16
_FOREIGN = f"not in mirnet's own format; {container.SUPPORTED}"


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights that have been read and checked, with what running them needs.

    Attributes:
        name: of the model.
        path: the file they were read from.
        sha256: of that file, in hexadecimal.
        task: one of :data:`mirnet_cli.models.catalogue.TASKS`, or :data:`DEFOCUS`.
        scales: sides of the output over sides of the input, ascending.
        licence: as the file states it.
        network: the network that gives the residual.
        thumbnail: a second network for the reduced picture, where the base needs one.
        base: what the residual is added to: ``"input"``, ``"bicubic"`` (the input enlarged),
            ``"enlarged"`` (the same, and the network sees the enlarged picture too), ``"guided"``
            (the thumbnail's result brought to full size by a guided filter), ``"light"`` (gains
            from a network for the reduced picture, and no residual) or ``"none"`` (the network
            gives the picture itself).
        context: how tiles are made to agree with the whole unless the user says otherwise.
        overlap: of tiles, in input pixels; ``None`` for what the family states.
        training: what the recipe recorded.
        known: results beyond the limits of :mod:`mirnet_cli.restore.output_checks` are faults,
            since these weights were measured to stay within; of others they may be meant.
        clean: the same network with weights for clean pictures, without noise, blur and traces of
            compression, which ``network`` has to cope with, too; None where there is one set.
    """

    name: str
    path: Path
    sha256: str
    task: str
    scales: tuple[int, ...]
    licence: str
    network: NetworkSpec
    thumbnail: NetworkSpec | None
    base: str
    context: str
    overlap: int | None
    training: Mapping[str, Any] = field(default_factory=dict)
    known: bool = False
    clean: NetworkSpec | None = None

    @property
    def parts(self) -> dict[str, NetworkSpec]:
        """The networks there are, by their names among :data:`PARTS`."""
        every = {part: getattr(self, part) for part in PARTS}
        return {part: spec for part, spec in every.items() if spec is not None}

    @property
    def reading(self) -> dict[str, Any]:
        """What was measured, or said, of how the network's numbers are to be read."""
        config = self.network.config
        if self.network.family != FAMILY:
            return {}
        return {**config["measured"]["reading"], "settings": config["settings"]}

    @property
    def default_scale(self) -> int:
        """The scale where none is asked for: 2 where there is one, else the smallest."""
        return 2 if 2 in self.scales else self.scales[0]


def load(path: Path) -> Weights:
    """Read and check a file in this project's format.

    The hash is taken of the very bytes that are read, so that nothing can change in between.
    Whether keys and shapes suit the family is checked by the runtime that builds the network.

    Raises:
        ModelError: where the file is missing, of another kind, damaged or not understood.
    """
    return parse(container.read_bytes(path), path)


def parse(data: bytes, path: Path) -> Weights:
    """Like :func:`load`, of bytes that have been read already."""
    return interpret(container.parse(data, path), path)


def is_own(content: Container) -> bool:
    """Whether a safetensors file says that it is in this project's format."""
    return "mirnet" in content.metadata


def interpret(content: Container, path: Path) -> Weights:
    """Like :func:`load`, of a safetensors file that has been read already."""
    description = _description(content.metadata, path)
    kinds = (*PARTS, *(part + _INTEGERS for part in PARTS))
    tensors: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, tensor in content.tensors.items():
        part, _, key = name.partition(".")
        if part not in tensors or not key:
            raise ModelError(
                f"the tensor {name[:80]!r} has no place in the network", _FOREIGN, subject=path
            )
        tensors[part][key] = tensor
    specs = {
        part: _spec(description.get(part), tensors, part, content.sha256, path) for part in PARTS
    }
    network = specs["network"]
    if network is None:
        raise ModelError("there is no network in it", _FOREIGN, subject=path)
    _check_clean(network, specs["clean"], path)
    return Weights(
        name=description["name"],
        path=path,
        sha256=content.sha256,
        task=description["task"],
        scales=tuple(description["scales"]),
        licence=description["licence"],
        network=network,
        thumbnail=specs["thumbnail"],
        base=description["base"],
        context=description["context"],
        overlap=description["overlap"],
        training=description["training"],
        clean=specs["clean"],
    )


def check_licence(licence: str) -> None:
    """Check a licence that a file is to state.

    Raises:
        UsageError: if it is empty or too long.
    """
    if not 0 < len(licence) <= _MAX_LICENCE:
        raise UsageError("is not a licence name", "give an SPDX identifier", subject=licence[:40])


def save(path: Path, weights: Weights, *, half: bool = True, overwrite: bool = True) -> Weights:
    """Write weights, whole or not at all; an existing file is replaced if ``overwrite``.

    Tensors are kept in float16, or in what they are where ``half`` is off.
    The same values give the same bytes. Neither ``weights.path`` nor a ``sha256`` is looked at.

    Returns:
        The weights with their new ``path`` and ``sha256``.

    Raises:
        ModelError: for values that :func:`load` would refuse, too large for float16 among them.
        OutputError: where the file cannot be written.
    """
    said = ("name", "task", "scales", "base", "context", "overlap", "licence", "training")
    two = weights.clean is not None
    # Where there is one set, not a word of a second: the bytes of older versions.
    parts = {part: getattr(weights, part) for part in PARTS if two or part != "clean"}
    description = {
        "format": WITH_CLEAN if two else FORMAT,
        **{name: getattr(weights, name) for name in said},
        **{
            part: spec and {"family": spec.family, "config": dict(spec.config)}
            for part, spec in parts.items()
        },
    }
    tensors = {
        f"{part}.{key}": _half(tensor, f"{part}.{key}", path)
        if half
        else np.ascontiguousarray(tensor)
        for part, spec in parts.items()
        if spec is not None
        for key, tensor in spec.tensors.items()
    }
    for part, spec in parts.items():
        for key, tensor in spec.integers.items() if spec is not None else ():
            tensors[f"{part}{_INTEGERS}.{key}"] = np.ascontiguousarray(tensor)
    from safetensors.numpy import save as serialise

    text = json.dumps(description, sort_keys=True, ensure_ascii=False, allow_nan=False)
    data = serialise(tensors, metadata={"mirnet": text})
    written = parse(data, path)
    from mirnet_cli.files import write_atomically

    write_atomically(path, data, overwrite=overwrite)
    return replace(weights, path=path, sha256=written.sha256)


def _half(tensor: Any, name: str, path: Path) -> Any:
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(np.asarray(tensor), dtype=np.float16)
    if not np.isfinite(half).all():
        what = f"the tensor {name!r} has values that float16 cannot hold"
        raise ModelError(what, "train further or clip the weights", subject=path)
    return half


def _description(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The checked content of the metadata text, all names present."""
    text = metadata.get("mirnet")
    if text is None:
        raise ModelError(
            "safetensors, but not weights of mirnet", container.SUPPORTED, subject=path
        )
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ModelError("the description of the weights is damaged", _FOREIGN, subject=path)
    version = values.get("format")
    if type(version) is int and version > WITH_CLEAN:
        what = f"made by a newer mirnet (format {version}, this one reads {WITH_CLEAN})"
        raise ModelError(what, "update mirnet", subject=path)
    values.setdefault("thumbnail", None)
    values.setdefault("clean", None)
    values.setdefault("overlap", None)
    values.setdefault("training", {})
    for name, valid in _RULES.items():
        if name not in values or not valid(values[name]):
            shown = repr(values.get(name))[:60]
            what = f"the description of the weights says {name} = {shown}"
            raise ModelError(what, _FOREIGN, subject=path)
    if values["task"] != "upscale" and values["scales"] != [1]:
        what = f"scales {values['scales']} do not suit {values['task']}"
        raise ModelError(what, _FOREIGN, subject=path)
    if (values["base"] == "guided") != (values["thumbnail"] is not None):
        what = "a guided base and a network for the reduced picture go together"
        raise ModelError(what, _FOREIGN, subject=path)
    if (values["base"] == "light") != (values["network"]["family"] == "light"):
        what = "a base of light and a network of light go together"
        raise ModelError(what, _FOREIGN, subject=path)
    if (values["base"] == "none") != (values["task"] == DEFOCUS):
        what = f"the base {values['base']} does not suit {values['task']}"
        raise ModelError(what, _FOREIGN, subject=path)
    if (values["format"] == WITH_CLEAN) != (values["clean"] is not None):
        what = f"the format {WITH_CLEAN} and weights for clean pictures go together"
        raise ModelError(what, _FOREIGN, subject=path)
    if values["clean"] is not None and values["base"] != "bicubic":
        what = f"weights for clean pictures do not suit the base {values['base']}"
        raise ModelError(what, _FOREIGN, subject=path)
    if values["clean"] not in (None, values["network"]):
        what = "its network for clean pictures is another one than its network"
        raise ModelError(what, _FOREIGN, subject=path)
    return values


def _is_network(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("family"), str)
        and isinstance(value.get("config"), dict)
        and _is_configuration(value["config"], 3)
    )


def _is_configuration(value: object, depth: int) -> bool:
    """Whether a value is small enough to build a network from without fear."""
    if isinstance(value, dict):
        names = all(isinstance(name, str) and len(name) <= 64 for name in value)
        return (
            names and depth > 0 and len(value) <= 64 and _all_configuration(value.values(), depth)
        )
    if isinstance(value, list):
        return depth > 0 and len(value) <= 64 and _all_configuration(value, depth)
    if isinstance(value, str):
        return len(value) <= 256
    if isinstance(value, int):
        return 0 <= value <= _MAX_INTEGER
    return value is None or (isinstance(value, float) and np.isfinite(value).item())


def _all_configuration(values: Any, depth: int) -> bool:
    return all(_is_configuration(value, depth - 1) for value in values)


def _is_scales(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(scale) is int and scale in SCALES for scale in value)
        and value == sorted(set(value))
    )


_RULES: Mapping[str, Callable[[Any], bool]] = {
    "format": lambda v: type(v) is int and v in (FORMAT, WITH_CLEAN),
    "name": lambda v: isinstance(v, str) and NAME.fullmatch(v) is not None,
    "task": lambda v: isinstance(v, str) and v in (*TASKS, DEFOCUS),
    "scales": _is_scales,
    "base": lambda v: isinstance(v, str) and v in BASES,
    "context": lambda v: isinstance(v, str) and v in CONTEXTS,
    "overlap": lambda v: v is None or (type(v) is int and 0 <= v <= _MAX_OVERLAP),
    "licence": lambda v: isinstance(v, str) and 0 < len(v) <= _MAX_LICENCE,
    "network": _is_network,
    "thumbnail": lambda v: v is None or _is_network(v),
    "clean": lambda v: v is None or _is_network(v),
    "training": lambda v: isinstance(v, dict),
}


def _spec(
    description: Mapping[str, Any] | None,
    found: Mapping[str, Mapping[str, Any]],
    part: str,
    sha256: str,
    path: Path,
) -> NetworkSpec | None:
    tensors, integers = found[part], found[part + _INTEGERS]
    said = "network for clean pictures" if part == "clean" else part
    if (description is None) != (not tensors):
        what = f"the description and the tensors of its {said} do not agree"
        raise ModelError(what, _FOREIGN, subject=path)
    if description is None:
        return None
    from mirnet_cli.networks import FAMILIES

    family = description["family"]
    if family not in FAMILIES:
        what = f"networks of the family {family[:40]!r} are unknown to this version"
        raise ModelError(what, f"update mirnet; it knows {', '.join(FAMILIES)}", subject=path)
    sizes = {name: value for name, value in description["config"].items() if name not in GUIDE}
    try:
        FAMILIES[family].check(sizes)
    except ValueError as error:
        what = f"the description of the weights says {part}: {error}"
        raise ModelError(what, _FOREIGN, subject=path) from None
    if not _are_integers(integers, tensors):
        what = f"the integers of its {said} do not suit the network"
        raise ModelError(what, _FOREIGN, subject=path)
    return NetworkSpec(family, description["config"], tensors, sha256, integers=integers)


def _check_clean(network: NetworkSpec, clean: NetworkSpec | None, path: Path) -> None:
    """Refuse a second set of weights that is not of the same network."""
    if clean is None:
        return
    if _shapes(clean.tensors) != _shapes(network.tensors):
        what = "the tensors of its network for clean pictures are not those of its network"
        raise ModelError(what, _FOREIGN, subject=path)
    if clean.integers.keys() != network.integers.keys():
        what = "its network and that for clean pictures do not have the same integers"
        raise ModelError(what, _FOREIGN, subject=path)


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _are_integers(integers: Mapping[str, Any], tensors: Mapping[str, Any]) -> bool:
    """Whether these are what :attr:`NetworkSpec.integers` says."""
    names = {key.rpartition(".")[0] for key in integers}
    kinds = ("weight", "scale", "step", "zero")
    if integers.keys() != {f"{name}.{kind}" for name in names for kind in kinds}:
        return False
    for name in names:
        weight, scale, step, zero = (integers[f"{name}.{kind}"] for kind in kinds)
        float_one = tensors.get(f"{name}.weight")
        if not (
            float_one is not None
            and weight.dtype == np.int8
            and weight.shape == float_one.shape
            and weight.ndim == 4
            and np.abs(weight.astype(np.int16)).max(initial=0) <= MOST
            and scale.dtype == step.dtype == zero.dtype == np.float32
            and (scale.shape, step.shape, zero.shape) == ((len(weight),), weight.shape[1:2], (1,))
            and (scale > 0).all()
            and (step > 0).all()
            and zero[0] in range(LEVELS)
        ):
            return False
    return True
