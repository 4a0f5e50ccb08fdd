"""Weights under their authors' names: what they are, and the same in this project's terms.

Nothing here knows a family: how each is recognised, its sizes and its names are data of
:mod:`mirnet_cli.networks`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli import extras
from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.models import checkpoint, container
from mirnet_cli.models.catalogue import DEFOCUS, SCALES, TASKS
from mirnet_cli.models.weights import UNKNOWN_LICENCE, Weights
from mirnet_cli.networks import Family, NetworkSpec, recognise

Array = NDArray[np.floating[Any]]
Shapes = Mapping[str, tuple[int, ...]]

TWO_VIEWS = (
    "made for the two views of a dual-pixel sensor, which photos do not have",
    "use it in Python with mirnet_cli.load() and HxWx6 arrays, left view first",
)
"""What is wrong, and the remedy, where a command is given a network for two views."""

_NAMED = 3
_OTHERS = "use weights of MIRNet, MIRNet-v2 or mirnet itself"


@dataclass(frozen=True, eq=False)
class Foreign:
    """Weights that have been recognised, read and accounted for.

    Attributes:
        path: the file they were read from.
        spec: the network, under this project's names.
        family: of the network.
    """

    path: Path
    spec: NetworkSpec
    family: Family

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal."""
        return self.spec.sha256

    @property
    def parameters(self) -> int:
        """How many numbers there are; a tensor that several names share counts once."""
        return sum({id(each): int(each.size) for each in self.spec.tensors.values()}.values())

    @property
    def task(self) -> str | None:
        """What they are for, where the network itself tells: two views of a dual-pixel sensor."""
        return DEFOCUS if self.family.whole(self.spec.config) else None

    @staticmethod
    def renamed(path: Path) -> str:
        """A model's name made of a file's."""
        name = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")
        return name[:64] or "weights"

    def weights(
        self,
        task: str | None,
        scale: int | None = None,
        *,
        name: str | None = None,
        licence: str = UNKNOWN_LICENCE,
    ) -> Weights:
        """The weights with what running them needs.

        Args:
            task: one of :data:`mirnet_cli.models.catalogue.TASKS`; None where the network tells.
            scale: for ``upscale``; these networks keep the size, so the picture is enlarged first.
            name: of the model; by default made of the file's.
            licence: of the weights, where it is known.

        Raises:
            UsageError: where the task or scale is needed and missing, or does not suit.
        """
        given = task
        task = task or self.task
        if task is None:
            raise UsageError(
                "the file does not say what it is for",
                f"say it with --task {'|'.join(TASKS)}, in Python as the first of load()",
                subject=self.path,
            )
        if self.task is not None and given not in (None, self.task):
            raise UsageError(*TWO_VIEWS, subject=self.path)
        if task == "upscale" and scale is None:
            raise UsageError(
                "the file does not say by how much it enlarges",
                f"say it with --scale {'|'.join(map(str, SCALES))}",
                subject=self.path,
            )
        scale = scale or 1
        if task != "upscale" and scale != 1:
            raise UsageError("only upscale has scales", "leave --scale out", subject=task)
        base = "enlarged" if scale > 1 else "input"
        return Weights(
            name=name or self.renamed(self.path),
            path=self.path,
            sha256=self.spec.sha256,
            task=task,
            scales=(scale,),
            licence=licence,
            network=self.spec,
            thumbnail=None,
            base="none" if self.family.whole(self.spec.config) else base,
            context=self.family.context,
            overlap=None,
        )


def from_checkpoint(data: bytes, path: Path, sha256: str) -> Foreign:
    """Recognise and read the bytes of a PyTorch checkpoint.

    Raises:
        ModelError: for anything that is no complete and intact network of a known family.
    """
    described = checkpoint.describe(data, path)
    fitted = _fit(described.shapes, path)
    return _foreign(fitted, checkpoint.load(data, described, path), path, sha256)


def from_tensors(tensors: Mapping[str, Array], path: Path, sha256: str) -> Foreign:
    """Recognise tensors that have been read from a safetensors file; as above."""
    fitted = _fit({key: tuple(each.shape) for key, each in tensors.items()}, path)
    return _foreign(fitted, tensors, path, sha256)


@dataclass(frozen=True)
class _Fitted:
    """A network that the shapes of a file make in full.

    Attributes:
        family, config: the network.
        own: this project's name of each of the file's keys but the constants.
        constants: the file's keys that hold constants.
        names: all names of the network.
    """

    family: Family
    config: dict[str, Any]
    own: Mapping[str, str]
    constants: Sequence[str]
    names: Sequence[str]


