"""Signals that end a process in time, whatever library it is in."""

import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

_last_words: list[Callable[[], None]] = []


@contextmanager
def heeded(numbers: Collection[int], seconds: float, end: Callable[[int], None]) -> Iterator[None]:
    """Call ``end`` where this is not left ``seconds`` after a signal.

    Python runs its handlers between two steps of the main thread. A library that encodes a large
    picture holds that thread for as long as it takes, and leaving a thread pool waits for its
    threads. What the interpreter writes to a pipe when a signal comes
    (:func:`signal.set_wakeup_fd`), another thread reads at once.

    Args:
        numbers: the signals. They have handlers of Python's.
        seconds: for their handlers, and what those raise, to get out of here.
        end: called with the signal's number in a thread of its own.
    """
    left = threading.Event()
    reader, writer = os.pipe()

    def watch() -> None:
        while number := os.read(reader, 1):
            if number[0] in numbers:
                if not left.wait(seconds):
                    end(number[0])
                break
        # Only when nothing more can be written to it.
        left.wait()
        os.close(reader)

    if os.name != "nt":
        os.set_blocking(writer, False)
    try:
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    except ValueError:
        # Not the main thread: whoever started us handles signals.
        os.close(reader)
        os.close(writer)
        yield
        return
    threading.Thread(target=watch, name="mirnet-signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        left.set()
        os.close(writer)


@contextmanager
def last_words(say: Callable[[], None]) -> Iterator[None]:
    """Have ``say`` called by :func:`say_last_words` where the process is ended within this.

    Args:
        say: called in another thread than the one that is in here, which may go on meanwhile.
    """
    _last_words.append(say)
    try:
        yield
    finally:
        _last_words.remove(say)


def say_last_words(seconds: float) -> None:
    """Do what is to be done before the process is ended, the latest first, for so long at most."""

    def say() -> None:
        for each in reversed(_last_words):
            with suppress(Exception):
                each()

    saying = threading.Thread(target=say, name="mirnet-last-words", daemon=True)
    saying.start()
    # Whoever computes may hold the lock of a stream.
    saying.join(seconds)
