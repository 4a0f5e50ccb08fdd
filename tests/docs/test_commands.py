"""Every command that the documents show exists, and those that can be run here do what they say."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mirnet_cli.restore
from mirnet_cli.cli.app import load_command
from mirnet_cli.models import catalogue
from tests.docs.blocks import NEEDS, ROOT, agrees, blocks, is_for_a_shell, pages, words
from tests.models import checkpoints
from tests.stores.conftest import Bucket, _client, _proxy, bucket, s3

__all__ = ["_client", "_proxy", "bucket", "s3"]

ALL = [block for page in pages() for block in blocks(page)]
SHELL = ("sh", "bash", "console")
COMMANDS = sorted({(b.page, c) for b in ALL if b.language in SHELL for c in b.commands})

Real = Callable[..., Any]
REAL_LOAD = mirnet_cli.restore.load

ONCE = ("mirnet doctor", "mirnet models")
"""What does not depend on the folder is run for the first page that has it alone."""
DONE: set[str] = set()


def test_blocks_are_found() -> None:
    assert {page for page, _ in COMMANDS} >= {"README.md", "docs/batches.md", "docs/models.md"}


def test_titles_say_why_a_block_is_not_run() -> None:
    for block in ALL:
        if block.language in SHELL:
            assert not block.title or block.title in NEEDS, f"{block.page}:{block.line}"


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_each_command_is_understood(page: str, command: str) -> None:
    name, *rest = words(command)
    if name.startswith("-"):
        return
    loaded = load_command(name)
    if "--help" in rest:
        return
    with loaded.make_context(name, rest[:1] if hasattr(loaded, "commands") else rest) as context:
        if hasattr(loaded, "commands"):
            inner = loaded.get_command(context, rest[0])
            assert inner is not None
            rest = rest[1:]
            assert inner.make_context(rest[0] if rest else "", rest, parent=context) is not None
    if "--model" in rest and "NAME" not in rest:
        assert catalogue.find(rest[rest.index("--model") + 1])


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if page.parent.name != "weights" and page.name != "commands.md"],
    ids=lambda page: page.name,
)
def test_what_a_page_shows_works(
    page: Path,
    real: Real,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """The page's blocks in their order, in one folder, with the weights that ship."""
    if page.name == "stores.md":
        fill(request.getfixturevalue("bucket"))
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(mirnet_cli.restore, "load", load)
    make_files(tmp_path)
    names: dict[str, Any] = {"pixels": np.full((10, 20, 3), 90, np.uint8)}
    for block in blocks(page):
        where = f"{block.page}:{block.line}"
        if not block.runs:
            continue
        if block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language in SHELL:
            for command, expected in block.steps():
                if is_for_a_shell(command):
                    run_in_shell(command, tmp_path, where)
                elif not command.startswith(ONCE) or command not in DONE:
                    run_one(real, command, expected, where)
                    DONE.add(command)


@cache
def load(*words: Any, **options: Any) -> Any:
    """The real one; what is compiled once serves all pages."""
    return REAL_LOAD(*words, **options)


def run_one(real: Real, command: str, expected: str | None, where: str) -> None:
    """One call of mirnet, in this process; a refusal that a console block shows may fail."""
    ran = real(*words(command))
    if expected is None:
        assert ran.code == 0, f"{where}: {command}\n{ran.err}"
    else:
        printed = ran.out + ran.err
        assert agrees(printed, expected), f"{where}: {command} prints\n{printed}"


def run_in_shell(command: str, folder: Path, where: str) -> None:
    """What is more than a call of mirnet, by bash; with the stand-in for networks, for speed."""
    tools = folder / ".tools"
    tools.mkdir(exist_ok=True)
    script = tools / "mirnet"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.fakes "$@"\n')
    script.chmod(0o755)
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, f"{where}: {command}\n{ran.stderr}"


def make_files(folder: Path) -> None:
    """The photos and files that the documents speak of, small."""
    pictures = iter(_pictures())
    for name in (
        *("photo.jpg", "dark.jpg", "soft.jpg", "small.png", "scan.png", "a.jpg", "b.jpg", "in.jpg"),
        *("holiday/a.jpg", "holiday/day2/b.jpg", "scans/a.jpg", "scans/b.jpg"),
        *("noisy/a.jpg", "noisy/b.jpg", "clean/a.jpg", "clean/b.jpg"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        next(pictures).save(path)
    (folder / "list.txt").write_text("a.jpg\nb.jpg\n")
    shipped = catalogue.path_of(catalogue.find("denoise")).read_bytes()
    for name in ("mine.safetensors", "runs/mine/denoise.safetensors"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(shipped)
    import torch

    torch.save(checkpoints.small("mirnet_v1"), folder / "model_denoising.pth")
    torch.save({"params": checkpoints.small("mirnet_v2")}, folder / "real_denoising.pth")


def fill(bucket: Bucket) -> None:
    """The bucket that the documents speak of."""
    for key in ("scans/a.jpg", "scans/b.jpg", "scans/1999/c.jpg"):
        stream = io.BytesIO()
        next(_pictures()).save(stream, "JPEG")
        bucket[key] = stream.getvalue()


def _pictures() -> Iterator[Image.Image]:
    random = np.random.default_rng(0)
    while True:
        noise = random.normal(0, 12, (48, 64, 3))
        ramp = np.linspace(20, 120, 64)[None, :, None]
        yield Image.fromarray(np.clip(ramp + noise, 0, 255).astype(np.uint8))
