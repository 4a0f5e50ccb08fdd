"""What the surroundings say: environment variables, folders, memory.

The environment is read here and nowhere else, except for the ``MIRNET_*`` variables that Typer
reads with the option they belong to. Nothing is read at import.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mirnet_cli.errors import UsageError

_TRUE = frozenset({"1", "true", "yes", "on"})

# A cgroup without a limit says "max" (version 2) or a number near 2**63 (version 1).
_UNLIMITED = 1 << 62
_FALLBACK_MEMORY = 4 << 30
_PATIENCE = 20.0


def flag(name: str, environment: Mapping[str, str] | None = None) -> bool:
    """Whether the environment variable ``name`` is set to 1, true, yes or on (any case)."""
    value = (os.environ if environment is None else environment).get(name, "")
    return value.strip().lower() in _TRUE


def variables() -> dict[str, str]:
    """The ``MIRNET_*`` variables that are set, and the Hub's offline switch, sorted by name."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("MIRNET_") or name == "HF_HUB_OFFLINE"
    }


def offline() -> bool:
    """Whether the network must not be used: ``MIRNET_OFFLINE`` or the Hub's own variable."""
    return flag("MIRNET_OFFLINE") or flag("HF_HUB_OFFLINE")


def store_patience() -> float:
    """Seconds that an object store may be silent: ``MIRNET_STORE_TIMEOUT``."""
    try:
        seconds = float(os.environ.get("MIRNET_STORE_TIMEOUT", ""))
    except ValueError:
        return _PATIENCE
    return seconds if 0 < seconds < 86400 else _PATIENCE


def cache_folder() -> Path:
    """The folder for what can be made or fetched again; it need not exist.

    ``MIRNET_CACHE`` overrides the platform's place (``~/.cache/mirnet`` on Linux).

    Raises:
        UsageError: it would be in a home folder that does not exist for this user.
    """
    override = os.environ.get("MIRNET_CACHE", "").strip()
    with _home_needed("MIRNET_CACHE"):
        if override:
            return Path(override).expanduser()
        import platformdirs

        # Versions differ in whether they refuse, or keep the tilde, where there is no home.
        return Path(platformdirs.user_cache_dir("mirnet", appauthor=False)).expanduser()


def cache_or_nowhere() -> Path:
    """The cache folder; where none is known a path at which nothing can be made or found.

    For what is kept only to save time.
    """
    try:
        return cache_folder()
    except UsageError:
        return Path(os.devnull, "mirnet")


def most_instructions() -> str:
    """What oneDNN, which OpenVINO computes with, is held to, in capitals: a name like "AVX2".

    Empty where nothing is said. It is for measuring what a lesser processor would take.
    """
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        if value := os.environ.get(name, "").strip().upper():
            return "" if value in ("ALL", "DEFAULT") else value
    return ""


def hub_endpoint() -> str:
    """The address of the Hugging Face Hub, without a slash at the end; ``HF_ENDPOINT``."""
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co"


def hub_cache() -> Path:
    """Where the Hub's client keeps files, by the rules of huggingface_hub's ``constants.py``.

    ``HF_HUB_CACHE``, else ``hub`` in ``HF_HOME``, else in the user's cache folder.

    Raises:
        UsageError: it would be in a home folder that does not exist for this user.
    """
    with _home_needed("HF_HOME"):
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            if value := os.environ.get(name):
                return Path(os.path.expandvars(value)).expanduser()
        home = os.environ.get("HF_HOME")
        if home is None:
            home = str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
        return Path(os.path.expandvars(home)).expanduser() / "hub"


@contextmanager
def _home_needed(variable: str) -> Iterator[None]:
    """Say what to do where the system knows no home folder, as in some containers."""
    try:
        yield
    except RuntimeError as error:
        raise UsageError(
            "the home folder is not known", f"set {variable} to a folder, or HOME"
        ) from error


def quiet_hub() -> None:
    """Set what the Hub's client reads when it is imported, where the user has not set it.

    Nothing is sent but requests for files; and files come over plain HTTP, whose failures can be
    told apart and end soon.
    """
    for name in (
        "HF_HUB_DISABLE_TELEMETRY",
        "HF_HUB_DISABLE_XET",
        "HF_HUB_DISABLE_SYMLINKS_WARNING",
        "HF_HUB_DISABLE_UPDATE_CHECK",
    ):
        os.environ.setdefault(name, "1")


def physical_memory() -> int:
    """The machine's memory in bytes, whatever a container allows; 4 GiB where it is unknown."""
    if sys.platform == "win32":
        return _windows_memory()[0]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _FALLBACK_MEMORY


def memory_limit() -> int:
    """Bytes that processes here may use together: the machine's memory or the container's limit.

    The smallest of the physical memory and the limits of this process's control groups and all
    their parents (version 1 and 2).
    """
    return min([physical_memory(), *_cgroup_limits(Path("/"))])


def encoded_limit() -> int:
    """Bytes of a picture's file that may come without a file: over a pipe, or from the web.

    A file that takes a quarter of the memory cannot be worked on in the rest.
    """
    return min(2 << 30, memory_limit() // 4)


def memory_free() -> int | None:
    """Bytes that could be taken now without swapping; ``None`` where this cannot be told."""
    if sys.platform == "win32":
        return _windows_memory()[1]
    free = _meminfo_available(Path("/proc/meminfo"))
    if free is None:
        return None
    room = [
        limit - used
        for limit, used in _cgroup_usage(Path("/"))
        if limit < _UNLIMITED and used <= limit
    ]
    return min([free, *room])


def _meminfo_available(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if name == "MemAvailable" and fields and fields[0].isdigit():
            return int(fields[0]) * 1024
    return None


def _cgroup_folders(root: Path) -> list[tuple[Path, str, str]]:
    """Folder, limit file and usage file of each control group that this process is in.

    ``/proc/self/cgroup`` has lines ``ID:CONTROLLERS:PATH`` (cgroups(7)); version 2 is the line
    with ID 0 and no controllers. Inside a container the path may not exist under the mounted
    folder, whose top is then the container's own group.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found: list[tuple[Path, str, str]] = []
    for line in lines.splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        identifier, controllers, path = parts
        if identifier == "0" and not controllers:
            top, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        steps = [step for step in path.split("/") if step not in ("", ".", "..")]
        found += [(top.joinpath(*steps[:n]), limit, usage) for n in range(len(steps), -1, -1)]
    return found


def _cgroup_usage(root: Path) -> list[tuple[int, int]]:
    """Limit and usage in bytes of each control group that states both."""
    pairs = []
    for folder, limit_name, usage_name in _cgroup_folders(root):
        limit, usage = _read_number(folder / limit_name), _read_number(folder / usage_name)
        if limit is not None and usage is not None:
            pairs.append((limit, usage))
    return pairs


def _cgroup_limits(root: Path) -> list[int]:
    limits = [_read_number(folder / name) for folder, name, _ in _cgroup_folders(root)]
    return [limit for limit in limits if limit is not None and 0 < limit < _UNLIMITED]


def _read_number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _windows_memory() -> tuple[int, int | None]:
    """Total and free physical memory in bytes, from GlobalMemoryStatusEx."""
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("free", ctypes.c_ulonglong),
            ("others", ctypes.c_ulonglong * 5),
        )

    status = Status()
    status.length = ctypes.sizeof(Status)
    kernel = getattr(ctypes, "windll", None)
    if kernel is None or not kernel.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return _FALLBACK_MEMORY, None
    return int(status.total), int(status.free)
