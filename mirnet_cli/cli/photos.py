"""What enhance, denoise and upscale share: photos in, one result for each out."""

import os
import shlex
import stat
import sys
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mirnet_cli import stores
from mirnet_cli.cli.console import Console
from mirnet_cli.cli.options import Words
from mirnet_cli.cli.process import broken_pipe
from mirnet_cli.errors import ExitCode, InputError, MirnetError, ModelError, UsageError
from mirnet_cli.files import is_folder
from mirnet_cli.places import Place, place
from mirnet_cli.restore.names import ending, output_name, refuse_clashes
from mirnet_cli.restore.options import LoadOptions, PhotoOptions
from mirnet_cli.restore.outcome import STOPPED, Outcome, failure, not_started, perform, told
from mirnet_cli.restore.result import UNREADABLE
from mirnet_cli.restore.steps import ChainOptions
from mirnet_cli.signals import last_words

if TYPE_CHECKING:
    from mirnet_cli.cli.console import Display
    from mirnet_cli.restore import Restorer, Result

_NO_PHOTO = "name a file, or pipe a picture in"
_CHUNK = 1 << 20
Asked = TypeVar("Asked", bound=LoadOptions)
_MUCH = 16 << 20


@dataclass(frozen=True)
class Task:
    """One photo: None stands for standard input and standard output."""

    source: Place | None
    target: Place | None


def improve(
    files: list[str],
    output: str | None,
    options: PhotoOptions,
    loading: ChainOptions,
    words: Words,
    *,
    dry_run: bool = False,
) -> int:
    """Do each of ``files``; go on after one that fails.

    Returns:
        The exit code: 0 if all are done, 1 if one failed.

    Raises:
        UsageError, ModelError: before any work.
    """
    _refuse_folders(files, str(loading.task))
    loading = with_scale(loading)
    word = endings(loading)
    # Else results are named by a scale that only the weights tell, and those are read last.
    named = word is not None or output is not None
    tasks = plan_tasks(files, output, options, word or "", clashes=named)
    to_stdout = any(each.target is None for each in tasks) and not dry_run
    console = Console(
        json=words.json, quiet=words.quiet, verbose=words.verbose, json_to_stderr=to_stdout
    )
    if to_stdout:
        _refuse_terminal()
        if loading.auto.skip_good:
            what = "--skip-good may leave standard output without a picture"
            raise UsageError(what, "leave it out, or name a file with -o")
    data, unread = b"", None
    if any(each.source is None for each in tasks):
        try:
            data = _read_stdin(asked=bool(files))
        except InputError as error:
            unread = error
    problems = [_problem(each.source) if each.source else unread for each in tasks]
    restorer = None
    if None in problems:
        restorer = load_restorer(loading, console)
        restorer.check(options)
        console.detail(describe(restorer))
        if not named:
            tasks = plan_tasks(files, output, options, endings_of(restorer))
    given: dict[Place | None, float] = {}
    if restorer is not None and options.same_light and isinstance(options.ev, str):
        from mirnet_cli.restore.series import amounts

        sources = [each.source for each in tasks if each.source]
        given.update(amounts(restorer, sources, options).items())
    asked = [replace(options, ev=given.get(each.source, options.ev)) for each in tasks]
    if dry_run and restorer is not None:
        return _foretell(console, restorer, tasks, data, asked)
    failed = 0
    left = deque(tasks)

    def stopped() -> None:
        while left:
            each = left.popleft()
            result = not_started(each.source or data, each.target, STOPPED, restorer)
            console.record(result.as_dict())

    def do(
        each: Task, problem: InputError | None, own: PhotoOptions, display: "Display"
    ) -> Outcome:
        source = each.source or data
        target = each.target or sys.stdout.buffer
        if problem is not None or restorer is None:
            known = problem or InputError("not tried")
            return failure(known, source, target, restorer=restorer)
        display.start(str(each.source or "standard input"))
        outcome = perform(restorer, source, target, own, display.tiles)
        display.finish()
        return outcome

    with console.display(files=len(tasks)) as display, last_words(stopped):
        try:
            for each, problem, own in zip(tasks, problems, asked, strict=True):
                outcome = do(each, problem, own, display)
                left.popleft()
                report(console, outcome)
                failed += outcome.result.status == "failed"
        except BaseException as error:
            if not broken_pipe(error):
                stopped()
            raise
    if failed and len(tasks) > 1:
        console.note(f"{len(tasks) - failed} of {len(tasks)} photos done, {failed} failed")
    return int(ExitCode.FAILED if failed else ExitCode.OK)


