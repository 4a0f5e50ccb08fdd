"""``mirnet batch``."""

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirnet_cli import stores
from mirnet_cli.cli import values
from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.cli.options import HOW, WHERE, Computing, Look, Output, Task, Words, flat, option
from mirnet_cli.errors import ExitCode, InputError, UsageError
from mirnet_cli.files import is_folder, resolved
from mirnet_cli.places import WEB, Place, Remote, place

if TYPE_CHECKING:
    from mirnet_cli.batches.journal import Journal
    from mirnet_cli.batches.plan import Plan, Selection
    from mirnet_cli.batches.work import Executor, Settings, Watcher
    from mirnet_cli.cli.console import Console
    from mirnet_cli.report.batch import BatchPage
    from mirnet_cli.restore import Restorer

WHICH = "Which photos"


@flat
def command(
    *,
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="The folder.", show_default=False)
    ] = None,
    recursive: Annotated[
        bool,
        option("-r", "--recursive", panel=WHICH, help="Folders within folders too, mirrored."),
    ] = False,
    include: Annotated[
        list[str] | None,
        option(
            "--include",
            metavar="GLOB",
            panel=WHICH,
            help="Only photos whose name (or path, with a /) matches; may be repeated.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        option(
            "--exclude",
            metavar="GLOB",
            panel=WHICH,
            help="No photos whose name matches; may be repeated.",
        ),
    ] = None,
    files_from: Annotated[
        str | None,
        option(
            "--files-from",
            metavar="FILE|-",
            panel=WHICH,
            help="Only the photos listed there, one a line or separated by NUL.",
        ),
    ] = None,
    shard: Annotated[
        Any,
        option(
            "--shard",
            metavar="i/n",
            panel=WHICH,
            parser=values.shard,
            help="Only part i of n, counted from 1; the same on every machine.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, option("--retry-failed", panel=WHICH, help="Try again what failed before.")
    ] = False,
    watch: Annotated[
        bool,
        option("--watch", panel=WHICH, help="Go on with photos that come in, until Ctrl-C."),
    ] = False,
    dry_run: Annotated[
        bool, option("--dry-run", panel=WHICH, help="Show what would be done; write nothing.")
    ] = False,
    output: Output,
    suffix: Annotated[
        str,
        option("--suffix", metavar="TEXT", panel=WHERE, help="Put before the extension."),
    ] = "",
    task: Annotated[
        Task,
        option(
            "--task",
            metavar="enhance|denoise|upscale",
            panel=HOW,
            help="What to do. [default: enhance]",
        ),
    ] = "enhance",
    scale: Annotated[
        int | None,
        option(
            "--scale",
            metavar="1|2|3|4",
            panel=HOW,
            parser=values.scale,
            help="How many times larger, for upscale. [default: 2]",
        ),
    ] = None,
    look: Look,
    computing: Computing,
    jobs: Annotated[
        int,
        option(
            "--jobs",
            metavar="N",
            panel="Computing",
            parser=values.jobs,
            help="Processes that do a photo each and share cores and memory. [default: 1]",
        ),
    ] = 1,
    cluster: Annotated[
        str | None,
        option(
            "--cluster",
            metavar="local:N|ADDRESS",
            panel="Computing",
            parser=values.cluster,
            help="Workers that do a photo each: N on this machine, or those of a Dask scheduler "
            "(tcp://host:8786, tls://…, or its file).",
        ),
    ] = None,
    max_time: Annotated[
        float | None,
        option(
            "--max-time",
            metavar="TIME",
            panel="Computing",
            parser=values.seconds,
            help="Start nothing new after this long (90s, 30m, 2h); run again to go on.",
        ),
    ] = None,
    report: Annotated[
        str | None,
        option(
            "--report",
            metavar="FILE.html",
            panel="What is said",
            help="A page to look at: each photo before and after, times, warnings, failures.",
        ),
    ] = None,
    words: Words,
) -> int:
    """Do a whole folder; run it again to go on where it was stopped.

    Results go to DIR-enhanced, DIR-denoised or DIR-x2 unless -o names another folder. What the
    journal there knows to be done is skipped; one bad photo does not stop the others.
    """
    from mirnet_cli.batches.journal import Journal
    from mirnet_cli.batches.plan import Selection
    from mirnet_cli.cli.console import Console
    from mirnet_cli.cli.photos import describe, known_scale, load_restorer, settings_of

    listed = files_from is not None
    _check(task, scale, watch and (listed or dry_run))
    if cluster is not None and jobs > 1:
        raise UsageError(
            "not with --cluster, where each worker does a photo at a time",
            "for processes of this machine leave --cluster out, or say --cluster local:N",
            subject="--jobs",
        )
    factor = known_scale(task, scale, computing)
    settings = settings_of(output, look)
    root, into = _folders(folder, output.output, task, factor or 2, listed=listed)
    console = Console(json=words.json, quiet=words.quiet, verbose=words.verbose)
    here = _of_client(computing, cluster)
    restorer = None
    if task == "upscale" and factor is None and output.output is None:
        # The folder is named by a scale that only the weights tell.
        restorer = load_restorer(task, here, scale=None, console=console)
        root, into = _folders(folder, None, task, restorer.scale, listed=listed)
    watching = _here(root, "--watch") if watch else None
    selection = Selection(
        recursive=recursive,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        suffix=suffix,
        extension=output.format,
        shard=shard,
    )
    journal = Journal(into, shard)
    plan = _plan(root, journal, selection, files_from)
    if not plan.items and not watch:
        console.note(f"mirnet: {root}: no photos found" + _hint(root, recursive))
        return int(ExitCode.OK)
    page = None if report is None or dry_run else _page(report, root, into, settings, recursive)
    restorer = restorer or load_restorer(task, here, scale=factor, console=console)
    console.detail(describe(restorer))
    if dry_run:
        from mirnet_cli.cli.dry_run import show_plan

        return show_plan(console, plan, journal, restorer, settings, retry_failed=retry_failed)
    from mirnet_cli.cli.batch_work import How, Watched, work

    def find(known: frozenset[str]) -> "Plan":
        journal.refresh()
        return _plan(root, journal, selection, None, known)

    watched = None if watching is None else Watched(watching, find)

    def executor(watcher: "Watcher") -> "Executor":
        if cluster is not None:
            return _cluster(restorer, computing, cluster, watcher, console)
        return _executor(restorer, computing, jobs, watcher)

    how = How(retry_failed, max_time, watched, page)
    return work(console, plan, journal, restorer, settings, how, executor)


