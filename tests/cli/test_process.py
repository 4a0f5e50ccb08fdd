"""``mirnet`` as a process: signals, pipes that close, terminals, full disks."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Process, command

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX")


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running(subprocess.Popen[bytes]):
    """A process that does not outlive a test that failed."""

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)  # type: ignore[arg-type]


def start(folder: Path, *words: str, **more: object) -> Running:
    return Running(  # type: ignore[call-overload,no-any-return]
        command(*words),
        # A shell's background jobs are started with Ctrl-C ignored; these must not inherit that.
        preexec_fn=None if os.name == "nt" else _heed_ctrl_c,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **more,
        },
    )


@POSIX
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
)
def test_signals_leave_whole_files_or_none(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_text("photo")
    (tmp_path / "in/b.jpg").write_text("SLOW")
    with start(tmp_path, "batch", "in", "-o", "out") as running:
        until(lambda: (tmp_path / "out/a.jpg").exists())
        time.sleep(0.3)
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert running.returncode == code
    assert b"mirnet: stopped; files already written are whole" in said
    assert b"Traceback" not in said
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == [".mirnet-journal.jsonl", "a.jpg"]


@POSIX
@pytest.mark.parametrize("content", ["DECODER", "COMPUTER", "ENCODER"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "words",
    [
        ["denoise", "in/a.jpg", "in/b.jpg"],
        ["batch", "in"],
        ["batch", "in", "--jobs", "2"],
        ["batch", "in", "--watch"],
    ],
    ids=" ".join,
)
def test_signals_do_not_wait_for_libraries(
    tmp_path: Path, content: str, number: int, words: list[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "in" / name).write_text(content)
    with start(tmp_path, *words, "-o", "out/", "--json") as running:
        until((tmp_path / "begun").exists)
        for _ in range(2):
            # As timeout(1) does: to the process, and to its group.
            running.send_signal(number)
        # What is at work takes a minute.
        out, said = running.communicate(timeout=20)
    assert running.returncode == (130 if number == signal.SIGINT else 143)
    lines = said.decode().splitlines()
    assert lines[-1] == "mirnet: stopped; files already written are whole"
    assert b"Traceback" not in said
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".mirnet-journal.jsonl"}
    records = [json.loads(line) for line in out.splitlines()]
    assert [each["reason"] for each in records] == ["not started"] * 2
    if words[0] == "batch":
        left = "2 photos were not started: the run was stopped; run again to continue"
        assert f"mirnet: {left}" in lines
        assert "results in out" in lines


def test_ctrl_c_at_an_awkward_moment(process: Process, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("INTERRUPT")
    assert process("denoise", "a.jpg").returncode == 130


@POSIX
def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("photo")
    ran = subprocess.run(
        ["sh", "-c", 'trap "" HUP; kill -HUP $$; exec "$@"', "sh", *command("denoise", "a.jpg")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0


@POSIX
def test_a_reader_that_goes_away_is_no_reason_for_words(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo" * 100_000)
    reader, writer = os.pipe()
    with start(tmp_path, "denoise", "a.jpg", "-o", "-", "--quiet", stdout=writer) as running:
        os.close(writer)
        os.close(reader)
        _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (1, b"")


@POSIX
def test_help_into_a_closed_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with start(tmp_path, "--help", stdout=writer) as running:
        os.close(writer)
        os.close(reader)
        _, said = running.communicate(timeout=30)
    assert said == b""


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_endless_input(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with (
        Path("/dev/zero").open("rb") as endless,
        subprocess.Popen(["cat"], stdin=endless, stdout=writer, stderr=subprocess.DEVNULL) as cat,
        start(tmp_path, "denoise", "--json", "-o", "a.jpg", stdin=reader) as running,
    ):
        os.close(writer)
        os.close(reader)
        out, said = running.communicate(timeout=30)
        cat.kill()
    assert running.returncode == 1
    assert said.startswith(b"mirnet: standard input: not a picture")
    assert b'"status": "failed"' in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    with (
        Path("/dev/full").open("wb") as full,
        start(tmp_path, "denoise", "a.jpg", "-o", "-", stdout=full) as running,
    ):
        _, said = running.communicate(timeout=30)
    assert running.returncode == 1
    assert said.count(b"\n") == 1
    assert b"no space left" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_records_on_a_full_disk(tmp_path: Path) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        start(tmp_path, "models", "list", "--json", stdout=full) as running,
    ):
        _, said = running.communicate(timeout=30)
    assert running.returncode == 1
    assert said == b"mirnet: no space is left on a disk; free some\n"


@POSIX
def test_a_terminal_shows_progress_and_gets_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    code, seen = at_terminal(tmp_path, "denoise", "a.jpg")
    assert code == 0
    assert b"writing" in seen
    code, seen = at_terminal(tmp_path, "denoise", "a.jpg", "-o", "-")
    assert code == 2
    assert b"mirnet: a picture would go to the terminal; name a file with -o" in seen


@POSIX
@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"])
def test_no_progress_and_no_escapes_in_a_pipe(process: Process, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    ran = process("denoise", "a.jpg", env={name: "1"})
    assert ran.returncode == 0
    assert b"tile" not in ran.stderr
    assert b"\x1b" not in ran.stderr
    assert ran.stderr.count(b"\n") == 1
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(b"photo")
    assert b"tile" not in process("batch", "in", env={name: "1"}).stderr


def test_a_locale_without_utf8(process: Process, tmp_path: Path) -> None:
    (tmp_path / "é[b].jpg").write_bytes(b"BAD")
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = process("denoise", "é[b].jpg", "--json", env=env)
    assert ran.returncode == 1
    assert ran.stdout.isascii()
    assert ran.stderr.count(b"\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_help_in_a_narrow_encoding(process: Process, encoding: str) -> None:
    ran = process("denoise", "--help", env={"PYTHONIOENCODING": f"{encoding}:strict"})
    assert ran.returncode == 0, ran.stderr
    assert b"--overwrite" in ran.stdout


@POSIX
def test_streams_that_the_caller_closed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("photo")

    def shell(words: str) -> tuple[int, bytes]:
        ran = subprocess.run(
            ["sh", "-c", f"{shlex.join(command())} {words}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        return ran.returncode, ran.stderr

    assert shell("denoise a.jpg --json >&-")[0] == 0
    assert shell("denoise a.jpg -o - >&-") == (
        2,
        b"mirnet: standard output is closed; name a file with -o\n",
    )
    assert shell("denoise <&-")[0] == 2
    code, said = shell("batch --files-from - -o out <&-")
    assert code == 2
    assert b"standard input is closed" in said


def test_as_a_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mirnet_cli", "--version"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    from mirnet_cli import __version__

    assert ran.stdout == f"mirnet {__version__}\n"


def until(true: object, seconds: float = 30.0) -> None:
    """Wait until a function returns something true."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def at_terminal(folder: Path, *words: str) -> tuple[int, bytes]:
    """Run with a terminal as standard output and standard error; return code and what it shows."""
    import pty

    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command(*words), cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as running:
        os.close(theirs)
        seen = bytearray()
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    os.close(ours)
    return running.returncode, bytes(seen)


