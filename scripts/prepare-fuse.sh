#!/usr/bin/env bash
# Makes /dev/fuse usable, and lets the kernel offer FUSE over io_uring where it can.
set -euo pipefail

if [[ ! -e /dev/fuse ]]; then
  modprobe fuse 2>/dev/null || true
fi
if [[ ! -e /dev/fuse ]]; then
  mknod -m 666 /dev/fuse c 10 229
fi
switch=/sys/module/fuse/parameters/enable_uring
if [[ -w $switch ]]; then
  echo Y >"$switch" 2>/dev/null || echo "note: $switch cannot be changed here"
fi
