"""Clean photos and pairs as training data: decoded once, cropped reproducibly.

A crop depends on the seed and the step alone, so that an interrupted run goes on as if nothing
had happened.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mirnet_cli import photo
from mirnet_cli.errors import InputError
from mirnet_cli.files import write_replaceable
from mirnet_cli.photo.raster import to_depth

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """One scene: ``(H, W, 3)`` uint8 RGB pixels, or 6 channels: the input's and the target's."""

    name: str
    pixels: Pixels


def read_rgb(path: Path) -> Pixels:
    """A photo as ``(H, W, 3)`` uint8; grey is repeated, alpha ignored, finer depths are rounded.

    Raises:
        InputError: if it cannot be read.
    """
    pixels = to_depth(photo.decode(path).pixels, "uint8")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels)


def _cached(path: Path, cache: Path | None) -> Pixels:
    """Decoded pixels of a photo, by way of an uncompressed copy in ``cache``: AVIF is slow."""
    if cache is None:
        return read_rgb(path)
    status = path.stat()
    key = hashlib.sha256(
        f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode()
    ).hexdigest()[:24]
    copy = cache / f"{key}.npy"
    if not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        np.save(file, read_rgb(path))
        write_replaceable(copy, file.getbuffer())
    mapped: Pixels = np.load(copy, mmap_mode="r")
    return mapped


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in photo.EXTENSIONS and not path.name.startswith(".")
    )


def load_photos(folder: Path, cache: Path | None = None) -> list[Pair]:
    """All photos of a folder.

    Raises:
        InputError: if there is none.
    """
    if not folder.is_dir():
        raise InputError("no such folder", "give one with photos", subject=folder)
    photos = [Pair(path.stem, _cached(path, cache)) for path in _pictures(folder)]
    if not photos:
        raise InputError("no photos in this folder", "give one with photos", subject=folder)
    return photos


def load_pairs(folder: Path, cache: Path | None = None) -> list[Pair]:
    """Pairs ``input/NAME.*`` and ``target/NAME.*`` of equal size.

    Raises:
        InputError: if a partner is missing, sizes differ, or there is no pair.
    """
    inputs, targets = folder / "input", folder / "target"
    if not inputs.is_dir() or not targets.is_dir():
        raise InputError("no folders input/ and target/", "arrange the pairs so", subject=folder)
    partners = {path.stem: path for path in _pictures(targets)}
    pairs = []
    for path in _pictures(inputs):
        if path.stem not in partners:
            raise InputError("has no partner in target/", "add it or remove this", subject=path)
        given, wanted = _cached(path, cache), _cached(partners[path.stem], cache)
        if given.shape != wanted.shape:
            raise InputError("differs in size from its target", "align the pair", subject=path)
        pairs.append(Pair(path.stem, np.concatenate([given, wanted], axis=2)))
    if not pairs:
        raise InputError("no pairs in this folder", "arrange input/ and target/", subject=folder)
    return pairs


def split(pairs: Sequence[Pair], share: float = 0.08) -> tuple[list[Pair], list[Pair]]:
    """Training and validation part, by a hash of the name: stable when photos are added.

    What follows the last ``_`` of a name numbers the crops of one scene, which stay together.
    """

    def held_out(pair: Pair) -> bool:
        scene = pair.name.rpartition("_")[0] or pair.name
        return int(hashlib.sha256(scene.encode()).hexdigest()[:8], 16) / 2**32 < share

    training = [pair for pair in pairs if not held_out(pair)]
    validation = [pair for pair in pairs if held_out(pair)]
    if not training or not validation:
        cut = max(1, round(len(pairs) * share))
        return list(pairs[cut:] or pairs), list(pairs[:cut])
    return training, validation


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
    areas = np.array([np.sqrt(p.pixels.shape[0] * p.pixels.shape[1]) for p in pairs])
    chosen = rng.choice(len(pairs), size=count, p=areas / areas.sum())
    crops = []
    for index in chosen:
        pixels = pairs[index].pixels
        short = min(pixels.shape[:2])
        if whole:
            side = max(min(size, short), int(short * rng.uniform(0.4, 1.0)))
        else:
            # Some photos at half their size: sharper, and other scales of the same things.
            side = 2 * size if short >= 2 * size and rng.random() < 0.25 else min(size, short)
        crop = _busier_of_two(pixels, side, rng) if not whole else _cut(pixels, side, rng)
        crop = np.rot90(crop, int(rng.integers(4)))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        tensor = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float() / 255
        if side != size:
            mode = "area" if side > size else "bilinear"
            tensor = F.interpolate(tensor, size=(size, size), mode=mode)
        crops.append(tensor)
    return torch.cat(crops)


def _cut(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    top = int(rng.integers(pixels.shape[0] - side + 1))
    left = int(rng.integers(pixels.shape[1] - side + 1))
    return pixels[top : top + side, left : left + side]


def _busier_of_two(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """Of two crops mostly the one with more detail: skies teach little."""
    first = _cut(pixels, side, rng)
    if rng.random() < 0.4:
        return first
    second = _cut(pixels, side, rng)
    return max(first, second, key=lambda crop: float(crop[::2, ::2, 1].std()))
