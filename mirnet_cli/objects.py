"""Objects in stores, as a store: looked up, listed, read, and written whole or not at all.

Stores are reached through fsspec, which is imported when the first address comes; web addresses
(:mod:`mirnet_cli.web`) need nothing installed. Whatever a store or its library raises becomes one
line here, without secrets. Who may do what is left to the store's own environment (``AWS_…`` …).
"""

import base64
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from mirnet_cli import extras, settings
from mirnet_cli.errors import (
    InputError,
    MirnetError,
    OutputError,
    TransferError,
    UsageError,
    causes,
)
from mirnet_cli.files import PART_SUFFIX, exists_already
from mirnet_cli.places import WEB, Entry, Fingerprint, Place, Remote, Version, below

_BLOCK = 1 << 18
"""Bytes that are read beyond what is asked for: most photos say in them what they are."""
_PART = 8 << 20
"""Bytes of each part of a large upload; twice as much goes in one piece."""
_SLOWEST = 1 << 16
"""Bytes a second; an upload that stays slower than this has stalled."""
_TRIES = 2


@dataclass(frozen=True)
class _Whole:
    """A store in which an object appears at once, complete, or not at all.

    Attributes:
        typed: the argument of fsspec's ``pipe_file`` for a media type.
        options: of the file system, told how many seconds the store may be silent.
        parts: whether the size of an upload's parts can be said.
        plain: makes a file system that asks less of its store; None where there is no such thing.
    """

    typed: Callable[[str], dict[str, Any]]
    options: Callable[[float], dict[str, Any]] = lambda seconds: {}
    parts: bool = True
    plain: Callable[[Any], Any] | None = None


def _s3_options(seconds: float) -> dict[str, Any]:
    retries = {"mode": "standard", "total_max_attempts": _TRIES}
    times = {"connect_timeout": min(seconds, 10.0), "read_timeout": seconds}
    # Photos are read in parts, which have no checksums; some servers refuse to be asked for one.
    checks = {"response_checksum_validation": "when_required"}
    return {"config_kwargs": {**times, **checks, "retries": retries}}


def _s3_plain(system: Any) -> Any:
    """The same without the checksums that newer clients add: older servers refuse their headers."""
    config = {**system.config_kwargs, "request_checksum_calculation": "when_required"}
    options = {**system.storage_options, "config_kwargs": config, "skip_instance_cache": True}
    plain = type(system)(**options)
    plain.retries = system.retries
    return plain


_AZURE = _Whole(lambda kind: {"content_settings": {"content_type": kind}}, parts=False)
_WHOLE = {
    "s3": _Whole(lambda kind: {"ContentType": kind}, _s3_options, plain=_s3_plain),
    "gs": _Whole(lambda kind: {"content_type": kind}),
    **dict.fromkeys(("az", "abfs", "abfss"), _AZURE),
}
_RENAMING = {"sftp", "ftp"}
"""Schemes whose fsspec class renames on the server; a copy could be seen half-made."""
_TAGS = (
    *("ETag", "etag", "generation", "md5Hash", "mtime", "LastModified", "last_modified"),
    *("updated", "modify", "modified"),
)

_TIMES = {
    *("TimeoutError", "FSTimeoutError", "ReadTimeoutError", "ConnectTimeoutError"),
    *("ServerTimeoutError", "SocketTimeoutError"),
}
_UNREACHED = {
    "EndpointConnectionError",
    "ClientConnectorError",
    "ConnectionRefusedError",
    "gaierror",
}
_BROKEN = {
    *("ConnectionResetError", "BrokenPipeError", "ConnectionClosedError", "IncompleteRead"),
    *("ClientPayloadError", "ServerDisconnectedError", "HTTPClientError", "ClientOSError"),
    *("ResponseStreamingError", "IncompleteReadError"),
}
_LATER = "try again later"
_UNKNOWN = {
    *("NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed", "IncompleteBody"),
    *("MissingContentLength", "XAmzContentSHA256Mismatch", "SignatureDoesNotMatch"),
}
"""What servers that speak S3's language say of headers that they do not know."""
_WITHOUT = "AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
UNCHECKED = (
    "this store cannot refuse to replace an object, so whether one exists was checked just before"
)
"""What :func:`put` says of a store without conditional writes."""


