"""tools/average.py puts weights between those of two runs."""

from pathlib import Path

import numpy as np
import pytest

from mirnet_cli.errors import OutputError
from mirnet_cli.models import weights
from tests import scripts
from tests.models.builders import some_weights, spec, tiny_network

pytestmark = scripts.needs_tools


def test_weights_between_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = scripts.load("average")
    paths = [str(tmp_path / name) for name in ("a.safetensors", "b.safetensors", "c.safetensors")]
    given = [spec(0), spec(1)]
    for path, network in zip(paths, given, strict=False):
        weights.save(Path(path), some_weights(network=network))

    assert script.main([*paths, "--share", "0.75"]) == 0
    made = weights.load(Path(paths[2]))
    for name, tensor in made.network.tensors.items():
        wanted = 0.25 * given[0].tensors[name] + 0.75 * given[1].tensors[name]
        np.testing.assert_allclose(tensor, wanted, atol=3e-3)
    first = weights.load(Path(paths[0])).sha256
    assert made.training["averaged"] == f"0.75 of it with the rest of denoise, sha256 {first}"

    assert script.main(paths) == OutputError.exit_code
    weights.save(Path(paths[1]), some_weights(network=tiny_network()))
    assert script.main([*paths[:2], str(tmp_path / "d.safetensors")]) == 2
    assert script.main([*paths[:2], "d", "--share", "2"]) == 2
    assert capsys.readouterr().err.count("average: ") == 3
