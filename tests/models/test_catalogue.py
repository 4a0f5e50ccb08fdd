"""The catalogue: its rules, its lookups, and whether what ships is what it says."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mirnet_cli.errors import ExitCode, ModelError
from mirnet_cli.models import catalogue
from mirnet_cli.models.catalogue import Model
from mirnet_cli.networks import FAMILIES

_ENTRY = """
[{name}]
title = "x"
task = "denoise"
scales = [1]
family = "compact"
file = "x.safetensors"
sha256 = "{digits}"
bytes = 1
licence = "Apache-2.0"
source = "shipped"
"""


def _entry(name: str = "denoise", changes: str = "", without: str = "") -> str:
    lines = _ENTRY.format(name=name, digits="0" * 64).splitlines()
    given = {line.split(" ")[0] for line in changes.splitlines()} | {without}
    return "\n".join([*(x for x in lines if x.split(" ")[0] not in given), changes, ""])


def _read(tmp_path: Path, text: str) -> tuple[Model, ...]:
    path = tmp_path / "catalogue.toml"
    path.write_text(text)
    return catalogue.read(path)


def test_an_entry_is_read(tmp_path: Path) -> None:
    text = _entry(changes='default_for = ["denoise"]\nscores = { "Some (4)" = { psnr = 38 } }')
    (model,) = _read(tmp_path, text)
    assert (model.name, model.scales, model.default_for) == ("denoise", (1,), ("denoise",))
    assert model.commercial
    assert model.as_dict()["scores"] == {"Some (4)": {"psnr": 38.0}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_entry(name='"../x"'), "no model name"),
        (_entry(without="sha256"), "lacks sha256"),
        (_entry(changes='sha256 = "abc"'), "64 hexadecimal"),
        (_entry(changes="bytes = true"), "type int"),
        (_entry(changes='task = "dehaze"'), "unknown task"),
        (_entry(changes="scales = [2]"), "do not suit"),
        (_entry(changes="scales = []"), "do not suit"),
        (_entry(changes='file = "../x"'), "plain name"),
        (_entry(changes='source = "ftp"'), "unknown source"),
        (_entry(changes='context = "everything"'), "unknown context"),
        (_entry(changes="size = 3"), "unknown key size"),
        (_entry(changes='default_for = ["enhance"]'), "cannot be the default"),
        (_entry(changes='default_for = ["denoise"]\ncommercial = false'), "no default"),
        (
            _entry("a", 'default_for = ["denoise"]') + _entry("b", 'default_for = ["denoise"]'),
            "both the default",
        ),
        ("a = 1", "no table"),
        (_entry(changes='source = "hub"'), "needs repository"),
        (
            _entry(changes='source = "hub"\nrepository = "a/b"\nrevision = "main"'),
            "no commit of 40 digits",
        ),
        (_entry(changes='source = "hub"', without="sha256"), "64 hexadecimal"),
        (_entry(changes='source = "url"'), "needs url"),
        (
            _entry(changes='source = "url"\nurl = "http://a/b"\nlicence_url = "x"'),
            "does not begin with https",
        ),
        (_entry(changes='source = "manual"'), "needs page"),
        (
            _entry(changes='source = "manual"\npage = "x"\ndefault_for = ["denoise"]'),
            "is not shipped",
        ),
    ],
)
def test_rules(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        _read(tmp_path, text)


def test_unknown_names_get_a_hint(shipped: Callable[..., Model]) -> None:
    shipped("denoise")
    with pytest.raises(ModelError, match="did you mean denoise") as caught:
        catalogue.find("denoize")
    assert caught.value.exit_code == ExitCode.MODEL
    with pytest.raises(ModelError, match="there are: denoise"):
        catalogue.find("zzz")
    with pytest.raises(ModelError, match="for a file use --weights"):
        catalogue.find("runs/denoise.safetensors")


def test_verify(shipped: Callable[..., Model]) -> None:
    model = shipped("denoise")
    path = catalogue.path_of(model)
    assert catalogue.verify(model).ok
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    found = catalogue.verify(model)
    assert (found.state, found.ok) == ("changed", False)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    path.unlink()
    assert catalogue.verify(model).state == "missing"
    path.mkdir()
    assert catalogue.verify(model).state == "unreadable"
    for each in (found, catalogue.verify(model)):
        assert each.remedy
        assert each.as_dict()["expected_sha256"] == model.sha256


def test_shipped_files_are_found_in_a_wheel_and_in_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "mirnet_cli"
    package.mkdir(parents=True)
    monkeypatch.setattr(catalogue, "_PACKAGE", package)
    assert catalogue.weights_folder() == tmp_path / "site" / "weights"
    (package / "weights").mkdir()
    assert catalogue.weights_folder() == package / "weights"


def test_listing_is_light() -> None:
    code = (
        "import sys; from mirnet_cli.models import catalogue; catalogue.entries();"
        "print([n for n in ('numpy', 'torch', 'safetensors', 'cv2', 'PIL') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "model",
    [model for model in catalogue.entries() if model.shipped],
    ids=lambda model: model.name,
)
class TestWhatShips:
    """Each entry of the real catalogue against the real files."""

    def test_it_is_intact_and_what_the_entry_says(self, model: Model) -> None:
        from mirnet_cli.models import trust_store
        from mirnet_cli.models.resolver import load_entry

        if not model.commercial:
            assert model.licence_url.startswith("https://")
            assert not model.default_for
            trust_store.accept(model.licence)
        weights = load_entry(model)
        assert (weights.name, weights.task, weights.scales) == (
            model.name,
            model.task,
            model.scales,
        )
        assert weights.network.family == model.family
        assert weights.licence == model.licence
        assert catalogue.path_of(model).stat().st_size == model.bytes <= 6_000_000

    def test_its_card_is_written(self, model: Model) -> None:
        path = catalogue.card_path(model)
        assert path is not None
        card = path.read_text(encoding="utf-8")
        assert "TODO" not in card
        assert f"`{model.sha256}`" in card
        assert card.startswith("---\n")
        for line in ("library_name: mirnet", "pipeline_tag: image-to-image", "datasets:"):
            assert line in card.split("\n---\n")[0]
        for title in ("## File", "## Scores", "## Data", "## Recipe", "## Known weaknesses"):
            assert title in card
        for pictures, figures in model.scores.items():
            assert f"| {pictures} |" in card
            assert f"{figures['psnr']:.2f}" in card


def test_what_can_be_fetched_is_named_in_full() -> None:
    """The facts of the files that others publish; nothing is fetched here."""
    others = {model.name: model for model in catalogue.entries() if not model.shipped}
    sources = [model.source for model in others.values()]
    assert (sources.count("hub"), sources.count("url"), sources.count("manual")) == (2, 7, 5)
    for model in others.values():
        assert model.family in FAMILIES
        assert not model.default_for
        assert model.page.startswith("https://")
        assert model.commercial or model.licence_url.startswith("https://")
    for model in others.values():
        if model.source == "hub":
            assert len(model.sha256) == 64
            assert model.bytes > 200_000_000
    assert others["mirnet-v2-dual-pixel"].task == "defocus"


def test_every_task_has_a_default() -> None:
    served = {key for model in catalogue.entries() for key in model.default_for}
    assert served == {"denoise", "enhance", *(f"upscale-x{scale}" for scale in (1, 2, 3, 4))}
