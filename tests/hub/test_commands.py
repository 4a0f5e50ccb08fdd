"""``mirnet models`` with a network: download, first use, remove, push."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.models import catalogue, resolve, trust_store, weights
from mirnet_cli.models.catalogue import Model
from mirnet_cli.models.publish import made_card
from tests.hub.conftest import FILE, REPOSITORY
from tests.hub.server import COMMIT, State
from tests.models.builders import some_weights, tiny_network

Run = Callable[..., Any]
NAME = f"hf://{REPOSITORY}/{FILE}"


@pytest.fixture
def models(hub: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Model]:
    """A catalogue of one model on the Hub and one at an address, which nobody has fetched."""
    path = tmp_path / "made.safetensors"
    weights.save(path, some_weights(name="theirs", network=tiny_network(3)))
    data = path.read_bytes()
    path.unlink()
    hub.files[f"{REPOSITORY}/theirs.safetensors"] = data
    hub.plain["release.safetensors"] = data
    common = {
        "title": "for tests",
        "task": "denoise",
        "scales": (1,),
        "family": "compact",
        "default_for": (),
        "scores": {},
    }
    known = (
        Model(
            name="theirs",
            file="theirs.safetensors",
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            licence="Apache-2.0",
            commercial=True,
            source="hub",
            repository=REPOSITORY,
            revision=COMMIT,
            **common,
        ),
        Model(
            name="authors",
            file="release.safetensors",
            sha256="",
            bytes=0,
            licence="LicenseRef-Academic",
            commercial=False,
            source="url",
            url=f"{hub.address}/plain/release.safetensors",
            licence_url="https://example.org/licence",
            **common,
        ),
        Model(
            name="by-hand",
            file="model.pth",
            sha256="",
            bytes=0,
            licence="LicenseRef-Academic",
            commercial=False,
            source="manual",
            page="https://example.org/page",
            **common,
        ),
    )
    monkeypatch.setattr(catalogue, "entries", lambda: known)
    return {model.name: model for model in known}


def test_download(real: Run, models: dict[str, Model], hub: State) -> None:
    assert "absent" in real("models", "list").out
    ran = real("models", "download", "theirs", "--json")
    (line,) = ran.out.splitlines()
    assert (ran.code, json.loads(line)["sha256"]) == (0, models["theirs"].sha256)
    assert ran.err.count("\n") == 1
    hub.requests.clear()
    assert real("models", "download", "theirs", "-q") == (0, "", "")
    assert real("models", "verify").out.count("intact") == 1
    states = [json.loads(each) for each in real("models", "list", "--json").out.splitlines()]
    assert [each["state"] for each in states] == ["here", "absent", "absent"]
    assert hub.requests == []
    assert real("models", "download", "theirs", "--force").code == 0
    assert hub.count("GET") == 1


def test_download_for_another_machine(
    real: Run, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert real("models", "download", "theirs", NAME, "--to", "usb/stick").code == 0
    copies = sorted(path.name for path in Path("usb/stick").iterdir())
    assert copies == [FILE, "theirs.safetensors"]
    ran = real("models", "download", "theirs", "--to", "usb/stick")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    remedy = "use --overwrite to replace it or choose another folder with --to"
    assert ran.err.endswith(f": exists already; {remedy}\n")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "elsewhere"))
    assert resolve("denoise", weights="usb/stick/theirs.safetensors").name == "theirs"


def test_first_use(real: Run, models: dict[str, Model], hub: State) -> None:
    Image.fromarray(np.full((8, 8, 3), 100, np.uint8)).save("a.png")
    ran = real("denoise", "a.png", "--model", "theirs", "--precision", "fp32")
    assert ran.code == 0, ran.err
    assert np.array(Image.open("a-denoised.png")).max() == 103
    hub.requests.clear()
    words = ["--weights", f"hf://{REPOSITORY}/theirs.safetensors@{COMMIT}", "-o", "b.png"]
    assert real("denoise", "a.png", *words).code == 0
    assert hub.requests == []


def test_a_licence_is_shown_and_accepted_once(
    real: Run, models: dict[str, Model], hub: State
) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    for words in (["models", "download", "authors"], ["denoise", "a.png", "--model", "authors"]):
        ran = real(*words)
        assert (ran.code, ran.out, ran.err.count("\n")) == (3, "", 1)
        assert "LicenseRef-Academic, forbids commercial use" in ran.err
        assert "https://example.org/licence" in ran.err
        assert "--accept-licence" in ran.err
    assert hub.requests == []
    assert real("models", "download", "authors", "--accept-licence").code == 0
    assert trust_store.accepted("LicenseRef-Academic")
    assert real("models", "remove", "authors").code == 0
    assert real("models", "download", "authors").code == 0


def test_the_first_download_is_what_later_ones_are_held_to(
    real: Run, models: dict[str, Model], hub: State
) -> None:
    assert real("models", "download", "authors", "--accept-licence").code == 0
    first = trust_store.first(models["authors"].url)
    assert first == hashlib.sha256(hub.plain["release.safetensors"]).hexdigest()
    hub.plain["release.safetensors"] = hub.plain["release.safetensors"][:-1] + b"\x01"
    hub.requests.clear()
    ran = real("models", "download", "authors", "--force")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert "the first download says" in ran.err
    assert "'mirnet models remove authors'" in ran.err
    assert hub.count("GET") == 2
    assert not catalogue.path_of(models["authors"]).exists()
    assert real("models", "download", "authors").code == 3
    assert real("models", "remove", "authors").code == 0
    assert real("models", "download", "authors").code == 0
    assert trust_store.first(models["authors"].url) != first


def test_what_only_people_can_fetch(real: Run, models: dict[str, Model]) -> None:
    for words in (
        ["models", "download", "by-hand"],
        ["models", "path", "by-hand"],
        ["denoise", "a.png", "--model", "by-hand"],
    ):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
        ran = real(*words)
        assert (ran.code, ran.err.count("\n")) == (3, 1)
        assert "https://example.org/page" in ran.err


def test_what_does_not_suit_is_not_fetched(real: Run, models: dict[str, Model], hub: State) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    ran = real("enhance", "a.png", "--model", "theirs")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "made for denoise" in ran.err
    assert hub.requests == []


def test_a_failure_is_one_line(real: Run, models: dict[str, Model], hub: State) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    hub.fault = "503"
    for words in (["models", "download", "theirs"], ["denoise", "a.png", "--model", "theirs"]):
        ran = real(*words)
        assert (ran.code, ran.out, ran.err.count("\n")) == (3, "", 1)
        assert ran.err.startswith("mirnet: hf://")
    assert [path.name for path in Path().glob("*.png")] == ["a.png"]


def test_remove(real: Run, models: dict[str, Model]) -> None:
    real("models", "download", "theirs", NAME)
    assert "removed" in real("models", "remove", "theirs", NAME).err
    assert "was not here" in real("models", "remove", "theirs").err
    assert not catalogue.path_of(models["theirs"]).exists()


def test_what_comes_with_mirnet_stays(real: Run, shipped: Callable[..., Model]) -> None:
    shipped("denoise", ("denoise",))
    ran = real("models", "remove", "denoise")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert catalogue.path_of(catalogue.find("denoise")).exists()


def test_push_and_load(
    real: Run, hub: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    weights.save(tmp_path / "mine.safetensors", some_weights(name="new-one", licence="CC-BY-4.0"))
    ran = real("models", "push", "someone/new", "mine.safetensors", "--json")
    assert ran.code == 0, ran.err
    assert hub.tokens == {"hf_secret"}
    assert set(hub.uploads) == {"new-one.safetensors", "README.md"}
    card = hub.uploads["README.md"].decode()
    for line in ("license: cc-by-4.0", "library_name: mirnet", "pipeline_tag: image-to-image"):
        assert f"\n{line}\n" in card
    assert "hf://someone/new" in card
    hub.files |= {f"someone/new/{name}": data for name, data in hub.uploads.items()}
    found = resolve("denoise", weights="hf://someone/new")
    assert found.sha256 == json.loads(ran.out)["sha256"]


def test_the_card_of_weights_for_two_views_names_no_command(tmp_path: Path) -> None:
    defocus = {"task": "defocus", "base": "none"}
    weights.save(tmp_path / "mine.safetensors", some_weights(name="mine", **defocus))
    card = made_card(weights.load(tmp_path / "mine.safetensors"), "someone/new")
    assert "mirnet defocus" not in card
    assert 'mirnet.load("hf://someone/new")' in card


def test_a_shipped_model_is_pushed_with_its_card(
    real: Run, hub: State, shipped: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    shipped("denoise", ("denoise",))
    (catalogue.weights_folder() / "denoise.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    assert real("models", "push", "someone/new", "denoise").code == 0
    assert hub.uploads["README.md"].startswith(b"---\nlicense: mit\n---\n")


@pytest.mark.parametrize("fault", ["401", "403", "500"])
def test_pushes_that_fail(
    fault: str, real: Run, hub: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    weights.save(tmp_path / "mine.safetensors", some_weights(name="mine"))
    hub.fault = fault
    ran = real("models", "push", "someone/new", "mine.safetensors")
    assert (ran.code, ran.out, ran.err.count("\n")) == (3, "", 1)
    assert ("HF_TOKEN to a token that may write" in ran.err) == (fault != "500")
    assert hub.uploads == {}


def test_a_push_without_a_network_speaks_of_no_file(
    real: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.save(tmp_path / "mine.safetensors", some_weights(name="mine"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    ran = real("models", "push", "someone/new", "mine.safetensors")
    assert (ran.code, ran.err.count("\n"), "cannot be reached" in ran.err) == (3, 1, True)
    assert "download" not in ran.err
    monkeypatch.setenv("MIRNET_OFFLINE", "1")
    ran = real("models", "push", "someone/new", "mine.safetensors")
    assert (ran.code, "MIRNET_OFFLINE" in ran.err, "download" in ran.err) == (3, True, False)


def test_what_is_not_pushed(real: Run, hub: State, tmp_path: Path) -> None:
    weights.save(tmp_path / "mine.safetensors", some_weights(name="mine", licence="unknown"))
    ran = real("models", "push", "someone/new", "mine.safetensors")
    assert (ran.code, "licence is not known" in ran.err) == (3, True)
    weights.save(tmp_path / "mine.safetensors", some_weights(name="mine"))
    for name in ("a/b/c", "a/b@main2", "nowhere", "a/.."):
        ran = real("models", "push", name, "mine.safetensors")
        assert ran.code == 2
        assert ran.err.endswith("not a repository on the Hub; write OWNER/REPO\n")
    ran = real("models", "push", "a/b", "mine.safetensors", "--card", "nowhere.md")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert hub.requests == []