def _foretell(
    console: Console,
    restorer: "Restorer",
    tasks: list[Task],
    data: bytes,
    asked: list[PhotoOptions],
) -> int:
    """Say what would be done to each photo; nothing is written."""
    from dataclasses import asdict

    from mirnet_cli.restore import photos

    failed = 0
    for each, options in zip(tasks, asked, strict=True):
        name = str(each.source or "standard input")
        try:
            photo = photos.read(data if each.source is None else each.source, options)
            found = restorer.foretold(photo, options)
        except MirnetError as error:
            console.error(f"{name}: {told(error)}")
            console.record({"input": name, "status": "failed", "error": told(error)})
            failed += 1
            continue
        console.note(f"{name}: {found.decision}")
        console.record({"input": name, "status": "planned", **asdict(found)})
    return int(ExitCode.FAILED if failed else ExitCode.OK)


def _refuse_folders(files: list[str], task: str) -> None:
    """Folders alone are wrong usage; one among photos is a photo that cannot be done."""
    if files and all(
        name and isinstance(place(name), Path) and is_folder(Path(name)) for name in files
    ):
        to_do = f"for the photos in it use 'mirnet batch {shlex.quote(files[0])} --task {task}'"
        raise UsageError("is a folder", to_do, subject=files[0])


def endings(loading: ChainOptions) -> str | None:
    """What a run adds to names; None where a scale of it is not known."""
    steps = loading.steps()
    if any(step.task == "upscale" and step.scale is None for step in steps):
        return None
    return "-".join(ending(str(step.task), step.scale or 1) for step in steps)


def endings_of(restorer: "Restorer") -> str:
    """What a run adds to names, of loaded weights."""
    return "-".join(ending(step.task, step.scale) for step in restorer.steps)


def with_scale(loading: Asked) -> Asked:
    """The options with the scale that upscale has where none is asked for, said of each step.

    Raises:
        UsageError: a scale is asked for of no step, or of more than one.
        ModelError: there is no such model.
    """
    first, *others = map(_with_scale, loading.steps())
    if not isinstance(loading, ChainOptions):
        return replace(loading, scale=first.scale)
    pairs = zip(loading.then, others, strict=True)
    then = tuple(replace(step, scale=settled.scale) for step, settled in pairs)
    return replace(loading, scale=first.scale, then=then)


def _with_scale(loading: LoadOptions) -> LoadOptions:
    """One step's options with its scale.

    That is 2, or the smallest of a model that does not have it; None where a file of weights is
    named, which has to be read first.

    Raises:
        ModelError: there is no such model.
    """
    if loading.task != "upscale" or loading.scale is not None or loading.weights is not None:
        return loading
    if loading.model is None:
        return replace(loading, scale=2)
    from mirnet_cli.models import catalogue

    scales = catalogue.find(loading.model).scales
    return replace(loading, scale=2 if 2 in scales else scales[0])


def load_restorer(loading: LoadOptions, console: Console | None = None) -> "Restorer":
    """Load the weights that the options name, fetched first if need be.

    Raises:
        UsageError, ModelError: what the options name is not there.
    """
    from mirnet_cli import restore

    loading = with_scale(loading)
    if console is not None:
        from mirnet_cli.cli.models_files import fetch_first

        for step in loading.steps():
            fetch_first(step, console)
    try:
        return restore.load(options=loading)
    except MemoryError as error:
        remedy = "close other programs, or use another --device"
        raise ModelError("not enough memory to load the weights", remedy) from error


