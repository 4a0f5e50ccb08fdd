"""The command that adds something to this very installation, however it was made."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mirnet_cli import installation

PYTHON = shlex.quote(sys.executable)
METADATA = """\
Metadata-Version: 2.4
Name: mirnet-cli
Version: 0.1.0
Requires-Dist: numpy>=2
Requires-Dist: torch>=2.6; sys_platform == "nowhere"
Requires-Dist: pillow-heif>=1.0; extra == "heif"
Requires-Dist: torch<2.14,>=2.6; extra == "torch"
Requires-Dist: mirnet-cli[torch]; extra == "train"
Requires-Dist: matplotlib>=3.9; extra == "train"
"""


class Made:
    """An installation of mirnet that was made somehow."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prefix, self.site = folder / "environment", folder / "environment" / "site"
        self.info = self.site / "mirnet_cli-0.1.0.dist-info"
        self.info.mkdir(parents=True)
        (self.info / "METADATA").write_text(METADATA)
        monkeypatch.syspath_prepend(self.site)
        monkeypatch.setattr(sys, "prefix", str(self.prefix))
        monkeypatch.setattr(installation, "__file__", str(self.site / "mirnet_cli/a.py"))
        self.clone = folder / "my clone"
        self.clone.mkdir()
        (self.clone / "pyproject.toml").touch()

    def came_from(self, **direct: Any) -> None:
        (self.info / "direct_url.json").write_text(json.dumps(direct))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """One with pip, from nowhere."""
    monkeypatch.setattr(installation, "find_spec", lambda name: object())
    return Made(tmp_path, monkeypatch)


def test_from_a_clone_the_clone(made: Made) -> None:
    made.came_from(url=made.clone.as_uri(), dir_info={})
    pip = f"{PYTHON} -m pip install"
    assert installation.add_extra("heif") == f"{pip} '{made.clone}[heif]'"
    assert installation.install_again() == f"{pip} --force-reinstall --no-deps '{made.clone}'"
    assert installation.add("gcsfs") == f"{pip} gcsfs"
    made.came_from(url=made.clone.as_uri(), dir_info={"editable": True})
    assert installation.add_extra("heif") == f"{pip} --editable '{made.clone}[heif]'"


def test_a_checkout_that_is_not_installed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "__file__", str(made.clone / "mirnet_cli/installation.py"))
    assert installation.add_extra("raw").endswith(f"-m pip install '{made.clone}[raw]'")


@pytest.mark.parametrize(
    ("extra", "needed"),
    [("heif", "'pillow-heif>=1.0'"), ("train", "'matplotlib>=3.9' 'torch<2.14,>=2.6'")],
)
def test_from_an_index_or_a_clone_that_is_gone_what_the_extra_needs(
    made: Made, extra: str, needed: str
) -> None:
    wanted = f"{PYTHON} -m pip install {needed}"
    assert installation.add_extra(extra) == wanted
    made.came_from(url=(made.clone / "gone").as_uri(), dir_info={})
    assert installation.add_extra(extra) == wanted


@pytest.mark.parametrize(
    ("direct", "named"),
    [
        (
            {"url": "https://host/mirnet.git", "vcs_info": {"vcs": "git"}},
            "'mirnet-cli[raw] @ git+https://host/mirnet.git'",
        ),
        (
            {"url": "https://host/mirnet_cli-0.1.0-py3-none-any.whl", "archive_info": {}},
            "'mirnet-cli[raw] @ https://host/mirnet_cli-0.1.0-py3-none-any.whl'",
        ),
    ],
)
def test_from_an_address_the_address(made: Made, direct: dict[str, Any], named: str) -> None:
    made.came_from(**direct)
    assert installation.add_extra("raw") == f"{PYTHON} -m pip install {named}"


def test_without_pip_uv(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    made.came_from(url=made.clone.as_uri(), dir_info={})
    uv = f"uv pip install --python {PYTHON}"
    assert installation.add_extra("heif") == f"{uv} '{made.clone}[heif]'"
    assert installation.add("pillow", again=True) == f"{uv} --reinstall pillow"


def test_uv_tool_keeps_what_was_asked_for_before(made: Made) -> None:
    made.came_from(url=made.clone.as_uri(), dir_info={})
    (made.prefix / "uv-receipt.toml").write_text(
        "[tool]\nrequirements = [\n"
        '    { name = "mirnet-cli", extras = ["torch"], directory = "/clone" },\n'
        '    { name = "gcsfs", specifier = ">=2025" },\n]\n'
    )
    wanted = f"uv tool install --with 'gcsfs>=2025' '{made.clone}[heif,torch]'"
    assert installation.add_extra("heif") == wanted
    kept = f"uv tool install --with 'gcsfs>=2025' --with adlfs '{made.clone}[torch]'"
    assert installation.add("adlfs") == kept


def test_pipx_is_told_to_inject(made: Made) -> None:
    made.came_from(url=made.clone.as_uri(), dir_info={})
    (made.prefix / "pipx_metadata.json").write_text("{}")
    assert installation.add_extra("heif") == "pipx inject environment 'pillow-heif>=1.0'"
    assert installation.install_again() == "pipx reinstall environment"


def test_in_the_image_of_the_dockerfile(made: Made) -> None:
    (made.prefix / installation.IMAGE).touch()
    assert installation.add_extra("heif") == "build the image again with --build-arg EXTRAS=heif"
    dockerfile = (Path(__file__).parents[1] / "Dockerfile").read_text()
    assert "ARG EXTRAS=" in dockerfile
    assert f"touch /opt/mirnet/{installation.IMAGE}" in dockerfile


def test_each_extra_is_one_of_the_package() -> None:
    from mirnet_cli.extras import EXTRAS
    from mirnet_cli.measure import health

    for extra in {*EXTRAS.values(), *health.EXTRAS}:
        assert "mirnet-cli" not in " ".join(installation.requirements(extra)), extra


def test_the_command_is_one_that_a_shell_takes(made: Made) -> None:
    """Its words come out as they went in, whatever the folder is called."""
    made.came_from(url=made.clone.as_uri(), dir_info={})
    script = f"set -- {installation.add_extra('heif')}\nprintf '%s\\n' \"$@\""
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == f"{made.clone}[heif]"
