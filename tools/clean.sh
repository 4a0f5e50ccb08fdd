#!/usr/bin/env bash
# Install the wheel into a fresh environment without torch, and use it as a newcomer would.
#
#     tools/clean.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

git clone --quiet . "$scratch/copy"
"${1:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "$scratch/copy"
cd "$scratch"
PATH="$scratch/venv/bin:$PATH"
mirnet --version
mirnet --help >help.txt
mirnet models list >models.txt
mirnet denoise "$root/docs/images/rocket-dusk.jpg" --runtime openvino -o clean.jpg
mirnet doctor | tail -n 1
mirnet denoise clean.jpg --runtime torch -o no.jpg 2>error.txt && exit 1
grep -q "/venv/bin/python.* -m pip install '.*/copy\[torch\]'" error.txt
test -f "$scratch/venv/share/man/man1/mirnet.1"
python - <<'PYTHON'
import importlib.util

import mirnet_cli

assert "site-packages" in mirnet_cli.__file__, mirnet_cli.__file__
assert importlib.util.find_spec("torch") is None
PYTHON
