"""A photo through a network: :func:`load` and the :class:`Restorer`."""

import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mirnet_cli import settings
from mirnet_cli._version import __version__
from mirnet_cli.errors import UsageError
from mirnet_cli.models.catalogue import TASKS
from mirnet_cli.models.choose import names_file, resolve
from mirnet_cli.models.weights import Weights
from mirnet_cli.photo import placing, xmp_places
from mirnet_cli.photo.space import Space, space_of, space_of_photo
from mirnet_cli.places import Place, Remote, place
from mirnet_cli.restore import photos
from mirnet_cli.restore.alpha import enlarged_alpha, without_hidden
from mirnet_cli.restore.context import Refinement
from mirnet_cli.restore.cutting import Cutter, Outcome, Request
from mirnet_cli.restore.passes import Report, enlarged
from mirnet_cli.restore.picture import Picture, check
from mirnet_cli.restore.prepared import Prepared
from mirnet_cli.restore.resample import BICUBIC_REACH
from mirnet_cli.restore.result import Result
from mirnet_cli.restore.sizing import Forecast, parse_tile
from mirnet_cli.restore.tiles import Plan
from mirnet_cli.restore.work import Work
from mirnet_cli.runtime.memory import ceiling, parse_size


class RestoreWarning(UserWarning):
    """Something the caller of a :class:`Restorer` should know: a fallback, clipped values."""


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
        context: "auto" (the model's own), or one of :data:`mirnet_cli.models.catalogue.CONTEXTS`.
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
    elif names_file(named):
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
        max_memory: bytes that the process may take, half of the machine's unless it was said. Tiles
            take less where more buys no speed; what they leave may hold other photos.
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
        machine = settings.memory_limit()
        size, limit = parse_tile(tile), ceiling(max_memory, machine)
        self.max_memory = machine // 2 if max_memory is None else parse_size(max_memory)
        network = Prepared(weights, self.scale, runtime=runtime, device=device, precision=precision)
        self.runtime = network.runner.runtime
        self.device = network.runner.device
        self.precision = network.runner.precision
        self._two_views = network.two_views
        self._cutter = Cutter(network, size, overlap, context, limit)
        self.overlap = self._cutter.overlap
        self.context = self._cutter.context

    @property
    def refinement(self) -> Refinement:
        """When the context "refine" ends."""
        return self._cutter.refinement

    @refinement.setter
    def refinement(self, value: Refinement) -> None:
        self._cutter.refinement = value

    def __call__(
        self,
        pixels: NDArray[Any],
        *,
        strength: float = 1.0,
        ensemble: bool = False,
        profile: bytes | None = None,
        progress: Report | None = None,
    ) -> NDArray[Any]:
        """Restores a picture.

        Args:
            pixels: ``(H, W)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGB with straight alpha;
                uint8, uint16, or float32 in 0..1. Not written to. Networks for dual-pixel sensors
                take ``(H, W, 6)``, the left view and the right one, and give ``(H, W, 3)``.
            strength: share of the result in the blend with the original, 0 to 1.
            ensemble: average over the eight flips and rotations.
            profile: the ICC profile that the pixels are in; None is sRGB.
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
        if not isinstance(pixels, np.ndarray):
            what = f"{type(pixels).__name__} is no array of pixels"
            raise UsageError(what, "give one, such as numpy.asarray(image)")
        if self._two_views and ensemble:
            raise UsageError("flipping exchanges the two views", "leave ensemble out")
        if self._two_views and profile is not None:
            raise UsageError("two views of a sensor have no profile", "leave it out")
        said = check(pixels, two_views=self._two_views)
        alpha = pixels[..., 3] if pixels.ndim == 3 and pixels.shape[2] == 4 else None
        colours = pixels if alpha is None else pixels[..., :3]
        out = np.empty(self._shape(pixels), pixels.dtype)
        out_colours = out if alpha is None else out[..., :3]
        space, doubt = space_of(profile, grey=pixels.ndim == 2)
        said += [doubt] if doubt else []
        request = Request(strength, ensemble, progress)
        outcome = self._restore(colours, alpha, space, out_colours, request)
        if alpha is not None:
            self._keep_alpha(alpha, out[..., 3])
        for text in [*said, *outcome.warnings]:
            warnings.warn(text, RestoreWarning, stacklevel=2)
        return out

    def file(
        self,
        source: str | Place | bytes,
        target: str | Place | BinaryIO,
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
            source: a path, an address (``s3://``, ``https://`` …), or the bytes of a file.
            target: a path, whose folder exists, an address of an object that is to be written, or
                a stream open for writing bytes.
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
            InputError: for a source that is missing, unreadable, refused, outside of the crop,
                or too large for the format of the result.
            OutputError: for a target that exists or cannot be written.
            OutOfMemoryError, ResultError: as for an array.
        """
        photos.check_options(strength=strength, quality=quality)
        work = self.read(
            source, target, crop=crop, format=format, max_pixels=max_pixels, overwrite=overwrite
        )
        self.improve(work, strength=strength, ensemble=ensemble, progress=progress)
        return self.write(
            work,
            format=format,
            quality=quality,
            strip=strip,
            preserve=preserve,
            overwrite=overwrite,
        )

    def read(
        self,
        source: str | Place | bytes,
        target: str | Place | BinaryIO,
        *,
        crop: tuple[int, int, int, int] | None = None,
        format: str | None = None,
        max_pixels: int = 500_000_000,
        overwrite: bool = False,
    ) -> Work:
        """The first of the three steps of :meth:`file`, with its arguments: decodes the photo.

        Each step may run in a thread of its own; of :meth:`improve` only one at a time.
        """
        if self._two_views:
            what = "made for the two views of a dual-pixel sensor, which a photo does not have"
            raise UsageError(what, "call the Restorer with an HxWx6 array", subject=self.task)
        started = time.monotonic()
        source = place(source) if isinstance(source, str) else source
        target = place(target) if isinstance(target, str) else target
        photos.check_target(source, target, overwrite=overwrite, format=format)
        status = photos.status_of(source)
        photo = photos.read(source, crop=crop, max_pixels=max_pixels)
        height, width = photo.pixels.shape[:2]
        full = (width * self.scale, height * self.scale)
        photos.check_size(photo.header, source, target, *full, format=format)
        said = [*photo.warnings, *check(photo.pixels)]
        seconds = time.monotonic() - started
        return Work(source, target, status, photo, width, height, said, seconds)

    def improve(
        self,
        work: Work,
        *,
        strength: float = 1.0,
        ensemble: bool = False,
        progress: Report | None = None,
    ) -> None:
        """The second step: the photo's pixels become those of the result."""
        started = time.monotonic()
        photo = work.photo
        out = np.empty(self._shape(photo.pixels), photo.pixels.dtype)
        alpha = None
        space, doubt = space_of_photo(photo)
        work.said += [doubt] if doubt else []
        height, width = photo.pixels.shape[:2]
        around = xmp_places.goes_around(photo.metadata.xmp, width, height)
        request = Request(strength, ensemble, progress, around)
        work.outcome = self._restore(photo.pixels, photo.alpha, space, out, request)
        if photo.alpha is not None:
            alpha = np.empty(out.shape[:2], out.dtype)
            self._keep_alpha(photo.alpha, alpha)
        # The input's pixels go before the encoder takes memory of its own.
        work.photo = placing.enlarged(photo, out, alpha)
        work.provenance = self._provenance(strength, ensemble)
        work.said += work.outcome.warnings
        work.seconds += time.monotonic() - started

    def write(
        self,
        work: Work,
        *,
        format: str | None = None,
        quality: int | None = None,
        strip: bool = False,
        preserve: bool = False,
        overwrite: bool = False,
    ) -> Result:
        """The third step: encodes the result and writes it, whole or not at all."""
        started = time.monotonic()
        said = photos.write(
            work.photo,
            work.source,
            work.target,
            work.status,
            format=format,
            quality=quality,
            strip=strip,
            preserve=preserve,
            overwrite=overwrite,
            provenance=work.provenance,
        )
        height, width = work.photo.pixels.shape[:2]
        return Result(
            input="-" if isinstance(work.source, bytes) else str(work.source),
            output=str(work.target) if isinstance(work.target, Path | Remote) else "-",
            status="done",
            task=self.task,
            scale=self.scale,
            model=self.weights.name,
            sha256=self.weights.sha256,
            runtime=self.runtime,
            device=self.device,
            precision=self.precision,
            tile=work.outcome.tile,
            overlap=work.outcome.overlap,
            context=work.outcome.context,
            width=work.width,
            height=work.height,
            output_width=width,
            output_height=height,
            megapixels=work.width * work.height / 1e6,
            seconds=work.seconds + time.monotonic() - started,
            warnings=(*work.said, *said),
        )

    def foresee(self, width: int, height: int) -> Forecast:
        """What a photo of this size will take; nothing is computed.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        return self._cutter.foresee(height, width)

    def tiles(self, width: int, height: int) -> Plan:
        """How a photo of this size is cut, as the network sees it.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        return self._cutter.tiles(height, width)

    def _provenance(self, strength: float, ensemble: bool) -> dict[str, str]:
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
        channels = (3,) if self._two_views else pixels.shape[2:]
        return (height * self.scale, width * self.scale, *channels)

    def _keep_alpha(self, alpha: NDArray[Any], out: NDArray[Any]) -> None:
        if self.scale == 1:
            out[...] = alpha
        else:
            enlarged_alpha(alpha, self.scale, out)

    def _restore(
        self,
        pixels: NDArray[Any],
        alpha: NDArray[Any] | None,
        space: Space | None,
        out: NDArray[Any],
        request: Request,
    ) -> Outcome:
        """Fills ``out`` with the restored colours."""
        photos.check_options(strength=request.strength)
        picture = Picture(pixels if alpha is None else without_hidden(pixels, alpha), space)
        if request.strength == 0:
            if request.around:
                picture = replace(picture, around=BICUBIC_REACH)
            enlarged(Picture(pixels[..., :3]) if self._two_views else picture, self.scale, out)
            outcome = Outcome()
        else:
            outcome = self._cutter.restore(picture, out, request)
        if alpha is not None and self.scale == 1:
            # What nobody sees stays what it was.
            hidden = alpha == 0
            np.copyto(out, pixels, where=hidden if pixels.ndim == 2 else hidden[..., None])
        return outcome
