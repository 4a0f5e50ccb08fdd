"""What became of one photo: what the API returns, ``--json`` prints and a batch writes down."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Result:
    """The outcome for one photo; what no network has seen has no figures.

    Attributes:
        input: its path, or "-" for bytes.
        output: the path written, "-" for a stream; None where nothing was written.
        status: "done", "skipped" or "failed".
        task: "denoise", "enhance" or "upscale".
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
        megapixels: of the input.
        seconds: from decoding to the written file.
        warnings: what was lost, changed or fell back.
        error: why it failed, in one line.
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
    megapixels: float | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def _repr_html_(self) -> str:
        """For a notebook: before and after, small."""
        from mirnet_cli.restore.notebook import of_result

        return of_result(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """All fields as values that JSON has."""
        return asdict(self) | {"warnings": list(self.warnings or ())}
