"""What is trained and how: one recipe for each network that ships, as data."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mirnet_cli.errors import UsageError
from mirnet_cli.networks.configs import CompactConfig, LightConfig
from mirnet_cli.training import degrade
from mirnet_cli.training.degrade import draw
from mirnet_cli.training.degrade.resize import matrix
from mirnet_cli.training.losses import LOSSES
from mirnet_cli.training.transfer import guided_transfer


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        inputs: the network's input ``(N, 3 or 6, H, W)``.
        base: what the residual is added to ``(N, 3, sH, sW)``.
        targets: what should come out ``(N, 3, sH, sW)``.
        scale: s.
    """

    inputs: Tensor
    base: Tensor
    targets: Tensor
    scale: int = 1


Degrade = Callable[["Recipe", Tensor, torch.Generator, int], Batch]


@dataclass(frozen=True)
class Stage:
    """A part of the run: up to which share of the steps, with which crops, how many, which loss.

    The first lasts as long as the learning rate stays at its highest, whatever its ``until``.

    Raises:
        ValueError: for a loss that is not in :data:`mirnet_cli.training.losses.LOSSES`.
    """

    until: float
    crop: int
    batch: int
    loss: str = "charbonnier"

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"no loss {self.loss!r}, choose from {', '.join(LOSSES)}")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        task: the task of the product that it serves.
        part: its place in the weights file: "network", "thumbnail", or "clean" for weights of the
            same network that suit clean pictures.
        base: what the residual is added to, by the name in the weights file.
        config: sizes of the network.
        degrade: clean crops -> batch; for the family "light" only inputs and targets count.
        stages: crops and batches over the run; crops are output pixels.
        optimiser: one of :data:`mirnet_cli.training.optimiser.OPTIMISERS`.
        weight_decay: share of the weights that a step at rate 1 would take away; of Muon's matrices
            six times that.
        learning_rate: of AdamW at its highest; Muon's follows from it.
        steps: length of the full run; beside another network in the same file, its share of it.
        whole: crops show most of a photo, reduced, instead of a piece at full scale.
        brightness: lowest and highest mean (0..1) of photos that are taken; targets of brightening
            should be well exposed themselves.
        pair_share: share of the steps that take given pairs, where there are any.
        context, overlap: defaults written into the weights file.
        in_float: a regular expression for the names of convolutions that the version in integers
            has in float, beside those that :mod:`mirnet_cli.training.integers` names.
        grows: it starts from a smaller network's weights and keeps its own sizes.
        loud: share of the samples that are louder than the degradation makes them where the
            version in integers is trained; see :func:`mirnet_cli.training.integers.louder`.
    """

    task: str
    part: str
    base: str
    config: CompactConfig | LightConfig
    degrade: Degrade
    stages: tuple[Stage, ...] = (
        Stage(0.7, 64, 16),
        Stage(0.85, 96, 8),
        Stage(1.0, 144, 4),
    )
    optimiser: str = "muon"
    weight_decay: float = 1e-4
    learning_rate: float = 2e-4
    steps: int = 60_000
    whole: bool = False
    brightness: tuple[float, float] = (0.0, 1.0)
    pair_share: float = 0.5
    context: str = "sample"
    overlap: int | None = 32
    in_float: str = ""
    loud: float = 0.0
    grows: bool = False

    @property
    def family(self) -> str:
        """Of the network, one of :data:`mirnet_cli.networks.families.FAMILIES`."""
        return "light" if isinstance(self.config, LightConfig) else "compact"

    @property
    def scales(self) -> tuple[int, ...]:
        """Sizes of the output over the input that are trained."""
        return self.config.scales if isinstance(self.config, CompactConfig) else (1,)


def as_batch(recipe: Recipe, inputs: Tensor, targets: Tensor, reduction: int = 4) -> Batch:
    """Pictures and what they should become, of one size, as a batch for this recipe."""
    if recipe.config.inputs == 6:
        base = guided_transfer(inputs, targets, reduction)
        return Batch(torch.cat([inputs, base], 1), base, targets)
    return Batch(inputs, inputs, targets)


_GRAPHICS = 0.1
"""Share of denoise's samples that are no photos; a third of them is noisy like photos."""


