"""Whether everything that mirnet needs is here and works, and what to do where it is not.

Each check looks at the thing itself where that is quick: libraries are imported, a network is run,
files are hashed. No check raises; what goes wrong is what it reports.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from mirnet_cli import extras, installation, settings
from mirnet_cli._version import __version__
from mirnet_cli.errors import MirnetError, UsageError
from mirnet_cli.files import nearest_folder
from mirnet_cli.models import catalogue

State = Literal["ok", "info", "problem", "broken"]

LIBRARIES = {
    "numpy": "numpy",
    "opencv": "cv2",
    "pillow": "PIL",
    "safetensors": "safetensors",
    "huggingface-hub": "huggingface_hub",
    "simplejpeg": "simplejpeg",
    "rich": "rich",
    "typer": "typer",
    "platformdirs": "platformdirs",
}
"""What mirnet is installed with, and the module of each."""

EXTRAS = {
    "heif": ("HEIC photos", {"pillow-heif": "pillow_heif"}),
    "jxl": ("JPEG XL", {"imagecodecs": "imagecodecs"}),
    "raw": ("camera RAW", {"rawpy": "rawpy"}),
    "torch": ("GPUs, PyTorch's checkpoints", {"torch": "torch"}),
    "train": ("mirnet train", {"torch": "torch", "matplotlib": "matplotlib"}),
    "onnx": ("ONNX on GPUs, models export", {"onnx": "onnx", "onnxruntime": "onnxruntime"}),
    "cloud": ("S3-compatible stores", {"fsspec": "fsspec", "s3fs": "s3fs"}),
    "cluster": ("--cluster", {"distributed": "distributed", "cryptography": "cryptography"}),
}
"""The extras of an installation: what each is for, and its libraries with the module of each."""

PYTHONS = ((3, 11), (3, 15))
"""The first Python that is supported, and the first that is not."""

NEEDED = ("denoise", "enhance", "upscale-x1", "upscale-x2", "upscale-x3", "upscale-x4")
"""Tasks that work without a network connection."""

_LITTLE_MEMORY = 2 << 30
_LITTLE_DISK = 1 << 30
_SIDE = 64
_TOLERANCE = 0.02


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        section: what it belongs to: software, extras, surroundings, memory, cache, weights,
            devices.
        name: of the thing.
        state: ``"ok"``; ``"info"`` for what is neither good nor bad; ``"problem"``; ``"broken"``
            where weights are missing or changed.
        value: what was found, in words.
        remedy: what to do about it, where it is a problem or where something is wanted that is
            not here; may be empty.
    """

    section: str
    name: str
    state: State
    value: str
    remedy: str = ""

    @property
    def bad(self) -> bool:
        """Whether something has to be done."""
        return self.state in ("problem", "broken")


def checks() -> Iterator[Check]:
    """All checks, one after the other; about three seconds, most of it importing torch."""
    for group in (_software, _extras, _surroundings, _memory, _cache, _weights, _devices):
        yield from _guarded(group)


