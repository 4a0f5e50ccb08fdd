#!/usr/bin/env bash
# fsspec's "only if it is not there" depends on the store and on the way it is asked: FTP replaces.
#
# Date: 2026-11-30. Seen with fsspec 2026.9.0 and pyftpdlib 2.2. fsspec has two ways to write a new
# file only: open(path, "xb") and pipe_file(path, data, mode="create"), a parameter of
# AbstractFileSystem.pipe_file. On local disks and in memory both raise FileExistsError where the file
# is there. One would expect the same, or an error, from the others. FTP raises for pipe_file but
# takes "xb" as "wb": the file is replaced and nothing is said. A simplecache:: in front of a store
# that heeds both turns it round: "xb" raises, pipe_file replaces. So a program that must not replace
# anything has to know which of the two a store heeds, or look first and live with the race.
#
# Exits with 0 where this is so, with 1 where it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "fsspec==2026.9.0" "pyftpdlib==2.2.*"
cat > "$folder/look.py" <<'PY'
import logging
import sys
import tempfile
import threading

import fsspec
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer

logging.disable(logging.CRITICAL)
root = tempfile.mkdtemp(dir=sys.argv[1])


class Handler(FTPHandler):
    authorizer = DummyAuthorizer()


Handler.authorizer.add_user("user", "word", root, perm="elradfmwMT")
server = ThreadedFTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()


def opened(fs, path):
    with fs.open(path, "xb") as file:
        file.write(b"second")


def piped(fs, path):
    fs.pipe_file(path, b"second", mode="create")


stores = {
    "local": (fsspec.filesystem("file"), f"{root}/local"),
    "memory": (fsspec.filesystem("memory"), "/memory"),
    "ftp": (
        fsspec.filesystem(
            "ftp", host="127.0.0.1", port=server.address[1], username="user", password="word"
        ),
        "/ftp",
    ),
    "simplecache::memory": (
        fsspec.filesystem("simplecache", target_protocol="memory"),
        "/cached",
    ),
}
seen = {}
print("fsspec", fsspec.__version__)
for name, (fs, path) in stores.items():
    for way in (opened, piped):
        fs.pipe_file(path, b"first")
        try:
            way(fs, path)
            outcome = fs.cat_file(path).decode()
        except FileExistsError:
            outcome = "raises"
        seen[name, way.__name__] = outcome
        print(f"{name}: {way.__name__}: {outcome}", flush=True)
replaced = {key for key, outcome in seen.items() if outcome == "second"}
kept = {key for key, outcome in seen.items() if outcome == "raises"}
right = replaced == {("ftp", "opened"), ("simplecache::memory", "piped")} and len(kept) == 6
sys.exit(0 if right else 1)
PY
timeout 100 "$folder/venv/bin/python" "$folder/look.py" "$folder" && echo "as described" || { echo "changed"; exit 1; }
