"""What a batch would do, as data: which photos, and where each result goes."""

import hashlib
import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import Annotated

from mirnet_cli import stores, values
from mirnet_cli.errors import UsageError
from mirnet_cli.files import resolved
from mirnet_cli.options import COMPUTING, WHERE, WHICH, Options, Setting
from mirnet_cli.photo.formats import Unreadable, format_from_name, unreadable_here
from mirnet_cli.places import Place, Remote, below
from mirnet_cli.restore.names import clashes, output_name, refuse_clashes
from mirnet_cli.stores import is_folder, same_file


@dataclass(frozen=True)
class Item:
    """One photo of a batch.

    Attributes:
        key: the photo's path below the folder, with forward slashes; its name in the journal.
        source: the file or object that is read.
        target: the file or object that is written.
        error: why this cannot be done, where that is known already (a folder that cannot be
            listed).
        unreadable: why files of its kind cannot be read here, where that is the reason.
    """

    key: str
    source: Place
    target: Place
    error: str | None = None
    unreadable: Unreadable | None = None


@dataclass(frozen=True)
class Plan:
    """What a batch would do. ``items`` are in the order of their keys."""

    into: Place
    items: tuple[Item, ...]
    shard: tuple[int, int] | None = None


@dataclass(frozen=True)
class Selection(Options):
    """Which photos of a folder, and how their results are called.

    Attributes:
        include: patterns of which one must match; letters' case does not matter. A pattern with
            a slash is matched against the path below the folder, one without against the name.
        exclude: patterns of which none may match, likewise.
        shard: (i, n): only part i of n, counted from 1; the same everywhere, as it depends on
            the key of each photo alone.
        extension: of each result, without a dot; that of the photo by default.
    """

    recursive: Annotated[
        bool,
        Setting("Include subfolders; their structure is kept.", WHICH, flags=("-r", "--recursive")),
    ] = False
    include: Annotated[
        tuple[str, ...],
        Setting(
            "Only photos whose name (or path, with a /) matches; may be repeated.",
            WHICH,
            metavar="GLOB",
            parse=values.patterns,
        ),
    ] = ()
    exclude: Annotated[
        tuple[str, ...],
        Setting(
            "Skip photos whose name matches; may be repeated.",
            WHICH,
            metavar="GLOB",
            parse=values.patterns,
        ),
    ] = ()
    shard: Annotated[
        tuple[int, int] | None,
        Setting(
            "Only part i of n, counted from 1; the same split on every machine.",
            WHICH,
            metavar="i/n",
            parse=values.shard,
        ),
    ] = None
    suffix: Annotated[
        str, Setting("Added to the name, before the extension.", WHERE, metavar="TEXT")
    ] = ""
    extension: str | None = None

    def __post_init__(self) -> None:
        """Refuse a suffix that leads to another folder, too.

        Raises:
            UsageError: it does, or a value is none.
        """
        super().__post_init__()
        if {"/", os.sep, "\0"} & set(self.suffix):
            raise UsageError("holds a path separator", "use letters and dashes", subject="--suffix")


@dataclass(frozen=True)
class BatchOptions(Selection):
    """How a batch goes on, beside which photos it is of."""

    retry_failed: Annotated[bool, Setting("Try again what failed before.", WHICH)] = False
    max_time: Annotated[
        float | None,
        Setting(
            "Stop starting new photos after this long (90s, 30m, 2h); run again to continue.",
            COMPUTING,
            metavar="TIME",
            parse=values.seconds,
        ),
    ] = None


@dataclass(frozen=True)
class _Found:
    key: str
    source: Place
    error: str | None = None
    unreadable: Unreadable | None = None


def _is_named_as_photo(path: PurePath | Remote) -> bool:
    from mirnet_cli.photo.formats import EXTENSIONS

    return path.suffix.lower() in EXTENSIONS


def make_plan(
    paths: Sequence[Place],
    into: Place,
    selection: Selection,
    *,
    root: Place | None = None,
    outputs: Collection[str] = (),
    known: Collection[str] | None = None,
) -> Plan:
    """Find the photos and name their results; nothing is decoded or written.

    Args:
        paths: folders, whose photos are taken, and single files, whatever their extension.
            An address with the extension of a photo is one, and the store is not asked.
        into: the folder for the results. It is never read, unless it is one of ``paths``.
        selection: which photos, and how results are called.
        root: ``paths`` are a list of files, of which those below this folder keep their place
            below it and others only their name; a folder among them is an error of its own.
        outputs: keys in ``into`` that an earlier run has written (the journal's): not inputs.
        known: keys of photos that have their place already. With them a clash is an error of the
            photo that came later, and is not raised.

    Raises:
        InputError: a folder of ``paths`` does not exist.
        UsageError: two results would have the same name, or a result the name of an input; an
            address is of no store that is known here.
    """
    found: dict[str, _Found] = {}
    for path in paths:
        stores.check(path)
        single = _is_photo(path) or root is not None or not is_folder(path)
        for each in [_single(path, root)] if single else _sorted(_below(path, into, selection)):
            if single and not _chosen(PurePosixPath(each.key), selection):
                continue
            if each.key in found and not same_file(found[each.key].source, each.source):
                raise UsageError(
                    f"has the same name as {found[each.key].source}",
                    "put them in different folders and give the folder that holds both",
                    subject=each.source,
                )
            found.setdefault(each.key, each)
    written = {_place(into / output) for output in outputs}
    items = [
        Item(
            each.key,
            each.source,
            _target(into, each.key, selection),
            each.error,
            each.unreadable,
        )
        for each in (found.values() if root is None else _sorted(found.values()))
        if not (written and _place(each.source) in written)
    ]
    if any(same_file(path, into) for path in paths) and is_folder(into):
        _refuse_in_place(items, into)
    if known is None:
        refuse_clashes(_pairs(items))
    else:
        items = _without_clashes(items, known)
    if selection.shard is not None:
        items = [item for item in items if in_shard(item.key, *selection.shard)]
    return Plan(into, tuple(items), selection.shard)


