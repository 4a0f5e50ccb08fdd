"""What executors share whose work is done by other processes, here or on other machines."""

import contextlib
import os
import pickle
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from mirnet_cli.batches.job import Job
from mirnet_cli.errors import InputError
from mirnet_cli.restore.outcome import Outcome, failure

if TYPE_CHECKING:
    from mirnet_cli.restore import Restorer

_CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")


def share(ceiling: int, asked: int | None, count: int) -> int:
    """Memory for each of several processes, in bytes.

    Args:
        ceiling: for all together.
        asked: what the user said; without it a process alone takes no more than is useful, and
            neither does one of several, so that the tiles stay the same where there is room.
        count: how many.
    """
    from mirnet_cli.runtime.memory import USEFUL

    part = ceiling // count
    return part if asked is not None else min(part, USEFUL)


def split_cores(count: int) -> list[frozenset[int]]:
    """Cores for each of several processes; empty sets where they cannot be bound to them.

    Two processes that both compute on all cores get in each other's way.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [frozenset()] * count
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        return [frozenset({cores[index % len(cores)]}) for index in range(count)]
    ends = [len(cores) * index // count for index in range(count + 1)]
    return [frozenset(cores[ends[n] : ends[n + 1]]) for n in range(count)]


@contextlib.contextmanager
def without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from threads and processes that are started now; here it is only put off."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting this helper of Python's lets Ctrl-C through again in the thread that does it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def died(job: Job, restorer: "Restorer", victims: str, code: int | None, remedy: str) -> Outcome:
    """The outcome of a photo that was given up because it crashed its processes.

    Args:
        job: the photo.
        restorer: that they had.
        victims: who died ("2 worker processes").
        code: how the last one ended, as :mod:`multiprocessing` has it; None where nobody knows.
        remedy: what to do about it.
    """
    by = _signal_name(code)
    how = by or (None if code is None else f"code {code}")
    error = InputError(f"it crashed {victims}" + (f" ({how})" if how else ""), remedy)
    outcome = failure(error, job.item.source, job.item.target, restorer=restorer)
    # Killed for want of memory it may succeed the next time; what crashes will crash again.
    return Outcome(outcome.result, error, lasting=by in _CRASHES)


def sendable(outcome: Outcome) -> Outcome:
    """The outcome with an error that can pass to another process."""
    try:
        pickle.loads(pickle.dumps(outcome.error))
    except Exception:
        error = RuntimeError(f"{type(outcome.error).__name__}: {outcome.error}")
        return Outcome(outcome.result, error, outcome.lasting, outcome.full)
    return outcome


def _signal_name(code: int | None) -> str | None:
    if code is None or code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
