"""Programs that describe, within a TIFF, which pictures the file holds and how they lie there.

What is written here holds one picture, so what such a description says of several is taken out.
Sources: ImageJ (ij.io.TiffDecoder, FileInfo); tifffile ("shaped" files); OME-TIFF 2016-06;
MetaMorph STK; Carl Zeiss LSM; Olympus FluoView; Micro-Manager.
"""

import json
import math
from typing import Any

from mirnet_cli.photo.ifd import ASCII, Directory, Field, Reader, Tree

_DESCRIPTION = 270
_IMAGEJ = b"ImageJ="
_OF_STACKS = {
    "images", "channels", "slices", "frames", "hyperstack", "mode", "loop", "spacing", "finterval",
    "fps", "min", "max",
}  # fmt: skip
"""Lines of ImageJ's description that are of the stack, or of how its samples are shown."""

_METAMORPH = 33629
TAGS = {
    **dict.fromkeys(range(33628, 33632), "MetaMorph"),
    **dict.fromkeys((34361, 34362), "FluoView"),
    **dict.fromkeys((50838, 50839), "ImageJ"),
    34412: "Zeiss",
    43314: "NIH Image",
    51123: "Micro-Manager",
}
"""Tags about all pictures of a file (labels, regions, times), and whose they are."""


def frames(reader: Reader, top: Directory) -> int:
    """How many pictures a file of one directory says lie behind each other; 1 if it does not."""
    if _METAMORPH in top.entries:
        return max(1, top.entries[_METAMORPH].count)
    entry = top.entries.get(_DESCRIPTION)
    if entry is None or entry.kind != ASCII or entry.size > 1 << 20:
        return 1
    text = reader.value(entry).rstrip(b"\0")
    if text.startswith(_IMAGEJ):
        count = dict(_lines(text)).get("images", "1")
        return max(1, int(count)) if count.isdecimal() and len(count) < 10 else 1
    shaped = _shaped(text)
    if shaped is None or not shaped.get("truncated"):
        return 1
    one = math.prod(reader.integer(top.entries.get(tag), 1) for tag in (256, 257, 277))
    all_together: int = math.prod(shaped["shape"])
    return max(1, all_together // max(1, one))


def alone(tree: Tree) -> list[str]:
    """Take what is of several pictures out of a directory; returns what was lost, as warnings."""
    makers = {TAGS[tag] for tag in TAGS.keys() & tree.fields.keys()}
    for tag in TAGS:
        tree.fields.pop(tag, None)
    found = tree.fields.get(_DESCRIPTION)
    text = b"" if found is None else found.data.rstrip(b"\0")
    if text.startswith(_IMAGEJ):
        kept = [f"{name}={value}" for name, value in _lines(text) if name not in _OF_STACKS]
        _describe(tree, "\n".join(kept) + "\n")
    elif (shaped := _shaped(text)) is not None:
        rest = {k: v for k, v in shaped.items() if k not in ("shape", "axes", "truncated")}
        _describe(tree, json.dumps(rest) if rest else "")
    elif b"<OME " in text[:4096] or b":OME " in text[:4096]:
        makers.add("OME-XML")
        _describe(tree, "")
    return [f"what {name} says of the pictures in the file is not kept" for name in sorted(makers)]


def is_measured(description: bytes) -> bool:
    """Whether a resolution beside this description is a measure of what is seen, not of a print."""
    return description.startswith(_IMAGEJ)


def _describe(tree: Tree, text: str) -> None:
    if text:
        data = text.encode("latin-1") + b"\0"
        tree.fields[_DESCRIPTION] = Field(ASCII, len(data), data)
    else:
        del tree.fields[_DESCRIPTION]


def _lines(text: bytes) -> list[tuple[str, str]]:
    pairs = (line.partition("=") for line in text.decode("latin-1").splitlines())
    return [(name, value) for name, equals, value in pairs if equals]


def _shaped(text: bytes) -> dict[str, Any] | None:
    """tifffile's description, if it is one: JSON with the shape of an array."""
    if not text.startswith(b'{"') or b'"shape"' not in text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    shape = found.get("shape")
    if not isinstance(shape, list) or not all(isinstance(side, int) for side in shape):
        return None
    return dict(found)
