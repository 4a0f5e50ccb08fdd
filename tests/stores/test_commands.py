"""``mirnet`` with addresses in place of files, as people use it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mirnet_cli import extras, objects
from tests.cli.conftest import Mirnet, Process, command, mirnet, process
from tests.cli.test_process import until
from tests.stores.conftest import BUCKET, SECRET, Bucket
from tests.stores.proxy import Proxy

ROOT = Path(__file__).parents[2]
S3 = f"s3://{BUCKET}"

__all__ = ["mirnet", "process"]


def test_from_a_bucket_to_a_bucket(mirnet: Mirnet, bucket: Bucket) -> None:
    bucket["in/a.jpg"] = b"photo"
    ran = mirnet("denoise", f"{S3}/in/a.jpg", "-o", f"{S3}/out/")
    assert (ran.code, bucket["out/a.jpg"]) == (0, b"denoise 1:photo"), ran.err
    assert ran.said == f"{S3}/in/a.jpg -> {S3}/out/a.jpg (0.5 MP, 0.1 s)"
    assert mirnet("denoise", f"{S3}/in/a.jpg").code == 0
    assert bucket["in/a-denoised.jpg"] == b"denoise 1:photo"
    # A prefix that has objects is a folder, and a name that has none is a file's.
    assert mirnet("enhance", f"{S3}/in/a.jpg", "-o", f"{S3}/out").code == 1
    assert mirnet("enhance", f"{S3}/in/a.jpg", "-o", f"{S3}/new").code == 0
    assert bucket["new"] == b"enhance 1:photo"


def test_between_here_and_there(mirnet: Mirnet, bucket: Bucket, tmp_path: Path) -> None:
    bucket["a.jpg"] = b"photo"
    (tmp_path / "b.jpg").write_bytes(b"mine")
    assert mirnet("denoise", f"{S3}/a.jpg", "b.jpg", "-o", "out/").code == 0
    assert (tmp_path / "out/a.jpg").read_bytes() == b"denoise 1:photo"
    assert mirnet("denoise", "b.jpg", "-o", f"{S3}/up.jpg").code == 0
    assert bucket["up.jpg"] == b"denoise 1:mine"


def test_an_output_that_exists_is_refused(mirnet: Mirnet, bucket: Bucket) -> None:
    bucket["a.jpg"], bucket["b.jpg"] = b"photo", b"old"
    ran = mirnet("denoise", f"{S3}/a.jpg", "-o", f"{S3}/b.jpg")
    assert (ran.code, bucket["b.jpg"]) == (1, b"old")
    assert "exists already; use --overwrite" in ran.said
    assert mirnet("denoise", f"{S3}/a.jpg", "-o", f"{S3}/b.jpg", "--overwrite").code == 0
    assert bucket["b.jpg"] == b"denoise 1:photo"
    assert mirnet("denoise", f"{S3}/a.jpg", "-o", f"{S3}/a.jpg").code == 2


def test_from_the_web(mirnet: Mirnet, site: Proxy, tmp_path: Path) -> None:
    site.files["/x/my%20photo.jpg"] = b"photo"
    address = f"{site.address}/x/my%20photo.jpg"
    ran = mirnet("denoise", f"{address}?X-Amz-Signature=secret", "-o", "out/", "--json")
    assert ran.code == 0, ran.err
    assert (tmp_path / "out/my photo.jpg").read_bytes() == b"denoise 1:photo"
    assert json.loads(ran.out)["input"] == address
    assert "secret" not in ran.out + ran.err
    refused = mirnet("denoise", address)
    assert refused.code == 2
    assert "http:// is only read; name another output with -o" in refused.said
    nameless = mirnet("denoise", site.address, "-o", "out/")
    assert nameless.code == 2


def test_one_that_fails_does_not_stop_the_others(
    mirnet: Mirnet, bucket: Bucket, tmp_path: Path
) -> None:
    bucket["a.jpg"], bucket["b.jpg"] = b"photo", b"photo"
    names = [f"{S3}/a.jpg", f"{S3}/none.jpg", "s3://nosuchbucket/c.jpg", f"{S3}/b.jpg"]
    ran = mirnet("denoise", *names, "-o", "out/")
    assert ran.code == 1
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["a.jpg", "b.jpg"]
    assert f"mirnet: {S3}/none.jpg: no such object; check the name" in ran.err.splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["denoise", "foo://a/b.jpg"], "not a known store"),
        (["denoise", "gs://a/b.jpg"], "gs:// needs gcsfs, which is not installed; "),
        (["denoise", "a.jpg", "-o", "https://h/"], "https:// is only read"),
        (["denoise", "file://photos/a.jpg"], "names another machine"),
        (["denoise", "s3://"], "names no bucket"),
        (["batch", "https://h/x"], "a web address is not a folder"),
        (["batch", S3], "no folder for the results; name one with -o"),
        (["batch", S3, "-o", "https://h/x"], "only read"),
        (["batch", S3, "-o", "o", "--watch"], "--watch: does not go with s3://"),
        (["batch", S3, "-o", "o", "--report", "r.html"], "--report: does not go with s3://"),
    ],
)
def test_wrong_usage(mirnet: Mirnet, bucket: Bucket, words: list[str], said: str) -> None:
    bucket["a.jpg"] = b"photo"
    ran = mirnet(*words)
    assert ran.code == 2
    assert said in ran.said


WITHOUT = """
import sys
for name in {missing!r}: sys.modules[name] = None
from mirnet_cli.cli import main
sys.exit(main(["denoise", "s3://photos/a.jpg", "-o", "x.jpg"]))
"""


@pytest.mark.parametrize("missing", ["s3fs", "fsspec"])
def test_without_the_extra(tmp_path: Path, missing: str) -> None:
    script = WITHOUT.format(missing=[missing])
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == (
        f"mirnet: s3://photos/a.jpg: s3:// needs {missing}, which is not installed; "
        f"{extras.remedy(missing)}\n"
    )


def test_a_path_imports_nothing_of_stores(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    script = (
        "import sys\nfrom mirnet_cli import restore\nfrom tests.fakes import Restorer, load\n"
        "restore.__dict__.update(Restorer=Restorer, load=load)\n"
        "from mirnet_cli.cli import main\n"
        "main(['denoise', 'a.jpg'])\nmain(['batch', '.', '-o', 'out'])\n"
        "assert not {'fsspec', 's3fs', 'aiohttp', 'botocore'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert (tmp_path / "out/a.jpg").exists()


def test_nothing_secret_is_said(process: Process, bucket: Bucket) -> None:
    bucket["a.jpg"] = b"photo"
    environment = {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    ran = process("denoise", f"{S3}/a.jpg", "-o", "x.jpg", "--verbose", env=environment)
    assert ran.returncode == 1
    assert SECRET.encode() not in ran.stderr + ran.stdout


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "on", "size"),
    [
        (signal.SIGKILL, "PUT", 1 << 20),
        (signal.SIGKILL, "PART", 20 << 20),
        pytest.param(signal.SIGINT, "PART", 20 << 20, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "PUT", 1 << 20, marks=pytest.mark.slow),
    ],
)
def test_a_killed_upload_leaves_nothing_under_the_name(
    mirnet: Mirnet, tmp_path: Path, proxy: Proxy, bucket: Bucket, number: int, on: str, size: int
) -> None:
    (tmp_path / "a.jpg").write_bytes(os.urandom(size))
    proxy.held.clear()
    proxy.misbehave("hold", on)
    words = ("denoise", "a.jpg", "-o", f"{S3}/out.jpg")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MIRNET_STORE_TIMEOUT": "30"}
    with subprocess.Popen(command(*words), cwd=tmp_path, env=environment, stderr=-1) as running:
        assert proxy.held.wait(30)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert running.returncode == codes[signal.Signals(number)]
    assert b"Traceback" not in said
    assert "out.jpg" not in bucket
    proxy.misbehave("")
    assert mirnet(*words).said.startswith("a.jpg -> ")
    assert len(bucket["out.jpg"]) == size + len(b"denoise 1:")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_batch_is_stopped_while_the_store_is_silent(
    tmp_path: Path, proxy: Proxy, bucket: Bucket
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "in" / name).write_text("photo")
    proxy.held.clear()
    proxy.misbehave("hold", "PUT")
    words = ("batch", "in", "-o", f"{S3}/done", "--json")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MIRNET_STORE_TIMEOUT": "60"}
    with subprocess.Popen(
        command(*words), cwd=tmp_path, env=environment, stdout=-1, stderr=-1
    ) as running:
        assert proxy.held.wait(30)
        running.send_signal(signal.SIGTERM)
        out, said = running.communicate(timeout=20)
    assert running.returncode == 143
    assert [json.loads(line)["reason"] for line in out.splitlines()] == ["not started"] * 2
    assert b"2 photos were not started" in said
    assert said.endswith(b"mirnet: stopped; files already written are whole\n")
    assert not any(f"done/{name}" in bucket for name in ("a.jpg", "b.jpg"))


def told(out: str) -> dict[str, str]:
    lines = [json.loads(line) for line in out.splitlines()]
    return {line["input"].removeprefix(f"{S3}/"): line["status"] for line in lines}


def test_a_batch_between_prefixes(mirnet: Mirnet, bucket: Bucket, tmp_path: Path) -> None:
    keys = ("a.jpg", "sub/b.jpg", "sub/BAD.png")
    for key in (*keys, "notes.txt", ".hidden/c.jpg", "x//d.jpg", "y/../e.jpg", "clean/old.jpg"):
        bucket[f"scans/{key}"] = b"BAD" if "BAD" in key else key.encode()
    words = ("batch", f"{S3}/scans", "-o", f"{S3}/scans/clean", "--task", "denoise", "-r", "--json")
    odd = {"scans/x//d.jpg": "failed", "scans/y/../e.jpg": "failed"}
    ran = mirnet(*words)
    assert ran.code == 1
    done = {"scans/a.jpg": "done", "scans/sub/b.jpg": "done", "scans/sub/BAD.png": "failed"}
    assert told(ran.out) == {**done, **odd}
    assert bucket["scans/clean/sub/b.jpg"] == b"denoise 1:sub/b.jpg"
    again = told(mirnet(*words).out)
    assert list(again.values()).count("skipped") == 2
    # What another machine would know.
    for each in (tmp_path / "cache").rglob("*.jsonl"):
        each.unlink()
    bucket["scans/sub/b.jpg"] = b"changed"
    elsewhere = told(mirnet(*words).out)
    assert elsewhere == {
        **odd,
        "scans/a.jpg": "skipped",
        "scans/sub/b.jpg": "failed",
        "scans/sub/BAD.png": "failed",
    }
    assert told(mirnet(*words, "--overwrite").out)["scans/sub/b.jpg"] == "done"
    assert bucket["scans/clean/sub/b.jpg"] == b"denoise 1:changed"


def test_a_batch_between_here_and_there(mirnet: Mirnet, bucket: Bucket, tmp_path: Path) -> None:
    bucket["scans/a.jpg"] = b"there"
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b.jpg").write_bytes(b"here")
    assert mirnet("batch", f"{S3}/scans", "-o", "down", "--include", "a*").code == 0
    assert (tmp_path / "down/a.jpg").read_bytes() == b"enhance 1:there"
    assert mirnet("batch", "in", "-o", f"{S3}/up").code == 0
    assert bucket["up/b.jpg"] == b"enhance 1:here"
    assert "up/.mirnet-journal.jsonl" in bucket
    (tmp_path / "list").write_text(f"{S3}/scans/a.jpg\nin/b.jpg\n{S3}/none.jpg\n")
    ran = mirnet("batch", "--files-from", "list", "-o", f"{S3}/listed", "--json")
    assert sorted(told(ran.out).values()) == ["done", "done", "failed"]
    again = mirnet("batch", "--files-from", "list", "-o", f"{S3}/listed", "--json")
    assert sorted(told(again.out).values()) == ["failed", "skipped", "skipped"]


def test_results_above_the_photos(mirnet: Mirnet, bucket: Bucket) -> None:
    bucket["scans/a.jpg"] = b"photo"
    ran = mirnet("batch", f"{S3}/scans", "-o", S3, "--json")
    assert list(told(ran.out).values()) == ["done"]
    assert bucket["a.jpg"] == b"enhance 1:photo"


def test_a_dry_run_of_a_prefix(mirnet: Mirnet, bucket: Bucket) -> None:
    bucket["scans/a.jpg"] = b"no picture"
    ran = mirnet("batch", f"{S3}/scans", "--dry-run")
    assert ran.code == 1
    assert bucket.keys() == ["scans/a.jpg"]


def test_what_a_store_refuses_once_is_tried_again(
    mirnet: Mirnet, proxy: Proxy, bucket: Bucket
) -> None:
    bucket["in/a.jpg"] = b"photo"
    proxy.misbehave("403", "PUT", 1)
    assert mirnet("batch", f"{S3}/in", "-o", f"{S3}/out").code == 1
    assert mirnet("batch", f"{S3}/in", "-o", f"{S3}/out").code == 0
    assert bucket["out/a.jpg"] == b"enhance 1:photo"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_batch_goes_on_and_two_at_once_are_refused(
    mirnet: Mirnet, tmp_path: Path, bucket: Bucket
) -> None:
    for name, content in {"a": "1", "b": "SLOW", "c": "3"}.items():
        bucket[f"in/{name}.jpg"] = content.encode()
    words = ("batch", f"{S3}/in", "-o", f"{S3}/out", "--json", "-q")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command(*words), cwd=tmp_path, env=environment, stdout=-1) as running:
        until(lambda: "out/a.jpg" in bucket)
        second = mirnet(*words)
        assert second.code == 1
        assert f"{S3}/out: another batch is writing here (process {running.pid} " in second.said
        running.kill()
        running.communicate()
    assert "out/b.jpg" not in bucket
    bucket["in/b.jpg"] = b"2"
    ran = mirnet(*words)
    assert ran.code == 0, ran.err
    assert told(ran.out) == {"in/a.jpg": "skipped", "in/b.jpg": "done", "in/c.jpg": "done"}


def test_the_journal_is_copied_now_and_then(
    mirnet: Mirnet, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet_cli.batches import remote_journal

    monkeypatch.setattr(remote_journal, "_OFTEN", 0.0)
    monkeypatch.setattr(remote_journal, "_SHARE", 0)
    copies = []
    put = objects.put

    def counted(remote: object, data: bytes, **more: object) -> None:
        copies.append((str(remote), data.count(b'"done"')))
        put(remote, data, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(objects, "put", counted)
    for name in "abc":
        bucket[f"in/{name}.jpg"] = name.encode()
    assert mirnet("batch", f"{S3}/in", "-o", f"{S3}/out").code == 0
    journals = [done for name, done in copies if name.endswith(".jsonl")]
    assert journals == [1, 2, 3, 3]
