"""Nothing goes out that the user did not ask for."""

import subprocess
import sys

import pytest

BLOCKED = """
import socket, sys
def refuse(*_, **__):
    sys.exit("something was sent")
class Blocked(socket.socket):
    connect = connect_ex = sendto = bind = refuse
socket.socket = Blocked
socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.mark.parametrize(
    "code",
    [
        "from mirnet_cli.cli import main; main(['models', 'list']); main(['models', 'verify'])",
        "import mirnet_cli, numpy; d = mirnet_cli.load('denoise');"
        "print(d(numpy.zeros((16, 16, 3), numpy.uint8)).shape)",
    ],
    ids=["listing", "denoising"],
)
def test_what_ships_needs_no_network(code: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


def test_the_blocking_blocks() -> None:
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/', timeout=1)"
    ran = subprocess.run(
        [sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False
    )
    assert "something was sent" in ran.stderr