def _guarded(group: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from group()
    except Exception as error:
        # A broken library may raise anything; the other checks are still worth having.
        section = group.__name__.strip("_")
        remedy = "report it with what doctor says"
        if isinstance(error, MirnetError):
            yield Check(section, "check", "problem", error.what, error.remedy or remedy)
        else:
            yield Check(section, "check", "problem", f"not finished: {_words(error)}", remedy)


def _software() -> Iterator[Check]:
    yield Check("software", "mirnet", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    running = platform.python_version()
    first, beyond = PYTHONS
    supported = first <= sys.version_info[:2] < beyond
    yield Check(
        "software",
        "python",
        "ok" if supported else "problem",
        f"{running} ({platform.python_implementation()}), {platform.platform()}",
        "" if supported else f"use Python {first[0]}.{first[1]} to {beyond[0]}.{beyond[1] - 1}",
    )
    required = _requirements()
    for name, module in LIBRARIES.items():
        yield _library("software", name, module, required.get(name, ""))


def _extras() -> Iterator[Check]:
    """A line for each extra, and one for each library of theirs that is here and does not work."""
    required, checked = _requirements(), dict[str, Check]()
    for extra, (use, libraries) in EXTRAS.items():
        missing = [name for name, module in libraries.items() if not extras.installed(module)]
        if missing:
            # What is here of it came for something else, and may be of another version.
            value = f"for {use}; not installed: {', '.join(missing)}"
            yield Check("extras", extra, "info", value, installation.add_extra(extra))
            continue
        for name, module in libraries.items():
            if name not in checked:
                checked[name] = _library("extras", name, module, required.get(name, ""))
                if checked[name].bad:
                    yield checked[name]
        if not any(checked[name].bad for name in libraries):
            here = ", ".join(f"{name} {checked[name].value}" for name in libraries)
            yield Check("extras", extra, "ok", f"for {use}: {here}")


def _library(section: str, name: str, module: str, required: str) -> Check:
    package = _OPENCV if name == "opencv" else name
    try:
        found = import_module(module)
    except Exception as error:
        remedy = installation.add(package, again=True)
        return Check(section, name, "problem", f"cannot be loaded: {_words(error)}", remedy)
    version = str(getattr(found, "__version__", "")) or _installed(name)
    if required and not _within(version, required):
        remedy = installation.add(f"{package}{required}")
        return Check(section, name, "problem", f"{version}, but needed is {required}", remedy)
    return Check(section, name, "ok", version)


_OPENCV = "opencv-python-headless"
_OPTIONAL = frozenset(name for _, libraries in EXTRAS.values() for name in libraries)


def _requirements() -> dict[str, str]:
    """The version ranges that mirnet declares, by the names of :data:`LIBRARIES`."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        from packaging.requirements import Requirement

        declared = [Requirement(text) for text in requires("mirnet-cli") or []]
    except (ImportError, PackageNotFoundError):
        return {}
    ranges: dict[str, str] = {}
    for each in declared:
        if each.marker is None or each.name in _OPTIONAL:
            # Of torch that of its own extra; training wants a newer one, and says so.
            ranges.setdefault(each.name, str(each.specifier))
    ranges["opencv"] = ranges.pop(_OPENCV, "")
    return ranges


def _within(version: str, required: str) -> bool:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion

    try:
        return SpecifierSet(required).contains(version, prereleases=True)
    except InvalidVersion:
        return True


def _installed(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "version unknown"


def _surroundings() -> Iterator[Check]:
    encoding = sys.getfilesystemencoding()
    fine = encoding.lower().replace("-", "") == "utf8"
    yield Check(
        "surroundings",
        "file names",
        "ok" if fine else "problem",
        encoding,
        "" if fine else "set PYTHONUTF8=1, or a UTF-8 locale such as LC_ALL=C.UTF-8",
    )
    for name, value in settings.variables().items():
        yield Check("surroundings", name, "info", value)


def _memory() -> Iterator[Check]:
    from mirnet_cli.runtime import memory

    limit, physical = settings.memory_limit(), settings.physical_memory()
    where = "of the machine" if limit == physical else "of this container"
    free = settings.memory_free()
    available = "" if free is None else f", {_gib(free)} free"
    little = limit < _LITTLE_MEMORY
    yield Check(
        "memory",
        "memory",
        "problem" if little else "ok",
        f"{_gib(limit)} {where}{available}",
        "large photos may not fit; try --max-memory and a small --tile" if little else "",
    )
    usual = memory.ceiling(None, limit).usual
    if free is not None and free < usual and not little:
        remedy = f"close other programs, or use --max-memory {max(free >> 21, 256)}M"
        yield Check("memory", "free", "problem", f"only {_gib(free)} is free now", remedy)
    yield Check(
        "memory",
        "limit",
        "info",
        f"{_gib(usual)} for a process unless --max-memory says otherwise",
    )


def _cache() -> Iterator[Check]:
    try:
        folder = settings.cache_folder()
    except UsageError as error:
        # What ships needs none.
        value = f"none: {error.what}; only downloads need one"
        yield Check("cache", "folder", "info", value, error.remedy)
        return
    existing = nearest_folder(folder)
    writable = existing is not None and os.access(existing, os.W_OK | os.X_OK)
    remedy = "set MIRNET_CACHE to a folder that can be written"
    what = str(folder) if folder == existing else f"{folder} (made when needed)"
    if existing is None or not writable:
        yield Check("cache", "folder", "problem", f"{what} cannot be written", remedy)
        return
    yield Check("cache", "folder", "ok", what)
    free = shutil.disk_usage(existing).free
    little = free < _LITTLE_DISK
    yield Check(
        "cache",
        "disk",
        "problem" if little else "ok",
        f"{_gib(free)} free",
        f"free some space, or {remedy}" if little else "",
    )


def _weights() -> Iterator[Check]:
    entries = catalogue.entries()
    for entry in entries:
        path = catalogue.known_path(entry)
        if not entry.shipped and (path is None or not path.is_file()):
            continue
        found = catalogue.verify(entry)
        if found.ok:
            value = f"intact, sha256 {(found.sha256 or '')[:12]}"
            yield Check("weights", entry.name, "ok", value)
        else:
            where = f"{found.what} ({found.path})"
            yield Check("weights", entry.name, "broken", where, found.remedy)
    served = {key for entry in entries for key in entry.default_for}
    for key in NEEDED:
        if key not in served:
            value = "this version ships no weights for it"
            yield Check("weights", key, "broken", value, "update mirnet, or give --weights")


def _devices() -> Iterator[Check]:
    from mirnet_cli.runtime import RUNTIMES
    from mirnet_cli.runtime.devices import available, free_memory

    here = []
    for name in RUNTIMES:
        try:
            yield Check("devices", f"runtime {name}", "ok", _runtime(name))
            here.append(name)
        except ImportError as error:
            value = (
                f"cannot be loaded: {_words(error)}" if extras.installed(name) else "not installed"
            )
            yield Check("devices", f"runtime {name}", "info", value, extras.remedy(name))
    if not {"openvino", "torch"} & {*here}:
        value = "neither OpenVINO nor torch is installed"
        yield Check("devices", "runtime", "problem", value, extras.remedy("torch"))
    devices = available()
    if "torch" not in here and "openvino" in here:
        from mirnet_cli.runtime import openvino_runtime

        # What is listed is what --precision takes.
        devices = [openvino_runtime.cpu()]
    for device in devices:
        parts = [device.title]
        if device.memory is not None:
            free = free_memory(device)
            parts.append(_gib(device.memory) + ("" if free is None else f" ({_gib(free)} free)"))
        parts.append(", ".join(device.precisions))
        yield Check("devices", device.name, "ok", "; ".join(parts))
    if all(device.kind != "cuda" for device in devices) and _has_nvidia():
        cannot = "cannot use it" if "torch" in here else "is not installed"
        yield Check(
            "devices",
            "cuda",
            "problem",
            f"there is an NVIDIA GPU, but torch {cannot}",
            "install torch with CUDA as https://pytorch.org/get-started says; check nvidia-smi",
        )
    if "torch" in here:
        for device in devices:
            yield from _runs(device, "torch", device.name)
    if "openvino" in here:
        from mirnet_cli.runtime import openvino_runtime

        yield from _runs(openvino_runtime.cpu(), "openvino", "openvino")


def _runtime(name: str) -> str:
    if name == "openvino":
        # Not the library itself, which sends a message when it is imported.
        from mirnet_cli.runtime.openvino_library import openvino

        return f"{openvino.__version__}, on the CPU"
    if name == "onnxruntime":
        from mirnet_cli.runtime import onnxruntime_runtime

        return onnxruntime_runtime.title()
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return f"{torch.__version__}, {built}, {torch.get_num_threads()} threads"


def _runs(device: Any, runtime: str, title: str) -> Iterator[Check]:
    """Run a shipped network on the device in each precision and compare with float32 there."""
    import numpy as np

    from mirnet_cli.models.resolver import load_entry
    from mirnet_cli.networks import FAMILIES
    from mirnet_cli.runtime import prepare

    shipped = [each for each in catalogue.entries() if each.shipped]
    intact = [each for each in shipped if catalogue.verify(each).ok]
    if not intact:
        return
    entry = next((each for each in intact if each.task == "denoise"), intact[0])
    network = load_entry(entry).network
    family = FAMILIES[network.family]
    channels = family.inputs(network.config)
    batch = np.random.default_rng(0).random((1, channels, _SIDE, _SIDE), dtype=np.float32)
    # About as much noise as there is in photos.
    batch = 0.4 + 0.2 * batch
    scale = entry.scales[0] if entry.task == "upscale" else None
    exact = None
    for precision in device.precisions:
        has = ("fp32", *family.half_precision, *(("int8",) if network.integers else ()))
        if precision not in has:
            continue
        name = f"{title} {precision}"
        try:
            runner = prepare(
                network, scale=scale, runtime=runtime, device=device.name, precision=precision
            )
            result = runner.run(batch).residual
        except MirnetError as error:
            remedy = error.remedy or "use another --precision"
            yield Check("devices", name, "problem", error.what, remedy)
            continue
        except Exception as error:
            remedy = "use another --device or --precision; update the driver and torch"
            yield Check("devices", name, "problem", f"fails: {_words(error)}", remedy)
            continue
        exact = result if exact is None else exact
        difference = float(np.abs(result - exact).max())
        right = np.isfinite(result).all() and difference <= _TOLERANCE
        what = f"runs {entry.name}" if result is exact else f"{difference * 255:.2f}/255 off fp32"
        remedy = "" if right else "use --precision fp32; update the driver and torch"
        yield Check("devices", name, "ok" if right else "problem", what, remedy)


def _has_nvidia() -> bool:
    return Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _words(error: BaseException) -> str:
    """What an exception says, without the name that it has in Python."""
    return " ".join(str(error).split())[:200] or "no reason given"
