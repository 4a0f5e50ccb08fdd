"""What a photo keeps: formats, depth, alpha, orientation, profile, metadata."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mirnet_cli.photo import Metadata, encode
from tests.cases.case import Case, Ran, Step, denoise, write
from tests.photo.pictures import (
    IPTC,
    XMP,
    exif_block,
    grey_profile,
    noise,
    photo,
    png,
    rgb_profile,
    saved,
    smooth,
)

Array = NDArray[Any]
Read = Callable[[bytes], Array]

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "avif": "AVIF"}
_PROFILE = rgb_profile()
EXACT = ("--strength", "0")
"""The picture itself, without the network: what is compared must be equal to the last bit."""


def cases() -> Iterator[Case]:
    """All of this class."""
    yield from _pixels()
    yield from _orientations()
    yield from _profiles()
    yield from _metadata()
    yield from _conversions()
    yield from _jpeg_qualities()
    yield from _frames()
    yield from _crops()


def _one(
    name: str,
    promise: str,
    source: tuple[str, bytes],
    check: Callable[[Ran], object],
    *words: str,
    to: str = "",
    says: str = "",
) -> Case:
    """One photo ``a.EXT`` that becomes ``out.EXT``."""
    extension, data = source
    out = f"out.{to or extension}"
    step = Step(denoise(f"a.{extension}", "-o", out, *words), says=says)
    return Case(name, promise, _writes(f"a.{extension}", data), (step,), (out,), check=check)


def _writes(name: str, data: bytes) -> Any:
    return lambda folder: write(folder, {name: data})


def _pillow(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)))


def _opencv(data: bytes) -> Array:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


def _tifffile(data: bytes) -> Array:
    return np.asarray(tifffile.imread(io.BytesIO(data)))


def _cv_png(pixels: Array) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def _tiff(pixels: Array, compression: str | None = None) -> bytes:
    buffer = io.BytesIO()
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    extra = {"extrasamples": ["unassalpha"]} if pixels.ndim == 3 and pixels.shape[2] == 4 else {}
    tifffile.imwrite(buffer, pixels, photometric=kind, compression=compression, **extra)
    return buffer.getvalue()


def _grey_alpha_16() -> bytes:
    pixels = noise(20, 30, 2, np.uint16)
    return png((30, 20, 16, 4), pixels.astype(">u2").tobytes())


def _lossless() -> Iterator[tuple[str, str, bytes, Read]]:
    """Name, extension, file and an independent reader."""
    for depth, dtype in (("8", np.uint8), ("16", np.uint16)):
        for name, channels in (("grey", 1), ("rgb", 3), ("rgba", 4)):
            pixels = noise(20, 30, channels, dtype) // 2 + np.iinfo(dtype).max // 4
            if channels == 4:
                pixels[..., 3] |= 1
            yield f"png {name} {depth}", "png", _cv_png(pixels), _opencv
            for packed in (None, "zlib"):
                label = f"tiff {name} {depth} {packed or 'plain'}"
                yield label, "tif", _tiff(pixels, packed), _tifffile
    grey_alpha = Image.fromarray(noise(20, 30, 2) | 1, "LA")
    yield "png grey alpha 8", "png", saved(grey_alpha, "PNG"), _pillow
    yield "png grey alpha 16", "png", _grey_alpha_16(), _opencv
    yield "tiff float", "tif", _tiff(noise(20, 30, 3, np.float32) / 2 + 0.2), _tifffile
    picture = Image.fromarray(smooth(20, 30))
    yield "bmp", "bmp", saved(picture, "BMP"), _pillow
    yield "webp lossless", "webp", saved(picture, "WEBP", lossless=True), _pillow
    alpha = Image.fromarray(noise(20, 30, 4) | 1, "RGBA")
    yield "webp lossless alpha", "webp", saved(alpha, "WEBP", lossless=True, exact=True), _pillow
    yield "tiff lzw", "tif", saved(picture, "TIFF", compression="tiff_lzw"), _tifffile


def _pixels() -> Iterator[Case]:
    for name, extension, data, read in _lossless():
        before = read(data)

        def same(
            ran: Ran, before: Array = before, read: Read = read, file: str = extension
        ) -> None:
            after = read(ran.read(f"out.{file}"))
            assert after.dtype == before.dtype
            np.testing.assert_array_equal(after, before)

        def near(
            ran: Ran, before: Array = before, read: Read = read, file: str = extension
        ) -> None:
            after = read(ran.read(f"out.{file}"))
            assert (after.dtype, after.shape) == (before.dtype, before.shape)
            peak = 1.0 if before.dtype.kind == "f" else float(np.iinfo(before.dtype).max)
            change = (after.astype(float) - before.astype(float)) / peak * 255
            if before.ndim == 3 and before.shape[2] in (2, 4):
                assert not change[..., -1].any()
                change = change[..., :-1]
            assert 0.5 < change.mean() < 6
            assert np.abs(change).max() < 16

        deep = " 16" in name or "float" in name
        promise = "16 bits and floats" if deep else "pixels"
        promise = "transparency" if "alpha" in name or "rgba" in name else promise
        yield _one(f"{name} as it is", promise, (extension, data), same, *EXACT)
        yield _one(f"{name} denoised", promise, (extension, data), near)
    palette = Image.fromarray(smooth(20, 30)).quantize(16)

    def colours(ran: Ran) -> None:
        np.testing.assert_array_equal(
            _pillow(ran.read("out.png")), np.asarray(palette.convert("RGB"))
        )

    yield _one("png palette", "pixels", ("png", saved(palette, "PNG")), colours, *EXACT)
    clear = noise(20, 30, 4)
    clear[..., 3] = np.where(clear[..., 3] > 128, 255, 0)

    def hidden(ran: Ran) -> None:
        np.testing.assert_array_equal(_pillow(ran.read("out.png"))[..., 3], clear[..., 3])
        before, after = clear[clear[..., 3] == 0], _pillow(ran.read("out.png"))
        np.testing.assert_array_equal(after[clear[..., 3] == 0], before)

    data = saved(Image.fromarray(clear, "RGBA"), "PNG")
    yield _one("what is transparent stays what it was", "transparency", ("png", data), hidden)
    dark = noise(20, 30, 3, np.uint16) % 200

    def shadows(ran: Ran) -> None:
        after = _opencv(ran.read("out.png"))
        assert after.max() < 256
        assert len(np.unique(after)) > 150

    yield _one("very dark 16 bits", "16 bits and floats", ("png", _cv_png(dark)), shadows, *EXACT)


def _orientations() -> Iterator[Case]:
    picture = Image.fromarray(smooth(24, 40))
    for extension in ("jpg", "png", "webp", "tif"):
        for turn in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = turn
            options = {"lossless": True} if extension == "webp" else {"quality": 95}
            options = {} if extension in ("png", "tif") else options
            data = saved(picture, FORMATS[extension], exif=exif.tobytes(), **options)

            def upright(ran: Ran, data: bytes = data, file: str = extension) -> None:
                wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
                found = Image.open(io.BytesIO(ran.read(f"out.{file}")))
                assert found.getexif().get(0x0112, 1) == 1
                np.testing.assert_allclose(np.asarray(found), wanted, atol=12)

            yield _one(
                f"{extension} turned {turn}", "orientation", (extension, data), upright, *EXACT
            )


def _profiles() -> Iterator[Case]:
    picture = Image.fromarray(smooth(20, 30))
    for extension, format in FORMATS.items():
        for name, profile in (("small", rgb_profile()), ("140 KB", rgb_profile(140_000))):
            data = saved(picture, format, icc_profile=profile)

            def kept(ran: Ran, profile: bytes = profile, file: str = extension) -> None:
                found = Image.open(io.BytesIO(ran.read(f"out.{file}")))
                assert found.info["icc_profile"] == profile

            yield _one(f"{extension}, {name} profile", "colour profile", (extension, data), kept)
    for extension in ("jpg", "png", "tif"):
        profile = grey_profile()
        data = saved(picture.convert("L"), FORMATS[extension], icc_profile=profile)

        def grey(ran: Ran, file: str = extension, profile: bytes = profile) -> None:
            found = Image.open(io.BytesIO(ran.read(f"out.{file}")))
            assert (found.mode, found.info["icc_profile"]) == ("L", profile)

        yield _one(f"{extension}, grey profile", "colour profile", (extension, data), grey)


def _metadata() -> Iterator[Case]:
    full = Metadata(exif=exif_block(), xmp=XMP, icc=_PROFILE, dpi=(300, 300))
    for extension, format in FORMATS.items():
        data = encode(photo(smooth(20, 30), metadata=full), format=format).data

        def kept(ran: Ran, file: str = extension) -> None:
            found = Image.open(io.BytesIO(ran.read(f"out.{file}")))
            exif = found.getexif()
            assert exif[0x010F] == "Make"
            assert exif.get_ifd(0x8825)[1] == "N"
            assert b"dc:format" in ran.read(f"out.{file}")
            assert b"mirnet" in ran.read(f"out.{file}")

        def stripped(ran: Ran, file: str = extension) -> None:
            data = ran.read(f"out.{file}")
            assert b"MAKER" not in data
            assert b"dc:format" not in data
            assert b"mirnet" not in data
            assert Image.open(io.BytesIO(data)).info["icc_profile"] == _PROFILE

        promise = "EXIF, XMP, GPS, IPTC, dpi, comments"
        yield _one(f"{extension}, metadata", promise, (extension, data), kept)
        yield _one(f"{extension}, stripped", "`--strip`", (extension, data), stripped, "--strip")
    for extension in ("jpg", "png", "tif"):
        data = saved(Image.fromarray(smooth(20, 30)), FORMATS[extension], dpi=(240, 240))

        def dots(ran: Ran, file: str = extension) -> None:
            found = Image.open(io.BytesIO(ran.read(f"out.{file}"))).info["dpi"]
            np.testing.assert_allclose([float(each) for each in found], (240, 240), atol=0.1)

        yield _one(
            f"{extension}, dpi", "EXIF, XMP, GPS, IPTC, dpi, comments", (extension, data), dots
        )
    said = encode(
        photo(smooth(20, 30), metadata=Metadata(iptc=IPTC, comment=b"hello there")), format="JPEG"
    ).data

    def caption(ran: Ran) -> None:
        assert b"caption" in ran.read("out.jpg")
        assert b"hello there" in ran.read("out.jpg")

    promise = "EXIF, XMP, GPS, IPTC, dpi, comments"
    yield _one("jpg, IPTC and comment", promise, ("jpg", said), caption)


def _conversions() -> Iterator[Case]:
    picture = Image.fromarray(smooth(20, 30))
    for source, format in (*FORMATS.items(), ("bmp", "BMP")):
        for target, wanted in (*FORMATS.items(), ("bmp", "BMP")):
            if source == target:
                continue

            def opens(ran: Ran, file: str = target, wanted: str = wanted) -> None:
                found = Image.open(io.BytesIO(ran.read(f"out.{file}")))
                assert (found.format, found.size) == (wanted, (30, 20))
                np.testing.assert_allclose(
                    np.asarray(found.convert("RGB"), float).mean((0, 1)),
                    smooth(20, 30).mean((0, 1)),
                    atol=6,
                )

            data = (source, saved(picture, format))
            yield _one(f"{source} to {target}", "formats", data, opens, *EXACT, to=target)
    deep = ("png", _cv_png(noise(20, 30, 3, np.uint16)))
    for target, words in (("jpg", "16 bits became 8"), ("webp", "16 bits became 8")):
        says = f"warning: {words}"
        yield _one(
            f"16 bits to {target} is said", "losses", deep, lambda _: None, to=target, says=says
        )
    clear = ("png", _cv_png(noise(20, 30, 4)))
    says = "warning: transparency became white"
    yield _one("alpha to jpg is said", "losses", clear, lambda _: None, to="jpg", says=says)


def _jpeg_qualities() -> Iterator[Case]:
    picture = Image.fromarray(smooth(40, 60))
    for quality in (50, 75, 92, 100):
        for sampling in ("4:4:4", "4:2:0"):
            data = saved(picture, "JPEG", quality=quality, subsampling=sampling)

            def tables(ran: Ran, data: bytes = data) -> None:
                before = Image.open(io.BytesIO(data))
                after = Image.open(io.BytesIO(ran.read("out.jpg")))
                assert after.quantization == before.quantization  # type: ignore[attr-defined]
                assert (
                    [each[1:3] for each in after.layer]
                    == [  # type: ignore[attr-defined]
                        each[1:3]
                        for each in before.layer  # type: ignore[attr-defined]
                    ]
                )

            yield _one(f"jpeg {quality} {sampling}", "JPEG quality", ("jpg", data), tables)
    data = saved(picture, "JPEG", quality=60)

    def other(ran: Ran) -> None:
        found = Image.open(io.BytesIO(ran.read("out.jpg")))
        wanted = Image.open(io.BytesIO(saved(picture, "JPEG", quality=90)))
        assert found.quantization == wanted.quantization  # type: ignore[attr-defined]

    yield _one("another quality", "JPEG quality", ("jpg", data), other, "--quality", "90")


def _frames() -> Iterator[Case]:
    pages = [Image.fromarray(smooth(20, 30)), Image.new("RGB", (30, 20)), Image.new("RGB", (9, 9))]
    for extension in ("tif", "png", "webp"):
        more = pages[1:] if extension == "tif" else pages[1:2]
        data = saved(pages[0], FORMATS[extension], save_all=True, append_images=more)
        says = f"warning: only the first of {1 + len(more)} pictures"

        def first(ran: Ran, file: str = extension) -> None:
            found = np.asarray(
                Image.open(io.BytesIO(ran.read(f"out.{file}"))).convert("RGB"), float
            )
            assert abs(found.mean() - smooth(20, 30).mean()) < 6

        yield _one(
            f"{extension} of several", "several pictures", (extension, data), first, says=says
        )


def _crops() -> Iterator[Case]:
    before = noise(30, 40, 3)
    for x, y, width, height in ((0, 0, 40, 30), (5, 7, 11, 13), (39, 29, 1, 1)):

        def part(ran: Ran, at: tuple[int, ...] = (x, y, width, height)) -> None:
            x, y, width, height = at
            wanted = before[y : y + height, x : x + width]
            np.testing.assert_array_equal(_opencv(ran.read("out.png")), wanted)

        crop = f"{x},{y},{width},{height}"
        data = ("png", _cv_png(before))
        yield _one(f"crop {crop}", "pixels", data, part, *EXACT, "--crop", crop)
