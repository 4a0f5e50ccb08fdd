"""A picture as integers, read as floats one rectangle at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.photo.space import Space
from mirnet_cli.restore.resample import (
    BICUBIC_REACH,
    Floats,
    area_columns,
    area_rows,
    enlarge,
    reduced_shape,
)
from mirnet_cli.restore.tiles import round_up

Range = tuple[int, int]
"""Start and end of a half-open range of pixels along one axis."""

_Read = Callable[[NDArray[np.int64], NDArray[np.int64]], Floats]

PEAKS: dict[str, int] = {"uint8": 255, "uint16": 65535, "float32": 1}
"""The pixel types there are, and the value of white in each."""

_BAND = 256


def reflected(span: Range, length: int) -> NDArray[np.int64]:
    """Which pixel of an axis stands at each place of ``span``, which may reach beyond the end.

    Beyond the end the axis is reflected about its last pixel; where it is too short for that, its
    last pixel is repeated.
    """
    indices = np.arange(*span)
    beyond = 2 * (length - 1) - indices if span[1] - length < length else length - 1
    return np.where(indices < length, indices, beyond).astype(np.int64)


def clamped(span: Range, length: int) -> NDArray[np.int64]:
    """Which pixel of an axis stands at each place of ``span`` when the edge pixels are repeated."""
    return np.clip(np.arange(*span), 0, length - 1)


def pad(x: Floats, stride: int) -> Floats:
    """``(h, w, C)`` padded at the right and bottom by reflection to multiples of ``stride``."""
    height, width = x.shape[:2]
    rows = reflected((0, round_up(height, stride)), height)
    columns = reflected((0, round_up(width, stride)), width)
    padded: Floats = x[_selector(rows)][:, _selector(columns)]
    return padded


@dataclass(frozen=True)
class Picture:
    """Pixels as the user gave them.

    Attributes:
        pixels: ``(H, W)`` grey, ``(H, W, 3)`` RGB, or ``(H, W, 6)``, two views in RGB; uint8,
            uint16 or float32 (0 to 1). Never copied as a whole and never written to.
        space: what the pixels are in; None is sRGB. Networks are shown sRGB colours always.
        around: columns that are shown beyond each side of a picture whose sides meet, as they are
            at the other side.
        mirrored_from: pixels of the longer side of what it was mirrored from; 0 if it was not.
    """

    pixels: NDArray[Any]
    space: Space | None = None
    around: int = 0
    mirrored_from: int = field(default=0, kw_only=True)

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1]) + 2 * self.around

    @property
    def margin(self) -> int:
        """Columns of what is read at each side that the picture has at the other side too."""
        return self.around

    @property
    def grey(self) -> bool:
        return self.pixels.ndim == 2

    @property
    def channels(self) -> int:
        """Of what :meth:`read` gives."""
        return 3 if self.grey else int(self.pixels.shape[2])

    def read(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """The pixels at the given rows and columns.

        Returns:
            ``(len(rows), len(columns), channels)`` float32 in 0..1, fresh; grey is repeated.
            Values of float pictures outside 0..1, and colours outside sRGB, are clipped.
        """
        part = self.pixels[_selector(rows)][:, _selector(self._own(columns))]
        values = np.empty((len(rows), len(columns), self.channels), np.float32)
        if self.space is not None:
            for start in range(0, len(part), _BAND):
                band = self.space.shown(_clipped(part[start : start + _BAND]))
                values[start : start + _BAND] = band[..., None] if self.grey else band
            return values
        values[...] = part[..., None] if self.grey else part
        peak = PEAKS[self.pixels.dtype.name]
        if peak == 1:
            np.clip(values, 0, 1, out=values)
        else:
            values /= np.float32(peak)
        return values

    def beyond(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """What :meth:`read` does not show: the samples less those of the colours shown.

        Returns:
            ``(len(rows), len(columns)[, 3])`` float32, in units of white in the picture's space.
        """
        assert self.space is not None
        part = _clipped(self.pixels[_selector(rows)][:, _selector(self._own(columns))])
        rest = part.astype(np.float32)
        rest /= np.float32(PEAKS[part.dtype.name])
        rest -= self.space.encoded(self.space.shown(part))
        return rest

    def _own(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which columns of ``pixels`` stand at these."""
        return (columns - self.around) % self.pixels.shape[1] if self.around else columns

    def padded(self, rows: Range, columns: Range) -> Floats:
        """A rectangle of the picture padded at the right and bottom by reflection."""
        return self.read(reflected(rows, self.height), reflected(columns, self.width))

    def mirrored(self, least: int) -> "Picture":
        """A picture of at least so many pixels a side, this one at its top left, mirrored.

        What the bicubic filter reaches is the edge repeated, as where nothing is beyond it.
        """
        pixels = self.pixels
        channels = [(0, 0)] * (pixels.ndim - 2)
        for mode, most in (("edge", BICUBIC_REACH), ("symmetric", least)):
            beyond = [(0, min(max(least - side, 0), most)) for side in pixels.shape[:2]]
            pixels = np.pad(pixels, beyond + channels, mode=mode)  # type: ignore[call-overload]
        return replace(self, pixels=pixels, mirrored_from=max(self.pixels.shape[:2]))

    def clamped(self, rows: Range, columns: Range) -> Floats:
        """A rectangle that may reach beyond the picture, whose edge is repeated there."""
        return self.read(clamped(rows, self.height), clamped(columns, self.width))

    def reduced(self, side: int) -> Floats:
        """The picture with its longer side reduced to ``side`` pixels, by area.

        Returns:
            ``(h, w, channels)`` float32; the picture's own size where it is not larger.
        """
        height, width = reduced_shape(self.height, self.width, side)
        columns = np.arange(self.width)
        lines = np.empty((self.height, width, self.channels), np.float32)
        for start in range(0, self.height, _BAND):
            band = np.arange(start, min(start + _BAND, self.height))
            lines[start : start + len(band)] = area_columns(self.read(band, columns), width)
        return area_rows(lines, height)


