"""Objects of a real S3 server: looked up, listed, read and written, also where things go wrong."""

import base64
import hashlib
import os
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from mirnet_cli import objects
from mirnet_cli.errors import InputError, OutputError, TransferError, UsageError
from mirnet_cli.places import Remote, place
from tests.stores.conftest import BUCKET, SECRET, Bucket
from tests.stores.proxy import Proxy

LARGE = 11 << 20
"""Bytes that are uploaded in parts."""


def remote(key: str) -> Remote:
    found = place(f"s3://{BUCKET}/{key}")
    assert isinstance(found, Remote)
    return found


def test_an_object_is_looked_up(bucket: Bucket) -> None:
    bucket["a/b.jpg"] = b"content"
    version = objects.version(remote("a/b.jpg"))
    assert version is not None
    assert version.size == 7
    bucket["a/b.jpg"] = b"CONTENT"
    assert objects.version(remote("a/b.jpg")) != version
    assert objects.version(remote("a")) is None
    assert objects.OBJECTS.is_folder(remote("a"))
    assert not objects.OBJECTS.is_folder(remote("a/b.jpg"))


def test_a_listing_tells_versions(bucket: Bucket) -> None:
    for key in ("a/1.jpg", "a/x/2.jpg", "b/3.jpg"):
        bucket[key] = key.encode()
    found = {str(each): each.version for each in objects.listing(remote("a"))}
    assert set(found) == {f"s3://{BUCKET}/a/1.jpg", f"s3://{BUCKET}/a/x/2.jpg"}
    assert found[f"s3://{BUCKET}/a/1.jpg"] == objects.version(remote("a/1.jpg"))
    flat = [each.name for each in objects.listing(remote("a"), recursive=False)]
    assert flat == ["1.jpg"]
    assert list(objects.listing(remote("none"))) == []


def test_parts_of_an_object_are_read(proxy: Proxy, bucket: Bucket) -> None:
    data = os.urandom(3 << 20)
    bucket["a"] = data
    with objects.opened(remote("a")) as found:
        assert len(found) == len(data)
        assert found[0:64] == data[:64]
        # A header is read without the rest.
        assert proxy.count("GET") == 1
        assert found[0 : len(data)] == data
        assert found[5:5] == b""
    assert proxy.count("GET") == 2
    with pytest.raises(InputError, match="no such object"), objects.opened(remote("none")):
        pass


