"""A photo's file before and after the network."""

import os
from dataclasses import replace
from pathlib import Path

from mirnet_cli import stores
from mirnet_cli.errors import InputError, OutputError, UsageError
from mirnet_cli.files import exists, exists_already, is_folder, same_file, write_atomically
from mirnet_cli.photo import Header, Photo, decode, encode, extension_for, format_from_name
from mirnet_cli.photo.formats import FORMATS, check_writable
from mirnet_cli.photo.options import ReadOptions, WriteOptions
from mirnet_cli.places import Place, Remote
from mirnet_cli.restore.work import Source, Target, Work


def check_target(source: Source, target: Target, options: WriteOptions) -> None:
    """Refuses a target before any work is done.

    Raises:
        UsageError: where the target is the source, and may not be overwritten, or is to be of a
            format that cannot be written here.
        OutputError: where it exists, and may not be overwritten, or has no folder.
    """
    if not isinstance(target, Path | Remote):
        return
    named = format_from_name(target.name)
    if named is not None and options.format is None:
        check_writable(named)
    stores.check(target, writing=True)
    if isinstance(target, Remote) and not target.name:
        raise UsageError("names a bucket, no object", "write s3://BUCKET/KEY", subject=target)
    if isinstance(target, Path) and is_folder(target):
        raise OutputError("is a folder", "name a file", subject=target)
    if not options.overwrite:
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


def read(source: Source, options: ReadOptions) -> Photo:
    """Decodes a photo, or a part of it.

    Raises:
        InputError: for a photo that cannot be read, or does not reach as far as the crop.
    """
    photo = decode(source, max_pixels=options.max_pixels)
    if options.crop is None:
        return photo
    full_height, full_width = photo.pixels.shape[:2]
    subject = None if isinstance(source, bytes) else source
    check_crop(options.crop, full_width, full_height, subject)
    from mirnet_cli.photo.placing import part

    return part(photo, options.crop)


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
    header: Header, source: Source, target: Target, size: tuple[int, int], options: WriteOptions
) -> None:
    """Refuses a result that is too large for the format that it would be written in.

    Args:
        header: of the photo.
        source, target: where it comes from and goes to.
        size: width and height of the result, in pixels.
        options: how it is written.

    Raises:
        InputError: the format holds fewer pixels a side.
    """
    from mirnet_cli.photo.writing import format_for

    try:
        format_for(header, *size, options.format_name or _named(target))
    except OutputError as error:
        subject = None if isinstance(source, bytes) else source
        raise InputError(error.what, error.remedy, subject=subject) from error


def _named(target: Target) -> str | None:
    """The format that a target's name says."""
    return format_from_name(target.name) if isinstance(target, Path | Remote) else None


def write(work: Work, options: WriteOptions) -> tuple[str, ...]:
    """Encodes a photo and writes it, whole or not at all.

    Returns:
        What was lost.

    Raises:
        OutputError: where it cannot be encoded or written.
    """
    source, target, status = work.source, work.target, work.status
    named = _named(target)
    as_named = options if options.format or named is None else replace(options, format=named)
    encoded = encode(work.photo, as_named, provenance=work.provenance)
    said = list(encoded.warnings)
    if options.format is None and isinstance(source, Path | Remote):
        said += _misnamed(work.photo.header.format, source.name, named)
    if options.preserve and Remote in (type(source), type(target)):
        said.append("the photo's time is not kept: object stores set their own")
    if isinstance(target, Remote):
        kind = encoded.media_type
        put = stores.put(target, encoded.data, overwrite=options.overwrite, kind=kind)
        return (*said, *put)
    if not isinstance(target, Path):
        target.write(encoded.data)
        target.flush()
        return tuple(said)
    if isinstance(source, Path) and same_file(source, target) and _changed(source, status):
        what = "the photo was changed while it was worked on, and is left as it is"
        raise OutputError(what, "run again", subject=target)
    times_from = status if options.preserve else None
    # A file that is replaced keeps its own permissions; a new one has those of the photo.
    mode_from = None if os.path.lexists(target) else status
    refused = write_atomically(
        target,
        encoded.data,
        overwrite=options.overwrite,
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
