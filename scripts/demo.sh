#!/usr/bin/env bash
# From a fresh clone to a checked volume: installs the packages, builds, makes an image, mounts it,
# runs dbench on it for some seconds, unmounts and checks it.
#   SCALEFS_DEMO_SECONDS  how long dbench runs (10)
#   SCALEFS_DEMO_CLIENTS  how many clients it has (2)
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SCALEFS_DEMO_SECONDS:-10}
clients=${SCALEFS_DEMO_CLIENTS:-2}
say() { printf '\n== %s\n' "$*"; }

say "packages"
scripts/install-deps.sh
scripts/prepare-fuse.sh

say "build"
cmake --preset release >/dev/null
cmake --build --preset release --target scalefs mkfs.scalefs fsck.scalefs
programs=$PWD/build/release

folder=$(mktemp -d)
image=$folder/demo.img
mountpoint=$folder/mnt
mkdir "$mountpoint"
cleanup() {
  if mountpoint -q "$mountpoint"; then
    umount "$mountpoint" || umount -l "$mountpoint" || true
  fi
  rm -rf --one-file-system "$folder"
}
trap cleanup EXIT

say "make a volume of 1 GiB in $image"
"$programs/mkfs.scalefs" "$image" 1G

say "mount it on $mountpoint"
"$programs/scalefs" "$image" "$mountpoint"
df -h "$mountpoint"

say "dbench, $clients clients, $seconds seconds"
dbench -c /usr/share/dbench/client.txt -D "$mountpoint" -t "$seconds" "$clients" |
  tee "$folder/dbench.log" | grep -E '^ Operation|^ -|^ [A-Z][A-Za-z]+ ' || true
throughput=$(grep -E '^Throughput' "$folder/dbench.log") || {
  tail -n 20 "$folder/dbench.log"
  echo "dbench did not finish" >&2
  exit 1
}

say "unmount and check"
umount "$mountpoint"
# umount returns before the daemon has let go of the image.
for _ in $(seq 60); do
  status=0
  "$programs/fsck.scalefs" -n "$image" >"$folder/fsck.log" 2>&1 || status=$?
  grep -q 'in use' "$folder/fsck.log" || break
  sleep 1
done
cat "$folder/fsck.log"
if ((status != 0)); then
  echo "fsck.scalefs ended with $status" >&2
  exit 1
fi

say "done"
echo "$throughput"