def check(where: Remote, *, writing: bool = False) -> None:
    """Refuse an address that cannot be used here, before any work; nothing is asked of a store.

    Raises:
        UsageError: an unknown scheme, a missing package, no bucket, a place that is only read.
    """
    if settings.flag("MIRNET_OFFLINE"):
        raise UsageError("MIRNET_OFFLINE forbids the network", "unset it", subject=where)
    if not where.path:
        raise UsageError("names no bucket", "write s3://BUCKET/KEY", subject=where)
    if where.scheme not in WEB:
        _class(where)
    if writing and where.scheme not in _WHOLE and where.scheme not in _RENAMING:
        raise UsageError(
            f"{where.scheme}:// is only read", "name another output with -o", subject=where
        )


def version(remote: Remote) -> Version | None:
    """What a store says of an object now; None where there is none.

    Raises:
        TransferError: it cannot be asked.
    """
    known: Version | None = None
    with _explained(remote), contextlib.suppress(FileNotFoundError):
        if remote.scheme in WEB:
            from mirnet_cli import web

            known = web.version(remote.url)
        else:
            system, path = _system(remote)
            found = system.info(path)
            known = _version(found) if found.get("type") == "file" else None
    return known


def listing(folder: Remote, *, recursive: bool = True) -> Iterator[Remote]:
    """The objects below a prefix, with their versions; none where there are none."""
    with _explained(folder):
        system, path = _system(folder)
        try:
            if recursive:
                found = list(system.find(path, detail=True).values())
            else:
                found = system.ls(path, detail=True)
        except FileNotFoundError:
            return
        for entry in found:
            name = entry["name"].removeprefix(f"{path}/")
            if entry.get("type") == "file" and name != entry["name"] and name:
                yield (folder / name).at(_version(entry))


class Object:
    """An object as a sequence of bytes, fetched where it is sliced.

    Attributes:
        failure: what went wrong while it was read, though a decoder may have passed over it.
    """

    def __init__(self, remote: Remote, size: int, read: Callable[[int, int], bytes]) -> None:
        self._remote = remote
        self._size = size
        self._read = read
        self.failure: MirnetError | None = None

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice) -> bytes:
        start, stop, step = span.indices(self._size)
        if step != 1:
            raise ValueError("only contiguous spans can be read")
        if stop <= start:
            return b""
        if stop - start > (limit := settings.encoded_limit()):
            what = f"more than {limit >> 20} MiB"
            raise InputError(what, "save it to a file first", subject=self._remote)
        for left in reversed(range(_TRIES)):
            try:
                return self._fetched(start, stop)
            except MirnetError as error:
                if not left or not isinstance(error, TransferError):
                    self.failure = error
                    raise
        raise AssertionError("no tries")

    def _fetched(self, start: int, stop: int) -> bytes:
        with _explained(self._remote):
            data = self._read(start, stop)
            if len(data) != stop - start:
                raise EOFError
        return data


@contextmanager
def opened(remote: Remote) -> Iterator[Object]:
    """Give access to an object's bytes.

    Little more is fetched than what is asked for; what is asked for as a whole comes in one piece.

    Raises:
        InputError: there is none.
        TransferError: it cannot be read (to its end).
    """
    check(remote)
    with contextlib.ExitStack() as stack:
        with _explained(remote):
            if remote.scheme in WEB:
                from mirnet_cli import web

                stream = stack.enter_context(web.Stream(remote.url))
                data = Object(remote, len(stream), stream.read)
            else:
                system, path = _system(remote)
                file = system.open(path, "rb", block_size=_BLOCK, cache_type="readahead")
                stack.callback(file.close)
                file.seek(0, 2)
                data = Object(remote, int(file.tell()), lambda *span: _read(file, *span))
        yield data
        if data.failure is not None:
            raise data.failure


def read(remote: Remote) -> bytes:
    """A whole object; for small ones, as a journal."""
    with opened(remote) as data:
        return data[0 : len(data)]


