#!/usr/bin/env bash
# Build the archives twice, at other times and in other folders, and compare them.
#
#     tools/reproducible.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

umask 0022
for turn in first second; do
    git clone --quiet . "$scratch/$turn"
    (cd "$scratch/$turn" && "$python" -m build --no-isolation --outdir "$scratch/$turn-dist" >/dev/null)
    # The second one at another time and with other permissions.
    umask 0077
    sleep 2
done
cd "$scratch/first-dist"
sha256sum -- * | tee "$scratch/sums"
cd "$scratch/second-dist"
sha256sum --check --quiet "$scratch/sums"
echo "both builds are the same, byte for byte"
