"""Files at plain addresses: fetched whole, or not at all."""

import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirnet_cli._version import __version__
from mirnet_cli.errors import DiskFullError, DownloadError, OutputError
from mirnet_cli.files import make_folder, write_atomically
from mirnet_cli.models import hub
from mirnet_cli.models.container import foreign_kind
from mirnet_cli.models.hub_errors import not_the_hub, worded
from mirnet_cli.web import opener

SECONDS = 10.0
"""How long the server may say nothing."""

_CHUNK = 1 << 20


def download(url: str, target: Path, *, size: int = 0, report: hub.Report | None = None) -> None:
    """Fetch a file; one that is there is replaced.

    Args:
        url: its address; redirections from https to http are not followed.
        target: where it goes; folders are made.
        size: bytes that it must have; 0 where that is not known.
        report: told of the progress.

    Raises:
        DownloadError: for every way in which that can fail.
    """
    hub.check_online(url)
    request = urllib.request.Request(url, headers={"User-Agent": f"mirnet/{__version__}"})
    try:
        with opener(DownloadError, url).open(request, timeout=SECONDS) as response:
            length = int(response.headers.get("Content-Length") or 0)
            if "html" in (response.headers.get("Content-Type") or ""):
                raise not_the_hub(url)
            hub.check_size(url, length or None, size, target.parent)
            make_folder(target.parent)
            pieces = _pieces(url, response, length or size, report)
            write_atomically(target, pieces, overwrite=True)
    except DownloadError:
        raise
    except DiskFullError:
        raise hub.disk_full(target.parent, url) from None
    except OutputError as error:
        remedy = "set MIRNET_CACHE to a folder that can be written"
        raise DownloadError(error.what, remedy, subject=target) from None
    except urllib.error.HTTPError as error:
        raise _status(url, error.code) from None
    except urllib.error.URLError as error:
        cause = error.reason if isinstance(error.reason, BaseException) else error
        raise worded(cause, url) from None
    except (TimeoutError, http.client.HTTPException, socket.gaierror, ValueError, OSError) as error:
        raise worded(error, url) from None


def _pieces(url: str, response: Any, length: int, report: hub.Report | None) -> Iterator[bytes]:
    done = 0
    while True:
        try:
            piece = response.read(_CHUNK)
        except OSError as error:
            # Or else it would look like one of the disk that is written to.
            raise worded(error, url) from None
        if not piece:
            break
        if done == 0 and (kind := foreign_kind(piece[:512])) is not None:
            raise DownloadError(*kind, subject=url)
        done += len(piece)
        if done > (length or hub.MAX_FILE):
            raise DownloadError("more data came than was announced", "try again later", subject=url)
        if report is not None:
            report(done, max(length, done))
        yield piece
    if done == 0 or done < length:
        raise DownloadError("the downloaded file is incomplete", "try again later", subject=url)


def _status(url: str, status: int) -> DownloadError:
    if status in (404, 410):
        return DownloadError("the file is not there any more", "update mirnet", subject=url)
    if status in (401, 403, 407):
        return DownloadError(f"the server denies access ({status})", "check the proxy", subject=url)
    what = f"the server failed ({status})"
    return DownloadError(what, "try again later", subject=url)
