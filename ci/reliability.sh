#!/usr/bin/env bash
# Runs the fault campaign and writes its table into docs/reliability.md, between the two marks.
#
#   ci/reliability.sh
#
# FAULTS_TIMES multiplies the numbers. Fails, and leaves the file alone, if a test fails.
set -euo pipefail
cd "$(dirname "$0")/.."

page=docs/reliability.md
# Compiled as `make test` compiles them.
tests=(cargo test --quiet --workspace --exclude loom-tests)
export FAULTS_TIMES="${FAULTS_TIMES:-1}"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
if ! {
    "${tests[@]}" --lib -- --nocapture --test-threads=1 handle::tests
    "${tests[@]}" --test faults -- --nocapture --test-threads=1
} >"$output" 2>&1; then
    cat "$output" >&2
    exit 1
fi
rows=$(grep -o '| .* |$' "$output")
table=$(printf '%s\n' '| fault | injected | lost | what happens | test |' '|---|---|---|---|---|' "$rows")
echo "$table"
awk -v table="$table" '
    /^<!-- table -->$/ { print; print table; skipping = 1 }
    /^<!-- end -->$/ { skipping = 0 }
    !skipping || /^<!-- end -->$/ { if ($0 != "<!-- table -->") print }
' "$page" >"$output"
cat "$output" >"$page"
