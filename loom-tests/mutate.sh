#!/usr/bin/env bash
# Applies each mutation of the library to a copy of the tree and demands that the model it names fails.
#
#   loom-tests/mutate.sh [MUTATION...]
#
# A mutation is a patch in `mutations/` whose first line says `model: NAME`. It counts as caught only if
# the mutated tree compiles and the model fails; a patch that does not apply is an error.
set -u
here="$(cd "$(dirname "$0")" && pwd)"
root="$(dirname "$here")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
tree="$work/tree"
export RUST_BACKTRACE=0
# Building is most of the work here.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=0
export RUSTFLAGS="--cfg cache_loom --cfg oneshot_loom"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$work/target}"

mkdir "$tree"
tar -C "$root" --exclude=./target --exclude=./.git -cf - . | tar -C "$tree" -xf -
cp -r "$tree/src" "$work/src"

mutations=("$@")
if [ ${#mutations[@]} -eq 0 ]; then
    mapfile -t mutations < <(cd "$here/mutations" && ls -- *.patch | sed 's/\.patch$//')
fi

# Cargo decides by modification times, which a copied tree must not be trusted with.
build() {
    rm -rf "$CARGO_TARGET_DIR"/debug/.fingerprint/loom-tests-*
    (cd "$tree" && cargo test --quiet -p loom-tests --test models --no-run --message-format=json 2>"$work/errors") |
        sed -n 's/.*"executable":"\([^"]*models-[^"]*\)".*/\1/p' | tail -1
}

# A spinning loom thread can fill the memory with its trace before the branch limit: bounded, too.
run() {
    (
        ulimit -v 8000000
        timeout "${MODEL_SECONDS:-300}" "$1" --exact "$2" --nocapture
        exit $?
    ) >"$work/output" 2>&1
}

model_of() {
    sed -n '1s/^model: //p' "$here/mutations/$1.patch"
}

errors=0 caught=0
binary=$(build)
if [ -z "$binary" ]; then
    cat "$work/errors" >&2
    exit 1
fi
cp "$binary" "$work/unmutated"
for model in $(for mutation in "${mutations[@]}"; do model_of "$mutation"; done | sort -u); do
    if ! run "$binary" "$model" || ! grep -q "^searched $model " "$work/output"; then
        echo "ERROR: $model fails without a mutation"
        errors=$((errors + 1))
    fi
done

printf '%-36s %-36s %s\n' mutation model result
for mutation in "${mutations[@]}"; do
    model=$(model_of "$mutation")
    rm -rf "$tree/src"
    cp -r "$work/src" "$tree/src"
    if ! (cd "$tree" && patch -p1 -s --no-backup-if-mismatch <"$here/mutations/$mutation.patch") >"$work/errors" 2>&1; then
        result="ERROR: does not apply"
    elif ! binary=$(build) || [ -z "$binary" ]; then
        result="ERROR: does not compile"
    elif cmp -s "$binary" "$work/unmutated"; then
        result="ERROR: changes nothing"
    elif run "$binary" "$model"; then
        result="SURVIVED"
    else
        result="caught: $(grep -A1 -m1 'panicked at' "$work/output" | tail -1 | cut -c1-60)"
        caught=$((caught + 1))
    fi
    case "$result" in
    ERROR*)
        errors=$((errors + 1))
        head -n 20 "$work/errors"
        ;;
    esac
    printf '%-36s %-36s %s\n' "$mutation" "$model" "$result"
done
echo "$caught of ${#mutations[@]} caught"
[ "$caught" -eq ${#mutations[@]} ] && [ $errors -eq 0 ]
