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
for options in '' -n -p -a -y -f -v '-C 0' -C1 '-p -f' '-fy' --data '-n --data'; do
  # shellcheck disable=SC2086
  expect 0 'clean' "$fsck" $options image
done
expect 0 '^{"path":"image","exit":0,' "$fsck" -n --json image
expect 16 'exclude' "$fsck" -p -y image
expect 8 'No such file' "$fsck" -n missing
expect 8 'not a scalefs' "$fsck" -n "$fsck"
# A copy of the superblock, repaired and then clean.
printf x | dd of=image bs=1 seek=$((4095 * 4096 + 300)) conv=notrunc status=none
expect 4 'no terminal to ask at' "$fsck" image </dev/null
expect 1 '^repair: SB-DAMAGED: ' "$fsck" -y -f image
expect 0 'clean' "$fsck" -y -f image
# The checksum of every superblock's first sector.
for place in 1 2 3 4 5 6 7 8 4094 4095; do
  printf x | dd of=image bs=1 seek=$((place * 4096 + 300)) conv=notrunc status=none
done
expect 4 '^SB-NONE: ' "$fsck" -n image
expect 4 'not repaired: no valid superblock' "$fsck" -y image
[ "$failures" = 0 ]