def _denoise(recipe: Recipe, clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    drawn, noisy, _ = draw.split(len(clean), (_GRAPHICS * 2 / 3, _GRAPHICS / 3), generator)
    clean = clean.clone()
    pictures = degrade.draw_graphics(len(drawn) + len(noisy), clean.shape[-1], generator)
    clean[torch.cat([drawn, noisy])] = pictures
    inputs, targets = degrade.denoise_pair(clean, generator)
    # What nothing is wrong with stays, to the last edge.
    inputs[drawn] = targets[drawn] = clean[drawn]
    return as_batch(recipe, inputs, targets)


def _light(recipe: Recipe, clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    given, targets = degrade.enhance_pair(
        clean, generator, whole=True, identity=0.36, mild=0.34, noise=0
    )
    return Batch(given, given, targets)


def _enhance(recipe: Recipe, clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    pair = degrade.enhance_pair(clean, generator, whole=True, identity=0.15, mild=0.45)
    return as_batch(recipe, *pair)


def _enhance_detail(recipe: Recipe, clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    # Photos are between a little and many times larger than the thumbnail.
    choice = torch.randint(3, (1,), generator=generator, device=clean.device)
    return as_batch(recipe, *degrade.enhance_pair(clean, generator), reduction=(2, 4, 8)[choice])


def _upscale(recipe: Recipe, clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    small, target = degrade.upscale_pair(clean, scale, generator)
    return Batch(small, small if scale == 1 else enlarge(small, scale), target, scale)


def _upscale_clean(recipe: Recipe, clean: Tensor, generator: torch.Generator, scale: int) -> Batch:
    # Chosen for what is clean, which is not all as sharp.
    small, target = degrade.upscale_pair(clean, scale, generator, plain=0.85, well=True)
    return Batch(small, enlarge(small, scale), target, scale)


def enlarge(small: Tensor, scale: int) -> Tensor:
    """The base of upscaling: Keys' bicubic with a = -0.5, as the tool computes it in use."""
    height, width = small.shape[2:]
    across = matrix(width, width * scale, "bicubic", small.device)
    down = matrix(height, height * scale, "bicubic", small.device)
    return down @ (small @ across.T)


# Squared errors at the end, where much is left open by the input: an eighth of a dB for the
# brightness of photos and a tenth for pairs of cameras. Not for noise, where photos that should
# stay as they are would suffer.
_SQUARED_AT_LAST = (Stage(0.7, 64, 16), Stage(0.85, 96, 8, "rmse"), Stage(1.0, 144, 4, "rmse"))
_WELL_EXPOSED = (0.22, 0.72)
# Two streams are as good as three where brightness is not the question, in two thirds of the time.
_PLAIN = CompactConfig(widths=(32, 64), groups=2, blocks=1)

# In integers these cost strong noise, and what comes of real blur, a tenth of a dB.
_LAST_AT_FULL_SIZE = r"groups\.{group}\.blocks\.0\.(dau2\.0\.|conv_out$)"

# The first is far wider where there is noise; of the last's rounding nothing is made up for.
_LOUD_OR_LAST = r"groups\.(0\.blocks\.0\.dau2\.1\.merge|1\.blocks\.0\.conv_out)$"

_ENLARGING = Recipe(
    "upscale",
    "network",
    "bicubic",
    replace(_PLAIN, unshuffle=1, scales=(2, 3, 4)),
    _upscale,
    # Multiples of 48: of every scale, and of the body's stride at the small size.
    stages=(Stage(0.7, 96, 16), Stage(0.85, 144, 8, "rmse"), Stage(1.0, 192, 4, "rmse")),
    in_float=_LOUD_OR_LAST,
    loud=0.4,
)

_RECIPES: dict[str, tuple[Recipe, ...]] = {
    "denoise": (
        Recipe(
            "denoise",
            "network",
            "input",
            replace(_PLAIN, lean=True),
            _denoise,
            in_float=r"groups\.1\.blocks\.0\.dau2\.0\.merge$",
        ),
    ),
    "enhance": (
        Recipe(
            "enhance",
            "network",
            "light",
            LightConfig(judges=64, shades=16),
            _light,
            stages=(Stage(0.7, 128, 16), Stage(1.0, 192, 16)),
            optimiser="adamw",
            weight_decay=1e-3,
            learning_rate=1.6e-3,
            steps=6000,
            whole=True,
            # Those that are dark on purpose too: the degradation knows.
            brightness=(0.1, 0.72),
            context="tile",
            overlap=None,
        ),
    ),
    "enhance-lol": (
        Recipe(
            "enhance",
            "thumbnail",
            "guided",
            replace(_PLAIN, widths=(32, 64, 128)),
            _enhance,
            stages=(Stage(0.7, 96, 8), Stage(0.85, 144, 4, "rmse"), Stage(1.0, 208, 2, "rmse")),
            whole=True,
            # Wide layers grow so strong otherwise that single pictures make them explode.
            weight_decay=0.2,
            learning_rate=3e-4,
            # Those that are dark on purpose too: the degradation knows.
            brightness=(0.1, 0.72),
        ),
        Recipe(
            "enhance",
            "network",
            "guided",
            replace(_PLAIN, inputs=6),
            _enhance_detail,
            stages=_SQUARED_AT_LAST,
            weight_decay=0.2,
            learning_rate=3e-4,
            steps=30_000,
            brightness=_WELL_EXPOSED,
        ),
    ),
    # The second for pictures that are clean: what suits both gains a tenth of a dB less there.
    "upscale": (
        _ENLARGING,
        replace(_ENLARGING, part="clean", degrade=_upscale_clean),
    ),
    "upscale-x1": (
        Recipe(
            "upscale",
            "network",
            "input",
            replace(_PLAIN, groups=3),
            _upscale,
            stages=_SQUARED_AT_LAST,
            learning_rate=8e-4,
            pair_share=0.65,
            context="refine",
            in_float=_LAST_AT_FULL_SIZE.format(group=2),
            loud=0.4,
        ),
    ),
}


def _large(name: str) -> tuple[Recipe, ...]:
    """Of four times the cost, to be begun with the weights of the plain network."""
    widths = tuple(2 * width for width in _PLAIN.widths)
    return tuple(
        replace(plain, config=replace(plain.config, widths=widths), grows=True)
        for plain in _RECIPES[name]
    )


RECIPES: dict[str, tuple[Recipe, ...]] = _RECIPES | {
    f"{name}-large": _large(name) for name in ("denoise", "upscale")
}
"""For each model the networks in its file, in the order in which they are trained."""


def find(name: str) -> tuple[Recipe, ...]:
    """The recipes of this model.

    Raises:
        UsageError: if there is none of this name.
    """
    if name not in RECIPES:
        raise UsageError("no such recipe", f"choose from {', '.join(RECIPES)}", subject=name)
    return RECIPES[name]
