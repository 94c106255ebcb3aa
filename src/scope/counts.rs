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

/// Counts of one kind from which on stripes are worth their memory. In models at once: reads of busy scopes have a
/// way of their own, which must be searched.
const BUSY: u64 = if cfg!(any(cache_loom, cache_shuttle)) { 0 } else { 1024 };
const STRIPES: usize = 16;
/// No lane.
const NOBODY: u64 = u64::MAX;

/// The callers' figures of one scope. `T` is what has the stripes, and whatever else reads of busy scopes look at.
pub(crate) struct ScopeCounts<T = Stripes> {
    shared: Cell,
    busy: OnceLock<Box<T>>,
}

/// The figures of what is read much.
#[derive(Default)]
pub(crate) struct Stripes {
    own: [Stripe; STRIPES],
    /// For threads that have no stripe.
    rest: Cell,
}

#[repr(align(64))]
struct Stripe {
    /// The lane that alone counts here.
    owner: AtomicU64,
    counts: Cell,
}

type Cell = [AtomicU64; KINDS];

impl<T> Default for ScopeCounts<T> {
    fn default() -> Self {
        Self { shared: Cell::default(), busy: OnceLock::new() }
    }
}

impl<T: AsRef<Stripes>> ScopeCounts<T> {
    /// What has the stripes, if there is much to count.
    #[inline]
    pub(crate) fn busy(&self) -> Option<&T> {
        self.busy.get().map(|busy| &**busy)
    }

    /// Counts one, from a thread of `lane`. `busy` makes what has stripes, once.
    #[inline]
    pub(crate) fn count(&self, lane: usize, what: Caller, busy: impl FnOnce() -> T) {
        match self.busy() {
            Some(busy) => busy.as_ref().count(lane, what),
            None => self.count_shared(what, busy),
        }
    }

    #[cold]
    fn count_shared(&self, what: Caller, busy: impl FnOnce() -> T) {
        // Relaxed: a statistic.
        let before = self.shared[what as usize].fetch_add(1, Ordering::Relaxed);
        if before == BUSY {
            self.busy.get_or_init(|| Box::new(busy()));
        }
    }

    pub(crate) fn sum(&self) -> [u64; KINDS] {
        let stripes = self.busy().into_iter().flat_map(|busy| busy.as_ref().cells());
        let mut sum = [0; KINDS];
        for cell in stripes.chain([&self.shared]) {
            for (total, counter) in sum.iter_mut().zip(cell) {
                // Relaxed: a statistic.
                *total += counter.load(Ordering::Relaxed);
            }
        }
        sum
    }
}

impl Stripes {
    /// Counts one, from a thread of `lane`.
    #[inline]
    pub(crate) fn count(&self, lane: usize, what: Caller) {
        let first = &self.own[lane % STRIPES];
        // Relaxed: only the lane itself makes this its own, and it knows.
        if first.owner.load(Ordering::Relaxed) == lane as u64 {
            first.count(what);
        } else {
            self.count_elsewhere(lane, what);
        }
    }

    #[cold]
    fn count_elsewhere(&self, lane: usize, what: Caller) {
        match self.stripe(lane) {
            Some(stripe) => stripe.count(what),
            None => {
                // Relaxed: a statistic.
                self.rest[what as usize].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The stripe of a lane, which it takes if one of its two is free. Threads without a lane have none.
    fn stripe(&self, lane: usize) -> Option<&Stripe> {
        if lane >= LANES {
            return None;
        }
        let own = lane as u64;
        [lane % STRIPES, (lane + 1) % STRIPES].into_iter().map(|i| &self.own[i]).find(|stripe| {
            // Relaxed: only the lane itself makes this its own, and it knows.
            let owner = stripe.owner.load(Ordering::Relaxed);
            owner == own
                || owner == NOBODY
                    // Relaxed: it says who counts, and orders nothing.
                    && stripe
                        .owner
                        .compare_exchange(NOBODY, own, Ordering::Relaxed, Ordering::Relaxed)
                        .is_ok()
        })
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.own.iter().map(|stripe| &stripe.counts).chain([&self.rest])
    }
}

impl AsRef<Stripes> for Stripes {
    fn as_ref(&self) -> &Stripes {
        self
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

impl Default for Stripe {
    fn default() -> Self {
        Self { owner: AtomicU64::new(NOBODY), counts: Cell::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::{ScopeCounts, Stripes};
    use crate::stats::Caller;
    use crate::sync::reclaim::SHARED_LANE;

    /// Enough for stripes.
    const MUCH: u64 = 1024;

    #[test]
    fn every_count_is_kept_whoever_counts() {
        let counts = ScopeCounts::<Stripes>::default();
        std::thread::scope(|scope| {
            // More lanes than stripes, some of which want the same, and one that is shared.
            for lane in (0..40).chain([SHARED_LANE, SHARED_LANE]) {
                let counts = &counts;
                scope.spawn(move || {
                    for _ in 0..MUCH {
                        counts.count(lane, Caller::Hit, Stripes::default);
                        counts.count(lane, Caller::Load, Stripes::default);
                    }
                });
            }
        });
        assert_eq!(counts.sum(), [42 * MUCH, 0, 42 * MUCH, 0]);
        assert!(counts.busy().is_some(), "it was read much");
    }
}
