"""What a format's module offers, and what passes between it and decode and encode."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mirnet_cli.photo.options import WriteOptions
from mirnet_cli.photo.picture import Array, JpegSettings, Metadata
from mirnet_cli.photo.source import Data


@dataclass(frozen=True)
class Layout:
    """What a file's header says.

    Attributes:
        width, height: as stored, before the orientation.
        frames: how many pictures the file holds.
        turned: the orientation that the format itself has and its codec applies, 1 to 8; width and
            height are those after it.
        crop: x, y, width and height of the part that the format shows, before the turn; width and
            height are those of that part, turned.
        stored: width and height of what that part is cut out of.
    """

    width: int
    height: int
    frames: int = 1
    turned: int = 1
    crop: tuple[int, int, int, int] | None = None
    stored: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Raster:
    """Decoded pixels, upright; see :class:`mirnet_cli.photo.picture.Photo` for the fields.

    ``profile_used`` says that the pixels went through the profile and are sRGB now.
    """

    pixels: Array = field(repr=False)
    alpha: Array | None = field(default=None, repr=False)
    profile_used: bool = False
    jpeg: JpegSettings | None = None
    lossless: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What to write.

    Attributes:
        pixels, alpha: as the codec's ``CAPACITY`` allows.
        metadata: with everything that its files do not hold taken out.
        options: as asked for.
        jpeg, lossless: how the input was compressed.
        again: whether the input was of this format.
    """

    pixels: Array = field(repr=False)
    alpha: Array | None = field(repr=False)
    metadata: Metadata
    options: WriteOptions = field(default_factory=WriteOptions)
    jpeg: JpegSettings | None = None
    lossless: bool = False
    again: bool = False

    @property
    def quality(self) -> int | None:
        """1 to 100, or None for the file's own or the format's usual one."""
        return self.options.quality


class OtherFormatError(Exception):
    """A file turns out, beyond its first bytes, to be of another format, which is the text."""


class OpenFile(Protocol):
    """A photo's file, open for reading, and asked in this order; what it parses, it parses once.

    Attributes:
        piecemeal: pixels are read where they lie, and no file is wanted in memory.
    """

    piecemeal: bool = False

    def header(self) -> Layout:
        """Read sizes, decoding nothing. Raises DamageError or InputError."""

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Read everything beside the pixels; doubtful parts become warnings."""

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode, once. Raises DamageError, InputError or what Pillow and OpenCV raise."""


@dataclass(frozen=True)
class Capacity:
    """What files of a format can hold.

    Attributes:
        metadata: names of fields of :class:`~mirnet_cli.photo.picture.Metadata`.
        depths: dtype names.
        max_side: in pixels.
        grey, alpha, grey_alpha: whether one channel, an alpha channel, and both alone can be
            stored.
    """

    metadata: frozenset[str]
    depths: tuple[str, ...] = ("uint8",)
    max_side: int = 2**31 - 1
    grey: bool = True
    alpha: bool = True
    grey_alpha: bool = False


class Codec(Protocol):
    """One format's module: ``File`` opens a file; the rest only where the format is written."""

    File: Callable[[Data], OpenFile]
    CAPACITY: Capacity

    def write(self, order: Order) -> tuple[list[bytes], list[str]]:
        """Encode into the pieces of a file, and say what was lost."""


NUMBERS: Mapping[str, float] = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""White, for each dtype a photo may have."""
