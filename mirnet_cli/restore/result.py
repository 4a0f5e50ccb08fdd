"""What became of one photo: what the API returns, ``--json`` prints and a batch writes down."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Status = Literal["done", "skipped", "failed"]

DONE_BEFORE = "done before"
KEPT = "left as it is"
NOT_STARTED = "not started"
UNREADABLE = "unreadable"
GOOD = "needs nothing"
REASONS = {
    DONE_BEFORE: "skipped",
    KEPT: "skipped",
    GOOD: "skipped",
    NOT_STARTED: "skipped",
    UNREADABLE: "failed",
}
"""Why no work was done on a photo, and the status that it has."""
_OF_A_RESTORER = ("task", "scale", "model", "sha256", "runtime", "device", "precision")


@dataclass(frozen=True)
class Step:
    """One network's part in a result.

    Attributes:
        task, scale, model, sha256: as of a :class:`Result`.
        runtime, device, precision: what computed.
        options: what was asked for beside the defaults, by name.
        tile, overlap, context, ev, input_quality: as of a :class:`Result`; None before it is done.
        apart: by how much two sets of weights differ about the picture, 0 to 1000 (where it is
            small, the picture is clean); None where they were not compared.
        seconds: that it took; None before it is done.
    """

    task: str
    scale: int
    model: str
    sha256: str
    runtime: str
    device: str
    precision: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tile: int | None = None
    overlap: int | None = None
    context: str | None = None
    ev: float | None = None
    input_quality: str | None = None
    apart: float | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        """In words: ``enhance``, ``denoise strength 0.6``, ``upscale x2``."""
        said = [self.task, f"x{self.scale}" if self.task == "upscale" else ""]
        said += [name if v is True else f"{name} {v}" for name, v in self.options.items()]
        return " ".join(filter(None, said))


@dataclass(frozen=True)
class Foretold:
    """What would be done to a photo.

    Attributes:
        steps: the networks that it would go through.
        decision, estimates: as of a :class:`Result`.
    """

    steps: tuple[Step, ...]
    decision: str | None = None
    estimates: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Result:
    """The outcome for one photo; what no network has seen has no figures.

    Attributes:
        input: its path, or "-" for bytes.
        output: the path written, "-" for a stream; None where nothing was written.
        status: "done", "skipped" or "failed".
        task: "denoise", "enhance" or "upscale"; of several steps all, with a plus between them,
            and so of all that steps may differ in.
        scale: sides of the output over sides of the input.
        model: name of the weights.
        sha256: of the weights.
        runtime, device, precision: what computed.
        tile: largest side of a tile in pixels; 0 where the picture was not cut.
        overlap: of tiles, in pixels.
        context: how tiles were made to agree; "whole" where the picture was not cut.
        width, height: of the input after orientation and crop.
        output_width, output_height: of the output.
        ev: stops of light that it was given; None where the network knows no amount.
        input_quality: "clean" or "real", which it was enlarged as; None where the weights do not
            tell the two apart.
        megapixels: of the input.
        seconds: from decoding to the written file.
        steps: the networks that the photo went through, in order.
        estimates: what ``auto`` found: noise and what of it is removed (of 255), stops of light,
            blur, the share that is dark, the ISO in EXIF, and the seconds it took.
        decision: what it found and did, in words.
        warnings: what was lost, changed or fell back.
        error: why it failed, in one line.
        reason: why it was not tried, one of :data:`REASONS`; None where it was, or cannot be done
            for a reason of its own.
    """

    input: str
    output: str | None
    status: Status
    task: str | None
    scale: int | None
    model: str | None
    sha256: str | None
    runtime: str | None
    device: str | None
    precision: str | None
    tile: int | None = None
    overlap: int | None = None
    context: str | None = None
    width: int | None = None
    height: int | None = None
    output_width: int | None = None
    output_height: int | None = None
    ev: float | None = None
    input_quality: str | None = None
    megapixels: float | None = None
    seconds: float | None = None
    steps: tuple[Step, ...] = ()
    estimates: Mapping[str, float] | None = None
    decision: str | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    reason: str | None = None

    @classmethod
    def by(cls, restorer: Any, source: Any, **known: Any) -> Self:
        """The result of a photo: what its restorer (None: nobody knows) is, and what is known.

        Args:
            restorer: what it went through, or was to go through.
            source: where it comes from; bytes have no path.
            **known: further fields.
        """
        own = {
            name: None if restorer is None else getattr(restorer, name) for name in _OF_A_RESTORER
        }
        return cls(**{"input": "-" if isinstance(source, bytes) else str(source), **own, **known})

    @property
    def outcome(self) -> str:
        """What happened, for people: "done", "done before", "not started", "unreadable" ..."""
        return self.reason or self.status

    def _repr_html_(self) -> str:
        """For a notebook: before and after, small."""
        from mirnet_cli.restore.notebook import of_result

        return of_result(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """All fields as values that JSON has."""
        return asdict(self) | {
            "steps": [asdict(each) for each in self.steps],
            "warnings": list(self.warnings or ()),
        }
