"""TIFF: the first picture's directory, metadata, and writing. Classic and BigTIFF are read.

Sources: TIFF 6.0; TIFF Technical Note 3 (predictor); EXIF 2.32 section 4.6.3.
"""

import struct
from collections.abc import Iterator

from mirnet_cli.photo import ifd, photoshop, stacks, tiff_pixels, tiff_predictors
from mirnet_cli.photo.codec import Capacity, Layout, OpenFile, Order, OtherFormatError, Raster
from mirnet_cli.photo.deflate import compress_each
from mirnet_cli.photo.ifd import Directory, Field, Reader, Tree
from mirnet_cli.photo.picture import Metadata, shape_of
from mirnet_cli.photo.source import DamageError, Data

CAPACITY = Capacity(
    frozenset({"exif", "xmp", "icc", "iptc", "dpi", "aspect", "resources"}),
    depths=("uint8", "uint16", "float32"),
    grey_alpha=True,
)

MAX_FRAMES = 10_000
_STRIP = 1 << 20
_MAX_GAP = 1 << 20
"""Bytes left empty at most before a maker's note, so that it stands where its offsets lead."""

_XMP, _IPTC, _RESOURCES, _ICC, _LAYERS = 700, 33723, 34377, 34675, 37724
_RESOLUTIONS = (282, 283)
_UNIT = 296
_DNG = 50706
_SUB_IFDS = 330
_RAW_PHOTOMETRIC = {32803, 34892}
# How the samples are stored; written anew for every file.
_STRUCTURE = {
    *range(254, 260), 262, 263, 264, 265, 266, 273, *range(277, 282), 284, *range(288, 294), 301,
    317, 320, 321, *range(322, 329), _SUB_IFDS, *range(332, 335), 336, *range(338, 349), 351,
    *range(400, 406), *range(512, 522), *range(529, 533), 559, 32781, 32995, 32996, 37439,
}  # fmt: skip
_BLOCKS = {_XMP, _IPTC, _RESOURCES, _ICC, _LAYERS}


def _directories(reader: Reader) -> Iterator[tuple[int, Directory]]:
    """Where the directories are, and they, as far as they can be read."""
    at = reader.first
    directory = reader.directory(at)
    yield at, directory
    seen = {at}
    while (at := directory.next) and at not in seen and len(seen) < MAX_FRAMES:
        seen.add(at)
        try:
            directory = reader.directory(at)
        except DamageError:
            return
        yield at, directory


def _rank(reader: Reader, directory: Directory) -> int:
    """0 for a picture, more for a smaller version (NewSubfileType, bit 0), most for a mask (2)."""
    return reader.integer(directory.entries.get(254)) & 5


def _first(data: Data) -> tuple[Reader, int, Directory]:
    """The directory of the first picture, and where it is; previews and masks are passed over.

    Where there is nothing else, a preview is the picture, and else a mask.
    """
    reader = Reader(data)
    top = reader.directory(reader.first)
    at, first = reader.first, top
    for each in _directories(reader):
        if _rank(reader, each[1]) < _rank(reader, first):
            at, first = each
        if not _rank(reader, first):
            break
    kinds = {reader.integer(each.entries.get(262), -1) for each in (top, first)}
    reduced = reader.integer(top.entries.get(254)) & 1
    if _DNG in top.entries or kinds & _RAW_PHOTOMETRIC or (reduced and _SUB_IFDS in top.entries):
        raise OtherFormatError("RAW")
    return reader, at, first


