"""Predictors: differences along a row instead of samples. Source: TIFF Technical Note 3."""

import numpy as np

from mirnet_cli.photo.picture import Array


def integers(samples: Array) -> Array:
    """Undo predictor 2 for rows x width x channels of any byte order; native order back.

    Of floats it has the bits as whole numbers, as libtiff and tifffile do.
    """
    native = samples.astype(samples.dtype.newbyteorder("="))
    bits = native.view(f"u{native.dtype.itemsize}")
    np.add.accumulate(bits, axis=1, dtype=bits.dtype, out=bits)
    return native


def floating(raw: bytes, shape: tuple[int, int, int], size: int) -> bytes:
    """Undo predictor 3: byte planes, the highest first, as differences.

    Back come the samples, the highest byte of each first.

    Args:
        raw: the rows' bytes.
        shape: rows, width, channels.
        size: bytes a sample, 2, 3, 4 or 8.
    """
    rows, width, channels = shape
    planes = np.frombuffer(raw, np.uint8).reshape(rows, width * size, channels).copy()
    np.add.accumulate(planes, axis=1, dtype=np.uint8, out=planes)
    ordered = planes.reshape(rows, size, width * channels).transpose(0, 2, 1)
    return np.ascontiguousarray(ordered).tobytes()


def predicted(band: Array, alpha: Array | None, byte_order: str) -> bytes:
    """Rows as a strip's bytes: integers with predictor 2, float32 as it is.

    Predictor 3 would make floats smaller, but Pillow and others cannot read it.

    Args:
        band: rows x width x colours, native byte order.
        alpha: rows x width, or None.
        byte_order: "<" or ">".
    """
    if alpha is not None:
        band = np.concatenate([band, alpha[..., None]], axis=2)
    stored = band.copy()
    if band.dtype.kind != "f":
        stored[:, 1:] -= band[:, :-1]
    return stored.astype(band.dtype.newbyteorder("<" if byte_order == "<" else ">")).tobytes()
