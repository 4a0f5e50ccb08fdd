"""Colour spaces that can be computed with: samples of a file as sRGB colours, and back.

Pillow's LittleCMS takes 8 bits a sample, so profiles made of curves and a matrix (those of cameras,
displays and editors) are read here and computed with in float32. Source: ICC.1:2022 sections 8.3.3,
10.6 (curveType), 10.18 (parametricCurveType), F.3 (matrix/TRC model); IEC 61966-2-1 (sRGB).
"""

import struct
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.photo import cicp, colour
from mirnet_cli.photo.codec import NUMBERS
from mirnet_cli.photo.picture import Photo
from mirnet_cli.photo.source import DamageError

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

# Columns: XYZ of the primaries of sRGB, adapted to D50 by Bradford's method.
_SRGB = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_D50 = _SRGB.sum(axis=1)
_NODES = 4097
"""Points at which a formula is tabulated, closer to each other towards black."""

_STEPS = 16384
"""Steps of the table that undoes a curve; it is entered by the square root, for dark tones."""

_MAX_CURVE = 65536
_ALIKE = 1.5 / 255
"""A space that differs less from sRGB anywhere is taken for it: all sRGB profiles do."""


@dataclass(frozen=True)
class Space:
    """A colour space of one (grey) or three (RGB) channels.

    Attributes:
        curves: for each channel its samples, rising from 0 to 1, and the light of each, 0 to 1.
        matrix: linear RGB to linear sRGB, white to white; None for grey.
    """

    curves: tuple[tuple[Numbers, Numbers], ...] = field(repr=False)
    matrix: Numbers | None = field(default=None, repr=False)

    def shown(self, samples: NDArray[Any]) -> Floats:
        """The nearest sRGB colours of samples: what lies beyond is clipped channel by channel.

        Args:
            samples: ``(...)`` grey or ``(..., 3)``; uint8, uint16, or float32 in 0..1.

        Returns:
            The same shape, in sRGB's encoding, 0..1.
        """
        light = self.light(samples)
        return srgb_encoded(np.clip(light, 0, 1, out=light))

    def encoded(self, colours: Floats) -> Floats:
        """Samples of this space for sRGB colours of 0..1; the inverse of :meth:`shown`."""
        return self.of_light(srgb_light(colours))

    def light(self, samples: NDArray[Any]) -> Floats:
        """Linear light of sRGB's primaries; what they cannot make lies outside of 0..1."""
        light = self._light(samples)
        return light if self.matrix is None else light @ self.matrix.T.astype(np.float32)

    def of_light(self, light: Floats) -> Floats:
        """Samples of this space for linear light of sRGB's primaries, clipped to 0..1."""
        if self.matrix is not None:
            light = light @ np.linalg.inv(self.matrix).T.astype(np.float32)
        return _each(np.clip(light, 0, 1), self._undone, _looked_up)

    def _light(self, samples: NDArray[Any]) -> Floats:
        if samples.dtype.kind == "f":
            return _each(samples, self._done, _looked_up)
        return _each(samples, self._tables[samples.dtype.name], lambda table, x: table[x])

    @cached_property
    def _tables(self) -> dict[str, list[Floats]]:
        """The light of each integer sample."""
        return {
            name: [
                np.interp(np.arange(int(white) + 1) / white, *curve).astype(np.float32)
                for curve in self.curves
            ]
            for name, white in NUMBERS.items()
            if name != "float32"
        }

    @cached_property
    def _done(self) -> list[Floats]:
        at = (np.arange(_STEPS + 2) / _STEPS) ** 2
        return [np.interp(at, *curve).astype(np.float32) for curve in self.curves]

    @cached_property
    def _undone(self) -> list[Floats]:
        at = (np.arange(_STEPS + 2) / _STEPS) ** 2
        return [
            np.interp(at, *_rising(light, samples)).astype(np.float32)
            for samples, light in self.curves
        ]


