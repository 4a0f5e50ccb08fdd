"""GIF: read, its first frame; written as PNG."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.photo import decode, encode, formats
from mirnet_cli.photo import gif as codec

PICTURE = Image.effect_noise((64, 48), 40).convert("RGB").quantize(64)


def gif(picture: Image.Image = PICTURE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "GIF", **options)
    return buffer.getvalue()


def test_the_pixels_and_the_comment() -> None:
    found = decode(gif(comment=b"hello"))
    assert found.header.format == "GIF"
    assert (found.metadata.comment, found.alpha, found.warnings) == (b"hello", None, ())
    np.testing.assert_array_equal(found.pixels, np.asarray(PICTURE.convert("RGB")))
    assert decode(encode(found).data).header.format == "PNG"


def test_of_an_animation_the_first_frame_with_a_warning() -> None:
    turned = [PICTURE.rotate(90), PICTURE.rotate(180)]
    found = decode(gif(save_all=True, append_images=turned, duration=50))
    assert found.header.frames == 3
    assert "only the first of 3 pictures" in found.warnings[0]
    np.testing.assert_array_equal(found.pixels, np.asarray(PICTURE.convert("RGB")))


def test_what_is_transparent_stays_so() -> None:
    found = decode(gif(transparency=3))
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha == 0, np.asarray(PICTURE) == 3)


def test_a_packet_and_a_profile() -> None:
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    block = b"\x21\xff\x0bXMP DataXMP" + packet + trailer
    profile = b"\x21\xff\x0bICCRGBG1012\x04prof\x03ile\0"
    data = gif()
    # After the header and the table of 64 colours.
    at = 13 + 3 * 64
    found, warnings = codec.File(data[:at] + block + profile + data[at:]).metadata()
    assert (found.xmp, found.icc, warnings) == (packet, b"profile", [])
    assert decode(data[:at] + block + data[at:]).metadata.xmp == packet


@pytest.mark.parametrize("length", [8, 12, 100, 500, 1500])
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(InputError, match="GIF"):
        decode(gif()[:length])


def test_it_is_not_written() -> None:
    with pytest.raises(UsageError, match="'gif' files cannot be written; use png"):
        formats.format_from_option("gif")
    assert formats.written_extension("a.GIF") == "png"
