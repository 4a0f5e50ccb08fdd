"""Whether two builds of mirnet do the same: outputs byte for byte, messages and exit codes.

    python tools/compare_builds.py OLD/.venv/bin/mirnet NEW/.venv/bin/mirnet

makes a folder of small photos in all formats, runs every command on a copy of it with each build,
and compares what is there afterwards. Times are masked. Exits with 1 where anything differs; what
is meant to differ is named with ``--except PATTERN`` (of ``COMMAND: FILE``). A change of the code
that is to change no result is held to this; the interpreter needs what the tests need.
"""

import argparse
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.photo import pictures  # noqa: E402

WIDTH, HEIGHT = 96, 72
_TIMES = re.compile(
    rb'\d+(\.\d+)? (s|ms)\b|"pid": \d+|"seconds": ?[\d.e-]+'
    rb'|"(at|when|time|mtime_ns|started)": [^,}]+|  +'
    rb"|\b\d+:\d\d(:\d\d)?\b|20\d\d-\d\d-\d\d|about \d+(\.\d+)? \w+"
)


def photos() -> Iterator[tuple[str, bytes]]:
    """Name and content of each photo."""
    smooth = pictures.smooth(HEIGHT, WIDTH)
    random = np.random.default_rng(0)
    noisy = (smooth + random.normal(0, 12, smooth.shape)).clip(0, 255).astype(np.uint8)
    dark = (noisy * 0.15).astype(np.uint8)
    deep = noisy.astype(np.uint16) * 257
    grey = noisy[..., 1]
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    clear = np.dstack([noisy, alpha])
    image = Image.fromarray(noisy)
    block, profile = pictures.exif_block, pictures.rgb_profile()
    yield "plain.jpg", pictures.saved(image, "JPEG", quality=90)
    yield "dark.jpg", pictures.saved(Image.fromarray(dark), "JPEG", quality=95, subsampling=0)
    yield "progressive.jpg", pictures.saved(image, "JPEG", progressive=True, optimize=True)
    yield "grey.jpg", pictures.saved(Image.fromarray(grey), "JPEG")
    yield "cmyk.jpg", pictures.saved(image.convert("CMYK"), "JPEG")
    yield (
        "metadata.jpeg",
        pictures.saved(image, "JPEG", exif=block(thumbnail=pictures.small_jpeg()), dpi=(300, 300)),
    )
    yield "profile.jpg", pictures.saved(image, "JPEG", icc_profile=profile, xmp=pictures.XMP)
    yield "comment.jpg", pictures.saved(image, "JPEG", comment=b"a comment")
    for turn in range(1, 9):
        yield f"turned-{turn}.jpg", pictures.saved(image, "JPEG", exif=block(turn, order=">"))
    yield "plain.png", pictures.saved(image, "PNG")
    yield "alpha.png", pictures.saved(Image.fromarray(clear), "PNG", dpi=(72, 72))
    yield "grey.png", pictures.saved(Image.fromarray(grey), "PNG")
    yield "grey-alpha.png", pictures.saved(Image.fromarray(clear).convert("LA"), "PNG")
    yield "palette.png", pictures.saved(image.quantize(64), "PNG")
    yield "bits.png", pictures.saved(image.convert("1"), "PNG")
    yield "profile.png", pictures.saved(image, "PNG", icc_profile=profile, exif=block(6))
    gamma = pictures.chunk(b"gAMA", (45455).to_bytes(4, "big"))
    yield (
        "deep.png",
        pictures.png((WIDTH, HEIGHT, 16, 2), deep.astype(">u2").tobytes(), gamma),
    )
    yield "deep-grey.png", pictures.png((WIDTH, HEIGHT, 16, 0), deep[..., 0].tobytes())
    for name, pixels in (("8", noisy), ("16", deep), ("grey", grey), ("alpha", clear)):
        yield f"raw-{name}.tif", _tiff(pixels)
        yield f"deflate-{name}.tif", _tiff(pixels, compression="zlib", predictor=True)
    yield "float.tif", _tiff((noisy / 255).astype(np.float32))
    yield "tiled.tiff", _tiff(deep, tile=(32, 32))
    yield "lzw.tif", pictures.saved(image, "TIFF", compression="tiff_lzw", icc_profile=profile)
    yield "jpeg.tif", pictures.saved(image, "TIFF", compression="jpeg", quality=95)
    yield "metadata.tif", pictures.saved(image, "TIFF", dpi=(240, 240), description="words")
    yield "lossy.webp", pictures.saved(image, "WEBP", quality=80, exif=block(3))
    yield "lossless.webp", pictures.saved(Image.fromarray(clear), "WEBP", lossless=True)
    yield "profile.webp", pictures.saved(image, "WEBP", icc_profile=profile, xmp=pictures.XMP)
    yield "plain.bmp", pictures.saved(image, "BMP", dpi=(96, 96))
    yield "grey.bmp", pictures.saved(Image.fromarray(grey), "BMP")
    yield "plain.avif", pictures.saved(image, "AVIF", quality=80)
    yield "alpha.avif", pictures.saved(Image.fromarray(clear), "AVIF", exif=block(1))
    yield "profile.avif", pictures.saved(image, "AVIF", icc_profile=profile, quality=90)
    yield from _of_extras(noisy, clear, deep, profile)
    yield "misnamed.png", pictures.saved(image, "JPEG", quality=85)
    yield "tiny.png", pictures.saved(image.crop((0, 0, 1, 1)), "PNG")
    yield "narrow.png", pictures.saved(image.crop((0, 0, 3, 70)), "PNG")
    yield "broken.jpg", pictures.saved(image, "JPEG")[:900]
    yield "text.jpg", b"not a photo"
    yield "empty.png", b""


