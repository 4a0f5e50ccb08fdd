"""Completion in shells: of the one that is named, with the values of options."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import Mirnet


@pytest.mark.parametrize(
    ("shell", "mark"),
    [
        ("bash", "complete -o default -F _mirnet_completion mirnet"),
        ("zsh", "#compdef mirnet"),
        ("fish", "complete --command mirnet"),
        ("pwsh", "Register-ArgumentCompleter"),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
def test_the_shell_that_is_named(mirnet: Mirnet, shell: str, mark: str, joined: bool) -> None:
    words = [f"--show-completion={shell}"] if joined else ["--show-completion", shell]
    ran = mirnet(*words)
    assert (ran.code, ran.err) == (0, "")
    assert mark in ran.out


def test_a_shell_that_is_none(mirnet: Mirnet) -> None:
    ran = mirnet("--install-completion", "tcsh")
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.said
        == "mirnet: --install-completion: 'tcsh' is not one of bash, zsh, fish, powershell, pwsh"
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("mirnet denoise --device ", "auto cpu cuda mps"),
        ("mirnet denoise --precision f", "fp32 fp16"),
        ("mirnet batch --task ", "enhance denoise upscale"),
        ("mirnet upscale --scale ", "1 2 3 4"),
        ("mirnet denoise --format j", "jpg"),
        ("mirnet denoise --model denoi", "denoise"),
        ("mirnet models show upscale-", "upscale-x1"),
        ("mirnet models li", "list"),
        ("mirnet den", "denoise"),
    ],
)
def test_values_are_offered(words: str, offered: str) -> None:
    environment = {
        **os.environ,
        "_MIRNET_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    script = "from mirnet_cli.cli import main; raise SystemExit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = ran.stdout.split()
    assert set(offered.split()) <= set(found), ran.stderr
    typed = words.rpartition(" ")[2]
    assert all(each.startswith(typed) for each in found)
