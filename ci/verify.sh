#!/usr/bin/env bash
# Runs all that searches long, and prints how long each part took. Goes on after a part that failed, and fails
# at the end.
#
#   ci/verify.sh [PART...]
set -uo pipefail
cd "$(dirname "$0")/.."
# Unoptimised, the tests take a quarter of the time to compile, and some minutes longer to run. What is optimised is tested
# under AddressSanitizer here, and by CI.
export CARGO_PROFILE_DEV_OPT_LEVEL=0
declare -A commands=(
    [test]="make test"
    [scope-storm]="make scope-storm"
    [histories]="env CARGO_PROFILE_DEV_OPT_LEVEL=1 make histories"
    [loom]="make loom-deep"
    [collector]="make loom-collector"
    [mutations]="make loom-mutations"
    [reliability]="./ci/reliability.sh --check"
    [compare-check]="make compare-check"
    [sanitizers]="./ci/sanitize.sh address thread"
    # Each keeps one processor busy.
    [fuzz+valgrind]="make --jobs=2 --output-sync=target fuzz valgrind"
)
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(test sanitizers fuzz+valgrind scope-storm histories loom collector mutations reliability compare-check)

TIMEFORMAT='%0R %0U'
table=() failed=0
for part in "${parts[@]}"; do
    echo "== $part"
    # The times of a part and of all it starts; what it says is passed on.
    exec 3>&1 4>&2
    took=$({ time ${commands[$part]} 1>&3 2>&4; } 2>&1) && outcome=passed || outcome=FAILED
    exec 3>&- 4>&-
    [ "$outcome" = passed ] || failed=1
    # shellcheck disable=SC2086 # two numbers
    table+=("$(printf '%-14s %8s %8s  %s' "$part" $took "$outcome")")
done
printf '%-14s %8s %8s\n' part seconds user
printf '%s\n' "${table[@]}"
exit $failed
