"""What a batch has done, and who does it: plain data, and the protocol of executors."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mirnet_cli.batches.plan import Item
from mirnet_cli.restore.options import PhotoOptions
from mirnet_cli.restore.outcome import Outcome


@dataclass(frozen=True)
class Job:
    """One photo to be done; plain data that can be sent to another process."""

    item: Item
    options: PhotoOptions


class Executor(Protocol):
    """Something that does jobs, here or elsewhere."""

    def run(self, jobs: Iterable[Job], wanted: Callable[[], bool]) -> Iterator[tuple[Job, Outcome]]:
        """Do the jobs, taken from ``jobs`` as there is room for them; yield each as it is done.

        Args:
            jobs: what is to be done; may be taken somewhat ahead of the work.
            wanted: asked before the long part of each job. When it says no, everything that has
                not come so far is dropped, and never yielded.
        """
        ...

    def finished(self) -> Iterator[tuple[Job, Outcome]]:
        """What came to its end although :meth:`run` was left early (Ctrl-C) and never yielded."""
        ...

    def close(self) -> None:
        """Give back what is held for further runs."""
        ...


class Watcher(Protocol):
    """Someone who is told how the work goes on."""

    def begin(self, item: Item) -> None:
        """The long part of the work on a photo begins."""

    def tiles(self, done: int, total: int) -> None:
        """So many tiles of the photo begun last are done; not told by other processes."""

    def end(self, item: Item) -> None:
        """The long part of the work on a photo is over."""


class Nobody:
    """A :class:`Watcher` that does not look."""

    def begin(self, item: Item) -> None: ...

    def tiles(self, done: int, total: int) -> None: ...

    def end(self, item: Item) -> None: ...
