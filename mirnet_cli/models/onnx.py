"""Networks that nobody described: an ONNX file, and what was measured of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirnet_cli.errors import ModelError, UsageError
from mirnet_cli.models.foreign import Foreign
from mirnet_cli.models.onnx_file import OnnxFile
from mirnet_cli.models.weights import UNKNOWN_LICENCE, Weights
from mirnet_cli.networks import NetworkSpec
from mirnet_cli.networks.described import FAMILY, Measured
from mirnet_cli.runtime.measured import measured

_BLENDED = 4 / 3
"""Blends take a quarter of the overlap: so much more of it leaves the field around each pixel."""

_SOME = 64
"""Overlap where none is enough."""


@dataclass(frozen=True)
class Asked:
    """How a user wants a network's numbers to be read.

    Attributes:
        settings: values of its inputs beside the picture, by name.
        range: one of :data:`mirnet_cli.networks.described.RANGES`; None is measured.
        bgr: blue is the first channel; None is measured.
    """

    settings: Mapping[str, float] = field(default_factory=dict)
    range: str | None = None
    bgr: bool | None = None


@dataclass(frozen=True, eq=False)
class Onnx:
    """An ONNX file that has been checked, and may be measured.

    Attributes:
        file: what was read.
    """

    file: OnnxFile

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.file.path

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal."""
        return self.file.sha256

    @property
    def scale(self) -> int | None:
        """How many times it enlarges; None where it keeps the size."""
        found = self.measured(Asked()).scale
        return found if found > 1 else None

    def measured(self, asked: Asked) -> Measured:
        """What the network does, from the cache or measured now.

        Raises:
            UsageError: for settings that it lacks, or does not have.
            ModelError: where it is none for pictures.
        """
        names = [each.name for each in self.file.interface.settings]
        for name in asked.settings:
            if name not in names:
                has = f"it has {', '.join(names)}" if names else "it has none"
                raise UsageError(f"the network has no input {name[:60]!r}", has, subject="--set")
        for name in names:
            if name not in asked.settings:
                raise UsageError(
                    f"the network needs a value for its input {name[:60]!r}",
                    f"say it with --set {name[:60]}=VALUE",
                    subject=self.path,
                )
        return measured(
            self.file.data,
            self.sha256,
            self.file.interface,
            settings=asked.settings,
            range=asked.range,
            bgr=asked.bgr,
            subject=self.path,
        )

    def facts(self, asked: Asked | None = None) -> dict[str, Any]:
        """What is stated and measured, for people and programs.

        Raises:
            UsageError, ModelError: as :meth:`measured`.
        """
        file, found = self.file, self.measured(asked or Asked())
        interface, reading = file.interface, found.reading
        sizes = "any" if found.multiple == 1 else f"multiples of {found.multiple}"
        if interface.fixed is not None:
            sizes = f"{interface.width}x{interface.height} only"
        return {
            "name": self.path.name,
            "title": "ONNX network",
            "family": FAMILY,
            "opset": file.opset,
            "producer": file.producer or None,
            "parameters": file.parameters,
            "channels": interface.channels,
            "layout": "NHWC" if interface.last else "NCHW",
            "type": "float16" if interface.half else "float32",
            "settings": [each.name for each in interface.settings],
            "scale": found.scale,
            "sizes": sizes,
            "smallest_side": found.least,
            "input_range": reading.range,
            "output_range": reading.output_range,
            "channel_order": "BGR" if reading.bgr else "RGB",
            "gives": reading.gives,
            "cut_border": reading.margin,
            "psnr_of_photos_made_worse": found.psnr,
            "psnr_in_another_range": found.second,
            "field": found.field,
            "field_that_matters": found.reach,
            "looks_at_everything": found.everywhere,
            "shared_part_agrees_db": found.agreement,
            "period": found.period,
            "repeatable": found.repeatable,
            "not_finite_on": list(found.faults),
            "bytes_per_pixel": found.memory,
            "processor_seconds_per_megapixel": found.seconds,
            "only_runtime": found.runtime or None,
            "why": found.why or None,
            "sha256": self.sha256,
            "bytes": self.path.stat().st_size,
            "path": str(self.path),
        }

    def weights(
        self, task: str | None, scale: int | None = None, *, asked: Asked | None = None
    ) -> Weights:
        """The network with what running it needs; it is measured if it was not.

        Args:
            task: one of :data:`mirnet_cli.models.catalogue.TASKS`; None only where it enlarges.
            scale: for ``upscale``; a network that keeps the size sees the picture enlarged.
            asked: how its numbers are to be read.

        Raises:
            UsageError: where task, scale or a setting is needed and missing, or does not suit.
            ModelError: where it is none for pictures.
        """
        asked = asked or Asked()
        found = self.measured(asked)
        if found.psnr <= 0 or "black" in found.faults:
            what = "its results have nothing to do with the photos"
            raise ModelError(what, "use another network", subject=self.path)
        own = found.scale
        task, scale = _purpose(self.path, own, task, scale)
        config: dict[str, Any] = {
            "interface": self.file.interface.as_dict(),
            "measured": found.as_dict(),
            "settings": dict(asked.settings),
            "stride": found.stride,
        }
        base = "bicubic" if own > 1 else ("enlarged" if scale > 1 else "input")
        return Weights(
            name=Foreign.renamed(self.path),
            path=self.path,
            sha256=self.sha256,
            task=task,
            scales=(scale,),
            licence=UNKNOWN_LICENCE,
            network=NetworkSpec(FAMILY, config, {}, self.sha256, self.file.data),
            thumbnail=None,
            base=base,
            context="tile",
            overlap=_SOME if found.everywhere else math.ceil(found.reach * _BLENDED),
        )


def _purpose(path: Path, own: int, task: str | None, scale: int | None) -> tuple[str, int]:
    """Task and scale for a network that enlarges so many times."""
    if own > 1:
        if task not in (None, "upscale"):
            what, remedy = f"it enlarges {own} times", "use mirnet upscale"
            raise UsageError(f"{what}, which is not what {task} is for", remedy, subject=path)
        if scale not in (None, own):
            what = f"it enlarges {own} times, not {scale}"
            raise UsageError(what, f"use --scale {own}, or leave it out", subject=path)
        return "upscale", own
    if task is None:
        what = "the file does not say what it is for"
        raise UsageError(what, "say it with --task, in Python as the first of load()", subject=path)
    if task == "upscale" and scale is None:
        what = "the network keeps the size of its input"
        raise UsageError(what, "choose by how much to enlarge with --scale", subject=path)
    if task != "upscale" and scale not in (None, 1):
        raise UsageError("only upscale has scales", "leave --scale out", subject=task)
    return task, scale or 1
