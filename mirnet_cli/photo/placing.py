"""Places that metadata names in a picture, when the picture is turned, cut or made larger.

Sources: EXIF (SubjectArea, SubjectLocation: of the pixels as stored, before rotation); the Metadata
Working Group's regions, of the picture as stored, as shares of its sides, and Microsoft's
(MPReg:Rectangle), both as ExifTool's rotate_regions.config and Immich take them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mirnet_cli.photo import exif, photoshop, stacks, xmp_places
from mirnet_cli.photo.picture import Array, Metadata, Photo
from mirnet_cli.photo.source import DamageError


@dataclass(frozen=True)
class View:
    """How one picture came from another: turned, then cut, then made larger.

    Attributes:
        width, height: of the first, in pixels.
        turn: the orientation that was applied, 1 to 8.
        crop: x, y, width and height of what is left, in pixels of the turned picture; None is all.
        scale: how much larger it is then.
    """

    width: int
    height: int
    turn: int = 1
    crop: tuple[int, int, int, int] | None = None
    scale: float = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the second picture, in pixels."""
        width, height = self._turned if self.crop is None else self.crop[2:]
        return round(width * self.scale), round(height * self.scale)

    @property
    def _turned(self) -> tuple[int, int]:
        return (self.height, self.width) if self.turn >= 5 else (self.width, self.height)

    def box(
        self, x: float, y: float, w: float, h: float
    ) -> tuple[float, float, float, float] | None:
        """A box in the second picture: its centre and sides, as shares of the picture's sides.

        Args:
            x, y, w, h: the same in the first picture; a point has sides of 0.

        Returns:
            None where it was cut off. What reaches beyond a cut ends there.
        """
        x, y = replace(self, crop=None).point(x, y)
        if self.turn >= 5:
            w, h = h, w
        if self.crop is None:
            return x, y, w, h
        left, top, width, height = self.crop
        across = _cut(x, w, self._turned[0], left, width)
        down = _cut(y, h, self._turned[1], top, height)
        return None if across is None or down is None else (across[0], down[0], across[1], down[1])

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point in the second picture, beyond it too; both as shares of the picture's sides."""
        turned = (
            *((x, y), (1 - x, y), (1 - x, 1 - y), (x, 1 - y)),
            *((y, x), (1 - y, x), (1 - y, 1 - x), (y, 1 - x)),
        )
        x, y = turned[self.turn - 1]
        if self.crop is None:
            return x, y
        left, top, width, height = self.crop
        across, down = self._turned
        return (x * across - left) / width, (y * down - top) / height

    def diameter(self, share: float) -> float:
        """A circle's diameter as a share of the second picture's shorter side."""
        return share * min(self.width, self.height) * self.scale / min(self.size)

    def area(self, numbers: Sequence[int]) -> tuple[int, ...] | None:
        """A point, a circle (centre, diameter) or a box (centre, sides) in pixels.

        Returns:
            None where it was cut off.
        """
        x, y, *rest = numbers
        w, h = rest if len(rest) == 2 else (0, 0)
        box = self.box(x / self.width, y / self.height, w / self.width, h / self.height)
        if box is None:
            return None
        (width, height), circle = self.size, [round(each * self.scale) for each in rest]
        sides = [round(box[2] * width), round(box[3] * height)] if len(rest) == 2 else circle
        found = (round(box[0] * width), round(box[1] * height), *sides)
        return None if min(found) < 0 else found


def _cut(
    middle: float, side: float, full: int, start: int, length: int
) -> tuple[float, float] | None:
    low = max(0.0, ((middle - side / 2) * full - start) / length)
    high = min(1.0, ((middle + side / 2) * full - start) / length)
    if low > high or (side and low == high):
        return None
    return (low + high) / 2, high - low


def moved(metadata: Metadata, view: View) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata of the second picture, and what in it no longer fits."""
    misplaced: list[str] = []
    block, packet = metadata.exif, metadata.xmp
    if block is not None:
        try:
            if exif.has_map(block):
                misplaced.append("its place on the map (GeoTIFF) is that of the original's pixels")
            block, fits = exif.moved(block, view.area)
            if not fits:
                misplaced.append("the main subject's place does not fit into EXIF and is left out")
            if view.turn >= 5:
                block = exif.with_axes_swapped(block)
            if view.scale != 1:
                block = exif.enlarged(block, view.scale)
                if stacks.is_measured(exif.description(block)):
                    block = exif.finer(block, view.scale)
        except DamageError:
            pass
    dpi, aspect = metadata.dpi, metadata.aspect
    if view.turn >= 5:
        dpi = None if dpi is None else dpi[::-1]
        aspect = None if aspect is None else aspect[::-1]
    if xmp_places.names_places(_extended(metadata), view):
        misplaced.append(xmp_places.REGIONS_SAID)
    if packet is not None:
        packet, said = xmp_places.moved(packet, view)
        misplaced += said
    resources = metadata.resources
    if resources is not None:
        resources, said = photoshop.moved(resources, view)
        misplaced += said
    new = replace(metadata, exif=block, xmp=packet, dpi=dpi, aspect=aspect, resources=resources)
    return new, tuple(dict.fromkeys(misplaced))


def _extended(metadata: Metadata) -> bytes:
    """Extended XMP of a JPEG that its packet does not refer to (Part 3, section 1.1.3.1)."""
    name = b"http://ns.adobe.com/xmp/extension/\0"
    head = len(name) + 32 + 4 + 4
    return b"".join(part.data[head:] for part in metadata.parts if part.data.startswith(name))


def part(photo: Photo, crop: tuple[int, int, int, int]) -> Photo:
    """A part of a photo: ``(x, y, width, height)`` in pixels."""
    x, y, width, height = crop
    where = slice(y, y + height), slice(x, x + width)
    alpha = None if photo.alpha is None else np.ascontiguousarray(photo.alpha[where])
    view = View(photo.header.width, photo.header.height, crop=crop)
    return _seen(photo, view, np.ascontiguousarray(photo.pixels[where]), alpha)


def enlarged(photo: Photo, pixels: Array, alpha: Array | None) -> Photo:
    """The photo with the pixels of the same picture, at the same or another scale."""
    scale = pixels.shape[1] / photo.header.width
    if scale == 1:
        return photo.with_pixels(pixels, alpha)
    return _seen(photo, View(photo.header.width, photo.header.height, scale=scale), pixels, alpha)


def _seen(photo: Photo, view: View, pixels: Array, alpha: Array | None) -> Photo:
    metadata, misplaced = moved(photo.metadata, view)
    said = tuple(dict.fromkeys((*photo.misplaced, *misplaced)))
    return replace(photo, metadata=metadata, misplaced=said).with_pixels(pixels, alpha)
