#!/usr/bin/env bash
# Makes the golden images anew: tests/golden/*.img.xz, and beside each a .listing of what it must hold. The images
# pin the format: they are made once for a version of it and must stay readable, so run this only before a
# version is released, or into another folder to look at the result.
#   scripts/make-golden.sh [BUILD_FOLDER [OUTPUT_FOLDER]]   (build/release, tests/golden)
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-build/release}
out=${2:-tests/golden}
cmake --build "$build" --target fsck_diskfs
mkdir -p "$out"
SCALEFS_GOLDEN_OUT=$(realpath "$out") "$build/fsck_diskfs" --gtest_filter='Golden.Content'
for image in "$out"/*.img; do
  python3 -B tools/scalefs_reader.py "$image" | cmp - "${image%.img}.listing"
  # One thread and a fixed preset, so that the same image gives the same bytes.
  xz --force --threads=1 -9e "$image"
  chmod 644 "$image.xz"
done
ls -l "$out"
