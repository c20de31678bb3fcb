#!/usr/bin/env bash
# Installs the Debian packages that building, testing and the demo need. Does nothing when all are
# there, so that it also works without a network.
set -euo pipefail

packages=(
  # build
  cmake ninja-build g++ clang lld llvm libclang-rt-14-dev pkg-config dpkg-dev python3 ccache
  libfuse3-dev libjemalloc-dev libfmt-dev libcli11-dev libblkid-dev uuid-dev nlohmann-json3-dev libgtest-dev
  libbenchmark-dev liburing-dev libcap-ng-dev libmount-dev libsystemd-dev
  # mounting and the programs that tests run on a mount
  fuse3 kmod mount util-linux dbench fio stress-ng postmark fsmark bonnie++ make git sqlite3 rsync attr acl tar xz-utils procps
  e2fsprogs xfsprogs btrfs-progs file
  # what scalefs-bench draws PNG by, what its results are to work with, and what structures are compared with
  librsvg2-bin libbenchmark-tools python3-scipy liburcu-dev
  # what scripts/speed_rows.py measures beside
  fuse2fs ntfs-3g bindfs
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [[ $status == "install ok installed" ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

as_root=()
if [[ $(id -u) != 0 ]]; then
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
"${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
