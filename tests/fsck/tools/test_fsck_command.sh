# The command line of fsck.scalefs: options as fsck(8) hands them on, exit codes.
. "$SCALEFS_SOURCE_DIR/tests/support/command.sh"
mkfs="$SCALEFS_BIN_DIR/mkfs.scalefs"
fsck="$SCALEFS_BIN_DIR/fsck.scalefs"

"$mkfs" -q image 16M
expect 0 'Exit status' "$fsck" -h
expect 0 '^fsck.scalefs [0-9]' "$fsck" -V
expect 16 'PATH' "$fsck"
expect 16 'bogus' "$fsck" --bogus image
expect 16 'exclude' "$fsck" -n -y image
for options in '' -n -p -a -y -f -v '-C 0' -C1 '-p -f' '-fy'; do
  # shellcheck disable=SC2086
  expect 0 'clean' "$fsck" $options image
done
expect 8 'No such file' "$fsck" -n missing
expect 8 'not a scalefs' "$fsck" -n "$fsck"
# The checksum of every superblock's first sector.
for place in 1 2 3 4 5 6 7 8 4094 4095; do
  printf x | dd of=image bs=1 seek=$((place * 4096 + 300)) conv=notrunc status=none
done
expect 4 '^SB-NONE: ' "$fsck" -n image
expect 4 'repair is not implemented' "$fsck" -y image
[ "$failures" = 0 ]