def _rising(light: Numbers, samples: Numbers) -> tuple[Numbers, Numbers]:
    """A curve with its sides exchanged; where it is flat, the first sample stands for all."""
    return light + 1e-12 * np.arange(len(light)), samples


def _each(samples: NDArray[Any], tables: list[Floats], look: Any) -> Floats:
    """One table for each channel applied to samples."""
    if len(tables) == 1:
        found: Floats = look(tables[0], samples)
        return found
    out = np.empty(samples.shape, np.float32)
    for channel, table in enumerate(tables):
        out[..., channel] = look(table, samples[..., channel])
    return out


def _looked_up(table: Floats, x: Floats) -> Floats:
    """A table over the square root of 0..1, linear between its entries."""
    at = np.sqrt(x)
    at *= np.float32(_STEPS)
    index = at.astype(np.int32)
    at -= index
    values: Floats = table[index]
    at *= table[index + 1] - values
    values += at
    return values


def srgb_encoded(light: Floats) -> Floats:
    """sRGB samples of linear light, both 0..1."""
    dark = light <= np.float32(0.0031308)
    encoded: Floats = np.power(light, np.float32(1 / 2.4))
    encoded *= np.float32(1.055)
    encoded -= np.float32(0.055)
    np.multiply(light, np.float32(12.92), out=encoded, where=dark)
    return encoded


def lab_shown(lab: Floats) -> Floats:
    """The nearest sRGB colours, 0..1, of L*a*b* with the white of D50 (ICC.1:2022 annex D)."""
    f = np.empty_like(lab)
    f[..., 1] = (lab[..., 0] + 16) / 116
    f[..., 0] = f[..., 1] + lab[..., 1] / 500
    f[..., 2] = f[..., 1] - lab[..., 2] / 200
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * (108 / 841)) * _D50.astype(np.float32)
    light: Floats = xyz @ np.linalg.inv(_SRGB).T.astype(np.float32)
    return srgb_encoded(np.clip(light, 0, 1))


def srgb_light(encoded: Floats) -> Floats:
    """Linear light of sRGB samples, both 0..1."""
    dark = encoded <= np.float32(0.04045)
    light: Floats = encoded + np.float32(0.055)
    light /= np.float32(1.055)
    np.power(light, np.float32(2.4), out=light)
    np.divide(encoded, np.float32(12.92), out=light, where=dark)
    return light


def space_of_photo(photo: Photo) -> tuple[Space | None, str]:
    """Like :func:`space_of`, from all that a photo's file says of its colours."""
    grey = photo.pixels.ndim == 2
    parts, icc = photo.metadata.parts, photo.metadata.icc
    if icc is not None and not any(part.kind == "cICP" for part in parts):
        return space_of(icc, grey=grey)
    made, warning = cicp.from_png(parts)
    if warning or made is None:
        return None, warning
    return space_of(made, grey=grey)


@lru_cache(maxsize=8)
def space_of(icc: bytes | None, *, grey: bool) -> tuple[Space | None, str]:
    """The space of a picture with this profile.

    Args:
        icc: the profile; None is sRGB.
        grey: the picture has one channel.

    Returns:
        The space, None for sRGB and all that has to be taken for it; and a warning where that
        changes how colours look, else an empty text.
    """
    if icc is None:
        return None, ""
    try:
        space = _parsed(icc, grey)
    except (DamageError, struct.error, ValueError, np.linalg.LinAlgError):
        if not grey and _looks_like_srgb(icc):
            return None, ""
        return None, (
            "the network took the colours for sRGB: the profile is not made of curves and a matrix"
        )
    return (None if _alike(space) else space), ""


def _alike(space: Space) -> bool:
    side = np.linspace(0, 1, 33, dtype=np.float32)
    samples = side
    if space.matrix is not None:
        samples = np.stack(np.meshgrid(side[::2], side[::2], side[::2]), axis=-1)
        ramp = np.broadcast_to(side[:, None], (33, 3))
        samples = np.concatenate([samples.reshape(-1, 3), ramp])
    return bool(np.abs(space.shown(samples) - samples).max() < _ALIKE)


