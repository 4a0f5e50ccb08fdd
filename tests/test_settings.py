"""What the surroundings say."""

import os
from pathlib import Path

import pytest

from mirnet_cli import settings
from mirnet_cli.errors import UsageError


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, []),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n"}, [4096]),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/memory.max": "8192\n",
            },
            [8192],
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,memory:/x\n4:cpuset:/x\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            [1000],
        ),
        # In a container the path is the host's and does not exist here.
        (
            {"proc/self/cgroup": "0::/../../docker/abc\n", "sys/fs/cgroup/memory.max": "7\n"},
            [7],
        ),
        ({"proc/self/cgroup": "nonsense\n\n::\n"}, []),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path, files: dict[str, str], expected: list[int]
) -> None:
    assert settings._cgroup_limits(_write(tmp_path, files)) == expected


def test_memory_is_positive_and_free_is_part_of_it() -> None:
    assert 0 < settings.memory_limit() <= settings.physical_memory()
    free = settings.memory_free()
    assert free is None or 0 <= free <= settings.physical_memory()


def test_available_memory_of_linux(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:  100 kB\nMemAvailable:   12 kB\n")
    assert settings._meminfo_available(path) == 12 * 1024
    assert settings._meminfo_available(tmp_path / "none") is None


def test_cache_folder_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "c"))
    assert settings.cache_folder() == tmp_path / "c"
    monkeypatch.setenv("MIRNET_CACHE", " ")
    assert settings.cache_folder().name == "mirnet"


@pytest.mark.skipif(os.name == "nt", reason="Windows asks no password file")
def test_a_user_without_a_home_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    def nobody(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "XDG_CACHE_HOME", "MIRNET_CACHE", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(UsageError, match="home folder is not known; set MIRNET_CACHE"):
        settings.cache_folder()
    with pytest.raises(UsageError, match="home folder is not known; set HF_HOME"):
        settings.hub_cache()
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert settings.cache_folder() == tmp_path
    assert settings.hub_cache() == tmp_path / "hub"
    monkeypatch.setenv("MIRNET_CACHE", "~of-nobody/cache")
    with pytest.raises(UsageError, match="home folder is not known"):
        settings.cache_folder()


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("TRUE", True), ("0", False)])
def test_offline(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("MIRNET_OFFLINE", value)
    assert settings.offline() is expected
    monkeypatch.setenv("HF_HUB_OFFLINE", "on")
    assert settings.offline()
