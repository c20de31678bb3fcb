#!/usr/bin/env bash
# A canary of each target that damages images: a harmless change that only an input with right
# checksums can make. From nothing but the plain images it must be found, and must not be when
# checksums are left as damage leaves them.
set -uo pipefail
: "${SCALEFS_BIN_DIR:?}" "${SCALEFS_SOURCE_DIR:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# search TARGET RUNS NAME=VALUE...: runs the target on the four plain images and on changes of them.
search() {
  local target=$1 name=${1#*_} room=${1%%_*} runs=$2
  shift 2
  mkdir -p "$scratch/corpus"
  rm -f "$scratch"/corpus/*
  cp "$SCALEFS_SOURCE_DIR/tests/fuzz/$room/${name}_corpus"/plain_* "$scratch/corpus"
  # The first two are libFuzzer's, the variable the replay's.
  env SCALEFS_FUZZ_CANARY=1 SCALEFS_FUZZ_MUTATIONS=$((runs / 4)) "$@" \
    "$SCALEFS_BIN_DIR/fuzzer_$target" -seed=1 -runs="$runs" -max_len=512 -artifact_prefix="$scratch/" \
    "$scratch/corpus" >"$scratch/log" 2>&1
}

targets=(diskfs_superblock volume_fsck)
# Each replay makes some changes of every plain image; libFuzzer soon prefers what it found itself, and would
# take minutes for these.
usage=$("$SCALEFS_BIN_DIR/fuzzer_diskfs_superblock" -help=1 2>&1)
if [[ $usage != *libFuzzer* ]]; then
  targets+=(diskfs_journal volume_image)
fi
for target in "${targets[@]}"; do
  if search "$target" 8000 || ! grep -q 'the canary was found' "$scratch/log"; then
    echo "$target: the canary was not found"
    tail -n 20 "$scratch/log"
    failed=1
  elif ! search "$target" 600 SCALEFS_FUZZ_UNSEALED=1; then
    echo "$target: fails without right checksums"
    tail -n 20 "$scratch/log"
    failed=1
  else
    echo "$target: the canary was found, and not without right checksums"
  fi
done
exit $failed