def put(
    remote: Remote,
    data: bytes,
    *,
    overwrite: bool,
    kind: str = "application/octet-stream",
) -> tuple[str, ...]:
    """Write an object so that at every moment the old one or the whole new one is there.

    Args:
        remote: its place.
        data: its content.
        overwrite: whether an existing one may be replaced. If not, the store itself checks that
            in the same step (S3, Google, Azure); in those that rename the check comes just before.
        kind: its media type.

    Returns:
        A warning where the store could not check that.

    Raises:
        UsageError: nothing can be written there.
        OutputError: it exists, or cannot be written; what was sent is dropped.
    """
    check(remote, writing=True)
    with _explained(remote, writing=True):
        system, path = _system(remote)
        store = _WHOLE.get(remote.scheme)
        if store is None:
            _put_and_rename(system, path, data, overwrite=overwrite)
            return ()
        options = store.typed(kind) | ({"chunksize": _PART} if store.parts else {})
        try:
            checked = _put(_reached(remote), path, data, overwrite=overwrite, **options)
        except FileExistsError:
            # A first try may have come through although its answer was lost.
            if not _is(system, path, data):
                raise
            checked = True
    return () if checked else (UNCHECKED,)


def _put(reached: "_Reached", path: str, data: bytes, *, overwrite: bool, **options: Any) -> bool:
    """Write an object with all that its store knows; whether that checked what is to be checked.

    What a store has refused once is not asked of it again.
    """
    modes = ("overwrite",) if overwrite else ("create", "overwrite")
    ways = [(mode, plain) for mode in modes for plain in (False, True)]
    refused: Exception | None = None
    for mode, plain in ways[reached.first[overwrite] :]:
        system = reached.plain if plain else reached.system
        if system is None:
            continue
        if not overwrite and _there(system, path):
            # Some stores pass over the condition: what is there already is seen here.
            raise FileExistsError(path)
        more = {**options, "mode": mode}
        try:
            _within(_longest(len(data)), system, system._pipe_file, path, data, **more)
        except Exception as error:
            if not _not_known(error):
                raise
            refused = error
        else:
            reached.first[overwrite] = ways.index((mode, plain))
            return overwrite or mode == "create"
    assert refused is not None
    raise refused


def _not_known(error: BaseException) -> bool:
    """Whether a store may not know what was asked of it."""
    return any(_status(each) == 501 or _code(each) in _UNKNOWN for each in causes(error))


def _there(system: Any, path: str) -> bool:
    system.invalidate_cache()
    try:
        system.info(path)
    except FileNotFoundError:
        return False
    return True


def _longest(size: int) -> float:
    """Seconds after which an upload has stalled, with all that is tried again."""
    return _TRIES**2 * (settings.store_patience() + 5) + size / _SLOWEST


def _within(seconds: float, system: Any, function: Callable[..., Any], *w: Any, **more: Any) -> Any:
    """Call a coroutine of a file system's; what takes longer is given up."""
    import asyncio

    from fsspec.asyn import sync

    async def limited() -> Any:
        return await asyncio.wait_for(function(*w, **more), seconds)

    return sync(system.loop, limited)


def _is(system: Any, path: str, data: bytes) -> bool:
    """Whether an object is exactly this, as far as the MD5 tells that S3, Google or Azure states.

    Objects that came in parts may have none.
    """
    with contextlib.suppress(Exception):
        system.invalidate_cache()
        found = system.info(path)
        own = hashlib.md5(data, usedforsecurity=False)
        return found["size"] == len(data) and (
            str(found.get("ETag")).strip('"') == own.hexdigest()
            or found.get("md5Hash") == base64.b64encode(own.digest()).decode()
            or (found.get("content_settings") or {}).get("content_md5") == own.digest()
        )
    return False


def _put_and_rename(system: Any, path: str, data: bytes, *, overwrite: bool) -> None:
    folder, slash, _ = path.rpartition("/")
    temporary = f"{folder}{slash}.{secrets.token_hex(8)}{PART_SUFFIX}"
    system.makedirs(folder, exist_ok=True)
    try:
        system.pipe_file(temporary, data)
        system.invalidate_cache()
        if not overwrite and system.exists(path):
            raise FileExistsError(path)
        system.mv(temporary, path)
    except BaseException:
        with contextlib.suppress(Exception):
            system.rm_file(temporary)
        raise


def _read(file: Any, start: int, stop: int) -> bytes:
    file.seek(start)
    data = bytes(file.read(stop - start))
    while len(data) < stop - start and (more := file.read(stop - start - len(data))):
        data += more
    return data


def _version(info: dict[str, Any]) -> Version:
    size = info.get("size")
    tag = next((str(info[name]) for name in _TAGS if info.get(name)), "")
    return Version(-1 if size is None else int(size), tag)


