"""This project's networks as ONNX files."""

from pathlib import Path

import numpy as np
import pytest

import mirnet_cli as mirnet
from mirnet_cli.errors import OutputError, UsageError
from mirnet_cli.models.resolver import resolve
from mirnet_cli.models.weights import Weights
from mirnet_cli.restore.export import export

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("name", "scale"), [("denoise", 1), ("upscale-x1", 1), ("upscale", 2), ("upscale", 3)]
)
def test_equal_in_onnx_runtime(name: str, scale: int, tmp_path: Path) -> None:
    weights = resolve(None, model=name, scale=scale)
    path = tmp_path / "ours.onnx"
    assert export(weights, path, scale=scale, overwrite=False) < 1e-4
    x = np.random.default_rng(4).random((96, 128, 3), np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"picture": x.transpose(2, 0, 1)[None]})
    restorer = mirnet.Restorer(weights, scale=scale, precision="fp32", tile=0, device="cpu")
    wanted = restorer(x).transpose(2, 0, 1)
    np.testing.assert_allclose(made[0], wanted, atol=1e-4)


def test_refused(tmp_path: Path) -> None:
    weights: Weights = resolve("denoise")
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        export(weights, tmp_path / "a.bin", scale=None, overwrite=False)
    with pytest.raises(UsageError, match="scale 1, not for 2"):
        export(weights, tmp_path / "a.onnx", scale=2, overwrite=False)
    with pytest.raises(UsageError, match="more than one network"):
        export(resolve("enhance"), tmp_path / "a.onnx", scale=None, overwrite=False)
    (tmp_path / "a.onnx").write_bytes(b"theirs")
    with pytest.raises(OutputError):
        export(weights, tmp_path / "a.onnx", scale=None, overwrite=False)
    assert (tmp_path / "a.onnx").read_bytes() == b"theirs"
