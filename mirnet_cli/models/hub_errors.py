"""What can go wrong between here and a server, each in one line with what to do about it."""

import errno
from typing import Any

from mirnet_cli import settings
from mirnet_cli.errors import DownloadError, causes

_LATER = "try again later"
_SLOWER = "the server asks for fewer requests", "try again in a few minutes"
_NOT_THE_HUB = (
    "the answer is not from the server: perhaps from a sign-in page of this network, or a proxy"
)
_PORTAL = "open any page in a browser, check HF_ENDPOINT, then try again"
_CONNECTION = "check the connection, HF_ENDPOINT and the proxy settings"
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
_BY_HAND = "; or fetch it on another machine with 'mirnet models download --to DIR'"


def worded(error: BaseException, subject: object, *, sending: bool = False) -> DownloadError:
    """An error of the Hub's client or of the system as one line.

    Args:
        error: what was raised.
        subject: what was fetched, or the repository that something was sent to.
        sending: it was sent.
    """
    for each in causes(error):
        found = (_not_taken(each) if sending else None) or _what(each)
        if found is not None:
            what, remedy = found
            remedy = remedy.removesuffix(_BY_HAND) if sending else remedy
            return DownloadError(what, remedy, subject=subject)
    text = " ".join(str(error).split())[:120]
    return DownloadError(
        f"the Hub could not be used ({type(error).__name__}: {text})", _LATER, subject=subject
    )


def not_the_hub(subject: object) -> DownloadError:
    """The answer came from something else."""
    return DownloadError(_NOT_THE_HUB, _PORTAL, subject=subject)


def _not_taken(error: BaseException) -> tuple[str, str] | None:
    """What the Hub has against being sent something, where that differs from being asked."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return "the Hub does not accept this token", "set HF_TOKEN to a token that may write"
    if status in (403, 404):
        return (
            "the token may not write there",
            "check the name; set HF_TOKEN to a token that may write",
        )
    if "HFValidationError" in {kind.__name__ for kind in type(error).__mro__}:
        return "not a valid name on the Hub", "write OWNER/REPO"
    return None


def _what(error: BaseException) -> tuple[str, str] | None:
    text = str(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    if "CERTIFICATE_VERIFY_FAILED" in text or "SSLError" in names:
        return (
            "the server's certificate is not trusted: perhaps a proxy of your organisation",
            f"set SSL_CERT_FILE to its certificate{_BY_HAND}",
        )
    if "OfflineModeIsEnabled" in names:
        return "network access is switched off", "unset HF_HUB_OFFLINE"
    if {"FileMetadataError", "JSONDecodeError"} & names:
        return _NOT_THE_HUB, _PORTAL
    if (found := _refused_by_server(error, names)) is not None:
        return found
    if "_GaveUp" in names:
        if "429" in text:
            return _SLOWER
        return "the connection kept breaking", _LATER
    if "HFValidationError" in names:
        return "not a valid name on the Hub", "write hf://owner/repository/file[@revision]"
    if "Consistency check failed" in text:
        return (
            "the downloaded file is incomplete, or a different one",
            f"{_LATER}; check for a proxy",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = f"make room in {settings.hub_cache()}, or set HF_HOME to another disk"
        return "no space is left", remedy
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        where = error.filename or settings.hub_cache()
        return f"{where} cannot be written", "set HF_HOME to a folder that can be written"
    return _unreachable(error, names)


def _unreachable(error: BaseException, names: set[str]) -> tuple[str, str] | None:
    if "ProxyError" in names:
        return "the proxy refused the connection", "check HTTPS_PROXY and NO_PROXY"
    if {"TimeoutException", "TimeoutError"} & names:
        return "the server did not answer in time", f"{_LATER}; {_CONNECTION}"
    if {"ConnectError", "ConnectionRefusedError", "gaierror"} & names:
        return "the server cannot be reached", f"{_CONNECTION}{_BY_HAND}"
    if {"NetworkError", "RemoteProtocolError", "ProtocolError", "ConnectionError"} & names:
        return "the connection broke", _LATER
    if {"UnsupportedProtocol", "InvalidURL"} & names:
        return "the Hub's address is not valid", "check HF_ENDPOINT"
    return None


def _refused_by_server(error: BaseException, names: set[str]) -> tuple[str, str] | None:
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if not isinstance(status, int):
        return None
    if "GatedRepoError" in names:
        return (
            "its owner shares it only with those who accept the terms",
            "accept them on its page, then set HF_TOKEN or run 'hf auth login'",
        )
    if "RevisionNotFoundError" in names:
        return "there is no such revision", "check the part after the @"
    if "EntryNotFoundError" in names:
        return "there is no such file in the repository", "check its name"
    if status == 401:
        return "not public, or it does not exist", "check the name; set HF_TOKEN if it is private"
    if "RepositoryNotFoundError" in names or status in (404, 410):
        return (
            "there is no such repository or file",
            "check the name; set HF_TOKEN if it is private",
        )
    if status == 403:
        return "the server denies access", "check HF_TOKEN and what it may do"
    if status == 429:
        return _SLOWER
    if status >= 500:
        return f"the server failed ({status})", _LATER
    return f"the server refused the request ({status})", _LATER
