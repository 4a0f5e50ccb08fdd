"""``mirnet batch``."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mirnet_cli.errors import InputError
from mirnet_cli.models.catalogue import Model
from tests.cli.conftest import Mirnet, Process, Ran
from tests.models.builders import tiny_network


def photos(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("photo")


def statuses(ran: Ran) -> dict[str, str]:
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert len({each["input"] for each in found}) == len(found)
    return {each["input"]: each["status"] for each in found}


@pytest.mark.parametrize(
    ("words", "into", "content"),
    [
        ([], "in-enhanced", "enhance 1:photo"),
        (["--task", "auto"], "in-auto", "auto 1:photo"),
        (["--task", "denoise"], "in-denoised", "denoise 1:photo"),
        (["--task", "upscale"], "in-x2", "upscale 2:photo"),
        (["--task", "upscale", "--scale", "4"], "in-x4", "upscale 4:photo"),
        (["-o", "deep/er"], "deep/er", "enhance 1:photo"),
        (["--then", "upscale:scale=4"], "in-enhanced-x4", "enhance 1:photo"),
    ],
)
def test_where_results_go(mirnet: Mirnet, words: list[str], into: str, content: str) -> None:
    photos("in/a.jpg", "in/b.png")
    assert mirnet("batch", "in", *words).code == 0
    assert (Path(into) / "a.jpg").read_text() == content
    assert (Path(into) / "b.png").exists()


@pytest.mark.parametrize("folder", [".", "./", "../in", "../in/"])
def test_the_folder_by_other_names(
    mirnet: Mirnet, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos("in/a.jpg")
    monkeypatch.chdir("in")
    assert mirnet("batch", folder).code == 0
    assert Path("../in-enhanced/a.jpg").exists()


def test_a_table_on_stderr_and_objects_on_stdout(mirnet: Mirnet) -> None:
    photos("in/a.jpg", "in/b.jpg", "in/d/c.jpg")
    Path("in/b.jpg").write_text("BAD")
    ran = mirnet("batch", "in", "--recursive", "--json")
    assert ran.code == 1
    assert statuses(ran) == {"in/a.jpg": "done", "in/b.jpg": "failed", "in/d/c.jpg": "done"}
    assert "mirnet: in/b.jpg: not a picture; use another" in ran.err.splitlines()
    assert "found" in ran.err
    ran = mirnet("batch", "in", "--recursive", "--json", "--quiet")
    assert statuses(ran) == {"in/a.jpg": "skipped", "in/b.jpg": "failed", "in/d/c.jpg": "skipped"}
    assert ran.said.startswith("mirnet: in/b.jpg: failed before: not a picture; use another; --re")
    Path("in/b.jpg").write_text("photo")
    assert mirnet("batch", "in", "--recursive").code == 0


def test_a_dry_run_writes_nothing(mirnet: Mirnet) -> None:
    photos("in/a.jpg", "in/b.jpg")
    Path("in-enhanced").mkdir()
    photos("in-enhanced/b.jpg")
    ran = mirnet("batch", "in", "--dry-run")
    assert ran.code == 1
    first, second = ran.out.splitlines()
    assert first.startswith("in/a.jpg -> in-enhanced/a.jpg (fail: not a picture this tool can read")
    said = "skip: b.jpg exists already; --overwrite replaces it"
    assert second == f"in/b.jpg -> in-enhanced/b.jpg ({said})"
    assert sorted(path.name for path in Path("in-enhanced").iterdir()) == ["b.jpg"]
    ran = mirnet("batch", "in", "--dry-run", "--json")
    assert statuses(ran) == {"in/a.jpg": "failed", "in/b.jpg": "skipped"}


def test_a_dry_run_says_what_it_takes(
    real: Callable[..., Any], shipped: Callable[..., Model], tmp_path: Path
) -> None:
    shipped("denoise", ("denoise",), network=tiny_network(3))
    (tmp_path / "in").mkdir()
    for name, size in (("a.png", (40, 30)), ("b.png", (300, 200))):
        Image.new("RGB", size).save(tmp_path / "in" / name)
    words = ("batch", "in", "--task", "denoise", "--dry-run", "--tile", "128")
    ran = real(*words)
    assert ran.code == 0, ran.err
    first, second = ran.out.splitlines()
    assert "(40x30, in one piece, " in first
    assert re.search(r"\(300x200, \d+ tiles of 1\d\d, \d+ MiB\)", second)
    assert re.search(r"2 to do \(0\.1 MP, about \d+\.\d s\)", ran.err)
    told = [json.loads(line) for line in real(*words, "--json").out.splitlines()]
    assert told[0]["tile"] == 0 < told[1]["tile"] <= 128
    assert told[1]["tiles"] > told[0]["tiles"] == 1
    # A ceiling that no tile fits is known before any work.
    ran = real("batch", "in", "--task", "denoise", "--dry-run", "--max-memory", "100M")
    assert ran.code == 1
    assert "raise --max-memory" in ran.out
    # What the real run would refuse, too; --quiet leaves the errors.
    ran = real(*words, "--crop", "0,0,50,50", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert "in/a.png: the crop 0,0,50,50 reaches beyond its 40x30 pixels" in ran.err
    ran = real(*words, "--max-pixels", "2000", "--json")
    records = [json.loads(line) for line in ran.out.splitlines()]
    assert [record["status"] for record in records] == ["planned", "failed"]
    assert "300x200" in records[1]["error"]
    assert not (tmp_path / "in-denoised").exists()


def test_clashes_are_wrong_usage_before_any_work(mirnet: Mirnet) -> None:
    photos("in/a.jpg", "in/a.png")
    ran = mirnet("batch", "in", "--format", "png")
    assert ran.code == 2
    assert "in-enhanced/a.png" in ran.said
    assert not Path("in-enhanced").exists()
    assert mirnet("batch", "in", "-o", "in").code == 2
    assert mirnet("batch", "in", "-o", "in", "--suffix", "-new").code == 0
    assert mirnet("batch", "in", "-o", "in", "--suffix", "-new").code == 0
    assert len(list(Path("in").glob("*.*g"))) == 4


def test_nothing_to_do(mirnet: Mirnet) -> None:
    photos("in/d/a.jpg")
    ran = mirnet("batch", "in")
    assert (ran.code, ran.said) == (
        0,
        "mirnet: in: no photos found; to include subfolders add --recursive",
    )


def test_a_folder_that_is_not_there(mirnet: Mirnet) -> None:
    assert mirnet("batch", "in").said == "mirnet: in: no such folder; check the name"


def test_lists_of_files(process: Process, tmp_path: Path) -> None:
    for name in ("in/a.jpg", "in/d/b.jpg", "in/c\n.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("photo")
    listed = b"in/a.jpg\0d/b.jpg\0in/c\n.jpg\0"
    ran = process("batch", "in", "--files-from", "-", "--json", data=listed)
    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 3
    assert (tmp_path / "in-enhanced/d/b.jpg").exists()
    ran = process("batch", "in", "--files-from", "-", "-o", "b", "--include", "*b.*", data=listed)
    assert [path.name for path in (tmp_path / "b").rglob("*.jpg")] == ["b.jpg"]
    (tmp_path / "list").write_text("in/a.jpg\r\nin/gone.jpg\n\n")
    ran = process("batch", "--files-from", "list", "-o", "out", "--json")
    assert ran.returncode == 1
    assert (tmp_path / "out/in/a.jpg").exists()
    assert b"mirnet: in/gone.jpg: no such file" in ran.stderr
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfin/a.jpg\r\n")
    assert process("batch", "--files-from", "list", "-o", "new").returncode == 0
    assert process("batch", "--files-from", "list").returncode == 2
    assert process("batch", "in", "--files-from", "nothing").returncode == 1


def test_a_full_disk_stops_at_once(mirnet: Mirnet) -> None:
    photos("in/a.jpg", "in/b.jpg", "in/c.jpg")
    Path("in/b.jpg").write_text("FULL")
    ran = mirnet("batch", "in", "--json")
    assert ran.code == 1
    assert statuses(ran) == {"in/a.jpg": "done", "in/b.jpg": "failed", "in/c.jpg": "skipped"}
    assert "mirnet: 1 photo was not started: the disk is full" in ran.err


def test_time_that_is_over(mirnet: Mirnet) -> None:
    photos("in/a.jpg")
    ran = mirnet("batch", "in", "--max-time", "0.000001", "--json")
    assert ran.code == 1
    assert statuses(ran) == {"in/a.jpg": "skipped"}


def test_shards_are_disjoint_and_complete(mirnet: Mirnet) -> None:
    photos(*(f"in/{n}.jpg" for n in range(9)))
    found = [statuses(mirnet("batch", "in", "--shard", f"{n}/3", "--json")) for n in (1, 2, 3)]
    assert sorted(name for each in found for name in each) == [f"in/{n}.jpg" for n in range(9)]
    assert mirnet("batch", "in", "--quiet").code == 0


def test_missing_weights_come_before_any_work(mirnet: Mirnet) -> None:
    photos("in/a.jpg")
    assert mirnet("batch", "in", "--model", "missing").code == 3
    assert not Path("in-enhanced").exists()


@pytest.mark.skipif(os.name == "nt", reason="links and FIFOs of POSIX")
def test_odd_things_in_a_folder(mirnet: Mirnet) -> None:
    photos("in/a.jpg")
    os.mkfifo("in/fifo.jpg")
    Path("in/gone.jpg").symlink_to("nowhere")
    Path("in/loop").symlink_to(".")
    ran = mirnet("batch", "in", "--recursive", "--json")
    assert ran.code == 1
    assert statuses(ran) == {
        "in/a.jpg": "done",
        "in/fifo.jpg": "failed",
        "in/gone.jpg": "failed",
    }


def test_the_scale_is_that_of_the_model(mirnet: Mirnet) -> None:
    photos("in/a.jpg")
    assert mirnet("batch", "in", "--task", "upscale", "--model", "upscale-x1").code == 0
    assert Path("in-x1/a.jpg").read_text() == "upscale 1:photo"
    assert mirnet("batch", "in", "--task", "upscale", "--model", "upscale").code == 0
    assert Path("in-x2/a.jpg").read_text() == "upscale 2:photo"


def test_a_dry_run_says_what_is_wrong_where_there_is_no_remedy(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet_cli.cli import dry_run

    def refuse(*_: object) -> None:
        raise InputError("is odd", subject="in/a.jpg")

    photos("in/a.jpg")
    monkeypatch.setattr(dry_run, "_measured", refuse)
    ran = mirnet("batch", "in", "--dry-run")
    assert (ran.code, ran.out.endswith(": is odd)\n")) == (1, True)


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_the_journal_is_read_once(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    from mirnet_cli.batches import journal

    photos("in/a.jpg")
    assert mirnet("batch", "in").code == 0
    read: list[Path] = []
    known = journal._lines
    monkeypatch.setattr(journal, "_lines", lambda path: read.append(path) or known(path))
    assert mirnet("batch", "in", *words).code == 0
    assert len(read) == 1


def test_a_scale_set_for_all_commands_concerns_upscale_alone(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNET_SCALE", "3")
    Path("in").mkdir()
    Path("in/a.jpg").write_text("photo")
    assert mirnet("batch", "in", "--task", "denoise").code == 0
    assert mirnet("batch", "in", "--task", "upscale", "-o", "large").code == 0
    assert Path("large/a.jpg").read_text().startswith("upscale 3:")
    assert mirnet("batch", "in", "--task", "denoise", "--scale", "3").code == 2


def test_steps_are_done_shown_and_remembered(
    real: Callable[..., Ran], shipped: Callable[..., Model], tmp_path: Path
) -> None:
    shipped("denoise", ("denoise",), network=tiny_network(3))
    shipped("enhance", ("enhance",), task="enhance", network=tiny_network(9))
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), (90, 60, 30)).save(tmp_path / "in" / name)
    words = ("batch", "in", "--task", "denoise", "--then", "enhance:0.5", "--json")
    shown = [json.loads(line) for line in real(*words, "--dry-run").out.splitlines()]
    assert [each["task"] for each in shown[0]["steps"]] == ["denoise", "enhance"]
    assert shown[0]["steps"][1]["options"] == {"strength": 0.5}
    assert "denoise, enhance strength 0.5: 40x30" in real(*words[:-1], "--dry-run").out
    ran = real(*words)
    assert ran.code == 0
    done = [json.loads(line) for line in ran.out.splitlines()]
    assert [len(each["steps"]) for each in done] == [2, 2]
    into = tmp_path / "in-denoised-enhanced"
    alone = (into / "a.png").read_bytes()
    assert set(statuses(real(*words)).values()) == {"skipped"}
    # Another strength of the second step makes another result.
    again = ("--then", "enhance:0.2", "--json", "--overwrite", "-o", str(into))
    assert set(statuses(real(*words[:4], *again)).values()) == {"done"}
    assert (into / "a.png").read_bytes() != alone
    # Other processes do not have this catalogue.
    files = [str(tmp_path / "weights" / f"{name}.safetensors") for name in ("denoise", "enhance")]
    then = f"enhance:0.5,weights={files[1]}"
    jobs = ("batch", "in", "--task", "denoise", "--weights", files[0], "--then", then)
    assert real(*jobs, "-o", "two", "--jobs", "2").code == 0
    assert (tmp_path / "two" / "a.png").read_bytes() == alone


def test_what_cannot_be_read_here_is_told_by_kind(
    mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not passed over: counted, named with the remedy, in the exit code; done once it can be."""
    from mirnet_cli import extras
    from mirnet_cli.photo import formats

    gone = {"pillow_heif", "imagecodecs", "rawpy"}
    is_here = formats._is_here
    monkeypatch.setattr(formats, "_is_here", lambda name: name not in gone and is_here(name))
    readable = {"." + each for each in ("heic", "heif", "hif", "jxl", "nef", "cr3")}
    kept = {k: v for k, v in formats.EXTENSIONS.items() if k not in readable}
    monkeypatch.setattr(formats, "EXTENSIONS", kept)
    photos(*(f"in/{name}" for name in ("a.jpg", "b.HEIC", "c.heic", "d.nef", "e.psd", "f.jxl")))
    photos(*(f"in/{name}" for name in ("notes.txt", "drawing.svg", "movie.mov", "a.xmp")))
    ran = mirnet("batch", "in", "--json", "-o", "out")
    assert ran.code == 1
    found = {line["input"]: line for line in map(json.loads, ran.out.splitlines())}
    assert {name for name, line in found.items() if line["reason"] == "unreadable"} == {
        f"in/{name}" for name in ("b.HEIC", "c.heic", "d.nef", "e.psd", "f.jxl")
    }
    assert extras.remedy("pillow_heif") in found["in/c.heic"]["error"]
    assert len(found) == 6
    heic = "2 HEIC files cannot be read here (b.HEIC, c.heic): HEIC needs pillow-heif; "
    assert f"mirnet: {heic}{extras.remedy('pillow_heif')}" in ran.err.splitlines()
    assert "1 camera RAW file cannot be read here (d.nef)" in ran.err
    assert "1 Photoshop file cannot be read here (e.psd): mirnet does not read" in ran.err
    assert "unreadable" in ran.err
    dry = mirnet("batch", "in", "--dry-run", "--json", "-o", "out")
    assert dry.code == 1
    assert [json.loads(each)["reason"] for each in dry.out.splitlines()].count("unreadable") == 5


