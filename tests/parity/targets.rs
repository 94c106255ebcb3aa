//! The row about the targets of `make`.

use crate::root;
use std::collections::BTreeMap;
use std::fs;

/// Each target with the lines of its recipe.
fn targets(makefile: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut targets = BTreeMap::new();
    let mut target = None;
    for line in makefile.lines() {
        if let Some(step) = line.strip_prefix('\t') {
            target.iter().for_each(|name| targets.entry(*name).or_insert_with(Vec::new).push(step));
        } else {
            target = line.split_once(": ").map(|(name, _)| name);
        }
    }
    targets
}

#[test]
fn row_make_targets_and_coverage() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("a Makefile");
    let targets = targets(&makefile);
    for target in ["test", "test-coverage", "test-performance"] {
        assert!(targets.contains_key(target), "make {target}");
    }
    assert_eq!(targets["test-coverage"], ["./ci/coverage.sh 95"]);
    let script = fs::read_to_string(root().join("ci/coverage.sh")).expect("the script");
    let fails_below = "--fail-under-lines \"$floor\"";
    assert!(script.contains("floor=${1:?") && script.contains(fails_below));
    for package in ["--package cacheado ", "--package cacheado-macros "] {
        assert!(script.contains(package), "{package}");
    }
}
