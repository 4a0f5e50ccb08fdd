"""Folders of pictures, and the pairs of two of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirnet_cli.errors import InputError
from mirnet_cli.files import exists, is_folder, reason


@dataclass(frozen=True)
class Pair:
    """An input and the picture it should become; ``problem`` says why there is none."""

    name: str
    input: Path
    target: Path | None
    problem: str = ""


def find_pairs(inputs: Path, targets: Path) -> tuple[list[Pair], list[str]]:
    """Match pictures of two folders by their names without extension, sorted by name.

    Returns:
        The pairs, those without a partner marked by their ``problem``, and warnings.

    Raises:
        InputError: where a folder is missing or has no pictures, or no name is in both.
    """
    by_input, by_target = pictures(inputs), pictures(targets)
    common = by_input.keys() & by_target.keys()
    if not common:
        examples = f"{_first(by_input)} here, {_first(by_target)} in {targets}"
        raise InputError(
            f"no picture has a partner ({examples})",
            "pairs have the same name in both folders; the extension may differ",
            subject=inputs,
        )
    pairs = [_pair(name, by_input[name], by_target.get(name, []), targets) for name in by_input]
    extra = len(by_target.keys() - common)
    notes = [f"{extra} of its pictures have no input"] if extra else []
    return pairs, notes


def pictures(folder: Path) -> dict[str, list[Path]]:
    """The pictures of a folder by their names without extension, sorted.

    Hidden files and files of other kinds are left out.

    Raises:
        InputError: where there is no such folder, it cannot be read or has no pictures.
    """
    from mirnet_cli.photo.formats import FORMATS

    if not is_folder(folder):
        what = "not a folder" if exists(folder) else "there is no such folder"
        raise InputError(what, "give a folder of pictures", subject=folder)
    # Also those that cannot be read here, which then fail and say why.
    known = {each[1:] for format in FORMATS.values() for each in format.extensions}
    found: dict[str, list[Path]] = defaultdict(list)
    try:
        for path in sorted(folder.iterdir()):
            is_picture = path.suffix.lower().lstrip(".") in known and path.is_file()
            if is_picture and not path.name.startswith("."):
                found[path.stem].append(path)
    except OSError as error:
        what = f"the folder cannot be read ({reason(error)})"
        raise InputError(what, "check its permissions", subject=folder) from None
    if not found:
        raise InputError("there are no pictures in it", "check the path", subject=folder)
    return dict(found)


def _pair(name: str, inputs: Sequence[Path], targets: Sequence[Path], folder: Path) -> Pair:
    if not targets:
        return Pair(name, inputs[0], None, f"has no partner in {folder}")
    for each in (inputs, targets):
        if len(each) > 1:
            names = " and ".join(path.name for path in each[:2])
            return Pair(
                name, inputs[0], targets[0], f"{names} have the same name; keep one of them"
            )
    return Pair(name, inputs[0], targets[0])


def _first(pictures: dict[str, list[Path]]) -> str:
    return next(iter(pictures.values()))[0].name