def test_what_is_absurdly_large_is_not_fetched(
    proxy: Proxy, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket["a"] = bytes(2 << 20)
    monkeypatch.setattr(objects.settings, "encoded_limit", lambda: 1 << 20)
    with objects.opened(remote("a")) as found, pytest.raises(InputError, match="more than 1 MiB"):
        found[0 : len(found)]
    assert proxy.count("GET") == 0


@pytest.mark.parametrize("size", [100, LARGE])
def test_an_object_is_written_once(bucket: Bucket, size: int) -> None:
    data = os.urandom(size)
    objects.put(remote("out.jpg"), data, overwrite=False, kind="image/jpeg")
    assert bucket["out.jpg"] == data
    assert bucket.type_of("out.jpg") == "image/jpeg"
    with pytest.raises(OutputError, match="exists already"):
        objects.put(remote("out.jpg"), b"other", overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        objects.put(remote("out.jpg"), os.urandom(size), overwrite=False)
    assert bucket["out.jpg"] == data
    objects.put(remote("out.jpg"), b"other", overwrite=True)
    assert bucket["out.jpg"] == b"other"
    assert bucket.unfinished() == 0


def test_of_two_that_write_at_once_one_is_told(bucket: Bucket) -> None:
    told: list[str] = []

    def write(data: bytes) -> None:
        try:
            objects.put(remote("out"), data, overwrite=False)
        except OutputError as error:
            told.append(error.what)

    threads = [threading.Thread(target=write, args=(bytes([n]) * 1000,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert told == ["exists already"] * 3


READING = {
    "403": "the store refuses access",
    "503": "failed (503)",
    "429": "asks for fewer requests",
    "reset": "the connection kept breaking",
    "silent": "the store did not answer for 0.5 seconds",
    "cut": "the connection kept breaking",
    "stall": "the store did not answer for 0.5 seconds",
}


@pytest.mark.parametrize(("fault", "said"), READING.items())
def test_reading_fails_in_one_line(proxy: Proxy, bucket: Bucket, fault: str, said: str) -> None:
    bucket["a"] = bytes(1000)
    proxy.misbehave(fault)
    begun = time.monotonic()
    with pytest.raises(TransferError) as caught:
        objects.read(remote("a"))
    assert said in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 20
    proxy.misbehave("")
    assert objects.read(remote("a")) == bytes(1000)


@pytest.mark.parametrize("fault", ["503", "reset", "cut", "stall"])
def test_reading_is_tried_again(proxy: Proxy, bucket: Bucket, fault: str) -> None:
    bucket["a"] = bytes(1000)
    proxy.misbehave(fault, times=1)
    assert objects.read(remote("a")) == bytes(1000)


WRITING = {
    "403": "the store refuses access",
    "503": "failed (503)",
    "reset": "the connection kept breaking",
    "silent": "the store did not answer",
}


@pytest.mark.parametrize(("fault", "said"), WRITING.items())
def test_an_upload_that_fails_changes_nothing(
    proxy: Proxy, bucket: Bucket, fault: str, said: str
) -> None:
    bucket["out"] = b"old"
    proxy.misbehave(fault, "PUT")
    with pytest.raises(OutputError) as caught:
        objects.put(remote("out"), os.urandom(1 << 20), overwrite=True)
    assert said in str(caught.value)
    proxy.misbehave("")
    if fault != "silent":
        assert bucket["out"] == b"old"


@pytest.mark.parametrize("fault", ["403", "503", "reset"])
def test_an_upload_in_parts_that_fails_is_given_up(
    proxy: Proxy, bucket: Bucket, fault: str
) -> None:
    proxy.misbehave(fault, "PART")
    with pytest.raises(OutputError):
        objects.put(remote("out"), os.urandom(LARGE), overwrite=False)
    assert "out" not in bucket
    assert bucket.unfinished() == 0


@pytest.mark.parametrize("fault", ["503", "reset", "lost"])
def test_an_upload_is_tried_again(proxy: Proxy, bucket: Bucket, fault: str) -> None:
    data = os.urandom(1 << 20)
    proxy.misbehave(fault, "PUT", times=1)
    objects.put(remote("out"), data, overwrite=False)
    assert bucket["out"] == data


DIGEST = hashlib.md5(b"data")
STATED: dict[str, dict[str, Any]] = {
    "S3": {"ETag": f'"{DIGEST.hexdigest()}"'},
    "Google": {
        "etag": "CJ/",
        "generation": "17",
        "md5Hash": base64.b64encode(DIGEST.digest()).decode(),
    },
    "Azure": {"etag": '"0x8D"', "content_settings": {"content_md5": bytearray(DIGEST.digest())}},
}


@pytest.mark.parametrize("said", STATED.values(), ids=STATED)
def test_a_lost_answer_is_told_from_another_s_object(said: dict[str, Any]) -> None:
    system = SimpleNamespace(invalidate_cache=lambda: None, info=lambda path: {"size": 4, **said})
    assert objects._is(system, "out", b"data")
    assert not objects._is(system, "out", b"DATA")


def test_a_server_that_stops_taking_ends_an_upload(
    proxy: Proxy, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_longest", lambda size: 1.0)
    monkeypatch.setattr(objects, "_PART", 64 << 20)
    proxy.misbehave("hold", "PUT")
    with pytest.raises(OutputError, match="the store did not answer"):
        objects.put(remote("out"), bytes(40 << 20), overwrite=False)
    assert "out" not in bucket


def test_what_is_not_there_to_write_to(bucket: Bucket) -> None:
    nowhere = place("s3://nosuchbucket/a")
    assert isinstance(nowhere, Remote)
    with pytest.raises(OutputError, match="no such bucket"):
        objects.put(nowhere, b"x", overwrite=False)


@pytest.mark.usefixtures("elsewhere")
def test_without_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket["a"] = b"x"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(TransferError, match="no credentials"):
        objects.read(remote("a"))


@pytest.mark.usefixtures("elsewhere")
def test_nobody_there(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(TransferError, match="cannot be reached") as caught:
        objects.read(remote("a"))
    assert SECRET not in str(caught.value)


def test_a_store_that_only_renames(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with SFTP: under another name first; tried with fsspec's own file system of files."""
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    class Shelf(LocalFileSystem):  # type: ignore[misc]
        protocol = "shelf"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return "/" + path.removeprefix("shelf://").lstrip("/")

    fsspec.register_implementation("shelf", Shelf, clobber=True)
    monkeypatch.setattr(objects, "_RENAMING", {"shelf"})
    shelf = place(f"shelf://{str(tmp_path).lstrip('/')}/new/a.jpg")
    assert isinstance(shelf, Remote)
    objects.put(shelf, b"first", overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        objects.put(shelf, b"second", overwrite=False)
    assert objects.read(shelf) == b"first"
    objects.put(shelf, b"second", overwrite=True)
    assert [(each.name, objects.read(each)) for each in objects.listing(shelf.parent)] == [
        ("a.jpg", b"second")
    ]
    monkeypatch.setattr(Shelf, "mv", lambda *_, **__: exec("raise OSError('broken')"))
    with pytest.raises(OutputError, match="broken"):
        objects.put(shelf, b"third", overwrite=True)
    assert len(list(objects.listing(shelf.parent))) == 1


@pytest.mark.parametrize(
    ("address", "writing", "said"),
    [
        ("foo://a/b", False, "not a known store"),
        ("https://host/a.jpg", True, "only read"),
        ("github://a/b", True, "only read"),
        ("s3://", False, "no bucket"),
        ("gs://a/b", False, "pip install gcsfs"),
        ("az://a/b", True, "pip install adlfs"),
    ],
)
def test_refused_before_any_work(address: str, writing: bool, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        objects.check(place(address), writing=writing)
    assert said in str(caught.value)


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRNET_OFFLINE", "1")
    with pytest.raises(UsageError, match="MIRNET_OFFLINE"):
        objects.check(place("s3://a/b"))


@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("lacks", [{"conditions"}, {"checksums"}, {"conditions", "checksums"}])
def test_what_a_store_does_not_know_is_not_asked_of_it(
    proxy: Proxy, bucket: Bucket, elsewhere: None, lacks: set[str], size: int
) -> None:
    proxy.lacks = lacks
    data = os.urandom(size)
    wanted = (objects.UNCHECKED,) if "conditions" in lacks else ()
    for key in ("a", "b"):
        assert objects.put(remote(key), data, overwrite=False) == wanted
        assert bucket[key] == data
        assert objects.read(remote(key)) == data
        with pytest.raises(OutputError, match="exists already"):
            objects.put(remote(key), b"other", overwrite=False)
        assert bucket[key] == data
        assert objects.put(remote(key), b"other", overwrite=True) == ()
        assert bucket[key] == b"other"
    # What is known by now is not tried again.
    proxy.misbehave("")
    objects.put(remote("c"), b"data", overwrite=False)
    assert proxy.count("PUT") == 1
    assert bucket.unfinished() == 0


def test_a_store_that_passes_over_conditions(proxy: Proxy, bucket: Bucket, elsewhere: None) -> None:
    proxy.lacks = {"ignored"}
    bucket["a"] = b"there"
    with pytest.raises(OutputError, match="exists already"):
        objects.put(remote("a"), b"other", overwrite=False)
    assert bucket["a"] == b"there"


def test_a_store_that_knows_nothing(proxy: Proxy, bucket: Bucket, elsewhere: None) -> None:
    proxy.misbehave("501", "PUT")
    with pytest.raises(OutputError, match=r"did not understand .* AWS_REQUEST_CHECKSUM_CALC"):
        objects.put(remote("a"), b"data", overwrite=True)
    proxy.misbehave("400", "PUT")
    with pytest.raises(OutputError):
        objects.put(remote("a"), b"data", overwrite=False)
    assert proxy.count("PUT") == 1, "what is wrong otherwise is not tried in other ways"
    assert "a" not in bucket
