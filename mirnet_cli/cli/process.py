"""``mirnet`` as a process: signals, exit codes, and every error as one line."""

import atexit
import contextlib
import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

from mirnet_cli.errors import ExitCode, MirnetError
from mirnet_cli.signals import heeded, say_last_words

_PATIENCE = 1.0
"""Seconds after a signal in which the work may come to its end by itself."""
_LAST = 0.4
"""Seconds for what is to be said after that."""
_COLLECTED = 10_000
"""Objects made after which Python looks for cycles among the young: importing makes 60,000, and
looking after each 700 takes a tenth of the time until the first photo."""
_BRIEF = {"enhance", "denoise", "upscale", "auto"}
"""Commands that have no work under way when they return, and no processes."""
_WITHOUT_VERBOSE = {"bench", "doctor", "models"}
"""Commands without the option; the variable counts for all."""


_STOPPED = "stopped; files already written are whole"


class Stopped(BaseException):
    """SIGTERM or SIGHUP came: leave as after Ctrl-C, so that whole files or none stay."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        gc.set_threshold(_COLLECTED)
    verbose = _wants_verbose(words)
    _fill_closed_streams()
    _escape_what_cannot_be_encoded()
    with _signals_raise(in_time=words[:1] != ["train"]) as received:
        try:
            code = _run(words, verbose)
        except BaseException as error:
            code = received[0] if received else _code_of(error, words, verbose)
        if received:
            # A library may wrap or swallow what the signal raised; the signal decides.
            code = received[0]
        if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            _forget_interrupt()
            _say(_STOPPED)
        code = _flushed(int(code))
        if received and arguments is None:
            # Before Python ends by itself, it waits for threads of pools, whatever they do. What
            # they would still write was not reported.
            _abandon(code)
        if arguments is None and words[:1] and words[0] in _BRIEF and not _watched():
            # Taking apart what is in memory, libraries first, would take a tenth of a second.
            atexit._run_exitfuncs()
            _abandon(_flushed(code))
    return code


def _watched() -> bool:
    """Whether a debugger or profiler wants to see the end."""
    return sys.gettrace() is not None or sys.getprofile() is not None


def _fill_closed_streams() -> None:
    """Open nothing in the place of a standard stream that the caller closed (``2>&-``).

    Else the next file gets its number, and what a library says on stderr goes into a photo.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free; processes that are started have the same gap.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _escape_what_cannot_be_encoded() -> None:
    """Keep a narrow encoding of stdout (latin-1, say) from ending a help text with an error."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(words: list[str], verbose: bool) -> int:
    from mirnet_cli.cli.app import build

    code = build().main(words, prog_name="mirnet", standalone_mode=False)
    return int(code) if isinstance(code, int) else int(ExitCode.OK)


def _code_of(error: BaseException, words: Sequence[str], verbose: bool) -> int:
    """Say in one line what ended the run, and return the exit code for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, Stopped):
        return ExitCode.TERMINATED
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if broken_pipe(error):
        return ExitCode.FAILED
    if isinstance(error, MirnetError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say("no space is left on a disk; free some")
        return ExitCode.FAILED
    from mirnet_cli.cli.usage import usage_line

    line = usage_line(error, words)
    if line is not None:
        _say(line)
        return ExitCode.USAGE
    _say(bug_line(error, verbose, words))
    _traceback(error, verbose)
    return ExitCode.FAILED


def bug_line(error: BaseException, verbose: bool = False, words: Sequence[str] = ()) -> str:
    """What to say of an exception that is nobody's mistake but ours.

    Running out of memory is worded as what it is.

    Args:
        error: what was raised.
        verbose: its traceback follows.
        words: the command line.
    """
    if isinstance(error, MemoryError):
        return "not enough memory; use a smaller --tile, or close other programs"
    how = "report it with the command and what follows"
    if not verbose:
        option = "MIRNET_VERBOSE=1 set" if {*words[:1]} & _WITHOUT_VERBOSE else "--verbose"
        how = f"run again with {option} and report what it says, with the command"
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(": ")
    return f"this is a bug in mirnet: {text}; {how}"


def broken_pipe(error: BaseException | None) -> bool:
    """Whether the reader of our output went away, possibly as the cause of ``error``."""
    while error is not None:
        if isinstance(error, BrokenPipeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _say(text: str) -> None:
    from mirnet_cli.cli.console import write_error

    write_error(text)


def _traceback(error: BaseException, verbose: bool) -> None:
    if verbose:
        import traceback

        from mirnet_cli.cli.console import write_stderr
        from mirnet_cli.files import printable

        for line in "".join(traceback.format_exception(error)).splitlines():
            write_stderr(printable(line))


def _wants_verbose(words: Sequence[str]) -> bool:
    """Whether details were asked for; known before the words are parsed, for errors there."""
    before = words[: words.index("--")] if "--" in words else words
    from mirnet_cli.settings import flag

    return "--verbose" in before or "-v" in before or flag("MIRNET_VERBOSE")


@contextmanager
def _signals_raise(*, in_time: bool) -> Iterator[list[int]]:
    """Turn SIGINT, SIGTERM and SIGHUP into exceptions, so that temporary files are removed.

    Yields a list that holds the exit code of the first signal received. A signal that the
    caller ignores (nohup) stays ignored.

    Args:
        in_time: end the process where the exception does not within :data:`_PATIENCE`. Not where
            what was done is worth the time that it takes to be kept.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received and in_time:
            # It is leaving already. Programs that end others often tell them twice.
            return
        if not received:
            received.append(_code(number))
        raise KeyboardInterrupt if number == signal.SIGINT else Stopped

    before: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        current = signal.getsignal(number)
        if current in (signal.SIG_DFL, signal.default_int_handler):
            try:
                before[number] = signal.signal(number, handle)
            except ValueError:
                # Not the main thread: whoever started us handles signals.
                break
    try:
        with heeded(before, _PATIENCE, _stop) if in_time else nullcontext():
            yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _code(number: int) -> int:
    return int(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)


def _abandon(code: int) -> None:
    """See :func:`mirnet_cli.files.abandon`; who has not loaded that has written nothing."""
    getattr(sys.modules.get("mirnet_cli.files"), "abandon", os._exit)(code)


def _stop(number: int) -> None:
    """End the process from another thread: the main one is in a library or waits for threads."""
    # A progress bar hides the cursor; the streams may be locked by whoever writes to them.
    bar = "\r\x1b[2K\x1b[?25h" if os.isatty(2) else ""
    with contextlib.suppress(OSError):
        os.write(2, bar.encode())
    say_last_words(_LAST)
    with contextlib.suppress(OSError):
        os.write(2, f"mirnet: {_STOPPED}\n".encode())
    _abandon(_code(number))


def _forget_interrupt() -> None:
    """Keep Python from ending itself with SIGINT in place of our exit code.

    A KeyboardInterrupt that leaves any ``exec`` of a string (dataclasses and named tuples are made
    with it while modules are imported) sets a flag of the interpreter (run_eval_code_obj in
    CPython's pythonrun.c), though it is caught further out. The next ``exec`` clears it.
    """
    exec("")


def _flushed(code: int) -> int:
    """Flush what was written; a reader that went away is no error worth a word."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # Python would complain of the same at exit.
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), stream.fileno())
            code = code or int(ExitCode.FAILED)
    return code
