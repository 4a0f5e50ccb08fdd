"""How this copy of mirnet was installed, and the command that adds something to it.

A remedy is a command for this very installation: the interpreter that runs, the clone that it was
installed from, ``uv tool``, ``pipx`` or the container's image.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import Distribution

PACKAGE = "mirnet-cli"
IMAGE = ".mirnet-image"
"""A file in the environment of the image that the repository's Dockerfile builds."""


def add_extra(extra: str) -> str:
    """The command that adds an extra ("heif") to this installation."""
    if _is_image():
        return f"build the image again with --build-arg EXTRAS={extra}"
    source = _source()
    if _receipt().is_file():
        return _uv_tool(source, extra)
    if source is None:
        # There may be no package of that name on an index, but there are those that it needs.
        return add(*requirements(extra))
    options, where = source
    if _is_pipx():
        # Pipx remembers what is injected, and brings it back after an upgrade.
        return add(*requirements(extra))
    return _command([*_pip(), "install", *options, _with_extras(where, [extra])])


def add(*requirements: str, again: bool = False) -> str:
    """The command that adds packages to this installation.

    Args:
        requirements: as pip takes them.
        again: install them even where they are there.
    """
    if _is_image():
        return f"build the image again, with {' '.join(requirements)} installed"
    if _receipt().is_file() and not again:
        source = _source()
        extended = [word for each in requirements for word in ("--with", each)]
        return _uv_tool(source, None, extended)
    if _is_pipx() and not again:
        return _command(["pipx", "inject", Path(sys.prefix).name, *requirements])
    return _command([*_pip(), "install", *(_again() if again else ()), *requirements])


def install_again() -> str:
    """The command that installs mirnet itself again."""
    if _is_image():
        return "build the image again"
    if _receipt().is_file():
        return f"uv tool upgrade --reinstall {PACKAGE}"
    if _is_pipx():
        return f"pipx reinstall {Path(sys.prefix).name}"
    options, where = _source() or ([], PACKAGE)
    return _command([*_pip(), "install", *_again(), "--no-deps", *options, where])


def requirements(extra: str) -> list[str]:
    """What an extra brings, as pip takes it; those with a condition only where it holds."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        from packaging.requirements import Requirement

        declared = [Requirement(each) for each in distribution(PACKAGE).requires or []]
    except (ImportError, PackageNotFoundError):
        return [f"{PACKAGE}[{extra}]"]
    wanted, pending, seen = [], [extra], set()
    while pending:
        name = pending.pop()
        seen.add(name)
        for each in declared:
            if each.marker is None or not each.marker.evaluate({"extra": name}):
                continue
            if each.marker.evaluate({"extra": ""}):
                # Of mirnet itself, whatever the extra.
                continue
            if each.name == PACKAGE:
                pending += sorted(each.extras - seen)
            else:
                wanted.append(f"{each.name}{each.specifier}")
    return wanted or [f"{PACKAGE}[{extra}]"]


def _pip() -> list[str]:
    if find_spec("pip") is None:
        # As in the environments that uv makes.
        return ["uv", "pip"]
    return [sys.executable or "python", "-m", "pip"]


def _again() -> list[str]:
    return ["--reinstall"] if find_spec("pip") is None else ["--force-reinstall"]


def _command(words: Iterable[str]) -> str:
    listed = list(words)
    if listed[:3] == ["uv", "pip", "install"]:
        listed[3:3] = ["--python", sys.executable or "python"]
    return subprocess.list2cmdline(listed) if os.name == "nt" else shlex.join(listed)


def _is_image() -> bool:
    return (Path(sys.prefix) / IMAGE).is_file()


def _is_pipx() -> bool:
    return (Path(sys.prefix) / "pipx_metadata.json").is_file()


def _receipt() -> Path:
    """What ``uv tool`` keeps in the environment of a tool."""
    return Path(sys.prefix) / "uv-receipt.toml"


def _uv_tool(
    source: tuple[list[str], str] | None, extra: str | None, more: Iterable[str] = ()
) -> str:
    """``uv tool install`` with what is there already, all of which it would remove otherwise."""
    options, where = source or ([], PACKAGE)
    extras, beside = _received()
    if extra is not None:
        extras = sorted({*extras, extra})
    kept = [word for each in beside for word in ("--with", each)]
    return _command(["uv", "tool", "install", *kept, *more, *options, _with_extras(where, extras)])


def _received() -> tuple[list[str], list[str]]:
    """The extras that ``uv tool`` was asked for, and the packages beside mirnet."""
    import tomllib

    try:
        found = tomllib.loads(_receipt().read_text(encoding="utf-8"))["tool"]["requirements"]
    except (OSError, ValueError, KeyError, TypeError):
        return [], []
    extras: list[str] = []
    beside: list[str] = []
    for each in found:
        if each.get("name") == PACKAGE:
            extras += each.get("extras", [])
        elif each.get("name"):
            beside.append(f"{each['name']}{each.get('specifier', '')}")
    return extras, beside


def _with_extras(where: str, extras: Iterable[str]) -> str:
    listed = ",".join(extras)
    if not listed:
        return where
    # An address takes the extras before it.
    return f"{PACKAGE}[{listed}] @ {where}" if "://" in where else f"{where}[{listed}]"


def _source() -> tuple[list[str], str] | None:
    """Options for the installer, and the folder, file or address that mirnet came from.

    None where it came from an index, or where what it came from is not there any more.
    """
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import unquote, urlsplit
    from urllib.request import url2pathname

    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        found = None
    direct = _direct_url(found)
    if direct is None:
        clone = Path(__file__).parents[1]
        return ([], str(clone)) if (clone / "pyproject.toml").is_file() else None
    address = str(direct.get("url", ""))
    if address.startswith("file:"):
        path = Path(url2pathname(unquote(urlsplit(address).path)))
        if not path.exists():
            return None
        editable = bool(direct.get("dir_info", {}).get("editable"))
        return (["--editable"] if editable else []), str(path)
    if system := direct.get("vcs_info", {}).get("vcs"):
        return [], f"{system}+{address}"
    return ([], address) if address else None


def _direct_url(found: "Distribution | None") -> dict[str, Any] | None:
    """Where an installation came from: direct_url.json of PEP 610."""
    text = None if found is None else found.read_text("direct_url.json")
    try:
        direct = json.loads(text or "null")
    except ValueError:
        return None
    return direct if isinstance(direct, dict) else None
