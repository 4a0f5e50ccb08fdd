"""What OpenVINO leaves behind in the thread that called it; threads and processes that share it."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

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


def test_threads_with_pictures_of_several_sizes_do_not_mix_them_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mirnet_cli.runtime import prepare
    from mirnet_cli.runtime.openvino_runtime import OpenVinoRunner

    runner = prepare(tiny_network(), runtime="openvino", precision="fp32")
    # Another thread that wants another size takes away what this one has just compiled.
    taken = property(lambda self: None, lambda self, value: None)
    monkeypatch.setattr(OpenVinoRunner, "_compiled", taken, raising=False)
    with ThreadPoolExecutor(2) as threads:
        sides = (32, 64)
        done = threads.map(lambda side: runner.run(np.zeros((1, 3, side, side), np.float32)), sides)
        assert [output.residual.shape[2] for output in done] == list(sides)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forking is POSIX")
def test_a_forked_process_can_go_on_with_what_was_loaded() -> None:
    from mirnet_cli.runtime import prepare

    runner = prepare(tiny_network(), runtime="openvino", precision="fp32")
    pictures = [np.full((1, 3, side, side), 0.5, np.float32) for side in (32, 64)]
    expected = [runner.run(picture).residual for picture in pictures]
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def work() -> None:
        same = [
            np.array_equal(runner.run(p).residual, e)
            for p, e in zip(pictures, expected, strict=True)
        ]
        theirs.send(same)

    process = context.Process(target=work)
    process.start()
    try:
        assert ours.poll(60), "the process hangs"
        assert ours.recv() == [True, True]
    finally:
        process.kill()
        process.join()