def describe(restorer: "Restorer") -> str:
    """Which weights compute where, and how numbers that had to be measured are read."""
    return "; then ".join(
        f"{step.task} with {step.model} ({step.sha256[:12]}), {step.runtime} on {step.device}, "
        f"{step.precision}{_read(step)}"
        for step in restorer.steps
    )


def _read(step: "Restorer") -> str:
    from mirnet_cli.networks.described import FAMILY, worded

    network = step.weights.network
    return f"; {worded(network.config)}" if network.family == FAMILY else ""


def plan_tasks(
    files: list[str], where: str | None, options: PhotoOptions, word: str, *, clashes: bool = True
) -> list[Task]:
    """Name the result of each file; the rules of ``-o``.

    Args:
        files: as given; ``-`` is standard input, and so is no file at all.
        where: what ``-o`` says.
        options: which format, and whether files may be replaced.
        word: what the task adds to a name, where no output is named.
        clashes: refuse them.

    Raises:
        UsageError: several files and one output, clashing names, an output that is an input.
    """
    if "" in files or where == "":
        raise UsageError("an empty name", "check the variable that it came from")
    sources = [None if name == "-" else place(name) for name in files or ["-"]]
    if sources.count(None) > 1:
        raise UsageError("given twice", "standard input holds one picture", subject="-")
    folder = where not in (None, "-") and _is_folder(str(where))
    if len(sources) > 1 and where is not None and not folder:
        raise UsageError(
            "several photos cannot go into one file",
            f"to write into a folder use -o {'FOLDER' if where == '-' else where.rstrip('/')}/",
            subject=where,
        )
    for source in sources:
        if source is not None:
            stores.check(source)
    extension = options.format
    tasks = [Task(each, _target(each, where, extension, word, folder)) for each in sources]
    if where is not None and not folder and where != "-":
        _check_format(where, options.format, options.format_name)
    if clashes:
        refuse_clashes(
            [(each.source, each.target) for each in tasks if each.source and each.target],
            in_place=options.overwrite and where is not None and not folder,
            remedy="name another output with -o; to replace the photo itself, add --overwrite"
            if where is not None and not folder
            else "name another output with -o",
        )
    return tasks


def _is_folder(where: str) -> bool:
    known = place(where)
    stores.check(known, writing=True)
    return stores.of(known).means_folder(known, where)


def _target(
    source: Place | None, where: str | None, extension: str | None, word: str, folder: bool
) -> Place | None:
    target = _named_target(source, where, extension, word, folder)
    if target is not None:
        stores.check(target, writing=True)
    return target


def _named_target(
    source: Place | None, where: str | None, extension: str | None, word: str, folder: bool
) -> Place | None:
    if where == "-" or (where is None and source is None):
        return None
    if where is not None and not folder:
        return place(where)
    if source is None:
        raise UsageError(
            "a picture from standard input has no name", "name a file with -o", subject=where
        )
    if not source.name:
        raise UsageError("has no file name", "name an output file with -o", subject=source)
    if where is not None:
        return place(where) / output_name(source.name, extension=extension)
    return source.with_name(output_name(source.name, suffix=f"-{word}", extension=extension))


def _check_format(where: str, extension: str | None, format: str | None) -> None:
    """Refuse a name that says another format than --format, or none that can be written here."""
    from mirnet_cli.photo.formats import FORMATS, WRITABLE, format_from_name

    named = format_from_name(where)
    if extension is None:
        if named in WRITABLE and (missing := FORMATS[named].missing):
            raise UsageError(f"{named} needs {missing.name}", missing.remedy, subject=where)
        if (suffix := place(where).suffix) and named not in WRITABLE:
            known = ", ".join(sorted(WRITABLE))
            raise UsageError(
                f"{suffix} files cannot be written",
                f"name it for one of {known}, or add --format",
                subject=where,
            )
        return
    if named is not None and named != format:
        raise UsageError(
            f"--format {extension} does not match this name", "drop one", subject=where
        )


