"""What OpenVINO leaves behind in the thread that called it."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from tests.models.builders import tiny_network

pytest.importorskip("openvino")


def test_denormals_of_the_caller_are_left_alone() -> None:
    from mirnet_cli.runtime import prepare

    runner = prepare(tiny_network(), runtime="openvino", precision="fp32")
    runner.run(np.random.default_rng(0).random((1, 3, 32, 32), np.float32))
    tiny = np.float32(1e-40)
    assert tiny * np.float32(1) == tiny
    assert tiny > 0


@pytest.mark.skipif(os.name == "nt", reason="signals to oneself are POSIX")
def test_a_signal_does_not_wait_for_the_network() -> None:
    from mirnet_cli.runtime import prepare

    runner = prepare(tiny_network(), runtime="openvino", precision="fp32")
    picture = np.zeros((1, 3, 2048, 2048), np.float32)
    runner.run(picture[..., :64, :64])
    started = time.monotonic()
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()

    def go_on() -> None:
        while time.monotonic() - started < 30:
            runner.run(picture)

    with pytest.raises(KeyboardInterrupt):
        go_on()
    # The runner can be used again.
    assert runner.run(picture[..., :64, :64]).residual.shape == (1, 3, 64, 64)
