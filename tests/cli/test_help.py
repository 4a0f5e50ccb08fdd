"""Help, versions, completion."""

import re

import pytest

from mirnet_cli.cli.app import COMMANDS
from tests.cli.conftest import Mirnet, Process


def test_the_help_names_every_command(mirnet: Mirnet) -> None:
    ran = mirnet("--help")
    assert ran.code == 0
    for name, text in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(text[:20])}", ran.out, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(mirnet: Mirnet, name: str) -> None:
    ran = mirnet(name, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: mirnet {name}")
    assert all(len(line) <= 80 for line in ran.out.splitlines())


PHOTO_OPTIONS = """
    output model weights device precision runtime tile overlap context max-memory max-pixels
    strength ensemble crop format quality strip preserve overwrite json quiet verbose
"""
BATCH_OPTIONS = """
    task recursive include exclude suffix files-from jobs retry-failed dry-run shard max-time report
    cluster
"""


@pytest.mark.parametrize("name", ["enhance", "denoise", "upscale", "batch"])
def test_photo_commands_share_their_options(mirnet: Mirnet, name: str) -> None:
    words = mirnet(name, "--help").out
    expected = PHOTO_OPTIONS + (BATCH_OPTIONS if name == "batch" else "")
    for option in expected.split():
        assert re.search(rf"--{option}\b", words), option


def test_every_option_has_its_variable_except_overwrite() -> None:
    from mirnet_cli.cli.app import load_command

    photos = ("enhance", "denoise", "upscale", "batch", "compare", "train")
    commands = [load_command(name) for name in photos]
    for command in (*commands, load_command("models").commands["convert"]):
        for parameter in command.params:
            if parameter.param_type_name != "option":
                continue
            long = max(parameter.opts, key=len)
            expected = "MIRNET_" + long.removeprefix("--").upper().replace("-", "_")
            assert parameter.envvar == (None if long == "--overwrite" else expected)


def test_completion(process: Process) -> None:
    env = {"_MIRNET_COMPLETE": "complete_bash", "COMP_WORDS": "mirnet de", "COMP_CWORD": "1"}
    ran = process(env=env)
    assert ran.stdout.split() == [b"denoise"]
    env |= {"COMP_WORDS": "mirnet denoise --til", "COMP_CWORD": "2"}
    assert process(env=env).stdout.split() == [b"--tile"]
