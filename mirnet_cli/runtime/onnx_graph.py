"""ONNX files as OpenVINO graphs: what comes out adds to what goes in, as of any network here."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mirnet_cli.errors import ModelError
from mirnet_cli.networks import FAMILIES, NetworkSpec
from mirnet_cli.networks.described import RANGES, Interface, Measured, Reading
from mirnet_cli.runtime.openvino_library import openvino, ops

_F32 = openvino.Type.f32


def raw(
    core: Any,
    data: bytes,
    interface: Interface,
    settings: Mapping[str, float],
    height: int,
    width: int,
) -> Any:
    """A network for one size, in its own numbers but in float32 and with channels second.

    Args:
        core: of OpenVINO.
        data: the ONNX file, without anything beside it.
        interface: of it.
        settings: their values.
        height, width: of what goes in.

    Returns:
        A model of one input, ``(1, C, H, W)``, and the outputs that the interface names.

    Raises:
        RuntimeError: where OpenVINO does not read it, or it does not take this size.
    """
    model = core.read_model(data)
    inputs = {port.get_any_name(): port for port in model.inputs}
    channels = interface.channels
    shapes = {interface.input: [1, channels, height, width]}
    if interface.last:
        shapes = {interface.input: [1, height, width, channels]}
    own = {each.name: each for each in interface.settings if not each.channel}
    for name, setting in own.items():
        shapes[name] = list(setting.shape(height, width))
    model.reshape({name: openvino.PartialShape(shape) for name, shape in shapes.items()})
    picture = ops.parameter([1, channels, height, width], _F32, "picture")
    node = ops.transpose(picture, [0, 2, 3, 1]) if interface.last else picture
    if interface.half:
        node = ops.convert(node, "f16")
    inputs[interface.input].replace(node.output(0))
    for name in own:
        kind = inputs[name].get_element_type().to_dtype()
        value = ops.constant(np.full(shapes[name], settings[name], kind))
        inputs[name].replace(value.output(0))
    results = []
    for name in interface.outputs:
        made = model.output(name).get_node().input_value(0)
        made = made.get_node().output(made.get_index())
        if made.get_element_type() != _F32:
            made = ops.convert(made, "f32").output(0)
        if interface.last:
            made = ops.transpose(made, [0, 3, 1, 2]).output(0)
        results.append(ops.result(made))
    return openvino.Model(results, [picture], "network")


def write(spec: NetworkSpec, size: tuple[int, int, int] | None) -> Any:
    """Write a network down, as :func:`mirnet_cli.runtime.openvino_graph.write` does.

    Args:
        spec: a network of this family.
        size: ``(1, H, W)`` of the picture; None is the smallest that it takes.

    Raises:
        ModelError: for something that OpenVINO does not read, or a size that it does not take.
    """
    family, config = FAMILIES[spec.family], spec.config
    if not spec.model:
        raise ModelError("there is no ONNX network in it", "give the .onnx file itself")
    if size is None:
        measured = Measured.of(config["measured"])
        side = -(-max(measured.least, measured.stride) // measured.stride) * measured.stride
        size = (1, *(measured.fixed or (side, side)))
    picture = ops.parameter([1, 3, *size[1:]], _F32, "picture")
    try:
        result = _added(spec, picture, size[1:], whole=family.whole(config))
    except RuntimeError as error:
        told = " ".join(str(error).split())[-200:]
        raise ModelError(f"OpenVINO does not read it ({told})", "use another network") from error
    return openvino.Model([result], [picture], spec.family)


def _added(spec: NetworkSpec, picture: Any, size: tuple[int, int], *, whole: bool) -> Any:
    """What is to be added to a picture; see :mod:`mirnet_cli.runtime.reading`.

    Args:
        spec: the network.
        picture: ``(1, 3, H, W)`` in 0..1.
        size: ``(H, W)``.
        whole: the picture itself is wanted, not the residual.

    Returns:
        ``(1, 3, h, w)``.
    """
    config = spec.config
    interface, settings = Interface.of(config["interface"]), config["settings"]
    reading, output = Reading(**config["measured"]["reading"]), config["measured"]["output"]
    low, high = RANGES[reading.range]
    node = picture
    margin = reading.margin
    if margin:
        mode = "reflect" if min(size) > margin else "edge"
        sides = np.array([0, 0, margin, margin])
        node = ops.pad(node, sides, sides, mode)
    node = _scaled(node, high - low, low)
    colours = interface.channels - any(each.channel for each in interface.settings)
    runs = [node]
    if colours == 1 or reading.bgr:
        channels = ops.split(node, 1, 3).outputs()
        runs = list(channels) if colours == 1 else [ops.concat(channels[::-1], 1)]
    beside = [float(settings[each.name]) for each in interface.settings if each.channel]
    if colours == 4:
        # Opaque: alpha is kept beside the network.
        beside = [high]
    height, width = size[0] + 2 * margin, size[1] + 2 * margin
    core = openvino.Core()
    made = []
    for run in runs:
        if beside:
            filled = ops.constant(np.full((1, 1, height, width), beside[0], np.float32))
            run = ops.concat([run, filled], 1)
        network = raw(core, spec.model, interface, settings, height, width)
        network.inputs[0].replace(run if isinstance(run, openvino.Output) else run.output(0))
        result = network.outputs[output].get_node().input_value(0)
        result = result.get_node().output(result.get_index())
        made.append(ops.slice(result, [0], [1 if colours == 1 else 3], [1], [1]))
    node = made[0] if len(made) == 1 else ops.concat(made, 1)
    if reading.bgr and colours > 1:
        node = ops.concat(ops.split(node, 1, 3).outputs()[::-1], 1)
    low, high = RANGES[reading.output_range]
    if reading.gives != "picture":
        return _scaled(node, (-1 if reading.gives == "noise" else 1) / (high - low), 0)
    node = _scaled(node, 1 / (high - low), -low / (high - low))
    return node if whole else ops.subtract(node, picture)


def _scaled(node: Any, factor: float, shift: float) -> Any:
    if factor != 1:
        node = ops.multiply(node, np.float32(factor))
    return ops.add(node, np.float32(shift)) if shift else node
