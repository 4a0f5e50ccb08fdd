"""A photo's file before and after the network."""

import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import BinaryIO

from mirnet_cli import stores
from mirnet_cli.errors import InputError, OutputError, UsageError
from mirnet_cli.files import exists, exists_already, is_folder, same_file, write_atomically
from mirnet_cli.photo import Header, Photo, decode, encode, extension_for, format_from_name
from mirnet_cli.photo.formats import FORMATS, check_writable
from mirnet_cli.places import Place, Remote

Source = Place | bytes
Target = Place | BinaryIO


def check_options(*, strength: float = 1.0, quality: int | None = None) -> None:
    """Refuses values of these options, as :meth:`Restorer.file` takes them, that no photo can have.

    Raises:
        UsageError: for the first that is none.
    """
    if not (isinstance(strength, Real) and 0 <= strength <= 1):
        raise UsageError(f"a strength of {strength!r}", "use a number from 0 to 1")
    if quality is not None and not (isinstance(quality, Integral) and 1 <= quality <= 100):
        raise UsageError(f"a quality of {quality!r}", "use a whole number from 1 to 100")


def as_crop(crop: Iterable[int] | None) -> tuple[int, int, int, int] | None:
    """A crop as four of Python's integers, whatever holds them (a list, a NumPy array, ...).

    Raises:
        UsageError: for one that is none.
    """
    if crop is None:
        return None
    numbers = list(crop) if isinstance(crop, Iterable) else []
    whole = len(numbers) == 4 and all(isinstance(number, Integral) for number in numbers)
    if not whole or min(numbers) < 0 or 0 in numbers[2:]:
        raise UsageError(f"a crop of {crop!r}", "use X,Y,W,H in pixels")
    x, y, width, height = map(int, numbers)
    return x, y, width, height


def check_target(source: Source, target: Target, *, overwrite: bool, format: str | None) -> None:
    """Refuses a target before any work is done.

    Raises:
        UsageError: where the target is the source, and may not be overwritten, or is to be of a
            format that cannot be written here.
        OutputError: where it exists, and may not be overwritten, or has no folder.
    """
    if not isinstance(target, Path | Remote):
        return
    named = format_from_name(target.name)
    if named is not None and format is None:
        check_writable(named)
    stores.check(target, writing=True)
    if isinstance(target, Remote) and not target.name:
        raise UsageError("names a bucket, no object", "write s3://BUCKET/KEY", subject=target)
    if isinstance(target, Path) and is_folder(target):
        raise OutputError("is a folder", "name a file", subject=target)
    if not overwrite:
        if not isinstance(source, bytes) and same_file(source, target):
            raise UsageError(
                "output and input are the same file",
                "use --overwrite to replace it or -o to name another",
                subject=target,
            )
        if exists(target):
            raise exists_already(target)
    if isinstance(target, Path) and not is_folder(target.parent):
        raise OutputError("has no folder to be written to", f"make {target.parent}", subject=target)


def status_of(source: Source) -> os.stat_result | None:
    """What the system says of a file now; None of anything else, or where it is not there."""
    try:
        return source.stat() if isinstance(source, Path) else None
    except (OSError, ValueError):
        return None


def read(source: Source, *, crop: tuple[int, int, int, int] | None, max_pixels: int) -> Photo:
    """Decodes a photo, or a part of it.

    Args:
        source: a place, or the bytes of a file.
        crop: ``(x, y, width, height)`` in pixels of the upright photo.
        max_pixels: more are refused before decoding.

    Raises:
        InputError: for a photo that cannot be read, or does not reach as far as the crop.
        UsageError: for a crop that is none.
    """
    crop = as_crop(crop)
    photo = decode(source, max_pixels=max_pixels)
    if crop is None:
        return photo
    full_height, full_width = photo.pixels.shape[:2]
    check_crop(crop, full_width, full_height, None if isinstance(source, bytes) else source)
    from mirnet_cli.photo.placing import part

    return part(photo, crop)


def check_crop(
    crop: tuple[int, int, int, int], full_width: int, full_height: int, subject: Place | None
) -> None:
    """Refuses a crop (see :func:`read`) that a photo of this size does not have.

    Raises:
        InputError: for one that reaches beyond it.
    """
    x, y, width, height = crop
    if x + width > full_width or y + height > full_height:
        raise InputError(
            f"the crop {x},{y},{width},{height} reaches beyond its {full_width}x{full_height}"
            " pixels",
            "use a smaller one",
            subject=subject,
        )


def check_size(
    header: Header,
    source: Source,
    target: Target,
    width: int,
    height: int,
    *,
    format: str | None,
) -> None:
    """Refuses a result that is too large for the format that it would be written in.

    Args:
        header: of the photo.
        source, target, format: as :func:`write` takes them.
        width, height: of the result, in pixels.

    Raises:
        InputError: the format holds fewer pixels a side.
    """
    from mirnet_cli.photo.writing import format_for

    try:
        format_for(header, width, height, format or _named(target))
    except OutputError as error:
        subject = None if isinstance(source, bytes) else source
        raise InputError(error.what, error.remedy, subject=subject) from error


def _named(target: Target) -> str | None:
    """The format that a target's name says."""
    return format_from_name(target.name) if isinstance(target, Path | Remote) else None


def write(
    photo: Photo,
    source: Source,
    target: Target,
    status: os.stat_result | None,
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
        target: a place or a stream.
        status: of the source when it was read.
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
    named = _named(target)
    encoded = encode(
        photo,
        format=format or named,
        quality=quality,
        strip=strip,
        provenance=None if strip else provenance,
    )
    said = list(encoded.warnings)
    if format is None and isinstance(source, Path | Remote):
        said += _misnamed(photo.header.format, source.name, named)
    if preserve and Remote in (type(source), type(target)):
        said.append("the photo's time is not kept: object stores set their own")
    if isinstance(target, Remote):
        stores.put(target, encoded.data, overwrite=overwrite, kind=encoded.media_type)
        return tuple(said)
    if not isinstance(target, Path):
        target.write(encoded.data)
        target.flush()
        return tuple(said)
    if isinstance(source, Path) and same_file(source, target) and _changed(source, status):
        what = "the photo was changed while it was worked on, and is left as it is"
        raise OutputError(what, "run again", subject=target)
    times_from = status if preserve else None
    # A file that is replaced keeps its own permissions; a new one has those of the photo.
    mode_from = None if os.path.lexists(target) else status
    refused = write_atomically(
        target,
        encoded.data,
        overwrite=overwrite,
        times_from=times_from,
        mode_from=mode_from,
    )
    return (*said, *refused)


def _changed(source: Path, status: os.stat_result | None) -> bool:
    now = status_of(source)
    if now is None or status is None:
        return False
    return (now.st_ino, now.st_size, now.st_mtime_ns) != (
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
    )


def _misnamed(own: str, name: str, named: str | None) -> list[str]:
    """What to say where the output's format comes from the wrong extension of the photo's name."""
    content = FORMATS[own].written or own
    claimed = format_from_name(name)
    if claimed is None or named != (FORMATS[claimed].written or claimed) or named == content:
        return []
    keep = extension_for(content)[1:]
    return [
        f"the photo is {own}, whatever its name says, and was written as {named}, as the output's"
        f" name says; --format {keep} keeps it"
    ]
