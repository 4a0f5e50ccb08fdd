"""Lists of photos, as the programs of all systems write them."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from mirnet_cli.batches import lists
from mirnet_cli.batches.lists import names_in
from mirnet_cli.errors import UsageError

NAMES = ["a.jpg", "süß/写真 😀.jpg", "s3://bucket/b.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
@pytest.mark.parametrize("last", [False, True])
def test_lists_of_names(encoding: str, end: str, last: bool) -> None:
    text = end.join(NAMES) + (end if last else "")
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    assert names_in(mark + text.encode(encoding)) == NAMES


def test_names_of_any_bytes() -> None:
    for end in (b"\n", b"\0"):
        names = names_in(end.join([b"\xff\xfd.jpg", b"b.jpg"]))
        assert names == [os.fsdecode(b"\xff\xfd.jpg"), "b.jpg"]
    assert names_in(b"a\nb.jpg\0c.jpg") == ["a\nb.jpg", "c.jpg"]
    for empty in (b"", b"\n\r\n", b"\xff\xfe", b"\0"[:0]):
        assert names_in(empty) == []


def test_short_names_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        names_in(b"a\0b\0")
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    assert names_in(b"a\0b\0") == ["a", "b"]


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        "in/a.jpg\r\n.\r\n".encode("utf-16-le"),
        "in/a.jpg\n".encode("utf-16-be"),
        "写真/a.jpg\r\n".encode("utf-16-le"),
        "in/a.jpg\n".encode("utf-32-le"),
        "in/a.jpg\n".encode("utf-16") + b"x",
        b"\xff\xfe" + "in/a.jpg".encode("utf-16-be")[:-2] + b"\x00\xd8",
        b"\xff\xfe\0\0in/a",
        bytes(1000),
        picture("PNG"),
        picture("JPEG"),
        picture("TIFF"),
    ],
)
def test_what_is_no_list(data: bytes) -> None:
    with pytest.raises(UsageError):
        names_in(data)


def test_a_list_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LONGEST_LIST", 1 << 20)
    with pytest.raises(UsageError, match="more than 1 MiB"):
        names_in(b"a" * ((1 << 20) + 1))
