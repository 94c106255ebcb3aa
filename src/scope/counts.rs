//! What callers count of one scope: little while it is read little, in lanes when it is read much.
//!
//! A cache may have a million sessions, so a scope begins with one cell that all share. Once that has
//! counted a few thousand of something it gets a stripe for the lane of each thread, which then counts without
//! an atomic read-modify-write and without a line that others write. A shard makes them, because a read
//! allocates nothing: the reader leaves a [wish](Wishes). Layer: scope.

pub(crate) use crate::stats::CALLER_COUNTS as KINDS;
use crate::stats::Caller;
use crate::sync::reclaim::LANES;
use crate::sync::tally::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// Counts of one kind from which on stripes are worth their memory, four kilobytes. In models few: reads of busy
/// scopes have a way of their own, which must be searched.
pub(crate) const BUSY: u64 = if cfg!(any(cache_loom, cache_shuttle)) { 8 } else { 4096 };

/// The callers' figures of one scope. `T` is what has the stripes, and whatever else reads of busy scopes look at.
#[repr(C)]
pub(crate) struct ScopeCounts<T = Stripes> {
    shared: Cell,
    busy: OnceLock<Box<T>>,
}

/// The figures of what is read much.
pub(crate) struct Stripes {
    own: [Stripe; LANES],
    /// For threads that have no lane of their own.
    rest: Cell,
}

/// What the thread of one lane has counted.
#[repr(align(64))]
#[derive(Default)]
struct Stripe(Cell);

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

    /// Counts one, from a thread of `lane`. Now and then it says that stripes would be worth their memory.
    #[inline]
    pub(crate) fn count(&self, lane: usize, what: Caller) -> bool {
        if let Some(busy) = self.busy() {
            busy.as_ref().count(lane, what);
            return false;
        }
        self.count_shared(what)
    }

    #[cold]
    fn count_shared(&self, what: Caller) -> bool {
        // Relaxed: a statistic.
        let before = self.shared[what as usize].fetch_add(1, Ordering::Relaxed);
        before % BUSY == BUSY - 1
    }

    /// Counts with what `busy` makes from now on.
    pub(crate) fn widen(&self, busy: impl FnOnce() -> T) {
        self.busy.get_or_init(|| Box::new(busy()));
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
        if let Some(Stripe(counters)) = self.own.get(lane) {
            let counter = &counters[what as usize];
            // Relaxed: the thread that has the lane alone writes the stripe, and the lane's hand-over orders
            // its owners.
            let count = counter.load(Ordering::Relaxed);
            // Relaxed: as above.
            counter.store(count + 1, Ordering::Relaxed);
        } else {
            self.count_shared(what);
        }
    }

    #[cold]
    fn count_shared(&self, what: Caller) {
        // Relaxed: a statistic.
        self.rest[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.own.iter().map(|Stripe(counters)| counters).chain([&self.rest])
    }
}

impl Default for Stripes {
    fn default() -> Self {
        Self { own: std::array::from_fn(|_| Stripe::default()), rest: Cell::default() }
    }
}

impl AsRef<Stripes> for Stripes {
    fn as_ref(&self) -> &Stripes {
        self
    }
}

/// The numbers of scopes that have come to be read much, until a shard has given them stripes. Few: where there is no
/// room a scope asks again when it has counted as many more.
#[derive(Default)]
pub(super) struct Wishes([AtomicU64; 4]);

impl Wishes {
    /// Leaves one; whether there was room.
    pub(super) fn leave(&self, number: u32) -> bool {
        self.0.iter().any(|wish| {
            // Relaxed: the number brings nothing, and whoever reads it needs nothing else.
            wish.compare_exchange(0, number.into(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        })
    }

    /// Takes those that there are.
    pub(super) fn take(&self) -> impl Iterator<Item = u32> {
        // Relaxed: as above; a look first, so that the line stays shared.
        let some = self.0.iter().filter(|wish| wish.load(Ordering::Relaxed) != 0);
        // Relaxed: as above.
        some.map(|wish| wish.swap(0, Ordering::Relaxed) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::{BUSY, ScopeCounts, Stripes, Wishes};
    use crate::stats::Caller;
    use crate::sync::reclaim::SHARED_LANE;

    /// Enough for stripes.
    const MUCH: u64 = BUSY + 1;

    #[test]
    fn every_count_is_kept_whoever_counts() {
        let counts = ScopeCounts::<Stripes>::default();
        std::thread::scope(|scope| {
            // Many lanes, and one that is shared.
            for lane in (0..40).chain([SHARED_LANE, SHARED_LANE]) {
                let counts = &counts;
                scope.spawn(move || {
                    for _ in 0..MUCH {
                        for what in [Caller::Hit, Caller::Load] {
                            if counts.count(lane, what) {
                                counts.widen(Stripes::default);
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(counts.sum(), [42 * MUCH, 0, 42 * MUCH, 0]);
        assert!(counts.busy().is_some(), "it was read much");
    }

    #[test]
    fn threads_without_a_lane_share_no_stripe() {
        let counts = ScopeCounts::<Stripes>::default();
        let asked = (0..MUCH).filter(|_| counts.count(0, Caller::Miss)).count();
        assert_eq!(asked, 1);
        counts.widen(Stripes::default);
        assert!(counts.busy().is_some(), "it was read much");
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..200 * MUCH {
                        counts.count(SHARED_LANE, Caller::Hit);
                    }
                });
            }
        });
        assert_eq!(counts.sum()[Caller::Hit as usize], 800 * MUCH);
    }

    #[test]
    fn stripes_are_asked_for_until_they_are_there() {
        let counts = ScopeCounts::<Stripes>::default();
        let asked: Vec<u64> = (1..=3 * BUSY).filter(|_| counts.count(0, Caller::Hit)).collect();
        assert_eq!(asked, [BUSY, 2 * BUSY, 3 * BUSY]);
        counts.widen(Stripes::default);
        assert!((0..3 * BUSY).all(|_| !counts.count(0, Caller::Hit)));
        assert_eq!(counts.sum()[Caller::Hit as usize], 6 * BUSY);
    }

    #[test]
    fn wishes_are_taken_once_and_refused_when_there_is_no_room() {
        let wishes = Wishes::default();
        assert_eq!(wishes.take().count(), 0);
        let left: Vec<u32> = (1..=6).filter(|&number| wishes.leave(number)).collect();
        assert_eq!(left, [1, 2, 3, 4]);
        assert_eq!(wishes.take().collect::<Vec<_>>(), left);
        assert!(wishes.leave(5));
        assert_eq!(wishes.take().collect::<Vec<_>>(), [5]);
    }
}
