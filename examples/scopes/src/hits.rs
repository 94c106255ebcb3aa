//! A hit in a scope over a global one, side by side in one cache.

use crate::{median, quantile, say};
use cacheado::{CacheHandle, Error, ScopeTree, ScopedHandle};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Where in memory a cache comes to lie makes a difference of some hundredths, so no single one decides.
const CACHES: usize = 8;
/// Of each cache. Many and short, so that what disturbs some of them does not decide.
const ROUNDS: usize = 50;
const WARM_UP: usize = 10;
const READS: usize = 40_000;
const EXPONENT: f64 = 0.99;
/// Between two evictions of another scope, where there are some.
const PAUSE: Duration = Duration::from_micros(100);

/// What a row of the table is about.
struct Row {
    keys: usize,
    threads: usize,
    levels: u64,
    /// Over so many scopes the keys are spread; each thread reads all of them.
    scopes: usize,
    /// Whether another thread evicts another scope all the time.
    churn: bool,
}

const PLAIN: Row = Row { keys: 10_000, threads: 1, levels: 3, scopes: 1, churn: false };

const ROWS: [Row; 10] = [
    PLAIN,
    Row { threads: 2, ..PLAIN },
    Row { keys: 100_000, ..PLAIN },
    Row { keys: 100_000, threads: 2, ..PLAIN },
    Row { levels: 4, ..PLAIN },
    Row { levels: 8, ..PLAIN },
    Row { scopes: 100, ..PLAIN },
    Row { scopes: 5_000, ..PLAIN },
    Row { churn: true, ..PLAIN },
    Row { churn: true, keys: 100_000, ..PLAIN },
];

pub(crate) fn run() -> Result<(), Error> {
    say("Hits: nanoseconds each, keys by Zipf's law; median of the rounds' ratios (middle half)");
    say("keys      threads  levels  scopes  others      global ns  scoped ns  scoped / global");
    ROWS.iter().try_for_each(Row::run)
}

/// A key, and the number of the scope in which it is asked for.
type Draw = (u32, u64);

/// Nanoseconds of a global hit and of one in a scope.
type Times = (f64, f64);

impl Row {
    fn run(&self) -> Result<(), Error> {
        let Self { keys, threads, levels, scopes, churn } = *self;
        let mut rounds = Vec::new();
        // All are kept, lest one come to lie where the one before was.
        let mut caches = Vec::new();
        for _ in 0..CACHES {
            let (cache, figures) = self.rounds()?;
            rounds.extend(figures);
            caches.push(cache);
        }
        let of = |figure: fn(&Times) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
        let ratios = of(|(global, scoped)| scoped / global);
        say(&format!(
            "{keys:<9} {threads:<8} {levels:<7} {scopes:<7} {:<11} {:<10.1} {:<10.1} {:.2} ({:.2} - {:.2})",
            if churn { "are evicted" } else { "rest" },
            median(&of(|times| times.0)),
            median(&of(|times| times.1)),
            median(&ratios),
            quantile(&ratios, 1),
            quantile(&ratios, 3),
        ));
        Ok(())
    }

    /// A cache, and the rounds that were timed of it.
    fn rounds(&self) -> Result<(CacheHandle<u64, u64>, Vec<Times>), Error> {
        let Self { keys, threads, levels, scopes, churn } = *self;
        let names: Vec<String> = (0..levels).map(|level| format!("level{level}")).collect();
        let tree = ScopeTree::new([names.join("/")])?;
        // Both have the same keys: equal tables, in one cache.
        let cache = CacheHandle::builder().max_capacity(keys as u64 * 3).scopes(tree).build()?;
        let path = |last: u64| {
            names.iter().enumerate().map(move |(level, name)| {
                (name, if level as u64 + 1 == levels { last } else { level as u64 })
            })
        };
        let handles: Vec<_> =
            (0..scopes as u64).map(|number| cache.scope(path(number))).collect::<Result<_, _>>()?;
        for key in 0..keys as u64 {
            cache.insert(key, key);
            handles[scope_of(key, scopes) as usize].insert(key, key);
        }
        cache.flush().wait()?;
        let other = cache.scope(path(u64::MAX))?;
        let draws: Vec<_> = (0..threads as u64).map(|seed| zipf(keys, scopes, seed)).collect();
        // As many of either kind, for each read looks its handle up.
        let globals = vec![cache.clone(); scopes];
        let rounds = beside(churn.then_some(&other), || rounds(&globals, &handles, &draws));
        Ok((cache, rounds))
    }
}

/// What `run` returns; meanwhile another thread writes to `other` and evicts it, if that is given.
fn beside<R>(other: Option<&ScopedHandle<u64, u64>>, run: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        if let Some(other) = other {
            let over = &over;
            threads.spawn(move || {
                // Relaxed: ends a loop.
                while !over.load(Ordering::Relaxed) {
                    other.insert(0, 0);
                    drop(other.evict());
                    thread::sleep(PAUSE);
                }
            });
        }
        let result = run();
        // Relaxed: as above.
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// The times of each round.
fn rounds(
    globals: &[CacheHandle<u64, u64>],
    handles: &[ScopedHandle<u64, u64>],
    draws: &[Vec<Draw>],
) -> Vec<Times> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    // Some more, to warm up; who goes first alternates.
    for round in 0..ROUNDS + WARM_UP {
        let global = || time(draws, |(scope, key)| globals[scope as usize].get(&key));
        let within = || time(draws, |(scope, key)| handles[scope as usize].get(&key));
        rounds.push(if round % 2 == 0 {
            let global = global();
            (global, within())
        } else {
            let within = within();
            (global(), within)
        });
    }
    rounds.drain(..WARM_UP);
    rounds
}

/// Nanoseconds of processor time that a read takes when every thread reads its own draws, all at once. Not by
/// the clock on the wall: it counts, too, what others do while a thread is put aside.
fn time(draws: &[Vec<Draw>], read: impl Fn(Draw) -> Option<u64> + Sync) -> f64 {
    let start = Barrier::new(draws.len());
    let work = |draws: &Vec<Draw>| {
        start.wait();
        let began = processor_time();
        let sum = draws.iter().fold(0, |sum, draw| sum ^ read(*draw).unwrap_or(u64::MAX));
        black_box(sum);
        processor_time() - began
    };
    let times: Vec<i64> = thread::scope(|scope| {
        let threads: Vec<_> = draws.iter().map(|draws| scope.spawn(|| work(draws))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a read does not panic")).collect()
    });
    times.iter().sum::<i64>() as f64 / (READS * draws.len()) as f64
}

/// What this thread has had of a processor, in nanoseconds.
fn processor_time() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Keys by Zipf's law, the popular ones scattered over the key space.
fn zipf(keys: usize, scopes: usize, seed: u64) -> Vec<Draw> {
    let law = Zipf::new(keys as f64, EXPONENT).expect("there are keys");
    let scatter = |rank: f64| (rank as u64 - 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys as u64;
    let place = |key| (scope_of(key, scopes), key);
    SmallRng::seed_from_u64(seed).sample_iter(law).map(scatter).map(place).take(READS).collect()
}

fn scope_of(key: u64, scopes: usize) -> u32 {
    (key % scopes as u64) as u32
}
