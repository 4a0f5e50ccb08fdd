"""Networks run by PyTorch: CUDA, MPS and CPU."""

import contextlib
import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mirnet_cli.errors import MirnetError, ModelError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.networks.integers import use_integers
from mirnet_cli.networks.pooling import Pooling
from mirnet_cli.runtime import OWN, Floats, OutOfDeviceMemoryError, Output, Pools, Record
from mirnet_cli.runtime.devices import Device, choose_precision, find, integers_of

_HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}
_FULL = (
    "out of memory",
    # The CPU's allocator.
    "can't allocate memory",
    "not enough memory",
    # One buffer larger than MPS allows.
    "invalid buffer size",
    # CUDNN_STATUS_ALLOC_FAILED, CUBLAS_STATUS_ALLOC_FAILED.
    "_status_alloc_failed",
)
"""What errors of too little memory say, in lower case."""
_BROKEN = re.compile(r"\b(CUDA|cuDNN|HIP|MIOpen) error\b", re.IGNORECASE)
_NAMED = 3
"""How many keys an error message names."""


class TorchRunner:
    """A network on one device in one precision; see :class:`mirnet_cli.runtime.Runner`.

    Weights stay in float32; with half precision, convolutions run in it under autocast, while
    pooling sums and the residual are float32. "int8" computes in float32 what the integers stand
    for: it is what other runtimes are compared with, and no faster.

    Attributes:
        module: the network.
        options: what it takes beside pictures and pools.
    """

    runtime = "torch"

    def __init__(
        self, module: nn.Module, device: Device, precision: str, scale: int | None
    ) -> None:
        self._device = torch.device(device.name)
        self.module = module.eval().requires_grad_(False)
        with _failures_told(device.name):
            self.module.to(self._device)
        self._layout = layout(self._device)
        for parameter in self.module.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=self._layout)
        self.options: dict[str, Any] = {} if scale is None else {"scale": scale}
        self.device = device.name
        self.precision = precision

    def run(self, batch: Floats, pools: Pools = OWN) -> Output:
        """Run the network; see :meth:`mirnet_cli.runtime.Runner.run`."""
        try:
            with _failures_told(self.device), torch.inference_mode(), self._settings():
                return self._run(batch, pools)
        finally:
            if self._device.type == "cuda":
                # What one size of tile leaves behind must not stand in the way of the next.
                with contextlib.suppress(RuntimeError):
                    self._forget_failed_allocation()

    def release(self) -> None:
        """Nothing: what torch keeps serves the next network, too."""

    def _run(self, batch: Floats, pools: Pools) -> Output:
        replay, mask = pools.replay, pools.mask
        pooling = Pooling(
            replay=None if replay is None else [self._tensor(v)[None] for v in replay],
            mask=None if mask is None else self._tensor(mask),
            record=mask is not None,
        )
        x = self._tensor(batch).contiguous(memory_format=self._layout)
        residual = self.module(x, pooling=pooling, **self.options)
        pooled = _records(pooling.recorded, len(batch)) if mask is not None else []
        return Output(residual.float().cpu().numpy(), pooled)

    def _tensor(self, values: Floats) -> Tensor:
        # Flipped views have negative strides, which torch does not take.
        if any(stride < 0 for stride in values.strides):
            values = np.ascontiguousarray(values)
        return torch.from_numpy(values).to(self._device)

    @contextlib.contextmanager
    def _settings(self) -> Iterator[None]:
        """Repeatable results, and float32 that is float32, without touching global settings."""
        dtype = _HALF.get(self.precision)
        with contextlib.ExitStack() as stack:
            if self._device.type == "cuda":
                stack.enter_context(
                    torch.backends.cudnn.flags(
                        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
                    )
                )
            # Without a dtype, too: the caller may have one of its own.
            half = torch.autocast(self._device.type, dtype, enabled=dtype is not None)
            stack.enter_context(half)
            yield

    def _forget_failed_allocation(self) -> None:
        free, total = torch.cuda.mem_get_info(self._device)
        if free < total // 10:
            torch.cuda.empty_cache()


