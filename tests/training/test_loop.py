"""The training loop on pictures made here: it learns, stops, and goes on exactly."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet_cli.errors import InputError, MirnetError
from mirnet_cli.networks.configs import CompactConfig
from mirnet_cli.training import checkpoint, integers, loop, losses, residual
from mirnet_cli.training.optimiser import OPTIMISERS, Optimiser
from mirnet_cli.training.photos import Pair, random_crops, split
from mirnet_cli.training.recipe import RECIPES, Batch, Stage
from mirnet_cli.training.run import Run

TINY = CompactConfig(widths=(8, 16), groups=1, blocks=1)


def photos(count: int = 6) -> list[Pair]:
    """Smooth coloured pictures."""
    made = []
    for i in range(count):
        rng = np.random.default_rng(i)
        y, x = np.mgrid[:96, :112] / 24
        waves = [np.sin(x * rng.uniform(0.5, 2) + y * rng.uniform(0.5, 2)) for _ in range(3)]
        made.append(Pair(f"photo-{i}", (np.uint8(128 + 100 * np.stack(waves, 2)),)))
    return made


def small_run(folder: Path, name: str = "denoise", part: int = 0, **changes: object) -> Run:
    recipe = RECIPES[name][part]
    config = dataclasses.replace(
        TINY,
        inputs=recipe.config.inputs,
        unshuffle=recipe.config.unshuffle,
        scales=recipe.config.scales,
    )
    recipe = dataclasses.replace(
        recipe, config=config, stages=(Stage(0.5, 48, 2), Stage(1.0, 48, 4))
    )
    run = Run(recipe, folder, photos(5), [], photos(1), [], steps=8, validate_every=4)
    return dataclasses.replace(run, **changes)


MOMENTS = {
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "muon": ("step", "exp_avg", "exp_avg_sq", "momentum_buffer"),
}


def assert_same_end(folder: Path, optimiser: str) -> None:
    """The runs in ``once`` and ``twice`` ended with the same bytes."""
    for file in ("model", "average", *MOMENTS[optimiser]):
        one = (folder / "once/checkpoint" / f"{file}.safetensors").read_bytes()
        two = (folder / "twice/checkpoint" / f"{file}.safetensors").read_bytes()
        assert one == two, file


@pytest.mark.parametrize("optimiser", OPTIMISERS)
# Of the heads of upscale, one makes each step.
@pytest.mark.parametrize("name", ["denoise", "upscale"])
def test_resumed_run_ends_with_the_same_weights(tmp_path: Path, name: str, optimiser: str) -> None:
    recipe = dataclasses.replace(small_run(tmp_path, name).recipe, optimiser=optimiser)
    options = {"steps": 16, "validate_every": 8, "recipe": recipe}
    loop.train(small_run(tmp_path / "once", name, **options))
    interrupted = small_run(tmp_path / "twice", name, **options)

    def stop(progress: loop.Progress) -> None:
        if progress.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        # Reports come every 50 steps and after the last one: stop in the middle by hand.
        loop.train(dataclasses.replace(interrupted, report=stop, report_every=8))
    loop.train(interrupted)
    assert_same_end(tmp_path, optimiser)


def test_a_signal_within_a_step_costs_what_was_done_since_the_last_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Batches of two crops are of very different difficulty.
    monkeypatch.setattr(loop, "_SOUND", 10.0)
    options = {"steps": 16, "validate_every": 8, "report_every": 4}
    loop.train(small_run(tmp_path / "once", **options))
    interrupted = small_run(tmp_path / "twice", **options)
    descend = loop._descend

    def stopped(*arguments: Any) -> bool:
        descend(*arguments)
        if arguments[-1] == 13:
            # The weights are another step's already.
            raise KeyboardInterrupt
        return True

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_descend", stopped)
        with pytest.raises(KeyboardInterrupt):
            loop.train(interrupted)
    state = json.loads((tmp_path / "twice/checkpoint/state.json").read_text())
    assert state["step"] == 12
    loop.train(interrupted)
    assert_same_end(tmp_path, interrupted.recipe.optimiser)


def test_a_signal_in_the_first_steps_leaves_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(residual, "make_batch", stop)
    with pytest.raises(KeyboardInterrupt):
        loop.train(small_run(tmp_path))
    assert not checkpoint.exists(tmp_path / "checkpoint")


def test_a_signal_in_the_last_validation_costs_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    # Batches of two crops are of very different difficulty.
    monkeypatch.setattr(loop, "_SOUND", 10.0)
    run = small_run(tmp_path / "twice", steps=7, validate_every=100, report_every=2)
    loop.train(dataclasses.replace(run, folder=tmp_path / "once"))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_judged", stop)
        with pytest.raises(KeyboardInterrupt):
            loop.train(run)
    assert loop.steps_done(run.folder) == 6
    loop.train(run)
    for file in ("checkpoint/model.safetensors", "best.safetensors"):
        assert (tmp_path / "once" / file).read_bytes() == (run.folder / file).read_bytes(), file
    lines = [
        [(line["step"], line["psnr"]) for line in loop.read_log(folder / "log.jsonl")]
        for folder in (run.folder, tmp_path / "once")
    ]
    assert lines[0] == lines[1]


def test_the_only_checkpoint_stays_until_the_next_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    loop.train(small_run(tmp_path))
    kept = tmp_path / "checkpoint"
    # So a signal between the two renames leaves it, and the next may come at once.
    kept.rename(tmp_path / "checkpoint.old")
    model = torch.nn.Linear(1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stop)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(kept, model, {}, Optimiser(model, "adamw", 0.0), {})
    assert loop.steps_done(tmp_path) == 8


def test_each_stage_has_its_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name, loss in losses.LOSSES.items():

        def noted(result: Tensor, target: Tensor, name: str = name, loss: Any = loss) -> Tensor:
            taken.append(name)
            return loss(result, target)

        monkeypatch.setitem(losses.LOSSES, name, noted)
    run = small_run(tmp_path)
    stages = (Stage(0.5, 48, 2), Stage(1.0, 48, 2, "rmse"))
    loop.train(dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, stages=stages)))
    # The learning rate, and with it the first stage, stays until step 6 of 8.
    assert taken == ["charbonnier"] * 6 + ["rmse"] * 2


def test_rmse_is_of_each_picture() -> None:
    target = torch.zeros(2, 3, 4, 4)
    result = torch.stack([torch.full((3, 4, 4), 0.3), torch.zeros(3, 4, 4)])
    result[1, 0, 0, 0] = 48**0.5 * 0.1
    assert losses.rmse(result, target).item() == pytest.approx((0.3 + 0.1) / 2, rel=1e-3)
    assert losses.rmse(target, target).item() == pytest.approx(0.002)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    loop.train(small_run(tmp_path / "a", steps=2))
    loop.train(small_run(tmp_path / "b", steps=2, seed=1))
    a = (tmp_path / "a/checkpoint/model.safetensors").read_bytes()
    assert a != (tmp_path / "b/checkpoint/model.safetensors").read_bytes()


def explode(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Makes the loss of these steps enormous, and that of all others alike.

    What is usual would hang on luck in so few steps.
    """
    make_batch = residual.make_batch

    def made(run: Run, step: int, stage: Stage) -> Batch:
        batch = make_batch(run, 0, stage)
        return dataclasses.replace(batch, targets=batch.targets + 1e6) if step in steps else batch

    monkeypatch.setattr(residual, "make_batch", made)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_run_that_explodes_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: str
) -> None:
    usual: list[loop.Progress] = []
    told: list[loop.Progress] = []
    recipe = dataclasses.replace(small_run(tmp_path).recipe, optimiser=optimiser)
    options = {"steps": 12, "report_every": 4, "report": told.append, "recipe": recipe}
    loop.train(small_run(tmp_path / "usual", **options | {"report": usual.append}))
    explode(monkeypatch, 7)
    loop.train(small_run(tmp_path / "once", **options))
    state = json.loads((tmp_path / "once/checkpoint/state.json").read_text())
    # Steps 4 to 6 are lost with it.
    assert (state["step"], state["updates"], state["retreats"]) == (12, 8, 1)
    assert not any(progress.loss and progress.loss >= 1 for progress in told)
    assert told[2].learning_rate == usual[2].learning_rate / 2

    def stop(progress: loop.Progress) -> None:
        if progress.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(small_run(tmp_path / "twice", **options | {"report": stop}))
    # Past the explosion, from the state on disk that the other run has gone back to in memory.
    kept = tmp_path / "twice/checkpoint/state.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"step": 8, "retreats": 1}))
    loop.train(small_run(tmp_path / "twice", **options))
    for file in ("model", "average", *MOMENTS[optimiser]):
        one = (tmp_path / "once/checkpoint" / f"{file}.safetensors").read_bytes()
        assert one == (tmp_path / "twice/checkpoint" / f"{file}.safetensors").read_bytes(), file


