#!/usr/bin/env bash
# Fuzzes each target for FUZZ_SECONDS (60), beginning with the committed seeds, what earlier
# runs found, and random bytes.
#
#   ci/fuzz.sh [TARGET...]
#
# An input that fails is kept in fuzz/artifacts/TARGET, and the last lines say how to run it again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-60}

if ! command -v cargo-fuzz >/dev/null; then
    echo "fuzzing needs cargo-fuzz: cargo install cargo-fuzz --locked" >&2
    exit 1
fi
# Sanitizers and coverage are switches that a stable compiler hides.
export RUSTC_BOOTSTRAP=1
# The store is safe code: an address sanitizer would only make it slow.
declare -A sanitizer=([store]=none [operations]=address [scopes]=address)
declare -A length=([store]=1500 [operations]=600 [scopes]=2000)

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(store operations scopes)
random=$(mktemp -d)
trap 'rm -rf "$random"' EXIT
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    # What covers much is long and dull; sequences of all operations are what random bytes are best at.
    for number in {1..500}; do
        head -c "${length[$target]}" /dev/urandom >"$random/$number"
    done
    # What is found goes to the first folder. A case that takes a minute hangs.
    cargo fuzz run --sanitizer "${sanitizer[$target]}" "$target" \
        "fuzz/corpus/$target" "fuzz/seeds/$target" "$random" -- \
        -max_total_time="$seconds" -timeout=60 -len_control=0 -max_len="${length[$target]}" -print_final_stats=1 \
        -verbosity=0
    echo "$target: nothing found in $seconds seconds"
done