def _problem(source: Place) -> InputError | None:
    """What is wrong with an input at first sight, so that no weights are loaded in vain."""
    try:
        stores.of(source).check_source(source)
    except InputError as error:
        return error
    return None


def report(console: Console, outcome: Outcome) -> None:
    """Say what came of one photo: a line on stderr, an object on stdout with ``--json``."""
    result = outcome.result
    name = "standard input" if result.input == "-" else str(result.input)
    for warning in result.warnings or ():
        console.warn(name, warning)
    if result.decision is not None:
        console.note(f"{name}: {result.decision}")
    if result.reason == UNREADABLE:
        # All of a kind are told together at the end.
        console.detail(f"{name}: {result.error}")
    elif result.status == "failed":
        _report_failure(console, name, outcome)
    elif result.status == "skipped":
        console.detail(f"{name}: {result.outcome}")
    else:
        console.note(f"{name} -> {_summary(result)}")
        console.detail(f"{name}: {_pieces(result)}")
    console.record(result.as_dict())


def _report_failure(console: Console, name: str, outcome: Outcome) -> None:
    error = outcome.error
    if isinstance(error, MirnetError) or error is None:
        text = str(outcome.result.error)
        subject = getattr(error, "subject", None)
        about = f"{subject}: " if subject and subject not in (name, "-") else ""
        console.error(f"{name}: {about}{text}")
        return
    from mirnet_cli.cli.process import bug_line

    console.error(f"{name}: {bug_line(error, console.verbose)}")
    if console.verbose:
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            console.detail(line)


def _summary(result: "Result") -> str:
    where = "standard output" if result.output in (None, "-") else str(result.output)
    if result.megapixels is None or result.seconds is None:
        return where
    return f"{where} ({result.megapixels:.1f} MP, {result.seconds:.1f} s)"


def _pieces(result: "Result") -> str:
    said = "" if result.ev is None else f"{result.ev:+g} EV, "
    said += "" if result.input_quality is None else f"taken for {result.input_quality}, "
    if not result.tile:
        return f"{said}in one piece"
    return f"{said}tiles of {result.tile}, overlap {result.overlap}, context {result.context}"


def _refuse_terminal() -> None:
    if sys.stdout is None:
        raise UsageError("standard output is closed", "name a file with -o")
    if sys.stdout.isatty():
        raise UsageError(
            "a picture would go to the terminal", "name a file with -o, or redirect the output"
        )


def _read_stdin(*, asked: bool) -> bytes:
    """The picture on standard input.

    Args:
        asked: the user wrote ``-``; otherwise only a pipe, a file or a socket is read, so that
            ``mirnet denoise`` alone in a script does not wait for ever.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise UsageError("no photo given", _NO_PHOTO)
    mode = os.fstat(stream.fileno()).st_mode
    piped = stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
    if (not piped and not asked) or stream.isatty():
        raise UsageError("no photo given", _NO_PHOTO)
    from mirnet_cli.photo.formats import HEAD, recognise
    from mirnet_cli.settings import encoded_limit

    limit = encoded_limit()
    data = bytearray()
    while chunk := stream.read(_CHUNK):
        if len(data) <= _MUCH < len(data) + len(chunk):
            # Not all that comes without end is a picture.
            recognise(bytes(data[:HEAD]))
        data += chunk
        if len(data) > limit:
            raise InputError(f"more than {limit >> 20} MiB", "save it to a file first")
    if not data and not asked:
        raise UsageError("no photo given", _NO_PHOTO)
    return bytes(data)
