"""From what a user asks for (a task, a name, a file, a scale) to weights."""

from pathlib import Path

from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.models import catalogue, container
from mirnet_cli.models.catalogue import SCALES, TASKS, Model
from mirnet_cli.models.foreign import Foreign, from_checkpoint, from_tensors
from mirnet_cli.models.weights import Weights, interpret, is_own


def resolve(
    task: str | None,
    *,
    model: str | None = None,
    weights: str | None = None,
    scale: int | None = None,
) -> Weights:
    """Finds, verifies and reads weights.

    Args:
        task: what they must be for; ``None`` where the model or file decides.
        model: a name of the catalogue.
        weights: the path of a file.
        scale: sides of the output over sides of the input; for ``upscale`` alone.

    Raises:
        ModelError: where the weights are unknown, missing, changed or refused.
        UsageError: for an unknown task or scale, or weights that do not suit them.
    """
    if task is not None and task not in TASKS:
        raise UsageError("unknown task", f"one of {', '.join(TASKS)}", subject=task)
    if scale is not None and scale not in SCALES:
        raise UsageError("unknown scale", "1, 2, 3 or 4", subject=scale)
    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other", "give one of them")
    if weights is not None:
        found = _from_file(weights)
        if isinstance(found, Foreign):
            return found.weights(task, scale)
        _suits(found.name, found.task, found.scales, task, scale)
        return found
    if model is not None:
        entry = catalogue.find(model)
    elif task is not None:
        if task != "upscale" and scale not in (None, 1):
            raise UsageError("only upscale has scales", "leave --scale out", subject=task)
        entry = catalogue.default(task, scale)
    else:
        raise UsageError("nothing says which weights", "give a task, a model or a file")
    _suits(entry.name, entry.task, entry.scales, task, scale)
    return load_entry(entry)


def load_entry(entry: Model) -> Weights:
    """Reads a catalogue model's file and holds its bytes to the catalogue's sha256.

    Raises:
        ModelError: where the file is missing, changed or not understood.
    """
    import hashlib

    path = catalogue.path_of(entry)
    if not path.is_file():
        raise catalogue.verify(entry).error()
    data = container.read_bytes(path)
    kind = container.foreign_kind(data[:512])
    result = catalogue.compare(entry, path, hashlib.sha256(data).hexdigest())
    if not result.ok:
        # A git-lfs pointer in a checkout says more than a wrong hash.
        raise result.error() if kind is None else ModelError(*kind, subject=path)
    found = read(data, path)
    if isinstance(found, Foreign):
        return found.weights(entry.task, entry.scales[0], name=entry.name, licence=entry.licence)
    return found


def read(data: bytes, path: Path) -> Weights | Foreign:
    """Reads the bytes of a file of weights, whatever its format.

    Args:
        data: the whole file.
        path: named in errors.

    Raises:
        ModelError: for anything that is not intact weights of a known network.
    """
    import hashlib

    if container.is_checkpoint(data[:512]):
        return from_checkpoint(data, path, hashlib.sha256(data).hexdigest())
    content = container.parse(data, path)
    if is_own(content):
        return interpret(content, path)
    return from_tensors(content.tensors, path, content.sha256)


def read_file(path: Path) -> Weights | Foreign:
    """Like :func:`read`, of a file."""
    return read(container.read_bytes(path), path)


def _from_file(text: str) -> Weights | Foreign:
    if text.startswith("hf://"):
        what = "weights on the Hugging Face Hub are not fetched yet"
        raise ModelError(what, "download the file and give its path", subject=text)
    if "://" in text:
        raise ModelError("not a file", "download it and give its path", subject=text)
    return read_file(Path(text).expanduser())


def _suits(
    name: str, task: str, scales: tuple[int, ...], wanted: str | None, scale: int | None
) -> None:
    if wanted is not None and wanted != task:
        remedy = f"use mirnet {task}, or leave the model out"
        raise UsageError(f"made for {task}, not for {wanted}", remedy, subject=name)
    if scale is not None and scale not in scales:
        offered = ", ".join(str(each) for each in scales)
        raise UsageError(
            f"made for scale {offered}, not {scale}", _scale_remedy(task, scale), subject=name
        )


def _scale_remedy(task: str, scale: int) -> str:
    key = catalogue.default_key(task, scale)
    for entry in catalogue.entries():
        if key in entry.default_for:
            return f"the model {entry.name} does that"
    return "use another scale, or leave --scale out"