def _tiff(pixels: Any, **options: Any) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    photometric = "minisblack" if pixels.ndim == 2 else "rgb"
    extra = {"extrasamples": ["unassalpha"]} if pixels.shape[2:] == (4,) else {}
    tifffile.imwrite(
        buffer, pixels, photometric=photometric, metadata=None, **extra, **options, software=False
    )
    return buffer.getvalue()


def _of_extras(noisy: Any, clear: Any, deep: Any, profile: bytes) -> Iterator[tuple[str, bytes]]:
    """Photos in formats whose libraries are optional."""
    try:
        import pillow_heif

        for name, pixels in (("plain", noisy), ("alpha", clear)):
            mode = "RGBA" if pixels.shape[2] == 4 else "RGB"
            made = pillow_heif.from_bytes(mode, (WIDTH, HEIGHT), pixels.tobytes())
            buffer = io.BytesIO()
            made.save(buffer, quality=85)
            yield f"{name}.heic", buffer.getvalue()
    except ImportError:
        print("without HEIC: pillow_heif is not installed")
    try:
        import imagecodecs

        yield "plain.jxl", imagecodecs.jpegxl_encode(noisy, lossless=True)
        yield "lossy.jxl", imagecodecs.jpegxl_encode(noisy, distance=1.0)
        yield "deep.jxl", imagecodecs.jpegxl_encode(deep, lossless=True)
        yield "alpha.jxl", imagecodecs.jpegxl_encode(clear, lossless=True)
    except ImportError:
        print("without JPEG XL: imagecodecs is not installed")


_API = """
import numpy, warnings, mirnet_cli as mirnet
warnings.simplefilter("ignore")
from pathlib import Path
from PIL import Image
pixels = numpy.asarray(Image.open("in/plain.png"))
for task, more in (("denoise", {}), ("enhance", {"tile": 64}), ("upscale", {"scale": 3})):
    restorer = mirnet.load(task, **more)
    for kind in (numpy.uint8, numpy.uint16, numpy.float32):
        top = numpy.iinfo(kind).max if kind != numpy.float32 else 1
        given = (pixels / 255 * top).astype(kind)
        numpy.save(f"{task}-{kind.__name__}", restorer(given, strength=0.5))
restorer = mirnet.load("denoise")
print(restorer.file("in/alpha.png", "api.jpg", strength=0.7, crop=[8, 8, 40, 40]).warnings)
print(restorer.file(Path("in/deep.png").read_bytes(), "api.tif", format="tif", strip=True).output)
for path in ("in/plain.jpg", "in"):
    done = list(mirnet.batch(restorer, path, into=f"api-{len(path)}", include="*.jp*g",
                             format="png", quality=80, suffix="-x", shard=(1, 2)))
    print([(each.output, each.status, each.error) for each in done])
"""

