"""Networks as OpenVINO graphs, made from the numbers of a weights file, without torch.

The same mathematics as in :mod:`mirnet_cli.networks`, where it is explained; a test holds the two
together for every family. A graph takes a few hundredths of a second to write down and a third of a
second to compile (compact network); :mod:`mirnet_cli.runtime.compiled` keeps it for later runs.

A graph is written for one size of picture. Compiled so, it needs less memory than with sizes left
open, above all where it records (compact network, 768x768: 250 MiB instead of 620), and its first
run takes no longer than the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import ModelError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.networks.configs import (
    FINENESS,
    CompactConfig,
    LightConfig,
    MIRNetConfig,
    MIRNetV2Config,
    with_tuples,
)
from mirnet_cli.networks.described import FAMILY
from mirnet_cli.networks.spec import LEVELS
from mirnet_cli.runtime import onnx_graph
from mirnet_cli.runtime.openvino_library import openvino, ops

_LEAK = 0.2
"""Slope of every LeakyReLU, for the compact network and version 2."""


@dataclass(frozen=True)
class Stream:
    """A tensor ``(N, channels, H / factor, W / factor)`` of a graph."""

    node: Any
    channels: int
    factor: int = 1

    def with_node(self, node: Any) -> "Stream":
        """Another tensor of the same size."""
        return Stream(node, self.channels, self.factor)


@dataclass(frozen=True)
class Pool:
    """A pool of a network.

    Attributes:
        channels: length of its vector.
        factor: how many input pixels are as wide as one of its pixels.
        weighted: its mean is weighted by a softmax, whose denominator is an output of the graph.
    """

    channels: int
    factor: int
    weighted: bool


@dataclass(frozen=True)
class Graph:
    """A network as OpenVINO takes it.

    Attributes:
        model: inputs are the picture ``(N, C, H, W)``; with replay the vectors of all pools in one
            row ``(1, F)``; with record a mask ``(N, 1, H, W)`` whose sum is 1. Outputs are, where
            pools are weighted, their denominators' logarithms ``(N, P)``; with record the vectors
            ``(N, F)``; and last the residual, if it is wanted.
        pools: in the order of their vectors.
    """

    model: Any
    pools: tuple[Pool, ...]


class Numbers:
    """The tensors of a weights file, each of which has to be asked for with its right shape."""

    def __init__(
        self,
        tensors: Mapping[str, NDArray[Any]],
        title: str,
        integers: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.integers = integers or {}
        self._tensors = tensors
        self._title = title
        self._made: dict[str, NDArray[np.float32]] = {}

    def take(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A tensor in float32.

        Raises:
            ModelError: where it is missing, of another shape, or not finite.
        """
        if key in self._made:
            return self._made[key]
        if key not in self._tensors:
            raise self._unfit(f"missing: {key}")
        values = np.asarray(self._tensors[key])
        if values.shape != shape:
            raise self._unfit(f"of another shape: {key} {values.shape} for {shape}")
        values = np.ascontiguousarray(values, dtype=np.float32)
        if not np.isfinite(values).all():
            raise ModelError(f"weights that are not finite: {key}", "get the weights again")
        self._made[key] = values
        return values

    def finish(self, known: str = "") -> None:
        """Check that nothing is left over but what starts with ``known``.

        Raises:
            ModelError: names the first few that are.
        """
        extra = sorted(
            key
            for key in self._tensors.keys() - self._made
            if not (known and key.startswith(known))
        )
        if extra:
            more = f" and {len(extra) - 3} more" if len(extra) > 3 else ""
            raise self._unfit(f"unknown: {', '.join(extra[:3])}{more}")

    def _unfit(self, what: str) -> ModelError:
        return ModelError(
            f"weights that are not those of {self._title}: {what}", "use weights made for it"
        )


Activation = Callable[[Stream, str], Stream]
"""From a stream, and the name of the activation, whose slope may be a tensor."""


