"""Where a photo is: a path on this machine, or an object in a store.

:func:`place` is the one function that makes either of what a user writes. An object has the parts
of a :class:`pathlib.Path` that name it, so that plans and names need not ask which it is; what
touches a store is in :mod:`mirnet_cli.stores`.
"""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote

from mirnet_cli.errors import UsageError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_ALIASES = {"s3a": "s3", "gcs": "gs", "ssh": "sftp"}
_PASSWORD = re.compile(r"^[^/@]*:[^/]*@")
_USER = re.compile(r"^[^/]*@")
WEB = ("http", "https")
"""Schemes whose addresses have queries, and are only read."""
LONGEST = 32_767
"""Characters of the longest path that a system knows (Windows; others know 1024 to 4096 bytes)."""


@dataclass(frozen=True)
class Version:
    """What a store says of one object.

    Attributes:
        size: in bytes; -1 where it does not say.
        tag: changes with the content: ETag, generation or time; "" where there is none.
    """

    size: int
    tag: str


@dataclass(frozen=True, repr=False)
class Remote:
    """An object, or a prefix, in a store.

    ``str()`` of it is for people, journals and reports: without passwords and signed queries.

    Attributes:
        scheme: "s3".
        path: bucket and key, or host and path; no slash at the end, but of a web address that
            has one.
        query: of a web address, with its question mark.
        version: as a listing told it; None where nobody has asked.
    """

    scheme: str
    path: str
    query: str = ""
    version: Version | None = field(default=None, compare=False)

    @property
    def url(self) -> str:
        """The whole address, with its secrets."""
        return f"{self.scheme}://{self.path}{self.query}"

    def __str__(self) -> str:
        # Who reads from the web may be named by a token alone; abfs:// names its container so.
        secret = _USER if self.scheme in WEB else _PASSWORD
        return f"{self.scheme}://{secret.sub('', self.path)}"

    def __repr__(self) -> str:
        return f"Remote({str(self)!r})"

    @property
    def name(self) -> str:
        """What comes last; "" of a bucket or host alone."""
        name = self.path.partition("/")[2].rpartition("/")[2]
        plain = unquote(name) if self.scheme in WEB else name
        return name if {"/", "\\", "\0"} & set(plain) else plain

    @property
    def suffix(self) -> str:
        """The extension of its name, with the dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "Remote":
        """The prefix that it is in; a bucket's is the bucket."""
        head = self.path.rpartition("/")[0]
        return Remote(self.scheme, head or self.path)

    def with_name(self, name: str) -> "Remote":
        """Another one beside it."""
        return self.parent / name

    def __truediv__(self, name: str) -> "Remote":
        return Remote(self.scheme, f"{self.path}/{name}")

    def at(self, version: Version | None) -> "Remote":
        """The same, of which a store has said this."""
        return replace(self, version=version)


Place: TypeAlias = Path | Remote
"""Where a photo is, or a folder of them."""


@dataclass(frozen=True)
class Entry:
    """What a folder has.

    Attributes:
        key: the path below the folder, with forward slashes.
        place: the file; a folder only where it cannot be listed.
        error: why nothing can be done about it, where that is known.
    """

    key: str
    place: Place
    error: str | None = None


@dataclass(frozen=True)
class Fingerprint:
    """Which content a file has.

    Attributes:
        size: in bytes.
        mtime_ns, sha256: of a file of this machine.
        tag: what its store calls the version of an object, which is not read for that.
    """

    size: int
    mtime_ns: int
    sha256: str
    tag: str = ""


def place(name: "str | os.PathLike[str] | Place") -> Place:
    """What a user means: an address with a scheme is an object, all else a path.

    ``file://`` is a path too. Weights have addresses of their own (``hf://``), which do not come
    here.

    Raises:
        UsageError: ``file://`` with the name of another machine; more than :data:`LONGEST`
            characters, whose folders alone could fill the memory.
    """
    if isinstance(name, Remote):
        return name
    if len(text := os.fspath(name)) > LONGEST:
        what = f"a path of {len(text):,} characters, which no system knows"
        raise UsageError(what, "look at where it comes from", subject=f"{text[:60]}…")
    found = None if isinstance(name, os.PathLike) else _URL.fullmatch(name)
    if found is None:
        return Path(name)
    scheme, rest = found[1].lower(), found[2]
    if scheme == "file":
        from urllib.request import url2pathname

        host, slash, path = rest.partition("/")
        if host not in ("", "localhost"):
            raise UsageError("names another machine", "write file:///PATH or a path", subject=name)
        return Path(url2pathname(slash + path))
    if scheme in WEB:
        rest = rest.partition("#")[0]
        rest, mark, query = rest.partition("?")
        return Remote(scheme, rest, mark + query)
    return Remote(_ALIASES.get(scheme, scheme), rest.rstrip("/"))


def absolute(where: Place) -> Place:
    """The same place, named so that it is so from any working folder."""
    return where if isinstance(where, Remote) else where.absolute()


def below(inner: Place, folder: Place) -> str | None:
    """The path of one place below another, with forward slashes; None where it is elsewhere.

    Only names are compared.
    """
    if isinstance(inner, Remote) or isinstance(folder, Remote):
        if not (isinstance(inner, Remote) and isinstance(folder, Remote)):
            return None
        inside = inner.scheme == folder.scheme and inner.path.startswith(f"{folder.path}/")
        return inner.path[len(folder.path) + 1 :] if inside else None
    try:
        return inner.relative_to(folder).as_posix()
    except ValueError:
        return None