_FOLDERS = ("in/", "all/", "few/")
"""Of the photos. A word of a command that begins with one may have patterns, which a shell expands;
those of other words, such as what follows ``--include``, are for mirnet."""
_INPUTS = "in/*"
COMMANDS: dict[str, list[str]] = {
    "denoise": ["denoise", _INPUTS, "-o", "denoise/", "--json"],
    "enhance": ["enhance", _INPUTS, "-o", "enhance/", "--verbose"],
    "upscale": ["upscale", "in/*.png", "in/*.jpg", "--json"],
    "sharpen": ["upscale", "--scale", "1", "in/p*", "-o", "sharpen/"],
    "larger": ["upscale", "--scale", "4", "in/alpha.png", "in/plain.jpg", "-o", "larger/"],
    **{
        f"to-{kind}": ["denoise", "all/*", "-o", f"to-{kind}/", "--format", kind, "-q"]
        for kind in ("jpg", "png", "tif", "webp", "avif", "bmp", "heic", "jxl")
    },
    "strip": ["denoise", _INPUTS, "-o", "strip/", "--strip", "--strength", "0.5"],
    "quality": ["denoise", "in/*.jp*g", "in/*.webp", "-o", "quality/", "--quality", "70"],
    "look": [
        *("enhance", "in/plain.*", "-o", "look/", "--crop", "10,10,40,30", "--ensemble"),
        *("--preserve", "--json"),
    ],
    "tiles": ["enhance", "in/p*", "-o", "tiles/", "--tile", "32", "--overlap", "8", "--json"],
    **{
        f"context-{name}": [
            *("denoise", "in/plain.png", "-o", f"{name}.png", "--tile", "32", "--context", name)
        ]
        for name in ("whole", "sample", "refine", "tile")
    },
    "torch": ["denoise", "in/plain.png", "-o", "torch.png", "--runtime", "torch", "-v"],
    "half": ["denoise", "in/plain.png", "-o", "half.png", "--precision", "bf16", "-v"],
    "model": ["enhance", "in/dark.jpg", "-o", "lol.jpg", "--model", "enhance-lol", "-v"],
    "beside": ["denoise", "in/plain.jpg", "in/plain.bmp"],
    "again": ["denoise", "in/plain.jpg"],
    "overwrite": ["denoise", "in/plain.jpg", "--overwrite"],
    "itself": ["denoise", "in/lossy.webp", "-o", "in/lossy.webp", "--overwrite"],
    "refused": ["denoise", "in/plain.jpg", "-o", "in/plain.jpg"],
    "dry-run": ["batch", "in", "--dry-run", "--task", "denoise"],
    "batch": ["batch", "in", "--task", "denoise", "--json"],
    "batch-again": ["batch", "in", "--task", "denoise", "--retry-failed", "-v"],
    "batch-shard": ["batch", "in", "-o", "shard", "--shard", "1/3", "--suffix", "-a", "-v"],
    "batch-jobs": ["batch", "in", "-o", "jobs", "--jobs", "2", "--include", "*.png"],
    "batch-cluster": ["batch", "in", "-o", "cluster", "--cluster", "local:2", "--include", "p*"],
    "batch-report": ["batch", "few", "-o", "r", "--report", "r.html"],
    "batch-upscale": ["batch", "in", "--task", "upscale", "--format", "jpeg", "--include", "t*"],
    "compare": ["compare", "in/plain.jpg", "in/plain-denoised.jpg", "-o", "compare.html"],
    "compare-png": ["compare", "in/plain.jpg", "in/plain-denoised.jpg", "-o", "compare.png"],
    "evaluate": ["evaluate", "in", "denoise", "--json"],
    "evaluate-task": [
        *("evaluate", "few", "few", "--task", "denoise", "--baseline", "--strength", "0.5")
    ],
    "models": ["models", "list"],
    "wrong-crop": ["denoise", "in/plain.jpg", "-o", "x.jpg", "--crop", "90,60,90,90"],
    "wrong-scale": ["upscale", "in/plain.jpg", "--scale", "7"],
    "wrong-format": ["denoise", "in/plain.jpg", "--format", "gif"],
    "wrong-model": ["denoise", "in/plain.jpg", "--model", "enhance"],
    "few-pixels": ["denoise", "in/plain.jpg", "-o", "y.jpg", "--max-pixels", "1k"],
}


Said = dict[str, tuple[int, bytes, bytes]]
"""Exit code, stdout and stderr of each command, by its name."""


def _made(build: Path, folder: Path, given: Path, only: str) -> Said:
    """What was said before, where that is known, or else now."""
    notes = folder.with_suffix(".notes")
    if not folder.exists():
        notes.write_bytes(pickle.dumps(_run(build, folder, given, only)))
    said: Said = pickle.loads(notes.read_bytes())
    return said


