//! The hit-ratio command: replays traces through the cache and through an exact LRU, side by side.

#![expect(clippy::print_stdout, reason = "printing is what a command is for")]

use std::collections::HashSet;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cacheado::CacheHandle;
use lru::LruCache;

/// How far, in percentage points, the cache may be from an exact LRU in either direction.
const TOLERANCE: f64 = 0.5;

/// Capacities to compare at, as divisors of the number of distinct keys: 1 % and 10 %.
const CAPACITY_DIVISORS: [usize; 2] = [100, 10];

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        eprintln!("hit-ratio: no trace given; usage: hit-ratio PATH...");
        return ExitCode::from(2);
    }
    // All traces are read before the first replay, so that a bad path costs no waiting.
    let traces: Result<Vec<Trace>, _> = paths.iter().map(|path| Trace::read(path)).collect();
    let traces = match traces {
        Ok(traces) => traces,
        Err(error) => {
            eprintln!("hit-ratio: {error}");
            return ExitCode::from(2);
        }
    };
    match compare(&traces) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            eprintln!("hit-ratio: {failures} rows differ by more than {TOLERANCE} points");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("hit-ratio: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Trace {
    name: String,
    keys: Vec<u32>,
}

impl Trace {
    fn read(path: &Path) -> Result<Self, trace::TraceError> {
        let keys = trace::read(path)?;
        let file = path.file_name().unwrap_or(path.as_os_str());
        let file = file.to_string_lossy();
        Ok(Self { name: file.strip_suffix(".u32.gz").unwrap_or(&file).to_owned(), keys })
    }
}

/// Prints one row per trace and capacity; answers how many rows are out of tolerance.
fn compare(traces: &[Trace]) -> Result<usize, Box<dyn Error>> {
    println!(
        "{:<16} {:>10} {:>10} {:>10} {:>11} {:>10} {:>11}",
        "trace", "capacity", "exact LRU", "cacheado", "difference", "replacing", "difference"
    );
    let mut failures = 0;
    for Trace { name, keys } in traces {
        let distinct = keys.iter().collect::<HashSet<_>>().len();
        for divisor in CAPACITY_DIVISORS {
            let capacity = NonZeroUsize::new(distinct / divisor).unwrap_or(NonZeroUsize::MIN);
            let percent = |hits: usize| 100.0 * hits as f64 / keys.len() as f64;
            let exact = percent(exact_lru_hits(keys, capacity));
            let ours = percent(cacheado_hits(keys, capacity, false)?);
            let replacing = percent(cacheado_hits(keys, capacity, true)?);
            let differences = [ours - exact, replacing - exact];
            let out_of_tolerance = differences.iter().any(|points| points.abs() > TOLERANCE);
            failures += usize::from(out_of_tolerance);
            println!(
                "{name:<16} {capacity:>10} {exact:>8.2} % {ours:>8.2} % {:>+11.2} {replacing:>8.2} % {:>+11.2}{}",
                differences[0],
                differences[1],
                if out_of_tolerance { "  too far" } else { "" }
            );
        }
    }
    Ok(failures)
}

fn exact_lru_hits(keys: &[u32], capacity: NonZeroUsize) -> usize {
    let mut lru = LruCache::new(capacity);
    let mut hits = 0;
    for &key in keys {
        if lru.get(&key).is_some() {
            hits += 1;
        } else {
            lru.put(key, ());
        }
    }
    hits
}

/// Every second hit replaces what it found, if `replacing`.
fn cacheado_hits(
    keys: &[u32],
    capacity: NonZeroUsize,
    replacing: bool,
) -> Result<usize, cacheado::Error> {
    let cache = CacheHandle::builder().max_capacity(capacity.get() as u64).shards(1).build()?;
    // Evictions happen when the shard folds, so a cache that is never waited for runs a little
    // above its capacity and would win hits that an exact LRU cannot have.
    let writes_per_flush = (capacity.get() / 256).max(1);
    let mut hits = 0;
    let mut writes = 0;
    for &key in keys {
        if cache.get(&key).is_some() {
            hits += 1;
            if !replacing || hits % 2 == 0 {
                continue;
            }
        }
        cache.insert(key, ());
        writes += 1;
        if writes % writes_per_flush == 0 {
            cache.flush().wait()?;
        }
    }
    Ok(hits)
}
