"""The state of a run on disk: enough to go on exactly, without pickles.

A checkpoint is a folder with a safetensors file for each kind of number and a JSON file. A new one
is complete before it takes the old one's place.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mirnet_cli.errors import UsageError
from mirnet_cli.files import is_folder, sync
from mirnet_cli.training.optimiser import KINDS, Optimiser


def save(
    folder: Path,
    model: nn.Module,
    average: Mapping[str, Tensor],
    optimiser: Optimiser,
    state: Mapping[str, Any],
) -> None:
    """Write weights, averages, the optimiser's moments and ``state`` (JSON-like) to ``folder``."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        save_file(_plain(model.state_dict()), part / "model.safetensors")
        save_file(_plain(average), part / "average.safetensors")
        for kind, values in optimiser.moments().items():
            save_file(_plain(values), part / f"{kind}.safetensors")
        (part / "state.json").write_text(json.dumps(dict(state), indent=1))
        for file in part.iterdir():
            bring_to_disk(file)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    old = _old(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load(
    folder: Path, model: nn.Module, average: dict[str, Tensor], optimiser: Optimiser
) -> dict[str, Any] | None:
    """Restore what :func:`save` wrote and return its ``state``; None if there is nothing.

    How many updates the optimiser has made is ``state["updates"]``, or else ``state["step"]``.

    Raises:
        UsageError: if it is not intact, or of another network.
    """
    state = read_state(folder)
    if state is None:
        return None
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
        average.update(load_file(folder / "average.safetensors"))
        files = {kind: folder / f"{kind}.safetensors" for kind in KINDS}
        moments = {kind: load_file(file) for kind, file in files.items() if file.exists()}
    except (SafetensorError, FileNotFoundError, RuntimeError) as error:
        raise not_intact(folder) from error
    optimiser.restore(moments, state.get("updates", state["step"]))
    return state


def exists(folder: Path) -> bool:
    """Whether something was saved in ``folder``, if only for :func:`read_state` to find."""
    return is_folder(folder) or is_folder(_old(folder))


def read_state(folder: Path) -> dict[str, Any] | None:
    """The ``state`` that was saved in ``folder``; None if there is nothing."""
    if not folder.exists():
        # A run killed between the two renames left the complete old one.
        old = _old(folder)
        if not old.exists():
            return None
        old.rename(folder)
    try:
        state: dict[str, Any] = dict(json.loads((folder / "state.json").read_text()))
    except (FileNotFoundError, TypeError, ValueError) as error:
        raise not_intact(folder) from error
    return state


def not_intact(path: Path) -> UsageError:
    """What is said of a part of a run that cannot be read."""
    return UsageError("not intact", "start again with another --out", subject=path)


def _old(folder: Path) -> Path:
    return folder.with_name(folder.name + ".old")


def bring_to_disk(file: Path) -> None:
    """A machine that goes down must not leave a name without its content."""
    with file.open("rb+") as opened:
        sync(opened.fileno())


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
