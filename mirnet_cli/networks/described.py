"""What goes into a network that nobody described, and what comes out of it.

A network of the family "onnx" is known by its file alone: :class:`Interface` is what its file
states, :class:`Reading` is how its numbers are to be understood, which is measured. Together with
the rest of what is measured they are the network's configuration (:mod:`mirnet_cli.networks.spec`),
as JSON-like values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mirnet_cli import values

FAMILY = "onnx"
"""The family of such networks."""

RANGES: Mapping[str, tuple[float, float]] = dict(
    zip(values.RANGES, ((0, 1), (0, 255), (-1, 1)), strict=True)
)
"""What black and white may be in numbers, by what ``--input-range`` takes."""

GIVES = ("picture", "residual", "noise")
"""What a network may give: the picture, what is to be added to its input, or taken from it."""

FLOAT, FLOAT16, DOUBLE, INT32, INT64 = 1, 10, 11, 6, 7
_CHANNELS = (1, 2, 3, 4)
_LARGEST = 16384


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        name: in the file.
        type: of its elements, as ``TensorProto.DataType`` numbers them.
        shape: None for a side that is left open; None where nothing is said of it.
    """

    name: str
    type: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Setting:
    """An input beside the picture: one number, or a map of one number.

    Attributes:
        name: what ``--set`` calls it.
        type: of its elements.
        rank: how many axes it has.
        map: it has the picture's size.
        channel: it is the last channel of the picture itself, not an input of its own.
    """

    name: str
    type: int
    rank: int
    map: bool = False
    channel: bool = False

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Of the input, beside a picture of this size."""
        return (1, 1, height, width) if self.map else (1,) * self.rank


@dataclass(frozen=True)
class Interface:
    """What a file states of its network.

    Attributes:
        input: name of the picture's input.
        half: it takes float16.
        channels: of the input, settings that are channels of it included.
        last: channels are the last axis, not the second.
        height, width: the only ones it takes; None where they are open.
        outputs: names of what comes out, those that cannot be pictures left out.
        settings: what else goes in.
        opset: of the standard operators.
        unlike: what of it OpenVINO computes otherwise, as :mod:`mirnet_cli.runtime.unlike` words
            it.
    """

    input: str
    half: bool
    channels: int
    last: bool
    height: int | None
    width: int | None
    outputs: tuple[str, ...]
    settings: tuple[Setting, ...]
    opset: int = 0
    unlike: tuple[str, ...] = ()

    @property
    def fixed(self) -> tuple[int, int] | None:
        """The only size that it takes; None where it takes several."""
        return None if self.height is None or self.width is None else (self.height, self.width)

    def as_dict(self) -> dict[str, Any]:
        """JSON-like values; :meth:`of` reads them."""
        return asdict(self) | {"settings": [asdict(each) for each in self.settings]}

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Interface":
        """The interface that :meth:`as_dict` gave."""
        settings = tuple(Setting(**each) for each in given["settings"])
        texts = {name: tuple(given.get(name, ())) for name in ("outputs", "unlike")}
        return cls(**{**given, **texts, "settings": settings})


def describe(inputs: Sequence[Port], outputs: Sequence[Port], channels: int | None) -> Interface:
    """The interface of a network with these inputs and outputs.

    Args:
        inputs, outputs: as the file states them.
        channels: what the first convolution takes, where the file leaves the input's open.

    Raises:
        ValueError: where it is not one for pictures; says why.
    """
    pictures = [port for port in inputs if _may_be_picture(port)]
    if len(pictures) > 1:
        # A map of a setting has the picture's shape and one channel.
        wider = [port for port in pictures if _layout(port, channels)[0] > 1]
        pictures = wider or pictures[:1]
    if len(pictures) != 1:
        shown = ", ".join(_shown(port) for port in inputs[:4]) or "nothing"
        raise ValueError(f"it does not take one picture of 1, 3 or 4 channels, but {shown}")
    (picture,) = pictures
    count, last = _layout(picture, channels)
    rest = [_setting(port) for port in inputs if port is not picture]
    assert picture.shape is not None
    height, width = picture.shape[1:3] if last else picture.shape[2:4]
    for side in (height, width):
        if side is not None and side > _LARGEST:
            raise ValueError(f"it takes pictures of {width}x{height} only")
    results = [port for port in outputs if _may_be_result(port)]
    names = tuple(port.name for port in results)
    if not names:
        shown = ", ".join(_shown(port) for port in outputs[:4])
        raise ValueError(f"it does not give a picture, but {shown}")
    fewer = any(port.shape and port.shape[3 if last else 1] == count - 1 for port in results[:1])
    if count == 2 or (count == 4 and fewer):
        rest.insert(0, Setting(f"channel{count}", picture.type, 0, channel=True))
    return Interface(
        picture.name, picture.type == FLOAT16, count, last, height, width, names, tuple(rest)
    )


def _may_be_picture(port: Port) -> bool:
    shape = port.shape
    if port.type not in (FLOAT, FLOAT16) or shape is None or len(shape) != 4:
        return False
    sides = {shape[1], shape[3]}
    return shape[0] in (None, 1) and (None in sides or any(each in sides for each in _CHANNELS))


def _layout(port: Port, channels: int | None) -> tuple[int, bool]:
    """Channels, and whether they are the last axis."""
    assert port.shape is not None
    _, second, _, last = port.shape
    if second in _CHANNELS:
        return int(second or 0), False
    if last in _CHANNELS:
        return int(last or 0), True
    return (channels if channels in _CHANNELS else 3), False


def _may_be_result(port: Port) -> bool:
    floats = port.type in (FLOAT, FLOAT16)
    return floats and (port.shape is None or len(port.shape) == 4)


def _setting(port: Port) -> Setting:
    shape = port.shape
    if port.type in (FLOAT, FLOAT16, DOUBLE, INT32, INT64) and shape is not None:
        if all(side in (None, 1) for side in shape[:2]) and len(shape) == 4:
            return Setting(port.name, port.type, 4, map=shape[2] != 1 or shape[3] != 1)
        if len(shape) <= 4 and all(side in (None, 1) for side in shape):
            return Setting(port.name, port.type, len(shape))
    raise ValueError(f"its input {_shown(port)} is neither a picture nor one number")


def _shown(port: Port) -> str:
    sides = "x".join("?" if each is None else str(each) for each in port.shape or ())
    return f"{port.name[:40]!r} ({sides or '?'})"


@dataclass(frozen=True)
class Reading:
    """How a network's numbers are to be understood.

    Attributes:
        range: what black and white are where they go in, one of :data:`RANGES`.
        output_range: the same where they come out.
        bgr: blue is the first channel.
        gives: one of :data:`GIVES`.
        margin: pixels that the output lacks on every side, at the input's size; as many are put
            around the picture before.
    """

    range: str = "0..1"
    output_range: str = "0..1"
    bgr: bool = False
    gives: Literal["picture", "residual", "noise"] = "picture"
    margin: int = 0


TITLES: Mapping[str, str] = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
"""Runtimes that may be the only one for a network."""

_GIVEN = {
    "picture": "gives the picture",
    "residual": "gives what is added to the picture",
    "noise": "gives the noise in the picture",
}


def worded(config: Mapping[str, Any]) -> str:
    """How the numbers of a network with this configuration are read, for people."""
    interface, reading = Interface.of(config["interface"]), Reading(**config["measured"]["reading"])
    takes = [f"takes {reading.range}"]
    if interface.channels - any(each.channel for each in interface.settings) == 1:
        takes.append("grey")
    else:
        takes.append("blue first" if reading.bgr else "red first")
    takes += [f"{each.name}={config['settings'][each.name]:g}" for each in interface.settings]
    gives = _GIVEN[reading.gives]
    if reading.gives == "picture" and reading.output_range != reading.range:
        gives += f" in {reading.output_range}"
    measured = Measured.of(config["measured"])
    only = f"; {TITLES[measured.runtime]} alone ({measured.why})" if measured.runtime else ""
    return f"{', '.join(takes)}; {gives}{only}"


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        output: which of the outputs is the picture, by its place.
        scale: sides of the output over sides of the input.
        multiple: what sides have to be multiples of.
        fixed: height and width of the only picture that is taken, margins left out; None where
            there are several.
        least: the smallest side that is taken.
        reading: what the numbers mean.
        psnr: in dB, of what it made of small photos against what they were.
        second: the same under the best other range.
        field: pixels from which nothing reaches an output pixel; None where that was not seen.
        reach: pixels from which next to nothing (80 dB) does.
        everywhere: all of the picture changes with any part of it.
        agreement: in dB, of two pictures that share a part, on that part less its border.
        period: how far a picture has to be moved for the result to be the same, moved.
        repeatable: the same picture gives the same result.
        faults: inputs whose result is not finite: "black", "white", "noise".
        memory: bytes for each pixel of the input; 0 where it was not measured.
        seconds: of processors, for a megapixel of the input.
        runtime: the only one that computes it as the file says; "" where any does.
        why: others do not, in words.
    """

    output: int
    scale: int
    multiple: int
    fixed: tuple[int, int] | None
    least: int
    reading: Reading
    psnr: float
    second: float
    field: int | None
    reach: int
    everywhere: bool
    agreement: float | None
    period: int
    repeatable: bool
    faults: tuple[str, ...]
    memory: int
    seconds: float
    runtime: str = ""
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-like values; :meth:`of` reads them."""
        return asdict(self) | {"faults": list(self.faults)}

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Measured":
        """What :meth:`as_dict` gave."""
        made = {
            "reading": Reading(**given["reading"]),
            "faults": tuple(given["faults"]),
            "fixed": tuple(given["fixed"]) if given["fixed"] else None,
        }
        return cls(**{**given, **made})

    @property
    def stride(self) -> int:
        """What sides and origins of tiles have to be multiples of."""
        return 1 if self.fixed else math.lcm(self.multiple, self.period)
