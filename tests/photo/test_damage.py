"""Broken and hostile files: one error in one line, quickly, in bounded memory."""

import io
import os
import random
import struct
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from mirnet_cli.errors import InputError
from mirnet_cli.photo import Metadata, Photo, decode, encode, probe
from tests.photo.pictures import (
    XMP,
    chunk,
    exif_block,
    noise,
    photo,
    png,
    rgb_profile,
    saved,
    smooth,
)


def samples() -> dict[str, bytes]:
    """Small files of every kind there is a code path for."""
    image = Image.fromarray(smooth(40, 56))
    metadata = Metadata(exif=exif_block(6), xmp=XMP, icc=rgb_profile(), dpi=(300, 300))
    full = photo(smooth(40, 56), noise(40, 56, 1), metadata=metadata)
    deep = photo(noise(40, 56, 3, np.uint16), noise(40, 56, 1, np.uint16), metadata=metadata)
    tiled = io.BytesIO()
    tifffile.imwrite(
        tiled, deep.pixels, photometric="rgb", tile=(16, 16), compression="zlib", bigtiff=True
    )
    found = {f"full {name}": encode(full, format=name).data for name in ("JPEG", "WEBP", "AVIF")}
    return found | {
        "png": encode(full).data,
        "png16": encode(deep).data,
        "png palette": saved(image.quantize(40), "PNG"),
        "tiff": encode(full, format="TIFF").data,
        "tiff16": encode(deep, format="TIFF").data,
        "tiff tiles": tiled.getvalue(),
        "tiff lzw": saved(image, "TIFF", compression="tiff_lzw"),
        "tiff palette": saved(image.quantize(40), "TIFF", compression="tiff_lzw"),
        "tiff jpeg": saved(image, "TIFF", compression="jpeg"),
        "tiff fax": saved(image.convert("1"), "TIFF", compression="group4"),
        "jpeg progressive": saved(image, "JPEG", progressive=True),
        "jpeg restarts": saved(image, "JPEG", restart_marker_blocks=4),
        "jpeg cmyk": saved(image.convert("CMYK"), "JPEG"),
        "webp lossless": saved(image, "WEBP", lossless=True),
        "bmp": saved(image, "BMP"),
    }


SAMPLES = samples()


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Any:
    """Whatever happens, the libraries print nothing of their own."""
    yield
    assert capfd.readouterr() == ("", "")


