"""What a person at a terminal sees."""

import os
import sys
import threading
from contextlib import suppress

import pytest

from mirnet_cli.cli.console import Console
from mirnet_cli.files import REFUSED

ERASED = "\x1b[2K"


def test_a_photo_that_is_begun_again_is_counted_once() -> None:
    display = Console().display(files=2)
    for name in ("a.jpg", "a.jpg", "b.jpg"):
        display.start(name)
    assert display._detail("reading") == "reading, photo 2 of 2"


def test_data_has_lines_of_its_own_beside_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty")
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    read: list[bytes] = []

    def listen() -> None:
        # Linux ends what the last writer has closed with an error.
        with suppress(OSError):
            while data := os.read(ours, 1 << 16):
                read.append(data)

    # Who writes to a terminal that nobody reads has to wait.
    reader = threading.Thread(target=listen, daemon=True)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        console = Console(json=True)
        with console.display(files=2) as display:
            display.start("a.jpg")
            console.data("28.23")
            console.record({"psnr": 1})
    reader.join(10)
    os.close(ours)
    said = b"".join(read).decode()
    for line in ("28.23", '{"psnr": 1}'):
        before, _, after = said.partition(line)
        assert before.endswith(ERASED), repr(before)
        assert after.startswith("\r\n")
    assert said.endswith(ERASED), repr(said)


def test_what_a_disk_lacks_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for name in ("a.jpg", "b.jpg"):
        console.warn(name, f"{REFUSED[0]}keep times; the file itself is whole")
        console.warn(name, "its depth is not kept")
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": warning: ")[0] for line in said] == [
        *("mirnet: a.jpg", "mirnet: a.jpg", "mirnet: b.jpg")
    ]
