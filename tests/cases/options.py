"""Options: what is wrong is known before any work, and said in one line."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tests.cases.case import WEIGHTS, Case, Ran, Step, batch, denoise, write
from tests.photo.pictures import saved, smooth

_PHOTO = saved(Image.fromarray(smooth(20, 30)), "PNG")


def _build(folder: Path) -> None:
    write(folder, {"a.png": _PHOTO, "in/a.png": _PHOTO, "bad.safetensors": b"no weights"})


def cases() -> Iterator[Case]:
    """All of this class."""
    wrong = "wrong usage"
    for option, value in (
        ("--strength", "2"),
        ("--strength", "-1"),
        ("--strength", "nan"),
        ("--strength", "much"),
        ("--tile", "big"),
        ("--tile", "-1"),
        ("--tile", "3"),
        ("--overlap", "-1"),
        ("--context", "none"),
        ("--max-memory", "0"),
        ("--max-memory", "lots"),
        ("--max-pixels", "0"),
        ("--crop", "1,2,3"),
        ("--crop", "0,0,0,9"),
        ("--quality", "0"),
        ("--quality", "101"),
        ("--format", "xyz"),
        ("--device", "abacus"),
        ("--device", "cuda:99"),
        ("--precision", "fp7"),
        ("--runtime", "steam"),
        ("--no-such-option", "1"),
    ):
        step = Step(denoise("a.png", "-o", "b.png", option, value), 2)
        yield Case(f"{option} {value}", wrong, _build, (step,))
    for name, words in (
        ("an empty name", denoise("")),
        ("an empty output", denoise("a.png", "-o", "")),
        ("a photo twice", denoise("a.png", "./a.png", "-o", "out/")),
        ("no command of that name", ("denoize", "a.png")),
        ("--model and --weights", (*denoise("a.png"), "--model", "denoise")),
        ("a format that is not the name's", denoise("a.png", "-o", "b.png", "--format", "jpg")),
        (
            "a scale that the weights lack",
            ("upscale", "a.png", "--scale", "4", "--weights", WEIGHTS),
        ),
        ("a scale of 5", ("upscale", "a.png", "--scale", "5")),
    ):
        yield Case(name, wrong, _build, (Step(words, 2),))
    for option, value in (
        ("--shard", "0/2"),
        ("--shard", "3/2"),
        ("--shard", "half"),
        ("--jobs", "0"),
        ("--jobs", "many"),
        ("--max-time", "soon"),
        ("--suffix", "a/b"),
        ("-o", "-"),
        ("-o", "a.png"),
        ("--scale", "2"),
    ):
        yield Case(f"batch {option} {value}", wrong, _build, (Step(batch("in", option, value), 2),))
    for name, words in (
        ("batch without a folder", batch()),
        ("batch of a file", batch("a.png")),
        ("batch into itself", batch("in", "-o", "in")),
        ("--watch with a list", batch("in", "--watch", "--files-from", "a.png")),
        ("--watch and --dry-run", batch("in", "--watch", "--dry-run")),
    ):
        yield Case(name, wrong, _build, (Step(words, 2),))
    models = "weights"
    for name, words in (
        ("no such weights", ("denoise", "a.png", "--weights", "gone.safetensors")),
        ("weights that are none", ("denoise", "a.png", "--weights", "bad.safetensors")),
        ("no such model", ("denoise", "a.png", "--model", "gone")),
        ("a batch without weights", ("batch", "in", "--weights", "gone.safetensors")),
    ):
        yield Case(name, models, _build, (Step(words, 3),))
    yield from _right()


def _right() -> Iterator[Case]:
    promise = "output for programs"

    def one_object(ran: Ran) -> None:
        import json

        (line,) = ran.out.splitlines()
        told = json.loads(line)
        assert (told["status"], told["output"]) == ("done", "b.png")
        assert (told["width"], told["height"], told["megapixels"]) == (30, 20, 0.0006)

    words = denoise("a.png", "-o", "b.png", "--json")
    yield Case("--json", promise, _build, (Step(words),), ("b.png",), check=one_object)

    def silent(ran: Ran) -> None:
        assert (ran.out, ran.err) == ("", "")

    words = denoise("a.png", "-o", "b.png", "--quiet")
    yield Case("--quiet", promise, _build, (Step(words),), ("b.png",), check=silent)

    def no_data(ran: Ran) -> None:
        assert ran.out == ""

    words = denoise("a.png", "-o", "b.png", "--verbose")
    yield Case("--verbose", promise, _build, (Step(words),), ("b.png",), check=no_data)
