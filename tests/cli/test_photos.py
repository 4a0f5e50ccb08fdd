"""enhance, denoise and upscale: names, pipes, errors, exit codes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mirnet_cli.models import container, weights
from tests.cli.conftest import Mirnet, Process
from tests.models.builders import some_weights, tiny_network

Real = Callable[..., Any]


def photo(name: str, content: str = "photo") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["enhance"], "a-enhanced.jpg"),
        (["denoise"], "a-denoised.jpg"),
        (["upscale"], "a-x2.jpg"),
        (["upscale", "--scale", "3"], "a-x3.jpg"),
        (["upscale", "--scale", "1"], "a-x1.jpg"),
        (["denoise", "--format", "PNG"], "a-denoised.png"),
        (["auto"], "a-auto.jpg"),
        (["denoise", "--then", "enhance:0.6"], "a-denoised-enhanced.jpg"),
        (["denoise", "--then", "upscale", "--scale", "3"], "a-denoised-x3.jpg"),
        (["upscale", "--then", "enhance"], "a-x2-enhanced.jpg"),
        (["enhance", "--then", "upscale:model=upscale-x1"], "a-enhanced-x1.jpg"),
    ],
)
def test_default_names(mirnet: Mirnet, words: list[str], name: str) -> None:
    photo("a.jpg")
    assert mirnet(words[0], "a.jpg", *words[1:]).code == 0
    assert sorted(path.name for path in Path().iterdir()) == sorted(["a.jpg", name])
    assert Path("a.jpg").read_text() == "photo"


def test_the_scale_is_two_by_default(mirnet: Mirnet) -> None:
    photo("a.jpg")
    mirnet("upscale", "a.jpg", "-o", "b.jpg")
    assert Path("b.jpg").read_text() == "upscale 2:photo"


def test_an_output_file_and_an_output_folder(mirnet: Mirnet) -> None:
    photo("a.jpg")
    photo("b.png")
    assert mirnet("denoise", "a.jpg", "-o", "deep/er/c.jpg").code == 0
    assert Path("deep/er/c.jpg").is_file()
    assert mirnet("denoise", "a.jpg", "b.png", "-o", "out/").code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.jpg", "b.png"]
    Path("here").mkdir()
    assert mirnet("denoise", "a.jpg", "-o", "here").code == 0
    assert Path("here/a.jpg").is_file()


def test_several_photos_and_one_output(mirnet: Mirnet) -> None:
    photo("a.jpg")
    photo("b.jpg")
    ran = mirnet("denoise", "a.jpg", "b.jpg", "-o", "c.jpg")
    assert ran.code == 2
    assert "-o c.jpg/" in ran.said
    assert not Path("c.jpg").exists()


def test_clashing_names_are_known_before_any_work(mirnet: Mirnet) -> None:
    photo("a.jpg")
    photo("a.png")
    ran = mirnet("denoise", "a.jpg", "a.png", "-o", "out/", "--format", "webp")
    assert ran.code == 2
    assert "out/a.webp" in ran.said
    assert not Path("out").exists()


def test_a_photo_given_twice(mirnet: Mirnet) -> None:
    photo("a.jpg")
    assert mirnet("denoise", "a.jpg", "./a.jpg").code == 2


def test_the_input_is_replaced_only_where_it_is_named_and_with_overwrite(mirnet: Mirnet) -> None:
    photo("a.jpg")
    Path("link.jpg").symlink_to("a.jpg")
    for output in ("a.jpg", "./a.jpg", "link.jpg"):
        ran = mirnet("denoise", "a.jpg", "-o", output)
        assert (ran.code, Path("a.jpg").read_text()) == (2, "photo")
    assert mirnet("denoise", "a.jpg", "-o", "./", "--overwrite").code == 2
    assert mirnet("denoise", "a.jpg", "-o", "a.jpg", "--overwrite").code == 0
    assert Path("a.jpg").read_text() == "denoise 1:photo"


def test_an_output_that_is_another_input(mirnet: Mirnet) -> None:
    photo("a.jpg")
    photo("a-denoised.jpg")
    assert mirnet("denoise", "a.jpg", "a-denoised.jpg", "--overwrite").code == 2


def test_an_existing_output_is_refused(mirnet: Mirnet) -> None:
    photo("a.jpg")
    photo("b.jpg")
    photo("a-denoised.jpg", "old")
    ran = mirnet("denoise", "a.jpg", "b.jpg")
    assert ran.code == 1
    assert "a-denoised.jpg: exists already; use --overwrite" in ran.err
    assert Path("a-denoised.jpg").read_text() == "old"
    assert Path("b-denoised.jpg").exists()
    assert mirnet("denoise", "a.jpg", "--overwrite").code == 0
    assert Path("a-denoised.jpg").read_text() == "denoise 1:photo"


def test_the_others_are_done_when_one_fails(mirnet: Mirnet) -> None:
    photo("a.jpg", "BAD")
    photo("b.jpg")
    Path("folder.jpg").mkdir()
    ran = mirnet("denoise", "missing.jpg", "a.jpg", "folder.jpg", "b.jpg")
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert lines[0] == "mirnet: missing.jpg: no such file; check the name"
    assert lines[1] == "mirnet: a.jpg: not a picture; use another"
    assert lines[2].startswith("mirnet: folder.jpg: is a folder; use 'mirnet batch'")
    assert lines[3].startswith("b.jpg -> b-denoised.jpg")
    assert lines[4] == "1 of 4 photos done, 3 failed"


@pytest.mark.parametrize(
    "name", ["a\nb.jpg", "[red]a.jpg", "\x1b[31ma.jpg", "a\udcff.jpg", "-a.jpg"]
)
def test_hostile_names_print_and_work(mirnet: Mirnet, name: str) -> None:
    photo(name)
    ran = mirnet("denoise", "--json", "--", name)
    assert ran.code == 0
    assert "\x1b" not in ran.err
    assert len(ran.err.splitlines()) == 1
    assert json.loads(ran.out)["input"] == name
    photo("x/" + name, "BAD")
    ran = mirnet("denoise", "--", "x/" + name)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1


def test_json_is_one_object_a_line_for_each_photo(mirnet: Mirnet) -> None:
    photo("a.jpg")
    photo("b.jpg", "BAD")
    ran = mirnet("denoise", "a.jpg", "b.jpg", "c.jpg", "--json", "--quiet")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert [each["status"] for each in found] == ["done", "failed", "failed"]
    assert found[0]["output"] == "a-denoised.jpg"
    assert found[1]["error"] == "not a picture; use another"
    assert found[2]["sha256"]
    assert len(ran.err.splitlines()) == 2


def test_weights_are_not_loaded_for_nothing(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mirnet_cli.restore

    monkeypatch.setattr(mirnet_cli.restore, "load", None)
    assert mirnet("denoise", "missing.jpg").code == 1


def test_a_bug_is_one_line_and_the_way_to_its_details(mirnet: Mirnet) -> None:
    photo("a.jpg", "BUG")
    ran = mirnet("denoise", "a.jpg")
    assert ran.code == 1
    assert "ZeroDivisionError: division by zero" in ran.said
    assert ran.said.endswith("; run again with --verbose and report what it says, with the command")
    ran = mirnet("denoise", "a.jpg", "--verbose")
    assert "; report it with the command and what follows\nTraceback" in ran.err


def test_out_of_memory_is_no_bug(mirnet: Mirnet) -> None:
    photo("a.jpg", "MEMORY")
    assert "not enough memory; use a smaller --tile" in mirnet("denoise", "a.jpg").said


def test_warnings_are_said(mirnet: Mirnet) -> None:
    photo("a.jpg", "ODD")
    assert "mirnet: a.jpg: warning: odd profile" in mirnet("denoise", "a.jpg").err
    assert mirnet("denoise", "a.jpg", "-o", "b.jpg", "--quiet").err == ""


def test_what_the_options_say_arrives(mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch) -> None:
    import mirnet_cli.restore

    made = []
    load = mirnet_cli.restore.load
    monkeypatch.setattr(
        mirnet_cli.restore, "load", lambda *a, **k: made.append(load(*a, **k)) or made[-1]
    )
    monkeypatch.setenv("MIRNET_OVERLAP", "24")
    monkeypatch.setenv("MIRNET_TILE", "99")
    monkeypatch.setenv("MIRNET_QUALITY", "")
    monkeypatch.setenv("MIRNET_STRIP", "1")
    photo("a.jpg")
    words = "--tile 512 --max-memory 4G --strength 0.5 --ensemble --crop 1,2,3,4 --max-pixels 2M"
    assert mirnet("denoise", "a.jpg", *words.split(), "--context", "tile").code == 0
    options, call = made[0].options, made[0].calls[0]
    assert options.tile == 512
    assert options.overlap == 24
    assert options.max_memory == 4 << 30
    assert options.context == "tile"
    assert call.strength == 0.5
    assert call.crop == (1, 2, 3, 4)
    assert call.max_pixels == 2_000_000
    assert call.ensemble
    assert call.strip
    assert call.quality is None


def test_overwrite_cannot_be_set_by_the_environment(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNET_OVERWRITE", "1")
    photo("a.jpg")
    photo("a-denoised.jpg", "old")
    assert mirnet("denoise", "a.jpg").code == 1


def test_missing_weights_end_the_run_with_three(mirnet: Mirnet) -> None:
    photo("a.jpg")
    ran = mirnet("denoise", "a.jpg", "--model", "missing", "--verbose")
    assert (ran.code, ran.said) == (3, "mirnet: missing: no such model; see 'mirnet models list'")


def test_pipes(process: Process, tmp_path: Path) -> None:
    for words in (["denoise"], ["denoise", "-"], ["denoise", "--tile", "512", "-o", "-"]):
        ran = process(*words, data=b"photo")
        assert (ran.returncode, ran.stdout) == (0, b"denoise 1:photo"), ran.stderr
    (tmp_path / "a.jpg").write_bytes(b"photo")
    ran = process("denoise", "a.jpg", "-o", "-", "--json")
    assert ran.stdout == b"denoise 1:photo"
    assert json.loads(ran.stderr.splitlines()[-1])["status"] == "done"
    assert process("denoise", "-", "-o", "b.jpg", data=b"photo").returncode == 0
    assert (tmp_path / "b.jpg").read_bytes() == b"denoise 1:photo"
    ran = process("denoise", data=b"BAD")
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr == b"mirnet: standard input: not a picture; use another\n"


@pytest.mark.parametrize("data", [None, b""])
def test_nothing_given_and_nothing_piped(process: Process, data: bytes | None) -> None:
    ran = process("denoise", data=data)
    assert ran.returncode == 2
    assert ran.stderr.startswith(b"mirnet: no photo given; ")
    assert ran.stderr.count(b"\n") == 1


def test_the_command_line_wins_over_the_environment(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("a.jpg")
    monkeypatch.setenv("MIRNET_WEIGHTS", "elsewhere.safetensors")
    assert mirnet("denoise", "a.jpg", "--model", "denoise").code == 0
    monkeypatch.setenv("MIRNET_MODEL", "denoise")
    ran = mirnet("denoise", "a.jpg", "-o", "b.jpg")
    assert (ran.code, "cannot be combined" in ran.err) == (2, True)
    monkeypatch.delenv("MIRNET_WEIGHTS")
    ran = mirnet("denoise", "a.jpg", "-o", "c.jpg", "--weights", "mine.safetensors")
    assert ran.code == 0


def test_the_name_of_an_output_wins_over_a_format_of_the_environment(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("a.jpg")
    monkeypatch.setenv("MIRNET_FORMAT", "webp")
    assert mirnet("denoise", "a.jpg").code == 0
    assert Path("a-denoised.webp").exists()
    assert mirnet("denoise", "a.jpg", "-o", "b.png").code == 0
    assert Path("b.png").exists()
    ran = mirnet("denoise", "a.jpg", "-o", "c.png", "--format", "webp")
    assert (ran.code, "does not match this name" in ran.err) == (2, True)


def test_upscale_takes_the_only_scale_of_a_model(mirnet: Mirnet) -> None:
    photo("a.jpg")
    assert mirnet("upscale", "a.jpg", "--model", "upscale-x1").code == 0
    assert Path("a-x1.jpg").exists()
    assert mirnet("upscale", "a.jpg", "--model", "upscale").code == 0
    assert Path("a-x2.jpg").exists()


def upscaling(name: str, scale: int = 1) -> str:
    """A file of weights that says its scale."""
    base = "input" if scale == 1 else "enlarged"
    network = tiny_network(3)
    weights.save(
        Path(name), some_weights(task="upscale", scales=(scale,), network=network, base=base)
    )
    return name


def test_upscale_takes_the_scale_of_weights_and_reads_them_once(
    real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    known = container.read_file
    monkeypatch.setattr(container, "read_file", lambda path: read.append(path.name) or known(path))
    # The second is no clash: results are not called x2.
    for name in ("a.png", "a-x2.png"):
        Image.new("RGB", (20, 10), (90, 80, 70)).save(name)
    for scale, width in ((1, 20), (3, 60)):
        file = upscaling("w.safetensors", scale)
        ran = real("upscale", "a.png", "a-x2.png", "--weights", file, "--device", "cpu")
        assert ran.code == 0, ran.err
        assert (
            Image.open(f"a-x{scale}.png").width == Image.open(f"a-x2-x{scale}.png").width == width
        )
    assert read == ["w.safetensors"] * 2
    Path("in").mkdir()
    Path("a.png").rename("in/a.png")
    ran = real("batch", "in", "--task", "upscale", "--weights", file, "--device", "cpu")
    assert (ran.code, Path("in-x3/a.png").exists()) == (0, True), ran.err


def test_weights_are_read_after_all_that_needs_none(real: Real) -> None:
    words = ("--weights", "nowhere.safetensors")
    Path("a.png").touch()
    assert real("upscale", "a.png", "b.png", "-o", "c.png", *words).code == 2
    assert real("upscale", "missing.png", *words).code == 1
    assert real("upscale", "a.png", *words).code == 3
    assert real("batch", "missing", "--task", "upscale", *words).code == 1


def test_upscale_by_two_where_the_weights_do_not_say(real: Real) -> None:
    torch = pytest.importorskip("torch")
    from tests.models import checkpoints

    torch.save(checkpoints.small("mirnet_v2"), "theirs.pth")
    Image.new("RGB", (20, 10), (90, 80, 70)).save("a.png")
    ran = real("upscale", "a.png", "--weights", "theirs.pth", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert Image.open("a-x2.png").width == 40


def test_an_existing_output_is_told_alike_wherever_it_is_met(real: Real) -> None:
    for name in ("a.png", "a-denoised.png"):
        Image.new("RGB", (20, 10), (90, 80, 70)).save(name)
    ran = real("denoise", "a.png", "--device", "cpu")
    assert (ran.code, ran.err) == (
        1,
        "mirnet: a.png: a-denoised.png: exists already; "
        "use --overwrite to replace it or -o to choose another name\n",
    )


@pytest.mark.skipif(os.name == "nt", reason="has them")
def test_a_folder_may_end_in_either_separator_of_windows(
    real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 10), (90, 80, 70)).save(name)
    monkeypatch.setattr("os.altsep", "\\")
    ran = real("compare", "a.png", "b.png", "-o", "out\\")
    assert "b-compare.html" in ran.err