class File(OpenFile):
    """A TIFF, of which the first picture is read."""

    piecemeal = True

    def __init__(self, data: Data) -> None:
        self._reader, self._at, self._top = _first(data)

    def header(self) -> Layout:
        """Read the first picture's directory, and count all (smaller versions and masks apart)."""
        reader, top = self._reader, self._top
        width = reader.integer(top.entries.get(256))
        height = reader.integer(top.entries.get(257))
        frames = sum(not _rank(reader, each) for _, each in _directories(reader))
        if frames <= 1:
            frames = stacks.frames(reader, top)
        return Layout(width, height, frames)

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Gather all tags that are not about storage into an EXIF block of their own."""
        reader, top = self._reader, self._top
        warnings: list[str] = []

        def block(tag: int) -> bytes | None:
            entry = top.entries.get(tag)
            if entry is None or not entry.size:
                return None
            if entry.size > ifd.MAX_VALUE:
                warnings.append(f"tag {tag} is larger than {ifd.MAX_VALUE} bytes and is not kept")
                return None
            return reader.value(entry)

        tree, damaged = ifd.read_tree(reader, self._at, without=_STRUCTURE | _BLOCKS)
        if damaged:
            warnings.append(f"{damaged} damaged tags are not kept")
        warnings += stacks.alone(tree)
        if _LAYERS in top.entries:
            warnings.append("Photoshop layers are not kept")
        resources = block(_RESOURCES)
        inner: bytes | None = None
        if resources is not None:
            try:
                inner, resources = photoshop.split(resources)
            except DamageError:
                warnings.append("the Photoshop data is damaged and is not kept")
                resources = None
        iptc = block(_IPTC)
        exif = ifd.block(tree, reader.order) if tree.fields or tree.children else None
        said = tree.fields[270].data if 270 in tree.fields else b""
        note = ifd.note_of(tree)
        return (
            Metadata(
                exif=exif,
                xmp=block(_XMP),
                icc=block(_ICC),
                iptc=inner if iptc is None else iptc,
                # A measure in the unit of its description would mean another thing in inches.
                dpi=None if stacks.is_measured(said) else _resolution(reader, top),
                aspect=None if stacks.is_measured(said) else _aspect(reader, top),
                resources=resources,
                note_at=ifd.far_note_at(note),
            ),
            warnings,
        )

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode the first picture."""
        return tiff_pixels.decode(self._reader, self._top, orientation, metadata.icc)


def _resolution(reader: Reader, top: Directory) -> tuple[float, float] | None:
    factor = {2: 1.0, 3: 2.54}.get(reader.integer(top.entries.get(_UNIT), 2))
    across, down = (reader.rational(top.entries.get(tag)) for tag in _RESOLUTIONS)
    if factor is None or not across or not down:
        return None
    return across * factor, down * factor


def _aspect(reader: Reader, top: Directory) -> tuple[int, int] | None:
    """The shape of pixels that are not square, where no unit is given."""
    across, down = (reader.rational(top.entries.get(tag)) or 0 for tag in _RESOLUTIONS)
    return shape_of(across, down) if reader.integer(top.entries.get(_UNIT), 2) == 1 else None


def write(order: Order) -> tuple[list[bytes], list[str]]:
    """Write strips deflated, integers with a predictor, then one directory with all metadata.

    The byte order is that of the EXIF block, so that no value of it has to be understood.
    """
    warnings: list[str] = []
    source = order.metadata
    byte_order, tree = "<", Tree()
    if source.exif is not None:
        try:
            reader = Reader(source.exif)
            byte_order = reader.order
            tree, damaged = ifd.read_tree(reader, reader.first, without=_STRUCTURE | _BLOCKS)
        except DamageError as error:
            warnings.append(f"the EXIF data is not kept: {error}")
        else:
            if damaged:
                warnings.append(f"{damaged} damaged EXIF tags are not kept")
    strips = list(compress_each(_strips(order, byte_order)))
    note = ifd.note_of(tree)
    note_at = None if note is None else source.note_at or note.at
    pieces, offsets, placed = _laid(strips, None if note is None else note.data, note_at)
    at = 8 + sum(map(len, pieces))
    if at > 0xFFFFFFFF:
        raise DamageError("it would be larger than 4 GiB")
    if note is not None and not placed:
        note_at = None
        if not note.data.startswith(ifd.ANYWHERE):
            del tree.children[ifd.EXIF].fields[ifd.MAKER_NOTE]
            warnings.append(ifd.NOTE_LOST)
    tree.fields |= _structure(order, byte_order, offsets, [len(strip) for strip in strips])
    tree.fields |= _blocks(source, byte_order)
    directory = ifd.build(tree, byte_order, at, note_at)
    return [ifd.header(byte_order, at), *pieces, directory], warnings


