"""``mirnet train``."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mirnet_cli import extras, values
from mirnet_cli.cli.options import COMPUTING, Words, flat, option
from mirnet_cli.cli.options import EPILOG as EPILOG
from mirnet_cli.errors import UsageError
from mirnet_cli.files import is_folder
from mirnet_cli.training.options import TrainOptions

if TYPE_CHECKING:
    from mirnet_cli.cli.console import Console, Display
    from mirnet_cli.training.recipe import Recipe
    from mirnet_cli.training.run import Progress, Run

_SAY_EVERY = 60.0
_COMMANDS = {
    "upscale-x1": "upscale --scale 1",
    "enhance-lol": "enhance",
    "denoise-large": "denoise",
    "upscale-large": "upscale",
}
"""That take the weights, where they are not named as the recipe."""


@flat
def command(
    *,
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="denoise, denoise-large, enhance, enhance-lol, upscale, upscale-large or"
            " upscale-x1: the recipe to follow.",
            show_default=False,
        ),
    ],
    options: TrainOptions,
    threads: Annotated[
        int | None,
        option(
            "--threads",
            metavar="N",
            panel=COMPUTING,
            parser=values.jobs,
            help="Processor cores to use. [default: all]",
        ),
    ] = None,
    words: Words,
) -> int:
    """Train weights with the recipe that made those that ship, or fine-tune on your own pairs."""
    from mirnet_cli.cli.console import Console

    folders = (*options.data, *options.pairs, *options.panoramas)
    for folder in folders:
        if not is_folder(folder):
            raise UsageError(
                "no such folder", "check --data, --pairs and --panoramas", subject=folder
            )
    if not folders:
        raise UsageError("nothing to train on", "give --data DIR, --pairs DIR, or both")
    extras.require("torch", "training")
    console = Console(json=words.json, quiet=words.quiet, verbose=words.verbose)
    console.detail("loading torch")
    from mirnet_cli.training.job import run

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    with console.display(files=1) as display:
        reporter = _Reporter(console, display)
        made = run(
            task,
            options,
            begin=reporter.begin,
            report=reporter.tell,
            prepared=reporter.prepare,
        )
    command = _COMMANDS.get(task, task)
    console.note(f"weights in {made}; try 'mirnet {command} FILE --weights {made}'")
    console.record({"task": task, "status": "done", "weights": str(made)})
    return 0


class _Reporter:
    """Shows the progress of a run: a bar at a terminal, else a line a minute."""

    def __init__(self, console: "Console", display: "Display") -> None:
        self._console = console
        self._display = display
        self._part = ""
        self._said = float("-inf")
        self._every = 1
        self._first: tuple[int, float] | None = None

    def prepare(self, done: int, total: int) -> None:
        """Say that views of panoramas are made, which takes some time once."""
        self._display.start("panoramas", doing=f"views of {done + 1} of {total}")

    def begin(self, run: "Run") -> None:
        """Say what a network is trained on, and what is kept apart."""
        kinds = (
            ("photos", run.photos, run.held_out_photos),
            ("pairs", run.pairs, run.held_out_pairs),
            ("panoramas", run.panoramas, run.held_out_panoramas),
        )
        told = [
            f"{kind} {len(used)} (to validate {len(apart)})" for kind, used, apart in kinds if used
        ]
        self._console.note(f"{run.recipe.part}: {', '.join(told)}")
        self._display.start(f"{run.recipe.task} {run.recipe.part}", doing="preparing")
        self._every, self._first = run.validate_every, None
        run.stepped = self._step

    def _step(self, progress: "Progress") -> None:
        """Take a step of the loop."""
        if self._first is None:
            self._first = progress.step, progress.seconds
        steps, seconds = progress.step - self._first[0], progress.seconds - self._first[1]
        told = [f"step {progress.step}/{progress.steps}"]
        if steps and seconds > 0:
            told.append(f"{steps / seconds:.2g}/s")
        if progress.loss is not None:
            told.append(f"loss {progress.loss:.4f}")
        if steps and seconds > 0:
            next_one = min(progress.steps, (progress.step // self._every + 1) * self._every)
            left = round((next_one - progress.step) * seconds / steps)
            told.append(f"validation in {left // 60}:{left % 60:02}")
        self._display.steps(progress.step, progress.steps, ", ".join(told))

    def tell(self, recipe: "Recipe", progress: "Progress") -> None:
        """Take one report of the loop."""
        if recipe.part != self._part:
            self._part = recipe.part
            self._said = float("-inf")
        told = [] if progress.loss is None else [f"loss {progress.loss:.4f}"]
        checked = progress.psnr is not None
        if checked:
            told.append(f"PSNR {progress.psnr:.2f} dB (unchanged {progress.baseline:.2f})")
            told.append(f"SSIM {progress.ssim:.4f}")
        now = time.monotonic()
        if checked or (not self._display.live and now - self._said >= _SAY_EVERY):
            self._said = now
            text = ", ".join([f"step {progress.step} of {progress.steps}", *told])
            self._console.note(f"{self._part}: {text}")
        if checked:
            self._console.record(
                {
                    "part": self._part,
                    "status": "training",
                    "step": progress.step,
                    "steps": progress.steps,
                    "seconds": progress.seconds,
                    "loss": progress.loss,
                    "psnr": progress.psnr,
                    "ssim": progress.ssim,
                    "baseline": progress.baseline,
                }
            )
