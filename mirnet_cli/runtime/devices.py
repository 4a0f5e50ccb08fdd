"""The devices of this machine, as torch sees them. Torch is imported where it has to be asked."""

from dataclasses import dataclass

from mirnet_cli import extras
from mirnet_cli.errors import UsageError
from mirnet_cli.networks import FAMILIES
from mirnet_cli.networks.spec import NetworkSpec

FLOATS = ("fp32", "fp16", "bf16")
PRECISIONS = (*FLOATS, "int8")
"""What ``--precision`` takes besides ``auto``."""


@dataclass(frozen=True)
class Device:
    """A place to compute.

    Attributes:
        name: "cpu", "cuda:0", "mps".
        title: the hardware's own name, as far as it is known.
        memory: its own memory in bytes; None where it shares the machine's.
        precisions: what it computes in without emulation.
    """

    name: str
    title: str
    memory: int | None
    precisions: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The name without a number."""
        return self.name.partition(":")[0]


def only_cpu(name: str) -> bool:
    """Whether ``--device`` can mean nothing but the CPU here; found out without torch if possible.

    Raises:
        UsageError: as :func:`find`, where torch had to be asked.
    """
    wanted = name.strip().lower()
    if wanted != "auto":
        return wanted == "cpu"
    return not _may_have_accelerator() or find(wanted).kind == "cpu"


def _may_have_accelerator() -> bool:
    """Whether the system shows a sign of a GPU that torch might use."""
    import platform
    import sys
    from pathlib import Path

    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        from ctypes.util import find_library

        return find_library("nvcuda") is not None
    # NVIDIA, the same inside WSL, and AMD.
    signs = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    return any(Path(sign).exists() for sign in signs)


def available() -> list[Device]:
    """All devices, the preferred first: CUDA, then MPS, then the CPU, alone without torch."""
    devices = _accelerators() if extras.installed("torch") else []
    devices.append(Device("cpu", cpu_title(), None, ("fp32", "bf16")))
    return devices


def _accelerators() -> list[Device]:
    import torch

    devices = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            try:
                properties = torch.cuda.get_device_properties(index)
            except RuntimeError:
                # It is counted, and out of order.
                continue
            # Tensor cores compute bfloat16 from compute capability 8.0 on.
            precisions = FLOATS if properties.major >= 8 else ("fp32", "fp16")
            devices.append(
                Device(f"cuda:{index}", properties.name, properties.total_memory, precisions)
            )
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "Apple GPU", None, ("fp32", "fp16")))
    return devices


def find(name: str) -> Device:
    """The device for ``--device``.

    Args:
        name: "auto" (the first of :func:`available`), "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        UsageError: for a name that is unknown, or a device that is not here.
    """
    wanted = name.strip().lower()
    kind, _, index = wanted.partition(":")
    if kind == "directml":
        raise UsageError("only ONNX networks run on directml", "use auto, cpu, cuda, cuda:N or mps")
    if kind not in ("auto", "cpu", "cuda", "mps") or (
        ":" in wanted and not (kind == "cuda" and index.isdecimal())
    ):
        raise UsageError(f"unknown device {name!r}", "use auto, cpu, cuda, cuda:N or mps")
    if kind in ("cuda", "mps"):
        extras.require("torch", f"the device {wanted}")
    devices = available()
    if wanted == "auto":
        return devices[0]
    for device in devices:
        if wanted in (device.name, device.kind):
            return device
    names = ", ".join(device.name for device in devices)
    raise UsageError(f"the device {wanted} is not available here", f"use one of: auto, {names}")


def free_memory(device: Device) -> int | None:
    """Bytes free on a device with memory of its own; None for the others."""
    if device.kind != "cuda":
        return None
    import torch

    free: int = torch.cuda.mem_get_info(device.name)[0]
    return free


def cpu_title() -> str:
    """The CPU's name, as the system tells it."""
    import platform
    from pathlib import Path

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine() or "CPU"


def integers_of(spec: NetworkSpec, subject: object = None) -> str:
    """The precision "int8", of a network that was trained for it.

    Args:
        spec: the network.
        subject: what its weights are called.

    Raises:
        UsageError: if it was not.
    """
    if not spec.integers:
        family = FAMILIES.get(spec.family)
        remedy = "use --precision auto"
        if family is not None and family.integers:
            remedy += ", or train one: mirnet train TASK --int8 --from FILE"
        what = "these weights have no version in 8-bit integers"
        raise UsageError(what, remedy, subject=subject)
    return "int8"


def choose_precision(precision: str, device: Device, half: tuple[str, ...], family: str) -> str:
    """The precision for ``--precision``.

    Args:
        precision: "auto" or one of :data:`FLOATS`.
        device: where to compute.
        half: the 16-bit precisions that the network's family allows.
        family: its name, for messages.

    Raises:
        UsageError: for a precision that is unknown, or that device or family do not have.
    """
    if precision == "auto":
        if device.kind == "cpu":
            return "fp32"
        shared = [each for each in ("fp16", "bf16") if each in half and each in device.precisions]
        return shared[0] if shared else "fp32"
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", f"use auto, {', '.join(PRECISIONS)}")
    if precision not in device.precisions:
        usable = " or ".join(device.precisions)
        raise UsageError(f"{precision} is not for {device.name}", f"use {usable}")
    if precision != "fp32" and precision not in half:
        usable = " or ".join(("fp32", *half))
        raise UsageError(f"{precision} is not for networks of the family {family}", f"use {usable}")
    return precision
