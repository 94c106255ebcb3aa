#!/usr/bin/env bash
# Runs the tests under the sanitizers and valgrind. Installs nothing: where a tool is missing it says which.
#
#   ci/sanitize.sh [address|thread|valgrind...]
#
# STRESS_SECONDS (60) is how long the stress tests go on under the two sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."
export STRESS_SECONDS=${STRESS_SECONDS:-60}
triple=x86_64-unknown-linux-gnu

missing() {
    echo "$1" >&2
    exit 1
}

if [ "$(rustc -vV | sed -n 's/^host: //p')" != $triple ]; then
    missing "the sanitizers are set up for $triple only"
fi

# What a sanitizer itself makes impossible: its shadow memory takes terabytes of the address space that these
# two limit.
skipped_by_both=(processes::a_thread_cannot_be_started processes::there_is_no_memory_for_the_index)
# What a dead shard owned is leaked, by design.
dies=handle::tests::nobody_waits_for_a_dead_shard

# demand_tests LIST NAME... : each name is that of a test, or of a group of them; an empty one, that there is any.
demand_tests() {
    local list=$1 name
    shift
    for name in "$@"; do
        grep -qE "$name.*: test$" <<<"$list" || missing "no test is called ${name:-as was asked}, which ci/sanitize.sh names"
    done
}

# run_tests CARGO_OPTION... : the unit tests, the behaviour tests and the fault campaign, without what is skipped.
run_tests() {
    local options=() list
    for name in "${skipped[@]}"; do options+=(--skip "$name"); done
    list=$(cargo test --package cacheado --target $triple "$@" -- --list)
    demand_tests "$list" "${skipped[@]}" ""
    cargo test --package cacheado --target $triple --no-fail-fast "$@" -- "${options[@]}"
}

# AddressSanitizer, with its search for leaks, is in every toolchain; a stable compiler hides the switch. Optimised: else
# some tests take longer than their watchdogs wait.
address() (
    export CARGO_PROFILE_DEV_OPT_LEVEL=1
    export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=target/address
    export RUSTFLAGS="-Zsanitizer=address --cfg crossbeam_sanitize"
    export ASAN_OPTIONS=detect_stack_use_after_return=1
    skipped=("${skipped_by_both[@]}" $dies)
    run_tests --lib --test all --test faults
    skipped=()
    ASAN_OPTIONS+=:detect_leaks=0 run_tests --lib $dies
)

# ThreadSanitizer must see the standard library, too: a compiler whose sources are installed builds it.
# Debian's `rustc-web` has them but no runtime of the sanitizer, which the toolchain has. Not optimised: that takes longer
# to compile than the tests gain by it, and their watchdogs are patient here.
thread() (
    export CARGO_PROFILE_DEV_OPT_LEVEL=0
    local compiler=/usr/bin/rustc runtime
    runtime=$(rustc --print sysroot)/lib/rustlib/$triple/lib/librustc-stable_rt.tsan.a
    if [ ! -d "$($compiler --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]; then
        missing "ThreadSanitizer needs a compiler with its sources: apt-get install rustc-web rust-web-src libstd-rust-web-dev"
    fi
    [ -f "$runtime" ] || missing "ThreadSanitizer needs $runtime, which the stable toolchain of rustup has"
    mkdir -p target/thread
    # The runtime must come first, the system's libraries last.
    printf '#!/usr/bin/env bash\nexec cc -Wl,--whole-archive %q -Wl,--no-whole-archive "$@" -lstdc++ -lm -lpthread -ldl -lc\n' \
        "$runtime" >target/thread/cc
    chmod +x target/thread/cc
    export RUSTC=$compiler RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=target/thread
    export RUSTFLAGS="-Zsanitizer=thread -Zexternal-clangrt --cfg crossbeam_sanitize --cfg cache_tsan -Clinker=$PWD/target/thread/cc"
    export TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1:suppressions=$PWD/ci/thread-sanitizer.supp
    skipped=(
        "${skipped_by_both[@]}"
        # It cannot follow a forked child that starts threads.
        processes::the_process_is_forked
        # Some twenty times slower, each of these takes longer than a minute: fifty million comparisons, and twice a
        # million writes.
        keys::all_keys_collide
        memory::a_write_storm
    )
    run_tests -Zbuild-std --lib --test all --test faults
)

# Valgrind sees what the sanitizers do not: reads of memory that nobody wrote. It runs one thread at a time and
# each of them some thirty times slower, so it has the tests that need no storms. Not optimised: a compiler may
# look at the payload of a `None` before it looks at the tag, which is right and looks wrong.
valgrind_() (
    export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_TARGET_DIR=target/valgrind
    # Storms of readers and thousands of clears, which one thread at a time does not end in a minute.
    local skipped=(removal::a_clear_counts
        stale_fill::readers_never_see_data_older_than_the_last_finished_invalidation)
    command -v valgrind >/dev/null || missing "the small suite needs valgrind: apt-get install valgrind"
    local suite=(api:: cancel:: errors:: expiry:: load:: recursion:: removal:: stale_fill:: stats::) binary
    binary=$(cargo test --package cacheado --test all --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    [ -n "$binary" ] || missing "the tests do not compile"
    demand_tests "$("$binary" --list)" "${skipped[@]}" "${suite[@]}"
    command valgrind -q --fair-sched=yes --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --error-exitcode=9 "$binary" --test-threads=1 "${skipped[@]/#/--skip=}" "${suite[@]}"
)

tools=("$@")
[ ${#tools[@]} -gt 0 ] || tools=(address thread valgrind)
for tool in "${tools[@]}"; do
    echo "== $tool"
    "${tool/valgrind/valgrind_}"
done
