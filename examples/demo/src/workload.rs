//! The workload: which key is asked for next, drawn from a Zipf distribution or replayed.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand::RngExt;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

const FEWEST_ROWS: u32 = 100_000;
const MOST_ROWS: u32 = 1_000_000;

/// Where the keys come from.
#[derive(Debug)]
pub(crate) struct Workload {
    rows: u32,
    /// How many different rows are ever asked for.
    asked: u32,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Zipf(Zipf<f64>),
    /// All callers share one position, so together they make the requests in recorded order.
    Trace {
        keys: Vec<u32>,
        next: AtomicUsize,
    },
}

impl Workload {
    /// A few keys are asked for very often and most hardly ever, as in most real services.
    pub(crate) fn zipf() -> Self {
        const EXPONENT: f64 = 0.99;
        let zipf = Zipf::new(f64::from(FEWEST_ROWS), EXPONENT);
        Self {
            rows: FEWEST_ROWS,
            asked: FEWEST_ROWS,
            source: Source::Zipf(zipf.expect("both parameters are positive")),
        }
    }

    /// Replays recorded keys again and again; a trace holds at least one.
    pub(crate) fn replay(mut keys: Vec<u32>) -> Self {
        let highest = keys.iter().copied().max().unwrap_or(0);
        let rows = highest.saturating_add(1).clamp(FEWEST_ROWS, MOST_ROWS);
        // A trace may name more keys than a demo should make rows for.
        for key in &mut keys {
            *key %= rows;
        }
        let mut seen = vec![false; rows as usize];
        for &key in &keys {
            seen[key as usize] = true;
        }
        Self {
            rows,
            asked: seen.iter().map(|&seen| u32::from(seen)).sum(),
            source: Source::Trace { keys, next: AtomicUsize::new(0) },
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match &self.source {
            Source::Zipf(_) => "Zipf 0.99",
            Source::Trace { .. } => "Trace replay",
        }
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// A fifth of the rows that are asked for: enough to help, too little to hold them all.
    pub(crate) fn cache_capacity(&self) -> u64 {
        // The proofs put a hundred rows in at once, also when a short trace asks for few.
        const LEAST: u64 = 200;
        u64::from(self.asked / 5).max(LEAST)
    }

    /// The key of the next request.
    pub(crate) fn next(&self, random: &mut SmallRng) -> u32 {
        match &self.source {
            Source::Zipf(zipf) => row_of_rank(zipf, random),
            Source::Trace { keys, next } => keys[next.fetch_add(1, Ordering::Relaxed) % keys.len()],
        }
    }

    /// A key to update: popular rows change more often, and a replay is not disturbed.
    pub(crate) fn any(&self, random: &mut SmallRng) -> u32 {
        match &self.source {
            Source::Zipf(zipf) => row_of_rank(zipf, random),
            Source::Trace { keys, .. } => keys[random.random_range(0..keys.len())],
        }
    }
}

fn row_of_rank(zipf: &Zipf<f64>, random: &mut SmallRng) -> u32 {
    // Ranks count from one, rows from zero.
    zipf.sample(random) as u32 - 1
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_replay_keeps_the_order_and_starts_again() {
        let workload = Workload::replay(vec![4, 2, 4]);
        let mut random = SmallRng::seed_from_u64(1);
        let keys: Vec<u32> = (0..5).map(|_| workload.next(&mut random)).collect();
        assert_eq!(keys, [4, 2, 4, 4, 2]);
        assert_eq!(workload.asked, 2);
        assert!([2, 4].contains(&workload.any(&mut random)));
    }

    #[test]
    fn every_key_of_a_replay_has_a_row() {
        let workload = Workload::replay(vec![u32::MAX, 0]);
        let mut random = SmallRng::seed_from_u64(1);
        assert_eq!(workload.rows(), MOST_ROWS);
        assert_eq!(workload.next(&mut random), u32::MAX % MOST_ROWS);
        assert_eq!(Workload::replay(vec![150_000]).rows(), 150_001);
    }

    #[test]
    fn zipf_prefers_low_keys_and_stays_within_the_rows() {
        let workload = Workload::zipf();
        let mut random = SmallRng::seed_from_u64(1);
        let keys: Vec<u32> = (0..10_000).map(|_| workload.next(&mut random)).collect();
        assert!(keys.iter().all(|&key| key < workload.rows()));
        let most_popular = keys.iter().filter(|&&key| key == 0).count();
        // The first rank has a share of 1 / sum(1 / rank^0.99), which is 7.8 %.
        assert!((600..1_000).contains(&most_popular), "{most_popular}");
    }
}
