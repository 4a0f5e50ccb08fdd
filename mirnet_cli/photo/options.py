"""What can be asked for when a photo is read and when a file is written."""

from dataclasses import dataclass
from typing import Annotated

from mirnet_cli import values
from mirnet_cli.options import HOW, WHERE, Options, Setting

MAX_PIXELS = 500_000_000
"""Between a bomb and a large photo: a 500-megapixel mosaic still passes."""

QUALITY_UNUSED = "the quality asked for is not used"
"""How the warning begins where the format takes none."""


@dataclass(frozen=True)
class ReadOptions(Options):
    """What is read of a photo."""

    crop: Annotated[
        tuple[int, int, int, int] | None,
        Setting(
            "Process only this part, in pixels, to try settings.",
            HOW,
            metavar="X,Y,W,H",
            parse=values.crop,
        ),
    ] = None
    max_pixels: Annotated[
        int,
        Setting(
            "Refuse larger pictures before decoding them. [default: 500M]",
            HOW,
            metavar="N",
            parse=values.pixels,
            alters=False,
        ),
    ] = MAX_PIXELS


@dataclass(frozen=True)
class WriteOptions(Options):
    """How a file is written.

    Attributes:
        format: the extension of a format, in lower case; the photo's own by default.
    """

    overwrite: Annotated[
        bool, Setting("Replace files that exist.", WHERE, variable=False, alters=False)
    ] = False
    format: Annotated[
        str | None,
        Setting(
            "jpg, png, webp, tif, bmp … [default: as the input]",
            WHERE,
            metavar="EXT",
            parse=values.extension,
        ),
    ] = None
    quality: Annotated[
        int | None,
        Setting(
            "Of JPEG, WebP, AVIF, HEIC, JPEG XL. [default: as the input]",
            WHERE,
            metavar="1-100",
            parse=values.quality,
        ),
    ] = None
    strip: Annotated[bool, Setting("Remove metadata (EXIF, XMP, GPS …).", WHERE)] = False
    preserve: Annotated[
        bool, Setting("Keep the file's modification time.", WHERE, alters=False)
    ] = False

    def __post_init__(self) -> None:
        """Refuse a format that cannot be written here, too.

        Raises:
            UsageError: it cannot, or a value is none.
        """
        super().__post_init__()
        # Known before any photo is read.
        self.format_name  # noqa: B018

    @property
    def format_name(self) -> str | None:
        """The name of the format that ``format`` stands for."""
        from mirnet_cli.photo.formats import format_from_option

        return None if self.format is None else format_from_option(self.format)
