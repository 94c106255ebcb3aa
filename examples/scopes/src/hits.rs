//! A hit in a scope three levels down over a global one, side by side in one cache.

use crate::{median, quantile, say, session};
use cacheado::{CacheHandle, Error};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::Barrier;

/// Many and short, so that what disturbs some of them does not decide.
const ROUNDS: usize = 400;
const WARM_UP: usize = 20;
const READS: usize = 40_000;
const EXPONENT: f64 = 0.99;

pub(crate) fn run() -> Result<(), Error> {
    say("Hits: nanoseconds each, keys by Zipf's law; median of the rounds' ratios (middle half)");
    say("keys      threads  global ns  scoped ns  scoped / global");
    for keys in [10_000, 100_000] {
        // Both have the same keys: equal tables, in one cache.
        let cache = CacheHandle::builder().max_capacity(keys as u64 * 3).build()?;
        let scoped = session(&cache, "acme", 42, 7)?;
        for key in 0..keys as u64 {
            cache.insert(key, key);
            scoped.insert(key, key);
        }
        cache.flush().wait()?;
        let draws: Vec<_> = (0..2).map(|seed| zipf(keys, seed)).collect();
        for threads in [1, 2] {
            let draws = &draws[..threads];
            let mut rounds = Vec::with_capacity(ROUNDS);
            // Some more, to warm up; who goes first alternates.
            for round in 0..ROUNDS + WARM_UP {
                let global = || time(draws, |key| cache.get(&key));
                let within = || time(draws, |key| scoped.get(&key));
                let times = if round % 2 == 0 {
                    let global = global();
                    (global, within())
                } else {
                    let within = within();
                    (global(), within)
                };
                rounds.push(times);
            }
            rounds.drain(..WARM_UP);
            let of = |figure: fn(&(f64, f64)) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
            let ratios = of(|(global, scoped)| scoped / global);
            say(&format!(
                "{keys:<9} {threads:<8} {:<10.1} {:<10.1} {:.2} ({:.2} - {:.2})",
                median(&of(|times| times.0)),
                median(&of(|times| times.1)),
                median(&ratios),
                quantile(&ratios, 1),
                quantile(&ratios, 3),
            ));
        }
    }
    Ok(())
}

/// Nanoseconds of processor time that a read takes when every thread reads its own draws, all at once. Not by
/// the clock on the wall: it counts, too, what others do while a thread is put aside.
fn time(draws: &[Vec<u64>], read: impl Fn(u64) -> Option<u64> + Sync) -> f64 {
    let start = Barrier::new(draws.len());
    let work = |draws: &Vec<u64>| {
        start.wait();
        let began = processor_time();
        let sum = draws.iter().fold(0, |sum, key| sum ^ read(*key).unwrap_or(u64::MAX));
        black_box(sum);
        processor_time() - began
    };
    let times: Vec<i64> = std::thread::scope(|scope| {
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
fn zipf(keys: usize, seed: u64) -> Vec<u64> {
    let law = Zipf::new(keys as f64, EXPONENT).expect("there are keys");
    let scatter = |rank: f64| (rank as u64 - 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys as u64;
    SmallRng::seed_from_u64(seed).sample_iter(law).map(scatter).take(READS).collect()
}
