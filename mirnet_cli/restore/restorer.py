"""A photo through a network: the :class:`Restorer`."""

import time
import warnings
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mirnet_cli import settings
from mirnet_cli._version import __version__
from mirnet_cli.errors import UsageError
from mirnet_cli.models.weights import Weights
from mirnet_cli.options import as_arguments, in_python
from mirnet_cli.photo import Header, Metadata, Photo, regions, xmp_regions
from mirnet_cli.photo.options import WriteOptions
from mirnet_cli.photo.space import Space, space_of_photo
from mirnet_cli.places import Place, place
from mirnet_cli.restore import images, notebook, photos
from mirnet_cli.restore.alpha import enlarged_alpha, without_hidden
from mirnet_cli.restore.context import Refinement
from mirnet_cli.restore.cutting import Cutter, Outcome
from mirnet_cli.restore.options import LIGHT, LoadOptions, PhotoOptions, StepOptions
from mirnet_cli.restore.passes import Report, enlarged
from mirnet_cli.restore.picture import Picture, check, copied
from mirnet_cli.restore.prepared import Prepared
from mirnet_cli.restore.resample import BICUBIC_REACH
from mirnet_cli.restore.result import Foretold, Result, Step
from mirnet_cli.restore.sizing import Forecast
from mirnet_cli.restore.tiles import TilePlan
from mirnet_cli.restore.work import Source, Target, Work
from mirnet_cli.runtime.memory import ceiling

_Pixels = TypeVar("_Pixels", NDArray[Any], Image.Image)


class RestoreWarning(UserWarning):
    """Something the caller of a :class:`Restorer` should know: a fallback, clipped values."""