def _sorted(found: Iterable[_Found]) -> list[_Found]:
    return sorted(found, key=lambda each: each.key)


def _pairs(items: Iterable[Item]) -> list[tuple[Place, Place]]:
    return [(item.source, item.target) for item in items if item.error is None]


def _without_clashes(items: list[Item], known: Collection[str]) -> list[Item]:
    """The items, of which those that clash have an error."""
    first = [item for item in items if item.key in known]
    later = [item for item in items if item.key not in known]
    errors = {source: str(error) for source, error in clashes(_pairs([*first, *later]))}
    return [
        replace(item, error=errors[item.source]) if item.source in errors else item
        for item in items
    ]


def in_shard(key: str, index: int, count: int) -> bool:
    """Whether a photo belongs to part ``index`` of ``count``, counted from 1.

    Decided by the hash of the key, so that machines that list different files, in a different
    order or with another way of composing accents, still agree.
    """
    text = unicodedata.normalize("NFC", key).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % count == index - 1


def _refuse_in_place(items: Iterable[Item], into: Place) -> None:
    if any(_place(item.source) == _place(item.target) for item in items):
        raise UsageError(
            "results would replace the photos they are made from",
            "give --suffix, or another folder with -o",
            subject=into,
        )


def _place(path: Place) -> Place:
    """The path with links in its folders followed, but not a link that is the file itself."""
    return resolved(path.parent) / path.name if isinstance(path, Path) else path


def _target(into: Place, key: str, selection: Selection) -> Place:
    folder, slash, name = key.rpartition("/")
    name = output_name(name, suffix=selection.suffix, extension=selection.extension)
    return into / f"{folder}{slash}{name}"


def _is_photo(path: Place) -> bool:
    return stores.of(path).far and _is_named_as_photo(path)


def _single(path: Place, root: Place | None) -> _Found:
    inner = None
    if root is not None:
        inner = below(_place(path), stores.of(root).resolved(root))
        if not _is_photo(path) and is_folder(path):
            return _Found(inner or str(path), path, "is a folder; list the photos in it")
    return _checked(inner or path.name, path)


def _checked(key: str, source: Place) -> _Found:
    """A photo found under a key, which may be one that leads elsewhere: stores allow any."""
    if format_from_name(source.name) and (why := unreadable_here(source.name)):
        return _unreadable(key, source, why)
    if not _usable(key):
        remedy = "give it another name, or do it alone with -o"
        return _Found(key, source, f"its name cannot be a file name; {remedy}")
    return _Found(key, source)


def _usable(key: str) -> bool:
    parts = key.split("/")
    separators = {"\0", *filter(None, (os.sep, os.altsep))} - {"/"}
    if os.name == "nt":
        # Of a drive, or of a file's second content.
        separators.add(":")
    return not (set(parts) & {"", ".", ".."} or separators & set(key))


def _below(folder: Place, into: Place, selection: Selection) -> Iterator[_Found]:
    """The photos in a folder."""
    for each in stores.of(folder).listing(folder, into, recursive=selection.recursive):
        if each.error is not None:
            yield _Found(each.key, each.place, each.error)
        elif not _chosen(path := PurePosixPath(each.key), selection):
            continue
        elif _is_named_as_photo(path):
            yield _checked(each.key, each.place)
        elif why := unreadable_here(path.name, wanted=bool(selection.include)):
            yield _unreadable(each.key, each.place, why)


def _unreadable(key: str, source: Place, why: Unreadable) -> _Found:
    return _Found(key, source, f"{why.what}; {why.remedy}", why)


def _chosen(path: PurePath, selection: Selection) -> bool:
    """Whether the patterns let a photo pass."""
    if selection.include and not any(_matches(path, each) for each in selection.include):
        return False
    return not any(_matches(path, each) for each in selection.exclude)


def _matches(path: PurePath, pattern: str) -> bool:
    text = path.as_posix() if "/" in pattern else path.name
    return fnmatchcase(text.casefold(), pattern.removeprefix("./").casefold())
