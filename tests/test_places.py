"""Paths and addresses: what is which, their parts, and what is shown of them."""

import pickle
from pathlib import Path

import pytest

from mirnet_cli.errors import UsageError
from mirnet_cli.places import Remote, below, place

SIGNED = "https://me:pw@host:8000/x/my%20photo.jpg?X-Amz-Signature=abc&y=1"


@pytest.mark.parametrize(
    "name", ["a.jpg", "dir/a.jpg", "C:\\a.jpg", "a:b", "x:/y", "//server/a", "s3:/a", "1s3://a"]
)
def test_paths_stay_paths(name: str) -> None:
    assert place(name) == Path(name)


def test_files_of_this_machine(tmp_path: Path) -> None:
    assert place((tmp_path / "a b.jpg").as_uri()) == tmp_path / "a b.jpg"
    assert place("file://localhost/a#1.jpg") == Path("/a#1.jpg")
    with pytest.raises(UsageError, match="another machine"):
        place("file://photos/a.jpg")


@pytest.mark.parametrize(
    ("address", "name", "suffix", "parent", "shown"),
    [
        ("s3://b/k/a.jpg", "a.jpg", ".jpg", "s3://b/k", "s3://b/k/a.jpg"),
        ("S3://b/k/", "k", "", "s3://b", "s3://b/k"),
        ("s3a://b", "", "", "s3://b", "s3://b"),
        ("s3://b/what?.jpg", "what?.jpg", ".jpg", "s3://b", "s3://b/what?.jpg"),
        ("s3://b/a%20b", "a%20b", "", "s3://b", "s3://b/a%20b"),
        ("sftp://me:pw@h/a.jpg", "a.jpg", ".jpg", "sftp://h", "sftp://h/a.jpg"),
        ("abfs://c@acc.net/a", "a", "", "abfs://c@acc.net", "abfs://c@acc.net/a"),
        (
            SIGNED,
            "my photo.jpg",
            ".jpg",
            "https://host:8000/x",
            "https://host:8000/x/my%20photo.jpg",
        ),
        ("http://h/a%2Fb", "a%2Fb", "", "http://h", "http://h/a%2Fb"),
        ("http://token@h/a", "a", "", "http://h", "http://h/a"),
        ("http://h/a/?id=1", "", "", "http://h/a", "http://h/a/"),
    ],
)
def test_parts_of_an_address(address: str, name: str, suffix: str, parent: str, shown: str) -> None:
    found = place(address)
    assert isinstance(found, Remote)
    assert (found.name, found.suffix, str(found.parent), str(found)) == (
        name,
        suffix,
        parent,
        shown,
    )
    assert place(found) is found
    assert pickle.loads(pickle.dumps(found)) == found


def test_secrets_are_used_and_not_shown() -> None:
    found = place(SIGNED)
    assert isinstance(found, Remote)
    assert found.url == SIGNED
    for text in (str(found), repr(found), f"{found}"):
        assert "pw" not in text
        assert "abc" not in text


def test_names_below() -> None:
    bucket, folder = place("s3://b"), place("s3://b/scans")
    assert below(place("s3://b/scans/x/a.jpg"), folder) == "x/a.jpg"
    assert below(place("s3://b/scans//a.jpg"), folder) == "/a.jpg"
    assert below(place("s3://b/scans2/a.jpg"), folder) is None
    assert below(place("gs://b/scans/a.jpg"), folder) is None
    assert below(folder, bucket) == "scans"
    assert below(Path("a/b"), folder) is None
    assert below(Path("a/b"), Path("a")) == "b"
    assert folder / "x/a.jpg" == place("s3://b/scans/x/a.jpg")
    assert folder.with_name("other") == place("s3://b/other")


def test_an_address_is_no_path() -> None:
    with pytest.raises(TypeError):
        Path(place("s3://b/a.jpg"))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a/" * 60_000, "a" * 120_000, f"s3://b/{'a/' * 60_000}x.jpg"])
def test_what_no_system_knows_is_refused_at_once(text: str) -> None:
    for name in (text, Path(text)) if "://" not in text else (text,):
        with pytest.raises(UsageError, match=r"a path of 1[0-9,]+ characters") as caught:
            place(name)
        assert len(str(caught.value)) < 300
