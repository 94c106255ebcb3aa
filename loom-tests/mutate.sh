#!/usr/bin/env bash
# Applies each mutation of the library to a copy of the tree and demands that the models it names fail.
#
#   loom-tests/mutate.sh [MUTATION...]
#
# A mutation is a patch in `mutations/` whose first line says `model: NAME...`, and `bound: N` may say with how
# many preemptions they are searched (else LOOM_MAX_PREEMPTIONS, 2). It counts as caught only if the mutated
# tree compiles and each of its models fails; a patch that does not apply is an error. MODEL_JOBS mutations are tried
# at once (default: one for each processor).
set -u
here="$(cd "$(dirname "$0")" && pwd)"
root="$(dirname "$here")"
all_work="$(mktemp -d)"
trap 'rm -rf "$all_work"' EXIT
jobs=${MODEL_JOBS:-$(nproc)}
export RUST_BACKTRACE=0
export CARGO_PROFILE_DEV_DEBUG=0
declare -A flags=(
    [models]="--cfg cache_loom"
    [collector]="--cfg cache_loom --cfg crossbeam_loom --cfg crossbeam_sanitize"
)

# Each job has a copy of the tree, and what it compiles, to itself.
enter() {
    work="$all_work/$1" tree="$all_work/$1/tree"
}

mutations=("$@")
if [ ${#mutations[@]} -eq 0 ]; then
    mapfile -t mutations < <(cd "$here/mutations" && ls -- *.patch | sed 's/\.patch$//')
fi

models_of() {
    sed -n '1s/^model: //p' "$here/mutations/$1.patch"
}

bound_of() {
    sed -n '/^---/q;s/^bound: //p' "$here/mutations/$1.patch"
}

# Which of the two test binaries has a model.
tests_of() {
    if grep -q "fn $1()" "$here/tests/collector.rs"; then echo collector; else echo models; fi
}

# How far the compiler optimises for a model: not at all, for a model finds a fault soon if at all, and what counts is
# how fast it compiles. But the threads of a model have little stack, which then is too small for some.
declare -A optimised=()
level_of() {
    echo "${optimised[$1]:-0}"
}

# Builds a test binary of the tree, optimised so far, and prints its path. Cargo decides by modification times, which a
# copied tree must not be trusted with.
build() {
    local target="$work/target/$1"
    rm -rf "$target"/debug/.fingerprint/loom-tests-*
    (
        cd "$tree" && RUSTFLAGS="${flags[$1]}" CARGO_TARGET_DIR="$target" CARGO_PROFILE_DEV_OPT_LEVEL=1 \
            cargo --config "profile.dev.package.loom-tests.opt-level=$2" \
            test --quiet -p loom-tests --test "$1" --no-run --message-format=json 2>"$work/errors"
    ) | sed -n "s/.*\"executable\":\"\([^\"]*$1-[^\"]*\)\".*/\1/p" | tail -1
}

# A spinning loom thread can fill the memory with its trace before the branch limit: bounded, too.
run() {
    (
        ulimit -v 8000000
        export LOOM_MAX_PREEMPTIONS=${bound:-${LOOM_MAX_PREEMPTIONS:-2}}
        timeout "${MODEL_SECONDS:-600}" "$1" --exact "$2" --nocapture
        exit $?
    ) >"$work/output" 2>&1
}

# Whether the model that ran last says what it found: an allocation that `ulimit` refuses, say, ends it without a word.
says_why() {
    grep -aq "panicked at" "$work/output"
}

# Whether the model that ran last had too little stack: that is no fault of what it models.
overflowed() {
    grep -q "has overflowed its stack" "$work/output"
}

# Prints how a model takes the mutated tree.
try() {
    local model=$1 tests level binary
    tests=$(tests_of "$model") level=$(level_of "$model")
    if ! binary=$(build "$tests" "$level") || [ -z "$binary" ]; then
        echo "ERROR: does not compile"
    elif cmp -s "$binary" "$work/unmutated-$tests-$level"; then
        echo "ERROR: changes nothing"
    elif run "$binary" "$model"; then
        echo "SURVIVED"
    elif [ $? -eq 124 ]; then
        echo "SURVIVED ${MODEL_SECONDS:-600} seconds"
    elif overflowed; then
        echo "ERROR: its stack is too small"
    elif ! says_why; then
        echo "ERROR: it ended without saying why"
    else
        echo "caught: $(grep -a -A1 -m1 'panicked at' "$work/output" | tail -1 | cut -c1-60)"
    fi
}

# Builds a test binary of the tree without a mutation. Prints nothing but what cargo says if that does not compile.
keep_unmutated() {
    local kept="$work/unmutated-$1-$2" binary
    [ -e "$kept" ] && return
    binary=$(build "$1" "$2")
    if [ -z "$binary" ]; then
        cat "$work/errors" >&2
        return 1
    fi
    cp "$binary" "$kept"
}

# Whether a model does not fail at once without a mutation. Whether it passes is for run.sh to say.
is_sound() {
    local model=$1 tests code
    tests=$(tests_of "$model")
    MODEL_SECONDS=5 run "$work/unmutated-$tests-$2" "$model"
    code=$?
    [ $code -eq 124 ] || { [ $code -eq 0 ] && grep -q "^searched $model " "$work/output"; }
}

# Finds out whether a model has stack enough if nothing is optimised.
level_model() {
    local level=0
    if is_sound "$1" 0; then
        :
    elif overflowed; then
        level=1
    else
        unsound "$1"
    fi
    echo "optimised[$1]=$level" >>"$work/levels"
}

# Checks a model that has not.
check_optimised() {
    [ "$(level_of "$1")" -eq 0 ] || is_sound "$1" 1 || unsound "$1"
}

unsound() {
    echo "ERROR: $1 fails without a mutation"
    echo error >>"$work/errors-so-far"
}

# Tries a mutation on each of its models.
try_mutation() {
    local mutation=$1 missed=0 bound model result
    rm -rf "$tree/src"
    cp -r "$work/src" "$tree/src"
    if ! (cd "$tree" && patch -p1 -F0 -s --no-backup-if-mismatch <"$here/mutations/$mutation.patch") >"$work/errors" 2>&1; then
        echo "ERROR: $mutation does not apply"
        head -n 20 "$work/errors"
        return
    fi
    bound=$(bound_of "$mutation")
    for model in $(models_of "$mutation"); do
        result=$(try "$model")
        printf '%-36s %-36s %s\n' "$mutation" "$model" "$result"
        case "$result" in
        ERROR*)
            missed=1
            head -n 20 "$work/errors"
            ;;
        SURVIVED*) missed=1 ;;
        esac
    done
    [ $missed -eq 1 ] || echo "$mutation" >>"$work/caught"
}

