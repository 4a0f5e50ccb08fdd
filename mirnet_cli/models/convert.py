"""Any weights in this project's own format."""

from dataclasses import replace
from pathlib import Path

from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.files import same_file
from mirnet_cli.models import weights as own
from mirnet_cli.models.catalogue import NAME
from mirnet_cli.models.foreign import Foreign
from mirnet_cli.models.onnx import Onnx
from mirnet_cli.models.options import ConvertOptions
from mirnet_cli.models.resolver import read_file
from mirnet_cli.models.weights import Weights


def convert(source: Path, target: Path, options: ConvertOptions) -> Weights:
    """Write a file of weights, whatever its format, in this project's own.

    Args:
        source: a file of weights.
        target: a file that ends in .safetensors.
        options: what the file does not say, and what is to be said otherwise.

    Returns:
        What was written.

    Raises:
        UsageError: for names that cannot be, and what has to be said and is not.
        ModelError: for anything that is not intact weights of a known network.
        OutputError: for a target that exists or cannot be written.
    """
    if target.suffix != ".safetensors":
        raise UsageError("needs a name that ends in .safetensors", "name it so", subject=target)
    if same_file(source, target):
        raise UsageError("is the input itself", "name another file", subject=target)
    task, scale, name, licence = options.task, options.scale, options.name, options.licence
    if name is not None and not NAME.fullmatch(name):
        raise UsageError(
            "is not a model name", "use lower-case letters, digits, dots and hyphens", subject=name
        )
    if licence is not None:
        own.check_licence(licence)
    found = read_file(source)
    if isinstance(found, Onnx):
        what = "ONNX, which cannot be converted"
        raise ModelError(what, f"use it as it is, with --weights {source.name}", subject=source)
    if isinstance(found, Foreign):
        named = name or found.renamed(target)
        history = {"converted": {"sha256": found.spec.sha256, "file": source.name[:200]}}
        made = replace(found.weights(task, scale, name=named), training=history)
    else:
        if task not in (None, found.task):
            raise UsageError(f"made for {found.task}, not for {task}", "leave --task out")
        if scale is not None and (scale,) != found.scales:
            has = ", ".join(map(str, found.scales))
            raise UsageError(f"made for scale {has}, not for {scale}", "leave --scale out")
        made = replace(found, name=name or found.name)
    if licence is not None:
        made = replace(made, licence=licence)
    return own.save(target, made, half=options.half, overwrite=options.overwrite)
