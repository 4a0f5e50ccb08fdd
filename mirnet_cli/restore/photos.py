"""A photo's file before and after the network."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mirnet_cli.errors import InputError, OutputError, UsageError
from mirnet_cli.files import is_folder, same_file, write_atomically
from mirnet_cli.photo import Photo, decode, encode, format_from_name
from mirnet_cli.photo.formats import check_writable

Source = str | Path | bytes
Target = str | Path | BinaryIO


def check_target(source: Source, target: Target, *, overwrite: bool, format: str | None) -> None:
    """Refuses a target before any work is done.

    Raises:
        UsageError: where the target is the source, and may not be overwritten, or is to be of a
            format that cannot be written here.
        OutputError: where it exists, and may not be overwritten, or has no folder.
    """
    named = None if not isinstance(target, str | Path) else format_from_name(Path(target).name)
    if named is not None and format is None:
        check_writable(named)
    if not isinstance(target, str | Path):
        return
    path = Path(target)
    if is_folder(path):
        raise OutputError("is a folder", "name a file", subject=path)
    if not overwrite:
        if not isinstance(source, bytes) and same_file(Path(source), path):
            raise UsageError(
                "output and input are the same file",
                "use --overwrite to replace it or -o to name another",
                subject=path,
            )
        if os.path.lexists(path):
            raise OutputError(
                "exists already",
                "use --overwrite to replace it or -o to choose another name",
                subject=path,
            )
    if not is_folder(path.parent):
        raise OutputError("has no folder to be written to", f"make {path.parent}", subject=path)


def read(source: Source, *, crop: tuple[int, int, int, int] | None, max_pixels: int) -> Photo:
    """Decodes a photo, or a part of it.

    Args:
        source: a path, or the bytes of a file.
        crop: ``(x, y, width, height)`` in pixels of the upright photo.
        max_pixels: more are refused before decoding.

    Raises:
        InputError: for a photo that cannot be read, or does not reach as far as the crop.
        UsageError: for a crop that is none.
    """
    photo = decode(source if isinstance(source, bytes) else Path(source), max_pixels=max_pixels)
    if crop is None:
        return photo
    x, y, width, height = crop
    if min(x, y) < 0 or min(width, height) < 1:
        raise UsageError(f"a crop of {x},{y},{width},{height}", "use X,Y,W,H in pixels")
    full_height, full_width = photo.pixels.shape[:2]
    if x + width > full_width or y + height > full_height:
        raise InputError(
            f"the crop {x},{y},{width},{height} reaches beyond its {full_width}x{full_height}"
            " pixels",
            "use a smaller one",
            subject=None if isinstance(source, bytes) else source,
        )
    rows, columns = slice(y, y + height), slice(x, x + width)
    alpha = None if photo.alpha is None else np.ascontiguousarray(photo.alpha[rows, columns])
    return photo.with_pixels(np.ascontiguousarray(photo.pixels[rows, columns]), alpha)


def write(
    photo: Photo,
    source: Source,
    target: Target,
    *,
    format: str | None,
    quality: int | None,
    strip: bool,
    preserve: bool,
    overwrite: bool,
    provenance: Mapping[str, str],
) -> tuple[str, ...]:
    """Encodes a photo and writes it, whole or not at all.

    Args:
        photo: with the pixels to write.
        source: where it came from.
        target: a path or a stream.
        format: None is what the target's name says, else what the photo was.
        quality, strip: as :func:`mirnet_cli.photo.encode` takes them.
        preserve: the target gets the times of the source.
        overwrite: an existing target may be replaced.
        provenance: what was done to it; left out with ``strip``.

    Returns:
        What was lost.

    Raises:
        OutputError: where it cannot be encoded or written.
    """
    named = None if not isinstance(target, str | Path) else format_from_name(Path(target).name)
    encoded = encode(
        photo,
        format=format or named,
        quality=quality,
        strip=strip,
        provenance=None if strip else provenance,
    )
    if not isinstance(target, str | Path):
        target.write(encoded.data)
        target.flush()
        return encoded.warnings
    original = None if isinstance(source, bytes) else Path(source)
    times_from = original if preserve else None
    # A file that is replaced keeps its own permissions; a new one has those of the photo.
    mode_from = None if os.path.lexists(target) else original
    write_atomically(
        Path(target),
        encoded.data,
        overwrite=overwrite,
        times_from=times_from,
        mode_from=mode_from,
    )
    return encoded.warnings
