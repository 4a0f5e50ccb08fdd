"""Files on the Hugging Face Hub: names, the client's cache, and fetching with patience of seconds.

The client (huggingface_hub) does what it is for: requests, tokens, its cache and locks. Here are
one question ahead with a short timeout, an end to its retries, and one line for each failure.
"""

import contextlib
import logging
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mirnet_cli import settings
from mirnet_cli._version import __version__
from mirnet_cli.errors import DownloadError, UsageError
from mirnet_cli.files import is_file, make_folder, nearest_folder
from mirnet_cli.models.hub_errors import not_the_hub, worded

Report = Callable[[int, int], None]
"""Told how many bytes have come, of how many."""

SCHEME = "hf://"
PROBE_SECONDS = 5.0
"""How long the first question may take; the client's own default is 10, five times over."""

PATIENCE = 2
"""Retries of the client that are allowed without a byte more than before."""

MAX_FILE = 2 << 30

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAMED = re.compile(
    rf"(?P<repository>{_PART}/{_PART})(?:@(?P<early>[^@]+?))?(?:/(?P<file>[^@]+))?(?:@(?P<late>[^@]+))?"
)
_SAFE = re.compile(r"[\w.+ -]+(?:/[\w.+ -]+)*")
_RETRIES = ("Retrying in", "Trying to resume")


@dataclass(frozen=True)
class Address:
    """A file on the Hub.

    Attributes:
        repository: ``"owner/name"``.
        file: path in it; empty where there is only one file of weights.
        revision: a branch, a tag or a commit.
    """

    repository: str
    file: str = ""
    revision: str = "main"

    def __str__(self) -> str:
        file = f"/{self.file}" if self.file else ""
        revision = "" if self.revision == "main" else f"@{self.revision}"
        return f"{SCHEME}{self.repository}{file}{revision}"

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never means another file."""
        return _COMMIT.fullmatch(self.revision) is not None


def parse(text: str) -> Address:
    """``hf://owner/repository[/file][@revision]``.

    Raises:
        UsageError: for anything else.
    """
    match = _NAMED.fullmatch(text.removeprefix(SCHEME))
    if match is not None and not (match["early"] and match["late"]):
        revision = match["early"] or match["late"] or "main"
        address = Address(match["repository"], match["file"] or "", revision)
        if all(_is_safe(part) for part in (address.repository, address.file, address.revision)):
            return address
    raise UsageError(
        "not a file on the Hub", "write hf://owner/repository/file[@revision]", subject=text
    )


def _is_safe(path: str) -> bool:
    if not path:
        return True
    parts = path.split("/")
    return _SAFE.fullmatch(path) is not None and not {"", ".", ".."} & set(parts)


def path_of(address: Address) -> Path:
    """Where the client keeps, or would keep, a file of a commit."""
    return _folder(address) / "snapshots" / address.revision / address.file


def _folder(address: Address) -> Path:
    return settings.hub_cache() / f"models--{address.repository.replace('/', '--')}"


def cached(address: Address) -> Path | None:
    """The file in the client's cache, found without the client and without a request."""
    folder = _folder(address)
    commit = address.revision
    if not address.pinned:
        try:
            commit = (folder / "refs" / address.revision).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
    if not _COMMIT.fullmatch(commit):
        return None
    snapshot = folder / "snapshots" / commit
    if address.file:
        path = snapshot / address.file
        return path if is_file(path) else None
    found = sorted(snapshot.glob("*.safetensors"))
    return found[0] if len(found) == 1 else None


def download(
    address: Address,
    *,
    size: int | None = None,
    force: bool = False,
    report: Report | None = None,
) -> Path:
    """Fetch a file into the client's cache.

    Args:
        address: which.
        size: bytes that it must have, where that is known.
        force: fetch it even though it is in the cache.
        report: told of the progress.

    Returns:
        Its path in the cache. What it holds has not been verified.

    Raises:
        DownloadError: for every way in which that can fail, within seconds.
    """
    check_online(address)
    settings.quiet_hub()
    with _one_line(address), patience() as counter:
        import huggingface_hub

        if not address.file:
            address = replace(address, file=_only_file(address))
        endpoint = settings.hub_endpoint()
        url = huggingface_hub.hf_hub_url(
            address.repository, address.file, revision=address.revision, endpoint=endpoint
        )
        found = huggingface_hub.get_hf_file_metadata(
            url,
            timeout=PROBE_SECONDS,
            endpoint=endpoint,
            library_name="mirnet",
            library_version=__version__,
        )
        if found.commit_hash is None or not _COMMIT.fullmatch(found.commit_hash):
            raise not_the_hub(address)
        pinned = path_of(replace(address, revision=found.commit_hash))
        room = settings.hub_cache() if force or not pinned.is_file() else None
        check_size(address, found.size, size, room)
        huggingface_hub.hf_hub_download(
            address.repository,
            address.file,
            # The commit that was looked at; a branch may move in between.
            revision=found.commit_hash,
            cache_dir=settings.hub_cache(),
            endpoint=endpoint,
            etag_timeout=PROBE_SECONDS,
            force_download=force,
            tqdm_class=_bar(report, counter),
            library_name="mirnet",
            library_version=__version__,
        )
        if not address.pinned:
            _note_branch(address, found.commit_hash)
        # Not the client's own: it resolves links in the folder of its cache.
        return pinned


