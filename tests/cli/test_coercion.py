"""What was typed means the same with and without pydantic, which plain words do without."""

import json
import subprocess
import sys
from typing import Any

import pytest

from mirnet_cli.cli import coercion
from mirnet_cli.cli.app import COMMANDS, load_command

TYPED: dict[str, list[Any]] = {
    "denoise": [
        ["a.jpg"],
        ["a.jpg", "b.jpg", "-o", "out/", "--quiet", "--json"],
        ["a.jpg", "--strength", "0.5", "--tile", "512", "--overlap", "16", "--precision", "fp32"],
        ["a.jpg", "--max-memory", "4G", "--crop", "1,2,30,40", "--then", "upscale", "--bgr"],
        ["a.jpg", "--then", "upscale", "--then", "enhance", "--set", "sigma=0.1", "--quality", "9"],
    ],
    "batch": [["folder"], ["folder", "--jobs", "2", "--include", "*.jpg", "--shard", "1/3"]],
    "upscale": [["a.jpg", "--scale", "3", "--device", "cpu"]],
    "bench": [[], ["--megapixels", "1,12", "--compare"]],
}


def meant(command: str, words: list[str]) -> dict[str, Any]:
    context: Any = load_command(command).make_context(command, list(words))
    return dict(context.params)


@pytest.mark.parametrize(
    ("command", "words"), [(name, words) for name, lines in TYPED.items() for words in lines]
)
def test_words_mean_what_typer_makes_of_them(
    command: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = meant(command, words)
    monkeypatch.setattr(coercion, "_plain", lambda value, parameter: coercion._UNKNOWN)
    usual = meant(command, words)
    assert plain == usual
    assert {name: type(value) for name, value in plain.items()} == {
        name: type(value) for name, value in usual.items()
    }


def test_defaults_are_what_typer_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in COMMANDS:
        for parameter in getattr(load_command(command), "params", []):
            if parameter.default is None or parameter.required:
                continue
            usual = parameter.get_runtime_param
            context: Any = None
            assert coercion.plainly(parameter).get_runtime_param().coerce(
                parameter.default, param=parameter, ctx=context
            ) == usual().coerce(parameter.default, param=parameter, ctx=context), parameter.name


def test_a_usual_command_line_needs_no_pydantic() -> None:
    script = (
        "import json, sys\n"
        "from mirnet_cli.cli import main\n"
        "main(['denoise', 'missing.jpg', '-o', 'x.jpg', '--tile', '512', '--precision', 'fp32'])\n"
        "print(json.dumps('pydantic' in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert json.loads(ran.stdout) is False, ran.stderr
