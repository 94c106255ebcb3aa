#!/usr/bin/env bash
# Line coverage of src/ and macros/src/ by the tests; fails below the given percentage.
set -euo pipefail
cd "$(dirname "$0")/.."
floor=${1:?usage: ci/coverage.sh PERCENT}

if ! command -v cargo-llvm-cov >/dev/null; then
    cargo install --locked cargo-llvm-cov
fi

# The profile format follows rustc's LLVM: use its own tools if they are installed, else a system LLVM
# of the same major version.
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
if [ ! -x "$tools/llvm-cov" ]; then
    major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    system=/usr/lib/llvm-$major/bin
    if [ ! -x "$system/llvm-cov" ]; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq
            apt-get install -y -qq "llvm-$major"
        else
            echo "coverage needs llvm-cov $major: rustup component add llvm-tools, or install llvm-$major" >&2
            exit 1
        fi
    fi
    export LLVM_COV=$system/llvm-cov LLVM_PROFDATA=$system/llvm-profdata
fi

# Statements that a test cannot reach stay in the figure; only test code itself is left out.
cargo llvm-cov --package cacheado --package cacheado-macros --tests \
    --ignore-filename-regex '(^|/)(tests|examples)/|/tests\.rs$' \
    --fail-under-lines "$floor"
