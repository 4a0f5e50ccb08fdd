"""How further steps are written, and what each is loaded with."""

from typing import Any

import pytest

from mirnet_cli.errors import UsageError
from mirnet_cli.restore.options import LoadOptions
from mirnet_cli.restore.steps import ChainOptions, Then


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("enhance", Then("enhance")),
        (" denoise ", Then("denoise")),
        ("enhance:0.6", Then("enhance", own=tuple({"strength": 0.6}.items()))),
        (
            "enhance:.5,ensemble",
            Then("enhance", own=tuple({"strength": 0.5, "ensemble": True}.items())),
        ),
        (
            "enhance:ensemble,strength=1",
            Then("enhance", own=tuple({"ensemble": True, "strength": 1.0}.items())),
        ),
        ("enhance:ensemble=no", Then("enhance", own=tuple({"ensemble": False}.items()))),
        ("upscale:scale=3", Then("upscale", scale=3)),
        ("upscale:model=upscale-x1, scale=1", Then("upscale", model="upscale-x1", scale=1)),
        ("denoise:weights=a,b=c.pth", Then("denoise", weights="a,b=c.pth")),
        ("denoise:weights=C:\\w.safetensors", Then("denoise", weights="C:\\w.safetensors")),
        (
            "denoise:weights=hf://me/it/w.safetensors@v1,strength=0.5",
            Then(
                "denoise",
                weights="hf://me/it/w.safetensors@v1",
                own=tuple({"strength": 0.5}.items()),
            ),
        ),
    ],
)
def test_a_step_is_read(text: str, expected: Then) -> None:
    assert Then.of(text) == expected
    assert Then.of(expected) is expected
    assert ChainOptions(then=text).then == (expected,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unknown task"),
        ("auto", "unknown task"),
        ("Enhance", "unknown task"),
        ("enhance;0.6", "unknown task"),
        ("enhance:", "not a number from 0 to 1"),
        ("enhance:7", "not a number from 0 to 1"),
        ("enhance:nan", "not a number from 0 to 1"),
        ("enhance:0.5,0.6", "not a number from 0 to 1"),
        ("enhance:0.5,strength=0.6", "strength is given twice"),
        ("enhance:scale=2", "only upscale has scales"),
        ("denoise:ev=1", "only enhance has ev"),
        ("upscale:strength=0.5,shadows=1", "only enhance has shadows"),
        ("upscale:scale=5", "is not 1, 2, 3 or 4"),
        ("upscale:scale=", "scale has no value"),
        ("denoise:model=a,weights=b", "cannot be combined"),
        ("denoise:tile=64", "'tile' is not one of"),
        ("denoise:ensemble=maybe", "ensemble must be yes or no"),
    ],
)
def test_what_is_no_step_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        ChainOptions(then=[text])  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"--then {text}: ")


def asked(*then: str, **options: Any) -> list[tuple[Any, ...]]:
    steps = ChainOptions(then=then, **options).steps()  # type: ignore[arg-type]
    return [(each.task, each.model, each.weights, each.scale) for each in steps]


def test_each_step_has_what_is_said_of_it_and_what_holds_for_all() -> None:
    assert asked("enhance", task="denoise", model="mine") == [
        ("denoise", "mine", None, None),
        ("enhance", None, None, None),
    ]
    first, then = ChainOptions(  # type: ignore[arg-type]
        task="denoise", then="enhance:model=m", device="cpu", tile=64, weights="w"
    ).steps()
    assert (type(first), first.device, then.device, then.tile) == (LoadOptions, "cpu", "cpu", 64)
    assert (first.weights, then.weights, then.model) == ("w", None, "m")


def test_the_scale_is_of_the_step_that_is_upscale() -> None:
    scales = [each[3] for each in asked("enhance", "upscale", task="denoise", scale=3)]
    assert scales == [None, None, 3]
    assert [each[3] for each in asked("denoise", task="upscale", scale=4)] == [4, None]
    assert [each[3] for each in asked("upscale:scale=1", task="upscale", scale=2)] == [2, 1]
    assert [each[3] for each in asked("denoise", weights="w", scale=2)] == [2, None]


@pytest.mark.parametrize(
    ("task", "then", "said"),
    [
        ("denoise", ("enhance",), "only upscale has scales"),
        ("denoise", (), "only upscale has scales"),
        ("denoise", ("upscale:scale=2",), "already given for the step"),
        ("upscale", ("upscale",), "more than one step is upscale"),
    ],
)
def test_a_scale_that_is_of_no_step_is_refused(task: str, then: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked(*then, task=task, scale=2)
