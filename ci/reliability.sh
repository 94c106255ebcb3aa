#!/usr/bin/env bash
# Runs the fault campaign and writes its table into docs/reliability.md, between the two marks.
#
#   ci/reliability.sh [--check]
#
# FAULTS_TIMES multiplies the numbers. Fails, and leaves the file alone, if a test fails or one that has a row in the
# file's table gives none. --check leaves the file alone in any case.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
"" | --check) ;;
*)
    echo "no option $1: there is --check" >&2
    exit 2
    ;;
esac
page=docs/reliability.md
# Compiled as `make test` compiles them.
tests=(cargo test --quiet --workspace --exclude loom-tests)
export FAULTS_TIMES="${FAULTS_TIMES:-1}"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
if ! {
    "${tests[@]}" --lib -- --nocapture --exact handle::tests::nobody_waits_for_a_dead_shard &&
    "${tests[@]}" --test faults -- --nocapture --test-threads=1
} >"$output" 2>&1; then
    cat "$output" >&2
    exit 1
fi
rows=$(grep -o '| .* |$' "$output")
table=$(printf '%s\n' '| fault | injected | lost | what happens | test |' '|---|---|---|---|---|' "$rows")
echo "$table"
# The last cell names the test.
tests_of() { grep -o '`[a-z]* [a-z_:]*` |$' | sort; }
gone=$(comm -23 <(tests_of <"$page") <(tests_of <<<"$rows"))
if [ -n "$gone" ]; then
    printf 'these gave no row; if they are meant to be gone, take theirs out of %s:\n%s\n' "$page" "$gone" >&2
    exit 1
fi
[ "${1:-}" != --check ] || exit 0
awk -v table="$table" '
    /^<!-- table -->$/ { print; print table; skipping = 1 }
    /^<!-- end -->$/ { skipping = 0 }
    !skipping || /^<!-- end -->$/ { if ($0 != "<!-- table -->") print }
' "$page" >"$output"
cat "$output" >"$page"
