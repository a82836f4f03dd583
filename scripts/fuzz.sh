#!/usr/bin/env bash
# Feeds each parser with inputs that a coverage-guided engine (libFuzzer) makes from seeds, for FUZZ_SECONDS each (60). An input that
# breaks a promise is kept in tests/corpus/crashes/TARGET/, where the ordinary tests run it from then on; the exit code is then 1.
#   FUZZ_TARGETS='command ledger'   only these     FUZZ_SEED=7   the engine's seed (random otherwise, and printed)
set -euo pipefail
cd "$(dirname "$0")/.."

readonly ALL='webhook command matcher slack runbook policy ledger classifier services'
readonly SECONDS_EACH="${FUZZ_SECONDS:-60}" TARGETS="${FUZZ_TARGETS:-$ALL}"
readonly SEED="${FUZZ_SEED:-$((RANDOM * 32768 + RANDOM + 1))}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
# One input takes milliseconds; one that takes this long would hold up an alert.
readonly SLOWEST=5 MEGABYTES=2048
# What a worker thread of the server has.
readonly STACK_KIB=2048

# Marks every edge and comparison, with flags that a stable compiler knows.
COVERAGE='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
COVERAGE+=' -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares'

say() { echo "fuzz: $*" >&2; }

check() {
  command -v c++ >/dev/null || { say 'a C++ compiler is missing: apt-get install g++'; exit 69; }
  [[ "$SECONDS_EACH" =~ ^[1-9][0-9]*$ ]] || { say "FUZZ_SECONDS is '$SECONDS_EACH': expected a number of seconds"; exit 64; }
  [[ "$SEED" =~ ^[1-9][0-9]*$ ]] || { say "FUZZ_SEED is '$SEED': expected a number above 0"; exit 64; }
  local target
  for target in $TARGETS; do
    [[ " $ALL " == *" $target "* ]] || { say "there is no target '$target': expected some of $ALL"; exit 64; }
  done
}

# Build scripts and macros run on this machine and are not measured: naming the machine's own kind keeps the flags from them.
build() {
  local host
  host="$(rustc -vV | sed -n 's/^host: //p')"
  # The product's own versions; cargo adds the engine's.
  cp Cargo.lock fuzz/Cargo.lock
  RUSTFLAGS="$COVERAGE" "${CARGO:-cargo}" build --quiet --manifest-path fuzz/Cargo.toml --target "$host" >&2
  BINARY="$CARGO_TARGET_DIR/$host/debug/paramedic-fuzz"
}

# Prints one line; fails if a promise was broken.
run() {
  local target="$1" folder="$CARGO_TARGET_DIR/fuzz-work/$1" ended=0
  local kept="tests/corpus/crashes/$1" log="$folder/log"
  mkdir -p "$folder/corpus" "$folder/broken" "$folder/seeds"
  rm -f "$folder"/broken/* "$folder"/seeds/*
  PARAMEDIC_FUZZ="$target" PARAMEDIC_FUZZ_FOLDER="$folder" "$BINARY" -help=1 >/dev/null 2>&1
  (
    ulimit -s "$STACK_KIB"
    PARAMEDIC_FUZZ="$target" PARAMEDIC_FUZZ_FOLDER="$folder" "$BINARY" "$folder/corpus" "$folder/seeds" \
      -max_total_time="$SECONDS_EACH" -max_len="$(<"$folder/longest")" -seed="$SEED" -dict="$folder/words" \
      -timeout="$SLOWEST" -rss_limit_mb="$MEGABYTES" -artifact_prefix="$folder/broken/" -print_final_stats=1
  ) >"$log" 2>&1 || ended=$?
  local runs coverage corpus
  runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)"
  coverage="$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)"
  corpus="$(find "$folder/corpus" -type f | wc -l)"
  printf '%-11s seed %-10s %5s s %10s executions %7s edges %6s inputs kept' "$target" "$SEED" "$SECONDS_EACH" "${runs:-?}" "${coverage:-?}" "$corpus"
  local file found=0
  for file in "$folder"/broken/*; do
    [[ "$(basename "$file")" == slow-unit-* || ! -e "$file" ]] && continue
    mkdir -p "$kept"
    cp "$file" "$kept/$(sha256sum <"$file" | cut -c1-16)"
    found=1
  done
  if [[ "$ended" == 0 && "$found" == 0 ]]; then
    echo '  ok'
    return 0
  fi
  echo "  BROKEN (exit $ended, log in $log)"
  [[ "$found" == 1 ]] && say "$target: the input is kept in $kept/; \`cargo nextest run fuzz::$target\` runs it"
  grep -aE 'panicked at|ERROR: libFuzzer' -A3 "$log" | head -12 >&2 || true
  return 1
}

main() {
  check
  build
  local target broken=0
  for target in $TARGETS; do
    run "$target" || broken=1
  done
  exit "$broken"
}

main
