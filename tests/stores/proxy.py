"""A server before another that passes on what it is asked, or misbehaves."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests import servers

_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "server", "date"}
_STATUS = {"400": 400, "501": 501, "403": 403, "429": 429, "500": 500, "503": 503}


@dataclass
class Proxy:
    """What it does, and what it has seen.

    Attributes:
        behind: address of the real server; "" serves :attr:`files` itself.
        files: content by path, where there is no real server.
        fault: "" or one of those of :meth:`Handler._misbehave`.
        on: what the fault happens to: "GET", "PUT" …, or "PART" for a part of an upload.
        times: how often; -1 is always.
        lengths: whether answers from :attr:`files` say how long they are.
        heads: whether HEAD is answered for :attr:`files`.
        lacks: what this store does not know, as others do not: "conditions" (501) or "checksums"
            (400, as older servers say) are refused, "ignored" passes over conditions.
        requests: method and path of each request.
        sent: bytes of all answers since the last call of :meth:`misbehave`.
        authorization: who the last request said it is from.
        held: set while the fault "hold" holds a request.
    """

    behind: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    fault: str = ""
    on: str = "GET"
    times: int = -1
    lengths: bool = True
    heads: bool = True
    lacks: set[str] = field(default_factory=set)
    requests: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    authorization: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    address: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def misbehave(self, fault: str, on: str = "GET", times: int = -1) -> None:
        self.fault, self.on, self.times = fault, on, times
        self.requests.clear()
        self.sent = 0

    def happens(self, kind: str) -> bool:
        if not self.fault or kind != self.on or self.times == 0:
            return False
        self.times -= 1
        return True

    def count(self, method: str) -> int:
        return sum(each == method for each, _ in self.requests)


class Handler(servers.Handler):
    proxy: Proxy

    def _handle(self) -> None:
        kind = "PART" if "partNumber=" in self.path else self.command
        self.proxy.requests.append((self.command, self.path))
        self.proxy.authorization = self.headers.get("Authorization") or ""
        fault = self.proxy.fault if self.proxy.happens(kind) else ""
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "hold":
            self.rfile.read(length // 2)
            self.proxy.held.set()
            self._wait()
            return
        if fault == "reset" and length:
            self.rfile.read(length // 2)
            self.reset()
            return
        body = self.rfile.read(length)
        if fault in _STATUS:
            self._send(_STATUS[fault], {}, b"")
            return
        if fault == "silent":
            self._wait()
            return
        if "conditions" in self.proxy.lacks and self.headers.get("If-None-Match"):
            self._refuse(501, "NotImplemented")
            return
        sent = " ".join(self.headers).lower()
        if "checksums" in self.proxy.lacks and ("x-amz-checksum" in sent or "x-amz-sdk" in sent):
            self._refuse(400, "InvalidArgument")
            return
        status, headers, data = self._answer(body)
        if fault in ("reset", "lost"):
            self.reset()
        elif fault in ("cut", "stall"):
            self._begin(status, headers, len(data))
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            if fault == "stall":
                self._wait()
            else:
                self.reset()
        else:
            self._send(status, headers, data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def _answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What the real server says, or :attr:`Proxy.files`."""
        if not self.proxy.behind:
            data = self.proxy.files.get(self.path.partition("?")[0])
            if self.command == "HEAD" and not self.proxy.heads:
                return 403, {}, b""
            return (404, {}, b"") if data is None else (200, {"ETag": f'"{len(data)}"'}, data)
        connection = http.client.HTTPConnection(urlsplit(self.proxy.behind).netloc, timeout=30)
        with contextlib.closing(connection):
            headers = {name: text for name, text in self.headers.items() if name != "Expect"}
            if "ignored" in self.proxy.lacks:
                headers.pop("If-None-Match", None)
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
            if self.command == "HEAD":
                data = b"\0" * int(answer.getheader("Content-Length") or 0)
            return answer.status, dict(answer.getheaders()), data

    def _refuse(self, status: int, code: str) -> None:
        text = "A header you provided implies functionality that is not implemented"
        answer = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>"
        self._send(status, {"Content-Type": "application/xml"}, answer.encode())

    def _begin(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response_only(status)
        for name, text in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, text)
        if self.proxy.lengths:
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def _send(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self._begin(status, headers, len(data))
        if self.command != "HEAD":
            self.proxy.sent += len(data)
            self.wfile.write(data)

    def _wait(self) -> None:
        self.proxy.over.wait(60)
        self.close_connection = True


@contextlib.contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    """Run a proxy on loopback."""
    with servers.running(type("Handler", (Handler,), {"proxy": proxy})) as port:
        proxy.address = f"http://127.0.0.1:{port}"
        try:
            yield proxy
        finally:
            proxy.over.set()
