"""Clean photos and pairs as training data: decoded once, cropped reproducibly.

A crop depends on the seed and the step alone, so that an interrupted run goes on as if nothing
had happened.
"""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mirnet_cli import photo
from mirnet_cli.errors import InputError
from mirnet_cli.files import is_folder, make_folder, write_replaceable
from mirnet_cli.measure.pairs import find_pairs, pictures
from mirnet_cli.photo.raster import in_srgb, to_depth
from mirnet_cli.photo.space import space_of_photo

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """One scene: a photo, or an input and its target, which have one size.

    Attributes:
        name: without the extension.
        parts: of each its ``(H, W, 3)`` uint8 RGB pixels, or the file of :func:`numpy.save` that
            has them; a file is open only while it is read, so there may be any number.
    """

    name: str
    parts: tuple[Pixels | Path, ...]

    def pixels(self) -> tuple[Pixels, ...]:
        """Of each part; those of files are read where they are touched."""
        return tuple(
            np.load(part, mmap_mode="r") if isinstance(part, Path) else part for part in self.parts
        )

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.pixels()[0].shape[:2]
        return height, width

    def digest(self) -> str:
        """What tells it from others: its name, sizes, and a row of pixels of each part."""
        rows = [part[len(part) // 2].tobytes() for part in self.pixels()]
        what = os.fsencode(f"{self.name} {self.size}\0")
        return hashlib.sha256(what + b"\0".join(rows)).hexdigest()

    def brightness(self) -> float:
        """Mean of the first part, 0..1, from a pixel in 64."""
        return float(self.pixels()[0][::8, ::8].mean()) / 255


def read_rgb(path: Path) -> Pixels:
    """A photo as ``(H, W, 3)`` uint8 sRGB: grey is repeated, alpha ignored, finer depths rounded.

    Raises:
        InputError: if it cannot be read.
    """
    decoded = photo.decode(path)
    space, _ = space_of_photo(decoded)
    pixels = decoded.pixels if space is None else in_srgb(decoded.pixels, space)
    pixels = to_depth(pixels, "uint8")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels)


def _decoded(path: Path, cache: Path | None) -> Pixels | Path:
    """Pixels of a photo; their uncompressed copy in ``cache`` where that can be had: AVIF is slow.

    The copy takes three bytes a pixel.
    """
    if cache is None:
        return read_rgb(path)
    status = path.stat()
    key = hashlib.sha256(
        os.fsencode(f"sRGB\0{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}")
    ).hexdigest()[:24]
    copy = cache / f"{key}.npy"
    if is_intact(copy):
        return copy
    pixels = read_rgb(path)
    file = io.BytesIO()
    np.save(file, pixels)
    try:
        make_folder(cache)
        write_replaceable(copy, file.getbuffer())
    except OSError:
        # Full or read-only: the run needs more memory, nothing else.
        return pixels
    return copy


def is_intact(copy: Path) -> bool:
    """Whether a decoded copy in the cache can be read."""
    try:
        np.load(copy, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return True


def load_photos(folder: Path, cache: Path | None = None) -> list[Pair]:
    """All photos of a folder.

    Raises:
        InputError: if there is none, or one cannot be read.
    """
    found = [path for paths in pictures(folder).values() for path in paths]
    return [Pair(path.stem, (_decoded(path, cache),)) for path in found]


def load_pairs(folder: Path, cache: Path | None = None) -> list[Pair]:
    """Pairs ``input/NAME.*`` and ``target/NAME.*`` of equal size.

    Raises:
        InputError: if a partner is missing or not the only one, sizes differ, or there is no pair.
    """
    inputs, targets = folder / "input", folder / "target"
    if not is_folder(inputs) or not is_folder(targets):
        raise InputError("no folders input/ and target/", "arrange the pairs so", subject=folder)
    pairs = []
    for found in find_pairs(inputs, targets)[0]:
        if found.target is None or found.problem:
            raise InputError(found.problem, "add it or remove this", subject=found.input)
        parts = (_decoded(found.input, cache), _decoded(found.target, cache))
        pair = Pair(found.name, parts)
        given, wanted = pair.pixels()
        if given.shape != wanted.shape:
            raise InputError(
                "differs in size from its target", "align the pair", subject=found.input
            )
        pairs.append(pair)
    return pairs


def split(pairs: Sequence[Pair], share: float = 0.08) -> tuple[list[Pair], list[Pair]]:
    """Training and validation part, by a hash of the name: stable when others are added.

    In names of pairs (not of photos) what follows the last ``_`` numbers the crops of one scene,
    which stay together. At most half of the pairs validate.

    Raises:
        InputError: for a single one.
    """
    if len(pairs) < 2:
        what = "one picture is too few, since some are kept apart to validate"
        raise InputError(what, "give at least two; subfolders are not searched")
    scenes = [_scene(pair) for pair in pairs]
    if len(set(scenes)) == 1:
        # All begin alike: a camera's prefix, not a scene.
        scenes = [pair.name for pair in pairs]
    held_out = {scene for scene in scenes if drawn(scene) < share}
    if not held_out or held_out.issuperset(scenes):
        held_out = {min(scenes, key=drawn)}
    counts = Counter(scenes)
    if 2 * sum(counts[scene] for scene in held_out) > len(pairs):
        # A large scene, or all photos of one of two cameras.
        small = [scene for scene, count in counts.items() if 2 * count <= len(pairs)]
        held_out = {min(small, key=drawn)}
    apart = [scene in held_out for scene in scenes]
    training = [pair for pair, held in zip(pairs, apart, strict=True) if not held]
    return training, [pair for pair, held in zip(pairs, apart, strict=True) if held]


def _scene(pair: Pair) -> str:
    return (len(pair.parts) > 1 and pair.name.rpartition("_")[0]) or pair.name


def drawn(name: str) -> float:
    """A number in 0..1 that the name alone decides."""
    return int(hashlib.sha256(os.fsencode(name)).hexdigest()[:8], 16) / 2**32


def random_crops(
    pairs: Sequence[Pair], count: int, size: int, key: Sequence[int], whole: bool = False
) -> Tensor:
    """A batch of crops, flipped and turned at random.

    Args:
        pairs: to draw from; larger pictures are drawn more often (by the root of their area).
        count: of crops.
        size: of their sides, in pixels.
        key: seeds the draw, say ``(seed, step)``.
        whole: reduce most of the photo (40 to 100 % of its short side) to the crop's size, instead
            of cutting a piece at full scale.

    Returns:
        ``(count, 3 or 6, size, size)`` float32 in 0..1.
    """
    rng = np.random.default_rng(list(key))
    areas = np.array([np.sqrt(pair.size[0] * pair.size[1]) for pair in pairs])
    chosen = rng.choice(len(pairs), size=count, p=areas / areas.sum())
    crops = []
    for index in chosen:
        parts = pairs[index].pixels()
        short = min(pairs[index].size)
        if whole:
            side = max(min(size, short), int(short * rng.uniform(0.4, 1.0)))
            crop = _cut(parts, side, rng)
        else:
            # Some photos at half their size: sharper, and other scales of the same things. A pair's
            # blur or noise would be another then.
            halved = len(parts) == 1 and short >= 2 * size and rng.random() < 0.25
            side = 2 * size if halved else min(size, short)
            crop = _busier_of_two(parts, side, rng)
        crop = np.rot90(crop, int(rng.integers(4)))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        tensor = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float() / 255
        if side != size:
            mode = "area" if side > size else "bilinear"
            tensor = F.interpolate(tensor, size=(size, size), mode=mode)
        crops.append(tensor)
    return torch.cat(crops)


def _cut(parts: Sequence[Pixels], side: int, rng: np.random.Generator) -> Pixels:
    """A square at one place of all parts, one behind the other: ``(side, side, 3 or 6)``."""
    height, width = parts[0].shape[:2]
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    return np.concatenate([part[top : top + side, left : left + side] for part in parts], axis=2)


def _busier_of_two(parts: Sequence[Pixels], side: int, rng: np.random.Generator) -> Pixels:
    """Of two crops mostly the one with more detail: skies teach little."""
    first = _cut(parts, side, rng)
    if rng.random() < 0.4:
        return first
    second = _cut(parts, side, rng)
    return max(first, second, key=lambda crop: float(crop[::2, ::2, 1].std()))
