"""TIFFs of every layout: the same samples, however they are stored, are the same picture."""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.errors import InputError
from mirnet_cli.photo import decode, ifd
from tests.photo.pictures import cmyk_profile, noise, saved, smooth

FLOATS_64 = {256: [2], 257: [2], 258: [64], 262: [1], 339: [3]}
COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3}


def built(
    blocks: list[bytes],
    numbers: Mapping[int, list[int]],
    rationals: Mapping[int, list[float]] | None = None,
    *,
    order: str = "<",
    offsets: int = 273,
    sizes: int | None = 279,
) -> bytes:
    """A TIFF of these strips or tiles, with the tags given."""
    places = [8]
    for block in blocks:
        places.append(places[-1] + len(block) + len(block) % 2)
    fields = {tag: ifd.integers_field(ifd.LONG, order, *each) for tag, each in numbers.items()}
    for tag, values in (rationals or {}).items():
        data = b"".join(ifd.rational_field(order, value).data for value in values)
        fields[tag] = ifd.Field(ifd.RATIONAL, len(values), data)
    fields[offsets] = ifd.integers_field(ifd.LONG, order, *places[:-1])
    if sizes is not None:
        fields[sizes] = ifd.integers_field(ifd.LONG, order, *map(len, blocks))
    body = b"".join(block + b"\0" * (len(block) % 2) for block in blocks)
    return ifd.header(order, places[-1]) + body + ifd.build(ifd.Tree(fields), order, places[-1])


def packed(samples: Any, bits: int, order: str) -> bytes:
    """Rows x width x channels as bytes, each row from a new one."""
    if bits in (8, 16):
        return np.ascontiguousarray(samples, f"{order}u{bits // 8}").tobytes()
    shifts = np.arange(bits - 1, -1, -1)
    flags = (samples[..., None] >> shifts & 1).astype(np.uint8)
    return np.packbits(flags.reshape(len(samples), -1), axis=1).tobytes()


def stored(
    samples: Any,
    photometric: int,
    bits: int,
    *,
    planar: bool = False,
    tile: tuple[int, int] | None = None,
    order: str = "<",
    deflate: bool = False,
    strips_tags: bool = False,
    reversed: bool = False,
    sizes: bool = True,
    more: Mapping[int, list[int]] | None = None,
) -> bytes:
    height, width, channels = samples.shape
    across, down = tile or (width, 7)
    blocks = []
    for plane in np.moveaxis(samples, -1, 0)[..., None] if planar else [samples]:
        for top in range(0, height, down):
            for left in range(0, width, across):
                block = plane[top : top + down, left : left + across]
                if tile:
                    rest = (down - block.shape[0], across - block.shape[1])
                    block = np.pad(block, ((0, rest[0]), (0, rest[1]), (0, 0)))
                raw = packed(block, bits, order)
                raw = zlib.compress(raw) if deflate else raw
                if reversed:
                    flags = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
                    raw = np.packbits(flags).tobytes()
                blocks.append(raw)
    numbers = {256: [width], 257: [height], 258: [bits] * channels, 262: [photometric]}
    numbers |= {259: [8 if deflate else 1], 277: [channels], 284: [2 if planar else 1]}
    numbers |= {322: [across], 323: [down]} if tile else {278: [down]}
    numbers |= {266: [2]} if reversed else {}
    of_tiles = tile is not None and not strips_tags
    return built(
        blocks,
        numbers | dict(more or {}),
        order=order,
        offsets=324 if of_tiles else 273,
        sizes=(325 if of_tiles else 279) if sizes else None,
    )


LAYOUTS: list[dict[str, Any]] = [
    {"planar": True},
    {"planar": True, "order": ">", "deflate": True},
    {"planar": True, "tile": (16, 32)},
    {"tile": (16, 16), "strips_tags": True},
    {"tile": (16, 16), "strips_tags": True, "deflate": True, "order": ">"},
    {"reversed": True},
    {"reversed": True, "deflate": True, "planar": True},
    {"sizes": False},
    {"sizes": False, "deflate": True, "tile": (32, 16)},
]


