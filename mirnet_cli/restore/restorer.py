"""A photo through a network: :func:`load` and the :class:`Restorer`."""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mirnet_cli import settings
from mirnet_cli.errors import OutOfMemoryError, UsageError
from mirnet_cli.models.catalogue import TASKS
from mirnet_cli.models.choose import resolve
from mirnet_cli.models.weights import Weights
from mirnet_cli.restore.alpha import enlarged_alpha, without_hidden
from mirnet_cli.restore.context import Refinement, choose
from mirnet_cli.restore.passes import Job, Progress, enlarged
from mirnet_cli.restore.picture import Picture, check
from mirnet_cli.restore.prepared import Prepared
from mirnet_cli.restore.result import Result
from mirnet_cli.restore.sizing import (
    SMALLEST,
    Room,
    automatic_tile,
    check_overlap,
    fitting_overlap,
    parse_tile,
)
from mirnet_cli.restore.tiles import plan, round_up
from mirnet_cli.runtime import OutOfDeviceMemoryError
from mirnet_cli.runtime.memory import FIXED, ceiling, device_ceiling

Report = Callable[[int, int], None]
"""Called with how many runs of the network are done, of how many."""


class RestoreWarning(UserWarning):
    """Something the caller of a :class:`Restorer` should know: a fallback, clipped values."""


@dataclass
class Outcome:
    """What is known of a picture once it is restored.

    Attributes:
        tile: largest side of a tile; 0 where the picture was not cut.
        overlap: of tiles.
        context: how tiles were made to agree; "whole" where the picture was not cut.
        warnings: fallbacks and the like.
    """

    tile: int = 0
    overlap: int = 0
    context: str = "whole"
    warnings: list[str] = field(default_factory=list)


def load(
    task: str | Path,
    *,
    scale: int | None = None,
    model: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    tile: int | str = "auto",
    overlap: int | None = None,
    context: str = "auto",
    max_memory: int | str | None = None,
) -> "Restorer":
    """Loads a network, ready to restore photos.

    Args:
        task: "denoise", "enhance" or "upscale", the name of a model, or the path of weights.
        scale: sides of the output over sides of the input, for upscaling; 2 by default.
        model, weights: a model's name or the path of weights for the task.
        device, precision, runtime: as :func:`mirnet_cli.runtime.prepare` takes them.
        tile: "auto", 0 (pictures are never cut), or the largest side of a tile in pixels.
        overlap: what a tile sees beyond its part on each inner side; None is the model's own.
        context: "auto" (the model's own), or one of :data:`mirnet_cli.restore.context.CONTEXTS`.
        max_memory: a ceiling for the process, in bytes or like "4G"; None is half of the machine's
            (or container's) memory, and less where more buys no speed.

    Raises:
        UsageError: for a value that is none of these.
        ModelError: for weights that are not found, not intact or not understood.
    """
    named = str(task)
    if named in TASKS:
        chosen = resolve(named, model=model, weights=weights, scale=scale)
    elif model is not None or weights is not None:
        raise UsageError(f"unknown task {named!r}", f"use {', '.join(TASKS)}")
    elif named.startswith("hf://") or os.sep in named or Path(named).expanduser().is_file():
        chosen = resolve(None, weights=named, scale=scale)
    else:
        chosen = resolve(None, model=named, scale=scale)
    return Restorer(
        chosen,
        scale=scale,
        device=device,
        precision=precision,
        runtime=runtime,
        tile=tile,
        overlap=overlap,
        context=context,
        max_memory=max_memory,
    )


