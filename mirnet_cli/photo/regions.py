"""Places that metadata names in a picture, when the picture is turned, cut or made larger.

Sources: EXIF (SubjectArea, SubjectLocation: of the pixels as stored, before rotation); the Metadata
Working Group's regions, of the picture as stored, as shares of its sides, and Microsoft's
(MPReg:Rectangle), both as ExifTool's rotate_regions.config and Immich take them.
"""

from dataclasses import replace

import numpy as np

from mirnet_cli.photo import exif, photoshop, stacks, xmp_regions
from mirnet_cli.photo.picture import Array, Metadata, Photo
from mirnet_cli.photo.source import DamageError
from mirnet_cli.photo.view import View


def moved(metadata: Metadata, view: View) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata of the second picture, and what in it no longer fits."""
    misplaced: list[str] = []
    block, packet = metadata.exif, metadata.xmp
    if block is not None:
        try:
            if exif.has_map(block):
                misplaced.append(
                    "its place on the map (GeoTIFF) still refers to the original's pixels"
                )
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
    if xmp_regions.names_places(_extended(metadata), view):
        misplaced.append(xmp_regions.REGIONS_SAID)
    if packet is not None:
        packet, said = xmp_regions.moved(packet, view)
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
