"""Pillow kept within bounds: its pixel limit, its warnings, its buffers, what its libtiff prints.

All are settings of the whole process. Limit and warnings are changed while any thread decodes here
and set back by the last one, the size of buffers while one encodes; libtiff's handler stays.
"""

import ctypes
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import PIL
from PIL import Image, ImageFile

_lock = threading.Lock()
_block_lock = threading.Lock()
_users = 0
_limit_before: int | None = None
_warnings_before: "warnings.catch_warnings[None] | None" = None
_reports = threading.local()
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)


@contextmanager
def tamed() -> Iterator[None]:
    """Switch off Pillow's pixel limit (max_pixels has been checked by then) and its warnings."""
    global _users, _limit_before, _warnings_before
    with _lock:
        if _users == 0:
            _limit_before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            _warnings_before = warnings.catch_warnings()
            _warnings_before.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                Image.MAX_IMAGE_PIXELS = _limit_before
                if _warnings_before is not None:
                    _warnings_before.__exit__(None, None, None)
                    _warnings_before = None


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let Pillow's encoders have a buffer of ``size`` bytes.

    libjpeg needs the whole file in one buffer for optimised tables and for several scans. Pillow
    reckons with 2 bytes a pixel, which noise at a high quality outgrows; then it fails, and
    libjpeg complains on standard error. The buffer is not touched beyond what is written.
    """
    with _block_lock:
        before, ImageFile.MAXBLOCK = ImageFile.MAXBLOCK, max(size, ImageFile.MAXBLOCK)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = before


@contextmanager
def libtiff_errors() -> Iterator[list[str]]:
    """Collect what libtiff reports in this thread, instead of having it on standard error.

    Pillow goes on after some of these errors and returns a picture with holes. Where its libtiff
    cannot be reached (it is linked statically on Windows), the list stays empty.
    """
    _silence_libtiff()
    found: list[str] = []
    _reports.list = found
    try:
        yield found
    finally:
        _reports.list = None


def _report(module: bytes | None, layout: bytes | None, _: int | None) -> None:
    found = getattr(_reports, "list", None)
    if found is not None:
        found.append((module or b"").decode("utf-8", "replace"))


_handler = _Handler(_report)


@cache
def _silence_libtiff() -> None:
    for path in _libtiff_paths():
        try:
            install = ctypes.CDLL(path).TIFFSetErrorHandler
        except (OSError, AttributeError):
            continue
        install.argtypes = [_Handler]
        install.restype = ctypes.c_void_p
        install(_handler)


def _libtiff_paths() -> set[str]:
    """Where the libtiff lies that Pillow has loaded: its own, or the system's."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        maps = ""
    found = {
        line[line.index("/") :]
        for line in maps.splitlines()
        if "/libtiff" in line and ".so" in line
    }
    if sys.platform == "darwin":
        found |= {str(path) for path in (Path(PIL.__file__).parent / ".dylibs").glob("libtiff*")}
    return found
