"""What can be asked for when weights are trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mirnet_cli import values
from mirnet_cli.options import Options, Setting, like
from mirnet_cli.restore.options import LoadOptions

DATA = "Data"
RUN = "The run"


def _folders(what: str) -> Setting:
    return Setting(f"{what}; may be repeated.", DATA, metavar="DIR", parse=values.paths)


@dataclass(frozen=True)
class TrainOptions(Options):
    """What weights are trained on, how long and where.

    Attributes:
        data: folders of good photos, degraded while training.
        pairs: folders with ``input/`` and ``target/``.
        panoramas: folders of HDR panoramas, for enhance; see
            :func:`mirnet_cli.training.panoramas.read`.
        out: for checkpoints, the log, curves and weights; ``runs/NAME`` by default.
        start: a model's name or a weights file to start from.
        int8: leave the weights to start from (else the model of that name) as they are, and train a
            version of them in 8-bit integers that is kept in the same file.
        hours: of training, about, those before a resumption included; the number of steps follows
            from them: that of a model's first network from its share, those of the others from
            that number, as the recipe says.
        steps: at most, of the network with most; where hours are not given either, the recipe's
            (for fine-tuning 4000).
        licence: of the weights, for their file; an SPDX expression where there is one;
            None is "unknown".
        resume: take up the checkpoint in ``out``; without it, a folder with one is refused. All
            but the length has to be as it was. More hours or steps than before make the run as if
            it had been so long from the start.
        config: TOML that changes the recipe: ``optimiser``, ``weight_decay``, ``learning_rate``,
            ``steps`` (of the network with most), ``pair_share``, ``brightness``, ``stages`` (of
            ``until``, ``crop``, ``batch``, ``loss``) and a table ``network``. Where a model has two
            networks, both change.
    """

    data: Annotated[
        tuple[Path, ...],
        _folders("A folder of good photos, degraded while training"),
    ] = ()
    pairs: Annotated[
        tuple[Path, ...],
        _folders("A folder with input/ and target/, the same names in both"),
    ] = ()
    panoramas: Annotated[
        tuple[Path, ...],
        _folders("A folder of HDR panoramas (.hdr, .jxl), for enhance"),
    ] = ()
    out: Annotated[
        Path | None,
        Setting(
            "Folder for weights, checkpoints and curves. [default: runs/TASK]",
            RUN,
            metavar="DIR",
            parse=Path,
        ),
    ] = None
    start: Annotated[
        str | None,
        Setting(
            "Start from these weights (fine-tuning).",
            RUN,
            metavar="MODEL|FILE",
            flags=("--from",),
        ),
    ] = None
    int8: Annotated[
        bool,
        Setting(
            "Keep the weights (of --from, or the shipped ones) and add a version in 8-bit "
            "integers, for --precision int8.",
            RUN,
        ),
    ] = False
    hours: Annotated[
        float | None,
        Setting(
            "Train for about this long, counting earlier parts of the run.",
            RUN,
            metavar="N",
            parse=values.positive,
        ),
    ] = None
    steps: Annotated[
        int | None,
        Setting(
            "Steps of the longest-trained network. [default: the recipe's]",
            RUN,
            metavar="N",
            parse=values.count,
        ),
    ] = None
    seed: Annotated[
        int,
        Setting("Seed of everything random. [default: 0]", RUN, metavar="N", parse=values.seed),
    ] = 0
    licence: Annotated[
        str | None,
        Setting("Licence to write into the weights. [default: unknown]", RUN, metavar="SPDX"),
    ] = None
    resume: Annotated[
        bool,
        Setting("Continue the run in --out exactly where it stopped; longer, if asked.", RUN),
    ] = False
    config: Annotated[
        Path | None,
        Setting("A TOML file that changes the recipe.", RUN, metavar="FILE", parse=Path),
    ] = None
    device: Annotated[str, like(LoadOptions, "device")] = "auto"
