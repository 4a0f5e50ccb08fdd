"""Models that do not come with mirnet: fetched once, held to their hash ever after."""

import hashlib
import os
from pathlib import Path

from mirnet_cli import settings
from mirnet_cli.errors import LicenceError, ModelError
from mirnet_cli.models import catalogue, container, hub, trust_store
from mirnet_cli.models.catalogue import Model
from mirnet_cli.models.hub import Report


def ensure(
    model: Model, *, accept: bool = False, force: bool = False, report: Report | None = None
) -> Path:
    """The path of a model's file, fetched if it is not here.

    Args:
        model: which.
        accept: the user accepts its licence, where that forbids commercial use.
        force: fetch it even though it is here.
        report: told of the progress.

    Raises:
        LicenceError: where the licence forbids commercial use and has not been accepted.
        ModelError: where it cannot be fetched, or is not the file that the catalogue means.
    """
    if accept and not model.commercial:
        trust_store.accept(model.licence)
    path = catalogue.path_of(model)
    here = path.is_file() and not force
    if not here and model.source not in ("hub", "url"):
        raise catalogue.missing(model)
    check_licence(model)
    if here:
        return path
    for last in (False, True):
        path = _fetched(model, force=force or last, report=report)
        digest = _digest(path)
        if not model.sha256:
            trust_store.hold(model.url, digest)
        found = catalogue.compare(model, path, digest)
        if found.ok:
            return path
    _discard(model)
    remedy = "it was fetched twice; update mirnet"
    if not model.sha256:
        remedy = f"if its publisher replaced it, run 'mirnet models remove {model.name}' first"
    # What was kept is gone, so the path of the file says nothing.
    raise ModelError(found.what, remedy, subject=model.name)


def check_licence(model: Model) -> None:
    """Refuse a licence that forbids commercial use until the user accepts it (LicenceError)."""
    if model.commercial or trust_store.accepted(model.licence):
        return
    raise LicenceError(
        f"its licence, {model.licence}, forbids commercial use",
        f"read {model.licence_url}, then run 'mirnet models download {model.name} "
        "--accept-licence'",
        subject=model.name,
    )


def verified(model: Model, *, report: Report | None = None) -> tuple[bytes, str, Path]:
    """The bytes of a model's file, fetched if need be, their hash, and the path.

    A fetched file that has changed is fetched again, once.

    Raises:
        ModelError: where it is not here and cannot be fetched, or is not intact.
    """
    path = ensure(model, report=report)
    data, digest = read(path, trusted=model.shipped)
    found = catalogue.compare(model, path, digest)
    if not found.ok and model.source in ("hub", "url") and not settings.offline():
        path = ensure(model, force=True, report=report)
        data, digest = read(path)
        found = catalogue.compare(model, path, digest)
    if not found.ok:
        # A git-lfs pointer in a checkout says more than a wrong hash.
        kind = container.foreign_kind(data[:512])
        raise found.error() if kind is None else ModelError(*kind, subject=path)
    return data, digest, path


def from_hub(
    text: str, *, refresh: bool = False, force: bool = False, report: Report | None = None
) -> tuple[bytes, str, Path]:
    """The bytes of a file on the Hub named by ``hf://…``, their hash, and the path.

    Where the client's cache has it, nothing is asked, unless ``refresh`` wants to know whether a
    branch has moved, or ``force`` to fetch it again. It is held to the hash that the Hub stated
    for it, or else to that of the first download.

    Raises:
        UsageError: for a name that is none.
        ModelError: where it cannot be fetched, or is not intact.
    """
    address = hub.parse(text)
    path = None if force or (refresh and not address.pinned) else hub.cached(address)
    path = path or hub.download(address, force=force, report=report)
    data, digest = read(path)
    if _held(path, digest):
        return data, digest, path
    if settings.offline():
        what = "not intact: its sha256 is not that of the first download"
        remedy = "unset MIRNET_OFFLINE and HF_HUB_OFFLINE, so that it is fetched again"
        raise ModelError(what, remedy, subject=text)
    path = hub.download(address, force=True, report=report)
    data, digest = read(path)
    if _held(path, digest):
        return data, digest, path
    what = "not intact, even fetched again: its sha256 is not that of the first download"
    raise ModelError(what, "use another revision", subject=text)


def read(path: Path, *, trusted: bool = False) -> tuple[bytes, str]:
    """The bytes of a file and their hash.

    Args:
        path: the file.
        trusted: small enough that it is always hashed; else a hash is remembered and not computed
            again while size, time and inode stay the same.
    """
    data, status = container.read_file(path)
    digest = None if trusted else trust_store.sha256_of(path, status)
    if digest is None:
        digest = hashlib.sha256(data).hexdigest()
        if not trusted:
            trust_store.remember(path, status, digest)
    return data, digest


def remove(model: Model) -> bool:
    """Remove a fetched model's file, and what the next is held to; whether it was there.

    Raises:
        ModelError: for one that came with mirnet, or that cannot be removed.
    """
    if model.shipped:
        raise ModelError(
            "comes with mirnet and cannot be removed alone", "uninstall mirnet", subject=model.name
        )
    try:
        removed = _discard(model)
    except OSError as error:
        what = f"cannot be removed ({error.strerror})"
        raise ModelError(what, "check permissions", subject=catalogue.path_of(model)) from None
    trust_store.forget(model.url)
    return removed


def _discard(model: Model) -> bool:
    if model.source == "hub":
        return hub.remove(catalogue.address_of(model))
    path = catalogue.path_of(model)
    if not path.is_file():
        return False
    path.unlink()
    return True


def _fetched(model: Model, *, force: bool, report: Report | None) -> Path:
    if model.source == "hub":
        address = catalogue.address_of(model)
        return hub.download(address, size=model.bytes or None, force=force, report=report)
    # Not above: it takes libraries that nothing needs but a download.
    from mirnet_cli.models import web

    path = catalogue.path_of(model)
    web.download(model.url, path, size=model.bytes, report=report)
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        trust_store.remember(path, os.fstat(file.fileno()), digest)
    return digest


def _held(path: Path, digest: str) -> bool:
    """Whether a file in the client's cache has the hash that it should have.

    The client names large files by the sha256 that the Hub states for them.
    """
    stated = path.resolve().name
    key = path.relative_to(settings.hub_cache()).as_posix()
    expected = stated if len(stated) == 64 and stated.isalnum() else trust_store.first(key)
    if expected is None:
        trust_store.hold(key, digest)
        return True
    return digest == expected
