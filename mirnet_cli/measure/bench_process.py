"""What the processes of :mod:`mirnet_cli.measure.bench` do.

    python -m mirnet_cli.measure.bench_process KIND REQUEST

prints the figures as one JSON object. KIND is a name of :data:`KINDS`, REQUEST a JSON object.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import MirnetError

Request = Mapping[str, Any]
Figures = dict[str, Any]

_MATRIX = 4096
_PATIENCE = 8
_PLAIN_TILE = 512


def _pixels(request: Request) -> NDArray[Any]:
    from mirnet_cli.photo.options import ReadOptions
    from mirnet_cli.restore import photos

    return photos.read(Path(request["photo"]), ReadOptions(max_pixels=1 << 62)).pixels


def _timed(run: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """Seconds of the first run, and of the best of those after it."""
    seconds = []
    for _ in range(1 + repeat):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return seconds[0], min(seconds[1:] or seconds)


def network(request: Request) -> Figures:
    """A decoded picture through mirnet, from loading the weights (in ``cold``) on."""
    from mirnet_cli import restore

    pixels = _pixels(request)
    restorer = restore.load(**request["loading"])
    cold, seconds = _timed(lambda: restorer(pixels), request["repeat"])
    height, width = pixels.shape[:2]
    plan = restorer.tiles(width, height)
    each = _operations(restorer)
    # Useful ones: what overlaps and measuring add does not count as work done.
    return {
        "megapixels": width * height / 1e6,
        "runtime": restorer.runtime,
        "precision": restorer.precision,
        "tile": 0 if plan.whole else max(plan.tile_shape),
        "context": "whole" if plan.whole else restorer.context,
        "cold": cold,
        "seconds": seconds,
        "plain": restorer.weights.base != "light",
        "operations": each and each * width * height,
        "device": restorer.device,
    }


def _operations(restorer: Any) -> float | None:
    """Floating-point operations of the network's convolutions for each pixel; None if unknown."""
    if restorer.weights.base == "light":
        # It sees the reduced photo alone.
        return None
    try:
        from mirnet_cli.runtime.openvino_graph import operations
    except ImportError:
        return None
    spec = restorer.weights.network
    enlarged = restorer.scale if restorer.weights.base == "enlarged" else 1
    return enlarged**2 * operations(spec, scale=restorer.scale // enlarged)


def plain(request: Request) -> Figures:
    """The same network as a torch user would run it: float32, in tiles, nothing shared."""
    import torch

    from mirnet_cli.models.resolver import resolve
    from mirnet_cli.networks import FAMILIES
    from mirnet_cli.restore.options import LoadOptions
    from mirnet_cli.restore.tiles import plan

    loading = LoadOptions(**request["loading"])
    weights = resolve(
        loading.task, model=loading.model, weights=loading.weights, scale=loading.scale
    )
    spec = weights.network
    family = FAMILIES[spec.family]
    module = family.build(spec.config).eval()
    tensors = {key: torch.tensor(value, dtype=torch.float32) for key, value in spec.tensors.items()}
    module.load_state_dict(tensors)
    scale = loading.scale or weights.default_scale
    extra = {"scale": scale} if len(family.scales(spec.config)) > 1 else {}
    pixels = _pixels(request)
    height, width = pixels.shape[:2]
    tiles = plan(height, width, _PLAIN_TILE, 32, family.stride(spec.config))
    channels = family.inputs(spec.config)
    tile = torch.rand(1, channels, *tiles.tile_shape)

    def run() -> None:
        with torch.inference_mode():
            for _ in tiles:
                module(tile, **extra)

    # Once: it is slow, and has nothing to compile.
    cold, seconds = _timed(run, 0)
    return {
        "megapixels": width * height / 1e6,
        "runtime": "torch",
        "precision": "fp32",
        "tile": 0 if tiles.whole else max(tiles.tile_shape),
        "context": "tile",
        "cold": cold,
        "seconds": seconds,
    }


def nlm(request: Request) -> Figures:
    """OpenCV's non-local means on the decoded picture, with its usual parameters."""
    import cv2

    from mirnet_cli.photo.raster import to_depth

    pixels = _pixels(request)
    shown = to_depth(pixels, "uint8")
    shown = np.repeat(shown[..., None], 3, 2) if shown.ndim == 2 else shown
    cold, seconds = _timed(lambda: cv2.fastNlMeansDenoisingColored(shown, None, 3, 3, 7, 21), 0)
    return {
        "megapixels": shown.shape[0] * shown.shape[1] / 1e6,
        "runtime": "opencv",
        "precision": "uint8",
        "tile": 0,
        "context": None,
        "cold": cold,
        "seconds": seconds,
    }


def peak(request: Request) -> Figures:
    """Operations a second of a large matrix product, through the runtime that was used."""
    first = np.random.default_rng(0).random((_MATRIX, _MATRIX), np.float32)
    if request["runtime"] == "onnxruntime":
        # Which has no product of its own to ask for.
        return {"operations_per_second": None}
    if request["runtime"] == "openvino":
        from mirnet_cli.runtime.openvino_runtime import product

        run = product(first, request["precision"])
    else:
        import torch

        kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        # In "int8" torch computes what the integers stand for.
        kind = kinds.get(request["precision"], torch.float32)
        matrix = torch.from_numpy(first).to(request["device"], kind)

        def run() -> None:
            (matrix @ matrix)[0, 0].item()

    _, seconds = _timed(run, _PATIENCE)
    return {"operations_per_second": 2 * _MATRIX**3 / seconds}


KINDS: dict[str, Callable[[Request], Figures]] = {
    "network": network,
    "plain": plain,
    "nlm": nlm,
    "peak": peak,
}


def main(arguments: list[str]) -> int:
    """Measure and print; see the module's text."""
    kind, request = arguments
    try:
        print(json.dumps(KINDS[kind](json.loads(request))))
    except MirnetError as error:
        print(f"mirnet: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
