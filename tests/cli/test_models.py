"""``mirnet models``."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirnet_cli.models import catalogue, weights
from mirnet_cli.models.catalogue import Model
from tests.models.builders import some_weights, spec, tiny_network

Run = Callable[..., Any]
Ship = Callable[..., Model]


@pytest.fixture
def models(shipped: Ship) -> Ship:
    shipped("denoise", ("denoise",))
    shipped("upscale", ("upscale-x2",), task="upscale", scales=(2, 3), base="bicubic")
    return shipped


def test_list(real: Run, models: Ship) -> None:
    ran = real("models", "list")
    assert (ran.code, ran.err) == (0, "")
    header, first, second = ran.out.splitlines()
    columns = ["NAME", "TASK", "SIZE", "STATE", "LICENCE", "WHAT", "FOR", "SCORE", "SOURCE"]
    assert header.split() == [*columns, "FAMILY"]
    assert first.split()[:2] == ["denoise", "denoise"]
    assert "upscale x2,x3" in second
    assert "here" in first
    only = real("models", "list", "--task", "upscale").out
    assert "denoise" not in only


@pytest.mark.parametrize("width", [60, 80, 100, 120, 300])
def test_list_fits_a_terminal(real: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """The real catalogue, whose names and titles are long."""
    monkeypatch.setenv("COLUMNS", str(width))
    header, *rest = real("models", "list").out.splitlines()
    assert max(map(len, [header, *rest])) <= width
    assert header.split()[:4] == ["NAME", "TASK", "SIZE", "STATE"][: len(header.split())]
    assert ("WHAT FOR" in header) is (width >= 80)
    assert len(rest) == len(catalogue.entries())


def test_list_shows_what_the_first_score_is_of(
    real: Run, models: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {"Some set": {"psnr": 38.1, "nothing_psnr": 36.0}, "Other": {"psnr": 30.0}}
    scored = dataclasses.replace(catalogue.find("denoise"), scores=scores)
    monkeypatch.setattr(catalogue, "entries", lambda: (scored,))
    assert "38.10 dB (+2.10), Some set" in real("models", "list").out


def test_list_as_json(real: Run, models: Ship) -> None:
    catalogue.path_of(catalogue.find("upscale")).unlink()
    lines = [json.loads(line) for line in real("models", "list", "--json").out.splitlines()]
    assert [(line["name"], line["state"]) for line in lines] == [
        ("denoise", "here"),
        ("upscale", "missing"),
    ]
    assert lines[1]["scales"] == [2, 3]


def test_an_unknown_task(real: Run, models: Ship) -> None:
    ran = real("models", "list", "--task", "dehaze")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "dehaze" in ran.err


def test_show_prints_facts_and_the_card(real: Run, models: Ship) -> None:
    card = "---\nlicense: mit\n---\n\n# The card\n\nwith an \x1b[31mescape\n"
    (catalogue.weights_folder() / "denoise.md").write_text(card)
    ran = real("models", "show", "denoise")
    assert ran.code == 0
    assert catalogue.find("denoise").sha256 in ran.out
    facts, _, rest = ran.out.partition("The card")
    assert "sha256" in facts
    assert "#" not in rest
    assert "license: mit" not in ran.out
    assert real("models", "show", "denoise", "--raw").out == card
    assert "\x1b" not in ran.out
    shown = json.loads(real("models", "show", "denoise", "--json").out)
    assert shown["card"] == card
    assert shown["state"] == "here"


def test_show_says_what_a_file_is(real: Run, models: Ship, tmp_path: Path) -> None:
    weights.save(tmp_path / "mine.safetensors", some_weights(name="mine"))
    ran = real("models", "show", tmp_path / "mine.safetensors")
    assert ran.code == 0
    assert "mine" in ran.out
    shown = json.loads(real("models", "show", tmp_path / "mine.safetensors", "--json").out)
    assert shown["config"] == {"widths": [4, 8], "unshuffle": 2}
    assert shown["parameters"] == 4 * 3 * 9 + 4


def test_show_names_every_network(real: Run, shipped: Ship, tmp_path: Path) -> None:
    made = {"task": "upscale", "scales": (2,), "base": "bicubic", "clean": spec(1)}
    shipped("upscale", ("upscale-x2",), **made)
    for name in ("upscale", tmp_path / "weights" / "upscale.safetensors"):
        shown = json.loads(real("models", "show", name, "--json").out)
        assert shown["clean"] == shown["config"] == spec().config
        assert shown["parameters"] == 2 * (4 * 3 * 9 + 4)
        assert "\nclean " in real("models", "show", name).out


@pytest.mark.parametrize("command", ["show", "path", "verify"])
def test_unknown_names(command: str, real: Run, models: Ship) -> None:
    ran = real("models", command, "denoice")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.count("\n") == 1
    assert "did you mean denoise" in ran.err


def test_path(real: Run, models: Ship) -> None:
    folder = catalogue.weights_folder()
    assert real("models", "path").out == f"{folder}\n"
    assert real("models", "path", "denoise").out == f"{folder / 'denoise.safetensors'}\n"
    (folder / "denoise.safetensors").unlink()
    ran = real("models", "path", "denoise")
    assert (ran.code, ran.out) == (3, "")
    assert "not on this machine" in ran.err


def test_verify(real: Run, models: Ship) -> None:
    ran = real("models", "verify")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("intact") == 2
    path = catalogue.path_of(catalogue.find("denoise"))
    path.write_bytes(path.read_bytes() + b"\0")
    ran = real("models", "verify")
    assert ran.code == 3
    assert ran.err.startswith(f"mirnet: {path}: not intact")
    assert ran.out.count("intact") == 1
    ran = real("models", "verify", "--json")
    states = [json.loads(line)["state"] for line in ran.out.splitlines()]
    assert (ran.code, states) == (3, ["changed", "intact"])
    assert real("models", "verify", "upscale").code == 0


def test_verify_a_file(real: Run, models: Ship, tmp_path: Path) -> None:
    network = tiny_network()
    weights.save(tmp_path / "mine.safetensors", some_weights(name="mine", network=network))
    assert real("models", "verify", tmp_path / "mine.safetensors").code == 0
    cut = {key: each for key, each in network.tensors.items() if key != "conv_in.bias"}
    broken = dataclasses.replace(network, tensors=cut)
    weights.save(tmp_path / "cut.safetensors", some_weights(name="cut", network=broken))
    ran = real("models", "verify", tmp_path / "cut.safetensors")
    assert (ran.code, ran.out, ran.err.count("\n")) == (3, "", 1)
    assert "missing: conv_in.bias" in ran.err
    scales = {"task": "upscale", "base": "bicubic", "scales": (2, 3)}
    network = tiny_network(scales=[2])
    weights.save(tmp_path / "scales.safetensors", some_weights(network=network, **scales))
    assert "no scale 3" in real("models", "verify", tmp_path / "scales.safetensors").err
    (tmp_path / "new\nline.pth").write_bytes(b"\x80\x02}q\x00.")
    ran = real("models", "verify", tmp_path / "new\nline.pth")
    assert ran.code == 3
    assert ran.err.count("\n") == 1
    assert "PyTorch" in ran.err


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    from tests.models import checkpoints

    state = checkpoints.small("mirnet_v2")
    return checkpoints.save(tmp_path / "real_denoising.pth", {"params": state})


def test_convert(real: Run, authors: Path) -> None:
    ran = real("models", "convert", authors, "mine.safetensors", "--task", "denoise", "--json")
    assert ran.code == 0
    (line,) = ran.out.splitlines()
    made = json.loads(line)
    assert (made["name"], made["task"], made["family"]) == ("mine", "denoise", "mirnet_v2")
    assert made["converted_from"]["file"] == "real_denoising.pth"
    read = weights.load(Path("mine.safetensors"))
    assert read.sha256 == made["sha256"]
    # Nothing is lost on the way.
    from mirnet_cli.models import resolve

    given = resolve("denoise", weights=str(authors)).network.tensors
    for key, tensor in read.network.tensors.items():
        assert (tensor == given[key]).all()
    again = real("models", "convert", authors, "mine.safetensors", "--task", "denoise")
    assert again.code == 1
    assert "exists already; use --overwrite to replace it or name another OUT" in again.err
    ran = real("models", "convert", "mine.safetensors", "nowhere/half.safetensors")
    assert (ran.code, ran.err.count("\n"), ran.err.endswith("; name another OUT\n")) == (1, 1, True)
    half = ["--half", "--overwrite", "--name", "small", "--licence", "MIT"]
    ran = real("models", "convert", "mine.safetensors", "half.safetensors", *half)
    assert ran.code == 0
    assert weights.load(Path("half.safetensors")).licence == "MIT"
    assert Path("half.safetensors").stat().st_size < 0.6 * Path("mine.safetensors").stat().st_size
    same = ["--task", "denoise", "--scale", "1", "--overwrite"]
    assert real("models", "convert", "mine.safetensors", "half.safetensors", *same).code == 0
    ran = real("models", "convert", "mine.safetensors", "x3.safetensors", "--scale", "3")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "made for scale 1, not for 3" in ran.err


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ([], 2, "say it with --task denoise|enhance|upscale"),
        (["--task", "upscale"], 2, "say it with --scale 1|2|3|4"),
        (["--task", "dehaze"], 2, "no task"),
        (["--task", "denoise", "--name", "../x"], 2, "not a model name"),
    ],
)
def test_what_convert_has_to_be_told(
    words: list[str], code: int, expected: str, real: Run, authors: Path
) -> None:
    ran = real("models", "convert", authors, "out.safetensors", *words)
    assert ran.code == code
    assert ran.err.count("\n") == 1
    assert expected in ran.err
    assert not Path("out.safetensors").exists()


def test_variables_set_what_convert_is_told(
    real: Run, authors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNET_TASK", "denoise")
    monkeypatch.setenv("MIRNET_LICENCE", "MIT")
    assert real("models", "convert", authors, "mine.safetensors").code == 0
    assert weights.load(Path("mine.safetensors")).licence == "MIT"


def test_convert_wants_names_that_suit(real: Run, authors: Path) -> None:
    assert "ends in .safetensors" in real("models", "convert", authors, "x.pth").err
    ran = real("models", "convert", "nowhere.pth", "x.safetensors")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    Path("a.safetensors").write_bytes(b"x")
    assert "the input itself" in real("models", "convert", "a.safetensors", "a.safetensors").err


def test_show_and_verify_the_authors_files(real: Run, authors: Path) -> None:
    shown = json.loads(real("models", "show", authors, "--json").out)
    assert (shown["family"], shown["task"]) == ("mirnet_v2", None)
    assert real("models", "verify", authors).code == 0


def test_no_command_shows_the_help(real: Run) -> None:
    ran = real("models")
    assert ran.code == 2
    assert "verify" in ran.out + ran.err


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from mirnet_cli.cli import main; main(['models', 'list']);"
        "main(['models', 'verify']);"
        "print([n for n in ('numpy', 'torch', 'cv2', 'PIL') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_verify_nothing(real: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "entries", lambda: ())
    ran = real("models", "verify")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("mirnet: there are no weights to verify; ")


def test_the_list_names_a_long_licence_shortly(real: Run) -> None:
    out = real("models", "list").out
    assert "non-commercial" in out
    assert "LicenseRef" not in out
