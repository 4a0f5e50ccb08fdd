"""Where results go: the same file, overwriting, links, folders that refuse, full disks."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cases.case import Case, Ran, Step, denoise, write
from tests.photo.pictures import saved, smooth

_PHOTO = saved(Image.fromarray(smooth(20, 30)), "PNG")


def cases() -> Iterator[Case]:
    """All of this class."""
    yield from _names()
    yield from _same_file()
    yield from _existing()
    yield from _links()
    yield from _refusing()
    yield from _faults()
    yield from _again()


def _photo(folder: Path) -> None:
    write(folder, {"a.png": _PHOTO})


def _with(**more: bytes) -> Callable[[Path], None]:
    named = {name.replace("_", "."): data for name, data in more.items()}
    return lambda folder: write(folder, {"a.png": _PHOTO, **named})


def _names() -> Iterator[Case]:
    promise = "names of results"
    for words, made in (
        ((), "a-denoised.png"),
        (("-o", "b.png"), "b.png"),
        (("-o", "b.JPG"), "b.JPG"),
        (("-o", "out/"), "out/a.png"),
        (("-o", "deep/er/"), "deep/er/a.png"),
        (("-o", "deep/er/b.png"), "deep/er/b.png"),
        (("--format", "jpg"), "a-denoised.jpg"),
        (("-o", "out/", "--format", "tif"), "out/a.tif"),
    ):
        step = Step(denoise("a.png", *words))
        yield Case(f"{' '.join(words) or 'none'}", promise, _photo, (step,), (made,))
    two = _with(b_png=_PHOTO)
    step = Step(denoise("a.png", "b.png", "-o", "out/"))
    yield Case("several", promise, two, (step,), ("out/a.png", "out/b.png"))
    step = Step(denoise("a.png", "b.png", "-o", "c.png"), 2)
    yield Case("several into one", promise, two, (step,))
    step = Step(denoise("a.png", "gone.png", "-o", "out/"), 1)
    yield Case("one of two fails", "one bad photo", two, (step,), ("out/a.png",))


def _same_file() -> Iterator[Case]:
    promise = "the input as output"

    def soft(folder: Path) -> None:
        _photo(folder)
        (folder / "b.png").symlink_to("a.png")

    def hard(folder: Path) -> None:
        _photo(folder)
        os.link(folder / "a.png", folder / "b.png")

    def through(folder: Path) -> None:
        _photo(folder)
        (folder / "here").symlink_to(".")

    for name, build, target in (
        ("by name", _photo, "a.png"),
        ("by another way", _photo, "./x/../a.png"),
        ("by a link", soft, "b.png"),
        ("by a hard link", hard, "b.png"),
        ("by a linked folder", through, "here/a.png"),
    ):
        if name == "by another way":

            def build(folder: Path) -> None:  # type: ignore[no-redef]
                _photo(folder)
                (folder / "x").mkdir()

        step = Step(denoise("a.png", "-o", target), 2)
        yield Case(f"{name}, refused", promise, build, (step,))
        changed = ("a.png", "b.png") if target == "b.png" else ("a.png",)

        def replaced(ran: Ran) -> None:
            assert ran.was["a.png"] == _PHOTO
            wanted = (
                "b.png" if "b.png" in ran.was and not isinstance(ran.was["b.png"], tuple) else ""
            )
            assert ran.read(wanted or "a.png") != _PHOTO

        step = Step(denoise("a.png", "-o", target, "--overwrite"))
        yield Case(f"{name}, overwritten", promise, build, (step,), (), changed, replaced)


def _existing() -> Iterator[Case]:
    promise = "an output that exists"
    for name in ("b.png", "b.jpg"):
        build = _with(**{name.replace(".", "_"): b"precious"})
        step = Step(denoise("a.png", "-o", name), 1, says="exists already")
        yield Case(f"{name}, refused", promise, build, (step,))

        def replaced(ran: Ran, name: str = name) -> None:
            assert Image.open(ran.folder / name).size == (30, 20)

        step = Step(denoise("a.png", "-o", name, "--overwrite"))
        yield Case(f"{name}, replaced", promise, build, (step,), (), (name,), replaced)
    broken = _with(b_png=b"precious", c_png=b"no picture")
    step = Step(denoise("c.png", "-o", "b.png", "--overwrite"), 1)
    yield Case("an input that fails replaces nothing", promise, broken, (step,))

    def private(folder: Path) -> None:
        _with(b_png=b"precious")(folder)
        (folder / "b.png").chmod(0o600)

    def still(ran: Ran) -> None:
        assert stat.S_IMODE((ran.folder / "b.png").stat().st_mode) == 0o600

    step = Step(denoise("a.png", "-o", "b.png", "--overwrite"))
    yield Case("permissions stay", "permissions and times", private, (step,), (), ("b.png",), still)

    def old(folder: Path) -> None:
        _photo(folder)
        os.utime(folder / "a.png", (1_000_000_000, 1_100_000_000))

    def kept(ran: Ran) -> None:
        assert (ran.folder / "b.png").stat().st_mtime == 1_100_000_000

    step = Step(denoise("a.png", "-o", "b.png", "--preserve"))
    yield Case("times with --preserve", "permissions and times", old, (step,), ("b.png",), (), kept)


def _links() -> Iterator[Case]:
    promise = "links"

    def link(target: str) -> Callable[[Path], None]:
        def build(folder: Path) -> None:
            _with(c_png=b"precious")(folder)
            (folder / "b.png").symlink_to(target)

        return build

    step = Step(denoise("a.png", "-o", "b.png"), 1)
    yield Case("a link is a file that exists", promise, link("c.png"), (step,))
    yield Case("and so is one that leads nowhere", promise, link("gone.png"), (step,))

    def stays(ran: Ran) -> None:
        assert (ran.folder / "b.png").is_symlink()
        assert Image.open(ran.folder / "b.png").size == (30, 20)

    step = Step(denoise("a.png", "-o", "b.png", "--overwrite"))
    yield Case("a link stays a link", promise, link("c.png"), (step,), (), ("c.png",), stays)
    yield Case("also to nothing", promise, link("new.png"), (step,), ("new.png",), (), stays)
    step = Step(denoise("b.png", "-o", "d.png"))

    def to_photo(folder: Path) -> None:
        _photo(folder)
        (folder / "b.png").symlink_to("a.png")

    yield Case("a photo by a link", promise, to_photo, (step,), ("d.png",))


def _refusing() -> Iterator[Case]:
    promise = "places that cannot be written"

    def blocked(folder: Path) -> None:
        _with(file=b"no folder")(folder)
        (folder / "dir").mkdir()
        os.mkfifo(folder / "fifo")

    for target, code in (
        ("file/b.png", 1),
        ("/proc/b.png", 1),
        ("fifo", 1),
        ("/dev/full", 1),
        ("b.xyz", 2),
        ("x" * 300 + ".png", 1),
    ):
        step = Step(denoise("a.png", "-o", target, "--format", "png"), code)
        if target.endswith((".png", ".xyz")):
            step = Step(denoise("a.png", "-o", target), code)
        yield Case(target[:20], promise, blocked, (step,))


def _faults() -> Iterator[Case]:
    """Calls into the system that fail, with an output that exists and one that does not."""
    for name in ("write", "fsync", "open", "link", "replace"):
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES):
            if name == "replace" and code in (errno.ENOSPC, errno.EDQUOT):
                continue
            for exists in (False, True):
                if name == "replace" and not exists:
                    continue
                label = f"{name} fails with {errno.errorcode[code]}" + ", replacing" * exists
                full = code in (errno.ENOSPC, errno.EDQUOT)
                words = denoise("a.png", "-o", "b.png", "--overwrite")
                if (name, code) == ("link", errno.EACCES):
                    # A disk without hard links: there is another way.
                    yield Case(label, "permissions and times", _photo, (Step(words),), ("b.png",))
                    continue
                step = Step(words, 1, says="no space" if full else "b.png: cannot be written")
                yield Case(
                    label,
                    "full or failing disks",
                    _with(b_png=b"precious") if exists else _photo,
                    (step,),
                    patch=_failing(name, code),
                )


def _failing(name: str, code: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Make a call of :mod:`mirnet_cli.files` fail."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        from mirnet_cli import files

        def fail(*_: Any, **__: Any) -> Any:
            raise OSError(code, os.strerror(code))

        if name == "replace":
            monkeypatch.setattr(Path, "replace", fail)
        else:
            # Its own view of os: other modules go on as they do.
            own = type("os", (), {**vars(os), name: staticmethod(fail)})
            monkeypatch.setattr(files, "os", own)

    return patch


def _again() -> Iterator[Case]:
    promise = "the same command"
    for extension in ("png", "jpg", "webp", "tif", "avif"):
        formats = {"jpg": "JPEG", "tif": "TIFF"}
        data = saved(Image.fromarray(smooth(70, 90)), formats.get(extension, extension.upper()))
        source = f"a.{extension}"

        def build(folder: Path, source: str = source, data: bytes = data) -> None:
            write(folder, {source: data})

        steps = tuple(Step(denoise(source, "-o", f"{n}.{extension}")) for n in (1, 2))

        def equal(ran: Ran, extension: str = extension) -> None:
            assert ran.read(f"1.{extension}") == ran.read(f"2.{extension}")

        made = (f"1.{extension}", f"2.{extension}")
        yield Case(f"{extension} twice", promise, build, steps, made, check=equal)