# Calls a function for every one of the words that falls to this job.
for_my_share() {
    local number=$1 call=$2 at=0 word
    shift 2
    enter "$number"
    for word in "$@"; do
        [ $((at++ % jobs)) -ne "$number" ] || "$call" "$word"
    done
}

# Has all jobs call a function for their shares of the words.
share_out() {
    local number
    for ((number = 0; number < jobs; number++)); do
        for_my_share "$number" "$@" &
    done
    wait
}

# Whether something was wrong without a mutation.
failed() {
    cat "$all_work"/*/errors-so-far 2>/dev/null | grep -q .
}

mapfile -t numbers < <(seq 0 $((jobs - 1)))
mapfile -t models < <(for mutation in "${mutations[@]}"; do models_of "$mutation" | tr ' ' '\n'; done | sort -u)
declare -A compiled=([models]=loom [collector]=loom-collector)

# Copies the tree, and what the models depend on if that was compiled before.
copy_tree() {
    local tests
    mkdir -p "$tree"
    tar -C "$root" --exclude=./target --exclude=./.git -cf - . | tar -C "$tree" -xf -
    cp -r "$tree/src" "$work/src"
    for tests in "${!compiled[@]}"; do
        mkdir -p "$work/target/$tests/debug"
        cp -a "$root/target/${compiled[$tests]}/debug/"{.fingerprint,build,deps} "$work/target/$tests/debug/" 2>/dev/null
    done
}

of_level() {
    [ "$(level_of "$1")" -ne "$level" ] || tests_of "$1"
}

# A binary knows where it was built, so each job needs its own to compare with. Those that are optimised so far.
keep_own() {
    local tests
    for tests in $(for model in "${models[@]}"; do of_level "$model"; done | sort -u); do
        keep_unmutated "$tests" "$level" || echo error >>"$work/errors-so-far"
    done
}

share_out copy_tree "${numbers[@]}"
level=0 share_out keep_own "${numbers[@]}"
! failed || exit 1
share_out level_model "${models[@]}"
# shellcheck disable=SC1090 # written above
source <(cat "$all_work"/*/levels)
level=1 share_out keep_own "${numbers[@]}"
share_out check_optimised "${models[@]}"

printf '%-36s %-36s %s\n' mutation model result
share_out try_mutation "${mutations[@]}"
caught=$(cat "$all_work"/*/caught 2>/dev/null | wc -l)
echo "$caught of ${#mutations[@]} caught"
[ "$caught" -eq ${#mutations[@]} ] && ! failed