@dataclass(frozen=True)
class Enlarged(Picture):
    """A picture enlarged bicubically, of which only what is read is ever made.

    Attributes:
        scale: sides of what is read over sides of ``pixels``.
    """

    scale: int = 1

    @property
    def height(self) -> int:
        return super().height * self.scale

    @property
    def width(self) -> int:
        return super().width * self.scale

    @property
    def margin(self) -> int:
        return super().margin * self.scale

    def read(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """As of any picture; values beyond 0..1, which the cubic makes at edges, are clipped."""
        clipped: Floats = np.clip(self._enlarged(super().read, rows, columns), 0, 1)
        return clipped

    def beyond(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """As of any picture, enlarged as the picture is."""
        return self._enlarged(super().beyond, rows, columns)

    def _enlarged(self, read: _Read, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """A rectangle of what ``read`` gives of the small picture, enlarged."""
        top, left = int(rows.min()) // self.scale, int(columns.min()) // self.scale
        bottom, right = int(rows.max()) // self.scale + 1, int(columns.max()) // self.scale + 1
        small = read(
            clamped((top - BICUBIC_REACH, bottom + BICUBIC_REACH), super().height),
            clamped((left - BICUBIC_REACH, right + BICUBIC_REACH), super().width),
        )
        down, across = _selector(rows - top * self.scale), _selector(columns - left * self.scale)
        part: Floats = enlarge(small, self.scale)[down][:, across]
        return part


def _clipped(part: NDArray[Any]) -> NDArray[Any]:
    """Float samples in 0..1; integers as they are."""
    return np.clip(part, 0, 1) if part.dtype.kind == "f" else part


def _selector(indices: NDArray[np.int64]) -> Any:
    """A slice where the indices are consecutive, so that nothing is gathered."""
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1 and bool((np.diff(indices) == 1).all()):
        return slice(first, last + 1)
    return indices


def store(values: Floats, out: NDArray[Any]) -> None:
    """Write floats in 0..1 to pixels of the type of ``out``, rounded to nearest.

    Args:
        values: of the shape of ``out``; overwritten.
        out: uint8, uint16 or float32; may be a view.
    """
    peak = PEAKS[out.dtype.name]
    if peak == 1:
        out[...] = values
        return
    values *= np.float32(peak)
    np.rint(values, out=values)
    out[...] = values


def copied(pixels: NDArray[Any], out: NDArray[Any], where: NDArray[np.bool_] | None = None) -> None:
    """Copies pixels into others, perhaps of another type: 8 bits as 16 are exact, back too.

    Args:
        pixels: uint8, uint16 or float32.
        out: of the same shape; filled.
        where: the pixels that are copied; None is all.
    """
    if pixels.dtype == out.dtype and where is None:
        out[...] = pixels
        return
    for start in range(0, len(pixels), _BAND):
        band = np.s_[start : start + _BAND]
        part = pixels[band]
        if part.dtype != out.dtype:
            made = np.empty(part.shape, out.dtype)
            store(part.astype(np.float32) / np.float32(PEAKS[part.dtype.name]), made)
            part = made
        chosen: Any = True if where is None else where[band]
        np.copyto(out[band], part, where=chosen)


def check(pixels: NDArray[Any], *, two_views: bool = False, clip: bool | None = None) -> list[str]:
    """Check that an array is a picture that can be restored.

    Args:
        pixels: the array.
        two_views: it has to be two views of one scene beside each other, of three channels each.
        clip: whether values beyond 0..1 may be clipped; by default they may, with a warning.

    Returns:
        Warnings: what will be changed before the network sees it.

    Raises:
        UsageError: for a shape or type that is none of a picture, or values beyond 0..1.
        InputError: for values that are not finite.
    """
    if pixels.dtype.name not in PEAKS:
        raise UsageError(
            f"pixels of type {pixels.dtype.name}", "give uint8, uint16 or float32 in 0..1"
        )
    if two_views:
        if pixels.ndim != 3 or pixels.shape[2] != 6 or 0 in pixels.shape:
            what = f"pixels of shape {pixels.shape} for a network that needs two views"
            raise UsageError(what, "give HxWx6: the left view's RGB, then the right one's")
        return _check_values(pixels, clip)
    colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if not (pixels.ndim == 2 or colour) or 0 in pixels.shape:
        raise UsageError(f"pixels of shape {pixels.shape}", "give HxW, HxWx3 or HxWx4")
    return _check_values(pixels, clip)


def _check_values(pixels: NDArray[Any], clip: bool | None) -> list[str]:
    # Of either order of bytes.
    if pixels.dtype.kind != "f":
        return []
    lowest, highest = 0.0, 1.0
    for start in range(0, pixels.shape[0], _BAND):
        band = pixels[start : start + _BAND]
        lowest, highest = min(lowest, float(band.min())), max(highest, float(band.max()))
        # A NaN makes every minimum NaN, but Python's min() may then keep the other value.
        if not np.isfinite(band.sum(dtype=np.float64)):
            raise InputError("the picture has values that are not finite", "repair it first")
    if lowest < 0 or highest > 1:
        if clip is False:
            what = f"float32 pixels from {lowest:.4g} to {highest:.4g}"
            raise UsageError(what, "scale them to 0..1, or give clip=True")
        if clip is None:
            return [f"values from {lowest:.4g} to {highest:.4g} were clipped to 0..1"]
    return []
