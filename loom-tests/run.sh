#!/usr/bin/env bash
# Runs every loom model in a process of its own (a deadlock that loom finds aborts its process), prints
# a table and fails if a model fails or does not finish its search.
#
#   loom-tests/run.sh [--collector] [--deep] [MODEL...]
#
# --collector runs the models on the real crossbeam-epoch instead, compiled against loom too.
# --deep searches models of up to three threads with three preemptions.
# LOOM_MAX_PREEMPTIONS is the bound (default 2), MODEL_SECONDS the most one model may take (default 1800),
# MODEL_JOBS how many run at once (default: one for each processor).
set -u
cd "$(dirname "$0")/.."
export RUST_BACKTRACE=0
# Unoptimised, the longest searches take several times as long, and some models have too little stack.
export CARGO_PROFILE_DEV_OPT_LEVEL=1
export RUSTFLAGS="--cfg cache_loom"
tests=models target=target/loom
while [[ "${1:-}" == --* ]]; do
    case "$1" in
    --collector)
        tests=collector target=target/loom-collector
        # The second one makes the collector's bags small.
        RUSTFLAGS+=" --cfg crossbeam_loom --cfg crossbeam_sanitize"
        ;;
    --deep) export MODEL_DEEP=1 ;;
    *)
        echo "no option $1: there are --collector and --deep" >&2
        exit 2
        ;;
    esac
    shift
done
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$target}"

binary=$(cargo test --quiet -p loom-tests --test "$tests" --no-run --message-format=json 2>/dev/null |
    sed -n "s/.*\"executable\":\"\([^\"]*$tests-[^\"]*\)\".*/\1/p" | tail -1)
if [ -z "$binary" ]; then
    cargo test -p loom-tests --test "$tests" --no-run
    echo "the models do not compile" >&2
    exit 1
fi

models=("$@")
if [ ${#models[@]} -eq 0 ]; then
    mapfile -t models < <("$binary" --list 2>/dev/null | sed -n 's/: test$//p')
    # What takes longest comes first, lest one processor end long before the others. For speed only: a name that there is
    # no more is left out.
    long='^(one_waiter_takes_over|a_sum_has_.*|a_load_stands_.*|nearer_and_home_.*|no_load_outlives_.*|a_superseded_load_.*|one_remover_wins)$'
    mapfile -t models < <(
        printf '%s\n' "${models[@]}" | grep -E "$long"
        printf '%s\n' "${models[@]}" | grep -vE "$long"
    )
fi

# Prints the row of a model.
run() {
    local model=$1 output code line threads bound count seconds
    output=$(timeout "${MODEL_SECONDS:-1800}" "$binary" --exact "$model" --nocapture 2>&1)
    code=$?
    line=$(grep -m1 "^searched $model " <<<"$output")
    if [ $code -ne 0 ] || [ -z "$line" ]; then
        printf '%-36s FAILED (exit code %d)\n%s\n' "$model" $code \
            "$(grep -A3 "panicked at" <<<"$output" | head -n 20)"
        return
    fi
    read -r _ _ _ threads _ bound _ count _ seconds <<<"$line"
    printf '%-36s %8s %6s %14s %9s\n' "$model" "$threads" "$bound" "$count" "$seconds"
}
export -f run
export binary

table=$(mktemp)
trap 'rm -f "$table"' EXIT
printf '%-36s %8s %6s %14s %9s\n' model threads bound interleavings seconds
printf '%s\n' "${models[@]}" |
    xargs -P "${MODEL_JOBS:-$(nproc)}" -I{} bash -c 'run {}' | tee "$table"
failed=$(grep -cE '^\S+ +FAILED \(' "$table") passed=$(grep -cE '[0-9]+ +[0-9]+\.[0-9]+$' "$table")
echo "$passed of $((passed + failed)) models passed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
