# The command line of mkfs.scalefs: options in any place, exit codes, what goes where.
. "$SCALEFS_SOURCE_DIR/tests/support/command.sh"
mkfs="$SCALEFS_BIN_DIR/mkfs.scalefs"

expect 0 'Exit status' "$mkfs" -h
expect 0 '^mkfs.scalefs [0-9]' "$mkfs" -V
expect 1 'PATH' "$mkfs"
expect 1 'bogus' "$mkfs" --bogus image
expect 1 'not a size\|no size' "$mkfs" image 16Q
expect 1 'no UUID' "$mkfs" -U nonsense image 16M
expect 1 'SOURCE_DATE_EPOCH' env SOURCE_DATE_EPOCH=x "$mkfs" image 16M
[ ! -e image ] || { echo "FAILED: a refused call made a file"; failures=$((failures + 1)); }
expect 0 'made image' "$mkfs" image 16M -L one -U 01234567-89ab-cdef-0123-456789abcdef
expect 1 'holds scalefs (label "one"' "$mkfs" image
expect 1 'exists' "$mkfs" image 16M
expect 0 'made image' "$mkfs" -f -L two image
text=$("$mkfs" -qf image 2>&1)
[ -z "$text" ] || { echo "FAILED: -q printed: $text"; failures=$((failures + 1)); }
export SOURCE_DATE_EPOCH=1600000000
"$mkfs" -q -U 01234567-89ab-cdef-0123-456789abcdef a 16M
"$mkfs" -q -U 01234567-89ab-cdef-0123-456789abcdef b 16M
cmp a b || failures=$((failures + 1))
# The one place where a prober looks.
magic=$(dd if=a bs=1 skip=4096 count=7 status=none)
[ "$magic" = scalefs ] || { echo "FAILED: no magic at byte 4096"; failures=$((failures + 1)); }
[ "$failures" = 0 ]