def _looks_like_srgb(icc: bytes) -> bool:
    """Whether LittleCMS turns colours of this profile into nearly the same sRGB ones."""
    from PIL import Image, ImageCms

    transform = colour.transform(icc, "RGB")
    if transform is None:
        return False
    side = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(side, side, side), axis=-1).reshape(27, 27, 3)
    found = ImageCms.applyTransform(Image.fromarray(cube), transform)
    return found is not None and bool(np.abs(np.asarray(found).astype(int) - cube).max() <= 4)


def _parsed(icc: bytes, grey: bool) -> Space:
    tags = _tags(icc)
    kind = colour.kind_of(icc)
    if kind == "GRAY":
        return Space((_curve(_found(tags, b"kTRC")),))
    if kind != "RGB":
        raise DamageError(f"a profile of {kind} colours")
    if grey:
        # All three channels are equal, so one of the curves is that of grey.
        return Space((_curve(_found(tags, b"gTRC")),))
    curves = tuple(_curve(_found(tags, name)) for name in (b"rTRC", b"gTRC", b"bTRC"))
    columns = [_xyz(_found(tags, name)) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    matrix = np.linalg.inv(_SRGB) @ np.array(columns).T
    white = matrix.sum(axis=1)
    if abs(np.linalg.det(matrix)) < 1e-3 or np.abs(white - 1).max() > 0.1:
        raise DamageError("its primaries do not make white")
    return Space(curves, matrix / white[:, None])


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > 1000:
        raise DamageError("too many tags")
    tags = {}
    for index in range(count):
        name, at, size = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        tags[name] = icc[at : at + size]
    return tags


def _found(tags: dict[bytes, bytes], name: bytes) -> bytes:
    if name not in tags:
        raise DamageError(f"it has no {name.decode()}")
    return tags[name]


def _xyz(tag: bytes) -> list[float]:
    if tag[:4] != b"XYZ ":
        raise DamageError("a primary of an unknown type")
    return [value / 65536 for value in struct.unpack_from(">3i", tag, 8)]


def _curve(tag: bytes) -> tuple[Numbers, Numbers]:
    """Samples and the light of each, from a curve of either type."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count > _MAX_CURVE:
            raise DamageError("a curve of too many points")
        points = struct.unpack_from(f">{count}H", tag, 12)
        if count > 1:
            light = np.array(points) / 65535
            return np.linspace(0, 1, count), _checked(light)
        samples = np.linspace(0, 1, _NODES) ** 2
        return samples, _checked(samples ** (points[0] / 256 if count else 1.0))
    if tag[:4] != b"para":
        raise DamageError("a curve of an unknown type")
    (kind,) = struct.unpack_from(">H", tag, 8)
    wanted = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(kind)
    if wanted is None:
        raise DamageError("a curve of an unknown type")
    given = [value / 65536 for value in struct.unpack_from(f">{wanted}i", tag, 12)]
    g, a, b, c, d, e, f = given + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][wanted - 1 :]
    if kind in (1, 2):
        # Below -b/a the light is c (or 0); written as the general form of kind 4.
        d, e, f, c = (-b / a if a else 0.0), c, c, 0.0
    samples = np.linspace(0, 1, _NODES) ** 2
    bright = np.maximum(a * samples + b, 0) ** g + e
    return samples, _checked(np.where(samples >= d, bright, c * samples + f))


def _checked(light: Numbers) -> Numbers:
    """A curve's light in 0..1, made to rise where it does not quite."""
    if not np.isfinite(light).all() or light[-1] - light[0] < 0.5:
        raise DamageError("a curve that does not rise")
    return np.maximum.accumulate(np.clip(light, 0, 1))
