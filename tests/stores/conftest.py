"""A bucket of a real S3 server on loopback, and a proxy before it that can misbehave."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirnet_cli import objects
from tests.stores.proxy import Proxy, serving

BUCKET = "photos"
SECRET = "s3cr3t"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of moto's server."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """What is in the bucket, by a client that is not the one under test."""

    def __init__(self, address: str) -> None:
        import boto3
        from botocore.config import Config

        self.client: Any = boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id="someone",
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(request_checksum_calculation="when_required"),
        )
        self.client.create_bucket(Bucket=BUCKET)

    def __setitem__(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def __getitem__(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def __contains__(self, key: str) -> bool:
        return key in self.keys()

    def __delitem__(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"] for each in found]

    def type_of(self, key: str) -> str:
        return str(self.client.head_object(Bucket=BUCKET, Key=key)["ContentType"])

    def unfinished(self) -> int:
        """Uploads in parts that were neither completed nor given up."""
        return len(self._uploads())

    def _uploads(self) -> list[dict[str, str]]:
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [{"Key": each["Key"], "UploadId": each["UploadId"]} for each in found]

    def clear(self) -> None:
        """Remove everything."""
        for each in self._uploads():
            self.client.abort_multipart_upload(Bucket=BUCKET, **each)
        for key in self.keys():
            del self[key]


@pytest.fixture(scope="session")
def _client(s3: str) -> Bucket:
    return Bucket(s3)


@pytest.fixture(scope="session")
def _proxy(s3: str) -> Iterator[Proxy]:
    with serving(Proxy(behind=s3)) as running:
        # What is known of stores so far may lead elsewhere: to the documents' own.
        objects._shared.cache_clear()
        yield running
        objects._shared.cache_clear()


@pytest.fixture
def bucket(
    _client: Bucket, _proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Bucket]:
    """An empty bucket, which the environment leads to by way of the proxy."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MIRNET_"))]:
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", _proxy.address)
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIRNET_STORE_TIMEOUT", "0.5")
    monkeypatch.setattr(objects, "_PART", 5 << 20)
    _proxy.misbehave("")
    yield _client
    _proxy.misbehave("")
    _proxy.lacks = set()
    _client.clear()


@pytest.fixture
def proxy(bucket: Bucket, _proxy: Proxy) -> Proxy:
    """What is before the bucket, and can misbehave."""
    return _proxy


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """For tests that change what leads to the store: nothing is kept from before or for later."""
    objects._shared.cache_clear()
    yield
    objects._shared.cache_clear()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A web server with files."""
    monkeypatch.setenv("MIRNET_STORE_TIMEOUT", "3")
    monkeypatch.delenv("http_proxy", raising=False)
    with serving(Proxy()) as running:
        yield running