def _laid(
    strips: list[bytes], note: bytes | None, note_at: int | None
) -> tuple[list[bytes], list[int], bool]:
    """Strips from byte 8 on, and between them the maker's note where it has to be.

    Returns:
        The pieces up to an even offset, where the strips are, and whether the note is among them.
    """
    pieces: list[bytes] = []
    offsets: list[int] = []
    at = 8
    placed = False

    def put(piece: bytes) -> None:
        nonlocal at
        pieces.append(piece)
        at += len(piece)

    everything: list[bytes | None] = [*strips, None]
    for strip in everything:
        end = at + (_MAX_GAP if strip is None else len(strip))
        if note is not None and note_at is not None and at <= note_at < end:
            put(bytes(note_at - at))
            put(note)
            placed, note = True, None
        if strip is not None:
            offsets.append(at)
            put(strip)
    put(bytes(at % 2))
    return pieces, offsets, placed


def _channels(order: Order) -> int:
    return (3 if order.pixels.ndim == 3 else 1) + (0 if order.alpha is None else 1)


def _rows(order: Order) -> int:
    width = int(order.pixels.shape[1])
    return max(1, _STRIP // (width * _channels(order) * order.pixels.dtype.itemsize))


def _strips(order: Order, byte_order: str) -> Iterator[bytes]:
    height, width = order.pixels.shape[:2]
    channels = _channels(order)
    for top in range(0, height, _rows(order)):
        rows = slice(top, min(height, top + _rows(order)))
        yield tiff_predictors.predicted(
            order.pixels[rows].reshape(-1, width, channels - (order.alpha is not None)),
            None if order.alpha is None else order.alpha[rows],
            byte_order,
        )


def _structure(
    order: Order, byte_order: str, offsets: list[int], sizes: list[int]
) -> dict[int, Field]:
    height, width = order.pixels.shape[:2]
    channels = _channels(order)
    depth = order.pixels.dtype.itemsize * 8
    floating = order.pixels.dtype.kind == "f"

    def short(*values: int) -> Field:
        return ifd.integers_field(ifd.SHORT, byte_order, *values)

    def long(*values: int) -> Field:
        return ifd.integers_field(ifd.LONG, byte_order, *values)

    fields = {
        256: long(width),
        257: long(height),
        258: short(*[depth] * channels),
        259: short(8),
        262: short(2 if order.pixels.ndim == 3 else 1),
        273: long(*offsets),
        277: short(channels),
        278: long(_rows(order)),
        279: long(*sizes),
        284: short(1),
        317: short(1 if floating else 2),
        339: short(*[3 if floating else 1] * channels),
    }
    if order.alpha is not None:
        fields[338] = short(2)
    return fields


def _blocks(source: Metadata, byte_order: str) -> dict[int, Field]:
    fields: dict[int, Field] = {}
    if source.xmp is not None:
        fields[_XMP] = ifd.bytes_field(ifd.BYTE, source.xmp)
    if source.iptc is not None:
        fields[_IPTC] = ifd.bytes_field(ifd.UNDEFINED, source.iptc)
    if source.icc is not None:
        fields[_ICC] = ifd.bytes_field(ifd.UNDEFINED, source.icc)
    resources = photoshop.join(None, source.resources)
    if resources is not None:
        fields[_RESOURCES] = ifd.bytes_field(ifd.BYTE, resources)
    density = source.dpi or source.aspect
    if density is not None:
        for tag, value in zip(_RESOLUTIONS, density, strict=True):
            fields[tag] = ifd.rational_field(byte_order, min(value, 400_000.0))
        unit = 1 if source.dpi is None else 2
        fields[_UNIT] = Field(ifd.SHORT, 1, struct.pack(byte_order + "H", unit))
    return fields