def _class(remote: Remote) -> Any:
    """fsspec's class for an address.

    Raises:
        UsageError: there is none, or its package is missing.
    """
    extras.require("fsspec", f"{remote.scheme}://", subject=remote)
    from fsspec.registry import get_filesystem_class, known_implementations

    try:
        return get_filesystem_class(remote.scheme)
    except ValueError as error:
        raise UsageError(
            f"{remote.scheme}:// is not a known store",
            "use s3://, gs://, az://, https:// or a path",
            subject=remote,
        ) from error
    except ImportError as error:
        module = known_implementations[remote.scheme]["class"].partition(".")[0]
        if module == "fsspec":
            module = getattr(error.__cause__, "name", None) or "another package"
        what = f"{remote.scheme}:// needs {module}, which is not installed"
        raise UsageError(what, extras.remedy(module), subject=remote) from error


@dataclass(eq=False)
class _Reached:
    """A store that is reached.

    Attributes:
        system: fsspec's.
        first: of the ways to write, with and without ``overwrite``, the first that the store knows.
    """

    system: Any
    first: list[int] = field(default_factory=lambda: [0, 0])

    @cached_property
    def plain(self) -> Any:
        """A file system that asks less of the store; None where there is no such thing."""
        store = _WHOLE.get(self.system.protocol[0])
        return None if store is None or store.plain is None else store.plain(self.system)


def _system(remote: Remote) -> tuple[Any, str]:
    """The file system of an address, without what it remembers of folders, and the path in it."""
    system = _reached(remote).system
    system.invalidate_cache()
    return system, _class(remote)._strip_protocol(remote.url)


def _reached(remote: Remote) -> _Reached:
    kind = _class(remote)
    options = kind._get_kwargs_from_urls(remote.url)
    make = _shared if kind.async_impl else _own
    return make(remote.scheme, tuple(sorted(options.items())))


def _own(scheme: str, options: tuple[tuple[str, Any], ...]) -> _Reached:
    """A file system for this thread; fsspec keeps it."""
    from fsspec.registry import get_filesystem_class

    return _Reached(get_filesystem_class(scheme)(**dict(options)))


@cache
def _shared(scheme: str, options: tuple[tuple[str, Any], ...]) -> _Reached:
    """A file system for all threads: its work is done in one of fsspec's own."""
    from fsspec.registry import get_filesystem_class

    store = _WHOLE.get(scheme)
    more = {} if store is None else store.options(settings.store_patience())
    more["skip_instance_cache"] = True
    system = get_filesystem_class(scheme)(**{**more, **dict(options)})
    if scheme == "s3":
        # botocore tries again, and Object where an answer breaks off: together that is enough.
        system.retries = 1
    return _Reached(system)


@contextmanager
def _explained(remote: Remote, *, writing: bool = False) -> Iterator[None]:
    """Turn whatever a store's library raises into one line about this object."""
    try:
        yield
    except MirnetError as error:
        subject = error.subject or remote
        raise type(error)(error.what, error.remedy, subject=subject) from error
    except Exception as error:
        raise _error(error, remote, writing=writing) from error


def _error(error: Exception, remote: Remote, *, writing: bool) -> MirnetError:
    chain = list(causes(error))
    kind = OutputError if writing else TransferError
    if isinstance(error, FileNotFoundError):
        if writing:
            return OutputError("no such bucket", "create it, or check its name", subject=remote)
        return InputError("no such object", "check the name", subject=remote)
    if isinstance(error, FileExistsError) and writing:
        return exists_already(remote)
    what, remedy = _worded(chain, remote.scheme)
    if not what:
        text = str(error).partition("\n")[0].replace(remote.url, str(remote))
        text = re.sub(r"\?[^\s'\"]*", "", text) or type(error).__name__
        what = f"cannot be {'written' if writing else 'read'}: {text}"
        remedy = "check the address and the store"
    return kind(what, remedy, subject=remote)


