#!/usr/bin/env bash
# Runs every test, with the freeze points that the restart tests need. No test is retried and none is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v cargo-nextest >/dev/null; then
  cargo nextest run --locked --features failpoints "$@"
else
  echo "run-tests: cargo-nextest is not installed; using cargo test" >&2
  cargo test --locked --features failpoints "$@"
fi
