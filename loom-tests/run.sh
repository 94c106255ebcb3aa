#!/usr/bin/env bash
# Runs every loom model in a process of its own (a deadlock that loom finds aborts its process), prints
# a table and fails if a model fails or does not finish its search.
#
#   loom-tests/run.sh [--collector] [MODEL...]
#
# --collector runs the models on the real crossbeam-epoch instead, compiled against loom too.
# LOOM_MAX_PREEMPTIONS is the bound (default 2), MODEL_SECONDS the most one model may take (default 600).
set -u
cd "$(dirname "$0")/.."
export RUST_BACKTRACE=0
export RUSTFLAGS="--cfg cache_loom"
tests=models target=target/loom
if [ "${1:-}" = --collector ]; then
    shift
    tests=collector target=target/loom-collector
    # The second one makes the collector's bags small.
    RUSTFLAGS+=" --cfg crossbeam_loom --cfg crossbeam_sanitize"
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$target}"

binary=$(cargo test --quiet -p loom-tests --test "$tests" --no-run --message-format=json 2>/dev/null |
    sed -n "s/.*\"executable\":\"\([^\"]*$tests-[^\"]*\)\".*/\1/p" | tail -1)
if [ -z "$binary" ]; then
    cargo test -p loom-tests --test "$tests" --no-run
    echo "the models do not compile" >&2
    exit 1
fi

models=("$@")
[ ${#models[@]} -gt 0 ] || mapfile -t models < <("$binary" --list 2>/dev/null | sed -n 's/: test$//p')

failed=0 total=0
printf '%-36s %8s %6s %14s %9s\n' model threads bound interleavings seconds
for model in "${models[@]}"; do
    total=$((total + 1))
    output=$(timeout "${MODEL_SECONDS:-600}" "$binary" --exact "$model" --nocapture 2>&1)
    code=$?
    line=$(grep -m1 "^searched $model " <<<"$output")
    if [ $code -ne 0 ] || [ -z "$line" ]; then
        failed=$((failed + 1))
        printf '%-36s FAILED (exit code %d)\n' "$model" $code
        grep -A3 "panicked at" <<<"$output" | head -n 20
        continue
    fi
    read -r _ _ _ threads _ bound _ count _ seconds <<<"$line"
    printf '%-36s %8s %6s %14s %9s\n' "$model" "$threads" "$bound" "$count" "$seconds"
done
echo "$((total - failed)) of $total models passed"
[ $failed -eq 0 ]
