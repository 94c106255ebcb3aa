//! Calls of functions whose results are kept, all of them hits: what the way to the cache costs, from the
//! handle over a namespace to `#[memoize]`, beside the macros of the crate `cached`.
//!
//! In each round every way is gone once, in an order that changes, and ratios are formed within a round.

use crate::draws::{self, CHUNK, DRAWS, Distribution, Mix};
use crate::options::Options;
use crate::report::Report;
use crate::statistics::Spread;
use crate::turns::take_turns;
use cacheado::{CacheHandle, Namespace, ScopedHandle, SharedCache, memoize};
use cached::macros::{cached, concurrent_cached};
use serde_json::json;
use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

const KEYS: u64 = 10_000;
const CAPACITY: u64 = 12_000;
const ROUND: Duration = Duration::from_millis(60);

static SHARED: LazyLock<SharedCache> = LazyLock::new(|| {
    SharedCache::builder().max_capacity(4 * CAPACITY).build().expect("valid settings")
});
static NAMESPACE: LazyLock<Namespace<u64, u64>> =
    LazyLock::new(|| SHARED.namespace("calls").expect("a new name"));
static PLAIN: LazyLock<CacheHandle<u64, u64>> = LazyLock::new(|| {
    CacheHandle::builder().max_capacity(2 * CAPACITY).build().expect("valid settings")
});
static SCOPED: LazyLock<ScopedHandle<u64, u64>> =
    LazyLock::new(|| PLAIN.scope([("organization", 1)]).expect("a right path"));

/// What is too much to compute at each call.
fn result(n: u64) -> u64 {
    n ^ 0x5555
}

#[memoize(cache = SHARED)]
fn memoized(n: u64) -> u64 {
    result(n)
}

#[memoize(cache = SHARED, scope(organization = organization))]
fn memoized_in_a_scope(organization: u64, n: u64) -> u64 {
    result(n ^ organization)
}

#[cached(max_size = 12_000)]
fn cached_behind_a_lock(n: u64) -> u64 {
    result(n)
}

#[concurrent_cached(max_size = 12_000)]
fn cached_in_shards(n: u64) -> u64 {
    result(n)
}

/// A way to a result: how it is called in the table, and a call.
type Way = (&'static str, fn(u64) -> u64);

const WAYS: [Way; 7] = [
    ("get of a handle", |n| PLAIN.get_or_load(&n, || result(n))),
    ("get of a scope's handle", |n| SCOPED.get_or_load(&n, || result(n))),
    ("get of a namespace", |n| NAMESPACE.get_or_load(&n, || result(n))),
    ("#[memoize]", memoized),
    ("#[memoize], scope(..)", |n| memoized_in_a_scope(0, n)),
    ("#[cached], max_size", cached_behind_a_lock),
    ("#[concurrent_cached], max_size", cached_in_shards),
];

/// Fills all, calls them and prints what a call takes.
///
/// # Errors
///
/// If results cannot be kept.
pub fn run(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let time = options.round_or(ROUND);
    for (_, call) in WAYS {
        (0..KEYS).for_each(|n| assert_eq!(call(n), result(n)));
    }
    SHARED.flush().wait()?;
    PLAIN.flush().wait()?;
    report.say(format!(
        "\nCalls whose result is kept, {KEYS} arguments by Zipf's law: nanoseconds of a call, median of {} rounds of {} ms; over the first: median (min-max) of the rounds'",
        options.rounds(),
        time.as_millis()
    ));
    report.say(format!("{:<34}{:>8}{:>10}{:>22}", "way", "threads", "ns", "over the first"));
    let threads = if options.threads.is_empty() { &[1, 2] } else { &*options.threads };
    for &threads in threads {
        let tables = draws::tables(KEYS, Distribution::Zipf, Mix::Hits, threads);
        let mut times = WAYS.map(|_| Vec::new());
        for round in 0..options.rounds() {
            let from = round * DRAWS / options.rounds() / CHUNK * CHUNK;
            take_turns(round, WAYS.len(), |way| {
                times[way].push(work(WAYS[way].1, &tables, from, time));
            });
        }
        for ((way, _), taken) in WAYS.iter().zip(&times) {
            let nanoseconds = Spread::of(taken.iter().copied());
            let ratio = Spread::of_ratios(taken, &times[0]);
            report.say(format!(
                "{way:<34}{threads:>8}{:>10.1}{:>22}",
                nanoseconds.median,
                ratio.to_string()
            ));
            report.keep(&json!({
                "table": "calls",
                "way": way,
                "threads": threads,
                "nanoseconds": nanoseconds.json(),
                "over_the_first": ratio.json(),
            }))?;
        }
    }
    Ok(())
}

/// Nanoseconds of a call, while every thread goes through its own draws.
fn work(call: fn(u64) -> u64, tables: &[draws::Table], from: usize, time: Duration) -> f64 {
    let (barrier, stop) = (Barrier::new(tables.len() + 1), AtomicBool::new(false));
    let (barrier, stop) = (&barrier, &stop);
    let worker = |table: &draws::Table| {
        barrier.wait();
        let began = Instant::now();
        let (mut at, mut calls) = (from, 0);
        // Relaxed: it only says when to stop.
        while !stop.load(Ordering::Relaxed) {
            for draw in &table[at..at + CHUNK] {
                black_box(call(draw.key()));
            }
            calls += CHUNK;
            at = (at + CHUNK) % DRAWS;
        }
        began.elapsed().as_nanos() as f64 / calls as f64
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            tables.iter().map(|table| scope.spawn(move || worker(table))).collect();
        barrier.wait();
        thread::sleep(time);
        // Relaxed: it only says when to stop.
        stop.store(true, Ordering::Relaxed);
        let times = workers.into_iter().map(|worker| worker.join().expect("no panic"));
        times.sum::<f64>() / tables.len() as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_leads_to_the_result_and_what_is_kept_is_found() {
        for (way, call) in WAYS {
            assert_eq!([call(7), call(7)], [result(7); 2], "{way}");
        }
        let plain = memoized_namespace().expect("a valid namespace").stats();
        let scoped = memoized_in_a_scope_namespace().expect("a valid namespace").stats();
        assert_eq!([plain.hits(), scoped.hits()], [1; 2], "the second call is a hit");
    }
}
