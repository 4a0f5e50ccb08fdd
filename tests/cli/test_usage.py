"""Wrong usage: one line, exit code 2, and what would have been right."""

import sys

import pytest

from mirnet_cli import extras
from tests.cli.conftest import Mirnet


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("denoise a.jpg --til 5", "--til: no such option; did you mean --tile?"),
        ("denoise a.jpg --overwrit", "--overwrit: no such option; did you mean --overwrite?"),
        ("denoise a.jpg --scale 2", "--scale: only upscale has scales; leave it out"),
        ("auto a.jpg --to 3", "--to: '3' is not WIDTHxHEIGHT in pixels, such as 3840x2160"),
        ("auto a.jpg --to 30x20 --megapixels 2", "--to and --megapixels cannot be combined"),
        ("auto a.jpg --model denoise", "--model: cannot be combined with auto; leave it out"),
        ("batch folder --skip-good", "--skip-good: only for auto; leave it out"),
        ("batch folder --task auto --then enhance", "--then: cannot be combined with auto, which"),
        ("denoise a.jpg --then blur", "--then blur: unknown task; use enhance, denoise, upscale"),
        ("denoise a.jpg --then enhance:2", "--then enhance:2: '2' is not a number from 0 to 1"),
        ("upscale a.jpg --then upscale --scale 2", "--scale: more than one step is upscale; give"),
        ("denoise a.jpg --then upscale:scale=2 --scale 3", "--scale: already given for the step"),
        ("doctor --verbose", "--verbose: no such option; 'mirnet enhance', 'mirnet denoise', "),
        *(
            (f"{task} a.jpg {words}", f"{words.split()[0]}: no such option; 'mirnet batch' has it")
            for task in ("enhance", "denoise", "upscale")
            for words in ("--retry-failed", "--report x.html", "--watch", "-r")
        ),
        (
            "denoise a.jpg --dry-run",
            "--dry-run: no such option; 'mirnet auto' and 'mirnet batch' h",
        ),
        (
            "denoise a.jpg --then enhance --ev 0.5",
            "--ev: no such option; write it with its step, as in --then enhance:ev=…",
        ),
        ("denoise a.jpg --then denoise:ev=1", "--then denoise:ev=1: only enhance has ev; write T"),
        ("denoise --version", "--version: no such option; 'mirnet' has it"),
        ("denoise a.jpg --accept-licence", "--accept-licence: no such option; 'mirnet models d"),
        ("denoise a.jpg --retry-faild", "--retry-faild: no such option; did you mean --retry-f"),
        ("models lsit", "lsit: no such command; did you mean 'mirnet models list'?"),
        ("models xyzzy", "xyzzy: no such command; see 'mirnet models --help'"),
        ("models folder", "folder: no such command; see 'mirnet models --help'"),
        ("denoise .", ".: is a folder; for the photos in it use 'mirnet batch . --task denoise'"),
        (
            "enhance folder folder",
            "folder: is a folder; for the photos in it use 'mirnet batch fol",
        ),
        (
            "upscale folder/ -o b.jpg",
            "folder/: is a folder; for the photos in it use 'mirnet bat",
        ),
        *(
            (f"denoise a.jpg --device {name}", f"--device: '{name}' is not auto, cpu, cuda, cuda:N")
            for name in ("gpu", "cuda:x", "cuda:-1", "cpu:0")
        ),
        ("batch folder -o a.jpg", "a.jpg: is not a folder; name another with -o"),
        ("batch folder -o a.jpg/out", "a.jpg/out: a.jpg is not a folder; name another with -o"),
        ("doctor --device cuda", "--device: only works with --tiling; the checks look"),
        ("denoise a.jpg -z", "-z: no such option; see 'mirnet denoise --help'"),
        ("denoise a.jpg --tile", "--tile: needs a value; see 'mirnet denoise --help'"),
        (
            "denoise a.jpg --tile x",
            "--tile: 'x' is not auto, 0 or a number of pixels from 16 on; see ",
        ),
        ("denoise a.jpg --strength 2", "--strength: '2' is not a number from 0 to 1; see "),
        ("denoise a.jpg --strength nan", "--strength: 'nan' is not a number from 0 to 1; see "),
        ("denoise a.jpg --quality 0", "--quality: '0' is not a whole number from 1 to 100; see "),
        ("denoise a.jpg --crop 1,2,3", "--crop: '1,2,3' is not X,Y,WIDTH,HEIGHT"),
        ("denoise a.jpg --crop 1,2,0,3", "--crop: '1,2,0,3' has no pixels; width and"),
        ("denoise a.jpg --max-memory lots", "--max-memory: 'lots' is not an amount of memory"),
        ("denoise a.jpg --precision fp8", "--precision: "),
        ("denoise a.jpg --format gif", "--format: 'gif' files cannot be written; use png"),
        ("denoise a.jpg -o b.txt", "b.txt: .txt files cannot be written; name it"),
        ("denoise a.jpg -o b.png --format jpg", "b.png: --format jpg does not match this name"),
        ("denoise a.jpg --device cuda:7", "--device cuda:7: no such device; use cpu"),
        (
            "denoise a.jpg --model a --weights b",
            "--model and --weights (or MIRNET_MODEL, MIRNET_WEIGHTS) cannot be",
        ),
        ("upscale a.jpg --scale 5", "--scale: '5' is not 1, 2, 3 or 4; see 'mirnet upscale --h"),
        ("denois a.jpg", "denois: no such command; did you mean 'mirnet denoise'?"),
        ("a.jpg", "a.jpg: no such command; for a photo write 'mirnet enhance a.jpg'"),
        ("folder", "folder: no such command; for a folder write 'mirnet batch folder'"),
        ("xyzzy", "xyzzy: no such command; see 'mirnet --help'"),
        ("--bogus", "--bogus: no such option; see 'mirnet --help'"),
        ("compare a.jpg", "AFTER: needed but not given; see 'mirnet compare --help'"),
        (
            "compare a.jpg a.jpg -o b.dng",
            "b.dng: its name is neither that of a page nor of a picture",
        ),
        ("compare a.jpg a.jpg -o b.png --at 1,1", "--at: places are shown on a page, not in a"),
        ("train", "TASK: needed but not given; see 'mirnet train --help'"),
        *(
            (f"{words} --task blur", "--task: 'blur' is not one of 'enhance', 'denoise', 'upscale'")
            for words in (
                *("batch folder", "bench", "evaluate folder folder", "models list"),
                "doctor --tiling a.jpg",
            )
        ),
        ("batch folder --shard 3/2", "--shard: '3/2' is not i/n with i from 1 to n"),
        ("batch folder --cluster local:2 --jobs 2", "--jobs: cannot be combined with --cluster"),
        ("batch folder --cluster local:x", "--cluster: 'local:x' is not local:N with a number"),
        ("batch folder --scale 2", "--scale: only upscale has scales"),
        ("batch", "no folder given; name one"),
        ("batch a.jpg", "a.jpg: is not a folder; for single photos use 'mirnet enhance FILE'"),
    ],
)
def test_one_line_and_exit_code_two(mirnet: Mirnet, words: str, said: str) -> None:
    from pathlib import Path

    Path("a.jpg").write_text("photo")
    Path("folder").mkdir()
    ran = mirnet(*words.split())
    assert ran.said.startswith(f"mirnet: {said}")
    assert (ran.code, ran.out) == (2, "")
    assert sorted(path.name for path in Path().iterdir()) == ["a.jpg", "folder"]