def _records(recorded: Sequence[tuple[Tensor, Tensor]], count: int) -> list[Record]:
    """From one pair of tensors for each pool to one record for each picture."""
    pairs = [(v.float().cpu().numpy(), w.float().cpu().numpy()) for v, w in recorded]
    return [[(v[i], float(w[i])) for v, w in pairs] for i in range(count)]


@contextlib.contextmanager
def _failures_told(device: str) -> Iterator[None]:
    """What is the device's fault is told as that.

    Raises:
        OutOfDeviceMemoryError: its memory does not suffice.
        MirnetError: it is gone, taken, or out of order.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfDeviceMemoryError(str(error)) from error
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise OutOfDeviceMemoryError(str(error)) from error
        if not _BROKEN.search(str(error)):
            raise
        what = f"the device {device} failed ({str(error).partition(chr(10))[0]})"
        raise MirnetError(what, "run again, or use --device cpu") from error


def layout(device: torch.device) -> torch.memory_format:
    """How features and weights lie in memory: channels last, which convolutions gain from.

    Not on MPS, where that is not general and has given false results (PyTorch's issues 180984,
    192212).
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch failed because a device, or the machine, has no memory left."""
    # Only one of the ways to run out of it has a class of its own.
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(sign in text for sign in _FULL)


def prepare(spec: NetworkSpec, *, scale: int | None, device: str, precision: str) -> TorchRunner:
    """Build the network and fill in its numbers; see :func:`mirnet_cli.runtime.prepare`."""
    processor = find(device)
    family = FAMILIES.get(spec.family)
    if family is None:
        raise ModelError(f"unknown network family {spec.family!r}", "update mirnet")
    if precision == "int8":
        chosen = integers_of(spec)
    else:
        chosen = choose_precision(precision, processor, family.half_precision, family.name)
    try:
        # Numbers are filled in below; making random ones first takes time for large networks.
        with torch.device("meta"):
            # Whatever torch.set_default_dtype says.
            module = family.build(spec.config).float()
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"not a configuration of {family.title}: {error}", "get the weights again"
        ) from error
    # Before there is memory for it: a false configuration may describe more than there is.
    _check(module, spec, family.title)
    module.to_empty(device="cpu")
    _fill(module, spec)
    if chosen == "int8":
        use_integers(module, spec.integers)
    scales = family.scales(spec.config)
    if scale is not None and scale not in scales:
        raise ModelError(f"this network has no scale {scale}", f"it has {_listed(scales)}")
    takes_scale = "scale" in inspect.signature(module.forward).parameters
    return TorchRunner(module, processor, chosen, scale if takes_scale else None)


def _check(module: nn.Module, spec: NetworkSpec, title: str) -> None:
    """Compare keys and shapes; the module may have no numbers."""
    expected = module.state_dict()
    missing = sorted(expected.keys() - spec.tensors.keys())
    extra = sorted(spec.tensors.keys() - expected.keys())
    shapes = [
        f"{key} {tuple(spec.tensors[key].shape)} for {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in spec.tensors and tuple(spec.tensors[key].shape) != tuple(tensor.shape)
    ]
    faults = [("missing", missing), ("unknown", extra), ("of another shape", shapes)]
    for fault, keys in faults:
        if keys:
            more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
            raise ModelError(
                f"weights that are not those of {title}: {fault}: {_listed(keys[:_NAMED])}{more}",
                "use weights made for it",
            )


def _fill(module: nn.Module, spec: NetworkSpec) -> None:
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            values = np.asarray(spec.tensors[key], dtype=np.float32)
            if not np.isfinite(values).all():
                raise ModelError(f"weights that are not finite: {key}", "get the weights again")
            tensor.copy_(torch.from_numpy(np.array(values)))


def _listed(items: Sequence[object]) -> str:
    return ", ".join(str(item) for item in items)
