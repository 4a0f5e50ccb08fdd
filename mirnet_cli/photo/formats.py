"""The file formats there are: names, extensions, and recognition by content.

A new format is one entry in :data:`FORMATS` and the module it names, which is a
:class:`mirnet_cli.photo.codec.Codec`.
"""

from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec

from mirnet_cli import extras, installation
from mirnet_cli.errors import InputError, UsageError


@dataclass(frozen=True)
class Needed:
    """What has to be installed for a format.

    Attributes:
        module: what is imported.
        name: what it is called.
        again: the package that brings it, which is here without it; None where an extra does.
    """

    module: str
    name: str
    again: str | None = None

    @property
    def remedy(self) -> str:
        """The command that brings it."""
        if self.again is not None:
            return installation.add(self.again, again=True)
        return extras.remedy(self.module)


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: as messages and :class:`~mirnet_cli.photo.picture.Header` give it.
        extensions: in lower case with the dot, the usual one first.
        module: the module of this package that reads and writes it.
        needed: what that needs beside the core.
        written: the format that is written instead, for one that is read alone.
        lossless: whether it is never lossy, so that it takes no quality.
    """

    name: str
    extensions: tuple[str, ...]
    module: str
    needed: Needed | None = None
    written: str | None = None
    lossless: bool = False

    @property
    def media_type(self) -> str:
        """As IANA has it, for servers."""
        return f"image/{self.name.lower()}"

    @property
    def missing(self) -> Needed | None:
        """What it needs and is not installed."""
        return None if self.needed is None or _is_here(self.needed.module) else self.needed


def _is_here(module: str) -> bool:
    """Whether a module is installed; neither it nor its package is imported."""
    package, dot, _ = module.partition(".")
    spec = find_spec(package)
    if dot and spec is not None:
        spec = PathFinder.find_spec(module, spec.submodule_search_locations)
    return spec is not None


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
        Format("PNG", (".png",), "png", lossless=True),
        Format("WEBP", (".webp",), "webp"),
        Format("TIFF", (".tif", ".tiff"), "tiff", lossless=True),
        Format("BMP", (".bmp", ".dib"), "bmp", lossless=True),
        Format("GIF", (".gif",), "gif", written="PNG"),
        Format(
            "AVIF",
            (".avif",),
            "avif",
            Needed("PIL._avif", "a Pillow with libavif", again="pillow"),
        ),
        Format(
            "HEIC",
            (".heic", ".heif", ".hif"),
            "heif",
            Needed("pillow_heif", "pillow-heif"),
        ),
        Format("JXL", (".jxl",), "jxl", Needed("imagecodecs", "imagecodecs")),
        Format(
            "RAW",
            (
                *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf"),
                *(".orf", ".rw2", ".pef", ".srw", ".x3f", ".mrw", ".rwl", ".3fr", ".iiq"),
                *(".erf", ".kdc", ".dcr", ".mos", ".mef", ".fff"),
            ),
            "raw",
            Needed("rawpy", "rawpy"),
            written="TIFF",
        ),
    )
}
READABLE: tuple[str, ...] = tuple(FORMATS)
WRITABLE: tuple[str, ...] = tuple(name for name, entry in FORMATS.items() if not entry.written)
_NAMED: dict[str, str] = {
    extension: entry.name for entry in FORMATS.values() for extension in entry.extensions
}
_PHOTOS_OF_OTHERS = {
    "Photoshop": (".psd", ".psb"),
    "JPEG 2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "OpenEXR": (".exr",),
    "Radiance HDR": (".hdr",),
    "GIMP": (".xcf",),
    "Targa": (".tga",),
    "PNM": (".pnm", ".ppm", ".pgm", ".pbm", ".pam", ".pfm"),
    "camera RAW": (".gpr", ".cap", ".eip", ".bay", ".mdc", ".k25", ".dcs", ".drf", ".ptx", ".rwz"),
}
"""Formats that people keep photos in and that nothing here reads. No drawings, pages or videos."""


@dataclass(frozen=True)
class Unreadable:
    """Why files of a kind cannot be read here.

    Attributes:
        kind: as people call it.
        what: is wrong.
        remedy: what to do about it.
    """

    kind: str
    what: str
    remedy: str


def unreadable_here(name: str, *, wanted: bool = False) -> Unreadable | None:
    """Why a file of this name cannot be read here; None where it can, or is no photo.

    Args:
        name: with its extension.
        wanted: somebody asked for it, whatever it is.
    """
    format = format_from_name(name)
    if format is not None:
        missing = FORMATS[format].missing
        if missing is None:
            return None
        kind = CALLED.get(format, format)
        return Unreadable(kind, f"{kind} needs {missing.name}", missing.remedy)
    stem, dot, extension = name.rpartition(".")
    for kind, extensions in _PHOTOS_OF_OTHERS.items():
        if dot and f".{extension.lower()}" in extensions:
            return Unreadable(kind, f"mirnet does not read {kind} files", "export them as TIFF")
    if not wanted:
        return None
    kind = extension.upper() if dot and stem else "other"
    return Unreadable(kind, "not a format that mirnet reads", "leave them out with --exclude")


CALLED = {"JXL": "JPEG XL", "RAW": "camera RAW"}
"""What people call formats whose name here is another."""

EXTENSIONS: dict[str, str] = {
    extension: name for extension, name in _NAMED.items() if not FORMATS[name].missing
}
"""Extensions of what can be read here: formats that need what is missing are left out."""

HEAD = 64
"""How many first bytes of a file :func:`recognise` wants."""

USE_ANOTHER = "use a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC, JPEG XL or camera RAW file"

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
# TIFFs in disguise: Fujifilm, Olympus, Panasonic, Sigma, Minolta, Canon before 2004.
_RAW = (
    b"FUJIFILM",
    b"IIRO",
    b"IIRS",
    b"MMOR",
    b"IIU\0",
    b"FOVb",
    b"\0MRM",
    b"II\x1a\0\0\0HEAPCCDR",
)
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\1\0", "an icon"),
    (b"PK\3\4", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"\x7fELF", "a program"),
    (b"\x1aE\xdf\xa3", "a video"),
)


def format_from_name(name: str) -> str | None:
    """The format that a file name's extension stands for, or None."""
    dot = name.rfind(".")
    return None if dot < 0 else _NAMED.get(name[dot:].lower())


