"""What the README tells people to type."""

import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.models import catalogue
from mirnet_cli.models.catalogue import Model
from tests import fakes
from tests.models.builders import tiny_network

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = [
    match.strip()
    for block in blocks("sh")
    for match in re.findall(r"(?:^|\s|/)(mirnet [a-z]+[^#\n|&<>]*)", block)
]


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 12
    assert {command.split()[1] for command in COMMANDS} >= {"denoise", "enhance", "upscale"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command: str) -> None:
    from mirnet_cli.cli.app import load_command

    _, name, *words = shlex.split(command)
    loaded = load_command(name)
    with loaded.make_context(name, words) as context:
        if hasattr(loaded, "get_command"):
            assert loaded.get_command(context, words[0]) is not None


@pytest.mark.parametrize("command", [each for each in COMMANDS if "--weights" not in each])
def test_photo_commands_do_what_they_say(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, name, *words = shlex.split(command.replace("$photo", "photo.jpg"))
    if name not in ("denoise", "enhance", "upscale", "batch") or not words:
        pytest.skip("not a command for photos, or one that reads a pipe")
    from mirnet_cli.cli import main

    fakes.install(monkeypatch)
    monkeypatch.chdir(tmp_path)
    outputs = {after for before, after in pairwise(words) if before == "-o"}
    for file in {*words, "holiday/a.jpg", "scans/a.jpg"} - outputs:
        if file.endswith((".jpg", ".png")):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text("photo")
    assert main([name, *words]) == 0


def test_the_python_example_runs(
    shipped: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped("denoise", ("denoise",), network=tiny_network(3))
    for name in ("in.jpg", "a.jpg", "b.jpg"):
        Image.new("RGB", (20, 10), (90, 80, 70)).save(name)
    (example,) = blocks("python")
    names = {"pixels": np.full((10, 20, 3), 90, np.uint8)}
    exec(compile(example, "README.md", "exec"), names)
    assert Path("out.jpg").exists()
    assert sorted(path.name for path in Path("out").glob("*.jpg")) == ["a.jpg", "b.jpg"]
    assert names["clean"].shape == (10, 20, 3)


@pytest.mark.skipif(not catalogue.entries(), reason="this state of the project ships no weights")
def test_links_lead_somewhere() -> None:
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\(([^)#]+)\)", README)
    inside = [link for link in links if "://" not in link]
    assert len(inside) > 8
    assert [link for link in inside if not (root / link).exists()] == []
