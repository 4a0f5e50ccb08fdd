"""Folders: clashes, journal, retrying, shards, filters, lists."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cases.case import Build, Case, Ran, Step, batch, write
from tests.photo.pictures import saved, smooth

_PHOTO = saved(Image.fromarray(smooth(20, 30)), "PNG")
_OTHER = saved(Image.fromarray(smooth(20, 30)[::-1]), "PNG")
_ALL = ("--recursive",)


def cases() -> Iterator[Case]:
    """All of this class."""
    yield from _selections()
    yield from _lists()
    yield from _clashes()
    yield from _reruns()
    yield from _failures()
    yield from _shards()
    yield from _side_by_side()
    yield from _plans()
    yield from _limits()


def _folder(*names: str, data: bytes = _PHOTO, **more: bytes) -> Build:
    named = {f"in/{name}": data for name in names}
    return lambda folder: write(folder, {**named, **more})


def _put(name: str, data: bytes) -> Build:
    return lambda folder: write(folder, {name: data})


def _into(*names: str) -> tuple[str, ...]:
    return tuple(f"out/{name}" for name in names)


def _go(*words: str) -> tuple[str, ...]:
    return batch("in", "-o", "out", "--strength", "0", *words)


_TREE = ("a.png", "b.JPG", "c.txt", ".d.png", "e/f.png", "e/.g/h.png", "e/i j.webp")


def _selections() -> Iterator[Case]:
    promise = "which photos"
    for words, wanted in (
        ((), ("a.png", "b.JPG")),
        (_ALL, ("a.png", "b.JPG", "e/f.png", "e/i j.webp")),
        ((*_ALL, "--include", "*.png"), ("a.png", "e/f.png")),
        ((*_ALL, "--include", "*.jpg"), ("b.JPG",)),
        ((*_ALL, "--exclude", "*.png"), ("b.JPG", "e/i j.webp")),
        ((*_ALL, "--exclude", "e/*"), ("a.png", "b.JPG")),
        ((*_ALL, "--include", "*.png", "--exclude", "f*"), ("a.png",)),
        ((*_ALL, "--include", "a*", "--include", "i*"), ("a.png", "e/i j.webp")),
        (("--include", "nothing*"), ()),
    ):
        step = Step(_go(*words), counts=(len(wanted), 0, 0))
        yield Case(" ".join(words) or "plain", promise, _folder(*_TREE), (step,), _into(*wanted))

    def linked(folder: Path) -> None:
        _folder("a.png", "d/b.png")(folder)
        (folder / "in/d/up").symlink_to("..")
        (folder / "in/c.png").symlink_to("a.png")

    step = Step(_go(*_ALL), counts=(3, 0, 0))
    wanted = _into("a.png", "c.png", "d/b.png")
    yield Case("links to folders lead nowhere", promise, linked, (step,), wanted)
    build = _folder("a.png", "out/b.png")
    step = Step(batch("in", "-o", "in/out", *_ALL, "--strength", "0"), counts=(1, 0, 0))
    yield Case("the output is no input", promise, build, (step,), ("in/out/a.png",))
    step = Step(_go("--suffix", "-x", "--format", "jpg"), counts=(1, 0, 0))
    build = _folder("a.png")
    yield Case("names of results", promise, build, (step,), _into("a-x.jpg"))
    steps = tuple(
        Step(batch("in", "-o", "in", "--suffix", "-x", "--strength", "0"), counts=counts)
        for counts in ((1, 0, 0), (0, 1, 0))
    )
    yield Case("results beside the photos", promise, build, steps, ("in/a-x.png",))


def _lists() -> Iterator[Case]:
    promise = "lists of files"
    names = ("a.png", "b c.png", "d\ne.png", "f/g.png")
    for name, listed in (
        ("lines", b"in/a.png\nin/b c.png\n"),
        ("lines of Windows", b"in/a.png\r\nin/b c.png\r\n"),
        ("lines of PowerShell", "in/a.png\r\nin/b c.png\r\n".encode("utf-16")),
        ("NUL", b"in/a.png\0in/b c.png\0"),
        ("from the folder", b"a.png\nb c.png"),
        ("twice the same", b"in/a.png\nin/b c.png\n./in/a.png\n"),
    ):
        build = _folder(*names, list=listed)
        step = Step(_go("--files-from", "list"), counts=(2, 0, 0))
        yield Case(name, promise, build, (step,), _into("a.png", "b c.png"))
    build = _folder(*names, list=b"in/d\ne.png\0in/f/g.png\0")
    step = Step(_go("--files-from", "list"), counts=(2, 0, 0))
    yield Case("odd names", promise, build, (step,), _into("d\ne.png", "f/g.png"))
    build = _folder(*names, list=b"in/a.png\nin/gone.png\n")
    step = Step(_go("--files-from", "list"), 1, counts=(1, 0, 1))
    yield Case("one that is not there", promise, build, (step,), _into("a.png"))
    build = _folder(*names, list=b"in/a.png\nin/f/g.png\n")
    step = Step(_go("--files-from", "list", "--exclude", "g*"), counts=(1, 0, 0))
    yield Case("with a pattern", promise, build, (step,), _into("a.png"))
    for listed in (b"in/a.png\nin\n", b"in/a.png\0.\0"):
        step = Step(_go("--files-from", "list"), 1, counts=(1, 0, 1))
        name = f"a folder among {len(listed)} bytes"
        yield Case(name, promise, _folder(*names, list=listed), (step,), _into("a.png"))
    for name, listed in (
        ("UTF-16 without a mark", "in/a.png\n.\n".encode("utf-16-le")),
        ("a picture", _PHOTO),
    ):
        yield Case(name, promise, _folder(*names, list=listed), (
            Step(_go("--files-from", "list"), 2),
        ))  # fmt: skip
    step = Step(_go("--files-from", "gone"), 1)
    yield Case("a list that is not there", promise, build, (step,))
    yield Case("an empty list", promise, _folder("a.png", list=b""), (
        Step(_go("--files-from", "list"), counts=(0, 0, 0)),
    ))  # fmt: skip


def _clashes() -> Iterator[Case]:
    promise = "clashing names"
    step = Step(_go("--format", "png"), 2)
    yield Case("two of one name", promise, _folder("a.jpg", "a.png"), (step,))
    step = Step(batch("--files-from", "list", "-o", "out"), 2)
    build = _folder("x/a.png", "y/a.png", list=b"in/x/a.png\nin/y/a.png\n")
    listed = Step(batch("--files-from", "list", "-o", "out", "--strength", "0"), counts=(2, 0, 0))
    yield Case("kept apart by their folders", promise, build, (listed,), _into(
        "in/x/a.png", "in/y/a.png"
    ))  # fmt: skip

    def outside(folder: Path) -> None:
        write(folder, {"x/a.png": _PHOTO, "y/a.png": _PHOTO, "in/n.png": _PHOTO})
        write(folder, {"list": b"../x/a.png\n../y/a.png\n"})
        os.chdir(folder / "in")

    step = Step(batch("--files-from", "../list", "-o", "../out"), 2)
    yield Case("listed from two folders", promise, outside, (step,))
    build = _folder("a.png", "a-x.png")
    step = Step(batch("in", "-o", "in", "--suffix", "-x"), 2)
    yield Case("a result that is a photo", promise, build, (step,))


def _reruns() -> Iterator[Case]:
    promise = "a rerun"
    first = Step(_go(), counts=(2, 0, 0))
    build, both = _folder("a.png", "b.png"), _into("a.png", "b.png")

    def case(name: str, *steps: Step, made: tuple[str, ...] = both, changed: Any = ()) -> Case:
        return Case(name, promise, build, (first, *steps), made, changed)

    def touch(folder: Path) -> None:
        os.utime(folder / "in/a.png", (1, 1))

    def copied(folder: Path) -> None:
        data = (folder / "in/a.png").read_bytes()
        (folder / "in/a.png").unlink()
        (folder / "in/a.png").write_bytes(data)

    def renamed(folder: Path) -> None:
        (folder / "in/a.png").rename(folder / "in/c.png")

    def removed(folder: Path) -> None:
        (folder / "out/a.png").unlink()

    def edited(folder: Path) -> None:
        (folder / "out/a.png").write_bytes(b"edited")

    def half(folder: Path) -> None:
        journal = folder / "out/.mirnet-journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-150])

    def lost(folder: Path) -> None:
        (folder / "out/.mirnet-journal.jsonl").unlink()

    def noise(folder: Path) -> None:
        journal = folder / "out/.mirnet-journal.jsonl"
        journal.write_bytes(b"\xff\0{]\n" + journal.read_bytes() + b'{"event": 3}\n[]\nnull\n')

    none = (0, 2, 0)
    yield case("nothing new", Step(_go(), counts=none))
    yield case("a photo touched", Step(_go(), counts=none, before=touch))
    yield case("a photo copied over", Step(_go(), counts=none, before=copied))
    made = _into("a.png", "b.png", "c.png")
    yield case("a photo renamed", Step(_go(), counts=(1, 1, 0), before=renamed), made=made)
    yield case("a result removed", Step(_go(), counts=(1, 1, 0), before=removed))
    yield case("a result edited", Step(_go(), counts=none, before=edited))
    yield case("half a journal", Step(_go(), counts=none, before=half))
    yield case("no journal", Step(_go(), counts=none, before=lost))
    yield case("noise in the journal", Step(_go(), counts=none, before=noise))
    new = _put("in/c.png", _OTHER)
    yield case("a new photo", Step(_go(), counts=(1, 2, 0), before=new), made=made)
    changed = _put("in/a.png", _OTHER)
    yield case("a photo changed", Step(_go(), 1, counts=(0, 1, 1), before=changed))
    step = Step(_go("--overwrite"), counts=(2, 0, 0), before=changed)
    yield case("a photo changed, overwriting", step, changed=both)
    step = Step(_go("--strip"), 1, counts=(0, 0, 2), errors=2)
    yield case("other options", step)
    yield case("other options, overwriting", Step(_go("--strip", "--overwrite"), counts=(2, 0, 0)),
               changed=both)  # fmt: skip
    other = ("batch", "in", "-o", "out", "--strength", "0", "--json", "--task", "denoise")
    yield case("other weights", Step(other, 1, counts=(0, 0, 2), errors=2))
    yield case("how it is computed does not count", Step(_go("--tile", "64"), counts=none))
    foreign = _folder("a.png", "b.png", **{"out/a.png": b"mine"})
    step = Step(_go(), counts=(1, 1, 0), says="a.png exists already; --overwrite replaces it")
    yield Case("a file of others", promise, foreign, (step,), _into("b.png"))


def _failures() -> Iterator[Case]:
    promise = "one bad photo"
    build = _folder("a.png", "c.png", **{"in/b.png": b"no picture"})
    made = _into("a.png", "c.png")
    first = Step(_go(), 1, counts=(2, 0, 1))
    yield Case("the others are done", promise, build, (first,), made)
    again = Step(_go(), 1, counts=(0, 2, 1), says="failed before")
    yield Case("it is not tried again", promise, build, (first, again), made)
    retry = Step(_go("--retry-failed"), 1, counts=(0, 2, 1), says="not a picture")
    yield Case("unless asked", promise, build, (first, retry), made)
    mended = Step(_go(), counts=(1, 2, 0), before=_put("in/b.png", _OTHER))
    yield Case("or mended", promise, build, (first, mended), (*made, "out/b.png"))
    odd: dict[str, Callable[[Path], object]] = {
        "a FIFO": lambda folder: os.mkfifo(folder / "in/b.png"),
        "a link to nothing": lambda folder: (folder / "in/b.png").symlink_to("x"),
        "a loop": lambda folder: (folder / "in/b.png").symlink_to("b.png"),
        "a device": lambda folder: (folder / "in/b.png").symlink_to("/dev/zero"),
        "an empty file": _put("in/b.png", b""),
        "a bomb": _put("in/b.png", _bomb()),
    }
    for name, make in odd.items():

        def built(folder: Path, make: Callable[[Path], object] = make) -> None:
            _folder("a.png", "c.png")(folder)
            make(folder)

        yield Case(f"{name} among photos", promise, built, (first,), made)

    def blocked(folder: Path) -> None:
        write(folder, {"out/d": b"no folder", "in/d/b.png": _PHOTO, "in/a.png": _PHOTO})

    step = Step(_go(*_ALL), 1, counts=(1, 0, 1))
    yield Case("a folder that cannot be made", promise, blocked, (step,), _into("a.png"))


def _bomb() -> bytes:
    from tests.cases.hostile import _head

    return _head(60000, 60000) + bytes(200)


def _shards() -> Iterator[Case]:
    promise = "shards"
    names = tuple(f"{n}.png" for n in range(6))
    for count in (2, 3):
        shards = tuple(Step(_go("--shard", f"{n}/{count}")) for n in range(1, count + 1))
        rest = Step(_go(), counts=(0, 6, 0))
        yield Case(f"{count} and all", promise, _folder(*names), (*shards, rest), _into(*names))
        again = Step(_go("--shard", f"1/{count}"), says="")
        yield Case(f"1 of {count} after all", promise, _folder(*names), (Step(_go()), again),
                   _into(*names))  # fmt: skip
    whole = Step(_go("--shard", "1/1"), counts=(6, 0, 0))
    yield Case("one of one", promise, _folder(*names), (whole,), _into(*names))


def _side_by_side() -> Iterator[Case]:
    promise = "two batches at once"
    build = _folder("a.png", "b.png")
    for name, other, words, code in (
        ("both whole", "", (), 1),
        ("a shard beside the whole", "", ("--shard", "1/1"), 1),
        ("the whole beside a shard", ".1-of-2", (), 1),
        ("the same shard", ".1-of-1", ("--shard", "1/1"), 1),
        ("shards of other numbers", ".2-of-3", ("--shard", "1/1"), 1),
        ("another shard", ".2-of-1", ("--shard", "1/1"), 0),
    ):

        def begun(folder: Path, other: str = other) -> None:
            _folder("a.png", "b.png")(folder)
            _hold(folder / f"out/.mirnet-journal{other}.jsonl")

        made = () if code else _into("a.png", "b.png")
        step = Step(_go(*words), code, says="another batch is writing here" if code else "")
        yield Case(name, promise, begun, (step,), made, patch=_released)

    def killed(folder: Path) -> None:
        build(folder)
        path = folder / "out/.mirnet-journal.jsonl"
        path.parent.mkdir()
        path.write_text('{"event": "run", "settings": "x", "pid": 1, "host": "here"}\n')

    step = Step(_go(), counts=(2, 0, 0))
    yield Case("after one that was killed", promise, killed, (step,), _into("a.png", "b.png"))


_held: list[int] = []


def _hold(path: Path) -> None:
    """Lock a journal as another batch does: locks of two descriptors exclude each other."""
    from mirnet_cli.files import lock

    path.parent.mkdir(exist_ok=True)
    _held.append(os.open(path, os.O_RDWR | os.O_CREAT))
    lock(_held[-1])


def _released(patch: pytest.MonkeyPatch) -> None:
    """Give the locks back when the test is over."""

    class Release:
        def undo(self) -> None:
            while _held:
                os.close(_held.pop())

    undo = patch.undo

    def both() -> None:
        undo()
        Release().undo()

    patch.undo = both  # type: ignore[method-assign]


def _plans() -> Iterator[Case]:
    promise = "`--dry-run`"
    build = _folder("a.png", **{"in/b.png": b"no picture"})

    def said(ran: Ran) -> None:
        assert '"tiles": 1' in ran.out
        assert not (ran.folder / "out").exists()

    step = Step((*_go(), "--dry-run"), 1, says="1 cannot be done", errors=0)
    yield Case("writes nothing", promise, build, (step,), check=said)
    wide = _folder("a.png", data=saved(Image.new("RGB", (16400, 4)), "PNG"))
    steps = (
        Step((*_go("--format", "webp"), "--dry-run"), 1, says="1 cannot be done", errors=0),
        Step(_go("--format", "webp"), 1, says="16383 pixels a side"),
        Step(_go("--format", "webp"), 1, says="failed before"),
    )
    yield Case("knows what is too large for the format", promise, wide, steps)
    steps = (
        Step(_go(), 1, counts=(1, 0, 1)),
        Step((*_go(), "--dry-run"), 1, says="0 to do", errors=0),
    )
    yield Case("knows what is done", promise, build, steps, _into("a.png"))


def _limits() -> Iterator[Case]:
    build = _folder("a.png", "b.png", "c.png")
    late = Step(_go("--max-time", "0.000001"), 1, counts=(0, 3, 0), errors=0)
    later = Step(_go(), counts=(3, 0, 0))
    made = _into("a.png", "b.png", "c.png")
    yield Case("--max-time, then the rest", "limited time", build, (late, later), made)
    full = Step(_go(), 1, errors=2, says="not started")
    yield Case("a full disk stops", "full or failing disks", build, (full,), patch=_full)
    nothing = Step(_go(), counts=(0, 0, 0))
    yield Case("an empty folder", "which photos", lambda f: (f / "in").mkdir(), (nothing,))
    gone = Step(_go(), 1, says="no such folder")
    yield Case("no folder", "which photos", lambda folder: None, (gone,))


def _full(patch: pytest.MonkeyPatch) -> None:
    from mirnet_cli import files

    def fail(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(files, "_write_all", fail)
