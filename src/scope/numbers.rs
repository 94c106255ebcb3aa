//! The numbers of scopes: each is given to one scope at a time, the lowest that is free first.
//!
//! A bitmap in pieces that are made when they are needed, so that few scopes have little. Layer: scope.

use super::GLOBAL;
use crate::sync::tally::{self};
use crate::sync::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// Words of a piece.
const WORDS: usize = if SMALL { 2 } else { 1024 };
/// Together 2^24 numbers, as many as a stamp can tell.
const PIECES: usize = if SMALL { 1 } else { 256 };
const SMALL: bool = cfg!(any(cache_loom, cache_shuttle));

/// Which numbers are taken, one bit each.
pub(crate) struct Numbers {
    pieces: Box<[OnceLock<Box<[AtomicU64]>>]>,
    /// A word below which few numbers are free, or none.
    from: tally::AtomicU64,
}

impl Numbers {
    /// All numbers but that of the global scope.
    pub(crate) fn new() -> Self {
        let numbers = Self {
            pieces: (0..PIECES).map(|_| OnceLock::new()).collect(),
            from: tally::AtomicU64::new(0),
        };
        let global = numbers.take();
        debug_assert_eq!(global, Some(GLOBAL), "the lowest number comes first");
        numbers
    }

    /// Takes the lowest number that is free, or one of the lowest if others give some back at the same
    /// time. Nothing if all are taken.
    pub(crate) fn take(&self) -> Option<u32> {
        // Relaxed: advice on where to begin.
        let from = self.from.load(tally::Ordering::Relaxed) as usize;
        self.take_between(from, WORDS * PIECES).or_else(|| self.take_between(0, from))
    }

    fn take_between(&self, from: usize, until: usize) -> Option<u32> {
        for at in from..until {
            let word = self.word(at);
            // Relaxed: only a guess for the step below.
            let mut taken = word.load(Ordering::Relaxed);
            while taken != u64::MAX {
                let bit = taken.trailing_ones();
                // Acquire: what the number's last owner did is behind us: its generations, and that no
                // shard knows it any more [edge: scope-number].
                taken = word.fetch_or(1 << bit, Ordering::Acquire);
                if taken & 1 << bit == 0 {
                    // Relaxed: advice.
                    self.from.store(at as u64, tally::Ordering::Relaxed);
                    return Some(at as u32 * u64::BITS + bit);
                }
            }
        }
        None
    }

    /// Gives a number back, once nothing bears it any more.
    pub(crate) fn give_back(&self, number: u32) {
        let at = (number / u64::BITS) as usize;
        // Release: hands over to the number's next owner [edge: scope-number].
        self.word(at).fetch_and(!(1 << (number % u64::BITS)), Ordering::Release);
        // Relaxed: advice.
        self.from.fetch_min(at as u64, tally::Ordering::Relaxed);
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        let make = || (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        &self.pieces[at / WORDS].get_or_init(make)[at % WORDS]
    }
}

#[cfg(all(test, not(cache_shuttle)))]
mod tests {
    use super::Numbers;
    use std::collections::BTreeSet;

    #[test]
    fn the_lowest_number_comes_first() {
        let numbers = Numbers::new();
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [1, 2, 3].map(Some));
        numbers.give_back(2);
        assert_eq!([numbers.take(), numbers.take()], [2, 4].map(Some));
    }

    #[test]
    fn all_numbers_are_given_once() {
        let numbers = Numbers::new();
        let all = (1..1 << 24).all(|number| numbers.take() == Some(number));
        assert!(all, "in order");
        assert_eq!(numbers.take(), None, "none is left");
        numbers.give_back(77);
        assert_eq!((numbers.take(), numbers.take()), (Some(77), None));
    }

    #[test]
    fn no_two_threads_take_the_same_number() {
        let numbers = Numbers::new();
        let taken = std::thread::scope(|scope| {
            let take = || {
                for round in 0..2_000u32 {
                    let number = numbers.take().expect("there are enough");
                    if round % 3 > 0 {
                        numbers.give_back(number);
                    }
                }
                (0..500).map(|_| numbers.take().expect("enough")).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("no panic"))
                .collect::<Vec<_>>()
        });
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), taken.len());
    }
}