def _page(
    report: str, root: Place, into: Place, settings: "Settings", recursive: bool
) -> "BatchPage":
    """The page of ``--report``; its pictures must not be taken for photos the next time."""
    from mirnet_cli.report.batch import BatchPage

    root, into = _here(root, "--report"), _here(into, "--report")
    page, photos = resolved(Path(report).parent), resolved(root)
    results = resolved(into)
    if recursive and page.is_relative_to(photos) and not page.is_relative_to(results):
        raise UsageError(
            "among the photos, its pictures would be taken for some",
            f"write it to {into / Path(report).name}",
            subject=report,
        )
    return BatchPage(Path(report), root, crop=settings.crop)


def _here(folder: Place, option: str) -> Path:
    """A folder of this machine, which an option needs."""
    if isinstance(folder, Remote):
        raise UsageError(f"does not go with {folder.scheme}://", "leave it out", subject=option)
    return folder


def _executor(
    restorer: "Restorer", computing: Computing, jobs: int, watcher: "Watcher"
) -> "Executor":
    from mirnet_cli.batches.pipeline import Pipeline
    from mirnet_cli.cli.photos import loading

    if jobs == 1:
        return Pipeline(restorer, watcher)
    from mirnet_cli.batches.processes import Processes

    return Processes(restorer, loading(computing), jobs, watcher)


def _of_client(computing: Computing, cluster: str | None) -> Computing:
    """What is loaded here, where the work is done elsewhere: this machine may have no GPU."""
    if cluster is None or computing.device in ("auto", "cpu"):
        return computing
    return replace(computing, device="cpu", precision="auto")


def _cluster(
    restorer: "Restorer",
    computing: Computing,
    address: str,
    watcher: "Watcher",
    console: "Console",
) -> "Executor":
    from mirnet_cli.batches.cluster import Cluster
    from mirnet_cli.cli.photos import loading

    return Cluster(
        restorer, loading(computing), address, watcher, say=console.note, detail=console.detail
    )


def _check(task: str, scale: int | None, watch_alone: bool) -> None:
    if scale is not None and task != "upscale":
        raise UsageError("only for --task upscale", "leave it out", subject="--scale")
    if watch_alone:
        raise UsageError(
            "goes with a folder, and neither with --files-from nor with --dry-run",
            "leave one out",
            subject="--watch",
        )


def _folders(
    folder: str | None, output: str | None, task: str, scale: int, *, listed: bool
) -> tuple[Place, Place]:
    """The folder that is read and the one that is written."""
    from mirnet_cli.batches.names import ending

    if "" in (folder, output):
        raise UsageError("an empty name", "look at the variable that it came from")
    if output == "-":
        raise UsageError("a batch writes files", "name a folder with -o", subject="-o -")
    if folder is None:
        if not listed:
            raise UsageError("no folder given", "name one, or use --files-from")
        if output is None:
            raise UsageError("no folder for the results", "name one with -o")
    root = place(folder or ".")
    stores.check(root)
    if isinstance(root, Remote) and root.scheme in WEB:
        raise UsageError("a web address is no folder", "list files in --files-from", subject=root)
    if not is_folder(root) and folder is not None:
        if isinstance(root, Path) and os.path.lexists(root):
            raise UsageError(
                "is not a folder", f"for single photos use 'mirnet {task} FILE'", subject=root
            )
        raise InputError("no such folder", "check the name", subject=root)
    if output is not None:
        into = place(output)
        stores.check(into, writing=True)
        if isinstance(into, Path) and os.path.lexists(into) and not is_folder(into):
            raise UsageError("is not a folder", "name another with -o", subject=into)
        return root, into
    named = root
    if isinstance(root, Path) and root.name in ("", ".."):
        named = resolved(root)
    if not named.name:
        raise UsageError("no folder for the results", "name one with -o", subject=root)
    return root, named.with_name(f"{named.name}-{ending(task, scale)}")


def _plan(
    root: Place,
    journal: "Journal",
    selection: "Selection",
    listed: str | None,
    known: frozenset[str] | None = None,
) -> "Plan":
    from mirnet_cli.batches.plan import make_plan

    into, outputs = journal.into, journal.outputs
    if listed is None:
        return make_plan([root], into, selection, outputs=outputs, known=known)
    paths = [_listed_path(name, root) for name in _listed_names(listed)]
    return make_plan(paths, into, selection, root=root, outputs=outputs, known=known)


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
    if isinstance(path, Remote):
        return path
    if isinstance(root, Remote):
        return path if path.is_absolute() else root / name
    below = root / name
    return below if not os.path.lexists(path) and os.path.lexists(below) else path


def _hint(root: Place, recursive: bool) -> str:
    if isinstance(root, Remote):
        inner = not recursive
    else:
        inner = not recursive and any(each.is_dir() for each in root.iterdir())
    return "; for folders within it add --recursive" if inner else ""
