//! How long a hit takes beside quick_cache: one thread and two, keys drawn from Zipf's distribution.
//!
//! Both caches hold all keys. The two are timed in turn, round by round, and the median of the rounds'
//! ratios is printed, so that a machine that changes its speed changes both.

use cacheado::CacheHandle;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const READS: usize = 2_000_000;
const EXPONENT: f64 = 0.99;

fn main() -> Result<(), cacheado::Error> {
    report("keys      threads  cacheado ns  quick_cache ns  time, ours / theirs (min - max)");
    for keys in [10_000, 100_000] {
        let ours = CacheHandle::builder().max_capacity(keys as u64 * 6 / 5).build()?;
        let theirs = quick_cache::sync::Cache::new(keys * 6 / 5);
        for key in 0..keys as u64 {
            ours.insert(key, key);
            theirs.insert(key, key);
        }
        ours.flush().wait()?;
        let draws: Vec<_> = (0..2).map(|seed| zipf(keys, seed)).collect();
        for threads in [1, 2] {
            let draws = &draws[..threads];
            let mut rounds: Vec<_> = (0..ROUNDS)
                .map(|_| (time(draws, |key| ours.get(&key)), time(draws, |key| theirs.get(&key))))
                .collect();
            rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
            let ratio = |(ours, theirs): (f64, f64)| ours / theirs;
            let (ours, theirs) = rounds[ROUNDS / 2];
            report(&format!(
                "{keys:<9} {threads:<8} {ours:<12.1} {theirs:<15.1} {:.2} ({:.2} - {:.2})",
                ours / theirs,
                ratio(rounds[0]),
                ratio(rounds[ROUNDS - 1]),
            ));
        }
    }
    Ok(())
}

/// Nanoseconds that each read takes when every thread reads its own draws, all at once.
fn time(draws: &[Vec<u64>], read: impl Fn(u64) -> Option<u64> + Sync) -> f64 {
    let start = Barrier::new(draws.len());
    let longest = std::thread::scope(|scope| {
        let threads: Vec<_> = draws
            .iter()
            .map(|draws| {
                scope.spawn(|| {
                    start.wait();
                    let began = Instant::now();
                    let sum = draws.iter().fold(0, |sum, key| sum ^ read(*key).unwrap_or(u64::MAX));
                    black_box(sum);
                    began.elapsed()
                })
            })
            .collect();
        let times = threads.into_iter().map(|thread| thread.join().unwrap_or(Duration::MAX));
        times.max().unwrap_or_default()
    });
    longest.as_nanos() as f64 / READS as f64
}

/// Keys by Zipf's law, the popular ones scattered over the key space.
fn zipf(keys: usize, seed: u64) -> Vec<u64> {
    let law = Zipf::new(keys as f64, EXPONENT).expect("there are keys");
    let scatter = |rank: f64| (rank as u64 - 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys as u64;
    SmallRng::seed_from_u64(seed).sample_iter(law).map(scatter).take(READS).collect()
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn report(line: &str) {
    println!("{line}");
}
