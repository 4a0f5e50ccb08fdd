"""A Dask scheduler: someone else's, or one that is started here with workers of its own.

What is asked of it is little: who is there, do this on that worker, tell me what came of it. Which
photo goes to which worker is decided in :mod:`mirnet_cli.batches.cluster`.
"""

import contextlib
import json
import logging
import pickle
import queue
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from multiprocessing import active_children
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mirnet_cli import extras
from mirnet_cli.batches.worker_parts import without_interrupts
from mirnet_cli.errors import MirnetError, UsageError
from mirnet_cli.files import reason

CONNECTING = 6.0
"""Seconds in which a scheduler has to answer."""
_STARTING = 60.0
"""Seconds in which workers of this machine have to be there, however busy it is."""
_KINDLY = 0.5
"""Seconds that workers of this machine get to leave before they are killed."""
_LEAVING = 5.0
"""Seconds after which a connection that does not close is dropped."""
_WORKER = "Dask Worker process"
"""Begins the names of processes that Dask starts."""

_LOGS = ("distributed", "tornado", "asyncio")

_OF_ITS_OWN: Mapping[str, Any] = {
    # Dask would hold libraries to one thread, and give memory back at a price.
    "distributed.nanny.pre-spawn-environ": {},
    # Takes a sample of what runs a hundred times a second.
    "distributed.worker.profile.enabled": False,
    # What looks after memory and balance has nothing to do here, but takes its time.
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.work-stealing": False,
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "1s",
    # A process that ends is noticed at once; one that is only slow is not to be given up.
    "distributed.scheduler.worker-ttl": None,
    # Nothing is served by HTTP.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
"""Settings of the scheduler and the workers that are started here, beside Dask's own defaults."""


@dataclass(frozen=True)
class News:
    """What came of something that was given to a worker.

    Attributes:
        ticket: as :meth:`Scheduler.give` returned it.
        value: what the function returned.
        error: what came in its place. A photo's own error is a value, so this is the cluster's.
    """

    ticket: str
    value: Any = None
    error: Exception | None = None


class Scheduler:
    """A connection to a scheduler; made by :func:`connect` and :func:`start`.

    Attributes:
        address: where it is.
    """

    def __init__(self, client: Any, held: ExitStack) -> None:
        self.address: str = client.scheduler.address
        self._client = client
        self._held = held
        self._futures: dict[str, Any] = {}
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._given = 0

    @property
    def lost(self) -> bool:
        """Whether the connection to the scheduler is lost."""
        return bool(self._client.status != "running")

    def workers(self) -> frozenset[str]:
        """Addresses of the workers that are there.

        Raises:
            MirnetError: the connection to the scheduler is lost.
        """
        if self.lost:
            raise self.gone()
        try:
            return frozenset(self._client.nthreads())
        except Exception as error:
            raise self.gone() from error

    def describe(self) -> Mapping[str, Mapping[str, Any]]:
        """What the scheduler knows of each worker: "name", "resources" …

        Raises:
            MirnetError: the connection to the scheduler is lost.
        """
        try:
            return dict(self._client.scheduler_info(n_workers=-1)["workers"])
        except Exception as error:
            raise self.gone() from error

    def give(
        self,
        worker: str,
        function: Callable[..., Any],
        *arguments: Any,
        resources: Mapping[str, float] | None = None,
    ) -> str:
        """Have a worker call a function; what comes of it is told by :meth:`news`."""
        self._given += 1
        # The scheduler looks into what it passes on, and need not have mirnet: what it sees is
        # Python's own function, which calls ours when the worker reads its argument.
        future = self._client.submit(
            pickle.loads,
            pickle.dumps(_Call(function, arguments)),
            key=f"mirnet-{self._client.id}-{self._given}",
            workers=[worker],
            resources=resources,
            pure=False,
        )
        self._futures[future.key] = future
        self._client.loop.add_callback(self._follow, future)
        return str(future.key)

    async def _follow(self, future: Any) -> None:
        try:
            value = await self._client.gather(future, asynchronous=True)
            self._news.put(News(future.key, value))
        except Exception as error:
            self._news.put(News(future.key, error=error))

    def forget(self, ticket: str) -> None:
        """Take something back; if it is begun it comes to its end, but is not told of."""
        future = self._futures.pop(ticket, None)
        if future is not None:
            with contextlib.suppress(Exception):
                future.cancel(force=True)

    def news(self, seconds: float) -> Iterator[News]:
        """What has come; at least one thing, if it comes within so many seconds."""
        while True:
            try:
                found = self._news.get(timeout=seconds) if seconds else self._news.get_nowait()
            except queue.Empty:
                return
            seconds = 0
            if self._futures.pop(found.ticket, None) is not None:
                yield found

    def tell(self, function: Callable[..., None], *arguments: Any) -> None:
        """Have all workers call a function at once, beside what they do; nobody waits for it."""

        async def told() -> None:
            with contextlib.suppress(Exception):
                await self._client.run(function, *arguments, on_error="ignore", asynchronous=True)

        self._client.loop.add_callback(told)

    def gone(self) -> MirnetError:
        """The error to raise when the connection to the scheduler is lost."""
        return MirnetError(
            "the connection to the scheduler is lost",
            "rerestart it and run again to continue",
            subject=f"--cluster {self.address}",
        )

    def close(self) -> None:
        """Leave; a scheduler that was started here ends with its workers."""
        for ticket in list(self._futures):
            self.forget(ticket)
        with contextlib.suppress(Exception):
            self._client.close(timeout=_LEAVING)
        self._held.close()


class _Call:
    """A call that is made where its pickle is read."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def require() -> None:
    """Refuse a cluster where the libraries for it are not installed (UsageError)."""
    for module in ("distributed", "cryptography"):
        extras.require(module, "a cluster", subject="--cluster")


def connect(where: str) -> Scheduler:
    """Connect to a scheduler that someone else runs.

    Args:
        where: ``tcp://host:8786``, ``tls://…``, or the path of a scheduler file.

    Raises:
        UsageError: it does not answer, or is of another version.
    """
    address = where if "://" in where else _address_in(Path(where))
    with ExitStack() as held:
        _silence(held)
        try:
            _knock(address)
            client, there = _in_thread(lambda: _connected(address), 2 * CONNECTING)
        except Exception as error:
            raise _unreachable(where, error) from error
        found = Scheduler(client, held.pop_all())
    here = metadata.version("distributed")
    if there != here:
        found.close()
        raise UsageError(
            f"the scheduler has distributed {there}, this machine has {here}",
            "install the same version on all machines",
            subject=f"--cluster {where}",
        )
    return found


def start(count: int, resources: Mapping[str, float] | None = None) -> Scheduler:
    """Start a scheduler with workers on this machine, which nobody else can reach.

    Workers that die are started again; all end with this process, however it ends.

    Args:
        count: how many workers. Their names are 0, 1 …
        resources: that each declares.

    Raises:
        MirnetError: they cannot be started.
    """
    import dask
    import distributed

    with ExitStack() as held:
        _silence(held)
        # Settings of the user's are for clusters of theirs.
        settings: dict[str, Any] = {}
        dask.config.refresh(config=settings, paths=[], env={})
        held.enter_context(dask.config.set({"distributed": settings["distributed"]}))
        held.enter_context(dask.config.set(_OF_ITS_OWN))

        def make() -> Any:
            return distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                scheduler_port=0,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                worker_dashboard_address=None,
                # mirnet keeps to a ceiling of its own, which Dask does not know.
                memory_limit=0,
                resources=dict(resources or {}),
                silence_logs=logging.CRITICAL,
                # Other users of this machine could connect, and have code run as this one: keys
                # that exist in these processes alone keep them out.
                security=distributed.Security.temporary(),
            )

        try:
            cluster = _in_thread(make, _STARTING)
            held.callback(_close_cluster, cluster)
            client = _in_thread(lambda: _client(cluster), _STARTING)
        except Exception as error:
            raise MirnetError(
                f"workers cannot be started ({type(error).__name__}: {error})",
                "use --jobs, or fewer workers",
                subject="--cluster",
            ) from error
        except BaseException:
            # Ctrl-C: what is half started would be waited for at the end of this process.
            _kill_workers()
            raise
        return Scheduler(client, held.pop_all())


def process_of(pid: int) -> Any:
    """The process of a worker that was started here; knows later how it ended."""
    return next((each for each in active_children() if each.pid == pid), None)


def _knock(address: str) -> None:
    """See whether anything listens there, which is known sooner than whether it is a scheduler.

    Raises:
        OSError: nothing does.
    """
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port or 8786), CONNECTING):
        pass


def _connected(address: str) -> tuple[Any, str]:
    """A client, and which version the scheduler has."""
    client = _client(address)
    return client, client.run_on_scheduler(metadata.version, "distributed")


def _client(where: Any) -> Any:
    import distributed

    class Client(distributed.Client):  # type: ignore[misc]
        """One that is not closed, which takes time and may fail, because it is forgotten."""

        def __del__(self) -> None: ...

    with warnings.catch_warnings():
        # Versions are compared by us.
        warnings.simplefilter("ignore")
        return Client(
            where,
            timeout=CONNECTING,
            set_as_default=False,
            name="mirnet",
            # All goes by way of the scheduler: workers may be where only it can reach them.
            direct_to_workers=False,
        )


def _address_in(path: Path) -> str:
    """The address in a scheduler file, which ``dask scheduler --scheduler-file`` writes."""
    try:
        return str(json.loads(path.expanduser().read_text(encoding="utf-8"))["address"])
    except OSError as error:
        what = f"scheduler file cannot be read ({reason(error)})"
    except (ValueError, KeyError, TypeError, RuntimeError):
        what = "not a scheduler file"
    raise UsageError(
        what, f"start one with 'dask scheduler --scheduler-file {path}'", subject="--cluster"
    )


def _unreachable(where: str, error: Exception) -> UsageError:
    text = " ".join((reason(error) if isinstance(error, OSError) else str(error)).split())
    return UsageError(
        f"no scheduler answers there ({text[:200] or type(error).__name__})",
        "check the address and that it is running",
        subject=f"--cluster {where}",
    )


def _silence(held: ExitStack) -> None:
    """Keep Dask from writing to stderr: what matters of it is said by us."""
    import distributed  # noqa: F401  # sets levels of its own

    for name in _LOGS:
        log = logging.getLogger(name)
        held.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL + 1)


def _in_thread(make: Callable[[], Any], seconds: float) -> Any:
    """What ``make`` returns or raises, or TimeoutError; Ctrl-C ends the waiting at once.

    Ctrl-C at a terminal reaches no process that comes of it: threads and processes inherit what
    is blocked from the thread that starts them.
    """
    made: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            made.put((make(), None))
        except Exception as error:
            made.put((None, error))

    with without_interrupts():
        threading.Thread(target=run, daemon=True, name="mirnet-cluster").start()
    try:
        found, error = made.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer after {seconds:.0f} seconds") from None
    if error is not None:
        raise error
    return found


def _close_cluster(cluster: Any) -> None:
    """End the workers that were started here: those that do not leave soon are killed."""

    def close() -> None:
        with contextlib.suppress(Exception):
            cluster.close(timeout=_LEAVING)

    closing = threading.Thread(target=close, daemon=True, name="mirnet-closing")
    closing.start()
    closing.join(_KINDLY)
    _kill_workers()
    closing.join(_LEAVING)


def _kill_workers() -> None:
    for process in active_children():
        if process.name.startswith(_WORKER):
            process.kill()