class Restorer:
    """Restores photos with one network; made by :func:`load`.

    Attributes:
        weights: what it computes with.
        task: "denoise", "enhance" or "upscale".
        scale: sides of the output over sides of the input.
        runtime, device, precision: what computes.
        overlap: of tiles, in pixels; less where tiles are small and it was not asked for.
        context: how tiles are made to agree with the whole.
        refinement: when the context "refine" ends.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        scale: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
        tile: int | str = "auto",
        overlap: int | None = None,
        context: str = "auto",
        max_memory: int | str | None = None,
    ) -> None:
        """See :func:`load`."""
        self.weights = weights
        self.task = weights.task
        self.scale = weights.default_scale if scale is None else scale
        self._tile = parse_tile(tile)
        self.context = choose(context, weights.context)
        self.refinement = Refinement()
        limit = ceiling(max_memory, settings.memory_limit())
        self._network = Prepared(
            weights, self.scale, runtime=runtime, device=device, precision=precision
        )
        self.runtime = self._network.runner.runtime
        self.device = self._network.runner.device
        self.precision = self._network.runner.precision
        self._ceiling = limit
        self._device_ceiling = device_ceiling(self.device)
        self._asked_overlap = overlap
        self.overlap = self._network.halo if overlap is None else overlap
        if overlap is not None:
            check_overlap(self._tile or 0, overlap, self._network.stride)
        # Set when memory ran out, so that later pictures do not run into the same wall.
        self._largest: int | None = None

    def __call__(
        self,
        pixels: NDArray[Any],
        *,
        strength: float = 1.0,
        ensemble: bool = False,
        progress: Report | None = None,
    ) -> NDArray[Any]:
        """Restores a picture.

        Args:
            pixels: ``(H, W)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGB with straight alpha;
                uint8, uint16, or float32 in 0..1. Not written to.
            strength: share of the result in the blend with the original, 0 to 1.
            ensemble: average over the eight flips and rotations.
            progress: told of each run of the network.

        Returns:
            A new array of the same type and layout, ``scale`` times as high and wide. Alpha is
            kept, enlarged with the picture.

        Raises:
            UsageError: for an array that is no picture, or a strength that is none.
            InputError: for values that are not finite.
            OutOfMemoryError: where memory does not suffice at the smallest tile.
            ResultError: where the network's result is not finite.
        """
        said = check(pixels)
        alpha = pixels[..., 3] if pixels.ndim == 3 and pixels.shape[2] == 4 else None
        colours = pixels if alpha is None else pixels[..., :3]
        out = np.empty(self._shape(pixels), pixels.dtype)
        out_colours = out if alpha is None else out[..., :3]
        outcome = self._restore(colours, alpha, out_colours, strength, ensemble, progress)
        if alpha is not None:
            self._keep_alpha(alpha, out[..., 3])
        for text in [*said, *outcome.warnings]:
            warnings.warn(text, RestoreWarning, stacklevel=2)
        return out

    def file(
        self,
        source: str | Path | bytes,
        target: str | Path | BinaryIO,
        *,
        strength: float = 1.0,
        ensemble: bool = False,
        crop: tuple[int, int, int, int] | None = None,
        format: str | None = None,
        quality: int | None = None,
        strip: bool = False,
        preserve: bool = False,
        overwrite: bool = False,
        max_pixels: int = 500_000_000,
        progress: Report | None = None,
    ) -> Result:
        """Restores a photo from file to file.

        Args:
            source: a path, or the bytes of a file.
            target: a path, whose folder exists, or a stream open for writing bytes.
            strength, ensemble, progress: as for an array.
            crop: ``(x, y, width, height)`` in pixels of the upright photo; only that is restored
                and written.
            format: "PNG", ...; by default what the target's name says, else the source's.
            quality: of a lossy format, 1 to 100; by default what the source has.
            strip: leave metadata out.
            preserve: the target gets the times of the source.
            overwrite: replace an existing target, which may be the source itself.
            max_pixels: larger photos are refused before they are decoded.

        Raises:
            UsageError: for the source as target without ``overwrite``, or a wrong option.
            InputError: for a source that is missing, unreadable, refused, or outside of the crop.
            OutputError: for a target that exists or cannot be written.
            OutOfMemoryError, ResultError: as for an array.
        """
        from mirnet_cli.restore import photos

        started = time.monotonic()
        photos.check_target(source, target, overwrite=overwrite)
        photo = photos.read(source, crop=crop, max_pixels=max_pixels)
        said = [*photo.warnings, *check(photo.pixels)]
        height, width = photo.pixels.shape[:2]
        out = np.empty(self._shape(photo.pixels), photo.pixels.dtype)
        alpha = None
        outcome = self._restore(photo.pixels, photo.alpha, out, strength, ensemble, progress)
        if photo.alpha is not None:
            alpha = np.empty(out.shape[:2], out.dtype)
            self._keep_alpha(photo.alpha, alpha)
        # The input's pixels go before the encoder takes memory of its own.
        photo = photo.with_pixels(out, alpha)
        said += outcome.warnings
        said += photos.write(
            photo,
            source,
            target,
            format=format,
            quality=quality,
            strip=strip,
            preserve=preserve,
            overwrite=overwrite,
            provenance=self._provenance(strength, ensemble),
        )
        return Result(
            input="-" if isinstance(source, bytes) else str(source),
            output=str(target) if isinstance(target, str | Path) else "-",
            status="done",
            task=self.task,
            scale=self.scale,
            model=self.weights.name,
            sha256=self.weights.sha256,
            runtime=self.runtime,
            device=self.device,
            precision=self.precision,
            tile=outcome.tile,
            overlap=outcome.overlap,
            context=outcome.context,
            width=width,
            height=height,
            output_width=out.shape[1],
            output_height=out.shape[0],
            megapixels=width * height / 1e6,
            seconds=time.monotonic() - started,
            warnings=tuple(said),
        )

    def _provenance(self, strength: float, ensemble: bool) -> dict[str, str]:
        from mirnet_cli._version import __version__

        said = {
            "tool": f"mirnet {__version__}",
            "task": self.task,
            "model": self.weights.name,
            "sha256": self.weights.sha256,
        }
        if self.scale > 1:
            said["scale"] = str(self.scale)
        if strength != 1:
            said["strength"] = f"{strength:g}"
        return said | ({"ensemble": "8"} if ensemble else {})

    def _shape(self, pixels: NDArray[Any]) -> tuple[int, ...]:
        height, width = pixels.shape[:2]
        return (height * self.scale, width * self.scale, *pixels.shape[2:])

    def _keep_alpha(self, alpha: NDArray[Any], out: NDArray[Any]) -> None:
        if self.scale == 1:
            out[...] = alpha
        else:
            enlarged_alpha(alpha, self.scale, out)

    def _restore(
        self,
        pixels: NDArray[Any],
        alpha: NDArray[Any] | None,
        out: NDArray[Any],
        strength: float,
        ensemble: bool,
        progress: Report | None,
    ) -> Outcome:
        """Fills ``out`` with the restored colours."""
        if not 0 <= strength <= 1:
            raise UsageError(f"a strength of {strength:g}", "use a number from 0 to 1")
        visible = pixels if alpha is None else without_hidden(pixels, alpha)
        picture = Picture(visible)
        if strength == 0:
            enlarged(picture, self.scale, out)
            outcome = Outcome()
        else:
            outcome = self._attempt(picture, out, strength, ensemble, progress)
        if alpha is not None and self.scale == 1:
            # What nobody sees stays what it was.
            hidden = alpha == 0
            np.copyto(out, pixels, where=hidden if pixels.ndim == 2 else hidden[..., None])
        return outcome

    def _attempt(
        self,
        picture: Picture,
        out: NDArray[Any],
        strength: float,
        ensemble: bool,
        progress: Report | None,
    ) -> Outcome:
        """Restores, with smaller tiles whenever the device's memory does not suffice."""
        outcome = Outcome()
        tile = self._choose_tile(picture, out)
        context = self._affordable_context(picture, out, tile, outcome)
        while True:
            try:
                self._run(picture, out, tile, context, strength, ensemble, progress, outcome)
            except (OutOfDeviceMemoryError, MemoryError) as error:
                longer = max(picture.height, picture.width)
                tried = min(tile or longer, longer)
                tile = tried // 2 // self._network.stride * self._network.stride
                if tile < SMALLEST:
                    raise OutOfMemoryError(
                        f"memory on {self.device} does not suffice for tiles of {tried} pixels",
                        "close other programs, or use --crop or another --device",
                    ) from error
                self._largest = tile
                context = "refine" if context == "whole" else context
                outcome.warnings.append(
                    f"out of memory with {f'tiles of {tried}' if tried < longer else 'one tile'}:"
                    f" went on with tiles of {tile}"
                )
            else:
                return outcome

    def _run(
        self,
        picture: Picture,
        out: NDArray[Any],
        tile: int,
        context: str,
        strength: float,
        ensemble: bool,
        progress: Report | None,
        outcome: Outcome,
    ) -> None:
        stride = self._network.stride
        overlap = self.overlap
        if self._asked_overlap is None or tile != self._tile:
            overlap = fitting_overlap(tile, overlap, stride)
        # On their own, tiles differ everywhere: then the blend is as wide as it can be.
        feather = overlap if context == "tile" else None
        tiles = plan(picture.height, picture.width, tile, overlap, stride, feather=feather)
        base, unsafe = self._network.base(picture, ensemble)
        evaluate = self._network.evaluator(ensemble)
        counter = Progress(progress, len(tiles))
        converged = Job(
            picture=picture,
            out=out,
            evaluate=evaluate,
            plan=tiles,
            base=base,
            scale=self.scale,
            base_beside=self._network.base_beside,
            strength=strength,
            progress=counter,
        ).run(context, self.refinement)
        counter.finish()
        if not tiles.whole:
            outcome.tile, outcome.context = max(tiles.tile_shape), context
            outcome.overlap = round_up(overlap, stride)
            if overlap < self.overlap:
                outcome.warnings.append(
                    f"the overlap is {outcome.overlap} instead of {self.overlap} pixels, because"
                    " the tiles are small; tiles may differ at their borders"
                )
            if not converged:
                outcome.warnings.append(
                    "the whole picture's context was still changing after"
                    f" {self.refinement.rounds} passes; tiles may differ slightly"
                )
        if unsafe := unsafe + evaluate.unsafe:
            outcome.warnings.append(
                f"{unsafe} results were not finite in {self.precision} and were computed again in"
                " fp32"
            )

    def _room(self, picture: Picture, out: NDArray[Any]) -> Room:
        per_pixel = self._network.bytes_per_pixel
        if self._device_ceiling is not None:
            return Room(self._device_ceiling, 0, per_pixel)
        pictures = picture.pixels.nbytes + out.nbytes
        return Room(self._ceiling, FIXED + pictures, per_pixel)

    def _choose_tile(self, picture: Picture, out: NDArray[Any]) -> int:
        tile = self._tile
        if tile is None:
            room = self._room(picture, out)
            tile = automatic_tile(picture.height, picture.width, self._network.stride, room)
        if self._largest is not None and max(picture.height, picture.width) > self._largest:
            tile = min(tile or self._largest, self._largest)
        return tile

    def _affordable_context(
        self, picture: Picture, out: NDArray[Any], tile: int, outcome: Outcome
    ) -> str:
        stride = self._network.stride
        pixels = round_up(picture.height, stride) * round_up(picture.width, stride)
        cut = bool(tile) and tile < max(picture.height, picture.width)
        if self.context != "whole" or not cut or pixels <= self._room(picture, out).pixels:
            return self.context
        outcome.warnings.append(
            "the context whole does not fit the memory allowed: refine is used instead"
        )
        return "refine"