@POSIX
def test_threads_of_pools_do_not_hold_a_process_that_was_stopped(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, threading, time; from mirnet_cli.cli import process\n"
        "def work(*_):\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
        "process._run = work\n"
        "sys.exit(process.main())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, timeout=30, stderr=subprocess.PIPE
    )
    assert ran.returncode == 143
    assert ran.stderr == b"mirnet: stopped; files already written are whole\n"


@POSIX
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    program = (
        "import os; from mirnet_cli.cli import process\n"
        "process._run = lambda *_: os.write(os.open('said', os.O_CREAT | os.O_WRONLY), b'ok')\n"
        "process.main([]); os.write(2, b'a library complains')"
    )
    closed = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} <&- >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-c", closed], cwd=tmp_path, env=environment, timeout=60, check=True)
    assert (tmp_path / "said").read_bytes() == b"ok"


@POSIX
def test_processes_that_are_started_have_their_streams_where_the_caller_closed_them() -> None:
    program = (
        "import subprocess, sys; from mirnet_cli.cli import process\n"
        "seen = [sys.executable, '-c', 'import os; [os.fstat(number) for number in range(3)]']\n"
        "process._run = lambda *_: subprocess.call(seen)\n"
        "sys.exit(process.main([]))"
    )
    closed = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} <&- >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-c", closed], env=environment, timeout=60, check=True)


def test_a_photo_command_ends_at_once_with_its_code_and_what_was_to_be_done(tmp_path: Path) -> None:
    script = (
        "import atexit, sys\n"
        "class Late:\n"
        "    def __del__(self):\n"
        "        print('taken apart')\n"
        "late = Late()\n"
        "atexit.register(print, 'at exit')\n"
        "sys.argv = ['mirnet', {task!r}, 'missing.jpg']\n"
        "from mirnet_cli.cli import main\n"
        "sys.exit(main())\n"
    )
    for task, said in (("denoise", ["at exit"]), ("compare", ["at exit", "taken apart"])):
        ran = subprocess.run(
            [sys.executable, "-c", script.format(task=task)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
        )
        assert ran.stdout.splitlines() == said, ran.stderr
        assert ran.returncode in (1, 2)
        assert ran.stderr.startswith("mirnet: ")
