"""Names of outputs, and clashes among them, before anything is written."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mirnet_cli.errors import UsageError
from mirnet_cli.files import exists, nearest_folder, resolved, same_file
from mirnet_cli.photo.formats import written_extension
from mirnet_cli.places import Place

_ELSEWHERE = "give another -o, --suffix or --format"
_ONE_ALONE = "leave one out with --exclude, or do without --format"
"""All results of a batch go to one folder, under one suffix, whatever these are."""
_ENDINGS = {"enhance": "enhanced", "denoise": "denoised", "auto": "auto"}


def ending(task: str, scale: int = 1) -> str:
    """What a task adds to a name: ``enhanced``, ``denoised``, ``x2``."""
    return _ENDINGS.get(task, f"x{scale}")


def output_name(name: str, *, suffix: str = "", extension: str | None = None) -> str:
    """The file name of a result.

    Args:
        name: file name of the input, without folders.
        suffix: put before the extension ("-denoised").
        extension: of the output, without a dot; that of the input by default, where such files
            can be written.
    """
    stem, dot, old = name.rpartition(".")
    if not stem:
        stem, dot, old = name, "", ""
    extension = extension or written_extension(name)
    if extension is not None:
        dot, old = ".", extension
    return f"{stem}{suffix}{dot}{old}"


def folds_case(folder: Path) -> bool:
    """Whether the file system takes ``A.jpg`` and ``a.jpg`` for the same name there.

    Asked of the nearest existing folder by the other case of its own name.
    """
    existing = nearest_folder(folder)
    if existing is None:
        return False
    other = existing.with_name(existing.name.swapcase()) if existing.name else existing
    return other != existing and exists(other) and same_file(existing, other)


def refuse_clashes(
    pairs: Iterable[tuple[Place, Place]],
    *,
    in_place: bool = False,
    remedy: str | None = None,
) -> None:
    """Refuse outputs that are written twice or that are inputs.

    Args:
        pairs: input and output of each photo.
        in_place: an output may be its own input (the user named it and said to overwrite).
        remedy: what to do about it; by default what helps in a batch.

    Raises:
        UsageError: for the first clash.
    """
    for _, error in clashes(pairs, in_place=in_place, remedy=remedy):
        raise error


def clashes(
    pairs: Iterable[tuple[Place, Place]], *, in_place: bool = False, remedy: str | None = None
) -> Iterator[tuple[Place, UsageError]]:
    """Outputs that are written twice or that are inputs: the later input of each, and why.

    Args:
        pairs, in_place, remedy: as :func:`refuse_clashes` takes them.
    """
    known = list(pairs)
    identity = _Identity()
    by_input = {identity(source): source for source, _ in known}
    seen: dict[object, Place] = {}
    for source, target in known:
        name = identity(target, through_hard_links=False)
        if name in seen:
            first = seen[name]
            if identity(first) == identity(source):
                error = UsageError("given twice", "name each photo once", subject=source)
            else:
                what = f"{first} and {source} would both be written here"
                error = UsageError(what, remedy or _ONE_ALONE, subject=target)
            yield source, error
            continue
        seen[name] = source
        written = identity(target)
        if written in by_input and not (in_place and written == identity(source)):
            if written == identity(source):
                what, subject = "output and input are the same file", source
            else:
                what, subject = f"is an input and the output of {source} too", target
            error = UsageError(what, remedy or _ELSEWHERE, subject=subject)
            yield source, error


class _Identity:
    """Which file a path means: by inode where it exists, else by its folder and name.

    An object is its address. Names of one file that are hard links are different outputs, since
    replacing one leaves the other.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[object, bool]] = {}

    def __call__(self, path: Place, *, through_hard_links: bool = True) -> object:
        if not isinstance(path, Path):
            return path
        try:
            found = os.stat(path)  # noqa: PTH116
            if through_hard_links or found.st_nlink == 1:
                return (found.st_dev, found.st_ino) if found.st_ino else resolved(path)
            path = resolved(path)
        except (OSError, ValueError):
            pass
        folder, folds = self._folder(path.parent)
        return (folder, path.name.casefold() if folds else path.name)

    def _folder(self, folder: Path) -> tuple[object, bool]:
        if folder not in self._folders:
            real = resolved(folder)
            self._folders[folder] = (real, folds_case(real))
        return self._folders[folder]