def read_or_refused(data: bytes) -> Photo | None:
    """The photo, or None for an error in one line; anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return decode(data, max_pixels=1_000_000)
        except InputError as error:
            text = str(error)
    assert text.isprintable()
    return None


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_anywhere_is_refused(name: str) -> None:
    data = SAMPLES[name]
    # The last bytes hold no pixels in some formats: padding, an offset that is 0.
    for size in {*range(0, len(data) - 4, max(1, len(data) // 50)), 1, 2, 7, 8, len(data) - 5}:
        found = read_or_refused(data[:size])
        if found is not None:
            # What is missing can only be metadata that follows the pixels, in a TIFF.
            assert name in ("tiff", "tiff16")
            assert any("damaged" in warning for warning in found.warnings)
            np.testing.assert_array_equal(found.pixels, decode(data).pixels)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_with_wrong_bytes_is_refused_or_read(name: str) -> None:
    source = random.Random(name)
    for _ in range(40):
        data = bytearray(SAMPLES[name])
        for _ in range(source.choice((1, 1, 3, 12))):
            reach = len(data) if source.random() < 0.5 else min(len(data), 300)
            data[source.randrange(reach)] = source.choice((0, 1, 127, 255, source.randrange(256)))
        found = read_or_refused(bytes(data))
        if found is not None:
            encode(found)


def test_files_and_bytes_and_threads_give_the_same(tmp_path: Path) -> None:
    paths = []
    for name, data in SAMPLES.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(data)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(decode, paths * 3))
    for path, read in zip(paths * 3, found, strict=True):
        wanted = decode(SAMPLES[path.name])
        np.testing.assert_array_equal(read.pixels, wanted.pixels)
        assert read.metadata == wanted.metadata
        assert probe(path) == wanted.header


@pytest.mark.parametrize("name", ["png", "png16", "tiff", "tiff16", "tiff lzw", "tiff tiles"])
def test_damage_in_lossless_pixels_is_always_found(name: str) -> None:
    data = bytearray(SAMPLES[name])
    at = data.index(b"IDAT") + 400 if name.startswith("png") else len(data) // 3
    data[at : at + 8] = bytes(value ^ 0x5A for value in data[at : at + 8])
    with pytest.raises(InputError):
        decode(bytes(data))


def jpeg_hole(data: bytes) -> bytes:
    """A JPEG of which the second half of the scan is gone, but not its end marker."""
    scan = data.index(b"\xff\xda")
    return data[: scan + (len(data) - scan) // 2].rstrip(b"\xff") + b"\xff\xd9"


def test_a_jpeg_with_missing_restart_intervals_is_refused() -> None:
    with pytest.raises(InputError, match="restart"):
        decode(jpeg_hole(SAMPLES["jpeg restarts"]))


def test_a_jpeg_with_a_wrong_marker_in_its_pixels_is_refused() -> None:
    data = bytearray(SAMPLES["full JPEG"])
    at = (data.rindex(b"\xff\xda") + len(data)) // 2
    data[at : at + 2] = b"\xff\xc7"
    with pytest.raises(InputError, match="marker"):
        decode(bytes(data))


def test_png_with_too_few_rows_but_right_checksums() -> None:
    for depth, dtype in ((8, np.uint8), (16, np.uint16)):
        rows = noise(4, 6, 3, dtype).astype(np.dtype(dtype).newbyteorder(">")).tobytes()
        whole = png((6, 4, depth, 2), rows)
        head = struct.pack(">IIBBBBB", 6, 9, depth, 2, 0, 0, 0)
        with pytest.raises(InputError):
            decode(whole[:8] + chunk(b"IHDR", head) + whole[33:])


@pytest.mark.parametrize("filter_kind", [5, 255])
def test_png_with_an_unknown_filter(filter_kind: int) -> None:
    for depth in (8, 16):
        line = bytes((filter_kind,)) + bytes(6 * depth // 8)
        data = (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, depth, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(line))
            + chunk(b"IEND", b"")
        )
        with pytest.raises(InputError):
            decode(data)


def claims(width: int, height: int) -> dict[str, bytes]:
    """Tiny files that claim a size."""
    jpeg = bytearray(saved(Image.new("RGB", (8, 8)), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, at + 5, min(height, 65535), min(width, 65535))
    bmp = bytearray(saved(Image.new("RGB", (8, 8)), "BMP"))
    struct.pack_into("<ii", bmp, 18, width, height)
    tiff = bytearray(saved(Image.new("RGB", (8, 8)), "TIFF"))
    for tag, value in ((256, width), (257, height), (278, height)):
        at = tiff.index(struct.pack("<H", tag) + b"\4\0\1\0\0\0")
        struct.pack_into("<I", tiff, at + 8, value)
    webp = b"VP8X\n\0\0\0\0\0\0\0" + struct.pack("<I", min(width, 1 << 24) - 1)[:3]
    webp += struct.pack("<I", min(height, 1 << 24) - 1)[:3]
    return {
        "PNG": png_claim(width, height),
        "JPEG": bytes(jpeg),
        "BMP": bytes(bmp),
        "TIFF": bytes(tiff),
        "WEBP": b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp,
    }


def png_claim(width: int, height: int) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def peak_of(data: bytes, **options: Any) -> tuple[str, int]:
    """The error that decoding gives, and the peak of Python's allocations."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            decode(data, **options)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_a_claimed_size_is_refused_before_anything_is_decoded(format: str) -> None:
    data = claims(60000, 60000)[format]
    started = time.monotonic()
    text, peak = peak_of(data)
    if format == "BMP":
        assert "ends before" in text
    else:
        assert "60000x60000" in text
        assert "--max-pixels 3600M" in text
    assert peak < 8 << 20
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_a_claimed_size_within_the_limit_finds_nothing_there(format: str) -> None:
    text, _ = peak_of(claims(9000, 9000)[format])
    assert "damaged" in text


def test_a_real_bomb_is_refused_by_its_size() -> None:
    rows = zlib.compressobj(9)
    row = bytes(1 + 50000 // 8)
    body = b"".join(rows.compress(row * 1000) for _ in range(50)) + rows.flush()
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 50000, 50000, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )
    assert len(data) < 400_000
    assert "--max-pixels 2500M" in peak_of(data)[0]


