"""GIF, of which the first frame is read. Source: CompuServe, "Graphics Interchange Format 89a"."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from mirnet_cli.photo.codec import Layout, OpenFile, Raster
from mirnet_cli.photo.picture import Metadata
from mirnet_cli.photo.source import DamageError, Data

MAX_BLOCKS = 1_000_000
_FRAME, _EXTENSION, _END = 0x2C, 0x21, 0x3B
_COMMENT, _APPLICATION = 0xFE, 0xFF
_XMP = b"XMP DataXMP"
_ICC = b"ICCRGBG1012"
_XMP_TRAILER = 258
"""Bytes after an XMP packet that lead a reader of sub-blocks to its end (XMP part 3, 1.1.2)."""
_MOST = 16 << 20


@dataclass(frozen=True, slots=True)
class _Block:
    """A frame, or an extension with its label; ``start`` is that of its sub-blocks."""

    kind: int
    label: int
    start: int
    end: int


class File(OpenFile):
    """A GIF."""

    def __init__(self, data: Data) -> None:
        self._data = data

    @cached_property
    def _blocks(self) -> list[_Block]:
        return list(_blocks(self._data))

    def header(self) -> Layout:
        """Read the size of the screen, and count the frames."""
        head = self._data[0:13]
        if len(head) < 13:
            raise DamageError("it ends within its header")
        frames = sum(block.kind == _FRAME for block in self._blocks)
        if not frames:
            raise DamageError("it has no picture")
        width, height = (int.from_bytes(head[at : at + 2], "little") for at in (6, 8))
        return Layout(width, height, frames=frames)

    def metadata(self) -> tuple[Metadata, list[str]]:
        """Read the comment, the XMP packet and the profile."""
        comment = xmp = icc = None
        for block in self._blocks:
            if block.kind != _EXTENSION or block.end - block.start > _MOST:
                continue
            if block.label == _COMMENT and comment is None:
                comment = _joined(self._data, block.start)
            elif block.label == _APPLICATION:
                name = self._data[block.start + 1 : block.start + 12]
                if name == _XMP and xmp is None:
                    # The packet stands there as it is, without the sizes of sub-blocks.
                    xmp = self._data[block.start + 12 : block.end - _XMP_TRAILER] or None
                elif name == _ICC and icc is None:
                    icc = _joined(self._data, block.start + 12)
        return Metadata(comment=comment or None, xmp=xmp, icc=icc or None), []

    def pixels(self, layout: Layout, metadata: Metadata, orientation: int) -> Raster:
        """Decode the first frame with Pillow."""
        from PIL import GifImagePlugin

        from mirnet_cli.photo.raster import first_frame

        raster = first_frame(GifImagePlugin.GifImageFile, self._data, layout, orientation)
        return replace(raster, lossless=True)


def _blocks(data: Data) -> Iterator[_Block]:
    """The blocks after the header; ends quietly where the file does."""
    flags = data[10:11]
    at = 13 + (_colours(flags[0]) if flags else 0)
    for _ in range(MAX_BLOCKS):
        head = data[at : at + 10]
        if not head or head[0] == _END:
            return
        if head[0] == _FRAME and len(head) == 10:
            # Its own colours, and the size of its codes.
            start, label = at + 10 + _colours(head[9]) + 1, 0
        elif head[0] == _EXTENSION and len(head) > 2:
            start, label = at + 2, head[1]
        else:
            return
        end = start
        while size := data[end : end + 1]:
            end += 1 + size[0]
            if not size[0]:
                break
        yield _Block(head[0], label, start, end)
        at = end
    raise DamageError(f"it has more than {MAX_BLOCKS} blocks")


def _colours(flags: int) -> int:
    """Bytes of the table of colours that flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _joined(data: Data, at: int) -> bytes:
    """What sub-blocks hold."""
    parts = []
    while (size := data[at : at + 1]) and size[0]:
        parts.append(data[at + 1 : at + 1 + size[0]])
        at += 1 + size[0]
    return b"".join(parts)
