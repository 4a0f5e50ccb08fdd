"""The file formats there are: names, extensions, and recognition by content.

A new format is one entry in :data:`FORMATS` and the module it names, which has the functions of
:class:`mirnet_cli.photo.codec.Codec`.
"""

from dataclasses import dataclass

from mirnet_cli.errors import InputError, UsageError


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: as messages and :class:`~mirnet_cli.photo.picture.Header` give it.
        extensions: in lower case with the dot, the usual one first.
        module: the module of this package that reads and writes it.
    """

    name: str
    extensions: tuple[str, ...]
    module: str


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
        Format("PNG", (".png",), "png"),
        Format("WEBP", (".webp",), "webp"),
        Format("TIFF", (".tif", ".tiff"), "tiff"),
        Format("BMP", (".bmp", ".dib"), "bmp"),
        Format("AVIF", (".avif",), "avif"),
    )
}
READABLE: tuple[str, ...] = tuple(FORMATS)
WRITABLE: tuple[str, ...] = tuple(FORMATS)
EXTENSIONS: dict[str, str] = {
    extension: entry.name for entry in FORMATS.values() for extension in entry.extensions
}

HEAD = 64
"""How many first bytes of a file :func:`recognise` wants."""

USE_ANOTHER = "use a JPEG, PNG, WebP, TIFF, BMP or AVIF file"

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"FUJIFILM", "a camera RAW file"),
    (b"IIRO", "a camera RAW file"),
    (b"IIRS", "a camera RAW file"),
    (b"IIU\0", "a camera RAW file"),
    (b"FOVb", "a camera RAW file"),
    (b"\0MRM", "a camera RAW file"),
    (b"\0\0\1\0", "an icon"),
    (b"PK\3\4", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"\x7fELF", "a program"),
    (b"\x1aE\xdf\xa3", "a video"),
)


def format_from_name(name: str) -> str | None:
    """The format that a file name's extension stands for, or None."""
    dot = name.rfind(".")
    return None if dot < 0 else EXTENSIONS.get(name[dot:].lower())


def format_from_option(text: str) -> str:
    """The format a user means by "png", ".jpg" or "WebP".

    Raises:
        UsageError: there is no such format.
    """
    name = text.strip().lower()
    found = EXTENSIONS.get(name if name.startswith(".") else f".{name}")
    if found is None:
        raise UsageError(
            f"unknown format {text!r}",
            "use one of " + ", ".join(entry.extensions[0][1:] for entry in FORMATS.values()),
            subject="--format",
        )
    return found


def extension_for(format: str) -> str:
    """The usual extension of a format, with the dot."""
    return FORMATS[format].extensions[0]


def recognise(head: bytes) -> str:
    """The format of a file that begins with ``head`` (at least :data:`HEAD` bytes, if it has them).

    The name plays no part: only what the content itself says.

    Raises:
        InputError: empty, or not a format of :data:`READABLE`; the message says what it is
            where that can be told.
    """
    if not head:
        raise InputError("the file is empty", "copy it again")
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        if head[8:10] == b"CR":
            raise _unreadable("a camera RAW file")
        return "TIFF"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _recognise_iso(head)
    for signature, what in _OTHERS:
        if head.startswith(signature):
            raise _unreadable(what)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<?xml", b"<svg", b"<!doctype", b"<html")):
        raise _unreadable("an SVG drawing or another text file")
    raise InputError("not a picture this tool can read", USE_ANOTHER)


def _recognise_iso(head: bytes) -> str:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, size - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        raise _unreadable("an HEIC picture")
    if b"crx " in brands:
        raise _unreadable("a camera RAW file")
    raise _unreadable("a video")


def _unreadable(what: str) -> InputError:
    return InputError(f"{what}, which this tool does not read", USE_ANOTHER)
