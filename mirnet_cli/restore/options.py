"""What can be asked for of a restoration: of one step, of a photo, and of the weights."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from mirnet_cli import values
from mirnet_cli.errors import UsageError
from mirnet_cli.options import COMPUTING, HOW, WEIGHTS, Options, Setting, declared
from mirnet_cli.photo.options import ReadOptions, WriteOptions


@dataclass(frozen=True)
class StepOptions(Options):
    """What one network's result is like."""

    strength: Annotated[
        float,
        Setting(
            "Blend with the original: 0 is the original. [default: 1]",
            HOW,
            metavar="0..1",
            parse=values.strength,
        ),
    ] = 1.0
    ev: Annotated[
        float | str,
        Setting(
            "Stops of light that enhance adds; auto+0.7 is 0.7 more than auto. [default: auto]",
            HOW,
            metavar="-2..5|auto",
            parse=values.ev,
        ),
    ] = "auto"
    shadows: Annotated[
        float,
        Setting(
            "Light for what is dark in enhance's result: 1 opens it, -1 closes it. [default: 0]",
            HOW,
            metavar="-1..1",
            parse=values.tilt,
        ),
    ] = 0.0
    highlights: Annotated[
        float,
        Setting(
            "Light for what is bright in it: -1 brings back its shades. [default: 0]",
            HOW,
            metavar="-1..1",
            parse=values.tilt,
        ),
    ] = 0.0
    ensemble: Annotated[
        bool,
        Setting(
            "Average over the eight flips and rotations: a little better, 8 times slower.", HOW
        ),
    ] = False


LIGHT = ("ev", "shadows", "highlights")
"""Options of a step that only networks of light know."""


@dataclass(frozen=True)
class PhotoOptions(ReadOptions, StepOptions, WriteOptions):
    """What is done to a photo and how it is written: the options of reading, a step and writing.

    It goes wherever one of the three is wanted.
    """

    same_light: Annotated[
        bool,
        Setting(
            "The same light for photos shot together (one camera, 10 minutes; else one folder).",
            HOW,
        ),
    ] = False

    def fingerprint(self) -> dict[str, Any]:
        """The values that make a result what it is, for the journal of a batch.

        Options that came after the first journals are left out at their default, so that those
        journals hold.
        """
        altering = {name for name, setting in declared(type(self)).items() if setting.alters}
        kept = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name in altering
            and (field.name in _FIRST or getattr(self, field.name) != field.default)
        }
        return kept | {"format": self.format_name}


_FIRST = frozenset({"strength", "ensemble", "crop", "format", "quality", "strip"})


@dataclass(frozen=True)
class LoadOptions(Options):
    """Which weights, and where and how the work is computed.

    Attributes:
        task: "denoise", "enhance" or "upscale"; None where the weights tell it.
        scale: sides of the output over sides of the input, for upscaling; None is 2, or the
            smallest of weights that do not have it.
    """

    task: str | None = None
    scale: int | None = None
    model: Annotated[
        str | None,
        Setting(
            "A model by name; 'mirnet models list' shows them. [default: the task's own]",
            WEIGHTS,
            metavar="NAME",
        ),
    ] = None
    weights: Annotated[
        str | None,
        Setting(
            "A file of weights or an ONNX network, or hf://owner/repo/file[@rev].",
            WEIGHTS,
            metavar="PATH",
        ),
    ] = None
    set: Annotated[
        tuple[tuple[str, float], ...],
        Setting(
            "A number that an ONNX network takes besides the picture, such as sigma=0.1.",
            WEIGHTS,
            metavar="NAME=VALUE",
            parse=values.settings,
        ),
    ] = ()
    input_range: Annotated[
        str | None,
        Setting(
            "What black and white are for an ONNX network. [default: measured]",
            WEIGHTS,
            metavar="|".join(values.RANGES),
            parse=values.input_range,
        ),
    ] = None
    bgr: Annotated[
        bool | None,
        Setting(
            "Whether an ONNX network takes blue or red first. [default: measured]",
            WEIGHTS,
            flags=("--bgr/--rgb",),
        ),
    ] = None
    input_quality: Annotated[
        str,
        Setting(
            "Whether photos for upscale are clean, or real: with noise, blur or JPEG; auto looks "
            "at each. [default: auto]",
            WEIGHTS,
            metavar="|".join(values.QUALITIES),
            parse=values.input_quality,
        ),
    ] = "auto"
    device: Annotated[
        str,
        Setting(
            "Where to compute. [default: auto]",
            COMPUTING,
            metavar="auto|cpu|cuda[:N]|mps|directml",
            parse=values.device,
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16", "int8"],
        Setting(
            "Numeric precision; auto is the fastest within the stated tolerance.",
            COMPUTING,
            metavar="auto|fp32|fp16|bf16|int8",
        ),
    ] = "auto"
    runtime: Annotated[
        Literal["auto", "torch", "openvino", "onnxruntime"],
        Setting(
            "Inference backend; onnxruntime is for ONNX networks. [default: auto]",
            COMPUTING,
            metavar="auto|torch|openvino|onnxruntime",
        ),
    ] = "auto"
    tile: Annotated[
        int | str,
        Setting(
            "Side of a tile in pixels; 0 never cuts. [default: auto, as fits]",
            COMPUTING,
            metavar="auto|0|N",
            parse=values.tile,
        ),
    ] = "auto"
    overlap: Annotated[
        int | None,
        Setting(
            "Pixels that tiles share. [default: per model]",
            COMPUTING,
            metavar="N",
            parse=values.overlap,
        ),
    ] = None
    context: Annotated[
        Literal["auto", "whole", "sample", "refine", "tile"],
        Setting(
            "How tiles share whole-image statistics. [default: per model]",
            COMPUTING,
            metavar="auto|whole|sample|refine|tile",
        ),
    ] = "auto"
    max_memory: Annotated[
        int | None,
        Setting(
            "Memory limit of the process. [default: half of the machine's, 1.06G at most]",
            COMPUTING,
            metavar="4G",
            parse=values.memory,
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, too.

        Raises:
            UsageError: it does, or a value is none.
        """
        super().__post_init__()
        if self.model is not None and self.weights is not None:
            raise UsageError(
                "--model and --weights (or MIRNET_MODEL, MIRNET_WEIGHTS) cannot be combined",
                "leave one out",
            )

    def steps(self) -> "tuple[LoadOptions, ...]":
        """What each step of a run is loaded with: these, where there is one."""
        return (self,)
