"""How much memory a network needs for a tile, and how much it may have: numbers, no allocation."""

from dataclasses import dataclass

from mirnet_cli import extras
from mirnet_cli.errors import UsageError
from mirnet_cli.networks.spec import NetworkSpec

USEFUL = 17 << 26
"""Bytes (1.06 GiB) beyond which a ceiling that nobody set is not used.

At 12 megapixels more buys no speed; photos of 2 to 4 would fit in one piece and save a fifth.
"""


@dataclass(frozen=True)
class Footprint:
    """What a runtime takes on the CPU; a stream is one full-size feature map in float32.

    Attributes:
        fixed: bytes of the process with its libraries, OpenCV and Pillow loaded, and what the
            allocator does not give back.
        copies: of the weights in float32 that are held at once.
        whole: streams that one run takes at its peak, over a picture in one piece.
        tile: streams that many runs take, which also record what they pool.
        largest: side in pixels of the largest tiles that are worth it.
    """

    fixed: int
    copies: int
    whole: int
    tile: int
    largest: int


TORCH = Footprint(fixed=420 << 20, copies=2, whole=20, tile=36, largest=768)
"""Measured as the growth of the process's peak over runs and stitching (docs/measurements.md).

Many runs take more than one, because recording takes masked copies, and because glibc keeps tensors
below 32 MiB on a heap that fragments.
"""

OPENVINO = {
    "fp32": Footprint(fixed=256 << 20, copies=4, whole=13, tile=16, largest=1536),
    "bf16": Footprint(fixed=256 << 20, copies=4, whole=11, tile=13, largest=1536),
    "int8": Footprint(fixed=256 << 20, copies=4, whole=13, tile=16, largest=1536),
}
"""Measured likewise by precision, graphs compiled for one size.

The context "whole" records on an uncut picture, so that is what is planned. The fewer the overlaps
of tiles, the better.
"""

OPENVINO_DEEP = Footprint(fixed=256 << 20, copies=4, whole=14, tile=18, largest=768)
"""The same for networks of other families than compact, in any precision."""


def footprint(runtime: str, precision: str, family: str) -> Footprint:
    """What a runtime takes; one that is unknown as much as torch."""
    if runtime != "openvino":
        return TORCH
    return OPENVINO[precision] if family == "compact" else OPENVINO_DEEP


INPUTS = 3
"""Copies of the network's input in float32 that are held at once: cut, laid out, and the mask."""

OUTPUTS = 8
"""Pictures of the output's size in float32 that are held at once: the last layer's, shuffled,
copied from the device, the base, the sum, and what stitching and finishing hold."""


@dataclass(frozen=True)
class Ceiling:
    """Bytes that the process may take.

    Attributes:
        usual: unless there is need of more.
        most: in any case.
    """

    usual: int
    most: int

    def beside(self, needed: int) -> int:
        """The ceiling where so much is needed."""
        return min(max(self.usual, needed), self.most)


def ceiling(max_memory: int | None, limit: int) -> Ceiling:
    """Bytes that the process may take.

    Args:
        max_memory: ``--max-memory``; None is half of ``limit``, and less where more buys no speed.
        limit: memory of the machine or container.
    """
    if max_memory is None:
        return Ceiling(min(limit // 2, USEFUL), limit // 2)
    return Ceiling(max_memory, max_memory)


def device_ceiling(device: str) -> int | None:
    """Bytes that tiles may take on a device with memory of its own; None for the others.

    Nine tenths of what is free there now, in steps of 256 MiB.
    """
    if not (device.startswith("cuda") and extras.installed("torch")):
        # Known without torch, which may not be loaded.
        return None
    from mirnet_cli.runtime.devices import find, free_memory

    try:
        free = free_memory(find(device))
    except UsageError:
        # Torch, which tells it, was built without CUDA, and something else computes.
        return None
    return None if free is None else free * 9 // 10 >> 28 << 28


@dataclass(frozen=True)
class Need:
    """Bytes that a network takes.

    Attributes:
        whole: for each pixel of a picture that it sees once, uncut.
        tile: for each pixel of a tile, when it sees many and records what they pool.
        fixed: whatever it sees, with the whole process.
        largest: side in pixels of the largest tiles that are worth it.
    """

    whole: int
    tile: int
    fixed: int
    largest: int


_CAUTION = 1.25
"""How much more is planned for than was measured with small pictures."""


def need(
    spec: NetworkSpec, inputs: int, scale: int, footprint: Footprint = TORCH, measured: int = 0
) -> Need:
    """What a network needs, from the shape of its first layer.

    Args:
        spec: the network; ``conv_in.weight`` tells channels and unshuffling of its full-size
            stream. Where it has no such layer, 64 channels at full size are assumed.
        inputs: channels of its input.
        scale: output pixels for each input pixel, along one axis.
        footprint: of what computes.
        measured: bytes for each pixel of the input, where that is known.
    """
    first = spec.tensors.get("conv_in.weight")
    channels, unshuffled = (64, inputs) if first is None else first.shape[:2]
    stream = channels * inputs / unshuffled
    rest = INPUTS * inputs + OUTPUTS * 3 * scale**2
    whole, tile = (int(4 * (n * stream + rest)) for n in (footprint.whole, footprint.tile))
    if measured:
        whole = tile = int(measured * _CAUTION) + 4 * rest
    fixed = footprint.fixed + footprint.copies * spec.bytes
    return Need(whole, tile, fixed, footprint.largest)
