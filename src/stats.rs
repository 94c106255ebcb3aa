//! What is counted: by callers in lanes of their own, by shards in plain numbers that they publish.
//!
//! Owns the counters, knows nothing of what they count. Layer: base.

use crate::sync::reclaim::LANES;
use crate::sync::tally::{AtomicU64, Ordering};
use std::fmt;

/// Figures of a cache at one moment.
///
/// Every `get`, `read`, pinned `get` and load counts exactly one hit or one miss; `peek` and
/// `contains_key` count nothing. What the shards count is exact after a
/// [`flush`](crate::CacheHandle::flush) and otherwise lags by what they have not folded yet. After a
/// flush `insertions - evictions - expirations - invalidations == len`. Figures that are read while the
/// shards work are each right, but need not be of the same instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub(crate) callers: [u64; CALLER_COUNTS],
    pub(crate) shards: Counts,
}

/// What a shard counts; plain numbers, its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) insertions: u64,
    pub(crate) updates: u64,
    pub(crate) evictions: u64,
    pub(crate) expirations: u64,
    pub(crate) invalidations: u64,
    pub(crate) rejected: u64,
    pub(crate) panics: u64,
    pub(crate) events_dropped: u64,
    pub(crate) len: u64,
    pub(crate) weight: u64,
}

/// What callers count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    Hit = 0,
    Miss = 1,
    Load = 2,
    LoadFailure = 3,
}

pub(crate) const CALLER_COUNTS: usize = 4;
const SHARD_COUNTS: usize = 10;

impl Stats {
    /// Reads that found a live value.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.callers[Caller::Hit as usize]
    }
    /// Reads that did not.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.callers[Caller::Miss as usize]
    }
    /// Loaders that were started, those of fallible loads and re-entrant ones included.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.callers[Caller::Load as usize]
    }
    /// Loaders that returned an error, panicked or were cancelled.
    #[must_use]
    pub fn load_failures(&self) -> u64 {
        self.callers[Caller::LoadFailure as usize]
    }
    /// Values that were stored, written or loaded, under a key that had none.
    #[must_use]
    pub fn insertions(&self) -> u64 {
        self.shards.insertions
    }
    /// Values that replaced a live value of the same key.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.shards.updates
    }
    /// Entries evicted to stay within the capacity.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.shards.evictions
    }
    /// Entries whose time to live or time to idle had passed.
    #[must_use]
    pub fn expirations(&self) -> u64 {
        self.shards.expirations
    }
    /// Entries removed by `remove`, `clear` and the eviction of scopes, or by a write whose value was not
    /// kept, or because `Eq` panicked where their key was compared with that of a newer value.
    #[must_use]
    pub fn invalidations(&self) -> u64 {
        self.shards.invalidations
    }
    /// Values that were not kept: heavier than the whole capacity, or their weigher panicked, or `Eq` did
    /// where their key was compared with that of a newer value before they were stored. Their
    /// [`RemovalCause`](crate::RemovalCause) is `Capacity`.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.shards.rejected
    }
    /// Panics of user code on shard threads (`Eq`, `Drop`, `Clone`, weigher, listener), all caught.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.shards.panics
    }
    /// Events that a subscriber's full channel could not take.
    #[must_use]
    pub fn events_dropped(&self) -> u64 {
        self.shards.events_dropped
    }
    /// Entries in the cache.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shards.len
    }
    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The sum of the entries' weights; without a weigher each weighs one.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.shards.weight
    }
    /// Hits out of hits and misses, from 0.0 to 1.0; 0.0 before the first read.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let reads = self.hits() + self.misses();
        if reads == 0 { 0.0 } else { self.hits() as f64 / reads as f64 }
    }
}

/// As the original's dictionary: `{"hits": 1250, ..., "current_size": 8934, "hit_rate": "87.4%"}`;
/// with `{:#}` one line for each figure.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, between, close) =
            if f.alternate() { ("{\n    ", ",\n    ", "\n}") } else { ("{", ", ", "}") };
        f.write_str(open)?;
        let figures = [
            ("hits", self.hits()),
            ("misses", self.misses()),
            ("loads", self.loads()),
            ("evictions", self.evictions()),
            ("expirations", self.expirations()),
            ("current_size", self.len()),
        ];
        for (name, figure) in figures {
            write!(f, "\"{name}\": {figure}{between}")?;
        }
        write!(f, "\"hit_rate\": \"{:.1}%\"{close}", 100.0 * self.hit_ratio())
    }
}

/// The callers' counters: one lane for each thread, so that counting a hit touches no shared line.
pub(crate) struct CallerCounts {
    own: Box<[Lane; LANES]>,
    /// For threads that have no lane of their own.
    shared: Lane,
}

#[repr(align(128))]
#[derive(Default)]
struct Lane([AtomicU64; CALLER_COUNTS]);

impl CallerCounts {
    pub(crate) fn new() -> Self {
        Self { own: Box::new(std::array::from_fn(|_| Lane::default())), shared: Lane::default() }
    }

    /// Counts one, in the lane of the calling thread.
    #[inline]
    pub(crate) fn count(&self, lane: usize, what: Caller) {
        if let Some(Lane(counters)) = self.own.get(lane) {
            let counter = &counters[what as usize];
            // Relaxed: this thread alone writes the lane while it has it, so a load and a store count
            // exactly and cost no locked instruction; the lane's hand-over orders its owners.
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
        self.shared.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> [u64; CALLER_COUNTS] {
        let mut sum = [0; CALLER_COUNTS];
        for lane in self.own.iter().chain([&self.shared]) {
            for (total, counter) in sum.iter_mut().zip(&lane.0) {
                // Relaxed: a statistic.
                *total += counter.load(Ordering::Relaxed);
            }
        }
        sum
    }
}

/// A shard's counts as it has last published them.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Published([AtomicU64; SHARD_COUNTS]);

impl Published {
    /// Replaces what was published. Shard thread only.
    pub(crate) fn publish(&self, counts: &Counts) {
        let mut counts = *counts;
        for (cell, count) in self.0.iter().zip(counts.each()) {
            // Relaxed: a statistic; who needs it exact waits for a flush, whose reply orders it.
            cell.store(*count, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Counts {
        let mut counts = Counts::default();
        for (count, cell) in counts.each().into_iter().zip(&self.0) {
            // Relaxed: as in `publish`.
            *count = cell.load(Ordering::Relaxed);
        }
        counts
    }
}

impl Counts {
    pub(crate) fn plus(mut self, mut other: Self) -> Self {
        self.each().into_iter().zip(other.each()).for_each(|(sum, more)| *sum += *more);
        self
    }

    /// All of them, always in the same order.
    fn each(&mut self) -> [&mut u64; SHARD_COUNTS] {
        let Self {
            insertions,
            updates,
            evictions,
            expirations,
            invalidations,
            rejected,
            panics,
            events_dropped,
            len,
            weight,
        } = self;
        [
            insertions,
            updates,
            evictions,
            expirations,
            invalidations,
            rejected,
            panics,
            events_dropped,
            len,
            weight,
        ]
    }
}