@pytest.mark.parametrize("extra", [(), (2,), (1,), (0, 2)])
@pytest.mark.parametrize(
    ("photometric", "bits"),
    [
        (photometric, bits)
        for photometric in COLOURS
        for bits in ({6: [8], 8: [8, 16], 9: [8, 16]}.get(photometric, [1, 4, 8, 12, 16]))
    ],
)
def test_every_layout_is_the_picture_of_its_contiguous_twin(
    photometric: int, bits: int, extra: tuple[int, ...]
) -> None:
    channels = COLOURS[photometric] + len(extra)
    random = np.random.default_rng(bits)
    samples = random.integers(0, 1 << bits, (29, 37, channels))
    more = {338: list(extra)} if extra else {}
    if photometric == 3:
        more[320] = random.integers(0, 65536, 3 << bits).tolist()
    if photometric == 6:
        more[530] = [1, 1]
    twin = decode(stored(samples, photometric, bits, more=more))
    assert (twin.alpha is not None) == bool(set(extra) & {1, 2})
    for layout in LAYOUTS:
        found = decode(stored(samples, photometric, bits, more=more, **layout))
        np.testing.assert_array_equal(found.pixels, twin.pixels, err_msg=str(layout))
        if twin.alpha is not None and found.alpha is not None:
            np.testing.assert_array_equal(found.alpha, twin.alpha, err_msg=str(layout))
        assert (found.alpha is None) == (twin.alpha is None)


@pytest.mark.parametrize(("bits", "dtype"), [(1, "u1"), (5, "u1"), (8, "u1"), (10, "u2")])
@pytest.mark.parametrize("photometric", [0, 1, 2])
def test_odd_depths_reach_from_black_to_white(photometric: int, bits: int, dtype: str) -> None:
    full = (1 << bits) - 1
    samples = np.random.default_rng(0).integers(0, full, (9, 11, COLOURS[photometric]))
    wanted = np.rint(samples * (np.iinfo(dtype).max / full)).astype(dtype)
    wanted = np.iinfo(dtype).max - wanted if photometric == 0 else wanted
    found = decode(stored(samples, photometric, bits)).pixels
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


def test_depths_that_differ_by_channel() -> None:
    samples = noise(6, 5) >> np.array([3, 2, 3], np.uint8)
    flags = [samples[..., c, None] >> np.arange(n)[::-1] & 1 for c, n in enumerate((5, 6, 5))]
    raw = np.packbits(np.concatenate(flags, axis=-1).reshape(6, -1), axis=1).tobytes()
    data = built([raw], {256: [5], 257: [6], 258: [5, 6, 5], 262: [2], 277: [3]})
    wanted = np.rint(samples * (255 / np.array([31, 63, 31])))
    np.testing.assert_array_equal(decode(data).pixels, wanted)


@pytest.mark.parametrize("depth", [8, 16])
def test_cmyk_of_any_depth_with_alpha(depth: int) -> None:
    inks = noise(12, 10, 4)
    cover = noise(12, 10, 1, seed=2)
    samples = np.dstack([inks, cover]).astype(int) * (257 if depth == 16 else 1)
    found = decode(stored(samples, 5, depth, planar=True, more={338: [2]}))
    wanted = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    np.testing.assert_array_equal(found.pixels, wanted)
    np.testing.assert_array_equal(found.alpha, cover)
    assert any("CMYK" in text for text in found.warnings)


def test_inks_that_are_not_cmyk_are_named() -> None:
    with pytest.raises(InputError, match="its inks are not those of CMYK"):
        decode(stored(noise(8, 8, 4).astype(int), 5, 8, more={332: [2]}))


