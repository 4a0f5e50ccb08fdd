"""Colours told by numbers instead of a profile, as the profile they stand for.

PNG has gAMA, cHRM and cICP, AVIF, HEIC and JPEG XL the same code points. Sources: ITU-T H.273
sections 8.1 and 8.2; PNG, third edition, sections 4.3 and 11.3.2; ICC.1:2022 section 8.3.3.
"""

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mirnet_cli.errors import InputError
from mirnet_cli.photo.picture import Part

_XY = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
_D65 = (0.3127, 0.3290)
_PRIMARIES: dict[int, _XY] = {
    1: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), _D65),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.314, 0.351)),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), _D65),
}
"""Red, green, blue and white of H.273's ColourPrimaries, as x and y."""

_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: _SRGB_CURVE,
}
"""What undoes H.273's TransferCharacteristics, as parameters of ICC's parametric curve."""

PNG_CHUNKS = ("cICP", "sRGB", "gAMA", "cHRM")
"""Chunks that :func:`from_png` understands."""

_UNKNOWN, _DCI = 2, 17
_HDR = {16: "PQ", 18: "HLG"}
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def adobe_rgb() -> bytes:
    """A profile for the colours of Adobe RGB (1998)."""
    where: _XY = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)
    return _profile(where, (563 / 256,), "Compatible with Adobe RGB (1998)")


def hdr(transfer: int) -> str | None:
    """The name of a transfer function for high dynamic range, None for any other."""
    return _HDR.get(transfer)


def from_points(primaries: int, transfer: int) -> bytes | None:
    """The profile for code points; None for sRGB, unknown ones and high dynamic range."""
    if primaries == 1 and transfer in (1, 6, 13, 14, 15, _UNKNOWN):
        # Photos in BT.709 colours are meant, and shown, as sRGB.
        return None
    curve = _CURVES.get(13 if transfer == _UNKNOWN else transfer)
    if primaries not in _PRIMARIES or curve is None:
        return None
    return _profile(_PRIMARIES[primaries], curve, f"CICP {primaries}/{transfer}")


def from_points_or_refuse(primaries: int, transfer: int) -> bytes | None:
    """Like :func:`from_points`, for formats that could not be written with such values again.

    Raises:
        InputError: high dynamic range.
    """
    _refuse_hdr(transfer)
    return from_points(primaries, transfer)


def from_colours(where: _XY, transfer: int, gamma: float | None) -> bytes | None:
    """The profile for a JPEG XL's colours, whose curves are taken as they are named.

    Args:
        where: red, green, blue and white as x and y.
        transfer: one of H.273's curves.
        gamma: the power that encodes light, in place of it.

    Returns:
        None for sRGB and what nobody knows.

    Raises:
        InputError: high dynamic range.
    """
    if gamma is not None:
        curve: tuple[float, ...] | None = (1 / gamma,) if 0.1 <= gamma <= 1 else None
    else:
        _refuse_hdr(transfer)
        curve = {**_CURVES, _UNKNOWN: _SRGB_CURVE, _DCI: (2.6,)}.get(transfer)
    same = np.abs(np.subtract(where, _PRIMARIES[1])).max() < 0.001
    if curve is None or (curve is _SRGB_CURVE and same):
        return None
    try:
        return _profile(where, curve, "JPEG XL")
    except (np.linalg.LinAlgError, struct.error, ZeroDivisionError):
        return None


def _refuse_hdr(transfer: int) -> None:
    name = hdr(transfer)
    if name is not None:
        raise InputError(
            f"a picture of high dynamic range ({name}), which no network here supports",
            "convert it to a standard dynamic range first",
        )


def from_png(parts: Iterable[Part]) -> tuple[bytes | None, str]:
    """The profile for what a PNG without one says of its colours, in PNG's order of precedence.

    Returns:
        The profile (None is sRGB), and a warning where it cannot be made, else an empty text.
    """
    chunks = {part.kind: part.data for part in parts if part.format == "PNG"}
    if len(points := chunks.get("cICP", b"")) == 4:
        name = hdr(points[1])
        warning = (
            ""
            if name is None
            else f"the network took the {name} values for sRGB: it supports no high dynamic range"
        )
        return from_points(points[0], points[1]), warning
    if "sRGB" in chunks or len(chunks.get("gAMA", b"")) != 4:
        return None, ""
    gamma = int.from_bytes(chunks["gAMA"], "big") / 100_000
    where: _XY = _PRIMARIES[1]
    if len(chunks.get("cHRM", b"")) == 32:
        n = [value / 100_000 for value in struct.unpack(">8I", chunks["cHRM"])]
        where = ((n[2], n[3]), (n[4], n[5]), (n[6], n[7]), (n[0], n[1]))
    if not 0.2 <= gamma <= 2.0 or not all(y > 0 for _, y in where):
        return None, ""
    # 1/2.2 is how sRGB is said with this chunk (section 11.3.2.5).
    curve = _SRGB_CURVE if abs(gamma - 0.45455) < 0.0001 else (1 / gamma,)
    if curve is _SRGB_CURVE and np.abs(np.subtract(where, _PRIMARIES[1])).max() < 0.001:
        return None, ""
    try:
        return _profile(where, curve, "gAMA and cHRM"), ""
    except (np.linalg.LinAlgError, struct.error):
        return None, ""


def _profile(where: _XY, curve: tuple[float, ...], name: str) -> bytes:
    """A display profile of version 4 with three equal curves and a matrix."""
    columns = _to_d50(where)
    kind = {1: 0, 5: 3}[len(curve)]
    tags = {
        b"desc": _text(name),
        b"cprt": _text("CC0"),
        b"wtpt": _xyz(_D50),
        b"rXYZ": _xyz(columns[:, 0]),
        b"gXYZ": _xyz(columns[:, 1]),
        b"bXYZ": _xyz(columns[:, 2]),
        b"rTRC": b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, curve)),
    }
    tags |= {b"gTRC": tags[b"rTRC"], b"bTRC": tags[b"rTRC"]}
    at = 128 + 4 + 12 * len(tags)
    table, body, offsets = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for tag, content in tags.items():
        if content not in offsets:
            offsets[content] = at + len(body)
            body += content.ljust(-(-len(content) // 4) * 4, b"\0")
        table += struct.pack(">4sII", tag, offsets[content], len(content))
    head = struct.pack(
        ">I4xI4s4s4s12x4s", at + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    head = head.ljust(68, b"\0") + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + table + body


def _to_d50(where: _XY) -> NDArray[np.float64]:
    """XYZ of red, green and blue as columns, scaled to make white and adapted to D50."""
    xyz = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in where]).T
    primaries, white = xyz[:, :3], xyz[:, 3]
    columns = primaries * np.linalg.solve(primaries, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ (
        cones[:, None] * (_BRADFORD @ columns)
    )
    return adapted


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _text(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(words), 28) + words
