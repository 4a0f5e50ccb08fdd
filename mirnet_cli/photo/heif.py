"""HEIC, by pillow-heif's libheif.

Source: ISO/IEC 23008-12 (irot and imir turn a picture and clap cuts it, which libheif does; EXIF's
orientation turns nothing, whatever it says).
"""

from io import BytesIO

import numpy as np

from mirnet_cli.errors import InputError
from mirnet_cli.photo import cicp, exif, isobmff
from mirnet_cli.photo.codec import Capacity, Layout, OpenFile, Order, Raster
from mirnet_cli.photo.picture import Array, Metadata
from mirnet_cli.photo.source import DamageError, Data, whole

CAPACITY = Capacity(frozenset({"exif", "xmp", "icc"}), depths=("uint8", "uint16"), max_side=65535)

QUALITY = 90
"""HEIC does not state the quality it was written with; from here on it is 4:4:4."""

_PRESET = "ultrafast"
"""Of x265. pillow-heif's own is "slow", which takes seven times as long, more than the networks,
for files a little smaller (docs/measurements.md)."""

_DEEP = 12
"""Bits that 16-bit samples are written with, the most that HEVC encoders take."""

_FAILURES = (RuntimeError, OSError, ValueError, SyntaxError, EOFError)
_BLOCK = 64
"""Sides of the largest block that HEVC codes as one."""


class File(OpenFile):
    """An HEIC."""

    def __init__(self, data: Data) -> None:
        import pillow_heif

        content = whole(data)
        self._boxes = isobmff.Container(content)
        try:
            self._file = pillow_heif.open_heif(BytesIO(content), convert_hdr_to_8bit=False)
        except _FAILURES as error:
            raise self._failure("it cannot be parsed") from error
        if not len(self._file):
            raise self._failure("it has no picture")

    def _failure(self, what: str) -> InputError | DamageError:
        """What to say of a file that libheif cannot read; some codes it was built without."""
        code = self._boxes.rare_code()
        if code is None:
            return DamageError(what)
        return InputError(
            f"an HEIF ({code}) that is not read here", "save it again as HEIC, with HEVC"
        )

    def header(self) -> Layout:
        """Look at the container; no pixel is decoded by that. The size is that after rotation."""
        width, height = self._file.size
        turned = self._boxes.turn()
        cut = self._boxes.cut()
        if cut is None or cut.part is None or _is_padding(cut.part, cut.stored):
            return Layout(width, height, len(self._file), turned)
        return Layout(width, height, len(self._file), turned, cut.part, cut.stored)

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Take what libheif found. It turns pictures by itself, so EXIF's orientation is reset."""
        info = self._file.info
        warnings: list[str] = []
        block = info.get("exif") or None
        if block is not None:
            block = exif.of_turned(exif.without_prefix(block), warnings)
        warnings += self._boxes.beside()
        icc = info.get("icc_profile") or None
        if icc is None and (points := info.get("nclx_profile")):
            icc = cicp.from_points_or_refuse(
                int(points["color_primaries"]), int(points["transfer_characteristics"])
            )
        shape = self._boxes.aspect()
        return Metadata(exif=block, xmp=info.get("xmp") or None, icc=icc, aspect=shape), warnings

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode the primary picture at its depth: 10 and 12 bits become 16."""
        from mirnet_cli.photo.raster import unpremultiply

        file = self._file
        try:
            samples: Array = np.asarray(file)
        except _FAILURES as error:
            raise self._failure("its pixels cannot be decoded") from error
        if samples.dtype == np.uint16:
            # libheif shifts; the highest bits are repeated below, so that white is white.
            samples = samples | (samples >> int(file.info.get("bit_depth", 16)))
        if samples.ndim == 2:
            return Raster(np.ascontiguousarray(samples), None)
        with_alpha = samples.shape[2] in (2, 4)
        alpha = np.ascontiguousarray(samples[..., -1]) if with_alpha else None
        colours = samples[..., : samples.shape[2] - with_alpha]
        if colours.shape[2] == 1:
            colours = colours[..., 0]
        colours = np.ascontiguousarray(colours)
        if alpha is not None and file.mode.partition(";")[0].endswith("a"):
            unpremultiply(colours, alpha)
        return Raster(colours, alpha)


def _is_padding(part: tuple[int, int, int, int], stored: tuple[int, int]) -> bool:
    """Whether what is cut off only fills up blocks of the encoder: metadata knows nothing of it."""
    rest = (full - side for full, side in zip(stored, part[2:], strict=True))
    return part[:2] == (0, 0) and max(rest) < _BLOCK


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Encode with pillow-heif: 8 bits, or 16 bits in 12."""
    import pillow_heif

    metadata, pixels = order.metadata, order.pixels
    warnings: list[str] = []
    if order.alpha is not None:
        pixels = np.concatenate([pixels, order.alpha[..., None]], axis=2)
    mode = "L" if pixels.ndim == 2 else {3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    if pixels.dtype == np.uint16:
        mode += ";16"
        if not order.again:  # no other HEIC has more bits
            warnings.append(f"16 bits became {_DEEP} bits, which is what HEIC holds")
        pillow_heif.options.SAVE_HDR_TO_12_BIT = True
    height, width = pixels.shape[:2]
    file = pillow_heif.from_bytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
    quality = order.quality or QUALITY
    options: dict[str, object] = {
        "exif": metadata.exif,
        "xmp": metadata.xmp,
        "enc_params": {"preset": _PRESET},
    }
    if metadata.icc is not None:
        options["icc_profile"] = metadata.icc
    if quality >= QUALITY and pixels.ndim == 3:
        options["chroma"] = 444
    buffer = BytesIO()
    kept = {name: value for name, value in options.items() if value is not None}
    file.save(buffer, quality=quality, **kept)
    return [buffer.getvalue()], warnings
