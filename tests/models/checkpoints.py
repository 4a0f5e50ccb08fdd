"""Files such as the authors' repositories write, made of the parity data's random weights."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mirnet_cli.networks import FAMILIES
from tests.networks import parity
from tests.networks.test_parity import FIELDS, NAMES, authors_keys, defaults

SMALL = {"mirnet_v1": "v1_b", "mirnet_v2": "v2_c", "community_v1": "community_b"}
FULL = {
    "mirnet_v1": "full_v1",
    "mirnet_v2": "full_v2",
    "mirnet_v2 for two views": "full_v2_dualpixel",
    "community_v1": "full_community",
}

State = dict[str, torch.Tensor]


def small(family: str) -> State:
    """A small network's state dict by the authors' keys, aliases sharing memory as theirs do."""
    arrays = parity.load(SMALL[family])[1]
    given = {k.removeprefix("state/"): v for k, v in arrays.items() if k.startswith("state/")}
    return _shared(given)


def full(name: str) -> tuple[State, Mapping[str, Any], Mapping[str, np.ndarray]]:
    """A full-size state dict by the rule of the parity data, what is known of it, and results."""
    described, arrays = parity.load(name)
    kind = str(described["family"])
    arguments: dict[str, Any] = defaults(kind) | described["reference_arguments"]
    config = {ours: arguments[theirs] for theirs, ours in FIELDS[kind].items()}
    if kind == "v2":
        config["feature_skip"] = arguments["task"] == "defocus_deblurring"
    family = FAMILIES[NAMES[kind]]
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in family.build(config).state_dict().items()}
    own = family.own_keys(authors_keys(kind, 8), config)
    state = {key: parity.fill(key, shapes[name]) for key, name in own.items()}
    return _shared(state) | _kernels(state), described, arrays


def _shared(arrays: Mapping[str, np.ndarray]) -> State:
    tensors: dict[str, torch.Tensor] = {}
    state: State = {}
    for key, array in arrays.items():
        state[key] = tensors.setdefault(parity.canonical(key), torch.from_numpy(array))
    return state


def _kernels(state: Mapping[str, np.ndarray]) -> State:
    """The blur kernels that stand beside the convolutions after them."""
    blur = torch.tensor([1.0, 2, 1])
    blur = torch.outer(blur, blur) / 16
    kernels = {}
    for key, array in state.items():
        if ".down." not in key:
            continue
        for last, filters in (
            (".top.5.weight", (".top.4.filt", ".bot.0.filt")),
            (".branch1.5.weight", (".branch1.4.filt", ".branch2.0.filt")),
        ):
            if key.endswith(last):
                for name in filters:
                    kernels[key.removesuffix(last) + name] = blur.repeat(array.shape[1], 1, 1, 1)
    return kernels


def moments(state: State) -> dict[str, Any]:
    """An optimiser's state, as it stands beside the weights."""
    parameters = {
        i: {"step": 3, "exp_avg": tensor * 0, "exp_avg_sq": tensor * 0}
        for i, tensor in enumerate(state.values())
    }
    group = {"lr": 2e-4, "betas": (0.9, 0.999), "params": list(parameters), "amsgrad": False}
    return {"state": parameters, "param_groups": [group]}


def save(path: Path, value: Any, *, old: bool = False) -> Path:
    """Writes a checkpoint in the format of today, or of PyTorch before 1.6."""
    torch.save(value, path, _use_new_zipfile_serialization=not old)
    return path


def wrapped(kind: str, state: State) -> Any:
    """What the authors of a family put around their weights."""
    ordered = OrderedDict(state)
    if kind == "mirnet_v1":
        ordered = OrderedDict((f"module.{key}", tensor) for key, tensor in state.items())
        return {"epoch": 65, "state_dict": ordered, "optimizer": moments(state)}
    if kind == "community_v1":
        scheduler = {"T_max": 200, "eta_min": 1e-6, "last_epoch": 5, "_last_lr": [1e-4]}
        return {
            "epoch": 3,
            "model_state_dict": ordered,
            "optimizer_state_dict": moments(state),
            "scheduler_state_dict": scheduler,
        }
    return {"params": ordered}
