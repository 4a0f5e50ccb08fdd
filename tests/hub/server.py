"""A small Hub on loopback, and the ways in which it can misbehave."""

import base64
import contextlib
import hashlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests import servers

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CERTIFICATE = Path(__file__).with_name("untrusted.pem")
PORTAL = b"<!DOCTYPE html><html><body>Please sign in to the hotel's network</body></html>"


@dataclass
class State:
    """What the server has, does and has seen.

    Attributes:
        files: by ``"owner/repo/file"``; every revision is :data:`COMMIT`.
        fault: name of one of :data:`FAULTS`, or "".
        times: how often the fault happens; -1 is always.
        requests: method and path of each request.
        tokens: what came in the Authorization headers.
        uploads: by path in the repository, what was pushed.
        plain: paths served below ``/plain/``.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    fault: str = ""
    times: int = -1
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    uploads: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    plain: dict[str, bytes] = field(default_factory=dict)
    address: str = ""

    def happens(self, *names: str) -> bool:
        if self.fault not in names or self.times == 0:
            return False
        self.times -= 1
        return True

    def count(self, method: str) -> int:
        return sum(each == method for each, _ in self.requests)


class Handler(servers.Handler):
    state: State

    def do_HEAD(self) -> None:  # noqa: N802 - the name is that of the standard library
        self._start()
        self._resolve(head=True)

    def do_GET(self) -> None:  # noqa: N802 - the name is that of the standard library
        path = self._start()
        if path.startswith("/plain/"):
            self._plain(path.removeprefix("/plain/"))
        elif path.startswith("/api/models/"):
            self._about(path.removeprefix("/api/models/").partition("/revision/")[0])
        elif path == "/api/whoami-v2":
            self._json({"name": "someone", "type": "user"})
        else:
            self._resolve(head=False)

    def do_POST(self) -> None:  # noqa: N802 - the name is that of the standard library
        path = self._start()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.state.happens("401"):
            self._send(401, b"{}", {"Content-Type": "application/json"})
        elif self.state.happens("403"):
            self._send(403, b"{}", {"Content-Type": "application/json"})
        elif self.state.happens("500"):
            self._send(500, b"oops")
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self._json({"url": f"{self.state.address}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            named = [each["path"] for each in json.loads(body)["files"]]
            kinds = {n: "regular" if n.endswith(".md") else "lfs" for n in named}
            files = [{"path": n, "uploadMode": k, "shouldIgnore": False} for n, k in kinds.items()]
            self._json({"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.state.address}/lfs/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            self._json({"objects": objects, "transfer": "basic"})
        elif "/commit/" in path:
            self._commit(body, path.removeprefix("/api/models/").partition("/commit/")[0])
        else:
            self._send(404, b"")

    def do_PUT(self) -> None:  # noqa: N802 - the name is that of the standard library
        path = self._start()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.state.blobs[path.rpartition("/")[2]] = body
        self._send(200, b"")

    def _start(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.state.requests.append((self.command, path))
        if token := self.headers.get("Authorization"):
            self.state.tokens.add(token.removeprefix("Bearer "))
        return path

    def _resolve(self, *, head: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        repository, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        fault = FAULTS.get(self.state.fault)
        if fault is not None and fault(self, head):
            return
        data = self.state.files.get(f"{repository}/{name}")
        if data is None:
            self._missing("EntryNotFound")
            return
        del revision
        served = data
        if not head and self.state.happens("flipped byte"):
            served = data[:-1] + bytes([data[-1] ^ 1])
        headers = {
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        if not head and self.state.happens("interrupted"):
            self._interrupted(served, headers)
            return
        wanted = self.headers.get("Range")
        if wanted and not head:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(206, served[start:], headers)
            return
        self._send(200, served, headers, head=head)

    def _interrupted(self, data: bytes, headers: dict[str, str]) -> None:
        """Half of what is left, and then nothing."""
        start = int((self.headers.get("Range") or "bytes=0-").partition("=")[2].partition("-")[0])
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start : start + (len(data) - start) // 2])
        self.close_connection = True

    def _plain(self, name: str) -> None:
        fault = FAULTS.get(self.state.fault)
        if fault is not None and fault(self, False):
            return
        data = self.state.plain.get(name)
        if data is None:
            self._send(404, b"Not Found")
            return
        if self.state.happens("flipped byte"):
            data = data[:-1] + bytes([data[-1] ^ 1])
        self._send(200, data)

    def _about(self, repository: str) -> None:
        fault = FAULTS.get(self.state.fault)
        if fault is not None and fault(self, True):
            return
        names = [
            name.removeprefix(f"{repository}/")
            for name in self.state.files
            if name.startswith(f"{repository}/")
        ]
        if not names:
            self._missing("RepoNotFound")
            return
        siblings = [{"rfilename": name} for name in names]
        self._json({"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings})

    def _commit(self, body: bytes, repository: str) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.state.uploads[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.state.uploads[value["path"]] = self.state.blobs[value["oid"]]
        address = f"{self.state.address}/{repository}/commit/{COMMIT}"
        self._json({"success": True, "commitOid": COMMIT, "commitUrl": address})

    def _missing(self, code: str, status: int = 404) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def _json(self, values: Any) -> None:
        self._send(200, json.dumps(values).encode(), {"Content-Type": "application/json"})

    def _send(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, head: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not head and self.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)


Fault = Callable[[Handler, bool], bool]


def _status(status: int, code: str = "", *, only_get: bool = False) -> Fault:
    def fault(handler: Handler, head: bool) -> bool:
        if only_get and head:
            return False
        handler._missing(code, status) if code else handler._send(status, b"no")
        return True

    return fault


def _portal(handler: Handler, head: bool) -> bool:
    handler._send(200, PORTAL, {"Content-Type": "text/html"}, head=head)
    return True


def _portal_get(handler: Handler, head: bool) -> bool:
    return not head and _portal(handler, head)


def _elsewhere(handler: Handler, head: bool) -> bool:
    handler._send(302, b"", {"Location": "http://login.invalid/"}, head=head)
    return True


def _closed(handler: Handler, head: bool) -> bool:
    handler.close_connection = True
    handler.connection.close()
    return True


def _silent(handler: Handler, head: bool) -> bool:
    time.sleep(20)
    return _closed(handler, head)


def _cut(handler: Handler, head: bool) -> bool:
    """Half of the file, whatever part was asked for, and then nothing."""
    if head:
        return False
    data = next(iter([*handler.state.files.values(), *handler.state.plain.values()]))
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True
    return True


def _reset(handler: Handler, head: bool) -> bool:
    """Half of the file, and then a reset (RST) instead of an end."""
    done = _cut(handler, head)
    if done:
        time.sleep(0.1)
        handler.reset()
    return done


def _stalled(handler: Handler, head: bool) -> bool:
    done = _cut(handler, head)
    if done:
        time.sleep(20)
    return done


def _short(handler: Handler, head: bool) -> bool:
    if head:
        return False
    handler._send(200, b"short")
    return True


FAULTS: dict[str, Fault] = {
    "no such repository": _status(404, "RepoNotFound"),
    "no such revision": _status(404, "RevisionNotFound"),
    "no such file": _status(404, "EntryNotFound"),
    "404 without a word": _status(404),
    "401": _status(401),
    "gated": _status(403, "GatedRepo"),
    "403": _status(403),
    "429": _status(429),
    "500": _status(500),
    "503": _status(503),
    "500 for the file": _status(500, only_get=True),
    "429 for the file": _status(429, only_get=True),
    "sign-in page": _portal,
    "sign-in page for the file": _portal_get,
    "redirected elsewhere": _elsewhere,
    "connection closed": _closed,
    "silence": _silent,
    "cut": _cut,
    "reset in the middle": _reset,
    "silence in the middle": _stalled,
    "shorter than announced": _short,
}


@contextlib.contextmanager
def serving(state: State, *, tls: bool = False) -> Iterator[str]:
    """Runs the server; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
    if context is not None:
        context.load_cert_chain(CERTIFICATE)
    with servers.running(type("Bound", (Handler,), {"state": state}), context) as port:
        state.address = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield state.address
