"""From a task, a name or a file to weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirnet_cli.errors import LicenceError, ModelError, UsageError
from mirnet_cli.models import catalogue, resolve, trust_store, weights
from mirnet_cli.models.catalogue import Model
from mirnet_cli.models.resolver import load_entry
from tests.models.builders import some_weights

Ship = Callable[..., Model]


@pytest.fixture
def models(shipped: Ship) -> Ship:
    """The shape of what ships: a default for each task and one more."""
    shipped("denoise", ("denoise",))
    shipped("denoise-strong")
    large = {"task": "upscale", "base": "bicubic"}
    shipped("upscale", ("upscale-x2", "upscale-x3", "upscale-x4"), scales=(2, 3, 4), **large)
    shipped("upscale-x1", ("upscale-x1",), scales=(1,), task="upscale")
    return shipped


@pytest.mark.parametrize(
    ("task", "options", "expected"),
    [
        ("denoise", {}, "denoise"),
        ("denoise", {"scale": 1}, "denoise"),
        ("denoise", {"model": "denoise-strong"}, "denoise-strong"),
        (None, {"model": "denoise-strong"}, "denoise-strong"),
        ("upscale", {}, "upscale"),
        ("upscale", {"scale": 4}, "upscale"),
        ("upscale", {"scale": 1}, "upscale-x1"),
    ],
)
def test_what_is_asked_for_is_found(
    models: Ship, task: str | None, options: dict[str, object], expected: str
) -> None:
    assert resolve(task, **options).name == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "options", "expected"),
    [
        ("dehaze", {}, "unknown task"),
        ("upscale", {"scale": 5}, "unknown scale"),
        ("denoise", {"scale": 2}, "only upscale has scales"),
        ("denoise", {"model": "upscale"}, "made for upscale, not for denoise"),
        ("upscale", {"model": "upscale", "scale": 1}, "the model upscale-x1 does that"),
        (None, {}, "no task, model or weights given"),
        ("denoise", {"model": "denoise", "weights": "x"}, "cannot be combined"),
    ],
)
def test_wrong_usage(
    models: Ship, task: str | None, options: dict[str, object], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        resolve(task, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "nothing"}, "no model of that name"),
        ({"weights": "nowhere.safetensors"}, "no such file"),
        ({"weights": "hf://a/b/c.safetensors"}, "switched off"),
        ({"weights": "https://example.org/c.safetensors"}, "not a file"),
    ],
)
def test_what_is_not_there(
    models: Ship, options: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNET_OFFLINE", "1")
    with pytest.raises(ModelError, match=expected) as caught:
        resolve("denoise", **options)  # type: ignore[arg-type]
    assert caught.value.remedy


def test_a_file_of_one_s_own(tmp_path: Path, models: Ship) -> None:
    path = tmp_path / "mine.safetensors"
    weights.save(path, some_weights(name="mine"))
    assert resolve("denoise", weights=str(path)).name == "mine"
    assert resolve(None, weights=str(path)).task == "denoise"
    with pytest.raises(UsageError, match="made for denoise, not for enhance"):
        resolve("enhance", weights=str(path))


def test_a_changed_byte_is_refused_at_every_load(models: Ship) -> None:
    path = catalogue.path_of(catalogue.find("denoise"))
    whole = path.read_bytes()
    # The last byte is a weight: the file stays well formed.
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match="not intact"):
        resolve("denoise")
    path.write_bytes(whole)
    assert resolve("denoise").sha256 == catalogue.find("denoise").sha256


def test_a_pointer_in_place_of_shipped_weights(models: Ship) -> None:
    path = catalogue.path_of(catalogue.find("denoise"))
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        resolve("denoise")
    path.unlink()
    with pytest.raises(
        ModelError, match=r"restore it with git in a checkout, or .*--force-reinstall"
    ):
        resolve("denoise")


def test_a_task_that_nothing_ships_for(shipped: Ship) -> None:
    with pytest.raises(ModelError, match="upscale-x3: this version of mirnet ships no weights"):
        resolve("upscale", scale=3)


def test_the_catalogue_may_choose_another_context(shipped: Callable[..., Model]) -> None:
    entry = shipped("denoise", ("denoise",), context="whole")
    assert load_entry(entry).context == "whole"
    assert load_entry(replace(entry, context="sample")).context == "sample"


def test_a_licence_has_to_be_accepted_even_where_the_file_ships(shipped: Ship) -> None:
    entry = replace(
        shipped("enhance-lol"),
        licence="LicenseRef-Research",
        commercial=False,
        licence_url="https://example.org/licence",
    )
    with pytest.raises(LicenceError, match="LicenseRef-Research, forbids commercial use"):
        load_entry(entry)
    trust_store.accept("LicenseRef-Research")
    assert load_entry(entry).name == "enhance-lol"
