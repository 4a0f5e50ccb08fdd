"""A restorer that looks at each photo and takes the steps that it needs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, sqrt
from typing import Any

import cv2
import numpy as np

from mirnet_cli.errors import UsageError
from mirnet_cli.photo import Photo, exif, regions
from mirnet_cli.photo.options import WriteOptions
from mirnet_cli.restore import estimates
from mirnet_cli.restore.chain import Chain
from mirnet_cli.restore.light import stops_for
from mirnet_cli.restore.options import LoadOptions, PhotoOptions, StepOptions
from mirnet_cli.restore.passes import Report
from mirnet_cli.restore.restorer import Restorer, picture_of
from mirnet_cli.restore.result import GOOD, Foretold, Result, Step
from mirnet_cli.restore.sizing import Forecast
from mirnet_cli.restore.steps import AutoOptions
from mirnet_cli.restore.suited import one_set
from mirnet_cli.restore.work import Work

_RULES = 6
"""Counted up when the same photo is decided differently, for the journals of batches."""

_REMOVED = 0.64, 1.28
"""Where denoise begins and where it is taken whole, in levels that it removes.

Below, a photo is left alone: denoise would cost clean photos more than it gives (of 23, two are
above 0.9, of 41 noisy ones of PolyU two below 0.9).
"""
_USUAL, _LIKELY = 400, (0.7, 1.6)
"""ISO that says nothing of noise, and how much what is removed counts at low and at high ones."""
_DULL, _LOW_KEY = (0.1, 0.2), (0.4, 0.8)
"""The same of light, in stops: of photos without shade, and of those with much.

A little more light is what a dull photo needs. Of one with much shade it means that the network
cannot tell whether it is dark on purpose: on the whole it then expects a little, while the photo
needs either much or nothing.
"""
_SHADE = 0.08, 0.28
"""Share of a photo that is dark, where the one becomes the other."""
_BLUR = 0.42, 0.52
"""The same of blur, where there is little noise.

