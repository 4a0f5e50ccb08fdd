"""A photo's file before and after the network."""

import os
from dataclasses import replace
from pathlib import Path

from mirnet_cli import stores
from mirnet_cli.errors import InputError, OutputError, UsageError
from mirnet_cli.files import exists_already, make_folder, not_written
from mirnet_cli.photo import Encoded, Header, Photo, decode, encode, extension_for, format_from_name
from mirnet_cli.photo.formats import FORMATS, check_writable
from mirnet_cli.photo.options import ReadOptions, WriteOptions
from mirnet_cli.places import Place, place
from mirnet_cli.restore.names import output_name
from mirnet_cli.restore.work import Source, Target, Work


def within(target: str | Target, source: Source, options: WriteOptions) -> Target:
    """The target itself or, where it is a folder, a file in it of the source's name.

    A folder whose name ends in a slash is made.

    Raises:
        UsageError: it has no name, or there is none for the file.
        OutputError: the folder cannot be made.
    """
    if isinstance(target, str):
        if not target:
            raise UsageError("an empty name", "name a file or a folder", subject="target")
        text, target = target, place(target)
    elif isinstance(target, Place):
        text = str(target)
    else:
        return target
    stores.check(target, writing=True)
    if not stores.of(target).means_folder(target, text):
        return target
    if isinstance(source, bytes) or not source.name:
        what = "is a folder, and the photo has no name of its own"
        raise UsageError(what, "name a file", subject=target)
    if isinstance(target, Path):
        try:
            make_folder(target)
        except OSError as error:
            raise not_written(target, error) from error
    return target / output_name(source.name, extension=options.format)


def check_target(source: Source, target: Target, options: WriteOptions) -> None:
    """Refuse a target before any work is done.

    Raises:
        UsageError: where the target is the source, and may not be overwritten, or is to be of a
            format that cannot be written here.
        OutputError: where it exists, and may not be overwritten, or has no folder.
    """
    if not isinstance(target, Place):
        return
    named = format_from_name(target.name)
    if named is not None and options.format is None:
        same = isinstance(source, Place) and format_from_name(source.name) == named
        check_writable(named, source if same else target)
    stores.check(target, writing=True)
    stores.of(target).check_target(target)
    if not options.overwrite:
        if not isinstance(source, bytes) and stores.same_file(source, target):
            raise UsageError(
                "output and input are the same file",
                "use --overwrite to replace it or -o to name another",
                subject=target,
            )
        if stores.exists(target):
            raise exists_already(target)


def status_of(source: Source) -> os.stat_result | None:
    """What the system says of a file now; None of anything else, or where it is not there."""
    try:
        return source.stat() if isinstance(source, Path) else None
    except (OSError, ValueError):
        return None


def read(source: Source, options: ReadOptions) -> Photo:
    """Decode a photo, or a part of it.

    Raises:
        InputError: for a photo that cannot be read, or does not reach as far as the crop.
    """
    photo = decode(source, max_pixels=options.max_pixels)
    if options.crop is None:
        return photo
    full_height, full_width = photo.pixels.shape[:2]
    subject = None if isinstance(source, bytes) else source
    check_crop(options.crop, full_width, full_height, subject)
    from mirnet_cli.photo.regions import part

    return part(photo, options.crop)


def check_crop(
    crop: tuple[int, int, int, int], full_width: int, full_height: int, subject: Place | None
) -> None:
    """Refuse a crop (see :func:`read`) that a photo of this size does not have.

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
    """Refuse a result that is too large for the format that it would be written in.

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
    return format_from_name(target.name) if isinstance(target, Place) else None


def write(work: Work, options: WriteOptions) -> tuple[str, ...]:
    """Encode a photo and write it, whole or not at all.

    Returns:
        What was lost.

    Raises:
        OutputError: where it cannot be encoded or written.
    """
    source, target, status = work.source, work.target, work.status
    named = _named(target)
    as_named = options if options.format or named is None else replace(options, format=named)
    encoded = _as_it_is(work, as_named) or encode(
        work.photo, as_named, provenance=work.provenance or None
    )
    said = list(encoded.warnings)
    if options.format is None and isinstance(source, Place):
        said += _misnamed(work.photo.header.format, source.name, named)
    if not isinstance(target, Place):
        target.write(encoded.data)
        target.flush()
        return tuple(said)
    if isinstance(source, Path) and stores.same_file(source, target) and _changed(source, status):
        what = "the photo was changed while it was worked on, and is left as it is"
        raise OutputError(what, "run again", subject=target)
    places = [each for each in (source, target) if not isinstance(each, bytes)]
    if options.preserve and not all(stores.of(each).keeps_times for each in places):
        said.append("the photo's time is not kept: object stores set their own")
    refused = stores.of(target).write(
        target,
        encoded.data,
        overwrite=options.overwrite,
        kind=encoded.media_type,
        status=status,
        preserve=options.preserve,
    )
    return (*said, *refused)


def _as_it_is(work: Work, options: WriteOptions) -> Encoded | None:
    """The photo's own file, where nothing was done to it and nothing else is asked for."""
    own = work.photo.header.format
    wanted = options.format_name or own
    if not work.untouched or options.strip or options.quality is not None or wanted != own:
        return None
    if isinstance(work.source, bytes):
        data = work.source
    else:
        with stores.of(work.source).opened(work.source) as opened:
            data = bytes(opened[0 : len(opened)])
    return Encoded(data, media_type=f"image/{own.lower()}")


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
