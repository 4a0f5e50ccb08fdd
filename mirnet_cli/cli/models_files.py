"""``mirnet models`` that change something: convert, download, remove, push."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mirnet_cli.cli.options import flat, option, same
from mirnet_cli.errors import DiskFullError, ExitCode, ModelError, OutputError, UsageError
from mirnet_cli.files import exists, expanded, is_folder, make_folder
from mirnet_cli.models.options import ConvertOptions
from mirnet_cli.restore.options import LoadOptions

if TYPE_CHECKING:
    from mirnet_cli.cli.console import Console
    from mirnet_cli.models.hub import Report

_COPY = 1 << 20

Json = Annotated[bool, option("--json", help="One JSON object per line on stdout.")]
Overwrite = Annotated[bool, option("--overwrite", envvar=None, help="Replace a file that exists.")]


@flat
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A .pth, .pt or .safetensors file.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="A .safetensors file.")],
    options: ConvertOptions,
    json: Json = False,
) -> int:
    """Turn the authors' files, and others' of the same networks, into mirnet's own.

    Takes what --weights takes: MIRNet, MIRNet-v2 and the community's MIRNet, as PyTorch
    checkpoints or as safetensors. Every tensor is accounted for; nothing in a file is ever run.
    """
    from mirnet_cli.cli.console import Console
    from mirnet_cli.models.convert import convert as run
    from mirnet_cli.networks import FAMILIES

    console = Console(json=json)
    made_of, made_at = expanded(source), expanded(target)
    try:
        made = run(made_of, made_at, options)
    except DiskFullError:
        raise
    except OutputError as error:
        remedy = _elsewhere(made_at, "name another OUT", overwrite=options.overwrite)
        raise OutputError(error.what, remedy, subject=made_at) from None
    family = FAMILIES[made.network.family].title
    purpose = made.task + ("" if made.scales == (1,) else f" x{made.scales[0]}")
    console.note(f"{made.path}: {family} for {purpose}, sha256 {made.sha256}")
    console.record(
        {
            "name": made.name,
            "task": made.task,
            "scales": list(made.scales),
            "family": made.network.family,
            "config": dict(made.network.config),
            "licence": made.licence,
            "path": str(made.path),
            "sha256": made.sha256,
            "converted_from": made.training.get("converted"),
        }
    )
    return ExitCode.OK


def export(
    source: Annotated[
        str, typer.Argument(metavar="NAME", help="A model by name, or a file of weights.")
    ],
    target: Annotated[str, typer.Argument(metavar="OUT", help="An .onnx file.")],
    task: Annotated[Any, same(ConvertOptions, "task")] = None,
    scale: Annotated[Any, same(ConvertOptions, "scale")] = None,
    input_quality: Annotated[
        Literal["clean", "real"] | None,
        option(
            "--input-quality",
            metavar="clean|real",
            envvar=None,
            help="For which photos, where a file has weights for either. [default: real]",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Write a network as an ONNX file, for other programs: pictures in 0..1, red first.

    Sides have to be multiples of what 'models show' tells of the file. Of weights for clean photos
    and for real ones, which 'mirnet upscale' chooses between, a file holds one.
    """
    from mirnet_cli.cli.console import Console
    from mirnet_cli.models.catalogue import entries
    from mirnet_cli.models.resolver import resolve
    from mirnet_cli.restore.export import export as run

    console = Console(json=json)
    path = expanded(target)
    known = any(entry.name == source for entry in entries())
    model, file = (source, None) if known else (None, source)
    weights = resolve(task, model=model, weights=file, scale=scale)
    difference = run(weights, path, scale=scale, overwrite=overwrite, input_quality=input_quality)
    name, quality = weights.name, None
    if weights.clean is not None:
        quality = input_quality or "real"
        other = "real" if quality == "clean" else "clean"
        name = f"{name} for {quality} photos (--input-quality {other} writes the other weights)"
    console.note(f"{path}: {name}, equal within {difference:.1g} in OpenVINO")
    console.record(
        {
            "name": weights.name,
            "path": str(path),
            "difference": difference,
            "input_quality": quality,
        }
    )
    return ExitCode.OK


