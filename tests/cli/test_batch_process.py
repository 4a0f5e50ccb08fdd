"""``mirnet batch`` as a process that is stopped, killed, left alone by its reader, or run twice."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.models import weights
from tests.cli.conftest import ROOT
from tests.cli.test_process import start, until
from tests.models.builders import some_weights, tiny_network

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def photos(folder: Path, **contents: str) -> None:
    (folder / "in").mkdir()
    for name, content in contents.items():
        (folder / "in" / f"{name}.jpg").write_text(content)


def told(out: bytes) -> dict[str, str]:
    lines = [json.loads(line) for line in out.splitlines()]
    found = {Path(line["input"]).name: line["status"] for line in lines}
    assert len(found) == len(lines)
    return found


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
)
def test_a_stopped_batch_tells_of_every_photo(tmp_path: Path, number: int, code: int) -> None:
    photos(tmp_path, a="1", b="LONG", c="SLOW", d="4", e="5")
    with start(tmp_path, "batch", "in", "-o", "out", "--json") as running:
        until(lambda: (tmp_path / "out/b.jpg").exists())
        running.send_signal(number)
        out, said = running.communicate(timeout=30)
    assert running.returncode == code
    assert told(out) == {
        "a.jpg": "done",
        "b.jpg": "done",
        **dict.fromkeys(("c.jpg", "d.jpg", "e.jpg"), "skipped"),
    }
    assert b"mirnet: 3 photos were not started: the run was stopped; run again to continue" in said


def test_a_reader_that_goes_away_ends_a_batch_without_a_word(tmp_path: Path) -> None:
    photos(tmp_path, a="1", b="2")
    reader, writer = os.pipe()
    with start(tmp_path, "batch", "in", "--json", "--quiet", stdout=writer) as running:
        os.close(writer)
        os.close(reader)
        _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (1, b"")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fakes", "batch", "in"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
    )
    assert ran.returncode == 0


def test_two_at_once(tmp_path: Path) -> None:
    photos(tmp_path, a="1", b="SLOW")
    with start(tmp_path, "batch", "in", "-o", "out") as first:
        until(lambda: (tmp_path / "out/a.jpg").exists())
        with start(tmp_path, "batch", "in", "-o", "out") as second:
            out, said = second.communicate(timeout=30)
        assert (second.returncode, out) == (1, b"")
        assert said.startswith(b"mirnet: out: another batch is writing here (process ")
        assert f"process {first.pid} on".encode() in said
        assert said.count(b"\n") == 1
        first.kill()
    (tmp_path / "in/b.jpg").write_text("2")
    with start(tmp_path, "batch", "in", "-o", "out") as third:
        third.communicate(timeout=30)
    assert third.returncode == 0


def test_watching_a_folder(tmp_path: Path) -> None:
    def picture(shade: int) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", (60, 40), (shade, 80, 70)).save(stream, "PNG")
        return stream.getvalue()

    (tmp_path / "in").mkdir()
    old = tmp_path / "in/a.png"
    old.write_bytes(picture(1))
    os.utime(old, (1, 1))
    words = ("batch", "in", "-o", "out", "--watch", "--json", "--exclude", "x*")
    with start(tmp_path, *words) as running:
        until(lambda: (tmp_path / "out/a.png").exists())
        data = picture(2)
        (tmp_path / "in/x.png").write_bytes(data)
        with (tmp_path / "in/b.png").open("wb") as growing:
            growing.write(data[:60])
            growing.flush()
            time.sleep(2.5)
            assert not (tmp_path / "out/b.png").exists()
            growing.write(data[60:])
        until(lambda: (tmp_path / "out/b.png").exists())
        (tmp_path / "in/.part").write_bytes(picture(3))
        (tmp_path / "in/.part").rename(tmp_path / "in/c.png")
        until(lambda: (tmp_path / "out/c.png").exists())
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert told(out) == dict.fromkeys(("a.png", "b.png", "c.png"), "done")
    assert b"watching in; Ctrl-C stops" in said
    assert not (tmp_path / "out/x.png").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_watching_ends_with_the_code_of_the_signal(tmp_path: Path, number: int) -> None:
    photos(tmp_path, a="1")
    os.utime(tmp_path / "in/a.jpg", (1, 1))
    with start(tmp_path, "batch", "in", "-o", "out", "--watch") as running:
        until(lambda: (tmp_path / "out/a.jpg").exists())
        time.sleep(0.3)
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert running.returncode == 143
    assert b"mirnet: stopped; files already written are whole" in said


def test_watching_ends_when_the_time_is_over(tmp_path: Path) -> None:
    photos(tmp_path, a="1")
    os.utime(tmp_path / "in/a.jpg", (1, 1))
    with start(tmp_path, "batch", "in", "-o", "out", "--watch", "--max-time", "4s") as running:
        running.communicate(timeout=60)
    assert running.returncode == 0
    assert (tmp_path / "out/a.jpg").exists()


def survives(
    folder: Path, command: list[str], kills: int, wanted: dict[str, bytes], longest: float
) -> None:
    """Kill a batch at random moments: nothing half-written, nothing lost, the rerun completes."""
    draw = random.Random(5)
    out = folder / "out"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(kills):
        if out.exists() and all((out / name).exists() for name in wanted):
            # All done before it was killed: begin again.
            for path in out.iterdir():
                path.unlink()
        there = {path.name for path in out.glob("*.*")} if out.exists() else set()
        with subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            until(lambda: (out / ".mirnet-journal.jsonl").exists() or running.poll() is not None)
            time.sleep(draw.random() * longest)
            running.kill()
        now = {path.name: path.read_bytes() for path in out.iterdir()}
        now.pop(".mirnet-journal.jsonl", None)
        assert there - {".mirnet-journal.jsonl"} <= set(now), "a result was lost"
        for name, data in now.items():
            assert data == wanted[name], f"{name} is not whole"
    ran = subprocess.run(
        [*command, "--json"], cwd=folder, env=env, capture_output=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert set(told(ran.stdout).values()) <= {"done", "skipped"}
    assert set(told(ran.stdout)) == set(wanted)
    for name, data in wanted.items():
        assert (out / name).read_bytes() == data


def test_killed_at_random_moments(tmp_path: Path) -> None:
    names = [f"{letter}.jpg" for letter in "abcdef"]
    contents = {name: ("WAIT" if n % 2 else "LONG") + name for n, name in enumerate(names)}
    photos(tmp_path, **{name.removesuffix(".jpg"): text for name, text in contents.items()})
    wanted = {name: f"denoise 1:{text}".encode() for name, text in contents.items()}
    command = [sys.executable, "-m", "tests.fakes", "batch", "in", "-o", "out", "--task", "denoise"]
    survives(tmp_path, command, 5, wanted, 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_a_hundred_times_at_random_moments(tmp_path: Path, jobs: int) -> None:
    small = tmp_path / "tiny.safetensors"
    weights.save(small, some_weights(network=tiny_network(3)))
    (tmp_path / "in").mkdir()
    draw = np.random.default_rng(0)
    for n in range(12):
        pixels = draw.integers(0, 256, (300, 400, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{n}.{'png' if n % 2 else 'jpg'}")
    command = [sys.executable, "-m", "mirnet_cli", "batch", "in", "--task", "denoise"]
    command += ["--weights", str(small)]
    subprocess.run(
        [*command, "-o", "whole"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("[!.]*")}
    assert len(wanted) == 12
    command += ["-o", "out", "--jobs", str(jobs)]
    survives(tmp_path, command, 100 if jobs == 1 else 10, wanted, 1.0 if jobs == 1 else 3.0)