def check_online(subject: object) -> None:
    """Refuse where the network must not be used (DownloadError)."""
    if settings.offline():
        raise DownloadError(
            "not on this machine, and network access is switched off",
            "unset MIRNET_OFFLINE and HF_HUB_OFFLINE, or bring the file with "
            "'mirnet models download --to DIR' from another machine",
            subject=subject,
        )


def remove(address: Address) -> bool:
    """Remove a file from the client's cache; whether it was there.

    What the cache keeps for other commits stays.
    """
    path = cached(address)
    if path is None:
        return False
    target = path.resolve()
    path.unlink()
    folder = _folder(address)
    blobs = (folder / "blobs").resolve()
    others = (each for each in (folder / "snapshots").rglob("*") if each.is_symlink())
    if target.parent == blobs and not any(each.resolve() == target for each in others):
        target.unlink(missing_ok=True)
    return True


def _only_file(address: Address) -> str:
    import huggingface_hub

    api = huggingface_hub.HfApi(endpoint=settings.hub_endpoint(), library_name="mirnet")
    listed = api.model_info(address.repository, revision=address.revision, timeout=PROBE_SECONDS)
    names = [each.rfilename for each in listed.siblings or []]
    found = [name for name in names if name.endswith(".safetensors") and "/" not in name]
    if len(found) != 1 or not _is_safe(found[0]):
        some = ", ".join(names[:5]) or "none"
        what = (
            "this repository does not have one .safetensors file"
            if not found
            else (f"this repository has {len(found)} .safetensors files")
        )
        raise DownloadError(what, f"name one of its files: {some[:200]}", subject=address)
    return found[0]


def _note_branch(address: Address, commit: str) -> None:
    """Remember what a branch meant, as the client does for branches that it is given."""
    path = _folder(address) / "refs" / address.revision
    with contextlib.suppress(OSError):
        make_folder(path.parent)
        path.write_text(commit, encoding="ascii")


def check_size(address: object, found: int | None, wanted: int | None, room: Path | None) -> None:
    """Refuse a file that is not as large as it has to be, or larger than can be (DownloadError).

    Args:
        address: where it is.
        found: its bytes; None where that is not known.
        wanted: bytes that it must have, where that is known.
        room: the folder that it goes to, whose disk has to have room for it; None asks for none.
    """
    if found is None:
        return
    if wanted and found != wanted:
        what = f"the file there has {found:,} bytes, not {wanted:,}"
        raise DownloadError(what, "it has been replaced; update mirnet", subject=address)
    if found > MAX_FILE:
        what = f"too large for weights ({found / 2**30:.1f} GiB)"
        raise DownloadError(what, f"files up to {MAX_FILE >> 30} GiB are read", subject=address)
    existing = None if room is None else nearest_folder(room)
    free = None if existing is None else shutil.disk_usage(existing).free
    if room is not None and free is not None and free < found:
        raise disk_full(room, address, f" ({found / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free)")


def disk_full(folder: Path, subject: object, detail: str = "") -> DownloadError:
    """No space is left where downloads go."""
    remedy = f"make room in {folder}, or set HF_HOME or MIRNET_CACHE to another disk"
    return DownloadError(f"no space is left{detail}", remedy, subject=subject)


def _bar(report: Report | None, counter: "Counter") -> Any:
    """What the client takes for a progress bar."""

    class Bar:
        def __init__(self, *_: Any, total: int | None = None, initial: int = 0, **__: Any) -> None:
            self._total, self._done = total or 0, initial

        def update(self, count: int = 1) -> None:
            self._done += count
            counter.best = max(counter.best, self._done)
            if report is not None:
                report(self._done, max(self._total, self._done))

        def close(self) -> None:
            pass

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    return Bar


class _GaveUp(Exception):  # noqa: N818
    """The client wanted to try again once too often."""


class Counter(logging.Handler):
    """Counts the client's retries, which it announces before it waits, and ends them.

    By what it logs: ``hf_hub_download`` of huggingface_hub 2.4 passes no limit on to the functions
    beneath it that have one.

    Attributes:
        best: how many bytes had come at most. The client itself would go on for ever with a server
            that breaks off at the same point again and again.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.best = 0
        self._before = 0
        self._left = PATIENCE

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "HTTP Error 429" in text or "Rate limited" in text:
            raise _GaveUp("429")
        if not any(sign in text for sign in _RETRIES):
            return
        if self.best > self._before:
            self._before, self._left = self.best, PATIENCE
        self._left -= 1
        if self._left < 0:
            raise _GaveUp(text)


@contextlib.contextmanager
def patience() -> Iterator[Counter]:
    """Keep the client quiet and limit its retries."""
    counter = Counter()
    logger = logging.getLogger("huggingface_hub")
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers, logger.propagate = [counter], False
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield counter
    finally:
        logger.handlers, logger.propagate = before[0], before[2]
        logger.setLevel(before[1])


@contextlib.contextmanager
def _one_line(address: Address) -> Iterator[None]:
    """Whatever goes wrong inside becomes a DownloadError."""
    try:
        yield
    except (DownloadError, MemoryError):
        raise
    except Exception as error:
        raise worded(error, address) from error
