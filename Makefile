# Every check is a target; CI calls only these. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo hit-ratio bench test test-coverage lint loom loom-mutations doc package

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Serve an SQLite database through the cache for ten seconds and check every promise (TRACE=path replays a trace)
	cargo run --release --package demo -- $(if $(TRACE),--trace "$(TRACE)")

hit-ratio: ## Compare hit ratios with an exact LRU on traces: make hit-ratio TRACES="a.u32.gz b.u32.gz"
	@test -n "$(TRACES)" || { echo 'make hit-ratio needs traces: make hit-ratio TRACES="a.u32.gz b.u32.gz"' >&2; exit 2; }
	cargo run --release --package hit-ratio -- $(TRACES)

bench: ## Time a hit beside quick_cache, one and two threads, in alternating order
	cargo run --release --package hits

test: ## Run all tests: unit, integration, house rules, documentation, examples' own
	cargo test --workspace --exclude loom-tests

test-coverage: ## Measure line coverage of src/; fails below 90 %
	./ci/coverage.sh 90

lint: ## Check formatting, clippy and documentation, warnings refused
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --package cacheado

loom: ## Search the interleavings of every protocol model
	./loom-tests/run.sh

loom-mutations: ## Break each protocol in its decisive step and demand that its model fails
	./loom-tests/mutate.sh

doc: ## Build the documentation
	cargo doc --no-deps --package cacheado

package: ## Check that the crate packages and builds from its package
	cargo package --package cacheado --allow-dirty