def test_a_run_that_explodes_for_ever_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explode(monkeypatch, *range(2, 100))
    with pytest.raises(MirnetError, match="exploded 11 times, now at step 12"):
        loop.train(small_run(tmp_path, steps=100))


def test_hours_end_a_run(tmp_path: Path) -> None:
    loop.train(small_run(tmp_path, hours=0.0, steps=1000))
    lines = list(loop.read_log(tmp_path / "log.jsonl"))
    assert lines == []
    assert (tmp_path / "best.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "part"),
    # That of light is run by test_light.
    [(n, i) for n in RECIPES for i, r in enumerate(RECIPES[n]) if r.base != "light"],
)
def test_every_recipe_makes_a_step(tmp_path: Path, name: str, part: int) -> None:
    reports: list[loop.Progress] = []
    loop.train(small_run(tmp_path, name, part, steps=2, report=reports.append))
    assert np.isfinite(reports[-1].psnr or np.nan)
    assert 0 < (reports[-1].ssim or 0) <= 1


@pytest.mark.slow
def test_denoising_improves_on_doing_nothing(tmp_path: Path) -> None:
    reports: list[loop.Progress] = []
    # Several to validate, as one crop may have next to no noise.
    more = {"held_out_photos": photos(8), "report": reports.append}
    loop.train(small_run(tmp_path, steps=400, validate_every=400, **more))
    assert reports[-1].psnr > reports[-1].baseline + 0.5