def _run(build: Path, folder: Path, given: Path, only: str) -> Said:
    """Run the commands; files stay in the folder."""
    said: Said = {}
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(given, folder / "in")
    (folder / "all").mkdir()
    for path in given.iterdir():
        # Results of one format need names that differ in more than their extension.
        shutil.copy2(path, folder / "all" / f"{path.suffix[1:]}-{path.name}")
    (folder / "few").mkdir()
    for name in ("plain.jpg", "alpha.png", "raw-16.tif"):
        shutil.copy2(given / name, folder / "few")
    surroundings = {key: value for key, value in os.environ.items() if "MIRNET" not in key}

    def run(name: str, words: list[str], given: bytes | None = None) -> None:
        found = subprocess.run(
            words, cwd=folder, input=given, capture_output=True, check=False, env=surroundings
        )
        said[name] = found.returncode, found.stdout, found.stderr

    for name, words in COMMANDS.items():
        if fnmatchcase(name, only):
            run(name, [str(build), *(each for word in words for each in _expanded(word, folder))])
    if fnmatchcase("pipe", only):
        photo = (folder / "in/plain.png").read_bytes()
        run("pipe", [str(build), "denoise", "--format", "webp"], photo)
    if fnmatchcase("api", only):
        run("api", [str(build.with_name("python")), "-c", _API])
    return said


def _expanded(word: str, folder: Path) -> list[str]:
    """What a shell in the folder makes of a word."""
    if "*" not in word or not word.startswith(_FOLDERS):
        return [word]
    found = sorted(str(path.relative_to(folder)) for path in folder.glob(word))
    assert found, f"no photo is called {word}"
    return found


def _differences(folders: list[Path], said: list[dict[str, Any]]) -> Iterator[str]:
    for name, (code, out, err) in said[0].items():
        other = said[1][name]
        if code != other[0]:
            yield f"{name}: exit code {code} and {other[0]}"
        for stream, one, two in (("stdout", out, other[1]), ("stderr", err, other[2])):
            yield from _texts(f"{name}: {stream}", one, two, folders)
    files = [{str(p.relative_to(f)) for p in f.rglob("*") if p.is_file()} for f in folders]
    for path in sorted(files[0] ^ files[1]):
        yield f"file: {path} is made by {'the first' if path in files[0] else 'the second'} alone"
    for path in sorted(files[0] & files[1]):
        contents = [(folder / path).read_bytes() for folder in folders]
        if path.endswith((".html", ".jsonl")):
            yield from _texts(f"file: {path}", *contents, folders)
        elif contents[0] != contents[1]:
            yield f"file: {path} differs"


def _texts(what: str, one: bytes, two: bytes, folders: list[Path]) -> Iterator[str]:
    first, second = (
        _TIMES.sub(b"TIME", text.replace(str(folder).encode(), b"FOLDER")).splitlines()
        for text, folder in zip((one, two), folders, strict=True)
    )
    if what.startswith(("batch", "api", "file")):
        # Which photo is done first is left to threads and processes.
        first, second = sorted(first), sorted(second)
    if first != second:
        pairs = zip([*first, b""], [*second, b""], strict=False)
        one_line = next((pair for pair in pairs if pair[0] != pair[1]), (b"", b""))
        shown = (line[:300].decode(errors="replace") for line in one_line)
        yield "\n".join((f"{what} differs", *(f"    {line}" for line in shown)))


def main() -> int:
    """Compare; the exit code says whether the builds agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, help="the command of one build, in its environment")
    parser.add_argument("new", type=Path, help="that of the other")
    parser.add_argument("--only", default="*", help="commands whose name matches")
    parser.add_argument("--except", action="append", default=[], dest="meant", metavar="PATTERN")
    parser.add_argument(
        "--keep", type=Path, help="keep what was made in this folder; what OLD made is used again"
    )
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        top = wanted.keep or Path(temporary)
        folders = [top / "old", top / "new"]
        shutil.rmtree(folders[1], ignore_errors=True)
        if not (top / "photos").exists():
            (top / "photos").mkdir(parents=True)
            for name, data in photos():
                (top / "photos" / name).write_bytes(data)
        count = len(list((top / "photos").iterdir()))
        builds = (wanted.old.absolute(), wanted.new.absolute())
        made = [_made, _run][wanted.only != "*"]
        said = [
            made(build, folder, top / "photos", wanted.only)
            for build, folder in zip(builds, folders, strict=True)
        ]
        found = [
            text
            for text in _differences(folders, said)
            if not any(fnmatchcase(text.partition("\n")[0], each) for each in wanted.meant)
        ]
    print("\n".join(found))
    print(f"{count} photos, {len(said[0])} commands: {len(found)} differences")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
