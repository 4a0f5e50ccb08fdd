"""Every way in which a download fails: one line, soon, and nothing left behind."""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirnet_cli.errors import DownloadError, ExitCode
from mirnet_cli.models import hub as place
from mirnet_cli.models import web
from tests.hub.conftest import FILE, REPOSITORY
from tests.hub.server import FAULTS, State, serving

NAME = f"hf://{REPOSITORY}/{FILE}"

EXPECTED = {
    "no such repository": "no such repository",
    "no such revision": "no such revision",
    "no such file": "no such file",
    "404 without a word": "no such repository or file",
    "401": "not public",
    "gated": "accept the terms",
    "403": "denies access",
    "429": "fewer requests",
    "500": "failed (500)",
    "503": "failed (503)",
    "500 for the file": "failed (500)",
    "429 for the file": "fewer requests",
    "sign-in page": "sign-in page",
    "sign-in page for the file": "incomplete, or a different one",
    "redirected elsewhere": "sign-in page",
    "connection closed": "connection broke",
    "silence": "did not answer in time",
    "cut": "kept breaking",
    "reset in the middle": "connection broke",
    "silence in the middle": "kept breaking",
    "shorter than announced": "incomplete, or a different one",
}


def _fails(download: Callable[[], Any], tmp_path: Path, expected: str, seconds: float = 25) -> None:
    """``download`` raises one line, before the client's own patience ends, and leaves nothing."""
    started = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        download()
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert len(message) < 500
    assert caught.value.remedy
    assert caught.value.exit_code == ExitCode.MODEL
    assert time.monotonic() - started < seconds
    left = [each for each in tmp_path.rglob("*") if each.is_file() and each.stat().st_size > 200]
    assert [each.name for each in left] in ([], ["source.safetensors"])


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second without a byte of a file is enough; the client's own are ten."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    monkeypatch.setattr(web, "SECONDS", 1)


def test_every_fault_is_tested() -> None:
    assert set(EXPECTED) == set(FAULTS)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", EXPECTED)
def test_faults(fault: str, hub: State, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hub.fault = fault
    _fails(lambda: place.download(place.parse(NAME)), tmp_path, EXPECTED[fault])
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("huggingface_hub").handlers


def test_a_refused_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    _fails(lambda: place.download(place.parse(NAME)), tmp_path, "cannot be reached")


def test_a_name_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://nowhere.invalid")
    _fails(lambda: place.download(place.parse(NAME)), tmp_path, "cannot be reached")


def test_an_address_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.co")
    _fails(lambda: place.download(place.parse(NAME)), tmp_path, "address is not valid")


def test_a_certificate_that_nobody_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(State(), tls=True) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        _fails(lambda: place.download(place.parse(NAME)), tmp_path, "certificate is not trusted")


def test_a_proxy_that_is_not_there(
    hub: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.delenv("no_proxy", raising=False)
    _fails(lambda: place.download(place.parse(NAME)), tmp_path, "reached")
    assert hub.requests == []


def test_a_full_disk(hub: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    _fails(lambda: place.download(place.parse(NAME)), tmp_path, "no space is left")
    assert hub.count("GET") == 0


def test_what_is_here_needs_no_room(hub: State, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place.download(place.parse(NAME))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    assert place.download(place.parse(NAME)) == path
    assert hub.count("GET") == 1


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 500 bytes: what a quota does, seen from here.

    For the shortest time: the test runner's own output may be a file too.
    """
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_while_writing(hub: State, tmp_path: Path) -> None:
    def download() -> None:
        with small_files():
            place.download(place.parse(NAME))

    _fails(download, tmp_path, "no space is left")


def test_a_cache_that_cannot_be_written(
    hub: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file" / "hf"))
    _fails(lambda: place.download(place.parse(NAME)), tmp_path, "cannot be written")


def test_another_size_than_the_catalogue_s(hub: State, tmp_path: Path) -> None:
    _fails(lambda: place.download(place.parse(NAME), size=7), tmp_path, "bytes, not 7")
    assert hub.count("GET") == 0


PLAIN = {
    "404 without a word": "not there any more",
    "403": "denies access",
    "500": "failed (500)",
    "sign-in page": "sign-in page",
    "connection closed": "broke",
    "cut": "incomplete",
    "reset in the middle": "the connection broke",
    "silence in the middle": "did not answer in time",
    "redirected elsewhere": "cannot be reached",
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", PLAIN)
def test_faults_of_other_servers(fault: str, hub: State, tmp_path: Path) -> None:
    hub.files.clear()
    hub.plain["a.pth"] = b"PK\x03\x04" + bytes(2000)
    hub.fault = fault
    target = tmp_path / "cache" / "a.pth"
    url = f"{hub.address}/plain/a.pth"
    _fails(lambda: web.download(url, target), tmp_path, PLAIN[fault])
    assert not target.exists()


def test_another_server_that_is_not_there(tmp_path: Path) -> None:
    target = tmp_path / "a.pth"
    _fails(lambda: web.download("http://127.0.0.1:9/a", target), tmp_path, "cannot be reached")


def test_a_plain_file_comes_whole(hub: State, tmp_path: Path) -> None:
    hub.plain["a.pth"] = bytes(3_000_000)
    seen: list[tuple[int, int]] = []
    target = tmp_path / "new" / "a.pth"
    web.download(f"{hub.address}/plain/a.pth", target, report=lambda *two: seen.append(two))
    assert target.read_bytes() == hub.plain["a.pth"]
    assert seen[-1] == (3_000_000, 3_000_000)