def test_pairs_are_trained_on(tmp_path: Path) -> None:
    pairs = [Pair(p.name, (*p.pixels(), p.pixels()[0] // 2)) for p in photos(3)]
    batch = residual.make_batch(small_run(tmp_path, photos=[], pairs=pairs), 0, Stage(1.0, 48, 2))
    torch.testing.assert_close(batch.targets, batch.inputs / 2, atol=0.01, rtol=0)


def test_crops_follow_from_their_key() -> None:
    one = random_crops(photos(), 4, 32, (1, 2))
    torch.testing.assert_close(one, random_crops(photos(), 4, 32, (1, 2)), rtol=0, atol=0)
    assert not torch.equal(one, random_crops(photos(), 4, 32, (1, 3)))
    assert one.shape == (4, 3, 32, 32)
    assert one.min() >= 0
    assert one.max() <= 1


def test_pairs_are_cropped_at_full_scale_and_some_photos_at_half() -> None:
    squares = (np.indices((96, 96, 3)).sum(0) % 2 * 255).astype(np.uint8)
    halved = {}
    for parts in (1, 2):
        crops = random_crops([Pair("squares", (squares,) * parts)], 40, 32, (1, 2))
        halved[parts] = [bool((crop == 0.5).all()) for crop in crops]
        assert all(bool(((crop == 0) | (crop == 1) | (crop == 0.5)).all()) for crop in crops)
    assert 4 <= sum(halved[1]) <= 18
    assert not any(halved[2])


def test_split_keeps_crops_of_a_scene_together() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pairs = [Pair(f"scene{i}_{j}", (pixels, pixels)) for i in range(40) for j in range(3)]
    training, validation = split(pairs, 0.2)
    scenes = [{p.name.split("_")[0] for p in part} for part in (training, validation)]
    assert scenes[0].isdisjoint(scenes[1])
    assert len(training) + len(validation) == len(pairs)
    assert validation


def test_split_takes_photos_of_one_camera_apart() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    photos = [Pair(f"IMG_{i:04}", (pixels,)) for i in range(200)]
    validation = split(photos)[1]
    assert 5 < len(validation) < 40
    # Further photos change nothing for these.
    again = split([*photos, *(Pair(f"DSC_{i:04}", (pixels,)) for i in range(50))])[1]
    assert {p.name for p in validation} == {p.name for p in again if p.name.startswith("IMG")}
    pairs = [Pair(p.name, (pixels, pixels)) for p in photos]
    assert [p.name for p in split(pairs)[1]] == [p.name for p in validation]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_split_of_few_has_some_of_both(count: int) -> None:
    training, validation = split(photos(count))
    assert training
    assert validation
    assert len(training) + len(validation) == count


def test_one_photo_is_too_few_to_split() -> None:
    with pytest.raises(InputError, match="at least two"):
        split(photos(1))


def test_a_crashed_log_is_read_up_to_the_crash(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 4}\n{"step": 8}\n{"st')
    assert [line["step"] for line in loop.read_log(path)] == [4, 8]
    loop.train(small_run(tmp_path, report_every=4))
    assert [line["step"] for line in loop.read_log(path)] == [4, 8]


def test_length_is_estimated_where_hours_decide() -> None:
    schedule = loop.Schedule(10**9, 2.0)
    assert schedule.expected(100, 72.0) == 10_000
    assert schedule.expected(0, 0.0) == 10**9
    assert loop.Schedule(10**9, 1e306).expected(100, 72.0) == 10**9
    assert loop.Schedule(500, 2.0).expected(100, 72.0) == 500
    assert loop.Schedule(10**9, 2.0, fall=7_000).expected(8_000, 5_000.0) == 10_000
    assert loop.Schedule(500, math.inf).expected(100, 72.0) == 500


def test_learning_rate_warms_up_stays_and_falls() -> None:
    schedule = loop.Schedule(2000, math.inf, fall=1400)
    rates = [schedule.rate(step, 1.0) for step in range(2000)]
    assert rates[0] == pytest.approx(0.01)
    assert set(rates[300:1400]) == {1.0}
    assert rates[-1] == pytest.approx(0.01, abs=0.001)
    assert rates == sorted(rates[:300]) + rates[300:1400] + sorted(rates[1400:], reverse=True)


@pytest.mark.parametrize("step", [1, 2, 7, 700, 1234])
def test_hours_choose_a_length_that_its_number_of_steps_gives_again(step: int) -> None:
    by_hours = loop.Schedule(60_000, 1.0, fall=step)
    again = loop.Schedule(by_hours.steps, math.inf)
    assert again.due(step, 0)
    assert not again.due(step - 1, 0)
    again.fall = step
    assert again.steps == by_hours.steps


def test_a_longer_run_goes_on_as_if_it_had_been_so_long_from_the_start(tmp_path: Path) -> None:
    loop.train(small_run(tmp_path / "once", steps=20))
    loop.train(small_run(tmp_path / "twice", steps=10))
    loop.train(small_run(tmp_path / "twice", steps=20))
    for file in ("model", "average", "exp_avg", "exp_avg_sq"):
        one = (tmp_path / "once/checkpoint" / f"{file}.safetensors").read_bytes()
        two = (tmp_path / "twice/checkpoint" / f"{file}.safetensors").read_bytes()
        assert one == two, file


def test_the_best_of_a_longer_run_is_not_that_of_the_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(folder: Path, steps: int, *scores: float) -> bytes:
        following = iter(scores)
        monkeypatch.setattr(loop, "validate", lambda *_: loop.Scores(next(following), 0.0, 0.0))
        loop.train(small_run(folder, steps=steps, report_every=4))
        return (folder / "best.safetensors").read_bytes()

    # Validated at steps 4, 8 and 10, then, from step 7 on, at 8, 12, 16 and 20.
    shorter = train(tmp_path / "twice", 10, 3, 5, 6)
    longer = train(tmp_path / "twice", 20, 2, 2, 2, 2)
    assert longer != shorter
    assert longer == train(tmp_path / "once", 20, 3, 2, 2, 2, 2)


@pytest.mark.parametrize(("steps", "logged"), [(7, [4, 7]), (8, [4, 8])])
def test_the_end_of_a_run_is_logged_once_with_its_scores(
    tmp_path: Path, steps: int, logged: list[int]
) -> None:
    for _ in range(2):
        loop.train(small_run(tmp_path, steps=steps, report_every=4, validate_every=100))
        lines = list(loop.read_log(tmp_path / "log.jsonl"))
        assert [line["step"] for line in lines] == logged
        assert lines[-1]["psnr"] is not None


def test_endless_gradients_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steep(result: Tensor, target: Tensor) -> Tensor:
        taken.append(len(taken) + 1)
        loss = losses.charbonnier(result, target)
        # Finite itself: the slope of the root at zero is not.
        return loss + (loss - loss.detach()).sqrt() if taken[-1] == 4 else loss

    taken: list[int] = []
    monkeypatch.setitem(losses.LOSSES, "charbonnier", steep)
    # At step 4 the state is kept, too.
    loop.train(small_run(tmp_path, steps=8, report_every=4))
    state = json.loads((tmp_path / "checkpoint/state.json").read_text())
    assert (state["step"], state["retreats"]) == (8, 1)
    assert all(math.isfinite(line["psnr"]) for line in loop.read_log(tmp_path / "log.jsonl"))


@pytest.mark.parametrize("prefixes", [("IMG", "DSC"), ("DSC", "IMG"), ("a", "b"), ("b", "a")])
def test_split_keeps_most_pairs_to_train_on(prefixes: tuple[str, str]) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    many, few = prefixes
    names = [f"{many}_{i}" for i in range(40)] + [f"{few}_{i}" for i in range(3)]
    training, validation = split([Pair(name, (pixels, pixels)) for name in names])
    assert (len(training), len(validation)) == (40, 3)


def test_a_longer_run_that_is_given_up_at_once_leaves_the_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(steps: int) -> dict[str, Tensor]:
        return loop.train(small_run(tmp_path, steps=steps, report_every=2))

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    def validate(model: torch.nn.Module, *_: object) -> loop.Scores:
        weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
        return loop.Scores(seen.setdefault(weights, len(seen)), 0.0, 0.0)

    # Weights are better than any that came before.
    seen: dict[bytes, int] = {}
    monkeypatch.setattr(loop, "validate", validate)
    once = train(10)
    with monkeypatch.context() as patch:
        patch.setattr(residual, "make_batch", stop)
        with pytest.raises(KeyboardInterrupt):
            train(40)
    again = train(10)
    assert all(torch.equal(once[name], value) for name, value in again.items())


def test_integers_see_what_is_louder_than_the_recipe(tmp_path: Path) -> None:
    """Features are wider there, and levels that do not reach so far cut them off."""
    plain = small_run(tmp_path, "upscale")
    loud = dataclasses.replace(plain, integers=True)
    stage = Stage(1.0, 96, 40)
    given, louder = (residual.make_batch(run, 3, stage) for run in (plain, loud))
    assert torch.equal(louder.targets, given.targets)
    changed = (louder.inputs != given.inputs).flatten(1).any(1)
    assert 14 <= int(changed.sum()) <= 18
    rough = (louder.inputs - louder.inputs.roll(1, 3)).abs().mean((1, 2, 3))
    assert float(rough[changed].max()) > 1.8 * float(rough[~changed].max())
    clipped = ((louder.inputs == 0) | (louder.inputs == 1)).float().mean((1, 2, 3))
    assert float(clipped[changed].max()) > 0.05 > float(clipped[~changed].max())
    assert torch.equal(residual.make_batch(loud, 3, stage).inputs, louder.inputs)
    quiet = dataclasses.replace(loud, recipe=dataclasses.replace(loud.recipe, loud=0.0))
    assert torch.equal(residual.make_batch(quiet, 3, stage).inputs, given.inputs)


def test_the_pixel_that_is_farthest_from_the_teacher_counts() -> None:
    taught = torch.zeros(2, 3, 8, 8)
    spread, single = taught.clone(), taught.clone()
    spread += 0.1 / 192**0.5
    single[:, 0, 0, 0] = 0.1
    assert integers.distance(taught, taught) < integers.distance(spread, taught)
    assert integers.distance(single, taught) > integers.distance(spread, taught) + 0.004
