"""Files at web addresses, read from front to back as far as they are asked for."""

import base64
import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from mirnet_cli import settings
from mirnet_cli._version import __version__
from mirnet_cli.errors import InputError, MirnetError
from mirnet_cli.places import Version

_T = TypeVar("_T")
_CHUNK = 1 << 18
_PAUSES = (0.5, 1.5)
"""Seconds before each further try."""
_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What is quoted already, or need not be."""


def version(url: str) -> Version | None:
    """What a server says of a file; None where there is none.

    Raises:
        OSError, http.client.HTTPException: it cannot be asked.
    """
    try:
        try:
            response = _opened(url, "HEAD")
        except urllib.error.HTTPError as error:
            # Servers, and signed addresses, that are for getting alone.
            if error.code not in (400, 401, 403, 405, 501):
                raise
            response = _opened(url, "GET")
    except FileNotFoundError:
        return None
    with response:
        headers = response.headers
        tag = headers.get("ETag") or headers.get("Last-Modified") or ""
        return Version(_length(response), tag)


class Stream:
    """A file that comes when it is read; a context manager.

    A server need not know parts (``Range``). Where the connection breaks, it is opened anew.

    Raises:
        FileNotFoundError, OSError, http.client.HTTPException: as the server says.
        InputError: it is too large.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._data = bytearray()
        self._response = _again(lambda: _opened(url, "GET"))
        self._size = _length(self._response)
        self._limit = settings.encoded_limit()
        if self._size < 0:
            # It does not say how long it is.
            self._fill(self._limit + 1, whole=True)
            self._size = len(self._data)
        if self._size > self._limit:
            self._response.close()
            raise InputError(f"more than {self._limit >> 20} MiB", "save it to a file first")

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop``."""
        self._fill(stop)
        return bytes(self._data[start:stop])

    def _fill(self, stop: int, *, whole: bool = False) -> None:
        broken = False
        for pause in (*_PAUSES, None):
            try:
                if broken:
                    self._reopen()
                while len(self._data) < stop:
                    piece = self._response.read(_CHUNK)
                    if not piece and whole:
                        return
                    if not piece:
                        raise http.client.IncompleteRead(b"", stop - len(self._data))
                    self._data += piece
                return
            except (OSError, http.client.HTTPException):
                if pause is None:
                    raise
                time.sleep(pause)
                broken = True

    def _reopen(self) -> None:
        """Go on where the connection broke; what came before comes again."""
        self._response.close()
        self._response = _opened(self._url, "GET")
        again = bytearray()
        while len(again) < len(self._data):
            piece = self._response.read(min(_CHUNK, len(self._data) - len(again)))
            if not piece:
                break
            again += piece
        if again != self._data:
            self._response.close()
            raise EOFError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()


def opener(refusal: type[MirnetError], subject: object = None) -> urllib.request.OpenerDirector:
    """What opens addresses; ``refusal`` is raised for a redirection from https to http."""

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(
            self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
        ) -> Any:
            if req.full_url.startswith("https:") and not newurl.startswith("https:"):
                what = "the server redirects to an unprotected address"
                raise refusal(what, "use another one", subject=subject)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return urllib.request.build_opener(Redirects)


def _request(url: str, method: str) -> urllib.request.Request:
    """What is asked: with all quoted that must be, and a name and password as servers want them."""
    headers = {"User-Agent": f"mirnet/{__version__}", "Accept-Encoding": "identity"}
    scheme, netloc, path, query, _ = urlsplit(url)
    user, at, host = netloc.rpartition("@")
    plain = urlunsplit((scheme, host, quote(path, _KEPT), quote(query, _KEPT), ""))
    request = urllib.request.Request(plain, headers=headers, method=method)
    if at:
        name, _, password = user.partition(":")
        known = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
        # Not for the server that this one may send us to.
        request.add_unredirected_header("Authorization", f"Basic {known}")
    return request


def _opened(url: str, method: str) -> Any:
    request = _request(url, method)
    try:
        return opener(InputError).open(request, timeout=settings.store_patience())
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise FileNotFoundError(url) from error
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, OSError):
            raise error.reason from None
        raise


def _again(attempt: Callable[[], _T]) -> _T:
    """Try what may come right by itself: a server's own problems, and broken connections."""
    for pause in _PAUSES:
        with contextlib.suppress(ConnectionError, http.client.HTTPException, TimeoutError):
            try:
                return attempt()
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code != 429:
                    raise
        time.sleep(pause)
    return attempt()


def _length(response: Any) -> int:
    text = response.headers.get("Content-Length") or ""
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return int(text) if text.isdigit() and plain else -1