class Writer:
    """Writes a network down, piece by piece; names of pieces are those of their tensors."""

    def __init__(self, numbers: Numbers, context: Any, mask: Any) -> None:
        self.numbers = numbers
        self.pools: list[Pool] = []
        self.vectors: list[Any] = []
        self.denominators: list[Any] = []
        self._context = context
        self._mask = mask
        self._masks: dict[int, Any] = {}
        self._taken = 0

    def conv(
        self,
        x: Stream,
        name: str,
        outputs: int,
        kernel: int,
        *,
        bias: bool = False,
        groups: int = 1,
    ) -> Stream:
        """A convolution that keeps the size."""
        inputs = x.channels // groups
        weights = self.numbers.take(f"{name}.weight", (outputs, inputs, kernel, kernel))
        if f"{name}.weight" in self.numbers.integers:
            node = self._of_integers(x.node, name)
        else:
            node = self.filtered(x.node, weights, pad=kernel // 2, groups=groups)
        if bias:
            node = self.shifted(node, self.numbers.take(f"{name}.bias", (outputs,)))
        return Stream(node, outputs, x.factor)

    def filtered(
        self, node: Any, weights: NDArray[np.float32], *, pad: int, stride: int = 1, groups: int = 1
    ) -> Any:
        """A convolution with weights ``(outputs, inputs, k, k)`` at hand."""
        sides = ([stride] * 2, [pad] * 2, [pad] * 2, [1] * 2)
        if groups == 1:
            return ops.convolution(node, constant(weights), *sides)
        split = weights.reshape(groups, len(weights) // groups, *weights.shape[1:])
        return ops.group_convolution(node, constant(split), *sides)

    def _of_integers(self, node: Any, name: str) -> Any:
        """A convolution of integers, as :mod:`mirnet_cli.networks.integers` has it."""
        weights, scale, step, zero = (
            self.numbers.integers[f"{name}.{kind}"] for kind in ("weight", "scale", "step", "zero")
        )
        wide = ops.convert(ops.constant(weights), "f32")
        stands_for = ops.multiply(wide, scale.reshape(-1, 1, 1, 1))
        pad = [weights.shape[-1] // 2] * 2
        return ops.convolution(
            levels(node, step.reshape(-1, 1, 1), float(zero[0])),
            stands_for,
            [1, 1],
            pad,
            pad,
            [1, 1],
        )

    def shifted(self, node: Any, bias: NDArray[np.float32]) -> Any:
        """A bias for each channel."""
        return ops.add(node, bias.reshape(1, -1, 1, 1))

    def leaky(self, x: Stream, name: str = "") -> Stream:
        """LeakyReLU with the fixed slope."""
        return x.with_node(ops.prelu(x.node, np.full(1, _LEAK, np.float32)))

    def prelu(self, x: Stream, name: str) -> Stream:
        """PReLU with the slope of the weights."""
        return x.with_node(ops.prelu(x.node, self.numbers.take(f"{name}.weight", (1,))))

    def relu(self, x: Stream, name: str = "") -> Stream:
        """ReLU."""
        return x.with_node(ops.relu(x.node))

    def mean(self, x: Stream) -> Stream:
        """The mean over all positions, ``(N, F, 1, 1)``: measured or replayed."""
        measured = None
        if self._context is None or self._mask is not None:
            if self._mask is None:
                measured = ops.reduce_mean(x.node, [2, 3], keep_dims=True)
            else:
                masked = ops.multiply(x.node, self._mask_at(x.factor))
                measured = ops.reduce_sum(masked, [2, 3], keep_dims=True)
        return self._deliver(measured, None, x)

    def softmax_mean(self, x: Stream, logits: Stream) -> Stream:
        """The mean over all positions, weighted by a softmax over all positions."""
        measured = log_denominator = None
        if self._context is None or self._mask is not None:
            scores = ops.reshape(logits.node, [0, 1, -1], special_zero=True)
            if self._mask is not None:
                mask = ops.reshape(self._mask_at(x.factor), [0, 1, -1], special_zero=True)
                # A weight of nothing is as good as none, and its logarithm is finite.
                scores = ops.add(scores, ops.log(ops.maximum(mask, np.float32(1e-30))))
            peak = ops.reduce_max(scores, [2], keep_dims=True)
            weights = ops.exp(ops.subtract(scores, peak))
            denominator = ops.reduce_sum(weights, [2], keep_dims=True)
            features = ops.reshape(x.node, [0, 0, -1], special_zero=True)
            summed = ops.matmul(features, weights, False, True)
            measured = ops.unsqueeze(ops.divide(summed, denominator), [3])
            log_denominator = ops.squeeze(ops.add(peak, ops.log(denominator)), [2])
        return self._deliver(measured, log_denominator, x)

    def _deliver(self, measured: Any, log_denominator: Any, x: Stream) -> Stream:
        self.pools.append(Pool(x.channels, x.factor, log_denominator is not None))
        if self._mask is not None:
            self.vectors.append(ops.squeeze(measured, [2, 3]))
            if log_denominator is not None:
                self.denominators.append(log_denominator)
        node = measured
        if self._context is not None:
            start, stop = self._taken, self._taken + x.channels
            part = ops.slice(self._context, [start], [stop], [1], [1])
            node = ops.unsqueeze(part, [2, 3])
            if measured is not None:
                # Nothing is added, but now what is measured is measured before it is replaced. Else
                # more features wait for it until the end (mirnet_v2: twice the memory).
                node = ops.add(node, ops.multiply(measured, np.float32(1e-30)))
        self._taken += x.channels
        return x.with_node(node)

    def _mask_at(self, factor: int) -> Any:
        """The mask with pixels that are ``factor`` wide; it still sums to 1."""
        if factor == 1:
            return self._mask
        if factor not in self._masks:
            sides = ([factor] * 2, [0] * 2, [0] * 2, [factor] * 2)
            means = ops.avg_pool(self._mask, *sides, exclude_pad=False)
            self._masks[factor] = ops.multiply(means, np.float32(factor**2))
        return self._masks[factor]


def constant(values: NDArray[np.float32]) -> Any:
    """Numbers of the weights, copied at once; arrays given to operations go through Python lists,
    which takes longer than all else."""
    return ops.constant(values)


def levels(node: Any, step: NDArray[np.float32], zero: float) -> Any:
    """A tensor in levels; see :func:`mirnet_cli.networks.integers.rounded`."""
    low, high = (np.float32(end - zero) for end in (0, LEVELS - 1))
    return ops.fake_quantize(node, low * step, high * step, low, high, LEVELS)


def add(first: Stream, second: Stream) -> Stream:
    """The sum of two streams."""
    return first.with_node(ops.add(first.node, second.node))


def gated(x: Stream, gate: Any) -> Stream:
    """A stream times a gate that is broadcast to it."""
    return x.with_node(ops.multiply(x.node, gate))


def halved(x: Stream) -> Stream:
    """Half the size after a blur: [1 2 1]x[1 2 1]/16, edges reflected, stride 2."""
    padded = ops.pad(x.node, [0, 0, 1, 1], [0, 0, 0, 0], "reflect")
    means = ops.avg_pool(padded, [1, 1], [0, 0], [0, 0], [2, 2], exclude_pad=False)
    means = ops.avg_pool(means, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=False)
    return Stream(means, x.channels, x.factor * 2)


def doubled(x: Stream) -> Stream:
    """Twice the size, bilinear with half-pixel centres."""
    node = ops.interpolate(
        x.node,
        np.full(2, 2, np.float32),
        "linear_onnx",
        "scales",
        coordinate_transformation_mode="half_pixel",
        axes=[2, 3],
    )
    return Stream(node, x.channels, x.factor // 2)


def skff(
    w: Writer, streams: Sequence[Stream], name: str, hidden: int, activation: Activation
) -> Stream:
    """Selective kernel feature fusion."""
    channels = streams[0].channels
    total = streams[0]
    for stream in streams[1:]:
        total = add(total, stream)
    squeezed = activation(w.conv(w.mean(total), f"{name}.squeeze", hidden, 1), f"{name}.activation")
    weights = [
        w.numbers.take(f"{name}.expand.{i}.weight", (channels, hidden, 1, 1))
        for i in range(len(streams))
    ]
    scores = w.filtered(squeezed.node, np.concatenate(weights), pad=0)
    scores = ops.reshape(scores, [0, len(streams), channels, 1, 1], special_zero=True)
    shares = ops.split(ops.softmax(scores, 1), 1, len(streams)).outputs()
    parts = [
        gated(stream, ops.squeeze(share, [1]))
        for stream, share in zip(streams, shares, strict=True)
    ]
    fused = parts[0]
    for part in parts[1:]:
        fused = add(fused, part)
    return fused


def dau(
    w: Writer,
    x: Stream,
    name: str,
    reduction: int,
    activation: Activation,
    channel_activation: Activation,
    *,
    spatial_bias: bool = False,
) -> Stream:
    """Dual attention unit."""
    c = x.channels
    features = activation(w.conv(x, f"{name}.conv1", c, 3), f"{name}.activation")
    features = w.conv(features, f"{name}.conv2", c, 3)
    node = features.node
    largest, mean = (
        reduce(node, [1], keep_dims=True) for reduce in (ops.reduce_max, ops.reduce_mean)
    )
    kernels = w.numbers.take(f"{name}.spatial.conv.weight", (1, 2, 5, 5))
    # Joining them for one convolution would take longer than a second one does.
    spatial = ops.add(
        w.filtered(largest, kernels[:, :1].copy(), pad=2),
        w.filtered(mean, kernels[:, 1:].copy(), pad=2),
    )
    if spatial_bias:
        spatial = w.shifted(spatial, w.numbers.take(f"{name}.spatial.conv.bias", (1,)))
    squeezed = w.conv(w.mean(features), f"{name}.channel.squeeze", c // reduction, 1)
    squeezed = channel_activation(squeezed, f"{name}.channel.activation")
    channel = w.conv(squeezed, f"{name}.channel.excite", c, 1)
    gates = [ops.sigmoid(spatial), ops.sigmoid(channel.node)]
    attended = ops.concat([ops.multiply(node, gate) for gate in gates], 1)
    return add(w.conv(Stream(attended, 2 * c, x.factor), f"{name}.merge", c, 1), x)


def unshuffling_conv(w: Writer, x: Stream, name: str, outputs: int, r: int) -> Stream:
    """A 3x3 convolution, with a bias, of the stream unshuffled by ``r``.

    It is the same as one of the stream itself, in steps of ``r``, whose kernel is ``r`` times as
    large and has the weights of each unshuffled channel at the place where that comes from.
    """
    c = x.channels
    weights = w.numbers.take(f"{name}.weight", (outputs, c * r**2, 3, 3))
    apart = weights.reshape(outputs, c, r, r, 3, 3).transpose(0, 1, 4, 2, 5, 3)
    kernel = np.ascontiguousarray(apart.reshape(outputs, c, 3 * r, 3 * r))
    node = w.filtered(x.node, kernel, pad=r, stride=r)
    return Stream(w.shifted(node, w.numbers.take(f"{name}.bias", (outputs,))), outputs, r)


def linear_down(w: Writer, x: Stream, name: str, outputs: int) -> Stream:
    """Blur, halve, 1x1."""
    return w.conv(halved(x), f"{name}.conv", outputs, 1)


def linear_up(w: Writer, x: Stream, name: str, outputs: int) -> Stream:
    """1x1, bilinear doubling."""
    return doubled(w.conv(x, f"{name}.conv", outputs, 1))


def residual_down(w: Writer, x: Stream, name: str, outputs: int) -> Stream:
    """Residual downsampling."""
    top = w.prelu(w.conv(x, f"{name}.top1", x.channels, 1), f"{name}.activation1")
    top = w.prelu(w.conv(top, f"{name}.top2", x.channels, 3), f"{name}.activation2")
    top = w.conv(halved(top), f"{name}.top3", outputs, 1)
    return add(top, w.conv(halved(x), f"{name}.bottom", outputs, 1))


def residual_up(w: Writer, x: Stream, name: str, outputs: int, *, transposed: bool) -> Stream:
    """Residual upsampling, by a transposed convolution or bilinearly."""
    top = w.prelu(w.conv(x, f"{name}.top1", x.channels, 1), f"{name}.activation1")
    if transposed:
        weights = w.numbers.take(f"{name}.top2.weight", (x.channels, x.channels, 3, 3))
        node = ops.convolution_backprop_data(
            top.node,
            constant(weights),
            [2, 2],
            pads_begin=[1, 1],
            pads_end=[1, 1],
            output_padding=[1, 1],
        )
        top = Stream(node, x.channels, x.factor // 2)
    else:
        top = w.conv(top, f"{name}.top2", x.channels, 3)
    top = w.conv(w.prelu(top, f"{name}.activation2"), f"{name}.top3", outputs, 1)
    bottom = w.conv(x, f"{name}.bottom", outputs, 1)
    return add(top, doubled(bottom)) if transposed else doubled(add(top, bottom))


@dataclass(frozen=True)
class Parts:
    """What the multi-scale residual block of a family is made of; each takes a stream and a name.

    Attributes:
        widths: channels of its streams.
        shared_columns: one DAU serves both columns, and one SKFF both fusions at full size.
        bias: of its last convolution.
        lean: it lacks that convolution, and the second DAU of all streams but the first.
    """

    widths: tuple[int, ...]
    dau: Callable[[Stream, str], Stream]
    skff: Callable[[Sequence[Stream], str], Stream]
    down: Callable[[Stream, str, int], Stream]
    up: Callable[[Stream, str, int], Stream]
    shared_columns: bool
    bias: bool
    lean: bool = False


def msrb(w: Writer, x: Stream, name: str, parts: Parts) -> Stream:
    """Multi-scale residual block."""
    widths = parts.widths
    levels = range(len(widths))

    def resized(stream: Stream, start: int, end: int, steps: str) -> Stream:
        make, way = (parts.down, 1) if end > start else (parts.up, -1)
        for index, level in enumerate(range(start, end, way)):
            stream = make(stream, f"{name}.{steps}.{index}", widths[level + way])
        return stream

    first: list[Stream] = []
    for j in levels:
        stream = x if j == 0 else resized(first[-1], j - 1, j, f"resize.{j - 1}_{j}")
        first.append(parts.dau(stream, f"{name}.dau.{j}"))
    fused = [
        parts.skff(
            [a if i == j else resized(a, i, j, f"resize.{i}_{j}") for i, a in enumerate(first)],
            f"{name}.skff.{j}",
        )
        for j in levels
    ]
    column = "dau" if parts.shared_columns else "dau2"
    seconds = fused[:1] if parts.lean else fused
    streams = [parts.dau(stream, f"{name}.{column}.{j}") for j, stream in enumerate(seconds)]
    streams += fused[len(seconds) :]
    enlarged = [resized(streams[j], j, 0, f"last_up.{j - 1}") for j in levels[1:]]
    last = "skff.0" if parts.shared_columns else "skff2"
    merged = parts.skff([streams[0], *enlarged], f"{name}.{last}")
    if not parts.lean:
        merged = w.conv(merged, f"{name}.conv_out", widths[0], 3, bias=parts.bias)
    return add(merged, x)


def rrg(
    w: Writer,
    x: Stream,
    name: str,
    blocks: int,
    block: Callable[[Stream, str], Stream],
    bias: bool,
    closes: bool = True,
) -> Stream:
    """Recursive residual group."""
    features = x
    for m in range(blocks):
        features = block(features, f"{name}.blocks.{m}")
    if not closes:
        return features
    return add(w.conv(features, f"{name}.conv", x.channels, 3, bias=bias), x)


def _compact(w: Writer, x: Stream, config: Mapping[str, Any], scale: int | None) -> Any:
    sizes = CompactConfig.from_mapping(config)
    parts = Parts(
        sizes.widths,
        dau=lambda s, name: dau(w, s, name, sizes.reduction, w.leaky, w.leaky),
        skff=lambda s, name: skff(w, s, name, max(s[0].channels // 8, 4), w.leaky),
        down=lambda s, name, outputs: linear_down(w, s, name, outputs),
        up=lambda s, name, outputs: linear_up(w, s, name, outputs),
        shared_columns=False,
        bias=False,
    )
    r = sizes.unshuffle
    shallow = unshuffling_conv(w, x, "conv_in", sizes.widths[0], r)
    features = shallow
    for g in range(sizes.groups):
        own = replace(parts, lean=sizes.lean and g == sizes.groups - 1)
        features = rrg(
            w,
            features,
            f"groups.{g}",
            sizes.blocks,
            lambda s, name, own=own: msrb(w, s, name, own),  # type: ignore[misc]
            False,
            not sizes.lean,
        )
    side = (scale or sizes.scales[0]) * r
    head = w.conv(add(features, shallow), f"heads.{side // r}", 3 * side**2, 3, bias=True)
    return ops.depth_to_space(head.node, "depth_first", side)


def _mirnet(w: Writer, x: Stream, config: Mapping[str, Any], *, community: bool) -> Any:
    sizes = MIRNetConfig(**config)
    parts = Parts(
        sizes.widths,
        dau=lambda s, name: dau(
            w, s, name, 8, w.prelu, w.prelu if community else w.relu, spatial_bias=community
        ),
        skff=lambda s, name: skff(
            w, s, name, max(s[0].channels // (3 if community else 8), 4), w.prelu
        ),
        down=lambda s, name, outputs: residual_down(w, s, name, outputs),
        up=lambda s, name, outputs: residual_up(w, s, name, outputs, transposed=not community),
        shared_columns=True,
        bias=sizes.bias,
    )
    features = w.conv(x, "conv_in", sizes.features, 3, bias=sizes.bias)
    for g in range(sizes.groups):
        features = rrg(
            w,
            features,
            f"groups.{g}",
            sizes.blocks,
            lambda s, name: msrb(w, s, name, parts),
            sizes.bias and community,
        )
    return w.conv(features, "conv_out", sizes.outputs, 3, bias=sizes.bias).node


def _mirnet_v2(w: Writer, x: Stream, config: Mapping[str, Any], scale: int | None) -> Any:
    sizes = MIRNetV2Config(**with_tuples(config))
    shallow = w.conv(x, "conv_in", sizes.features, 3, bias=sizes.bias)
    features = shallow
    for g, groups in enumerate(sizes.conv_groups):
        features = rrg(
            w,
            features,
            f"groups.{g}",
            sizes.blocks,
            lambda s, name, groups=groups: mrb(w, s, name, sizes, groups),  # type: ignore[misc]
            sizes.bias,
        )
    if sizes.feature_skip:
        features = add(features, shallow)
    return w.conv(features, "conv_out", sizes.outputs, 3, bias=sizes.bias).node


def mrb(w: Writer, x: Stream, name: str, sizes: MIRNetV2Config, groups: int) -> Stream:
    """Multi-scale residual block of version 2."""
    _, width2, width3 = sizes.widths

    def rcb(s: Stream, level: int) -> Stream:
        own, c = f"{name}.rcb.{level}", s.channels
        features = w.leaky(w.conv(s, f"{own}.conv1", c, 3, bias=sizes.bias, groups=groups))
        features = w.conv(features, f"{own}.conv2", c, 3, bias=sizes.bias, groups=groups)
        score = w.conv(features, f"{own}.context.score", 1, 1, bias=sizes.bias)
        context = w.softmax_mean(features, score)
        context = w.conv(context, f"{own}.context.transform1", c, 1, bias=sizes.bias)
        context = w.conv(w.leaky(context), f"{own}.context.transform2", c, 1, bias=sizes.bias)
        return add(w.leaky(add(features, context)), s)

    def down(s: Stream, own: str, outputs: int) -> Stream:
        means = ops.avg_pool(s.node, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=False)
        halves = Stream(means, s.channels, s.factor * 2)
        return w.conv(halves, f"{name}.{own}.conv", outputs, 1)

    def fuse(streams: Sequence[Stream], own: str) -> Stream:
        hidden = max(streams[0].channels // 8, 4)
        return skff(w, streams, f"{name}.{own}", hidden, w.leaky)

    top, middle = x, down(x, "down2", width2)
    bottom = down(down(x, "down4.0", width2), "down4.1", width3)
    for use in range(2):
        top, middle, bottom = rcb(top, 0), rcb(middle, 1), rcb(bottom, 2)
        up = linear_up(w, bottom, f"{name}.up_to_middle.{use}", width2)
        middle = fuse([middle, up], "skff_middle")
        up = linear_up(w, middle, f"{name}.up_to_top.{use}", x.channels)
        top = fuse([top, up], "skff_top")
    return add(w.conv(top, f"{name}.conv_out", x.channels, 1, bias=sizes.bias), x)


def _light(w: Writer, x: Stream, config: Mapping[str, Any]) -> Any:
    sizes = LightConfig.from_mapping(config)

    def layer(x: Stream, name: str, outputs: int, stride: int = 1) -> Stream:
        weights = w.numbers.take(f"{name}.0.weight", (outputs, x.channels, 3, 3))
        node = w.filtered(x.node, weights, pad=1, stride=stride)
        node = w.shifted(node, w.numbers.take(f"{name}.0.bias", (outputs,)))
        return w.leaky(Stream(node, outputs, x.factor * stride))

    given = x
    skips = [layer(x, "down.0", sizes.widths[0], 2)]
    for index, width in enumerate(sizes.widths[1:], 1):
        halves = layer(skips[-1], f"down.{index}.0", width, 2)
        skips.append(layer(halves, f"down.{index}.1", width))
    x = skips[-1]
    pooled = ops.concat(
        [ops.reduce_mean(x.node, [2, 3], True), ops.reduce_max(x.node, [2, 3], True)], 1
    )
    known = judged = Stream(pooled, 2 * x.channels, x.factor)
    for name in ("squeeze", "mix"):
        known = w.leaky(w.conv(known, name, sizes.hidden, 1, bias=True))
    whole = w.conv(known, "whole", sizes.colours + sizes.amounts, 1, bias=True)
    # Added to nothing of the right size, since the size may be open.
    there = ops.multiply(ops.reduce_mean(x.node, [1], True), np.float32(0))
    spread = ops.add(known.node, there)
    ends = [*sizes.widths[-2::-1], sizes.widths[0]]
    joined = Stream(ops.concat([x.node, spread], 1), x.channels + sizes.hidden, x.factor)
    x = layer(joined, "up.0", ends[0])
    tone, amounts = ops.variadic_split(whole.node, 1, [sizes.colours, sizes.amounts]).outputs()
    if sizes.judges:
        judged = _evidence(given, judged, sizes.shades)
        for name in ("judge.0", "judge.1"):
            judged = w.leaky(w.conv(judged, name, sizes.judges, 1, bias=True))
        judged = w.conv(judged, "judge.2", 1, 1, bias=True)
        others = ops.variadic_split(amounts, 1, [1, sizes.amounts - 1]).outputs()[1]
        amounts = ops.concat([judged.node, others], 1)
    colour = whole
    for index, width in enumerate(ends[1:], 1):
        skip = skips[-1 - index]
        joined = ops.concat([doubled(x).node, skip.node], 1)
        x = layer(Stream(joined, x.channels + skip.channels, skip.factor), f"up.{index}", width)
        if index == 2:
            colour = w.conv(x, "colour", sizes.colours, 3, bias=True)
            colour = colour.with_node(ops.add(colour.node, tone))
    factor = colour.factor // x.factor
    enlarged = ops.interpolate(
        colour.node,
        np.full(2, factor, np.float32),
        "linear_onnx",
        "scales",
        coordinate_transformation_mode="half_pixel",
        axes=[2, 3],
    )
    curve = w.conv(x, "curve", sizes.segments, 3, bias=True)
    there = ops.multiply(ops.reduce_mean(curve.node, [1], True), np.float32(0))
    return ops.concat([curve.node, enlarged, ops.add(amounts, there)], 1)


def _evidence(given: Stream, pooled: Stream, shades: int) -> Stream:
    """What judges of light see; see :meth:`mirnet_cli.networks.light.LightNet.evidence`."""
    if not shades:
        return pooled
    colours, level = ops.variadic_split(given.node, 1, [3, 1]).outputs()
    brightest = ops.reduce_max(colours, [1], True)
    even = ops.avg_pool(brightest, [1, 1], [1, 1], [1, 1], [3, 3], True)
    fine = ops.multiply(ops.abs(ops.subtract(brightest, even)), np.float32(FINENESS))
    level = ops.add(ops.multiply(level, np.float32(0.5)), np.float32(0.5))
    bins = np.arange(shades, dtype=np.float32).reshape(1, -1, 1, 1)

    def shares(values: Any, weight: Any = None) -> Any:
        places = ops.multiply(ops.clamp(values, 0.0, 1.0), np.float32(shades - 1))
        share = ops.relu(ops.subtract(np.float32(1), ops.abs(ops.subtract(places, bins))))
        weighted = share if weight is None else ops.multiply(share, weight)
        return ops.reduce_mean(weighted, [2, 3], True)

    parts = [shares(level), shares(brightest), shares(brightest, fine)]
    node = ops.concat([pooled.node, *parts], 1)
    return Stream(node, pooled.channels + 3 * shades, pooled.factor)


GRAPHS: dict[str, Callable[[Writer, Stream, Mapping[str, Any], int | None], Any]] = {
    "compact": _compact,
    "mirnet_v1": lambda w, x, config, scale: _mirnet(w, x, config, community=False),
    "community_v1": lambda w, x, config, scale: _mirnet(w, x, config, community=True),
    "mirnet_v2": _mirnet_v2,
    "light": lambda w, x, config, scale: _light(w, x, config),
}
"""What writes down the networks of a family; families without an entry are run by torch."""


def writes(family: str) -> bool:
    """Whether networks of a family can be written down."""
    return family in GRAPHS or family == FAMILY


def write(
    spec: NetworkSpec,
    *,
    scale: int | None,
    replay: bool,
    record: bool,
    residual: bool = True,
    size: tuple[int, int, int] | None = None,
    integers: bool = False,
) -> Graph:
    """Write a network down.

    Args:
        spec: the network.
        scale: which of its scales, where it has several.
        replay: pooled vectors come in.
        record: pooled vectors go out.
        residual: it goes out, too; it does in any case where nothing is pooled.
        size: ``(N, H, W)`` of the pictures; None leaves it open.
        integers: take convolutions of integers where the network has them.

    Raises:
        ModelError: for tensors that do not fit the family.
    """
    if spec.family == FAMILY:
        return Graph(onnx_graph.write(spec, size), ())
    family = FAMILIES[spec.family]
    numbers = Numbers(spec.tensors, family.title, spec.integers if integers else None)
    f32 = openvino.Type.f32
    channels = family.inputs(spec.config)
    count, height, width = size or (-1, -1, -1)
    picture = ops.parameter([count, channels, height, width], f32, "picture")
    context = ops.parameter([1, -1], f32, "context") if replay else None
    mask = ops.parameter([count, 1, height, width], f32, "mask") if record else None
    writer = Writer(numbers, context, mask)
    try:
        results = [GRAPHS[spec.family](writer, Stream(picture, channels), spec.config, scale)]
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"not a configuration of {family.title}: {' '.join(str(error).split())[:200]}",
            "get the weights again",
        ) from error
    numbers.finish("heads.")
    if record and writer.vectors:
        if not residual:
            results.clear()
        results.append(ops.concat(writer.vectors, 1))
        if writer.denominators:
            results.append(ops.concat(writer.denominators, 1))
    inputs = [each for each in (picture, context, mask) if each is not None]
    # The residual is the last: the order of results is the order of computing, and features that
    # wait for being pooled take memory (512x512, compact network: a fifth of all).
    results.reverse()
    return Graph(openvino.Model(results, inputs, spec.family), tuple(writer.pools))


def operations(spec: NetworkSpec, *, scale: int | None, side: int = 256) -> float:
    """Floating-point operations of the convolutions for each input pixel, two a multiply-add.

    Args:
        spec: the network.
        scale: which of its scales, where it has several.
        side: of the picture that is counted, which the vectors' own convolutions do not count in.
    """
    graph = write(spec, scale=scale, replay=False, record=False, size=(1, side, side))
    products = 0.0
    for node in graph.model.get_ops():
        kind = node.get_type_name()
        if kind not in ("Convolution", "GroupConvolution", "ConvolutionBackpropData"):
            continue
        weights = np.prod(node.input(1).get_shape())
        # A transposed convolution spreads its input; the others gather for their output.
        spread = kind == "ConvolutionBackpropData"
        shape = node.input(0).get_shape() if spread else node.output(0).get_shape()
        products += float(weights) * shape[2] * shape[3]
    return 2 * products / side**2