City100's photos from afar are at 0.38 to 0.58, their close ones at 0.21 to 0.35, clean photos below
0.48. Noisy photos of PolyU are at 0.22 to 0.49: what sharpens them costs 3 dB.
"""
_WILD = 11.0, 17.0
"""Levels by which sharpening changes a place when it makes things up; City100 has 2 to 10."""
_LEAST = 0.02
"""Strength and stops below which a step changes nothing that can be seen."""
_LARGEST = 4
_GAMMA = 2.2
"""Values grow by 2 to this part of the stops, about."""


def ramp(value: float, bounds: tuple[float, float]) -> float:
    """0 below the bounds, 1 above, and smooth between: 3 x^2 - 2 x^3."""
    low, high = bounds
    x = min(max((value - low) / (high - low), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def _likely(speed: int | None) -> float:
    """How much what denoise removes counts as noise, of a photo that was shot at this ISO.

    Half as fast as noise grows, by the fourth root: it may have been reduced or denoised since.
    """
    if speed is None:
        return 1.0
    return float(min(max((speed / _USUAL) ** 0.25, _LIKELY[0]), _LIKELY[1]))


def _lit(found: estimates.Estimates) -> float:
    """How far a photo is given the light that it asks for, 0 to 1."""
    doubt = ramp(found.shade, _SHADE)
    return (1 - doubt) * ramp(found.light, _DULL) + doubt * ramp(found.light, _LOW_KEY)


Chosen = list[tuple[Restorer, dict[str, Any]]]
"""Steps for a photo, with what each is asked for."""


@dataclass(frozen=True)
class _Looked:
    chosen: Chosen
    decision: str
    estimates: dict[str, float]


class Auto(Chain):
    """Restores each photo with the steps that it needs, perhaps none; made by ``load("auto")``.

    What denoise removes decides on it and its strength, what the network of light asks for on
    enhance and its stops, blur on upscale at the size given; photos are enlarged only to a size
    that was asked for.
    """

    def __init__(
        self, load: Callable[[LoadOptions], Restorer], loading: LoadOptions, asked: AutoOptions
    ) -> None:
        """Loads what every photo needs.

        Args:
            load: makes one step.
            loading: what computes.
            asked: what a photo is to become.

        Raises:
            UsageError: for a quality of the input, where nothing is enlarged or the weights that
                enlarge are one set.
        """
        self._load, self._loading = load, loading
        self._auto = asked
        self._enlarging: dict[int, Restorer] = {}
        super().__init__(*(load(replace(loading, task=each)) for each in ("denoise", "enhance")))
        self.task = "auto"
        if loading.input_quality != "auto":
            if asked.to is None and asked.megapixels is None:
                what = "auto enlarges only with --to or --megapixels"
                raise UsageError(what, "leave --input-quality out")
            if not self._upscale(2).two_sets:
                raise one_set(self._upscale(2).model)

    @cached_property
    def _denoise(self) -> Restorer:
        return self.steps[0]

    @cached_property
    def _enhance(self) -> Restorer:
        return self.steps[1]

    def fingerprint(self) -> dict[str, Any]:
        """What makes a result what it is, beside the options of the photo."""
        asked = {name: v for name, v in self._auto.given().items() if name != "explain"}
        if self._loading.input_quality != "auto":
            asked["input_quality"] = self._loading.input_quality
        return {"auto": _RULES, **super().fingerprint(), **asked}

    def planned(self, options: StepOptions) -> tuple[Step, ...]:
        """Nothing, before a photo was seen."""
        return ()

    def foretold(self, photo: Photo, options: StepOptions) -> Foretold:
        """What would be done to this photo, and why."""
        found = self._looked(photo, options)
        steps = Chain(*found.chosen).planned(options) if found.chosen else ()
        return Foretold(steps, found.decision, found.estimates)

    def _looked(self, photo: Photo, options: StepOptions) -> "_Looked":
        """What is decided for a photo."""
        started = time.monotonic()
        found = self.look(photo)
        height, width = photo.pixels.shape[:2]
        chosen = self.decide(found, width, height, options)
        looking = time.monotonic() - started
        said = _said(found, chosen, options)
        if self._auto.explain:
            said += (
                f" (noise {found.noise:.2f} of 255, {found.removed:.2f} of it removed,"
                f"{f' ISO {found.speed},' if found.speed else ''}"
                f" light {found.light:.2f} stops, {found.shade:.0%} dark, blur {found.blur:.2f};"
                f" looked at in {looking:.2f} s)"
            )
        figures = {
            "noise": round(found.noise, 2),
            "removed": round(found.removed, 2),
            "light": round(found.light, 2),
            "blur": round(found.blur, 3),
            "shade": round(found.shade, 3),
            **({"iso": found.speed} if found.speed else {}),
            "seconds": looking,
        }
        return _Looked(chosen, said, figures)

    def asked(self, photo: Photo) -> float:
        """Stops of light that a photo is given, 0 to 5."""
        picture = picture_of(photo)
        light = float(self._enhance.asks(picture))
        found = estimates.Estimates(0, 0, light, 0, 0, estimates.shade(picture))
        return found.light * _lit(found)

    def look(self, photo: Photo) -> estimates.Estimates:
        """What a photo is like."""
        picture = picture_of(photo)
        places = estimates.Places.of(picture)
        removed, blur = estimates.removed(self._denoise, places), estimates.blur(picture)
        sharpened = 0.0
        if blur > _BLUR[0] and removed < _REMOVED[1]:
            sharpened = estimates.sharpened(self._upscale(1), places)
        return estimates.Estimates(
            noise=estimates.noise(picture),
            removed=removed,
            light=float(self._enhance.asks(picture)),
            blur=blur,
            sharpened=sharpened,
            shade=estimates.shade(picture),
            speed=exif.iso(photo.metadata.exif),
        )

    def decide(
        self, found: estimates.Estimates, width: int, height: int, options: StepOptions
    ) -> Chosen:
        """The steps for a photo, with what each is asked for.

        Strengths follow from the estimates without steps, times the strength that was asked for.

        Args:
            found: what the photo is like.
            width, height: its size.
            options: ``strength`` of all, and ``ev``, which overrules what the photo asks for.
        """
        chosen: Chosen = []
        lit = _lit(found)
        given = stops_for(options.ev, found.light * lit)
        # More light shows more noise: values after gamma grow by so much.
        shown = found.removed * _likely(found.speed) * 2 ** (max(given, 0) / _GAMMA)
        strength = ramp(shown, _REMOVED) * options.strength
        if strength >= _LEAST:
            chosen.append((self._denoise, {"strength": round(strength, 3)}))
        tilted = bool(options.shadows or options.highlights)
        if options.ev == "auto" and not tilted:
            # As a whole it fades: colours and contrast that come with light do, too.
            lit *= options.strength
            if lit >= _LEAST:
                asked = {"ev": round(found.light, 2), "strength": round(lit, 3)}
                chosen.append((self._enhance, asked))
        elif (given or tilted) and options.strength > 0:
            chosen.append((self._enhance, {"ev": given}))
        scale = min(ceil(self._factor(width, height) - 0.01), _LARGEST)
        # Of what had noise, remains of it would be sharpened; what changes too much is no blur.
        sharpen = ramp(found.blur, _BLUR) * (1 - ramp(shown, _REMOVED))
        sharpen *= (1 - ramp(found.sharpened, _WILD)) * options.strength
        if scale > 1:
            chosen.append((self._upscale(scale), {}))
        elif sharpen >= _LEAST:
            chosen.append((self._upscale(1), {"strength": round(sharpen, 3)}))
        return chosen

    def _factor(self, width: int, height: int) -> float:
        """How many times larger a photo is to be; less than 1 where it is large enough."""
        if self._auto.to is not None:
            return min(self._auto.to[0] / width, self._auto.to[1] / height)
        if self._auto.megapixels is not None:
            return sqrt(self._auto.megapixels * 1e6 / (width * height))
        return 1.0

    def _upscale(self, scale: int) -> Restorer:
        if scale not in self._enlarging:
            step = self._load(replace(self._loading, task="upscale", scale=scale))
            self._enlarging[scale] = step
        return self._enlarging[scale]

    def foresee(self, width: int, height: int) -> Forecast:
        """What a photo of this size will take at most: all steps, enlarged if that is asked."""
        every = super().foresee(width, height)
        scale = min(ceil(self._factor(width, height) - 0.01), _LARGEST)
        if scale < 2:
            return every
        larger = Chain(self._upscale(scale)).foresee(width, height)
        return Forecast(
            tiles=every.tiles + larger.tiles,
            tile=max(every.tile, larger.tile),
            memory=max(every.memory, larger.memory),
            pixels=every.pixels + larger.pixels,
        )

    def improve(self, work: Work, options: StepOptions, progress: Report | None = None) -> None:
        """The second step of :meth:`Restorer.file`: what the photo needs."""
        found = self._looked(work.photo, options)
        work.seconds += found.estimates["seconds"]
        work.estimates, work.decision = found.estimates, found.decision
        if not found.chosen:
            work.untouched = isinstance(options, PhotoOptions) and options.crop is None
            return
        if not self._together(work.width, work.height):
            self.release()
        Chain(*found.chosen).improve(work, options, progress)
        work.provenance = {"auto": str(_RULES), **work.provenance}
        self._reduce(work)

    def _reduce(self, work: Work) -> None:
        """Bring what was enlarged to the size that was asked for."""
        factor = self._factor(work.width, work.height)
        size = round(work.width * factor), round(work.height * factor)
        pixels, alpha = work.photo.pixels, work.photo.alpha
        if factor > _LARGEST:
            work.said.append(f"enlarged {_LARGEST} times, the maximum, instead of {factor:.1f}")
        elif work.photo.header.width > work.width and size != pixels.shape[1::-1]:
            small = [
                None if each is None else np.asarray(cv2.resize(each, size, interpolation=3))
                for each in (pixels, alpha)
            ]
            assert small[0] is not None
            work.photo = regions.enlarged(work.photo, small[0], small[1])

    def write(self, work: Work, options: WriteOptions) -> Result:
        """The third step: writes the result; as it is, or not at all, where nothing was needed."""
        if not work.steps and self._auto.skip_good:
            result = Result.by(
                self,
                work.source,
                output=None,
                status="skipped",
                reason=GOOD,
                width=work.width,
                height=work.height,
                seconds=work.seconds,
                warnings=tuple(work.said),
            )
        else:
            result = super().write(work, options)
        enlarged = max((step.scale for step in work.steps), default=1)
        return replace(
            result,
            scale=enlarged,
            model="+".join(step.model for step in work.steps) or None,
            sha256="+".join(step.sha256 for step in work.steps) or None,
            estimates=work.estimates,
            decision=work.decision,
        )


def _said(
    found: estimates.Estimates,
    chosen: Chosen,
    options: StepOptions,
) -> str:
    """What was found and is done, in one line."""
    seen = []
    if any(step.task == "denoise" for step, _ in chosen):
        seen.append(f"noise about ISO {found.iso}")
    if _lit(found) >= _LEAST:
        seen.append(f"{found.light:.1f} stops dark")
    if any(step.task == "upscale" and step.scale == 1 for step, _ in chosen):
        seen.append("blurred")
    done = []
    for step, asked in chosen:
        words = [step.task]
        if step.task == "upscale":
            words.append(f"x{step.scale}")
        if step.task == "enhance":
            ev = asked.get("ev", options.ev)
            words.append(f"{ev:+.1f}" if isinstance(ev, float) else str(ev))
            tilts = ((name, getattr(options, name)) for name in ("shadows", "highlights"))
            words += [f"{name} {tilt:+.1f}" for name, tilt in tilts if tilt]
        if asked.get("strength", 1) < 1:
            words.append(f"{asked['strength']:.2g}")
        done.append(" ".join(words))
    return f"{', '.join(seen) or 'little noise, well exposed'}: {', '.join(done) or 'nothing'}"
