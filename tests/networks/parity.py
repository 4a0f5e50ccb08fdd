"""Expected results of the authors' networks on random weights, and how to fill a network alike."""

import json
import re
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mirnet_cli.networks import Family

DATA = Path(__file__).parent.parent / "data"

_GAINS = (
    (r"(conv_du|fcs|excitation|attention_convs|convolution\.0|channel_add_conv)", 1.5),
    (r"(conv_mask|spatial)", 4.0),
    (
        r"(conv1x1|conv_out|final_conv|out_conv|conv_end|dau_\w+\.body\.2|body\.\d+\.body\.\d+"
        r"|msrb_blocks\.\d+\.blocks\.\d+)\.weight$",
        0.4,
    ),
)


def canonical(key: str) -> str:
    """The name that all aliases of a tensor share."""
    key = re.sub(r"\.blocks\.(\d+)\.\d+\.", r".blocks.\1.0.", key)
    key = re.sub(r"\.dual_attention_units\.(\d+)\.\d+\.", r".dual_attention_units.\1.0.", key)
    if re.search(r"\.blocks\.\d+\.0\.body\.1\.weight$", key):
        return "dau.shared.prelu"
    return key


def fill(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The value that anyone can make for the authors' key of this shape."""
    seed = zlib.crc32(canonical(key).encode("ascii"))
    u = np.random.RandomState(seed).random_sample(int(np.prod(shape))).reshape(shape)
    if len(shape) == 4:
        gain = next((g for pattern, g in _GAINS if re.search(pattern, key)), 1.0)
        w = (2 * u - 1) * gain * np.sqrt(3 / np.prod(shape[1:]))
    elif shape == (1,) and not key.endswith("bias"):
        w = 0.05 + 0.4 * u
    else:
        w = 0.2 * (2 * u - 1)
    return w.astype(np.float32)


def full_input(channels: int) -> torch.Tensor:
    """The 64x64 picture of the full-size files."""
    r = np.random.RandomState(1234)
    coarse = r.random_sample((1, channels, 8, 8)).repeat(8, 2).repeat(8, 3)
    fine = r.random_sample((1, channels, 64, 64))
    return torch.from_numpy((0.75 * coarse + 0.25 * fine).astype(np.float32))


def load(name: str) -> tuple[dict[str, object], dict[str, NDArray[np.float32]]]:
    """Configuration and arrays of a parity file."""
    with np.load(DATA / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files if key != "config"}
        return json.loads(str(file["config"])), arrays


def state_of(
    family: Family, config: dict[str, object], arrays: dict[str, NDArray[np.float32]]
) -> dict[str, torch.Tensor]:
    """The file's ``state/...`` entries under this project's names."""
    given = {k.removeprefix("state/"): v for k, v in arrays.items() if k.startswith("state/")}
    return {
        own: torch.from_numpy(given[key]) for key, own in family.own_keys(given, config).items()
    }