def download(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME…", help="Models by name, or hf://owner/repo/file[@rev]."),
    ],
    to: Annotated[
        str | None,
        option(
            "--to",
            metavar="DIR",
            envvar=None,
            help="Also copy the files to this folder, for a machine without network.",
        ),
    ] = None,
    accept_licence: Annotated[
        bool,
        option(
            "--accept-licence",
            envvar=None,
            help="Confirm that you have read and accept the licence; needed once.",
        ),
    ] = False,
    force: Annotated[
        bool, option("--force", envvar=None, help="Download again even if the file is here.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Annotated[bool, option("-q", "--quiet", help="Print errors only.")] = False,
    json: Json = False,
) -> int:
    """Fetch weights, verify them, and keep them for use without a network.

    On the other machine, give a file copied with --to to --weights.
    """
    from mirnet_cli.cli.console import Console

    console = Console(json=json, quiet=quiet)
    folder = None if to is None else expanded(to)
    if folder is not None and exists(folder) and not is_folder(folder):
        raise UsageError("is not a folder", "name a folder", subject=folder)
    with console.display(files=len(names)) as display:
        for name in names:
            display.start(name)
            path, digest = _fetch(name, display.bytes, accept=accept_licence, force=force)
            if folder is not None:
                path = _copy(path, folder, overwrite=overwrite)
            console.note(f"{name}: {path}, sha256 {digest}")
            console.record({"name": name, "path": str(path), "sha256": digest})
            display.finish()
    return ExitCode.OK


def _fetch(name: str, report: "Report", *, accept: bool, force: bool) -> tuple[Path, str]:
    from mirnet_cli.models import catalogue, fetch, hub

    if name.startswith(hub.SCHEME):
        _, digest, path = fetch.from_hub(name, refresh=True, force=force, report=report)
        return path, digest
    entry = catalogue.find(name)
    fetch.ensure(entry, accept=accept, force=force and not entry.shipped, report=report)
    _, digest, path = fetch.verified(entry, report=report)
    return path, digest


def _copy(path: Path, folder: Path, *, overwrite: bool) -> Path:
    from mirnet_cli.files import reason, write_atomically

    remedy = "choose another folder with --to"
    target = folder / path.name
    try:
        make_folder(folder)
        with path.open("rb") as file:
            pieces = iter(lambda: file.read(_COPY), b"")
            write_atomically(target, pieces, overwrite=overwrite)
    except DiskFullError as error:
        raise ModelError(error.what, error.remedy, subject=target) from None
    except OutputError as error:
        remedy = _elsewhere(target, remedy, overwrite=overwrite)
        raise ModelError(error.what, remedy, subject=target) from None
    except OSError as error:
        what = f"cannot be written ({reason(error)})"
        raise ModelError(what, remedy, subject=folder) from None
    return target


def _elsewhere(target: Path, other: str, *, overwrite: bool) -> str:
    """What helps where a file cannot be written: ``other``, or that it may be replaced."""
    taken = exists(target) and not overwrite
    return f"use --overwrite to replace it or {other}" if taken else other


def fetch_first(loading: LoadOptions, console: "Console") -> None:
    """Fetch what --model or --weights name and is not here, with a progress bar.

    Args:
        loading: the options; what they do not suit is not fetched.
        console: where the bar is shown.
    """
    from mirnet_cli.models import catalogue, fetch, hub

    model, weights = loading.model, loading.weights
    if model is not None and any(entry.name == model for entry in catalogue.entries()):
        entry = catalogue.find(model)
        if not entry.shipped and not catalogue.path_of(entry).is_file():
            from mirnet_cli.models.resolver import suits

            suits(entry.name, entry.task, entry.scales, loading.task, loading.scale)
            with console.display(files=1) as display:
                display.start(model)
                fetch.ensure(entry, report=display.bytes)
    elif weights is not None and weights.startswith(hub.SCHEME):
        address = hub.parse(weights)
        if hub.cached(address) is None:
            with console.display(files=1) as display:
                display.start(weights)
                hub.download(address, report=display.bytes)


def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME…", help="Models by name, or hf://owner/repo/file[@rev]."),
    ],
    json: Json = False,
) -> int:
    """Remove fetched weights from this machine; what came with mirnet stays."""
    from mirnet_cli.cli.console import Console
    from mirnet_cli.models import catalogue, fetch, hub

    console = Console(json=json)
    for name in names:
        if name.startswith(hub.SCHEME):
            removed = hub.remove(hub.parse(name))
        else:
            removed = fetch.remove(catalogue.find(name))
        console.note(f"{name}: {'removed' if removed else 'was not here'}")
        console.record({"name": name, "removed": removed})
    return ExitCode.OK


def push(
    repository: Annotated[str, typer.Argument(metavar="OWNER/REPO", help="On the Hub.")],
    what: Annotated[
        str, typer.Argument(metavar="NAME", help="A shipped model, or a file that you trained.")
    ],
    card: Annotated[
        str | None,
        option(
            "--card",
            metavar="FILE",
            envvar=None,
            help="The card, in Markdown. [default: the model's own, or a generated one]",
        ),
    ] = None,
    private: Annotated[
        bool, option("--private", envvar=None, help="Create a private repository.")
    ] = False,
    json: Json = False,
) -> int:
    """Publish weights and their card on the Hugging Face Hub, with the token in HF_TOKEN."""
    from mirnet_cli.cli.console import Console
    from mirnet_cli.models.publish import push as run

    console = Console(json=json)
    given = None if card is None else expanded(card)
    address, weights = run(repository, what, card=given, private=private)
    console.note(f"{address}: {weights.name}; use it with --weights {address}")
    console.record({"repository": repository, "name": weights.name, "sha256": weights.sha256})
    return ExitCode.OK