@pytest.mark.parametrize(
    "words",
    [("denoise", ""), ("denoise", "a.jpg", "-o", ""), ("batch", ""), ("batch", ".", "-o", "")],
)
def test_an_empty_variable_of_a_script(mirnet: Mirnet, words: tuple[str, ...]) -> None:
    from pathlib import Path

    Path("a.jpg").write_text("photo")
    ran = mirnet(*words)
    assert (ran.code, ran.said[:22]) == (2, "mirnet: an empty name;")
    assert [path.name for path in Path().iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("words", ["denoise a.jpg", "compare a.jpg a.jpg"])
def test_a_name_whose_format_needs_an_extra(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    from pathlib import Path

    from mirnet_cli.photo import formats

    monkeypatch.setattr(formats, "_is_here", lambda _: False)
    Path("a.jpg").write_text("photo")
    ran = mirnet(*words.split(), "-o", "b.heic")
    assert ran.said == f"mirnet: b.heic: HEIC needs pillow-heif; {extras.remedy('pillow_heif')}"
    assert (ran.code, [path.name for path in Path().iterdir()]) == (2, ["a.jpg"])


def test_a_wrong_variable_is_named(mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_TILE", "big")
    assert mirnet("denoise", "a.jpg").said.startswith("mirnet: --tile (set by MIRNET_TILE): 'big'")


@pytest.mark.parametrize("words", [(), ("models",)])
def test_no_command_shows_the_help(mirnet: Mirnet, words: tuple[str, ...]) -> None:
    ran = mirnet(*words)
    assert (ran.code, ran.err) == (2, "")
    assert "\nCommands:\n" in ran.out
    assert ran.out == mirnet(*words, "--help").out


def test_a_file_whose_name_looks_like_an_option(mirnet: Mirnet) -> None:
    from pathlib import Path

    Path("-a.jpg").write_text("photo")
    assert mirnet("denoise", "-a.jpg").said.endswith("for the file of that name write ./-a.jpg")


def test_a_bug_names_a_way_to_its_traceback_that_the_command_has() -> None:
    from mirnet_cli.cli.process import bug_line

    assert "run again with --verbose and" in bug_line(ValueError("x"), words=["denoise"])
    assert "with MIRNET_VERBOSE=1 set and" in bug_line(ValueError("x"), words=["doctor"])


def test_a_cluster_needs_its_extra(mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    Path("in").mkdir()
    Path("in/a.jpg").write_text("photo")
    monkeypatch.setitem(sys.modules, "distributed", None)
    ran = mirnet("batch", "in", "--cluster", "local:2")
    assert ran.said == (
        "mirnet: --cluster: a cluster needs distributed, which is not installed; "
        + extras.remedy("distributed")
    )
    assert (ran.code, [path.name for path in Path().iterdir()]) == (2, ["in"])


def test_jobs_of_the_environment_give_way_to_a_cluster(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    Path("in").mkdir()
    Path("in/a.jpg").write_text("photo")
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setenv("MIRNET_JOBS", "2")
    assert "a cluster needs" in mirnet("batch", "in", "--cluster", "local:2").said
    monkeypatch.setenv("MIRNET_CLUSTER", "local:2")
    assert mirnet("batch", "in").said.startswith(
        "mirnet: --jobs: cannot be combined with --cluster"
    )
    # The command line wins; with a cluster this would be refused.
    assert "combined" not in mirnet("batch", "in", "--jobs", "3", "--dry-run").err


@pytest.mark.parametrize(
    "words", ["", "denoise", "batch", "models", "models list", "models convert", "doctor", "train"]
)
def test_h_is_help(mirnet: Mirnet, words: str) -> None:
    ran = mirnet(*words.split(), "-h")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: mirnet {words}".rstrip())
    assert ran.out == mirnet(*words.split(), "--help").out
    assert "-h, --help" in ran.out