class Restorer:
    """Restores photos with one network; made by :func:`mirnet_cli.load`.

    Attributes:
        weights: what it computes with.
        task: "denoise", "enhance" or "upscale".
        scale: sides of the output over sides of the input.
        runtime, device, precision: what computes.
        two_views: whether it takes two views of a dual-pixel sensor, and no photo.
        light: whether it can be asked for an amount of light.
        overlap: of tiles, in pixels; less where tiles are small and it was not asked for.
        context: how tiles are made to agree with the whole.
        max_memory: bytes that the process may take, half of the machine's unless it was said. Tiles
            take less where more buys no speed; what they leave may hold other photos.
    """

    def __init__(self, weights: Weights, options: LoadOptions | None = None, **named: Any) -> None:
        """See :func:`mirnet_cli.load`; which weights is said by ``weights`` alone."""
        options = LoadOptions.of(options, named)
        self.weights = weights
        self.task = weights.task
        self.scale = weights.default_scale if options.scale is None else options.scale
        machine = settings.memory_limit()
        self.max_memory = machine // 2 if options.max_memory is None else options.max_memory
        self._network = network = Prepared(weights, self.scale, options)
        self.runtime = network.runner.runtime
        self.device = network.runner.device
        self.precision = network.runner.precision
        self._said = options.input_quality if self.two_sets else "auto"
        self.two_views = network.two_views
        self.light = network.light
        self._cutter = Cutter(network, options, ceiling(options.max_memory, machine))
        self.overlap = self._cutter.overlap
        self.context = self._cutter.context

    @property
    def steps(self) -> "tuple[Restorer, ...]":
        """The networks that a photo goes through: this one."""
        return (self,)

    @property
    def two_sets(self) -> bool:
        """Whether its weights are of two sets, one for clean pictures."""
        return self.weights.clean is not None

    @property
    def model(self) -> str:
        """Name of the weights."""
        return self.weights.name

    @property
    def sha256(self) -> str:
        """Of the weights."""
        return self.weights.sha256

    def fingerprint(self) -> dict[str, Any]:
        """What makes a result what it is, beside the options of the photo."""
        return {
            "task": self.task,
            "scale": self.scale,
            "weights": self.sha256,
            "context": self.context,
            "overlap": self.overlap,
            # How a measured network is read; journals of other networks stay valid.
            **({"reading": self.weights.reading} if self.weights.reading else {}),
            **({"input_quality": self._said} if self._said != "auto" else {}),
        }

    def planned(self, options: StepOptions) -> tuple[Step, ...]:
        """The networks that a photo goes through, and what is asked of each."""
        asked = options.part(StepOptions).given()
        what = (self.task, self.scale, self.model, self.sha256)
        return (Step(*what, self.runtime, self.device, self.precision, asked),)

    def foretold(self, photo: Photo, options: StepOptions) -> Foretold:
        """What would be done to this photo; the same to all."""
        return Foretold(self.planned(options))

    def release(self) -> None:
        """Give back the memory that is held for the next photo, which then takes it again."""
        self._network.release()

    @property
    def refinement(self) -> Refinement:
        """When the context "refine" ends."""
        return self._cutter.refinement

    @refinement.setter
    def refinement(self, value: Refinement) -> None:
        self._cutter.refinement = value

    @in_python()
    def __call__(
        self,
        pixels: _Pixels,
        options: StepOptions | None = None,
        *,
        profile: bytes | None = None,
        clip: bool = False,
        progress: Report | None = None,
        **named: Any,
    ) -> _Pixels:
        """Restore a picture.

        Args:
            pixels: an array, ``(H, W)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGB with straight
                alpha; uint8, uint16, or float32 in 0..1. Not written to. Networks for dual-pixel
                sensors take ``(H, W, 6)``, the left view and the right one, and give
                ``(H, W, 3)``. Or an image of Pillow's, of mode L, LA, RGB, RGBA, I;16 or F (in
                0..1); 1 is taken as L, P and PA as RGB or RGBA.
            options: what the result is like.
            profile: the ICC profile that the pixels are in; None is an image's own, or sRGB.
            clip: clip float values to 0..1 instead of refusing those beyond it.
            progress: told of each run of the network.
            **named: options by their names, in the place of those of ``options``.

        Returns:
            A new array of the same type and layout, ``scale`` times as high and wide. Alpha is
            kept, enlarged with the picture. For an image a new one of the same mode, with its
            profile, EXIF and all else in ``info``.

        Raises:
            UsageError: for an array that is no picture, an image of another mode, values beyond
                0..1 without ``clip``, or an option that is none.
            InputError: for values that are not finite, or an image that cannot be decoded.
            OutOfMemoryError: where memory does not suffice at the smallest tile.
            ResultError: where the network's result is not finite.
        """
        options = StepOptions.of(options, named)
        if isinstance(pixels, Image.Image):
            image = images.taken(pixels)
            own = image.info.get("icc_profile") if profile is None else profile
            colours, alpha = images.split(image)
            check(colours, clip=clip)
            made, new_alpha, said = self._made(colours, alpha, options, own or None, progress)
            result: Any = images.like(image, made, new_alpha)
        elif isinstance(pixels, np.ndarray):
            result, said = self.array(
                pixels, options, profile=profile, clip=clip, progress=progress
            )
        else:
            what = f"{type(pixels).__name__} is not an array of pixels"
            raise UsageError(what, "give a numpy array or a Pillow image")
        for text in said:
            warnings.warn(as_arguments(text, "output"), RestoreWarning, stacklevel=3)
        return cast(_Pixels, result)

    def array(
        self,
        pixels: NDArray[Any],
        options: StepOptions,
        *,
        profile: bytes | None = None,
        clip: bool | None = None,
        progress: Report | None = None,
    ) -> tuple[NDArray[Any], list[str]]:
        """What a call does with an array, the errors in the words of the commands.

        Args:
            pixels, options, profile, progress: as for a call.
            clip: as for :func:`mirnet_cli.restore.picture.check`.

        Returns:
            The result, and warnings.
        """
        said = check(pixels, two_views=self.two_views, clip=clip)
        alpha = pixels[..., 3] if pixels.ndim == 3 and pixels.shape[2] == 4 else None
        colours = pixels if alpha is None else pixels[..., :3]
        out, new_alpha, told = self._made(colours, alpha, options, profile, progress)
        if new_alpha is not None:
            out = np.dstack([out, new_alpha])
        return out, [*said, *told]

    def _made(
        self,
        colours: NDArray[Any],
        alpha: NDArray[Any] | None,
        options: StepOptions,
        profile: bytes | None,
        progress: Report | None,
    ) -> tuple[NDArray[Any], NDArray[Any] | None, list[str]]:
        """New colours and transparency, and warnings: those of a photo that no file has."""
        self.check(options)
        if self.two_views and options.ensemble:
            raise UsageError("flipping exchanges the two views", "leave ensemble out")
        if self.two_views and profile is not None:
            raise UsageError("two views of a sensor have no profile", "leave it out")
        height, width = colours.shape[:2]
        photo = Photo(colours, alpha, Header("", width, height), Metadata(icc=profile))
        work = Work(b"", BytesIO(), None, photo, width, height, [], 0.0)
        self.improve(work, options, progress)
        made, new_alpha = work.photo.pixels, work.photo.alpha
        if made is colours:
            made, new_alpha = made.copy(), None if new_alpha is None else new_alpha.copy()
        return made, new_alpha, work.said

    @in_python("target")
    def file(
        self,
        source: str | Source,
        target: str | Target,
        options: PhotoOptions | None = None,
        *,
        progress: Report | None = None,
        **named: Any,
    ) -> Result:
        """Restore a photo from file to file.

        Args:
            source: a path, an address (``s3://``, ``https://`` …), or the bytes of a file.
            target: a path, whose folder exists, an address of an object that is to be written, or
                a stream open for writing bytes. A folder, which exists or ends in ``/``, gets a
                file of the source's name.
            options: what is read, what is done and how it is written.
            progress: told of each run of the network.
            **named: options by their names, in the place of those of ``options``.

        Raises:
            UsageError: for the source as target without ``overwrite``, or a wrong option.
            InputError: for a source that is missing, unreadable, refused, outside of the crop,
                or too large for the format of the result.
            OutputError: for a target that exists or cannot be written.
            OutOfMemoryError, ResultError: as for an array.
        """
        options = PhotoOptions.of(options, named)
        source = place(source) if isinstance(source, str) else source
        work = self.read(source, photos.within(target, source, options), options)
        self.improve(work, options, progress)
        result = self.write(work, options)
        return replace(
            result, warnings=tuple(as_arguments(each, "target") for each in result.warnings)
        )

    def check(self, options: StepOptions) -> None:
        """Refuse what these weights cannot be asked for.

        Raises:
            UsageError: for an amount of light, of a network that knows none.
        """
        unasked = PhotoOptions()
        names = ("same_light", *LIGHT) if isinstance(options, PhotoOptions) else LIGHT
        asked = [name for name in names if getattr(options, name) != getattr(unasked, name)]
        if asked and not self.light:
            what = f"the model {self.weights.name} cannot be asked for light"
            raise UsageError(what, f"leave --{asked[0].replace('_', '-')} out")

    def asked(self, photo: Photo) -> float:
        """Stops of light that a photo itself asks for, 0 to 5; of a network of light."""
        return self.asks(picture_of(photo))

    def asks(self, picture: Picture) -> float:
        """The same of a picture."""
        return self._cutter.asked(picture)

    def read(self, source: Source, target: Target, options: PhotoOptions) -> Work:
        """The first of the three steps of :meth:`file`, with its arguments: decodes the photo.

        Each step may run in a thread of its own; of :meth:`improve` only one at a time.
        """
        self.check(options)
        if self.two_views:
            what = "made for the two views of a dual-pixel sensor, which a photo does not have"
            raise UsageError(what, "call the Restorer with an HxWx6 array", subject=self.task)
        started = time.monotonic()
        photos.check_target(source, target, options)
        status = photos.status_of(source)
        photo = photos.read(source, options)
        height, width = photo.pixels.shape[:2]
        full = (width * self.scale, height * self.scale)
        photos.check_size(photo.header, source, target, full, options)
        said = [*photo.warnings, *check(photo.pixels)]
        seconds = time.monotonic() - started
        return Work(source, target, status, photo, width, height, said, seconds)

    def improve(self, work: Work, options: StepOptions, progress: Report | None = None) -> None:
        """The second step: the photo's pixels become those of the result."""
        started = time.monotonic()
        photo = work.photo
        out = np.empty(self._shape(photo.pixels), work.kind or photo.pixels.dtype)
        alpha = None
        space, doubt = space_of_photo(photo)
        work.said += [doubt] if doubt else []
        height, width = photo.pixels.shape[:2]
        around = xmp_regions.goes_around(photo.metadata.xmp, width, height)
        given = Input(photo.pixels, photo.alpha, space, around)
        work.outcome = self._restore(given, out, options, progress)
        if photo.alpha is not None:
            alpha = np.empty(out.shape[:2], out.dtype)
            self._keep_alpha(photo.alpha, alpha)
        # The input's pixels go before the encoder takes memory of its own.
        work.photo = regions.enlarged(photo, out, alpha)
        work.provenance = self._provenance(options, work.outcome)
        work.said += work.outcome.warnings
        seconds = time.monotonic() - started
        work.seconds += seconds
        (step,) = self.planned(options)
        outcome = work.outcome
        work.steps.append(
            replace(
                step,
                tile=outcome.tile,
                overlap=outcome.overlap,
                context=outcome.context,
                ev=outcome.ev,
                input_quality=outcome.suited.quality,
                apart=outcome.suited.apart,
                seconds=seconds,
            )
        )

    def write(self, work: Work, options: WriteOptions) -> Result:
        """The third step: encodes the result and writes it, whole or not at all."""
        started = time.monotonic()
        said = photos.write(work, options)
        height, width = work.photo.pixels.shape[:2]
        return Result.by(
            self,
            work.source,
            output=str(work.target) if isinstance(work.target, Place) else "-",
            status="done",
            tile=work.outcome.tile,
            overlap=work.outcome.overlap,
            context=work.outcome.context,
            width=work.width,
            height=work.height,
            output_width=width,
            output_height=height,
            ev=next((step.ev for step in work.steps if step.ev is not None), None),
            input_quality=next((s.input_quality for s in work.steps if s.input_quality), None),
            megapixels=work.width * work.height / 1e6,
            seconds=work.seconds + time.monotonic() - started,
            steps=tuple(work.steps),
            warnings=(*work.said, *said),
        )

    def foresee(self, width: int, height: int) -> Forecast:
        """What a photo of this size will take; nothing is computed.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        return self._cutter.foresee(height, width)

    def tiles(self, width: int, height: int) -> TilePlan:
        """How a photo of this size is cut, as the network sees it.

        Raises:
            OutOfMemoryError: where not even the smallest tile fits.
        """
        return self._cutter.tiles(height, width)

    def __repr__(self) -> str:
        return (
            f"<Restorer {self.task} with {self.weights.name}, {self.runtime} on {self.device}, "
            f"{self.precision}>"
        )

    def _repr_html_(self) -> str:
        """For a notebook."""
        return notebook.table(
            {
                "task": self.task,
                "model": self.weights.name,
                "scale": self.scale if self.task == "upscale" else None,
                "computes": f"{self.runtime} on {self.device}, {self.precision}",
                "tiles": f"context {self.context}, overlap {self.overlap}",
                "memory": f"at most {self.max_memory / 2**30:.1f} GiB",
            }
        )

    def _provenance(self, options: StepOptions, outcome: Outcome) -> dict[str, str]:
        said = {
            "tool": f"mirnet {__version__}",
            "task": self.task,
            "model": self.weights.name,
            "sha256": self.weights.sha256,
        }
        if self.scale > 1:
            said["scale"] = str(self.scale)
        if outcome.suited.quality is not None:
            said["input_quality"] = outcome.suited.quality
        if outcome.ev is not None:
            said["ev"] = f"{outcome.ev:g}"
            for name in ("shadows", "highlights"):
                if value := getattr(options, name):
                    said[name] = f"{value:g}"
        if options.strength != 1:
            said["strength"] = f"{options.strength:g}"
        return said | ({"ensemble": "8"} if options.ensemble else {})

    def _shape(self, pixels: NDArray[Any]) -> tuple[int, ...]:
        height, width = pixels.shape[:2]
        channels = (3,) if self.two_views else pixels.shape[2:]
        return (height * self.scale, width * self.scale, *channels)

    def _keep_alpha(self, alpha: NDArray[Any], out: NDArray[Any]) -> None:
        if self.scale == 1:
            copied(alpha, out)
        else:
            enlarged_alpha(alpha, self.scale, out)

    def _restore(
        self, given: "Input", out: NDArray[Any], options: StepOptions, progress: Report | None
    ) -> Outcome:
        """Fill ``out`` with the restored colours."""
        pixels, alpha = given.pixels, given.alpha
        picture = Picture(pixels if alpha is None else without_hidden(pixels, alpha), given.space)
        if options.strength == 0:
            if given.around:
                picture = replace(picture, around=BICUBIC_REACH)
            enlarged(Picture(pixels[..., :3]) if self.two_views else picture, self.scale, out)
            outcome = Outcome()
        else:
            outcome = self._cutter.restore(picture, out, options, progress, around=given.around)
        if alpha is not None and self.scale == 1:
            # What nobody sees stays what it was.
            hidden = alpha == 0
            copied(pixels, out, hidden if pixels.ndim == 2 else hidden[..., None])
        return outcome


def picture_of(photo: Photo) -> Picture:
    """A photo as networks see it, to look at it."""
    space, _ = space_of_photo(photo)
    pixels, alpha = photo.pixels, photo.alpha
    return Picture(pixels if alpha is None else without_hidden(pixels, alpha), space)


@dataclass(frozen=True)
class Input:
    """What is restored.

    Attributes:
        pixels: the colours.
        alpha: their transparency.
        space: that the colours are in.
        around: the left and right sides meet, as those of a panorama of 360 degrees.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    space: Space | None
    around: bool = False
