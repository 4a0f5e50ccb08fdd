"""Bring up to date what the documents repeat of the command line.

    python tools/documents.py

That is each ``$ mirnet … --help`` in a console block, the list of all commands, and the man pages.
A test fails where one of them is out of date.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from manual import manual  # noqa: E402

from mirnet_cli.cli import main as mirnet  # noqa: E402
from mirnet_cli.cli.app import COMMANDS, load_command  # noqa: E402

COMMANDS_PAGE = ROOT / "docs" / "commands.md"
MANUAL = ROOT / "man"

_HELP = re.compile(r"^\$ (mirnet(?: [a-z]+)* --help)\n(?:(?!\$ |```).*\n)*", re.MULTILINE)

_START = """# All commands and options

This page is made from the program (`make docs`). `mirnet COMMAND --help` and `man mirnet` say the
same.

"""


def help_of(command: str) -> str:
    """What ``mirnet … --help`` prints in a terminal of 80 columns."""
    out = io.StringIO()
    with patch.dict(os.environ, COLUMNS="80"), contextlib.redirect_stdout(out):
        code = mirnet(command.split()[1:])
    assert code == 0, command
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def refreshed(page: str) -> str:
    """A page with each ``--help`` in its console blocks as it is now."""
    return _HELP.sub(lambda found: f"$ {found[1]}\n{help_of(found[1])}", page)


def commands_page() -> str:
    """The page with the help of every command."""
    parts = [_START, _section("mirnet", 2)]
    for name in COMMANDS:
        parts.append(_section(f"mirnet {name}", 2))
        parts += [_section(f"mirnet {name} {sub}", 3) for sub in _inner(name)]
    return "\n".join(parts)


def _inner(name: str) -> list[str]:
    return list(getattr(load_command(name), "commands", {}))


def _section(command: str, level: int) -> str:
    text = help_of(f"{command} --help")
    return f"{'#' * level} {command}\n\n```console\n$ {command} --help\n{text}```\n"


def current() -> Iterator[tuple[Path, str]]:
    """Each file that repeats the command line, and what it should hold."""
    yield COMMANDS_PAGE, commands_page()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if path != COMMANDS_PAGE:
            yield path, refreshed(path.read_text(encoding="utf-8"))
    for name, text in manual().items():
        yield MANUAL / name, text


def main() -> None:
    """Write what has changed."""
    for path, text in current():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
