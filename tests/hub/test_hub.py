"""The Hub with the real client: what is fetched, kept, verified, and asked for."""

import hashlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mirnet_cli import settings
from mirnet_cli.errors import DownloadError, ModelError, UsageError
from mirnet_cli.models import fetch, resolve, trust_store
from mirnet_cli.models import hub as client
from mirnet_cli.models.hub import Address
from tests.hub.conftest import FILE, REPOSITORY
from tests.hub.server import COMMIT, State

NAME = f"hf://{REPOSITORY}/{FILE}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://a/b/c.safetensors", Address("a/b", "c.safetensors")),
        ("hf://a/b/c/d.pth@main", Address("a/b", "c/d.pth")),
        ("hf://a/b/c.pth@v1.0", Address("a/b", "c.pth", "v1.0")),
        ("hf://a/b@refs/pr/1/c.pth", None),
        (f"hf://a/b@{COMMIT}", Address("a/b", "", COMMIT)),
        ("hf://a/b", Address("a/b")),
        ("hf://a", None),
        ("hf://a/b/../c", None),
        ("hf://../b/c", None),
        ("hf://a/b/c@../../x", None),
        ("hf://a/b/c@", None),
        ("hf://a/b//c", None),
        ("hf://a/b/c\n", None),
        ("hf://a/b/c?x=1", None),
    ],
)
def test_names(text: str, expected: Address | None) -> None:
    if expected is None and "refs/pr" not in text:
        with pytest.raises(UsageError):
            client.parse(text)
    elif expected is not None:
        assert client.parse(text) == expected


def test_weights_from_the_hub(hub: State) -> None:
    found = resolve("denoise", weights=NAME)
    assert found.sha256 == hashlib.sha256(hub.files[f"{REPOSITORY}/{FILE}"]).hexdigest()
    assert found.path.is_relative_to(settings.hub_cache())
    hub.requests.clear()
    assert resolve("denoise", weights=NAME).sha256 == found.sha256
    assert resolve("denoise", weights=f"{NAME}@{COMMIT}").sha256 == found.sha256
    assert hub.requests == []


@pytest.mark.parametrize("kind", ["linked", "relative"])
def test_a_cache_by_another_name(
    kind: str, hub: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    if kind == "linked":
        (tmp_path / "link").symlink_to("there")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "link"))
    else:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HF_HOME", "there")
    first = resolve("denoise", weights=NAME)
    assert first.path.is_relative_to(settings.hub_cache())
    assert resolve("denoise", weights=NAME).path == first.path
    assert (tmp_path / "there/hub").is_dir()


def test_a_repository_by_name(hub: State) -> None:
    assert resolve(None, weights=f"hf://{REPOSITORY}").name == "mine"
    hub.requests.clear()
    assert resolve(None, weights=f"hf://{REPOSITORY}").name == "mine"
    assert hub.requests == []
    hub.files[f"{REPOSITORY}/other.safetensors"] = b"x"
    with pytest.raises(DownloadError, match=r"2 \.safetensors files"):
        client.download(Address(REPOSITORY))


def test_what_the_cache_has_needs_no_network(hub: State, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve("denoise", weights=NAME)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert resolve("denoise", weights=NAME).name == "mine"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve("denoise", weights=NAME).name == "mine"
    with pytest.raises(DownloadError, match="switched off"):
        resolve("denoise", weights="hf://someone/else/x.safetensors")


def test_the_second_hash_costs_nothing(hub: State, monkeypatch: pytest.MonkeyPatch) -> None:
    _, digest, path = fetch.from_hub(NAME)
    status = path.stat()
    assert trust_store.sha256_of(path, status) == digest
    monkeypatch.setattr(hashlib, "sha256", lambda *_: pytest.fail("hashed again"))
    assert fetch.from_hub(NAME)[1] == digest


def test_a_byte_that_flips_in_the_cache_is_found_and_mended(hub: State) -> None:
    data, digest, path = fetch.from_hub(NAME)
    target = path.resolve()
    target.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    hub.requests.clear()
    assert fetch.from_hub(NAME)[:2] == (data, digest)
    assert hub.count("GET") == 1
    target.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    hub.fault = "flipped byte"
    hub.requests.clear()
    with pytest.raises(ModelError, match="not intact"):
        fetch.from_hub(NAME)
    assert hub.count("GET") == 1


def test_a_byte_that_flips_is_told_without_a_network(
    hub: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _, path = fetch.from_hub(NAME)
    path.resolve().write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setenv("MIRNET_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"not intact: .*; unset MIRNET_OFFLINE"):
        fetch.from_hub(NAME)


def test_a_byte_that_flips_on_the_way(hub: State) -> None:
    hub.fault, hub.times = "flipped byte", 1
    assert resolve("denoise", weights=NAME).name == "mine"
    assert hub.count("GET") == 2


def test_a_connection_that_breaks_is_resumed(hub: State) -> None:
    hub.fault, hub.times = "interrupted", 2
    assert resolve("denoise", weights=NAME).name == "mine"
    assert hub.count("GET") == 3


def test_a_branch_that_moves(hub: State) -> None:
    first = fetch.from_hub(NAME)[1]
    assert fetch.from_hub(NAME)[1] == first
    hub.requests.clear()
    # Nothing new: one question, no download.
    assert fetch.from_hub(NAME, refresh=True)[1] == first
    assert hub.count("GET") == 0
    assert hub.count("HEAD") > 0


def test_tokens(hub: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    resolve("denoise", weights=NAME)
    assert hub.tokens == {"hf_secret"}


def test_removing(hub: State) -> None:
    _, _, path = fetch.from_hub(NAME)
    blob = path.resolve()
    assert client.remove(client.parse(NAME))
    assert not path.exists()
    assert not blob.exists()
    assert not client.remove(client.parse(NAME))


def test_two_processes_at_once(hub: State, tmp_path: Path) -> None:
    code = f"from mirnet_cli.models import fetch;print(fetch.from_hub({NAME!r})[1])"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [each.communicate(timeout=120) for each in running]
    expected = hashlib.sha256(hub.files[f"{REPOSITORY}/{FILE}"]).hexdigest()
    assert [out.strip() for out, _ in said] == [expected, expected]
    assert [err for _, err in said] == ["", ""]


def test_looking_for_models_does_not_load_the_client() -> None:
    code = (
        "import sys; from mirnet_cli.models import catalogue;"
        "[catalogue.path_of(each).exists() for each in catalogue.entries()];"
        "print([n for n in ('huggingface_hub', 'numpy', 'torch', 'ssl') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
