"""The training loop: averaged weights, bfloat16, exact resume, and longer runs from shorter.

The learning rate stays at its highest for most of a run and falls at its end. Until then nothing
depends on how long the run will be: the state at that point is kept, and a run that turns out too
short goes on from there as if it had been longer from the start. Everything random in a step
follows from the seed and the step's number, so that a run that was interrupted and resumed ends
with the same weights as one that was not.

A network without normalisation can explode in a few steps, at a rate that served it for thousands.
The run then goes back to where it was last sound and goes on from there, more slowly.
"""

import contextlib
import copy
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mirnet_cli.errors import MirnetError
from mirnet_cli.files import make_folder, write_replaceable
from mirnet_cli.measure import metrics
from mirnet_cli.runtime.torch_runtime import layout
from mirnet_cli.training import checkpoint, integers, light, residual
from mirnet_cli.training.optimiser import Optimiser
from mirnet_cli.training.recipe import Recipe, Stage
from mirnet_cli.training.run import Progress, Run

_AVERAGE_DECAY = 0.999
_WARM_UP = 300
_CALIBRATING = 16
"""Batches that show how wide the features of a network are that is trained for integers."""
STEADY = 0.7
"""Share of a run before the learning rate falls."""
_CLIP = 0.5
_BEST = "best.safetensors"
_KEEP_EVERY = 300.0
"""Seconds of training that a crash may cost; a signal costs those since the last report."""
_EXPLODED = 20.0
"""Times its usual value that the loss has to be for a run to go back; single batches reach five."""
_SOUND = 1.5
"""Times its usual value that the mean loss may be where a run is kept."""
_RETREATS = 10
"""Times that a run goes back, each time to half the learning rate."""


