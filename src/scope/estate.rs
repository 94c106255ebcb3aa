//! What scopes that have ended leave to the one above them, so that sums over a subtree do not go down.
//!
//! A scope may end while such a sum is taken: what it counted is to be in the sum once, whether it is read in the scope
//! or in what that left. So an estate has a version, and the scope keeps that by which it became part of it. The estate
//! is a lock of sequences with one writer (Boehm, Can Seqlocks Get Along With Programming Language Memory Models?,
//! 2012): whoever reads it while something is added reads it again. Invariant: counted-in-one-place (see
//! `docs/concurrency.md`). Layer: scope.

use super::counts::KINDS;
use super::node::Tallies;
use crate::sync::{AtomicU64, Ordering, thread};

/// What a scope was left by those below it that have ended.
pub(super) struct Estate {
    /// Odd while something is added.
    version: AtomicU64,
    evictions: AtomicU64,
    counts: [AtomicU64; KINDS],
}

/// The number of an estate's version, that of an empty one is 0.
pub(super) type Version = u64;

impl Estate {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { version: zero(), evictions: zero(), counts: std::array::from_fn(|_| zero()) }
    }

    /// Adds what a scope has counted; `sign` notes in that scope since which version it is part of this. By one thread at a
    /// time: the one that ends scopes.
    pub(super) fn add(&self, sum: Tallies, sign: impl FnOnce(Version)) {
        // Relaxed: nobody else writes it, nor the figures.
        let version = self.version.load(Ordering::Relaxed);
        // Relaxed: whoever finds one of the figures below finds this.
        self.version.store(version + 1, Ordering::Relaxed);
        // Relaxed: its own.
        let evictions = self.evictions.load(Ordering::Relaxed) + sum.evictions;
        // Release: who reads it finds the odd version, too [edge: estate].
        self.evictions.store(evictions, Ordering::Release);
        for (figure, count) in self.counts.iter().zip(sum.counts) {
            // Relaxed: its own.
            let count = figure.load(Ordering::Relaxed) + count;
            // Release: as above [edge: estate].
            figure.store(count, Ordering::Release);
        }
        sign(version + 2);
        // Release: who finds the version finds the figures, and the signature in the scope [edge: estate].
        self.version.store(version + 2, Ordering::Release);
    }

    /// What is in it, and as of which version. May wait for who adds to it, a moment.
    pub(super) fn read(&self) -> (Tallies, Version) {
        loop {
            // Acquire: the figures are as new, or newer [edge: estate].
            let version = self.version.load(Ordering::Acquire);
            if version % 2 == 0 {
                // Acquire: the version is read after them, and if they are newer, it is seen to be [edge: estate].
                let read = |figure: &AtomicU64| figure.load(Ordering::Acquire);
                let evictions = read(&self.evictions);
                let counts = self.counts.each_ref().map(read);
                // Relaxed: see above.
                if self.version.load(Ordering::Relaxed) == version {
                    return (Tallies { evictions, counts, ..Tallies::default() }, version);
                }
            }
            thread::yield_now();
        }
    }
}

#[cfg(all(test, not(any(cache_loom, cache_shuttle))))]
mod tests {
    use super::{Estate, KINDS, Tallies};
    use std::sync::Barrier;

    #[test]
    fn an_estate_is_read_whole() {
        const HEIRLOOMS: u64 = 200_000;
        let (estate, start) = (Estate::new(), Barrier::new(3));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    let mut last = 0;
                    while last < HEIRLOOMS {
                        let (sum, version) = estate.read();
                        assert_eq!(
                            (sum.evictions, sum.counts),
                            (version / 2, [version / 2; KINDS])
                        );
                        assert!(version / 2 >= last);
                        last = version / 2;
                    }
                });
            }
            start.wait();
            let one = Tallies { evictions: 1, counts: [1; KINDS], ..Tallies::default() };
            for number in 1..=HEIRLOOMS {
                estate.add(one, |version| assert_eq!(version, 2 * number));
            }
        });
    }
}
