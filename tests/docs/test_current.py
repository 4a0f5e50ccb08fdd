"""What the documents repeat of the program is as the program says it."""

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import documents
import manual
import pytest

import mirnet_cli
from mirnet_cli.errors import ExitCode
from mirnet_cli.restore.result import Result
from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"


@pytest.mark.parametrize(
    ("path", "text"), list(documents.current()), ids=lambda each: getattr(each, "name", "")
)
def test_help_texts_and_man_pages(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run 'make docs'"


def test_no_man_page_is_left_over() -> None:
    assert {path.name for path in documents.MANUAL.iterdir()} == set(manual.manual())


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_man_pages_are_set_without_a_warning() -> None:
    for path in sorted(documents.MANUAL.iterdir()):
        ran = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        assert ran.stderr == ""


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    rows = re.search(r"^\|.*\n\|[-| :]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows, f"{page}: no table below {heading!r}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]


def test_exit_codes() -> None:
    told = [int(code) for cells in table("scripts.md", "## Exit codes") for code in [cells[0]]]
    assert told == [int(code) for code in ExitCode]


def test_fields_of_a_result() -> None:
    told = re.findall(
        r"`(\w+)`", " ".join(row[0] for row in table("scripts.md", "## One object per photo"))
    )
    assert told == [field.name for field in dataclasses.fields(Result)]


def test_errors_and_public_names() -> None:
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    for name in mirnet_cli.__all__:
        assert name in page or name == "__version__", name


def test_each_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in DOCS.glob("*.md"):
        assert f": {path.name}\n" in menu, path.name


def test_links_to_files_lead_somewhere() -> None:
    from tests.docs.blocks import pages

    for page in pages():
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
