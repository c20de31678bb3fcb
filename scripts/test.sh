#!/usr/bin/env bash
# Builds and runs all tests: every label of the release preset, unit, model, schedule and stress with
# the address, undefined-behaviour and thread sanitizers, and clang's build with thread-safety analysis
# and the fuzz corpora. Fails when a test fails or is skipped, or a label has fewer tests than
# tests/floor.txt asks for. Ends with a table and a last line "N passed, N failed, N skipped".
#   scripts/test.sh [release] [asan] [tsan] [fuzz]   only these (all when none is named)
#   SCALEFS_JOBS        how many compilers and tests run at a time (2)
#   SCALEFS_NO_INSTALL  when set, packages are not looked at
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=${SCALEFS_JOBS:-2}
stages=("$@")
if ((${#stages[@]} == 0)); then
  stages=(release asan tsan fuzz)
fi
results=$PWD/build/results
rm -rf "$results"
mkdir -p "$results"
broken=()

if [[ -z ${SCALEFS_NO_INSTALL:-} ]]; then
  scripts/install-deps.sh || exit 1
fi
scripts/prepare-fuse.sh || exit 1
if command -v ccache >/dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
  # Clones in different folders share what they compiled.
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
fi
# Random tests try these seeds beside their fixed ones: the same for everyone who tests this commit.
commit=$(git rev-parse HEAD 2>/dev/null || echo 1)
export SCALEFS_COMMIT_SEED=$((16#${commit:0:12}))
echo "SCALEFS_COMMIT_SEED=$SCALEFS_COMMIT_SEED"

# Sets `cpu` to the seconds of processor time that the commands of this script have taken so far; not
# to be called in a subshell, which has no children yet.
read_cpu() {
  times >"$results/times"
  cpu=$(awk 'NR == 2 { gsub(/[ms]/, " "); print int($1 * 60 + $2 + $3 * 60 + $4) }' "$results/times")
}

# stage NAME TARGET...: configures and builds; runs the preset's tests when there are any.
stage() {
  local name=$1
  shift
  local started=$SECONDS
  local cpu before
  read_cpu
  before=$cpu
  printf '\n== %s: build\n' "$name"
  local together=OFF
  [[ $name == release ]] && together=ON  # the sanitizers' builds are anyway
  if ! cmake --preset "$name" -DSCALEFS_COMPILE_TOGETHER=$together >"$results/$name.configure.log" 2>&1; then
    tail -n 40 "$results/$name.configure.log"
    broken+=("$name: configure")
    return
  fi
  if ! cmake --build --preset "$name" -j "$jobs" --target "$@" >"$results/$name.build.log" 2>&1; then
    grep -E -A 20 'FAILED|error:' "$results/$name.build.log" | head -n 80
    broken+=("$name: build")
    return
  fi
  read_cpu
  printf '%s: built in %d s, %d s of processor time\n' "$name" $((SECONDS - started)) $((cpu - before))
  printf '\n== %s: test\n' "$name"
  before=$cpu
  started=$SECONDS
  if ! ctest --preset "$name" -j "$jobs" --progress --output-junit "$results/$name.xml" \
    >"$results/$name.test.log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\]|Test *#[0-9]+: .*Passed' "$results/$name.test.log" | tail -n 200
    # Failed tests are counted from the report; without one, the run itself is what failed.
    [[ -s $results/$name.xml ]] || broken+=("$name: ctest")
  fi
  read_cpu
  printf '%s: tested in %d s, %d s of processor time\n' "$name" $((SECONDS - started)) $((cpu - before))
}

for name in "${stages[@]}"; do
  case $name in
    release) stage release all ;;
    asan | tsan) stage "$name" tests_unit tests_model tests_schedule tests_stress ;;
    fuzz) stage fuzz libraries tests_fuzz ;;
    *)
      echo "unknown stage: $name" >&2
      exit 2
      ;;
  esac
done

python3 -B scripts/test_report.py tests/floor.txt "$results" "${stages[*]}" "${broken[@]}"
