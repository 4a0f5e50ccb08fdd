"""HDR panoramas as training data: the true light of a place, all around.

A view of one is a scene at any exposure, with real highlights: what a camera would have given of
it is known, and so is what was there. Views are made once for each panorama and kept beside the
decoded photos.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mirnet_cli import extras
from mirnet_cli.errors import InputError
from mirnet_cli.files import is_folder, make_folder, write_replaceable
from mirnet_cli.restore.resample import Floats
from mirnet_cli.training.degrade import views
from mirnet_cli.training.photos import drawn, is_intact

VIEWS = 40
"""Of each panorama."""
ENDINGS = (".hdr", ".jxl")
_OTHERS = (".exr", ".pfm")
_STEPS, _DARKEST = 2048, -12
"""Of JPEG XL in integers: levels a stop, and the stops of light of the lowest."""
_LEAST = (64, 128)
_NIGHTS = ("night", "moon")
_SHARE = 0.08
"""Of the panoramas validates."""
_FORM = 1
"""Of the views that are kept; another one is counted up where views come to be made differently."""


@dataclass(frozen=True)
class Panorama:
    """Views of one place.

    Attributes:
        name: of the file, without the extension.
        sha256: of the file.
        given: ``(VIEWS, SIDE, SIDE, 3)`` uint8 sRGB: what a camera gives of each view, or the file
            of :func:`numpy.save` that has it.
        stops: ``(VIEWS, 2, SIDE, SIDE)`` float16: what each place is to get, for the amount that
            the view wants and for another one; or its file.
    """

    name: str
    sha256: str
    given: NDArray[np.uint8] | Path
    stops: NDArray[np.float16] | Path

    def view(self, number: int) -> tuple[NDArray[np.uint8], Floats]:
        """One of the views, and its stops in float32."""
        given, stops = (
            np.load(part, mmap_mode="r") if isinstance(part, Path) else part
            for part in (self.given, self.stops)
        )
        return np.array(given[number]), stops[number].astype(np.float32)


def read(path: Path) -> Floats:
    """A panorama's linear light: ``(H, W, 3)`` float32, in the primaries of sRGB, 0 or more.

    Radiance's ``.hdr`` (RGBE), or JPEG XL: of floats, which are linear light; of 16 bits, of which
    each 2048 are a stop (``exp2(value / 2048 - 12)``).

    Raises:
        InputError: if it cannot be read, or is no equirectangular panorama.
        UsageError: for JPEG XL without the library that reads it.
    """
    data = path.read_bytes()
    if path.suffix.lower() == ".jxl":
        extras.require("imagecodecs", "reading panoramas in JPEG XL", subject=path)
        light = _jpeg_xl(data)
    else:
        # A damaged file is None, or an error.
        try:
            light = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            light = None
        light = None if light is None or light.ndim != 3 else light[..., 2::-1]
    if light is None or light.ndim != 3 or light.dtype != np.float32:
        raise InputError(
            "no panorama that can be read", "give Radiance HDR or JPEG XL", subject=path
        )
    height, width = light.shape[:2]
    if width != 2 * height or height < _LEAST[0]:
        raise InputError(
            f"{width}x{height} pixels are no panorama of 360 degrees",
            f"an equirectangular one is twice as wide as high, {_LEAST[1]} pixels at least",
            subject=path,
        )
    if not np.isfinite(light).all() or not (light > 0).any():
        raise InputError("has no light, or numbers that are none", "leave it out", subject=path)
    return np.ascontiguousarray(np.maximum(light, 0), np.float32)


def _jpeg_xl(data: bytes) -> Floats | None:
    import imagecodecs

    try:
        stored = imagecodecs.jpegxl_decode(data)
    except Exception:
        # Its errors are of many classes.
        return None
    if stored.dtype == np.uint16:
        return np.exp2(stored[..., :3].astype(np.float32) / _STEPS + _DARKEST)
    return stored[..., :3].astype(np.float32) if stored.dtype.kind == "f" else None


def load_panoramas(
    folder: Path,
    cache: Path | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Panorama]:
    """The panoramas of a folder and their views, which are made where ``cache`` has none.

    Args:
        folder: files of :data:`ENDINGS`; others are passed over.
        cache: for the views, 10 MB a panorama; None keeps them in memory.
        told: how many of how many are done.

    Raises:
        InputError: if there is none, or one cannot be read.
        UsageError: for JPEG XL without the library that reads it.
    """
    if not is_folder(folder):
        raise InputError("there is no such folder", "give a folder of panoramas", subject=folder)
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in files:
        if path.suffix.lower() in _OTHERS:
            what = "panoramas are read from Radiance HDR and JPEG XL alone"
            raise InputError(what, "save it as .hdr", subject=path)
    files = [path for path in files if path.suffix.lower() in ENDINGS]
    if not files:
        raise InputError("no panoramas (.hdr, .jxl)", "give a folder that has some", subject=folder)
    made = []
    for number, path in enumerate(files):
        told(number, len(files))
        made.append(_load(path, cache))
    return made


def _load(path: Path, cache: Path | None) -> Panorama:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    # The name decides, too: it says which are nights.
    key = hashlib.sha256(f"{_FORM} {VIEWS} {digest} {_is_night(path.stem)}".encode())
    names = [f"views-{key.hexdigest()[:24]}-{part}.npy" for part in ("given", "stops")]
    files = [] if cache is None else [cache / name for name in names]
    if files and all(map(is_intact, files)):
        return Panorama(path.stem, digest, *files)
    rng = np.random.default_rng(int(digest[:8], 16))
    around, night = read(path), _is_night(path.stem)
    found = [views.example(around, night, rng) for _ in range(VIEWS)]
    given = np.stack([each[0] for each in found])
    stops = np.stack([each[1] for each in found]).astype(np.float16)
    try:
        if cache is not None:
            make_folder(cache)
        for file, part in zip(files, (given, stops), strict=False):
            packed = io.BytesIO()
            np.save(packed, np.asarray(part))
            write_replaceable(file, packed.getbuffer())
    except OSError:
        # Full or read-only: the run needs more memory, nothing else.
        files = []
    return Panorama(path.stem, digest, *(files or (given, stops)))


def _is_night(name: str) -> bool:
    return any(word in name.lower() for word in _NIGHTS)


def split(panoramas: Sequence[Panorama]) -> tuple[list[Panorama], list[Panorama]]:
    """Those to train on and those that validate, by a hash of the name; of one alone, both."""
    apart = [each for each in panoramas if drawn(each.name) < _SHARE]
    if not apart or len(apart) == len(panoramas):
        apart = [min(panoramas, key=lambda each: drawn(each.name))]
    return [each for each in panoramas if each not in apart] or apart, apart
