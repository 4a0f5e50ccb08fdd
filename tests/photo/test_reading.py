"""Pixels come in as they are: depth, channels, alpha, palette, orientation."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from mirnet_cli.errors import InputError
from mirnet_cli.photo import Metadata, decode, encode, exif, ifd, probe, tiff
from mirnet_cli.photo.codec import OtherFormatError
from tests.photo.pictures import (
    XMP,
    chunk,
    cmyk_profile,
    exif_block,
    jpeg_with,
    noise,
    photo,
    png,
    saved,
    smooth,
)

ORIENTED = ("JPEG", "PNG", "WEBP", "TIFF")


def oriented(format: str, orientation: int, pixels: Any) -> bytes:
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"exif": exif}
    if format == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    if format == "WEBP":
        options |= {"lossless": True}
    return saved(image, format, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ORIENTED)
def test_orientation_is_applied_once(format: str, orientation: int) -> None:
    pixels = smooth(24, 40)
    data = oriented(format, orientation, pixels)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(image))

    found = decode(data)

    assert found.pixels.shape == wanted.shape
    assert np.abs(found.pixels.astype(int) - wanted).max() <= (8 if format == "JPEG" else 0)
    assert found.pixels.flags.c_contiguous
    header = probe(data)
    assert (header.width, header.height) == (wanted.shape[1], wanted.shape[0])
    again = decode(encode(found).data)
    assert again.pixels.shape == wanted.shape, "turned a second time"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_orientation_of_a_tiff_of_any_depth(orientation: int, dtype: Any) -> None:
    pixels = noise(7, 11, dtype=dtype)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, pixels, photometric="rgb", extratags=[(274, 3, 1, orientation, True)], tile=(16, 16)
    )
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels),
    }
    np.testing.assert_array_equal(decode(buffer.getvalue()).pixels, turned[orientation])


def test_orientation_of_an_avif_is_its_rotation() -> None:
    pixels = smooth(24, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode(saved(Image.fromarray(pixels), "AVIF", exif=exif, quality=95))
    assert found.pixels.shape == (40, 24, 3)
    assert np.abs(found.pixels.astype(int) - np.rot90(pixels, -1)).mean() < 8


@pytest.mark.parametrize("format", ORIENTED)
@pytest.mark.parametrize("with_exif", [False, True])
def test_orientation_in_xmp_counts_in_a_png_without_exif_alone(
    format: str, with_exif: bool
) -> None:
    pixels = smooth(24, 40)
    block = exif.without_orientation(exif_block(1)) if with_exif else None
    source = photo(pixels, metadata=Metadata(xmp=XMP, exif=block))
    data = encode(source, format=format).data.replace(
        b'tiff:Orientation="1"', b'tiff:Orientation="6"'
    )
    if format == "PNG":
        data = replaced_xmp(data)
    found = decode(data)
    turned = format == "PNG" and not with_exif
    assert found.pixels.shape == ((40, 24, 3) if turned else (24, 40, 3))
    assert probe(data).width == found.pixels.shape[1]
    again = decode(encode(found).data)
    assert again.pixels.shape == found.pixels.shape
    assert again.warnings == ()
    assert ["only XMP" in text for text in found.warnings] == ([] if turned else [True])


def replaced_xmp(data: bytes) -> bytes:
    """The PNG with a right checksum for its changed iTXt chunk."""
    at = data.index(b"iTXt")
    size = int.from_bytes(data[at - 4 : at], "big")
    return data[: at - 4] + chunk(b"iTXt", data[at + 4 : at + 4 + size]) + data[at + 8 + size :]


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_an_orientation_out_of_range_turns_nothing(value: int) -> None:
    data = saved(Image.fromarray(smooth(8, 12)), "JPEG", exif=b"Exif\0\0" + exif_block(value))
    assert decode(data).pixels.shape == (8, 12, 3)


@pytest.mark.parametrize(
    ("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)], ids=["grey", "rgb", "grey+a", "rgba"]
)
@pytest.mark.parametrize("top", [65535, 255, 3], ids=["full", "dark", "black"])
def test_png_of_16_bits_keeps_them_however_dark(kind: int, channels: int, top: int) -> None:
    stored = (noise(6, 5, channels, np.uint16).astype(np.uint32) * top // 65535).astype(np.uint16)
    found = decode(png((5, 6, 16, kind), stored.astype(">u2").tobytes()))
    samples = stored.reshape(6, 5, channels)
    colours = 3 if channels >= 3 else 1
    assert found.pixels.dtype == np.uint16
    np.testing.assert_array_equal(found.pixels.reshape(6, 5, colours), samples[..., :colours])
    if channels % 2 == 0:
        np.testing.assert_array_equal(found.alpha, samples[..., -1])
    else:
        assert found.alpha is None


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_png_of_few_bits_fills_the_range(depth: int) -> None:
    values = np.arange(16) % 2**depth
    bits = "".join(format(value, f"0{depth}b") for value in values)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    found = decode(png((16, 1, depth, 0), raw))
    np.testing.assert_array_equal(found.pixels[0], values * (255 // (2**depth - 1)))


@pytest.mark.parametrize("depth", [2, 4, 8, 16])
def test_a_transparent_grey_of_any_depth(depth: int) -> None:
    values = np.arange(16) % min(16, 2**depth)
    bits = "".join(format(value, f"0{depth}b") for value in values)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    found = decode(png((16, 1, depth, 0), raw, chunk(b"tRNS", b"\0\2")))
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha[0] == 0, values == 2)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour(depth: int) -> None:
    pixels = noise(4, 4, 3, np.uint8 if depth == 8 else np.uint16)
    key = struct.pack(">3H", *pixels[1, 2])
    raw = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    found = decode(png((4, 4, depth, 2), raw, chunk(b"tRNS", key)))
    assert found.alpha is not None
    assert found.alpha[1, 2] == 0
    assert (found.alpha == np.iinfo(pixels.dtype).max).sum() == 15
    np.testing.assert_array_equal(found.pixels, pixels)


def test_a_palette_with_transparency() -> None:
    palette = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255))
    data = png((3, 1, 8, 3), bytes((0, 1, 2)), chunk(b"PLTE", palette), chunk(b"tRNS", b"\x00\x80"))
    found = decode(data)
    np.testing.assert_array_equal(found.pixels[0], np.frombuffer(palette, np.uint8).reshape(3, 3))
    np.testing.assert_array_equal(found.alpha, [[0, 128, 255]])
    assert decode(png((3, 1, 8, 3), bytes((0, 1, 2)), chunk(b"PLTE", palette))).alpha is None


@pytest.mark.parametrize(
    ("mode", "format", "shape", "alpha"),
    [
        ("1", "PNG", (8, 12), False),
        ("1", "TIFF", (8, 12), False),
        ("L", "JPEG", (8, 12), False),
        ("L", "BMP", (8, 12), False),
        ("LA", "PNG", (8, 12), True),
        ("LA", "TIFF", (8, 12), True),
        ("P", "TIFF", (8, 12, 3), False),
        ("P", "BMP", (8, 12, 3), False),
        ("RGB", "BMP", (8, 12, 3), False),
        ("RGBA", "TIFF", (8, 12, 3), True),
        ("RGBA", "WEBP", (8, 12, 3), True),
        ("RGBA", "AVIF", (8, 12, 3), True),
        ("YCbCr", "TIFF", (8, 12, 3), False),
        ("LAB", "TIFF", (8, 12, 3), False),
    ],
)
def test_modes(mode: str, format: str, shape: tuple[int, ...], alpha: bool) -> None:
    image = Image.fromarray(smooth(8, 12))
    image = Image.fromarray(noise(8, 12), "LAB") if mode == "LAB" else image.convert(mode)
    if alpha:
        image.putalpha(Image.fromarray(noise(8, 12, 1)))
    found = decode(saved(image, format))
    assert found.pixels.shape == shape
    assert (found.alpha is not None) == alpha
    if mode in ("1", "L", "P", "RGB") and format != "JPEG":
        np.testing.assert_array_equal(
            found.pixels, np.asarray(image.convert("L" if len(shape) == 2 else "RGB"))
        )


TIFFS: list[dict[str, Any]] = [
    {},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"planarconfig": "separate"},
    {"tile": (32, 16)},
    {"tile": (32, 16), "planarconfig": "separate"},
    {"rowsperstrip": 5},
    {"compression": "zlib", "predictor": True},
    {"compression": "zlib", "predictor": True, "byteorder": ">", "tile": (16, 16)},
]


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        (options, dtype)
        for options in TIFFS
        for dtype in (np.uint8, np.uint16, np.float32, np.float16, np.float64)
        # tifffile writes the floating predictor only with imagecodecs.
        if np.dtype(dtype).kind == "u" or "predictor" not in options
    ],
    ids=str,
)
def test_tiff_in_every_layout(options: dict[str, Any], dtype: Any) -> None:
    floating = np.dtype(dtype).kind == "f"
    pixels = noise(41, 23, 3, np.float32 if floating else dtype).astype(dtype)
    buffer = io.BytesIO()
    stored = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(buffer, stored, photometric="rgb", **options)
    found = decode(buffer.getvalue())
    assert found.pixels.dtype == (np.float32 if floating else dtype)
    np.testing.assert_allclose(found.pixels, pixels, rtol=1e-6)
    said = ["64 bits became 32"] if dtype is np.float64 else []
    assert len(found.warnings) == len(said)
    assert all(words in text for words, text in zip(said, found.warnings, strict=True))


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
def test_tiff_of_16_bits_in_every_compression_of_libtiff(compression: int) -> None:
    import cv2

    pixels = noise(70, 31, 3, np.uint16)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 9]
    done, data = cv2.imencode(".tiff", pixels[..., ::-1], options)
    assert done
    np.testing.assert_array_equal(decode(data.tobytes()).pixels, pixels)


def test_planar_tiff_that_libtiff_unpacks() -> None:
    """Strips of three planes, the last of each lower than the others."""
    pixels = noise(70, 31, 3)
    strips = [
        lzw(pixels[top : top + 9, :, channel]) for channel in range(3) for top in range(0, 70, 9)
    ]
    numbers = {
        256: [31],
        257: [70],
        258: [8, 8, 8],
        259: [5],
        262: [2],
        277: [3],
        278: [9],
        284: [2],
    }
    numbers[273] = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    numbers[279] = [len(strip) for strip in strips]
    end = 8 + sum(map(len, strips)) + 1 & ~1
    fields = {tag: ifd.integers_field(ifd.LONG, "<", *values) for tag, values in numbers.items()}
    body = b"".join(strips).ljust(end - 8, b"\0")
    data = ifd.header("<", end) + body + ifd.build(ifd.Tree(fields), "<", end)
    np.testing.assert_array_equal(decode(data).pixels, pixels)


def lzw(rows: Any) -> bytes:
    """Rows of bytes, compressed by libtiff into one strip."""
    data = saved(Image.fromarray(np.ascontiguousarray(rows)), "TIFF", compression="tiff_lzw")
    reader = ifd.Reader(data)
    entries = reader.directory(reader.first).entries
    start = reader.integer(entries[273])
    return data[start : start + reader.integer(entries[279])]


def test_tiff_floating_predictor_is_that_of_libtiff() -> None:
    pixels = noise(9, 14, 1, np.float32)
    data = encode(photo(pixels), format="TIFF").data
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_tiff_extra_channels() -> None:
    pixels = noise(6, 7, 5, np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    found = decode(buffer.getvalue())
    np.testing.assert_array_equal(found.alpha, pixels[..., 4])
    assert "1 extra channel" in found.warnings[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_premultiplied_colours_become_straight(dtype: Any) -> None:
    full = np.iinfo(dtype).max
    stored = np.array([[[full // 4, full // 2, 0, full // 2], [0, 0, 0, 0]]], dtype)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stored, photometric="rgb", extrasamples=["assocalpha"])
    found = decode(buffer.getvalue())
    assert found.alpha is not None
    np.testing.assert_allclose(found.pixels[0, 0], [full // 2, full, 0], atol=1 + full // 200)
    np.testing.assert_array_equal(found.pixels[0, 1], 0)


def test_white_is_zero_is_inverted() -> None:
    pixels = noise(6, 7, 1, np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="miniswhite")
    np.testing.assert_array_equal(decode(buffer.getvalue()).pixels, 65535 - pixels)


def test_floating_samples_outside_the_range_are_clipped_aloud() -> None:
    pixels = np.array([[0.5, 2.0, -1.0, np.nan, np.inf]], np.float32)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="minisblack")
    found = decode(buffer.getvalue())
    np.testing.assert_array_equal(found.pixels, [[0.5, 1, 0, 0, 1]])
    assert "outside 0..1" in found.warnings[0]


@pytest.mark.parametrize("dtype", [np.int16, np.uint64, np.int8])
def test_samples_that_photos_do_not_have_are_refused(dtype: Any) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ones((5, 6, 3), dtype), photometric="rgb")
    with pytest.raises(InputError):
        decode(buffer.getvalue())


def test_dng_is_refused_as_raw_not_read_as_its_thumbnail() -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, noise(8, 8), photometric="rgb", extratags=[(50706, 1, 4, b"\1\4\0\0")])
    with pytest.raises(InputError, match="RAW"):
        probe(buffer.getvalue())


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(format: str) -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    plain = decode(saved(image, format))
    assert plain.pixels.shape == (8, 8, 3)
    assert "formula" in plain.warnings[0]
    assert plain.pixels[0, 0, 0] > 200
    assert plain.pixels[0, 0, 1] < 60

    profile = cmyk_profile()
    managed = decode(saved(image, format, icc_profile=profile))
    assert managed.metadata.icc is None
    assert "CMYK profile is not kept" in managed.warnings[0]
    assert np.abs(managed.pixels.astype(int) - plain.pixels).max() > 20


def test_only_the_first_of_several_pictures_is_read_and_that_is_said() -> None:
    images = [Image.fromarray(noise(8, 9, seed=seed)) for seed in range(3)]
    for format in ("PNG", "TIFF", "WEBP", "AVIF"):
        options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
        data = saved(images[0], format, save_all=True, append_images=images[1:], **options)
        assert probe(data).frames == 3, format
        found = decode(data)
        assert "first of 3 pictures" in found.warnings[0], format
        if format != "AVIF":
            np.testing.assert_array_equal(found.pixels, np.asarray(images[0]))


@pytest.mark.parametrize("pages", [1, 2])
def test_a_preview_before_the_picture_of_a_tiff_is_passed_over(pages: int) -> None:
    pixels = noise(20, 30, dtype=np.uint16)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise(5, 7), photometric="rgb", subfiletype=1)
        for _ in range(pages):
            writer.write(pixels, photometric="rgb", software="Scan", compression="lzw")
    found = decode(buffer.getvalue())
    np.testing.assert_array_equal(found.pixels, pixels)
    assert b"Scan" in (found.metadata.exif or b"")
    assert [each[:21] for each in found.warnings] == ["only the first of 2 p"] * (pages - 1)


@pytest.mark.parametrize("with_picture", [True, False])
def test_a_mask_is_never_the_picture_of_a_tiff_that_has_another(with_picture: bool) -> None:
    pixels, preview = noise(20, 30), noise(5, 7)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise(20, 30, 1) > 99, photometric="mask", subfiletype=4)
        writer.write(preview, photometric="rgb", subfiletype=1)
        if with_picture:
            writer.write(pixels, photometric="rgb")
    found = decode(buffer.getvalue())
    np.testing.assert_array_equal(found.pixels, pixels if with_picture else preview)
    assert found.warnings == ()


def test_raw_samples_behind_a_preview_are_a_raw_photo() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise(5, 7), photometric="rgb", subfiletype=1)
        writer.write(noise(20, 30, dtype=np.uint16)[..., 0], photometric="cfa")
    with pytest.raises(OtherFormatError, match="RAW"):
        tiff.File(buffer.getvalue())


@pytest.mark.parametrize("read", [decode, probe])
def test_a_header_that_a_library_stumbles_over_is_damage(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr("mirnet_cli.photo.webp.File.header", fail)
    with pytest.raises(InputError, match="damaged WEBP file"):
        read(saved(Image.fromarray(smooth(8, 8)), "WEBP"))


def test_a_multi_picture_jpeg_is_its_first_picture() -> None:
    images = [Image.fromarray(smooth(16, 24)), Image.fromarray(noise(16, 24))]
    data = saved(images[0], "MPO", save_all=True, append_images=images[1:])
    assert probe(data).frames == 2
    found = decode(data)
    assert found.warnings == ("only the first of 2 pictures in the file was read; 1 is left out",)
    assert np.abs(found.pixels.astype(int) - smooth(16, 24)).mean() < 8


def test_what_follows_a_jpeg_is_not_lost_in_silence() -> None:
    data = saved(Image.fromarray(smooth(16, 24)), "JPEG") + b"MotionPhoto" * 50
    assert "550 bytes after the end" in decode(data).warnings[0]
    small = saved(Image.fromarray(smooth(16, 24)), "JPEG") + bytes(3000) + b"MotionPhoto" * 5
    assert "3055 bytes" in decode(small).warnings[0]


def test_a_jpeg_ls_picture_is_called_what_it_is() -> None:
    frame = (0xF7, b"\x08\0\x10\0\x18\1\1\x11\0")
    scan = (0xDA, b"\1\1\0\0\0\0")
    for before in ((), ((0xE8, b"SPIFF\0" + bytes(24)),)):
        with pytest.raises(InputError, match="a JPEG-LS picture"):
            probe(jpeg_with(b"\xff\xd8" + bytes(9) + b"\xff\xd9", *before, frame, scan))


def test_jpeg_stored_as_rgb() -> None:
    data = saved(Image.fromarray(smooth(16, 24)), "JPEG", keep_rgb=True, quality=95)
    found = decode(data)
    assert np.abs(found.pixels.astype(int) - smooth(16, 24)).mean() < 3
    assert found.jpeg is not None
    assert found.jpeg.rgb


@pytest.mark.parametrize("junk", [b"junk", b"\xff\0\xff\0", bytes(300)])
def test_jpeg_with_junk_between_its_segments(junk: bytes) -> None:
    data = saved(Image.fromarray(smooth(16, 24)), "JPEG")
    at = 2 + 18  # behind APP0
    found = decode(data[:at] + junk + data[at:])
    np.testing.assert_array_equal(found.pixels, decode(data).pixels)
    tables = data.index(b"\xff\xdb")
    after = tables + 2 + int.from_bytes(data[tables + 2 : tables + 4], "big")
    with pytest.raises(InputError):
        decode(data[:after] + junk + data[after:])


def test_jpeg_with_segments_before_and_fill_bytes_between() -> None:
    data = jpeg_with(saved(Image.fromarray(smooth(16, 24)), "JPEG"), (0xE5, b"x" * 100))
    data = data[:2] + b"\xff\xff\xff" + data[2:]
    assert decode(data).pixels.shape == (16, 24, 3)


def test_bmp_from_bottom_and_from_top() -> None:
    pixels = noise(5, 7)
    data = bytearray(saved(Image.fromarray(pixels), "BMP"))
    np.testing.assert_array_equal(decode(bytes(data)).pixels, pixels)
    struct.pack_into("<i", data, 22, -5)
    np.testing.assert_array_equal(decode(bytes(data)).pixels, pixels[::-1])


def test_pillow_settings_are_what_they_were() -> None:
    before = Image.MAX_IMAGE_PIXELS
    decode(saved(Image.fromarray(smooth(8, 8)), "TIFF", compression="tiff_lzw"))
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(("compression", "name"), [("lerc", "LERC"), ("jpegxr", "number 34934")])
def test_a_rare_compression_of_tiff_is_named(compression: str, name: str) -> None:
    pytest.importorskip("imagecodecs")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, noise(20, 30), photometric="rgb", compression=compression)
    with pytest.raises(InputError, match=rf"its compression \({name}\) is not read"):
        decode(buffer.getvalue())
