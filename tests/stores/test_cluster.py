"""Objects in a store, done by the workers of a cluster."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stores.conftest import BUCKET, Bucket

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_workers_read_and_write_objects(bucket: Bucket, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), np.uint8)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "PNG")
        bucket[f"in/sub/{number}.png"] = data.getvalue()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MIRNET_STORE_TIMEOUT": "20"}

    def run(into: str, *words: str) -> None:
        command = (sys.executable, "-m", "mirnet_cli", "batch", f"s3://{BUCKET}/in", "-r")
        said = subprocess.run(
            [*command, "--task", "denoise", "-o", f"s3://{BUCKET}/{into}", *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stderr

    run("plain")
    run("many", "--cluster", "local:2")
    for number in range(4):
        key = f"sub/{number}.png"
        assert bucket[f"many/{key}"] == bucket[f"plain/{key}"]
    assert "many/.mirnet-journal.jsonl" in bucket
