"""The decoder path under fuzzing: any bytes give a photo or one error, and nothing else.

With coverage guidance (``pip install atheris``, CPython up to 3.13, Linux or macOS)::

    make fuzz                      # for ten minutes; findings in build/fuzz
    make fuzz SECONDS=60

An input that was found is looked at with ``python -m tests.fuzz.decoder FILE``. Without atheris
``tests/fuzz/test_decoder.py`` runs the same target over mutations of good files, each time.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
_MAX_PIXELS = 200_000
"""Keeps an input quick; whatever is larger is refused before it is decoded."""


def check(data: bytes) -> None:
    """Read bytes as a photo, and write what was read; raises for everything that is not a promise.

    Promised are a photo that can be written again, in its own format and as a PNG of the same
    pixels, or an :class:`~mirnet_cli.errors.MirnetError` of one line.
    """
    import numpy as np

    from mirnet_cli.photo import decode, encode, probe

    photo = _or_one_line(lambda: decode(data, max_pixels=_MAX_PIXELS))
    if photo is None:
        return
    height, width = photo.pixels.shape[:2]
    header = probe(data, max_pixels=_MAX_PIXELS)
    assert (header.width, header.height) == (width, height)
    assert width * height <= _MAX_PIXELS
    assert all(warning.isprintable() for warning in photo.warnings)
    _or_one_line(lambda: encode(photo, provenance={"tool": "fuzz"}))
    if photo.pixels.dtype != np.float32:
        again = decode(encode(photo, format="PNG", strip=True).data, max_pixels=_MAX_PIXELS)
        assert np.array_equal(again.pixels, photo.pixels)


def _or_one_line(step: Callable[[], _T]) -> _T | None:
    """What a step gives; None where it ends in an error of one line."""
    from mirnet_cli.errors import MirnetError

    try:
        return step()
    except MirnetError as error:
        if not str(error).isprintable():
            raise AssertionError(f"not one line: {error!r}") from error
    return None


def seeds() -> dict[str, bytes]:
    """Small good files of every kind there is a code path for."""
    from tests.photo.test_damage import SAMPLES

    return dict(SAMPLES)


def main(words: list[str]) -> None:
    """Look at the files named, or fuzz with the options of libFuzzer."""
    files = [Path(word) for word in words if not word.startswith("-")]
    if files and all(path.is_file() for path in files):
        for path in files:
            check(path.read_bytes())
        return
    import atheris

    with atheris.instrument_imports(include=["mirnet_cli"]):
        import mirnet_cli.photo.reading
        import mirnet_cli.photo.writing  # noqa: F401
        from mirnet_cli.photo.formats import FORMATS
        from mirnet_cli.photo.reading import codec_of

        for format in FORMATS:
            try:
                codec_of(format)
            except ImportError:
                continue
    target: Callable[[bytes], None] = check
    with tempfile.TemporaryDirectory() as folder:
        for name, data in seeds().items():
            (Path(folder) / name.replace(" ", "-")).write_bytes(data)
        atheris.Setup([sys.argv[0], *words, folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
