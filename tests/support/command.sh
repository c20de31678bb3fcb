# For tests of command lines, to be sourced: an empty folder that goes away, and `expect`.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

# expect CODE PATTERN COMMAND...: the exit code, and a pattern in standard output and error.
expect() {
  local code=$1 pattern=$2 got text
  shift 2
  text=$("$@" 2>&1)
  got=$?
  if [ "$got" != "$code" ] || ! grep -q -- "$pattern" <<<"$text"; then
    echo "FAILED: $*: exit $got, expected $code; expected '$pattern' in: $text"
    failures=$((failures + 1))
  fi
}
