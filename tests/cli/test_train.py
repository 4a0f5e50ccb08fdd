"""``mirnet train`` as words; the training itself is tested in ``tests/training``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirnet_cli import training

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("task", "command"),
    [("denoise", "denoise"), ("upscale", "upscale"), ("upscale-x1", "upscale --scale 1")],
)
def test_the_end_says_how_to_use_the_weights(
    real: Run, monkeypatch: pytest.MonkeyPatch, task: str, command: str
) -> None:
    asked: dict[str, Any] = {}

    def run(task: str, **options: Any) -> Path:
        asked.update(options, task=task)
        return Path("runs/w.safetensors")

    monkeypatch.setattr(training, "run", run)
    Path("photos").mkdir()
    ran = real("train", task, "--data", "photos", "--hours", "2", "--seed", "3")
    assert ran.code == 0, ran.err
    assert f"try 'mirnet {command} FILE --weights runs/w.safetensors'" in ran.err
    assert asked["data"] == [Path("photos")]
    assert (asked["task"], asked["hours"], asked["seed"]) == (task, 2.0, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("denoise", "mirnet: nothing to train on; give --data DIR, --pairs DIR, or both"),
        ("denoise --data gone", "mirnet: gone: no such folder; check --data and --pairs"),
    ],
)
def test_wrong_usage(real: Run, words: str, said: str) -> None:
    ran = real("train", *words.split())
    assert (ran.code, ran.err.strip()) == (2, said)
