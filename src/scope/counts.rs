//! What callers count of one scope: little while it is read little, a stripe for each thread when it is
//! read much.
//!
//! A cache may have a million sessions, so a scope begins with one cell that all share. Once that has
//! counted a thousand of something it gets stripes; each belongs to the lane of one thread, which then
//! counts without an atomic read-modify-write and without a line that others write. Layer: scope.

pub(crate) use crate::stats::CALLER_COUNTS as KINDS;
use crate::stats::Caller;
use crate::sync::reclaim::LANES;
use crate::sync::tally::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// Counts of one kind from which on stripes are worth their memory.
const BUSY: u64 = 1024;
const STRIPES: usize = 16;

/// The callers' figures of one scope.
#[derive(Default)]
pub(crate) struct ScopeCounts {
    shared: [AtomicU64; KINDS],
    stripes: OnceLock<Box<[Stripe; STRIPES]>>,
}

#[derive(Default)]
#[repr(align(64))]
struct Stripe {
    /// The lane that alone counts here, plus one; zero while it belongs to nobody.
    owner: AtomicU64,
    counts: [AtomicU64; KINDS],
}

impl ScopeCounts {
    /// Counts one, from a thread of `lane`.
    #[inline]
    pub(crate) fn count(&self, lane: usize, what: Caller) {
        if let Some(stripes) = self.stripes.get() {
            let first = &stripes[lane % STRIPES];
            // Relaxed: only the lane itself makes this its own, and it knows.
            if first.owner.load(Ordering::Relaxed) == lane as u64 + 1 {
                first.count(what);
                return;
            }
        }
        self.count_elsewhere(lane, what);
    }

    #[cold]
    fn count_elsewhere(&self, lane: usize, what: Caller) {
        match self.stripes.get().and_then(|stripes| stripe_of(stripes, lane)) {
            Some(stripe) => stripe.count(what),
            None => self.count_shared(what),
        }
    }

    fn count_shared(&self, what: Caller) {
        // Relaxed: a statistic.
        let before = self.shared[what as usize].fetch_add(1, Ordering::Relaxed);
        if before == BUSY {
            self.stripes.get_or_init(Box::default);
        }
    }

    pub(crate) fn sum(&self) -> [u64; KINDS] {
        let stripes = self.stripes.get().map(|stripes| stripes.iter()).into_iter().flatten();
        let cells = stripes.map(|stripe| &stripe.counts).chain([&self.shared]);
        let mut sum = [0; KINDS];
        for cell in cells {
            for (total, counter) in sum.iter_mut().zip(cell) {
                // Relaxed: a statistic.
                *total += counter.load(Ordering::Relaxed);
            }
        }
        sum
    }
}

impl Stripe {
    /// Counts one, from the thread that has the owning lane.
    #[inline]
    fn count(&self, what: Caller) {
        let counter = &self.counts[what as usize];
        // Relaxed: the thread that has the lane alone writes the stripe, and the lane's hand-over orders
        // its owners.
        let count = counter.load(Ordering::Relaxed);
        // Relaxed: as above.
        counter.store(count + 1, Ordering::Relaxed);
    }
}

/// The stripe of a lane, which it takes if one of its two is free. Threads without a lane have none.
fn stripe_of(stripes: &[Stripe; STRIPES], lane: usize) -> Option<&Stripe> {
    if lane >= LANES {
        return None;
    }
    let own = lane as u64 + 1;
    [lane % STRIPES, (lane + 1) % STRIPES].into_iter().map(|i| &stripes[i]).find(|stripe| {
        // Relaxed: only the lane itself makes this its own, and it knows.
        let owner = stripe.owner.load(Ordering::Relaxed);
        owner == own
            || owner == 0
                // Relaxed: it says who counts, and orders nothing.
                && stripe
                    .owner
                    .compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::{BUSY, ScopeCounts};
    use crate::stats::Caller;
    use crate::sync::reclaim::SHARED_LANE;

    #[test]
    fn every_count_is_kept_whoever_counts() {
        let counts = ScopeCounts::default();
        std::thread::scope(|scope| {
            // More lanes than stripes, some of which want the same, and one that is shared.
            for lane in (0..40).chain([SHARED_LANE, SHARED_LANE]) {
                let counts = &counts;
                scope.spawn(move || {
                    for _ in 0..BUSY {
                        counts.count(lane, Caller::Hit);
                        counts.count(lane, Caller::Load);
                    }
                });
            }
        });
        assert_eq!(counts.sum(), [42 * BUSY, 0, 42 * BUSY, 0]);
        assert!(counts.stripes.get().is_some(), "it was read much");
    }
}