@pytest.mark.parametrize("photometric", [8, 9])
def test_lab_of_16_bits_is_that_of_8(photometric: int) -> None:
    # Mid grey, white, black, and the Lab of sRGB's red (D50, Bradford).
    lab = np.array([[53.39, 0, 0], [100, 0, 0], [0, 0, 0], [54.29, 80.81, 69.89]])
    wanted = np.array([[128] * 3, [255] * 3, [0] * 3, [255, 0, 0]])
    for depth, white in ((8, 255), (16, 65535 if photometric == 8 else 0xFF00)):
        unit = 256 if depth == 16 else 1
        samples = np.rint(lab * [white / 100, unit, unit]).astype(int)
        if photometric == 9:
            samples += np.array([0, 128 * unit, 128 * unit])
        found = decode(stored(samples[None] % (1 << depth), photometric, depth))
        assert found.pixels.dtype == (np.uint16 if depth == 16 else np.uint8)
        scale = 257 if depth == 16 else 1
        np.testing.assert_allclose(found.pixels[0] / scale, wanted, atol=3 if depth == 8 else 0.6)


def grouped(ycc: Any, across: int, down: int) -> bytes:
    """Luminances of each group, then its chroma: TIFF 6.0 section 21."""
    out = b""
    for top in range(0, ycc.shape[0], down):
        for left in range(0, ycc.shape[1], across):
            group = ycc[top : top + down, left : left + across]
            out += group[..., 0].tobytes() + group[0, 0, 1:].tobytes()
    return out


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("sampling", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)])
def test_uncompressed_subsampled_colours_of_early_cameras(
    sampling: tuple[int, int], tiled: bool
) -> None:
    across, down = sampling
    ycc = np.asarray(Image.fromarray(smooth(32, 48)).convert("YCbCr")).copy()
    chroma = ycc[::down, ::across, 1:].repeat(down, axis=0).repeat(across, axis=1)
    ycc[..., 1:] = chroma[:32, :48]
    numbers = {256: [45], 257: [27], 258: [8] * 3, 262: [6], 277: [3], 530: [across, down]}
    if tiled:
        tops, lefts = range(0, 32, 16), range(0, 48, 16)
        blocks = [grouped(ycc[y : y + 16, x : x + 16], *sampling) for y in tops for x in lefts]
        data = built(blocks, numbers | {322: [16], 323: [16]}, offsets=324, sizes=325)
    else:
        width = -(-45 // across) * across
        rows = [(top, min(top + 8, -(-27 // down) * down)) for top in range(0, 27, 8)]
        blocks = [grouped(ycc[a:b, :width], *sampling) for a, b in rows]
        data = built(blocks, numbers | {278: [8]})
    wanted = np.asarray(Image.fromarray(ycc, "YCbCr").convert("RGB"))[:27, :45]
    assert np.abs(decode(data).pixels.astype(int) - wanted).max() <= 1


def test_subsampled_planes_apart() -> None:
    ycc = np.asarray(Image.fromarray(smooth(16, 20)).convert("YCbCr")).copy()
    ycc[..., 1:] = ycc[::2, ::2, 1:].repeat(2, axis=0).repeat(2, axis=1)
    blocks = [ycc[..., 0].tobytes(), *(ycc[::2, ::2, c].tobytes() for c in (1, 2))]
    numbers = {256: [20], 257: [16], 258: [8] * 3, 262: [6], 277: [3], 530: [2, 2], 284: [2]}
    wanted = np.asarray(Image.fromarray(ycc, "YCbCr").convert("RGB"))
    assert np.abs(decode(built(blocks, numbers)).pixels.astype(int) - wanted).max() <= 1


def test_reference_black_and_white() -> None:
    ycc = np.array([[[16, 128, 128], [235, 128, 128], [126, 128, 128], [81, 90, 240]]], np.uint8)
    numbers = {256: [4], 257: [1], 258: [8] * 3, 262: [6], 277: [3], 530: [1, 1]}
    rationals = {532: [16.0, 235.0, 128.0, 240.0, 128.0, 240.0]}
    found = decode(built([ycc.tobytes()], numbers, rationals)).pixels[0]
    np.testing.assert_allclose(found, [[0] * 3, [255] * 3, [128] * 3, [254, 0, 0]], atol=2)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("inks", ["RGB", "CMYK", "L"])
def test_jpeg_in_strips_with_common_tables(inks: str, planar: bool) -> None:
    image = Image.fromarray(smooth(32, 48)).convert(inks)
    planes = image.split() if planar else [image]
    blocks = []
    for plane in planes:
        for top in (0, 16):
            part = plane.crop((0, top, 48, top + 16))
            # Pillow writes four components inverted, as Adobe does; a TIFF has them as they are.
            part = part.point(lambda v: 255 - v) if part.mode == "CMYK" else part
            blocks.append(saved(part, "JPEG", quality=100, subsampling=0))
    channels = len(image.getbands())
    ycc = inks == "RGB" and not planar
    numbers = {256: [48], 257: [32], 258: [8] * channels, 259: [7], 277: [channels], 278: [16]}
    numbers |= {262: [6 if ycc else {"RGB": 2, "CMYK": 5, "L": 1}[inks]]}
    numbers |= {284: [2 if planar else 1], 530: [1, 1]}
    found = decode(built(blocks, numbers)).pixels
    wanted = np.asarray(image if inks == "L" else image.convert("RGB"))
    assert np.abs(found.astype(int) - wanted).max() <= 4


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax_in_several_strips_and_either_bit_order(compression: str) -> None:
    image = Image.fromarray(noise(40, 45, 1)).convert("1")
    options = {"compression": compression, "strip_size": 0}
    data = saved(image, "TIFF", **options)
    np.testing.assert_array_equal(decode(data).pixels, np.asarray(image.convert("L")))
    with Image.open(io.BytesIO(data)) as again:
        tags = again.tag_v2
        strips = [data[at : at + n] for at, n in zip(tags[273], tags[279], strict=True)]
        numbers = {256: [45], 257: [40], 258: [1], 259: [tags[259]], 278: [tags[278]]}
        numbers |= {262: [tags[262]], 266: [2]}
    mirrored = [bytes(int(f"{v:08b}"[::-1], 2) for v in strip) for strip in strips]
    np.testing.assert_array_equal(
        decode(built(mirrored, numbers)).pixels, np.asarray(image.convert("L"))
    )


def test_more_places_than_tiles_and_a_predictor_that_does_not_count() -> None:
    samples = noise(20, 20, 3).astype(int)
    data = stored(samples, 2, 8, tile=(16, 16), more={317: [2]})
    reader = ifd.Reader(data)
    entry = reader.directory(reader.first).entries[324]
    places = [*reader.integers(entry), 8, 8, 8]
    tags = {256: [20], 257: [20], 258: [8] * 3, 262: [2], 277: [3], 322: [16], 323: [16]}
    fields = {tag: ifd.integers_field(ifd.LONG, "<", *value) for tag, value in tags.items()}
    fields[317] = ifd.integers_field(ifd.LONG, "<", 2)
    fields[324] = ifd.integers_field(ifd.LONG, "<", *places)
    body = data[8 : reader.first]
    made = ifd.header("<", 8 + len(body)) + body + ifd.build(ifd.Tree(fields), "<", 8 + len(body))
    for each in (data, made):
        np.testing.assert_array_equal(decode(each).pixels, samples)


@pytest.mark.parametrize("change", [{258: [8]}, {277: []}, {278: [0]}, {278: [2**32 - 1]}])
def test_counts_that_are_missing_or_short(change: dict[int, list[int]]) -> None:
    samples = noise(9, 8, 3)
    numbers = {256: [8], 257: [9], 258: [8] * 3, 262: [2], 277: [3], 278: [9]} | change
    data = built([samples.tobytes()], {tag: value for tag, value in numbers.items() if value})
    np.testing.assert_array_equal(decode(data).pixels, samples)


@pytest.mark.parametrize("planar", [False, True])
def test_strips_that_are_lower_than_the_directory_says(planar: bool) -> None:
    samples = noise(11, 8, 3)
    planes = np.moveaxis(samples, 2, 0)[..., None] if planar else [samples]
    strips = [plane[top : top + 4].tobytes() for plane in planes for top in (0, 4, 8)]
    # Bytes between them, so that one after the other is not the picture.
    numbers = {256: [8], 257: [11], 258: [8] * 3, 262: [2], 277: [3], 278: [2**31 + 1]}
    numbers |= {284: [2 if planar else 1]}
    sizes = ifd.integers_field(ifd.LONG, "<", *map(len, strips))
    data = built([strip + b"\xff\xff" for strip in strips], numbers)
    reader = ifd.Reader(data)
    tree, _ = ifd.read_tree(reader, reader.first)
    tree.fields[279] = sizes
    data = data[: reader.first] + ifd.build(tree, "<", reader.first)
    np.testing.assert_array_equal(decode(data).pixels, samples)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [24, 32])
@pytest.mark.parametrize("planar", [False, True])
def test_whole_numbers_of_more_bits_are_read_as_16(order: str, bits: int, planar: bool) -> None:
    samples = noise(9, 8, 3, np.uint16)
    wide = np.rint(samples * ((2.0**bits - 1) / 65535)).astype(f"{order}u4")
    parts = wide.view(np.uint8).reshape(9, 8, 3, 4)
    kept = parts[..., 4 - bits // 8 :] if order == ">" else parts[..., : bits // 8]
    planes = [kept[:, :, channel].tobytes() for channel in range(3)]
    numbers = {256: [8], 257: [9], 258: [bits] * 3, 262: [2], 277: [3], 284: [2 if planar else 1]}
    found = decode(built(planes if planar else [kept.tobytes()], numbers, order=order))
    np.testing.assert_array_equal(found.pixels, samples)
    assert found.warnings == (f"its {bits} bits were read as 16, the most that is kept",)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("predictor", [1, 3])
def test_floats_of_24_bits(order: str, predictor: int) -> None:
    values = [0, 2.0**-70, 2.0**-62, 0.25, 1 / 3, 0.999, 1, 0.5 + 2.0**-17]
    exact = np.resize(np.array(values, np.float32), (6, 8))
    stored = exact.view(np.uint32)
    small = np.rint(np.minimum(exact, 2.0**-62) * 2.0**78).astype(np.uint32)
    normal = ((stored >> 23) - 64) << 16 | (stored >> 7 & 0xFFFF)
    packed = np.where(exact < 2.0**-62, small, normal).astype(">u4")
    parts = packed.view(np.uint8).reshape(6, 8, 4)[..., 1:]
    if predictor == 3:
        rows = parts.transpose(0, 2, 1).reshape(6, 24)
        data = zlib.compress(np.diff(rows, axis=1, prepend=np.uint8(0)).tobytes())
    else:
        data = zlib.compress((parts if order == ">" else parts[..., ::-1]).tobytes())
    numbers = {256: [8], 257: [6], 258: [24], 259: [8], 262: [1], 317: [predictor], 339: [3]}
    found = decode(built([data], numbers, order=order))
    assert (found.pixels.dtype, found.warnings) == (np.float32, ())
    np.testing.assert_allclose(found.pixels, exact, rtol=2.0**-16)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("size", [2, 4, 8])
def test_floats_with_the_predictor_of_whole_numbers(order: str, size: int) -> None:
    exact = smooth(6, 8)[..., :1].astype(f"f{size}") / 255
    bits = exact.view(f"u{size}")
    stored = np.diff(bits, axis=1, prepend=bits.dtype.type(0)).astype(f"{order}u{size}")
    numbers = {256: [8], 257: [6], 258: [8 * size], 259: [8], 262: [1], 317: [2], 339: [3]}
    found = decode(built([zlib.compress(stored.tobytes())], numbers, order=order))
    np.testing.assert_array_equal(found.pixels, exact[..., 0].astype(np.float32))


@pytest.mark.filterwarnings("error")
def test_floats_of_64_bits_beyond_what_32_hold() -> None:
    data = built([struct.pack("<4d", 1e300, -1e300, 0.5, 1)], FLOATS_64)
    np.testing.assert_array_equal(decode(data).pixels, [[1, 0], [0.5, 1]])


def test_tiles_that_are_not_stored_are_empty() -> None:
    samples = noise(20, 20, 3)
    samples[:16, 16:] = 0
    data = stored(samples.astype(int), 2, 8, tile=(16, 16), deflate=True)
    reader = ifd.Reader(data)
    tree, _ = ifd.read_tree(reader, reader.first)
    for tag in (324, 325):
        numbers = list(reader.integers(reader.directory(reader.first).entries[tag]))
        numbers[1] = 0
        tree.fields[tag] = ifd.integers_field(ifd.LONG, "<", *numbers)
    sparse = data[: reader.first] + ifd.build(tree, "<", reader.first)
    found = decode(sparse)
    np.testing.assert_array_equal(found.pixels, samples)
    assert found.warnings == ("1 of its strips or tiles are not stored: they are 0",)
    for tag in (324, 325):
        tree.fields[tag] = ifd.integers_field(ifd.LONG, "<", 0, 0, 0, 0)
    with pytest.raises(InputError, match="ends before"):
        decode(data[: reader.first] + ifd.build(tree, "<", reader.first))


@pytest.mark.parametrize(
    ("compression", "kind", "channels"),
    [(50001, "WEBP", 3), (50001, "WEBP", 4)]
    + [(34933, "PNG", channels) for channels in (1, 3, 4)]
    + [(34712, "JPEG2000", channels) for channels in (1, 3, 4)],
)
def test_pictures_in_tiles(compression: int, kind: str, channels: int) -> None:
    samples = noise(20, 20, channels).reshape(20, 20, channels)
    if channels == 4:
        samples[:16, :16, 3] = 255
    whole = np.pad(samples, ((0, 12), (0, 12), (0, 0)), mode="edge")
    tiles = [
        saved(Image.fromarray(np.squeeze(whole[y : y + 16, x : x + 16])), kind, lossless=True)
        for y in (0, 16)
        for x in (0, 16)
    ]
    numbers = {256: [20], 257: [20], 258: [8] * channels, 259: [compression], 277: [channels]}
    numbers |= {262: [1 if channels == 1 else 2], 322: [16], 323: [16]}
    found = decode(built(tiles, numbers, offsets=324, sizes=325))
    np.testing.assert_array_equal(found.pixels, np.squeeze(samples[..., :3]))
    if channels == 4:
        np.testing.assert_array_equal(found.alpha, samples[..., 3])
    with pytest.raises(InputError, match="not of 8 bits"):
        decode(built(tiles[:1] * 4, numbers | {258: [8] * 5, 277: [5]}, offsets=324, sizes=325))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({339: [2]}, "signed 8-bit numbers"),
        ({258: [64]}, "64-bit numbers"),
        ({262: [3]}, "no palette"),
        ({262: [2]}, "more than 1 channels"),
        ({262: [32844]}, "LogL"),
        ({259: [32809]}, "ThunderScan"),
        ({257: [90]}, "ends before the picture is complete"),
    ],
)
def test_what_cannot_be_right_is_refused_by_its_name(
    change: dict[int, list[int]], said: str
) -> None:
    numbers = {256: [8], 257: [9], 258: [8], 262: [1], 277: [1]} | change
    with pytest.raises(InputError, match=said):
        decode(built([noise(9, 8, 1).tobytes()], numbers))


def test_the_profile_of_cmyk_counts() -> None:
    inks = noise(9, 8, 4)
    data = saved(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=cmyk_profile())
    plain = saved(Image.fromarray(inks, "CMYK"), "TIFF")
    found = decode(data)
    assert found.metadata.icc is None
    assert np.abs(found.pixels.astype(int) - decode(plain).pixels).max() > 20