def format_from_option(text: str) -> str:
    """The format to write that a user means by "png", ".jpg" or "WebP".

    Raises:
        UsageError: there is no such format, or it cannot be written here.
    """
    name = text.strip().lower()
    found = _NAMED.get(name if name.startswith(".") else f".{name}")
    if found is None:
        raise UsageError(
            f"unknown format {text!r}",
            "use one of " + ", ".join(FORMATS[each].extensions[0][1:] for each in WRITABLE),
            subject="--format",
        )
    if (written := FORMATS[found].written) is not None:
        instead = FORMATS[written].extensions[0][1:]
        raise UsageError(
            f"{name.lstrip('.')!r} files cannot be written",
            f"use {instead}, or another that can",
            subject="--format",
        )
    check_writable(found, "--format")
    return found


def written_extension(name: str) -> str | None:
    """The extension, without a dot, of what is written for a file of this name.

    None where it is the file's own.
    """
    format = format_from_name(name)
    written = None if format is None else FORMATS[format].written
    return None if written is None else extension_for(written)[1:]


def check_writable(format: str, subject: object = None) -> None:
    """See that a format can be written here.

    Args:
        format: its name.
        subject: what asks for it, an option or a file's name.

    Raises:
        UsageError: it is read alone, or its library is not installed.
    """
    entry = FORMATS[format]
    if entry.written is not None:
        instead = FORMATS[entry.written].extensions[0][1:]
        raise UsageError(f"{format} cannot be written", f"use --format {instead}", subject=subject)
    if missing := entry.missing:
        raise UsageError(f"{format} needs {missing.name}", missing.remedy, subject=subject)


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
        return "RAW" if _is_raw(head[8:16]) else "TIFF"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _recognise_iso(head)
    if head.startswith(_JXL):
        return "JXL"
    if head.startswith(_RAW):
        return "RAW"
    for signature, what in _OTHERS:
        if head.startswith(signature):
            raise unreadable(what)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<?xml", b"<svg", b"<!doctype", b"<html")):
        raise unreadable("an SVG drawing or another text file")
    raise InputError("not a picture this tool can read", USE_ANOTHER)


def _is_raw(mark: bytes) -> bool:
    """Whether these bytes behind a TIFF's header are those of a CR2 or of Phase One's IIQ.

    The first directory of both is an ordinary, small picture.
    """
    phase_one = (mark[:4], mark[5:8]) == (b"IIII", b"waR") or mark[:7] == b"MMMMRaw"
    return phase_one or mark[:2] == b"CR"


def _recognise_iso(head: bytes) -> str:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, size - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIC"
    if b"crx " in brands:
        return "RAW"
    raise unreadable("a video")


def unreadable(what: str) -> InputError:
    """The refusal of a file that is known to be of another kind."""
    return InputError(f"{what}, which this tool does not read", USE_ANOTHER)
