# Every check is a target; CI calls only these. `make` lists them.

.DEFAULT_GOAL := help
# Always of the whole workspace: with the features of one of its crates, all would be compiled once more.
TESTS := cargo test --workspace --exclude loom-tests
COMPARE := cargo run --release --manifest-path benches/compare/Cargo.toml --target-dir target/compare
.PHONY: help demo examples hit-ratio bench bench-scopes compare compare-memory compare-check test reliability test-performance test-coverage lint scope-storm histories loom loom-deep loom-collector loom-mutations mutants fuzz sanitize valgrind verify doc package

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Serve an SQLite database through the cache for ten seconds and check every promise (TRACE=path replays a trace)
	cargo run --release --package demo -- $(if $(TRACE),--trace "$(TRACE)")

# Every file of the folder: one that is not declared in Cargo.toml fails here.
examples: ## Run every example; each checks what it shows
	@set -e; for example in $(basename $(notdir $(wildcard examples/*.rs))); do \
		echo "== $$example"; cargo run --quiet --example "$$example"; done

hit-ratio: ## Compare hit ratios with an exact LRU on traces: make hit-ratio TRACES="a.u32.gz b.u32.gz"
	@test -n "$(TRACES)" || { echo 'make hit-ratio needs traces: make hit-ratio TRACES="a.u32.gz b.u32.gz"' >&2; exit 2; }
	cargo run --release --package hit-ratio -- $(TRACES)

bench: ## Time a hit beside quick_cache, one and two threads, in alternating order
	cargo run --release --package hits

bench-scopes: ## Measure what scopes cost: a hit, an eviction of a million entries, a million sessions (TABLES="hits" chooses)
	cargo run --release --package scopes -- $(TABLES)

compare: ## Compare with every peer, about ten minutes (OPTIONS="--mix load --threads 1,2" chooses rows, --full takes all)
	$(COMPARE) --bin compare -- $(OPTIONS)
	$(if $(OPTIONS),,$(COMPARE) --bin memory)

compare-memory: ## Compare what an entry costs in memory beside key and value
	$(COMPARE) --bin memory -- $(OPTIONS)

compare-check: ## Check the comparison itself: its tests and its clippy (builds every peer once more)
	cargo clippy --manifest-path benches/compare/Cargo.toml --target-dir target/compare --all-targets -- -D warnings
	cargo test --manifest-path benches/compare/Cargo.toml --target-dir target/compare

test: ## Run all tests: unit, integration, house rules, histories (10,000 schedules), documentation, examples' own
	$(TESTS)

reliability: ## Make everything go wrong that can, count who is lost, write the table of docs/reliability.md
	./ci/reliability.sh

test-performance: ## Compare with quick_cache and moka in under two minutes; fails where ours is slower than moka
	$(COMPARE) --bin compare -- --smoke --floor 1

test-coverage: ## Measure line coverage of src/ and macros/src/; fails below 95 %
	./ci/coverage.sh 95

lint: ## Check formatting, clippy and documentation, warnings refused
	cargo fmt --all --check
	cargo fmt --manifest-path benches/compare/Cargo.toml --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --package cacheado

scope-storm: ## Evict scopes and clear namespaces while STRESS_READS (10,000,000) reads look for what should be gone
	STRESS_READS=$(or $(STRESS_READS),10000000) $(TESTS) --test all scope_stress -- --nocapture

histories: ## Search SCHEDULES schedules (200,000) drawn from SEED (the time) for a history that no order explains
	SCHEDULES=$(or $(SCHEDULES),200000) SEED=$(or $(SEED),$(shell date +%s)) \
		$(TESTS) --test histories -- --nocapture

loom: ## Search the interleavings of every protocol model, with up to two preemptions
	./loom-tests/run.sh

loom-deep: ## Search the models of up to three threads with three preemptions, the others with two
	./loom-tests/run.sh --deep

loom-collector: ## Search index and graves on the real crossbeam-epoch, compiled against loom too
	./loom-tests/run.sh --collector

loom-mutations: ## Break each protocol in its decisive step and demand that its model fails
	./loom-tests/mutate.sh

# Tests that a change keeps from ending have noticed it: status 3.
mutants: ## Change src/store/ at one place after the other and demand that its tests fail (half an hour, needs cargo-mutants)
	@cargo mutants --version >/dev/null 2>&1 || { \
		echo 'make mutants needs cargo-mutants: cargo install cargo-mutants --locked' >&2; exit 2; }
	cargo mutants --package cacheado --output target || test $$? -eq 3

fuzz: ## Fuzz the store, sequences of operations, and trees and paths of scopes against their oracles, FUZZ_SECONDS (60) each
	./ci/fuzz.sh

sanitize: ## Run the tests under AddressSanitizer, ThreadSanitizer and valgrind, storms for STRESS_SECONDS (60)
	./ci/sanitize.sh

valgrind: ## Run the tests that need no storms under valgrind, as sanitize does
	./ci/sanitize.sh valgrind

verify: ## Everything that takes long, more than an hour: says what each part took
	./ci/verify.sh

doc: ## Build the documentation
	cargo doc --no-deps --package cacheado

package: ## Check that the crate packages and builds from its package
	cargo package --package cacheado --allow-dirty
