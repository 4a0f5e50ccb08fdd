"""The course of a run as a picture."""

from pathlib import Path

from mirnet_cli import extras
from mirnet_cli.training.loop import read_log


def check_available() -> None:
    """Find out before hours of training whether :func:`draw` will work.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    extras.require("matplotlib", "drawing the curve of a training run")


def draw(log: Path, picture: Path) -> None:
    """Draw validation PSNR and SSIM against hours, doing nothing as a line, and the loss below."""
    from matplotlib.figure import Figure

    lines = list(read_log(log))
    judged = [line for line in lines if line["psnr"] is not None]
    figure = Figure(figsize=(7, 8), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True)
    if judged:
        hours = [line["seconds"] / 3600 for line in judged]
        above.plot(hours, [line["psnr"] for line in judged], label="averaged weights")
        above.axhline(judged[-1]["baseline"], color="grey", ls="--", label="doing nothing")
        above.legend()
        middle.plot(hours, [line["ssim"] for line in judged])
    above.set_ylabel("validation PSNR, dB")
    middle.set_ylabel("validation SSIM")
    below.plot([line["seconds"] / 3600 for line in lines], [line["loss"] for line in lines], lw=0.7)
    below.set_ylabel("loss")
    below.set_xlabel("hours")
    for axes in (above, middle, below):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)