def test_a_folder_of_nothing_else(mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch) -> None:
    photos("in/a.psd")
    ran = mirnet("batch", "in", "--quiet")
    assert ran.code == 1
    assert ran.said.startswith("mirnet: 1 Photoshop file cannot be read here (a.psd): ")


def test_what_is_included_and_nothing_reads(mirnet: Mirnet) -> None:
    photos("in/a.jpg", "in/b.txt", "in/c.txt")
    assert mirnet("batch", "in", "-o", "out").code == 0
    ran = mirnet("batch", "in", "-o", "out", "--include", "*.jpg", "--include", "b.*")
    assert ran.code == 1
    assert "1 TXT file cannot be read here (b.txt)" in ran.err
    assert mirnet("batch", "in", "-o", "out", "--include", "*", "--exclude", "*.txt").code == 0


def test_outcomes_say_what_happened(mirnet: Mirnet) -> None:
    photos("in/a.jpg", "in/b.jpg")
    assert mirnet("batch", "in").code == 0
    photos("in/c.jpg")
    ran = mirnet("batch", "in", "--json", "--max-time", "0.000001s")
    told = {
        line["input"]: (line["status"], line["reason"])
        for line in map(json.loads, ran.out.splitlines())
    }
    assert told == {
        "in/a.jpg": ("skipped", "done before"),
        "in/b.jpg": ("skipped", "done before"),
        "in/c.jpg": ("skipped", "not started"),
    }
    assert ran.code == 1
    assert "done before" in ran.err
    assert "not started" in ran.err
    assert "skipped" not in ran.err


def test_the_table_fits_a_terminal(mirnet: Mirnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    photos("in/a.jpg", "in/b.psd")
    assert mirnet("batch", "in", "--quiet").code == 1
    photos("in/c.jpg", "in/d.jpg")
    Path("in/d.jpg").write_text("BAD")
    assert mirnet("batch", "in", "--quiet").code == 1
    photos("in/e.jpg")
    ran = mirnet("batch", "in", "--max-time", "0.000001s")
    table = [line for line in ran.err.splitlines() if line[:1] in "┏┃┡│└"]
    assert max(map(len, table)) <= 80
    assert "…" not in "".join(table)
    for word in ("found", "before", "started", "unreadable", "failed", "megapixels"):
        assert word in "".join(table)
