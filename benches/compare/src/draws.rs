//! What the timed loops do, drawn before they begin: keys, and whether they are read or written.
//!
//! A table holds two million draws a thread: a short one's order is learnt by the branch predictor and by
//! the caches of what is measured, which no service's order is. It is walked in order, four bytes a draw, so
//! the prefetcher hides it.

use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;

/// Draws in each thread's table.
pub const DRAWS: usize = 1 << 21;
/// Draws between two looks at the stop flag; divides [`DRAWS`].
pub const CHUNK: usize = 256;
const EXPONENT: f64 = 0.99;
const WRITE: u32 = 1 << 31;

/// How keys are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Distribution {
    /// Zipf's law with an exponent of 0.99.
    Zipf,
    /// All alike.
    Uniform,
}

/// What is done with the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Mix {
    /// Reads only.
    Hits,
    /// 99 reads to 1 write.
    #[value(name = "99/1")]
    R99,
    /// 95 reads to 5 writes.
    #[value(name = "95/5")]
    R95,
    /// 75 reads to 25 writes.
    #[value(name = "75/25")]
    R75,
    /// Writes only.
    Insert,
    /// Reads that load what they miss.
    Load,
}

impl Mix {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Hits, Self::R99, Self::R95, Self::R75, Self::Insert, Self::Load];

    /// The name on the command line and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::R99 => "99/1",
            Self::R95 => "95/5",
            Self::R75 => "75/25",
            Self::Insert => "insert",
            Self::Load => "load",
        }
    }

    /// The share of writes, of the draws that are not loads.
    fn writes(self) -> f64 {
        match self {
            Self::Hits | Self::Load => 0.0,
            Self::R99 => 0.01,
            Self::R95 => 0.05,
            Self::R75 => 0.25,
            Self::Insert => 1.0,
        }
    }
}

/// A key, and whether it is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Draw(u32);

impl Draw {
    /// The key.
    #[must_use]
    pub fn key(self) -> u64 {
        u64::from(self.0 & !WRITE)
    }

    /// Whether to write it.
    #[must_use]
    pub fn is_write(self) -> bool {
        self.0 & WRITE != 0
    }
}

/// A table of draws of one thread.
pub type Table = Vec<Draw>;

/// A table for each thread.
///
/// # Panics
///
/// If there are no keys, or more than fit into 31 bits.
#[must_use]
pub fn tables(keys: u64, distribution: Distribution, mix: Mix, threads: usize) -> Vec<Table> {
    assert!((1..u64::from(WRITE)).contains(&keys), "a draw has 31 bits for its key");
    (0..threads as u64).map(|thread| table(keys, distribution, mix, thread)).collect()
}

fn table(keys: u64, distribution: Distribution, mix: Mix, thread: u64) -> Table {
    let mut rng = SmallRng::seed_from_u64(thread);
    let zipf = Zipf::new(keys as f64, EXPONENT).expect("there are keys");
    let draw = |rng: &mut SmallRng| match distribution {
        Distribution::Zipf => scatter(rng.sample(zipf) as u64 - 1, keys),
        Distribution::Uniform => rng.random_range(0..keys),
    };
    let key = |rng: &mut SmallRng| u32::try_from(draw(rng)).expect("a key has 31 bits");
    (0..DRAWS)
        .map(|_| {
            let write = if rng.random_bool(mix.writes()) { WRITE } else { 0 };
            Draw(key(&mut rng) | write)
        })
        .collect()
}

/// Another key for each rank, so that popular keys are not neighbours.
fn scatter(rank: u64, keys: u64) -> u64 {
    // A prime above every number of keys has no divisor in common with it: a permutation.
    const PRIME: u64 = 4_294_967_291;
    rank * PRIME % keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_permuted() {
        let mut keys: Vec<_> = (0..10_000).map(|rank| scatter(rank, 10_000)).collect();
        assert_ne!(keys[..2], [0, 1]);
        keys.sort_unstable();
        assert!(keys.iter().copied().eq(0..10_000));
    }

    #[test]
    fn a_mix_has_its_share_of_writes() {
        let share = |mix| {
            let table = table(1_000, Distribution::Uniform, mix, 0);
            table.iter().filter(|draw| draw.is_write()).count() as f64 / DRAWS as f64
        };
        assert_eq!([Mix::Hits, Mix::Load, Mix::Insert].map(share), [0.0, 0.0, 1.0]);
        assert!((share(Mix::R95) - 0.05).abs() < 0.001);
    }

    #[test]
    fn zipf_prefers_few_keys() {
        let most_frequent = |distribution| {
            let mut counts = vec![0; 1_000];
            for draw in table(1_000, distribution, Mix::Hits, 0) {
                counts[usize::try_from(draw.key()).expect("below a thousand")] += 1;
            }
            counts.into_iter().max().expect("there are keys") as f64 / DRAWS as f64
        };
        // The share of the first of 1,000 ranks is 1 / sum of k^-0.99, about 0.13.
        assert!((most_frequent(Distribution::Zipf) - 0.13).abs() < 0.01);
        assert!(most_frequent(Distribution::Uniform) < 0.002);
    }
}