def test_max_pixels_is_the_line() -> None:
    data = SAMPLES["png"]
    assert decode(data, max_pixels=40 * 56).pixels.shape == (56, 40, 3)
    for function in (probe, decode):
        with pytest.raises(InputError, match="--max-pixels"):
            function(data, max_pixels=40 * 56 - 1)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = saved(Image.fromarray(smooth(16, 16)), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(InputError, match="scans"):
        decode(data[:scan] + data[scan:-2] * 600 + b"\xff\xd9")


def test_a_jpeg_of_one_colour_is_no_bomb() -> None:
    for options in ({}, {"progressive": True, "optimize": True}, {"subsampling": 0}):
        data = saved(Image.new("RGB", (2000, 1500), (9, 99, 200)), "JPEG", **options)
        assert decode(data).pixels.shape == (1500, 2000, 3)
    assert decode(saved(Image.new("L", (999, 500)), "JPEG", optimize=True)).pixels.shape == (
        500,
        999,
    )


def test_endless_fill_bytes_and_segments_end_soon() -> None:
    data = saved(Image.fromarray(smooth(16, 16)), "JPEG")
    started = time.monotonic()
    padded = data[:2] + b"\xff" * (8 << 20) + data[2:]
    np.testing.assert_array_equal(decode(padded).pixels, decode(data).pixels)
    with pytest.raises(InputError):
        decode(data[:2] + b"\xff" * (8 << 20))
    with pytest.raises(InputError, match="segments"):
        decode(data[:2] + b"\xff\xe5\0\2" * 200_000 + data[2:])
    assert time.monotonic() - started < 20


def test_directories_that_go_in_circles_end() -> None:
    data = bytearray(saved(Image.fromarray(smooth(8, 8)), "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    assert decode(bytes(data)).header.frames == 1
    block = bytearray(exif_block())
    struct.pack_into("<I", block, 10 + 24 + 8, 8)  # the Exif directory is the top one again
    found = decode(encode(photo(smooth(8, 8), metadata=Metadata(exif=bytes(block)))).data)
    assert encode(found, format="TIFF").data


def test_a_tiff_with_huge_tiles_or_many_strips_is_refused() -> None:
    for tag, value in ((322, 1 << 30), (323, 1 << 30), (324, 0)):
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer, noise(40, 40), photometric="rgb", tile=(16, 16), compression="zlib"
        )
        data = bytearray(buffer.getvalue())
        at = data.index(struct.pack("<H", tag))
        struct.pack_into("<I", data, at + (8 if value else 4), value)
        text, peak = peak_of(bytes(data))
        assert "damaged" in text
        assert peak < 64 << 20


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        decode(path)
    path.write_bytes(b"just text")
    with pytest.raises(InputError, match="not a picture") as caught:
        probe(path)
    assert caught.value.subject == str(path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    fifo, loop = tmp_path / "pipe.jpg", tmp_path / "loop.jpg"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    for path, what in (
        (fifo, "pipe"),
        (tmp_path, "folder"),
        (Path("/dev/zero"), "device"),
        (tmp_path / "missing.jpg", "no such file"),
        (loop, "symbolic links"),
        (Path("a\0b.jpg"), "file name"),
        (tmp_path / ("x" * 300), "too long"),
    ):
        for function in (probe, decode):
            with pytest.raises(InputError, match=what):
                function(path)


def test_a_file_much_larger_than_its_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    path.write_bytes(SAMPLES["png"])
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="much larger"):
            decode(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


NAMES = ["a\nb.png", "[red]x[bold].png", "-rf.png", "ü" * 100 + ".png", "x" * 251 + ".png"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
@pytest.mark.parametrize("name", [*(name.encode() for name in NAMES), b"\xff\xfe.png"])
def test_any_name_works(tmp_path: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))  # noqa: PTH118
    path.write_bytes(SAMPLES["png"])
    assert probe(path).format == "PNG"
    assert decode(path).pixels.shape == (56, 40, 3)


def test_the_name_plays_no_part(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(SAMPLES["png"])
    assert decode(path).header.format == "PNG"
