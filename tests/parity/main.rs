//! Parity: what the original promises, one test for each row of `docs/parity.md`.

#[expect(
    dead_code,
    unused_imports,
    reason = "shared with the behaviour tests, which use more of it"
)]
#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod figures;
mod functions;
mod scopes;
mod targets;
mod verbs;

use cacheado::SharedCache;
use cacheado::testing::ManualClock;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A shared cache whose time stands still, with the clock that moves it.
fn timed_cache() -> (ManualClock, SharedCache) {
    let clock = ManualClock::new();
    let cache = SharedCache::builder().clock(clock.clock()).build().expect("valid settings");
    (clock, cache)
}

fn flush(cache: &SharedCache) {
    cache.flush().wait().expect("shards live");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The name of the row that a line of the table gives a test to; `none` for a row without one.
fn told(line: &str) -> Option<&str> {
    let (_, last) = line.trim_end().strip_suffix('|')?.rsplit_once('|')?;
    let last = last.trim().trim_matches('`');
    (last.starts_with("row_") || last.starts_with("none")).then_some(last)
}

/// The tests of a source whose names begin as those of rows do.
fn rows_of(source: &str) -> impl Iterator<Item = &str> {
    let tests = source.split("#[test]\nfn row_").skip(1);
    tests.map(|rest| rest.split_once('(').expect("a function has arguments").0)
}

#[test]
fn every_row_has_its_test_and_every_test_its_row() {
    let table = fs::read_to_string(root().join("docs/parity.md")).expect("docs/parity.md");
    let rows: Vec<&str> = table.lines().filter_map(told).collect();
    let without: Vec<_> = rows.iter().filter(|row| row.starts_with("none")).collect();
    assert_eq!(without.len(), 1, "only the pluggable storage has no test");
    let named: BTreeSet<String> =
        rows.iter().filter(|row| row.starts_with("row_")).map(|row| (*row).to_owned()).collect();
    assert_eq!(named.len() + 1, rows.len(), "no test serves two rows");

    let mut written = BTreeSet::new();
    for file in fs::read_dir(root().join("tests/parity")).expect("this folder") {
        let source = fs::read_to_string(file.expect("readable").path()).expect("a source");
        written.extend(rows_of(&source).map(|row| format!("row_{row}")));
    }
    assert_eq!(named, written);
    assert_eq!(named.len(), 17);
}
