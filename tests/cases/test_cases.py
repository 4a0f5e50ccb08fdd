"""All cases, and the tables in docs/fidelity.md that says what they prove."""

import re
import sys
from pathlib import Path

import pytest

from mirnet_cli.models import weights
from tests.cases import batches, fidelity, hostile, options, writing
from tests.cases.case import run
from tests.models.builders import some_weights, tiny_network

CLASSES = {
    "fidelity": fidelity.cases,
    "hostile": hostile.cases,
    "writing": writing.cases,
    "batch": batches.cases,
    "options": options.cases,
}
CASES = {f"{kind}: {case.name}": case for kind, make in CLASSES.items() for case in make()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small weights: they add about three levels to each pixel."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weights.save(path, some_weights(network=tiny_network(3)))
    return path


@pytest.mark.parametrize("name", CASES)
def test_case(
    name: str,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from mirnet_cli.cli import main

    def command(words: list[str]) -> tuple[int, str, str]:
        code = main(words)
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return code, out, err

    monkeypatch.chdir(tmp_path)
    run(CASES[name], tmp_path, command, small, monkeypatch)


def test_each_has_a_name_of_its_own() -> None:
    assert len(CASES) == sum(len(list(make())) for make in CLASSES.values())


def test_what_is_promised_is_what_is_proved() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fidelity.md").read_text(encoding="utf-8")
    table = page.split("## What is promised", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    promised = {row for row in rows if not row.startswith("---")} - HEADINGS
    assert promised == {case.promise for case in CASES.values()}


HEADINGS = {"kept", "refused", "written", "batches", "commands"}
"""First cells of the tables' heads."""