def _worded(chain: list[BaseException], scheme: str) -> tuple[str, str]:
    """What is wrong, from the error and its causes; "" where they do not tell."""
    names = {type(each).__name__ for each in chain}
    status = next(filter(None, map(_status, chain)), 0)
    if names & {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
        return "there are no credentials for this store", _rights(scheme)
    if "PermissionError" in names or status in (401, 403):
        return f"the store refuses access{f' ({status})' if status else ''}", _rights(scheme)
    if status == 429 or any("SlowDown" in str(each) for each in chain):
        return "the store asks for fewer requests", _LATER
    if any(map(_not_known, chain)):
        said = str(chain[-1]).partition("\n")[0]
        remedy = f"set {_WITHOUT}, or use another store" if scheme == "s3" else "use another store"
        return f"the store did not understand the request ({said})", remedy
    if status >= 500:
        return f"the store failed ({status})", _LATER
    if names & {"FileExpired", "EOFError"}:
        return "it changed or was cut off while it was read", "try again"
    if names & _TIMES:
        seconds = f"{settings.store_patience():g} seconds"
        remedy = "try again later, or set MIRNET_STORE_TIMEOUT to more seconds"
        return f"the store did not answer for {seconds}", remedy
    if names & _BROKEN:
        return "the connection kept breaking", _LATER
    endpoint = " (AWS_ENDPOINT_URL)" if scheme == "s3" else ""
    remedy = f"check the address{endpoint} and the network"
    return ("the store cannot be reached", remedy) if names & _UNREACHED else ("", "")


def _rights(scheme: str) -> str:
    """What to do where a store refuses access."""
    if scheme in WEB:
        return "check the address; a signed one may have expired"
    example = " (AWS_PROFILE …)" if scheme == "s3" else ""
    return f"check the credentials in your environment{example}, and their rights"


def _code(error: BaseException) -> str:
    """S3's word for an error; "" for none."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _status(error: BaseException) -> int:
    """The HTTP status that an error tells of; 0 for none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    found = (getattr(error, name, None) for name in ("status", "status_code", "code"))
    return next((each for each in found if isinstance(each, int) and 400 <= each < 600), 0)


class Objects:
    """See :class:`mirnet_cli.stores.Store`."""

    far = True
    keeps_times = False

    def check(self, place: Remote, *, writing: bool = False) -> None:
        check(place, writing=writing)

    def check_source(self, place: Remote) -> None:
        if not self.exists(place):
            raise InputError("no such object", "check the name", subject=place)

    def check_target(self, place: Remote) -> None:
        if not place.name:
            raise UsageError(
                "names a bucket, not an object", "write s3://BUCKET/KEY", subject=place
            )

    def exists(self, place: Remote) -> bool:
        return version(place) is not None

    def is_folder(self, place: Remote) -> bool:
        """Never of a web address."""
        if place.scheme in WEB:
            return False
        with _explained(place):
            system, path = _system(place)
            there = bool(system.isdir(path))
        return there  # noqa: RET504

    def means_folder(self, place: Remote, text: str) -> bool:
        """Where nothing is yet, a name without an extension may mean either: a file."""
        return text.endswith("/") or (not place.suffix and self.is_folder(place))

    def same(self, place: Remote, other: Place) -> bool:
        return place == other

    def resolved(self, place: Remote) -> Remote:
        return place

    def listed(self, folder: Remote, path: Path) -> Place:
        return path if path.is_absolute() else folder / str(path)

    def listing(self, folder: Remote, into: Place, *, recursive: bool) -> Iterator[Entry]:
        """With their versions."""
        inner = below(into, folder) is not None
        for each in listing(folder, recursive=recursive):
            key = below(each, folder) or ""
            parts = {*key.split("/")} - {".", ".."}
            hidden = any(part.startswith(".") for part in parts)
            if not hidden and not (inner and below(each, into) is not None):
                yield Entry(key, each)

    def opened(self, place: Remote) -> AbstractContextManager[Object]:
        return opened(place)

    def size(self, place: Remote) -> int:
        with contextlib.suppress(MirnetError):
            known = place.version or version(place)
            return max(known.size, 0) if known else 0
        return 0

    def fingerprint(self, place: Remote) -> Fingerprint:
        known = place.version or version(place)
        if known is None:
            raise FileNotFoundError(str(place))
        return Fingerprint(known.size, 0, "", known.tag)

    def matches(self, place: Remote, known: Fingerprint) -> bool:
        return self.fingerprint(place) == known

    def write(
        self,
        place: Remote,
        data: bytes,
        *,
        overwrite: bool,
        kind: str,
        status: os.stat_result | None,
        preserve: bool,
    ) -> tuple[str, ...]:
        return put(place, data, overwrite=overwrite, kind=kind)


OBJECTS = Objects()