def _fit(shapes: Shapes, path: Path) -> _Fitted:
    """Account for every key and shape, before any number is read."""
    # Of whatever held the network: "module." of several GPUs, "_orig_mod." of torch.compile.
    shared = "" if recognise(shapes) else commonprefix(list(shapes))  # noqa: RUF071
    prefix = shared[: shared.rfind(".") + 1]
    bare = {key.removeprefix(prefix): shape for key, shape in shapes.items()}
    family = recognise(bare)
    if family is None or family.sizes is None:
        raise ModelError(
            "weights of a network that mirnet does not know (tensors like "
            f"{_listed(sorted(shapes))})",
            _OTHERS,
            subject=path,
        )
    try:
        config = family.sizes(bare)
        family.check(config)
    except ValueError as error:
        raise _wrong(family, f"sizes that no such network has: {error}", path) from None
    own = family.own_keys(bare, config)
    constants = [key for key in bare if key not in own]
    names = _account(family, config, {key: bare[key] for key in own}, own, path)
    side = len(family.constant)
    for key in constants:
        if len(bare[key]) != 4 or bare[key][1:] != (1, side, side) or bare[key][0] > 1 << 16:
            raise _wrong(family, f"the constant {key[:80]} of shape {bare[key]}", path)
    return _Fitted(
        family,
        config,
        {prefix + key: name for key, name in own.items()},
        [prefix + key for key in constants],
        names,
    )


def _account(
    family: Family, config: Mapping[str, Any], shapes: Shapes, own: Mapping[str, str], path: Path
) -> list[str]:
    """Refuse what is missing, unknown or misshapen; the names of the network."""
    expected = expected_shapes(family, config)
    unknown = sorted(key for key, name in own.items() if name not in expected)
    found = set(own.values())
    missing = sorted(expected.keys() - found)
    if any(re.search(family.shared, name) for name in found):
        missing = [name for name in missing if not re.search(family.shared, name)]
    shaped = sorted(
        f"{key} {shapes[key]} for {expected[name]}"
        for key, name in own.items()
        if name in expected and shapes[key] != expected[name]
    )
    for what, keys in (("missing", missing), ("unknown", unknown), ("misshapen", shaped)):
        if keys:
            raise _wrong(family, f"{what}: {_listed(keys)}", path)
    return list(expected)


def expected_shapes(family: Family, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a network, by this project's names; takes no memory for them.

    Raises:
        ModelError: torch is not installed.
    """
    extras.require("torch", f"checking weights of {family.title}", error=ModelError)
    import torch

    with torch.device("meta"):
        module = family.build(config)
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


def _foreign(fitted: _Fitted, tensors: Mapping[str, Array], path: Path, sha256: str) -> Foreign:
    family = fitted.family
    network: dict[str, Array] = {}
    source: dict[str, str] = {}
    for key, name in fitted.own.items():
        values = tensors[key]
        if name not in network:
            container.check_finite(key, values, path)
            network[name], source[name] = _single(values, key, path), key
        elif not np.array_equal(network[name], _single(values, key, path)):
            what = f"{source[name][:80]} and {key[:80]} should be one tensor but differ"
            raise _wrong(family, what, path)
    _share(family, fitted.names, network, path)
    kernel = np.array(family.constant, np.float64)
    for key in fitted.constants:
        if not np.allclose(tensors[key], kernel, rtol=0, atol=1e-3):
            raise _wrong(family, f"the constant {key[:80]} has other values", path)
    return Foreign(path, NetworkSpec(family.name, fitted.config, network, sha256), family)


def _share(family: Family, names: Sequence[str], network: dict[str, Array], path: Path) -> None:
    """Give every name of the one shared tensor its values; a file may have it only once."""
    shared = [name for name in names if re.search(family.shared, name)]
    there = [name for name in shared if name in network]
    for name in there[1:]:
        if not np.array_equal(network[name], network[there[0]]):
            what = f"{there[0]} and {name} should be one tensor but differ"
            raise _wrong(family, what, path)
    if there:
        network.update(dict.fromkeys(shared, network[there[0]]))


def _single(values: Array, key: str, path: Path) -> Array:
    """float64 as float32, in which everything is computed."""
    if values.dtype != np.float64:
        return values
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    container.check_finite(key, single, path)
    return single


def _wrong(family: Family, what: str, path: Path) -> ModelError:
    remedy = "get the file again, or use others"
    return ModelError(f"not intact weights of {family.title}: {what}", remedy, subject=path)


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(key[:120] for key in keys[:_NAMED]) + more
