"""Formats are recognised by content; everything else is refused by name."""

from dataclasses import replace

import pytest

from mirnet_cli.errors import InputError, UsageError
from mirnet_cli.photo import EXTENSIONS, READABLE, extension_for, format_from_name, probe
from mirnet_cli.photo.formats import FORMATS, WRITABLE, format_from_option, recognise
from tests.photo.pictures import noise, photo

HERE = [name for name in WRITABLE if not FORMATS[name].missing]


def test_what_a_build_of_pillow_lacks_is_missing() -> None:
    avif = FORMATS["AVIF"]
    needed = avif.needed
    assert needed is not None
    assert avif.missing is None
    for module in ("PIL._avif2", "PIL2._avif"):
        lacking = replace(needed, module=module)
        assert replace(avif, needed=lacking).missing == lacking


@pytest.mark.parametrize("format", HERE)
def test_a_format_is_recognised_by_content_alone(format: str) -> None:
    from mirnet_cli.photo import encode

    data = encode(photo(noise(9, 7)), format=format).data
    assert recognise(data[:64]) == format
    assert probe(data).format == format


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"II*\0\x08\x0a\0\0IIIICwaR", "RAW"),  # Phase One
        (b"MM\0*\0\0\x0a\x08MMMMRawC", "RAW"),
        (b"II*\0\x10\0\0\0CR\2\0", "RAW"),
        (b"II*\0\x08\x0a\0\0IIIIIIII", "TIFF"),  # grey of 73 everywhere
    ],
)
def test_raw_files_whose_first_directory_is_a_small_picture(head: bytes, format: str) -> None:
    assert recognise(head + bytes(64)) == format


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"", "empty"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(30), "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf\n <?xml version='1.0'?><svg/>", "SVG"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video"),
        (b"P6\n3 3\n255\n", "not a picture"),
        (b"BM this is a letter that begins so", "not a picture"),
        (b"hello", "not a picture"),
        (bytes(64), "not a picture"),
    ],
)
def test_what_is_not_on_the_list_is_refused_by_name(head: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what):
        recognise(head)


def test_names_and_extensions_agree() -> None:
    assert format_from_name("a.b.JPG") == "JPEG"
    assert format_from_name("noextension") is None
    assert format_from_name("x.xyz") is None
    for extension, format in EXTENSIONS.items():
        assert format_from_name(f"x{extension}") == format
    for format in READABLE:
        assert EXTENSIONS[extension_for(format)] == format


def test_an_option_names_a_format_with_or_without_dot() -> None:
    assert format_from_option("jpg") == format_from_option(".JPEG") == "JPEG"
    with pytest.raises(UsageError, match="gif"):
        format_from_option("gif")
