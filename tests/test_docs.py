"""The commands in docs/ are commands that there are."""

import re
import shlex
from pathlib import Path

import pytest

from mirnet_cli.models import catalogue

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
COMMANDS = [
    line
    for page in PAGES
    for block in re.findall(
        r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command: str) -> None:
    from mirnet_cli.cli.app import load_command

    _, name, *words = shlex.split(command, comments=True)
    loaded = load_command(name)
    with loaded.make_context(name, words[:1] if name == "models" else words) as context:
        if name == "models":
            inner = loaded.get_command(context, words[0])
            assert inner.make_context(words[0], words[1:], parent=context).params
        elif "--model" in words:
            assert catalogue.find(words[words.index("--model") + 1])
