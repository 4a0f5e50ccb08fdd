"""What the boxes of HEIC and AVIF say, in each version that they have."""

import pytest

from mirnet_cli.photo.isobmff import Container, box
from mirnet_cli.photo.source import DamageError

EXIF = b"MM\0*" + bytes(range(40))
TURNS = {(): 1, (b"irot\1",): 8, (b"irot\3",): 6, (b"imir\1",): 2, (b"imir\0", b"irot\1"): 7}
"""EXIF's orientations by properties in the order in which they apply."""


def joined(name: bytes, *parts: bytes) -> bytes:
    return b"".join(box(name, b"".join(parts)))


def full(name: bytes, version: int, *parts: bytes, flags: int = 0) -> bytes:
    return joined(name, bytes([version]), flags.to_bytes(3, "big"), *parts)


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def meta(
    properties: tuple[bytes, ...] = (b"irot\3",),
    *,
    version: int = 0,
    place: int = 0,
    method: int = 0,
    cut: bytes = b"",
) -> bytes:
    """A meta box of three items: a tile (1), the picture (2), and EXIF (3).

    Args:
        properties: of the picture; the tile is mirrored.
        version: of iloc; the other boxes have their wide forms from 1 on.
        place: where EXIF is.
        method: in the file (0), in idat (1), or in another item (2).
        cut: the box that ends too early.
    """
    wide = version > 0
    short = 4 if wide else 2
    at = range(2, 2 + len(properties))
    indices = b"".join(number(index | (0x8000 if wide else 0x80), 1 + wide) for index in at)
    content = {
        b"pitm": full(b"pitm", wide, number(2, short)),
        b"iinf": full(
            *(b"iinf", wide, number(3, short)),
            *(
                full(b"infe", 2 + wide, number(item, short), bytes(2), kind, b"\0")
                for item, kind in enumerate((b"hvc1", b"grid", b"Exif"), 1)
            ),
        ),
        b"iprp": joined(
            b"iprp",
            joined(b"ipco", joined(b"imir", b"\1"), *(joined(p[:4], p[4:]) for p in properties)),
            full(
                *(b"ipma", wide, number(2, 4)),
                *(number(1, short), number(1, 1), number(1, 1 + wide)),
                *(number(2, short), number(len(at), 1), indices),
                flags=wide,
            ),
        ),
        b"idat": joined(b"idat", bytes(4) + EXIF),
    }
    item_size = 4 if version == 2 else 2
    half = 4 + len(EXIF) // 2
    spans = ((place, half), (place + half, 4 + len(EXIF) - half))
    content[b"iloc"] = full(
        *(b"iloc", version, bytes([0x44, 0x40 | (4 if version else 0)]), number(1, item_size)),
        *(number(3, item_size), number(method, 2) if version else b"", bytes(2)),
        *(number(0, 4), number(len(spans), 2)),
        *(bytes(4 if version else 0) + number(a, 4) + number(n, 4) for a, n in spans),
    )
    if cut:
        content[cut] = joined(cut, content[cut][8:26])
    return full(b"meta", 0, *content.values())


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("properties", TURNS)
def test_the_picture_s_own_properties_turn_it(properties: tuple[bytes, ...], version: int) -> None:
    assert (
        Container(joined(b"ftyp", b"heic") + meta(properties, version=version)).turn()
        == TURNS[properties]
    )


@pytest.mark.parametrize("version", [0, 1, 2])
def test_exif_is_found_in_pieces(version: int) -> None:
    place = len(meta(version=version)) + 8
    data = meta(version=version, place=place) + joined(b"mdat", bytes(4) + EXIF)
    assert Container(data).stored_exif() == EXIF


def test_exif_may_be_in_the_meta_box_itself_but_in_no_other_item() -> None:
    assert Container(meta(version=1, method=1)).stored_exif() == EXIF
    assert Container(meta(version=1, method=2)).stored_exif() is None


def test_what_has_no_meta_box_turns_nothing() -> None:
    data = joined(b"ftyp", b"avis") + joined(b"moov", b"")
    assert (Container(data).turn(), Container(data).stored_exif()) == (1, None)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_boxes_that_end_early_are_damage(version: int) -> None:
    for name in (b"iloc", b"iinf"):
        data = meta(version=version, cut=name)
        # What has nothing to do with the turn does not stand in its way.
        assert Container(data).turn() == 6
        with pytest.raises(DamageError):
            Container(data).stored_exif()
    with pytest.raises(DamageError):
        Container(meta(version=version, cut=b"iprp")).turn()
    whole = meta(version=version)
    for size in range(8, len(whole)):
        with pytest.raises(DamageError):
            Container(whole[:size]).turn()
