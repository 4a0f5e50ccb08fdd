"""Photos that come into a folder while it is watched, once they are completely written."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mirnet_cli.batches.plan import Item, Plan
from mirnet_cli.errors import InputError, MirnetError
from mirnet_cli.places import Place

SETTLED = 1.0
"""Seconds that a file has to stay as it is before it is looked at."""
PATIENCE = 15.0
"""Seconds that a file that cannot be decoded may still be one that grows, say over a network."""
_PACE = 1.0
"""Seconds between two looks."""

_Sign = tuple[int, int, int]


@dataclass
class _Seen:
    """How a file looked, and since when."""

    sign: _Sign
    since: float


class Arrivals:
    """Tells new and changed photos from those that were given before, and from unfinished ones.

    Args:
        max_pixels: larger photos are not decoded.
        now: a clock, for tests.
    """

    def __init__(self, max_pixels: int, now: Callable[[], float] = time.time) -> None:
        self._max_pixels = max_pixels
        self._now = now
        self._begun = False
        self._seen: dict[str, _Seen] = {}
        self._given: dict[str, _Sign | None] = {}

    def ready(self, plan: Plan) -> Plan:
        """The part of a plan that is new, or has changed, and is complete."""
        items = tuple(item for item in plan.items if self._is_ready(item))
        self._begun = True
        return Plan(plan.into, items, plan.shard)

    @property
    def given(self) -> frozenset[str]:
        """Keys of what was given."""
        return frozenset(self._given)

    def _is_ready(self, item: Item) -> bool:
        sign = _sign(item.source)
        if item.key in self._given and self._given[item.key] == sign:
            return False
        if sign is not None and item.error is None and not self._complete(item, sign):
            return False
        self._given[item.key] = sign
        self._seen.pop(item.key, None)
        return True

    def _complete(self, item: Item, sign: _Sign) -> bool:
        now = self._now()
        seen = self._seen.get(item.key)
        if seen is None or seen.sign != sign:
            seen = self._seen[item.key] = _Seen(sign, now)
        # Later a copy may have its original's time from the beginning.
        since = seen.since if self._begun else min(seen.since, sign[1] / 1e9)
        if now - since >= PATIENCE:
            return True
        return now - seen.since >= SETTLED and self._decodes(item.source)

    def _decodes(self, path: Place) -> bool:
        """Whether all of a photo is there: to a copy that is under way its end is missing."""
        from mirnet_cli.photo import decode

        try:
            decode(path, max_pixels=self._max_pixels)
        except InputError:
            return False
        except MirnetError:
            pass
        return True


def _sign(path: Place) -> _Sign | None:
    """What changes with a file's content; None where there is nothing to open."""
    assert isinstance(path, Path), "only folders of this machine are watched"
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def looks(until: float = math.inf) -> Iterator[None]:
    """Yield whenever it is time to look at a folder again.

    Systems can tell of changes, but not of those that others make on network file systems, not
    below folders that may not be entered, and of no more folders than a limit that all programs
    share; looking finds them all.

    Args:
        until: when this ends, by :func:`time.monotonic`.
    """
    while True:
        yield
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(_PACE, left))
