"""tools/ship.py keeps file, catalogue and card together."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mirnet_cli.models import catalogue, weights
from tests import scripts
from tests.models.builders import some_weights, tiny_network

pytestmark = scripts.needs_tools


@pytest.fixture(scope="module")
def ship() -> ModuleType:
    return scripts.load("ship")


@pytest.fixture
def run(ship: ModuleType, tmp_path: Path) -> Callable[..., int]:
    """Runs the script on a catalogue with another model in it."""
    other = '\n[other]\ntitle = "a \\"b\\" ü"\ntask = "enhance"\nscales = [1]\nfamily = "compact"\n'
    other += f'file = "other.safetensors"\nsha256 = "{"0" * 64}"\nbytes = 1\nlicence = "MIT"\n'
    other += 'source = "shipped"\n'
    (tmp_path / "catalogue.toml").write_text(f"# A comment.\n{other}")
    (tmp_path / "weights").mkdir()

    def call(*words: str) -> int:
        places = ["--weights-dir", tmp_path / "weights", "--catalogue", tmp_path / "catalogue.toml"]
        return int(ship.main([str(word) for word in (*words, *places)]))

    return call


def _export(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "export.safetensors"
    history = {"network": {"photos": 5, "pairs": 0, "seed": 7, "steps": 9, "hours": 0.5}}
    given = {"network": tiny_network(), "training": history} | changes
    weights.save(path, some_weights(**given))
    return path


def _scores(tmp_path: Path, sha256: str, **changes: Any) -> Path:
    summary = {
        "type": "summary",
        "pairs": 41,
        "failed": 0,
        "psnr": 38.1234,
        "ssim": 0.95123,
        "baseline_psnr": 36.07,
        "baseline_ssim": 0.93,
        "gain": 2.0534,
        "worse": 0,
        "sha256": sha256,
        "scale": 1,
        "border": 2,
        "luma": True,
        "runtime": "torch",
        "device": "cpu",
        "precision": "fp32",
        "psnr_implementation": "PSNR so",
        "ssim_implementation": "SSIM so",
        "command": "mirnet evaluate /home/me/secret",
    } | changes
    path = tmp_path / "scores.jsonl"
    path.write_text('{"type": "pair"}\n' + json.dumps(summary) + "\n")
    return path


def test_a_first_and_a_second_time(run: Callable[..., int], tmp_path: Path) -> None:
    export = _export(tmp_path)
    sha256 = weights.load(export).sha256
    scores = _scores(tmp_path, sha256)
    words = ["--title", "camera noise", "--default-for", "denoise"]
    assert run(export, *words, "--scores", f"Some set (41)={scores}", "--machine", "2 cores") == 0

    first, model = catalogue.read(tmp_path / "catalogue.toml")
    assert (first.name, first.title) == ("other", 'a "b" ü')
    assert (tmp_path / "catalogue.toml").read_text().startswith("# A comment.\n")
    shipped = tmp_path / "weights" / "denoise.safetensors"
    assert shipped.read_bytes() == export.read_bytes()
    assert (model.sha256, model.bytes) == (sha256, shipped.stat().st_size)
    assert (model.title, model.default_for) == ("camera noise", ("denoise",))
    assert model.scores["Some set (41)"] == {
        "pairs": 41,
        "psnr": 38.12,
        "ssim": 0.9512,
        "nothing_psnr": 36.07,
        "nothing_ssim": 0.93,
        "worse": 0,
    }
    card = (tmp_path / "weights" / "denoise.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: mirnet\n")
    for part in (sha256, "| Some set (41) | 41 | 38.12 |", "+2.05", "SSIM so", "GFLOP", "2 cores"):
        assert part in card
    assert (
        "mirnet evaluate some-set/input some-set/target --model denoise --border 2 --luma" in card
    )
    assert "secret" not in card

    (tmp_path / "weights" / "denoise.md").write_text(card.replace("TODO", "Written."))
    better = _export(tmp_path, network=tiny_network(1))
    assert run(better) == 0
    _, model = catalogue.read(tmp_path / "catalogue.toml")
    assert model.sha256 == weights.load(better).sha256 != sha256
    # Titles and defaults stay; scores of the old file do not.
    assert (model.title, model.default_for, model.scores) == ("camera noise", ("denoise",), {})
    card = (tmp_path / "weights" / "denoise.md").read_text()
    assert "Written." in card
    assert "TODO" not in card
    assert sha256 not in card
    assert model.sha256 in card


def test_curves_and_the_command_of_the_training_are_on_the_card(
    run: Callable[..., int], tmp_path: Path
) -> None:
    export = _export(tmp_path)
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "curve.png").write_bytes(b"a picture")
    assert run(export, "--curves", str(tmp_path / "pictures")) == 0
    assert (tmp_path / "pictures" / "denoise-network.png").read_bytes() == b"a picture"
    card = (tmp_path / "weights" / "denoise.md").read_text()
    assert "](../pictures/denoise-network.png)" in card
    assert "mirnet train denoise --data photos/ --steps 9 --seed 7" in card


def test_shipping_the_same_again_changes_nothing(run: Callable[..., int], tmp_path: Path) -> None:
    export = _export(tmp_path)
    assert run(export) == 0
    before = [(tmp_path / name).read_bytes() for name in ("catalogue.toml", "weights/denoise.md")]
    assert run(export) == 0
    after = [(tmp_path / name).read_bytes() for name in ("catalogue.toml", "weights/denoise.md")]
    assert before == after
    tomllib.loads(after[0].decode())


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("scores of other weights", "of other weights"),
        ("failed pairs", "no complete evaluation"),
        ("no file of scores", "cannot be read"),
        ("no equals sign", "needs PICTURES=FILE"),
        ("default of another task", "cannot be the default"),
        ("default that may not be sold", "no default"),
        ("tensors missing", "missing"),
        ("not weights", "not an intact"),
        ("too large", "too much to ship"),
        ("card without marks", "needs the marks"),
    ],
)
def test_what_is_refused_changes_nothing(
    case: str,
    expected: str,
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export = _export(tmp_path)
    sha256 = weights.load(export).sha256
    words: list[Any] = [export]
    if case == "scores of other weights":
        words += ["--scores", f"A={_scores(tmp_path, 'f' * 64)}"]
    elif case == "failed pairs":
        words += ["--scores", f"A={_scores(tmp_path, sha256, failed=1)}"]
    elif case == "no file of scores":
        words += ["--scores", "A=nowhere"]
    elif case == "no equals sign":
        words += ["--scores", "nowhere"]
    elif case == "default of another task":
        words += ["--default-for", "enhance"]
    elif case == "default that may not be sold":
        words += ["--default-for", "denoise", "--non-commercial"]
    elif case == "tensors missing":
        network = tiny_network()
        fewer = dict(list(network.tensors.items())[1:])
        broken = type(network)(network.family, network.config, fewer, "")
        _export(tmp_path, network=broken)
    elif case == "not weights":
        export.write_bytes(b"x" * 100)
    elif case == "too large":
        _export(tmp_path, network=tiny_network(widths=[300, 8]))
    elif case == "card without marks":
        (tmp_path / "weights" / "denoise.md").write_text("mine")
    before = {p: p.read_bytes() for p in sorted((tmp_path / "weights").iterdir())}
    listed = (tmp_path / "catalogue.toml").read_bytes()
    assert run(*words) != 0
    assert expected in capsys.readouterr().err
    assert {p: p.read_bytes() for p in sorted((tmp_path / "weights").iterdir())} == before
    assert (tmp_path / "catalogue.toml").read_bytes() == listed
