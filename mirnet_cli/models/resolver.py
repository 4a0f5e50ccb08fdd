"""From what a user asks for (a task, a name, a file, a scale) to weights."""

import os
from dataclasses import replace
from pathlib import Path

from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.files import expanded, is_file
from mirnet_cli.models import catalogue, container, fetch, hub, onnx_file
from mirnet_cli.models.catalogue import DEFOCUS, SCALES, TASKS, Model
from mirnet_cli.models.foreign import TWO_VIEWS, Foreign, from_checkpoint, from_tensors
from mirnet_cli.models.hub import Report
from mirnet_cli.models.onnx import Asked, Onnx
from mirnet_cli.models.weights import Weights, interpret, is_own


def resolve(
    task: str | None,
    *,
    model: str | None = None,
    weights: str | None = None,
    scale: int | None = None,
    asked: Asked | None = None,
) -> Weights:
    """Finds, verifies and reads weights.

    Args:
        task: what they must be for; ``None`` where the model or file decides.
        model: a name of the catalogue.
        weights: the path of a file.
        scale: sides of the output over sides of the input; for ``upscale`` alone.
        asked: how the numbers of an ONNX network are to be read, where that was said.

    Raises:
        ModelError: where the weights are unknown, missing, changed or refused.
        UsageError: for an unknown task or scale, or weights that do not suit them.
    """
    if task is not None and task not in TASKS:
        raise UsageError("unknown task", f"one of {', '.join(TASKS)}", subject=task)
    if scale is not None and scale not in SCALES:
        raise UsageError("unknown scale", "1, 2, 3 or 4", subject=scale)
    if model is not None and weights is not None:
        raise UsageError("--model and --weights cannot be combined", "give one of them")
    if weights is not None:
        found = read_named(weights)
        if isinstance(found, Onnx):
            return found.weights(task, scale, asked=asked)
        if asked is not None and asked != Asked():
            what = "--set, --input-range and --bgr are for ONNX networks"
            raise UsageError(what, "leave them out", subject=weights)
        if isinstance(found, Foreign):
            # Their files do not say by how much they enlarge.
            return found.weights(task, 2 if task == "upscale" and scale is None else scale)
        suits(found.name, found.task, found.scales, task, scale)
        return found
    if model is not None:
        entry = catalogue.find(model)
    elif task is not None:
        if task != "upscale" and scale not in (None, 1):
            raise UsageError("only upscale has scales", "leave --scale out", subject=task)
        entry = catalogue.default(task, scale)
    else:
        raise UsageError("no task, model or weights given", "name one")
    suits(entry.name, entry.task, entry.scales, task, scale)
    return load_entry(entry)


def load_entry(entry: Model, *, report: Report | None = None) -> Weights:
    """Read a catalogue model's file, fetched if need be, and hold its bytes to its sha256.

    Raises:
        LicenceError: where the licence has to be accepted before it is fetched.
        ModelError: where the file is missing, changed or not understood.
    """
    data, digest, path = fetch.verified(entry, report=report)
    found = read(data, path, digest)
    if isinstance(found, Onnx):
        raise ModelError("an ONNX network has no place in the catalogue", "use --weights")
    if isinstance(found, Foreign):
        task = None if entry.task == DEFOCUS else entry.task
        found = found.weights(task, entry.scales[0], name=entry.name, licence=entry.licence)
    return replace(found, context=entry.context) if entry.context else found


def read(data: bytes, path: Path, sha256: str | None = None) -> Weights | Foreign | Onnx:
    """Read the bytes of a file of weights, whatever its format.

    Args:
        data: the whole file.
        path: named in errors.
        sha256: of the data, where it is known already.

    Raises:
        ModelError: for anything that is not intact weights of a known network.
    """
    import hashlib

    if onnx_file.is_onnx(path.name):
        return Onnx(onnx_file.read(path, data))
    if container.is_checkpoint(data[:512]):
        return from_checkpoint(data, path, sha256 or hashlib.sha256(data).hexdigest())
    content = container.parse(data, path, sha256)
    if is_own(content):
        found = interpret(content, path)
        return replace(found, known=any(found.sha256 == each.sha256 for each in _shipped()))
    return from_tensors(content.tensors, path, content.sha256)


def _shipped() -> list[Model]:
    return [entry for entry in catalogue.entries() if entry.shipped]


def read_file(path: Path) -> Weights | Foreign | Onnx:
    """Like :func:`read`, of a file."""
    return read(container.read_bytes(path), path)


def read_named(text: str, *, report: Report | None = None) -> Weights | Foreign | Onnx:
    """Like :func:`read`, of a file that the user names: a path, or ``hf://…`` on the Hub."""
    if text.startswith(hub.SCHEME):
        data, digest, path = fetch.from_hub(text, report=report)
        return read(data, path, digest)
    if "://" in text:
        raise ModelError("not a file", "download it and give its path", subject=text)
    return read_file(expanded(text))


def names_file(named: str) -> bool:
    """Whether this is a file's path (or address on the Hub), not the name of a task or model."""
    if named.startswith(hub.SCHEME) or os.sep in named or "/" in named:
        return True
    return is_file(expanded(named))


def suits(
    name: str, task: str, scales: tuple[int, ...], wanted: str | None, scale: int | None
) -> None:
    """Refuse weights that do not do what is wanted (UsageError).

    Args:
        name: of the weights.
        task, scales: what they are for.
        wanted, scale: what is asked for; None where the weights decide.
    """
    if wanted is not None and task == DEFOCUS:
        raise UsageError(*TWO_VIEWS, subject=name)
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
