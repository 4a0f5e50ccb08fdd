"""``mirnet train`` as words; the training itself is tested in ``tests/training``."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet_cli.cli.console import Display
from mirnet_cli.training import job, loop
from mirnet_cli.training.options import TrainOptions
from mirnet_cli.training.photos import Pair
from mirnet_cli.training.recipe import find
from mirnet_cli.training.run import Progress

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("task", "command"),
    [("denoise", "denoise"), ("upscale", "upscale"), ("upscale-x1", "upscale --scale 1")],
)
def test_the_end_says_how_to_use_the_weights(
    real: Run, monkeypatch: pytest.MonkeyPatch, task: str, command: str
) -> None:
    asked = []

    def run(task: str, options: TrainOptions, **told: Any) -> Path:
        asked.append((task, options))
        return Path("runs/w.safetensors")

    monkeypatch.setattr(job, "run", run)
    Path("photos").mkdir()
    ran = real("train", task, "--data", "photos", "--hours", "2", "--seed", "3")
    assert ran.code == 0, ran.err
    assert f"try 'mirnet {command} FILE --weights runs/w.safetensors'" in ran.err
    assert asked == [(task, TrainOptions(data=(Path("photos"),), hours=2.0, seed=3))]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("denoise", "mirnet: nothing to train on; give --data DIR, --pairs DIR, or both"),
        (
            f"denoise --data {'n' * 300}",
            f"mirnet: {'n' * 300}: no such folder; check --data, --pairs and --panoramas",
        ),
        (
            "denoise --data . --threads 100000",
            "mirnet: --threads: '100000' is not a whole number from 1 to 4096; "
            "see 'mirnet train --help'",
        ),
        (
            "denoise --data gone",
            "mirnet: gone: no such folder; check --data, --pairs and --panoramas",
        ),
    ],
)
def test_wrong_usage(real: Run, words: str, said: str) -> None:
    ran = real("train", *words.split())
    assert (ran.code, ran.err.strip()) == (2, said)


def test_a_report_without_a_loss(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a finished run tells that is resumed: it has learned nothing since."""
    scores = {"psnr": 27.246, "ssim": 0.80716, "baseline": 26.457}

    def run(task: str, options: TrainOptions, report: Callable[..., None], **told: Any) -> Path:
        report(find(task)[0], Progress(9200, 9200, 5.0, None, 0.0, **scores))
        return Path("runs/w.safetensors")

    monkeypatch.setattr(job, "run", run)
    Path("photos").mkdir()
    ran = real("train", "denoise", "--data", "photos", "--json")
    said = "step 9200 of 9200, PSNR 27.25 dB (unchanged 26.46), SSIM 0.8072"
    assert f"network: {said}\n" in ran.err
    record = json.loads(ran.out.splitlines()[0])
    assert record["loss"] is None
    assert {name: record[name] for name in scores} == scores


def test_the_beginning_says_what_is_trained_on_and_what_is_kept_apart(
    real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    photos = [Pair(str(i), (black,)) for i in range(3)]
    begun = loop.Run(find("denoise")[0], Path("runs"), photos, [], photos[:1], [], steps=1)

    def run(task: str, options: TrainOptions, begin: Callable[..., None], **told: Any) -> Path:
        begin(begun)
        begin(dataclasses.replace(begun, pairs=photos[:2], held_out_pairs=photos))
        return Path("runs/w.safetensors")

    monkeypatch.setattr(job, "run", run)
    Path("photos").mkdir()
    ran = real("train", "denoise", "--data", "photos")
    first, second, *_ = ran.err.splitlines()
    assert first == "network: photos 3 (to validate 1)"
    assert second == "network: photos 3 (to validate 1), pairs 2 (to validate 3)"


def test_the_bar_tells_pace_loss_and_the_next_validation(
    real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = loop.Run(find("denoise")[0], Path("runs"), [], [], [], [], steps=9000, seed=0)
    shown: list[tuple[int, int, str]] = []
    monkeypatch.setattr(Display, "steps", lambda _, *what: shown.append(what))

    def run(task: str, options: TrainOptions, begin: Callable[..., None], **told: Any) -> Path:
        begin(begun)
        for step, seconds in ((5200, 60.0), (5400, 160.0)):
            begun.stepped(Progress(step, 9000, seconds, 0.0123, 0.0))
        return Path("runs/w.safetensors")

    monkeypatch.setattr(job, "run", run)
    Path("photos").mkdir()
    real("train", "denoise", "--data", "photos")
    assert shown == [
        (5200, 9000, "step 5200/9000, loss 0.0123"),
        (5400, 9000, "step 5400/9000, 2/s, loss 0.0123, validation in 5:00"),
    ]
