"""``mirnet batch``."""

import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirnet_cli import stores, values
from mirnet_cli.batches.plan import BatchOptions
from mirnet_cli.cli.options import (
    COMPUTING,
    HOW,
    TASKS,
    WHICH,
    WORDS,
    AnyTask,
    OutputPath,
    Words,
    flat,
    option,
    scale_option,
)
from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.errors import ExitCode, InputError, UsageError
from mirnet_cli.files import blocking, resolved
from mirnet_cli.places import WEB, Place, place
from mirnet_cli.restore.options import PhotoOptions
from mirnet_cli.restore.steps import AutoOptions, ChainOptions
from mirnet_cli.stores import is_folder

if TYPE_CHECKING:
    from mirnet_cli.batches.job import Executor, Watcher
    from mirnet_cli.cli.console import Console
    from mirnet_cli.report.batch import BatchPage
    from mirnet_cli.restore import Restorer

_PATIENCE = 0.5
"""Seconds after a signal for a photo that is being written; the rest is for telling."""


@dataclass(frozen=True)
class What:
    """What is done, and from where to where."""

    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="The folder.", show_default=False)
    ] = None
    output: OutputPath = None
    task: Annotated[
        AnyTask,
        option(
            "--task",
            metavar=f"{TASKS}|auto",
            panel=HOW,
            help="What to do; auto looks at each photo. [default: enhance]",
        ),
    ] = "enhance"
    scale: Annotated[
        int | None, scale_option("How many times larger, for upscale. [default: 2]")
    ] = None


@dataclass(frozen=True)
class How:
    """How the command goes about it."""

    files_from: Annotated[
        str | None,
        option(
            "--files-from",
            metavar="FILE|-",
            panel=WHICH,
            help="Only the photos listed there, one per line or separated by NUL.",
        ),
    ] = None
    watch: Annotated[
        bool,
        option("--watch", panel=WHICH, help="Keep processing photos as they arrive, until Ctrl-C."),
    ] = False
    dry_run: Annotated[
        bool, option("--dry-run", panel=WHICH, help="Show what would be done; write nothing.")
    ] = False
    jobs: Annotated[
        int,
        option(
            "--jobs",
            metavar="N",
            panel=COMPUTING,
            parser=values.jobs,
            help="Photos to process at once, each in its own process. [default: 1]",
        ),
    ] = 1
    cluster: Annotated[
        str | None,
        option(
            "--cluster",
            metavar="local:N|ADDRESS",
            panel=COMPUTING,
            parser=values.cluster,
            help="Workers that do a photo each: N on this machine, or those of a Dask scheduler "
            "(tcp://host:8786, tls://…, or its file).",
        ),
    ] = None
    report: Annotated[
        str | None,
        option(
            "--report",
            metavar="FILE.html",
            panel=WORDS,
            help="An HTML page: each photo before and after, times, warnings, failures.",
        ),
    ] = None


@flat
def command(
    what: What,
    options: PhotoOptions,
    loading: ChainOptions,
    auto: AutoOptions,
    batch: BatchOptions,
    how: How,
    words: Words,
) -> int:
    """Process a whole folder; run it again to continue where it stopped.

    Results go to DIR-enhanced, DIR-denoised or DIR-x2 unless -o names another folder. Photos
    that the journal there lists as done are skipped; one bad photo does not stop the others.
    """
    from mirnet_cli.batches.run import Batch
    from mirnet_cli.cli.console import Console
    from mirnet_cli.cli.photos import describe, endings, endings_of, load_restorer, with_scale

    _check(what, how)
    listed = how.files_from is not None
    loading = with_scale(replace(loading, task=what.task, scale=what.scale, auto=auto))
    word = endings(loading)
    root, into = _folders(what, word or "", listed=listed)
    console = Console(json=words.json, quiet=words.quiet, verbose=words.verbose)
    here = _of_client(loading, how.cluster)
    restorer = None
    if word is None and what.output is None:
        # The folder is named by a scale that only the weights tell.
        restorer = load_restorer(here, console)
        root, into = _folders(what, endings_of(restorer), listed=listed)
    watched = _here(root, "--watch") if how.watch else None
    paths = [root] if how.files_from is None else _listed_paths(how.files_from, root)
    made = Batch(paths, into, batch, options, root if listed else None)
    plan = made.plan()
    if not plan.items and not how.watch:
        console.note(f"mirnet: {root}: no photos found" + _hint(root, batch.recursive))
        return int(ExitCode.OK)
    page = None
    if how.report is not None and not how.dry_run:
        page = _page(how.report, root, into, options, batch.recursive)
    restorer = restorer or load_restorer(here, console)
    console.detail(describe(restorer))
    if how.dry_run:
        from mirnet_cli.cli.dry_run import show_plan

        return show_plan(console, made, plan, restorer)
    from mirnet_cli.cli.batch_work import work

    def executor(watcher: "Watcher") -> "Executor":
        if how.cluster is not None:
            return _cluster(restorer, loading, how.cluster, watcher, console)
        return _executor(restorer, loading, how.jobs, watcher)

    return work(console, made, plan, lambda bars: made.run(restorer, executor(bars)), watched, page)


