"""Broken and hostile input: one line, quickly, without an output, in bounded memory."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
from PIL import Image

from mirnet_cli.files import printable
from tests.cases.case import Build, Case, Step, denoise, write
from tests.photo.pictures import chunk, noise, png, saved, smooth

_PICTURE = Image.fromarray(smooth(64, 80))
_WHOLE = {
    "jpg": saved(_PICTURE, "JPEG", quality=90),
    "png": saved(_PICTURE, "PNG"),
    "webp": saved(_PICTURE, "WEBP"),
    "tif": saved(_PICTURE, "TIFF", compression="tiff_lzw"),
    "bmp": saved(_PICTURE, "BMP"),
    "avif": saved(_PICTURE, "AVIF"),
}
_DEEP = bytes(cv2.imencode(".png", noise(64, 80, 3, "uint16"))[1])


def cases() -> Iterator[Case]:
    """All of this class."""
    yield from _cut()
    yield from _damaged()
    yield from _no_pictures()
    yield from _bombs()
    yield from _no_files()
    yield from _names()
    yield from _damage_beside()


def _refused(
    name: str,
    promise: str,
    build: Build,
    file: str,
    *words: str,
    code: int = 1,
    says: str = "",
    memory: int = 200,
) -> Case:
    """A photo that fails, and leaves nothing."""
    step = Step(denoise(file, "-o", "out.png", *words), code=code, says=says)
    return Case(name, promise, build, (step,), memory=memory)


def _file(name: str, data: bytes) -> Build:
    return lambda folder: write(folder, {name: data})


def _cut() -> Iterator[Case]:
    for extension, data in {**_WHOLE, "16.png": _DEEP}.items():
        for share in (0.02, 0.3, 0.6, 0.95):
            size = max(3, int(len(data) * share))
            file = f"a.{extension}"
            cut = _file(file, data[:size])
            yield _refused(f"{extension} cut at {share:.0%}", "cut short", cut, file)


def _damaged() -> Iterator[Case]:
    for extension, at in (("png", 0.3), ("png", 0.8), ("16.png", 0.5)):
        data = bytearray(_DEEP if extension == "16.png" else _WHOLE[extension])
        place = int(len(data) * at)
        data[place : place + 8] = bytes(each ^ 0x5A for each in data[place : place + 8])
        build = _file("a.png", bytes(data))
        yield _refused(f"{extension} damaged at {at:.0%}", "corrupt", build, "a.png")
    for extension, marker in (("jpg", b"\xff\xc0"), ("jpg", b"\xff\xda"), ("jpg", b"\xff\xc4")):
        data = bytearray(_WHOLE[extension])
        place = data.index(marker) + 2
        data[place : place + 12] = b"\xff" * 12
        name = f"{extension} without {marker.hex()}"
        yield _refused(name, "corrupt", _file("a.jpg", bytes(data)), "a.jpg")
    for extension, place in (("webp", 12), ("avif", 4), ("tif", 4), ("bmp", 14)):
        data = bytearray(_WHOLE[extension])
        data[place : place + 8] = b"\xfe" * 8
        build = _file(f"a.{extension}", bytes(data))
        yield _refused(f"{extension} with a damaged head", "corrupt", build, f"a.{extension}")


def _no_pictures() -> Iterator[Case]:
    others = {
        "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9"/>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n",
        "gif": b"GIF89a" + bytes(60),
        "ico": saved(_PICTURE, "ICO", sizes=[(16, 16)]),
        "ppm": saved(_PICTURE, "PPM"),
        "tga": saved(_PICTURE, "TGA"),
        "psd": b"8BPS\0\1" + bytes(40),
        "html": b"<!doctype html><html><body>Not found</body></html>",
        "zip": b"PK\3\4" + bytes(60),
        "txt": b"a photo of a cat\n",
        "mp4": b"\0\0\0\x18ftypisom" + bytes(60),
        "zeros": bytes(5000),
        "elf": b"\x7fELF" + bytes(200),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    }
    for name, data in others.items():
        promise = "anything that is not one of these formats"
        yield _refused(name, promise, _file(f"a.{name}", data), f"a.{name}")
        lying = _file("a.jpg", data)
        yield _refused(f"{name} that says it is a JPEG", promise, lying, "a.jpg")
    for name, data in (
        ("empty", b""),
        ("one byte", b"\xff"),
        ("a signature", b"\x89PNG\r\n\x1a\n"),
    ):
        yield _refused(
            name, "anything that is not one of these formats", _file("a.png", data), "a.png"
        )
    step = Step(denoise("a.jpg", "-o", "out.png"))
    yield Case(
        "a PNG that says it is a JPEG is read by content",
        "formats",
        _file("a.jpg", _WHOLE["png"]),
        (step,),
        ("out.png",),
    )


def _head(width: int, height: int, depth: int = 8, kind: int = 2) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head


def _bombs() -> Iterator[Case]:
    promise = "more pixels than `--max-pixels`"
    jpeg = bytearray(_WHOLE["jpg"])
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    bmp = bytearray(_WHOLE["bmp"])
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    tiff = bytearray(_WHOLE["tif"])
    count = struct.unpack_from("<H", tiff, at := struct.unpack_from("<I", tiff, 4)[0])[0]
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from("<HH", tiff, entry)
        if tag in (256, 257):
            struct.pack_into("<H" if kind == 3 else "<I", tiff, entry + 8, 60000)
    claims = {
        "png": _head(60000, 60000)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b""),
        "jpg": bytes(jpeg),
        "bmp": bytes(bmp),
        "tif": bytes(tiff),
    }
    for extension, data in claims.items():
        file = f"a.{extension}"
        name = f"{extension} that claims 60000x60000"
        yield _refused(
            name,
            promise,
            _file(file, data),
            file,
            says="" if extension == "bmp" else "--max-pixels",
            memory=60,
        )
        name = f"{extension} that claims 60000x60000, allowed"
        words = ("--max-pixels", "4G", "--max-memory", "1G")
        yield _refused(name, "decompression bombs", _file(file, data), file, *words, memory=400)
    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(6251)) for _ in range(50000)) + packed.flush()
    real = _head(50000, 50000, 1, 0) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert len(real) < 400_000
    yield _refused("a real 50000x50000", promise, _file("a.png", real), "a.png", memory=60)
    small = denoise("a.png", "-o", "out.png", "--max-pixels", "5k")
    yield Case(
        "a limit of one's own",
        promise,
        _file("a.png", _WHOLE["png"]),
        (Step(small, 1, says="80x64 pixels are more than --max-pixels"),),
    )
    zeros = zlib.compress(bytes(64 << 20), 9)
    for name, part in (
        ("an endless profile", chunk(b"iCCP", b"x\0\0" + zeros)),
        ("an endless text", chunk(b"zTXt", b"Comment\0\0" + zeros)),
        ("an endless international text", chunk(b"iTXt", b"C\0\1\0\0\0" + zeros)),
    ):
        raw = noise(8, 8).tobytes()
        build = _file("a.png", png((8, 8, 8, 2), raw, part))
        step = Step(denoise("a.png", "-o", "out.png"))
        yield Case(name, "decompression bombs", build, (step,), ("out.png",), memory=60)


def _no_files() -> Iterator[Case]:
    promise = "FIFOs, devices, folders, circular links"

    def linked(folder: Path) -> None:
        (folder / "a.jpg").symlink_to("b.jpg")
        (folder / "b.jpg").symlink_to("a.jpg")

    def socket(folder: Path) -> None:
        import socket as sockets

        with sockets.socket(sockets.AF_UNIX) as made:
            made.bind("a.jpg")

    yield _refused("a FIFO", promise, lambda folder: os.mkfifo(folder / "a.jpg"), "a.jpg")
    folder = _refused(
        "a folder",
        promise,
        lambda folder: (folder / "a.jpg").mkdir(),
        "a.jpg",
        code=2,
        says="mirnet batch",
    )
    yield folder
    yield _refused("a loop of links", promise, linked, "a.jpg")
    yield _refused("a socket", promise, socket, "a.jpg")
    for device in ("/dev/zero", "/dev/null", "/dev/urandom"):

        def link(folder: Path, device: str = device) -> None:
            (folder / "a.jpg").symlink_to(device)

        yield _refused(f"a link to {device}", promise, link, "a.jpg")
        yield _refused(device, promise, lambda folder: None, device)
    yield _refused("nothing", promise, lambda folder: None, "gone.jpg", says="no such file")
    yield _refused(
        "a link to nothing", promise, lambda folder: (folder / "a.jpg").symlink_to("b"), "a.jpg"
    )


def _names() -> Iterator[Case]:
    names = {
        "newline": "a\nb",
        "markup": "[red]a[bold]",
        "escape": "a\x1b[31mb",
        "not UTF-8": "\udcff\udcfe",
        "right to left": "a\u202egpj",
        "blanks": "  a  b ",
        "percent": "%s%d%(x)",
        "dots": "...a",
        "leading dot": ".a",
        "quotes": "'\"`$(x)`",
        "emoji": "\U0001f469\u200d\U0001f680",
        "combining": "e\u0301",
        "255 bytes": "é" * 125 + "x",
        "a dash": "-a",
    }
    for label, name in names.items():
        file = f"{name}.jpg"
        given = f"./{file}"
        for bad in (False, True):
            data = b"no picture" if bad else _WHOLE["jpg"]
            build = _file(file, data)
            if bad:
                step = Step(denoise(given, "-o", "out.jpg"), 1, says=printable(file))
                yield Case(f"{label}, broken", "odd names", build, (step,))
            else:
                step = Step(denoise(given, "-o", "out/", "--strength", "0"))
                yield Case(label, "odd names", build, (step,), (f"out/{file}",))


def _damage_beside() -> Iterator[Case]:
    whole = _WHOLE["jpg"]

    def segment(marker: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    broken = {
        "EXIF without a directory": segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "EXIF of noise": segment(0xE1, b"Exif\0\0" + noise(10, 10, 1).tobytes()),
        "a profile of noise": segment(0xE2, b"ICC_PROFILE\0\1\1" + noise(20, 20, 1).tobytes()),
        "a profile whose parts are missing": segment(0xE2, b"ICC_PROFILE\0\1\3" + bytes(200)),
    }
    for name, part in broken.items():
        build = _file("a.jpg", whole[:2] + part + whole[2:])
        step = Step(denoise("a.jpg", "-o", "out.jpg", "--strength", "0"), says="warning: ")
        yield Case(name, "damage beside good pixels", build, (step,), ("out.jpg",))
