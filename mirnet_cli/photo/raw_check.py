"""Whether the sensor's data of a camera RAW file is all there, before LibRaw develops it.

LibRaw goes on where data is missing or corrupt, with memory that nobody wrote. It tells that by a
callback alone, which rawpy leaves to one that prints; here its C interface is asked beside rawpy.
Sources: LibRaw, "C API"; TIFF/EP (ISO 12234-2); DNG 1.7; ExifTool, "PanasonicRaw Tags".
"""

import ctypes
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mirnet_cli.errors import InputError
from mirnet_cli.photo.ifd import Directory, Reader
from mirnet_cli.photo.source import DamageError, Data

_MISSING = "it ends before the picture is complete"
_SUB = 330
_PHOTOMETRIC, _SLICES = 262, 50752
_OF_SENSORS = (32803, 34892)
"""A colour filter array, and linear colours behind one."""

_SPANS = ((273, 279), (324, 325))
"""Offsets and sizes of strips, and of tiles."""

_COMPRESSION, _PREDICTOR, _SAMPLES = 259, 317, 339
_DEFLATE, _FLOATS = (8, 32946), 3
_KNOWN_PREDICTORS = (3, 34894, 34895)
_MOST_DIRECTORIES = 64

_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64)


def _reader(data: Data) -> Reader | None:
    head = data[0:8]
    if head[:2] not in (b"II", b"MM") or data[6:14] == b"HEAPCCDR":
        return None
    try:
        # Olympus and Panasonic have magic numbers of their own.
        version = b"*\0" if head[:2] == b"II" else b"\0*"
        return Reader(head[:2] + version + data[4 : len(data)])
    except DamageError:
        return None


def _directories(reader: Reader) -> Iterator[Directory]:
    waiting, seen = [reader.first], set[int]()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        at = waiting.pop()
        if not at or at in seen:
            continue
        seen.add(at)
        try:
            directory = reader.directory(at)
        except DamageError:
            continue
        yield directory
        waiting += [directory.next, *reader.integers(directory.entries.get(_SUB))]


def _check_directory(reader: Reader, directory: Directory) -> None:
    entries = directory.entries
    sensor = reader.integer(entries.get(_PHOTOMETRIC), -1) in _OF_SENSORS
    if not sensor and _SLICES not in entries:
        return
    for at, size in _SPANS:
        if {at, size} & directory.lost:
            raise DamageError(_MISSING)
        spans = zip(
            reader.integers(entries.get(at)), reader.integers(entries.get(size)), strict=False
        )
        if any(start + count > len(reader.data) for start, count in spans):
            raise DamageError(_MISSING)
    if reader.integer(entries.get(_COMPRESSION)) in _DEFLATE and not (
        reader.integer(entries.get(_SAMPLES)) == _FLOATS
        and reader.integer(entries.get(_PREDICTOR), 1) in _KNOWN_PREDICTORS
    ):
        # It takes all for floating-point samples with their own predictor.
        raise InputError(
            "a DNG in a kind of Deflate that LibRaw develops wrong",
            "save it again without compression",
        )


def _check_panasonic(reader: Reader) -> None:
    """Panasonic's sizes are those of unpacked data: blocks of 16 bytes hold at most 14 pixels."""
    try:
        entries = reader.directory(reader.first).entries
    except DamageError:
        return
    width, height, start, form = (reader.integer(entries.get(tag)) for tag in (2, 3, 0x118, 0x2D))
    if start and 0 < form < 8 and start + width * height * 16 // 14 > len(reader.data):
        raise DamageError(_MISSING)


class Taken(ctypes.Structure):
    """The beginning of libraw_imgother_t: how the photo was taken; 0 where nobody knows."""

    _fields_ = [
        (name, ctypes.c_float)
        for name in ("iso_speed", "shutter_speed", "aperture", "focal_length")
    ]


class LibRaw:
    """A file in rawpy's own LibRaw, which knows nothing where it cannot be reached or cannot open
    the file.

    Attributes:
        data: the file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._found = found = list[int]()
        self._library = library = _library()
        self._handle: int | None = None
        if library is None:
            return
        # LibRaw keeps a pointer to it. It must not hold this object, which closes when it goes.
        self._callback = _Callback(lambda _, name, at: found.append(at))
        handle = library.libraw_init(0)
        if not handle:
            raise MemoryError
        self._close = weakref.finalize(self, library.libraw_close, handle)
        library.libraw_set_dataerror_handler(handle, self._callback, None)
        if library.libraw_open_buffer(handle, data, len(data)):
            self._close()
        else:
            self._handle = handle

    def check_opening(self) -> None:
        """See that it opened without a complaint, which rawpy would have it print.

        Raises:
            DamageError: data is missing or corrupt.
        """
        if found := self._found:
            raise DamageError(_MISSING if min(found) < 0 else "its compressed data is corrupt")

    def has_preview(self) -> bool:
        """Whether it finds the preview whole; True where it cannot be asked."""
        if self._handle is None:
            return not self._found
        whole = self._library.libraw_unpack_thumb(self._handle) == 0
        return whole and not self._found

    def taken(self) -> Taken:
        """What it knows of how the photo was taken. rawpy would unpack all for that."""
        if self._handle is None or self._found:
            return Taken()
        return Taken.from_buffer_copy(self._library.libraw_get_imgother(self._handle).contents)

    def check(self) -> None:
        """See that the file holds what it promises, and that LibRaw can make sense of it.

        Raises:
            DamageError: data is missing or corrupt.
            InputError: of a kind that LibRaw develops wrong.
        """
        reader = _reader(self.data)
        if reader is not None:
            for directory in _directories(reader):
                _check_directory(reader, directory)
            if self.data[:4] == b"IIU\0":
                _check_panasonic(reader)
        if self._handle is not None:
            self._found.clear()  # what a preview lacks is none of the picture's
            self._library.libraw_unpack(self._handle)
            self._handle = None
            self._close()  # and with it as much memory as rawpy is to take
        self.check_opening()


@cache
def _library() -> Any:
    """rawpy's own LibRaw; None where it cannot be reached."""
    import rawpy

    folder = Path(rawpy.__file__).parent
    folders = [folder, folder / ".dylibs", folder.parent / "rawpy.libs"]
    for path in sorted(each for where in folders for each in where.glob("*raw_r[.-]*")):
        try:
            library = ctypes.CDLL(str(path))
            library.libraw_init.restype = ctypes.c_void_p
            library.libraw_init.argtypes = [ctypes.c_uint]
            library.libraw_set_dataerror_handler.argtypes = [
                *(ctypes.c_void_p, _Callback, ctypes.c_void_p)
            ]
            library.libraw_open_buffer.argtypes = [
                *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
            ]
            library.libraw_unpack.argtypes = [ctypes.c_void_p]
            library.libraw_unpack_thumb.argtypes = [ctypes.c_void_p]
            library.libraw_get_imgother.argtypes = [ctypes.c_void_p]
            library.libraw_get_imgother.restype = ctypes.POINTER(Taken)
            library.libraw_close.argtypes = [ctypes.c_void_p]
        except (OSError, AttributeError):
            continue
        return library
    return None
