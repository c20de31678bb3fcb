#!/usr/bin/env bash
# Runs the fuzzers with clang's libFuzzer, address and undefined-behaviour sanitizers, and measures which
# lines of the parsers their inputs reach. Ends with a table; the exit status is 1 when something was found.
#   scripts/fuzz.sh [SECONDS] [TARGET...]   each so long (900), all when none is named
#   scripts/fuzz.sh coverage                only the coverage of what is there
#   scripts/fuzz.sh keep [TARGET...]        puts the smallest inputs that reach most into the corpora of
#                                           tests/fuzz, 24 a target
# TARGET is a room and a name, as in `volume_fsck`. Inputs, findings and logs are kept in SCALEFS_FUZZ_WORK
# (build/fuzz-work); a run that was broken off goes on: targets that this commit has run for as long are not
# run again. SCALEFS_JOBS builds and targets run at a time (2).
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=${SCALEFS_JOBS:-2}
work=${SCALEFS_FUZZ_WORK:-$PWD/build/fuzz-work}
action=run
seconds=900
case ${1:-} in
  coverage | keep)
    action=$1
    shift
    ;;
  [0-9]*)
    seconds=$1
    shift
    ;;
esac
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo none)
git diff --quiet HEAD 2>/dev/null || commit=$commit-changed

targets=("$@")
if ((${#targets[@]} == 0)); then
  for source in tests/fuzz/*/*_fuzz.cc; do
    room=$(basename "$(dirname "$source")")
    targets+=("${room}_$(basename "$source" _fuzz.cc)")
  done
fi
corpus_of() { echo "tests/fuzz/${1%%_*}/${1#*_}_corpus"; }

# build PRESET: the programs of all targets.
build() {
  cmake --preset "$1" >"$work/$1.configure.log" 2>&1 || { tail -n 30 "$work/$1.configure.log"; exit 1; }
  cmake --build --preset "$1" -j "$jobs" --target "${targets[@]/#/fuzzer_}" >"$work/$1.build.log" 2>&1 ||
    { grep -E -A 20 'FAILED|error:' "$work/$1.build.log" | head -n 60; exit 1; }
}

# How long an input may be: the trees of tree_fuzz.cc are whole nodes.
length_of() { [[ $1 == diskfs_tree ]] && echo 131072 || echo 4096; }

fuzz_one() {
  local target=$1 folder=$work/$1
  mkdir -p "$folder/corpus" "$folder/findings"
  if [[ -e $folder/done && $(<"$folder/done") == "$commit $seconds" ]]; then
    echo "$target: has run on this commit"
    return
  fi
  rm -f "$folder/done"
  build/fuzz/fuzzer_"$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 \
    -max_len="$(length_of "$target")" -print_final_stats=1 -artifact_prefix="$folder/findings/" \
    "$folder/corpus" "$(corpus_of "$target")" >"$folder/run.log" 2>&1 ||
    echo "$target: found something, see $folder/run.log"
  echo "$commit $seconds" >"$folder/done"
}

# The inputs that reach something of their own, the smallest first, into $work/TARGET/merged.
merge_one() {
  local folder=$work/$1
  mkdir -p "$folder/corpus"
  rm -rf "$folder/merged"
  mkdir "$folder/merged"
  build/fuzz/fuzzer_"$1" -merge=1 -timeout=60 -rss_limit_mb=4096 -max_len="$(length_of "$1")" \
    "$folder/merged" "$folder/corpus" "$(corpus_of "$1")" >"$folder/merge.log" 2>&1
}

# Every input once in a build that counts lines, then a table of the parsers' sources.
measure() {
  build coverage
  rm -f "$work"/*.profraw
  local objects=()
  for target in "${targets[@]}"; do
    local inputs=("$(corpus_of "$target")")
    [[ -d $work/$target/corpus ]] && inputs+=("$work/$target/corpus")
    LLVM_PROFILE_FILE=$work/$target.profraw SCALEFS_FUZZ_MUTATIONS=0 \
      build/coverage/fuzzer_"$target" "${inputs[@]}" >"$work/$target.replay.log" 2>&1 ||
      echo "$target: the replay for coverage ended early"
    objects+=(-object "build/coverage/fuzzer_$target")
  done
  llvm-profdata merge -sparse "$work"/*.profraw -o "$work/coverage.profdata"
  llvm-cov export -format=text -skip-expansions -skip-functions \
    -instr-profile "$work/coverage.profdata" "${objects[@]}" >"$work/coverage.json" 2>/dev/null
}

for tool in clang++ llvm-profdata llvm-cov; do
  command -v $tool >/dev/null || { echo "$tool is missing: scripts/install-deps.sh"; exit 1; }
done
mkdir -p "$work"
if command -v ccache >/dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi

case $action in
  run)
    build fuzz
    export -f fuzz_one corpus_of length_of
    export work commit seconds
    printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'fuzz_one {}'
    measure
    ;;
  coverage) measure ;;
  keep)
    build fuzz
    for target in "${targets[@]}"; do
      merge_one "$target"
      python3 -B scripts/fuzz_report.py keep "$work/$target/merged" "$(corpus_of "$target")"
    done
    exit 0
    ;;
esac
python3 -B scripts/fuzz_report.py table "$work" "${targets[@]}"