@dataclass
class Schedule:
    """Where in a run a step is.

    Attributes:
        limit: steps at most.
        hours: at most.
        fall: the step at which the learning rate begins to fall; None while that is open.
    """

    limit: int
    hours: float
    fall: int | None = None

    @property
    def steps(self) -> int:
        """Length of the run, as far as it is known."""
        if self.fall is None or self.fall >= round(STEADY * self.limit):
            return self.limit
        return round(self.fall / STEADY)

    def expected(self, step: int, seconds: float) -> int:
        """Length of the run, by its speed so far where hours decide."""
        if self.fall is not None or math.isinf(self.hours) or seconds <= 0:
            return self.steps
        return max(step, round(min(self.limit, step * self.hours * 3600 / seconds)))

    def due(self, step: int, seconds: float) -> bool:
        """Whether the fall has to begin at this step, or earlier."""
        return step >= round(STEADY * self.limit) or seconds >= STEADY * self.hours * 3600

    def rate(self, step: int, highest: float) -> float:
        """Linear warm-up, the highest, then half a cosine down to a hundredth of it."""
        rate = highest * min(1.0, (step + 1) / min(_WARM_UP, max(1, self.limit // 20)))
        if self.fall is None or step < self.fall:
            return rate
        progress = (step - self.fall) / max(1, self.steps - self.fall)
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def stage(self, stages: Sequence[Stage], step: int) -> Stage:
        """The first stage until the fall, then the one for this share of the run."""
        if self.fall is None or step < self.fall:
            return stages[0]
        return next((stage for stage in stages if step < stage.until * self.steps), stages[-1])


def network(recipe: Recipe) -> nn.Module:
    """What a recipe trains, before it has learned anything."""
    return _LESSONS[recipe.family].network(recipe)


def make_batch(run: Run, step: int, stage: Stage) -> Any:
    """The batch of a step, on the run's device; the same whenever it is asked for."""
    return _LESSONS[run.recipe.family].make_batch(run, step, stage)


def psnr(result: Tensor, target: Tensor) -> float:
    """Mean PSNR in dB over a batch, of values clamped to 0..1.

    A picture counts for 50 dB at most: samples that should stay as they are would otherwise
    outweigh all others.
    """
    error = ((result.clamp(0, 1) - target) ** 2).mean((1, 2, 3)).clamp_min(1e-5)
    return float((-10 * error.log10()).mean())


def ssim(result: Tensor, target: Tensor) -> float:
    """Mean SSIM over a batch, of values clamped to 0..1; see :func:`mirnet_cli.measure.metrics`."""
    first, second = (x.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy() for x in (result, target))
    return sum(metrics.ssim(a, b) for a, b in zip(first, second, strict=True)) / len(first)


@dataclass(frozen=True)
class Scores:
    """Means over the validation: of the model's results, and of the bases (doing nothing)."""

    psnr: float
    ssim: float
    baseline: float


def validate(model: nn.Module, batches: Sequence[Any], lesson: "Lesson") -> Scores:
    """Score a model."""
    psnrs, ssims, baselines = [], [], []
    with torch.inference_mode():
        for batch in batches:
            result, before, target = lesson.results(model, batch)
            psnrs.append(psnr(result, target))
            ssims.append(ssim(result, target))
            baselines.append(psnr(before, target))
    means = (sum(values) / len(values) for values in (psnrs, ssims, baselines))
    return Scores(*means)


class Lesson(Protocol):
    """How networks of one family learn; :mod:`.residual` and :mod:`.light` are two."""

    def network(self, recipe: Recipe) -> nn.Module:
        """One that has not learned anything."""

    def make_batch(self, run: Run, step: int, stage: Stage) -> Any:
        """What a step sees, on the run's device; the same whenever it is asked for."""

    def validation_batches(self, run: Run) -> list[Any]:
        """Fixed batches of what is held out: the same in every run."""

    def results(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """What comes out, what it would be if nothing were done, and what should: sRGB."""

    def loss(self, model: nn.Module, batch: Any, kind: str, teacher: nn.Module | None) -> Tensor:
        """What is brought down; ``kind`` is the stage's, ``teacher`` that of integers."""


_LESSONS: dict[str, Lesson] = {"compact": residual, "light": light}


def train(run: Run) -> dict[str, Tensor]:
    """Train to the end, or until the hours are over, and return the best averaged weights.

    A checkpoint that is in the run's folder is taken up.

    Raises:
        MirnetError: if the loss explodes again and again.
    """
    torch.manual_seed(run.seed)
    lesson = _LESSONS[run.recipe.family]
    model = lesson.network(run.recipe)
    if run.initial is not None:
        model.load_state_dict(run.initial)
    model = model.to(run.device, memory_format=layout(run.device))  # type: ignore[call-overload]
    teacher = None
    if run.integers:
        teacher = model.eval().requires_grad_(False)
        model = integers.learner(teacher, run.recipe.in_float)
        integers.calibrate(model, teacher, _calibration(run, teacher))
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    optimiser = Optimiser(model, run.recipe.optimiser, run.recipe.weight_decay)
    state = _resume(run, model, average, optimiser) or {
        "step": 0,
        "seconds": 0.0,
        "best": -math.inf,
        "baseline": None,
        "fall": None,
    }
    # Runs from before they could go back do not have these.
    state = {"updates": state["step"], "retreats": 0, "usual": None} | state
    schedule = Schedule(run.steps, run.hours, state["fall"])
    average = {name: value.to(run.device) for name, value in average.items()}
    judge = copy.deepcopy(model).eval()
    batches = lesson.validation_batches(run)
    log = _Log(run.folder / "log.jsonl", state["step"])
    started = time.monotonic() - state["seconds"]
    kept = time.monotonic()
    losses: list[float] = []
    judged_at: int | None = None
    refuge = _Refuge(model, average, optimiser, state)

    def keep(name: str) -> None:
        nonlocal kept
        checkpoint.save(run.folder / name, model, average, optimiser, state)
        kept = time.monotonic()

    best = run.folder / _BEST

    with _kept_when_stopped(refuge, keep):
        while True:
            step = state["step"]
            state["seconds"] = time.monotonic() - started
            if schedule.fall is None and schedule.due(step, state["seconds"]):
                keep("steady")
                if best.exists():
                    shutil.copyfile(best, run.folder / "steady" / _BEST)
                state["fall"] = schedule.fall = step
            if step >= schedule.steps:
                break
            rate = schedule.rate(step, run.recipe.learning_rate) * 0.5 ** state["retreats"]
            stage = schedule.stage(run.recipe.stages, step)
            loss = lesson.loss(model, make_batch(run, step, stage), stage.loss, teacher)
            value = float(loss.detach())
            sound = not _exploded(value, state["usual"])
            if not (sound and _descend(model, optimiser, average, loss, rate, step)):
                refuge.go_back()
            else:
                losses.append(value)
                state["usual"] = _usual(state["usual"], value)
                state["updates"] += 1
            state["step"] = step + 1
            seconds = time.monotonic() - started
            expected = schedule.expected(state["step"], seconds)
            run.stepped(Progress(state["step"], expected, seconds, state["usual"], rate))
            if state["step"] % run.report_every == 0:
                mean = _mean(losses)
                progress = Progress(state["step"], expected, seconds, mean, rate)
                losses.clear()
                last = state["step"] >= schedule.steps
                validating = last or state["step"] % run.validate_every == 0
                if validating:
                    progress = _judged(progress, judge, average, batches, run, state)
                    judged_at = state["step"]
                if mean is not None and mean <= _SOUND * state["usual"]:
                    refuge.keep()
                    if validating or time.monotonic() - kept > _KEEP_EVERY:
                        keep("checkpoint")
                log.write(progress)
                run.report(progress)
        if judged_at != state["step"]:
            seconds, mean, before = state["seconds"], _mean(losses), state["baseline"]
            progress = Progress(state["step"], schedule.steps, seconds, mean, 0.0)
            progress = _judged(progress, judge, average, batches, run, state)
            if losses or (before is not None and not alike(before, state["baseline"])):
                # What was done since the last line, or what is validated with now.
                log.write(progress)
            run.report(progress)
        refuge.keep()
        keep("checkpoint")
    return best_weights(run.folder)


def _resume(
    run: Run, model: nn.Module, average: dict[str, Tensor], optimiser: Optimiser
) -> dict[str, Any] | None:
    """Take up the run's checkpoint; where the run is to be longer, the one before the fall."""
    state = checkpoint.load(run.folder / "checkpoint", model, average, optimiser)
    steady = checkpoint.read_state(run.folder / "steady")
    if state is None or state["fall"] is None or steady is None:
        return state
    if Schedule(run.steps, run.hours).due(steady["step"], steady["seconds"]):
        return state
    best = run.folder / "steady" / _BEST
    if best.exists():
        # Of before the fall, which now comes later.
        write_replaceable(run.folder / _BEST, best.read_bytes())
    state = checkpoint.load(run.folder / "steady", model, average, optimiser)
    if state is not None:
        # The one of after the fall goes with its best weights.
        checkpoint.save(run.folder / "checkpoint", model, average, optimiser, state)
    return state


class _Refuge:
    """The state of a run when it was last sound, in memory."""

    def __init__(
        self,
        model: nn.Module,
        average: dict[str, Tensor],
        optimiser: Optimiser,
        state: dict[str, Any],
    ) -> None:
        self._model, self._average, self._optimiser = model, average, optimiser
        self._state = state
        self.keep()

    def keep(self) -> None:
        """The state is sound."""
        moments = self._optimiser.moments()
        now = (self._model.state_dict(), self._average, moments, self._state)
        self._kept = copy.deepcopy(now)

    def take_up(self) -> int:
        """Make the run what it was when it was last sound; the step of then."""
        self._state.update(self._restored())
        return int(self._state["step"])

    def go_back(self) -> None:
        """Take up the last sound state, to go on at half the rate.

        Raises:
            MirnetError: if that was tried too often.
        """
        self._state["retreats"] += 1
        if self._state["retreats"] > _RETREATS:
            raise MirnetError(
                f"the loss exploded {_RETREATS + 1} times, now at step {self._state['step']}",
                "train again with a lower learning_rate (--config)",
            )
        self._state["updates"] = self._restored()["updates"]

    def _restored(self) -> dict[str, Any]:
        model, average, moments, state = copy.deepcopy(self._kept)
        self._model.load_state_dict(model)
        self._average.update(average)
        self._optimiser.restore(moments, state["updates"])
        return state


@contextlib.contextmanager
def _kept_when_stopped(refuge: _Refuge, keep: Callable[[str], None]) -> Iterator[None]:
    """Where a signal ends the run, perhaps within a step, keeps how it last was between two."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        # A run that has only begun can be begun anew.
        if refuge.take_up() > 0:
            keep("checkpoint")
        raise


def _exploded(loss: float, usual: float | None) -> bool:
    return not math.isfinite(loss) or (usual is not None and loss > _EXPLODED * usual)


def _mean(losses: Sequence[float]) -> float | None:
    return sum(losses) / len(losses) if losses else None


def _usual(before: float | None, loss: float) -> float:
    return loss if before is None else 0.98 * before + 0.02 * loss


def _calibration(run: Run, teacher: nn.Module) -> Iterator[None]:
    """Take the first batches through the teacher, those of the largest crops."""
    for step in range(_CALIBRATING):
        batch = make_batch(run, step, run.recipe.stages[-1])
        with torch.no_grad():
            teacher(residual.laid_out(batch.inputs), scale=batch.scale)
        yield


def _descend(
    model: nn.Module,
    optimiser: Optimiser,
    average: dict[str, Tensor],
    loss: Tensor,
    rate: float,
    step: int,
) -> bool:
    """One step of the optimiser, and of the average; none, and False, along endless gradients."""
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
    if not math.isfinite(float(norm)):
        model.zero_grad()
        return False
    optimiser.step(rate)
    # Early averages would hold on to the untrained weights.
    decay = min(_AVERAGE_DECAY, (step + 1) / (step + 10))
    with torch.no_grad():
        current = model.state_dict()
        names = list(average)
        torch._foreach_lerp_([average[n] for n in names], [current[n] for n in names], 1 - decay)
    return True


def _judged(
    progress: Progress,
    judge: nn.Module,
    average: dict[str, Tensor],
    batches: Sequence[Any],
    run: Run,
    state: dict[str, Any],
) -> Progress:
    from safetensors.torch import save_file

    judge.load_state_dict(average)
    scores = validate(judge, batches, _LESSONS[run.recipe.family])
    if not alike(scores.baseline, state["baseline"]):
        # The validation's pictures are others than before: old scores do not compare.
        state["best"] = -math.inf
        state["baseline"] = scores.baseline
    if scores.psnr > state["best"]:
        state["best"] = scores.psnr
        part = run.folder / "best.part"
        save_file({k: v.cpu().contiguous() for k, v in average.items()}, part)
        checkpoint.bring_to_disk(part)
        part.replace(run.folder / _BEST)
    return replace(progress, **asdict(scores))


def alike(first: float | None, second: float | None) -> bool:
    """Whether two baselines are of the same pictures: devices differ in the last digits."""
    return None not in (first, second) and math.isclose(first or 0, second or 0, abs_tol=1e-3)


def steps_done(folder: Path) -> int:
    """How many steps a run has made, by its checkpoint."""
    state = checkpoint.read_state(folder / "checkpoint")
    return 0 if state is None else int(state["step"])


def best_weights(folder: Path) -> dict[str, Tensor]:
    """The averaged weights of a run that validated best.

    Raises:
        UsageError: if their file is not intact.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / _BEST)
    except (SafetensorError, FileNotFoundError) as error:
        raise checkpoint.not_intact(folder / _BEST) from error


class _Log:
    """The run's history, one JSON object a line; what a resumed run does again is dropped."""

    def __init__(self, path: Path, step: int) -> None:
        make_folder(path.parent)
        kept = [line for line in read_log(path) if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_replaceable(path, text.encode())
        self._path = path

    def write(self, progress: Progress) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(progress.__dict__) + "\n")


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's ``log.jsonl``; none if it does not exist.

    What a crash left of a line is passed over.
    """
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)
