"""Pictures in a network's own numbers, and back."""

from collections.abc import Mapping

import numpy as np

from mirnet_cli.networks.described import RANGES, Interface, Reading
from mirnet_cli.runtime import Floats


def colours(interface: Interface) -> int:
    """Channels of the network's input that are colours (or grey), not settings."""
    return interface.channels - any(each.channel for each in interface.settings)


def to_network(
    x: Floats, interface: Interface, reading: Reading, settings: Mapping[str, float]
) -> list[Floats]:
    """A picture as the network's inputs.

    Args:
        x: ``(3, H, W)`` in 0..1.
        interface, reading: of the network.
        settings: values of the settings that are channels.

    Returns:
        One ``(1, C, H, W)`` for each run: one run for colours, three for a grey network, which gets
        each channel by itself.
    """
    low, high = RANGES[reading.range]
    if reading.margin:
        sides = ((0, 0), *[(reading.margin, reading.margin)] * 2)
        mode = "reflect" if min(x.shape[1:]) > reading.margin else "edge"
        x = np.pad(x, sides, mode=mode)  # type: ignore[call-overload]
    values: Floats = x * np.float32(high - low) + np.float32(low)
    count = colours(interface)
    if count == 1:
        runs = [values[index : index + 1] for index in range(3)]
    else:
        runs = [values[::-1] if reading.bgr else values]
        if count == 4:
            # Opaque: alpha is kept beside the network.
            runs = [np.concatenate([runs[0], np.full_like(values[:1], high)])]
    for each in interface.settings:
        if each.channel:
            value = np.full_like(values[:1], settings[each.name])
            runs = [np.concatenate([run, value]) for run in runs]
    return [run[None] for run in runs]


def from_network(outputs: list[Floats], x: Floats | None, reading: Reading) -> Floats:
    """What runs gave, as a picture or as what is to be added to one.

    Args:
        outputs: ``(1, C, h, w)`` of each run of :func:`to_network`.
        x: the picture that went in, to be taken off one that comes out; None leaves that whole.
        reading: of the network.

    Returns:
        ``(3, h, w)``.
    """
    made = outputs[0][0, :3] if len(outputs) == 1 else np.concatenate([y[0, :1] for y in outputs])
    if reading.bgr and len(outputs) == 1:
        made = made[::-1]
    low, high = RANGES[reading.output_range]
    if reading.gives != "picture":
        scaled: Floats = made * np.float32((-1 if reading.gives == "noise" else 1) / (high - low))
        return scaled
    picture: Floats = (made - np.float32(low)) * np.float32(1 / (high - low))
    return picture if x is None else picture - x