def _page(
    report: str, root: Place, into: Place, options: PhotoOptions, recursive: bool
) -> "BatchPage":
    """The page of ``--report``; its pictures must not be taken for photos the next time."""
    from mirnet_cli.report.batch import BatchPage

    root, into = _here(root, "--report"), _here(into, "--report")
    page, photos = resolved(Path(report).parent), resolved(root)
    results = resolved(into)
    if recursive and page.is_relative_to(photos) and not page.is_relative_to(results):
        raise UsageError(
            "its pictures would be taken for photos there",
            f"write it to {into / Path(report).name}",
            subject=report,
        )
    return BatchPage(Path(report), root, crop=options.crop)


def _here(folder: Place, option: str) -> Path:
    """A folder of this machine, which an option needs."""
    if not isinstance(folder, Path):
        raise UsageError(f"does not go with {folder.scheme}://", "leave it out", subject=option)
    return folder


def _executor(
    restorer: "Restorer", loading: ChainOptions, jobs: int, watcher: "Watcher"
) -> "Executor":
    from mirnet_cli.batches.pipeline import Pipeline

    if jobs == 1:
        return Pipeline(restorer, watcher, patience=_PATIENCE)
    from mirnet_cli.batches.processes import Processes

    return Processes(restorer, loading, jobs, watcher)


def _of_client(loading: ChainOptions, cluster: str | None) -> ChainOptions:
    """What is loaded here, where the work is done elsewhere: this machine may have no GPU."""
    if cluster is None or loading.device in ("auto", "cpu"):
        return loading
    return replace(loading, device="cpu", precision="auto")


def _cluster(
    restorer: "Restorer",
    loading: ChainOptions,
    address: str,
    watcher: "Watcher",
    console: "Console",
) -> "Executor":
    from mirnet_cli.batches.cluster import Cluster

    return Cluster(restorer, loading, address, watcher, say=console.note, detail=console.detail)


def _check(what: What, how: How) -> None:
    if how.watch and (how.files_from is not None or how.dry_run):
        raise UsageError(
            "needs a folder, and cannot be combined with --files-from or --dry-run",
            "leave one out",
            subject="--watch",
        )
    if how.cluster is not None and how.jobs > 1:
        raise UsageError(
            "cannot be combined with --cluster, where each worker does one photo at a time",
            "for processes on this machine leave --cluster out, or use --cluster local:N",
            subject="--jobs",
        )


def _folders(what: What, word: str, *, listed: bool) -> tuple[Place, Place]:
    """The folder that is read and the one that is written."""
    folder, output = what.folder, what.output
    if "" in (folder, output):
        raise UsageError("an empty name", "check the variable that it came from")
    if output == "-":
        raise UsageError("a batch writes files", "name a folder with -o", subject="-o -")
    if folder is None:
        if not listed:
            raise UsageError("no folder given", "name one, or use --files-from")
        if output is None:
            raise UsageError("no folder for the results", "name one with -o")
    root = place(folder or ".")
    stores.check(root)
    if not isinstance(root, Path) and root.scheme in WEB:
        raise UsageError(
            "a web address is not a folder", "list files in --files-from", subject=root
        )
    if not is_folder(root) and folder is not None:
        if isinstance(root, Path) and os.path.lexists(root):
            raise UsageError(
                "is not a folder", f"for single photos use 'mirnet {what.task} FILE'", subject=root
            )
        raise InputError("no such folder", "check the name", subject=root)
    if output is not None:
        into = place(output)
        stores.check(into, writing=True)
        if isinstance(into, Path) and (file := blocking(into)) is not None:
            said = "is not a folder" if file == into else f"{file} is not a folder"
            raise UsageError(said, "name another with -o", subject=into)
        return root, into
    named = root
    if isinstance(root, Path) and root.name in ("", ".."):
        named = resolved(root)
    if not named.name:
        raise UsageError("no folder for the results", "name one with -o", subject=root)
    return root, named.with_name(f"{named.name}-{word}")


def _listed_paths(listed: str, root: Place) -> list[Place]:
    return [_listed_path(name, root) for name in _listed_names(listed)]


def _listed_names(listed: str) -> list[str]:
    """The names in a list."""
    from mirnet_cli.batches.lists import LONGEST_LIST, names_in

    if listed == "-" and sys.stdin is None:
        raise UsageError("standard input is closed", "pipe the list in", subject="--files-from -")
    try:
        with Path(listed).open("rb") if listed != "-" else nullcontext(sys.stdin.buffer) as stream:
            raw = stream.read(LONGEST_LIST + 1)
    except OSError as error:
        from mirnet_cli.files import reason

        raise InputError(
            f"cannot be read ({reason(error)})", "check the name", subject=listed
        ) from error
    try:
        return names_in(raw)
    except UsageError as error:
        raise UsageError(error.what, error.remedy, subject=f"--files-from {listed}") from None


def _listed_path(name: str, root: Place) -> Place:
    """A listed file, from the current folder or else from DIR."""
    path = place(name)
    return stores.of(root).listed(root, path) if isinstance(path, Path) else path


def _hint(root: Place, recursive: bool) -> str:
    inner = not recursive and (not isinstance(root, Path) or any(map(is_folder, root.iterdir())))
    return "; to include subfolders add --recursive" if inner else ""
