//! Help for tests of code that uses the cache: a clock that moves only by hand. Layer: base.

use crate::clock::{Clock, saturating_nanos};
use crate::sync::tally::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// A clock that shows the same time until it is told otherwise.
///
/// Clones are the same clock. Entries are never returned once the clock has reached their deadline.
/// The shards look at the clock about every millisecond of real time; they take an expired entry out
/// once the clock stands at least two milliseconds after its deadline.
///
/// ```
/// use cacheado::{CacheHandle, testing::ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let cache = CacheHandle::builder()
///     .time_to_live(Duration::from_secs(60))
///     .clock(clock.clock())
///     .build()?;
/// cache.insert("k", 1);
/// clock.advance(Duration::from_secs(59));
/// assert_eq!(cache.get("k"), Some(1));
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(cache.get("k"), None);
/// # Ok::<(), cacheado::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward, for every cache that was given it. Stops at 584 years.
    pub fn advance(&self, by: Duration) {
        let by = saturating_nanos(by);
        // Relaxed: the clock orders nothing but itself; it only ever grows.
        let _ = self
            .nanos
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_add(by)));
    }

    /// The clock, to be given to [`CacheBuilder::clock`](crate::CacheBuilder::clock).
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::manual(Arc::clone(&self.nanos))
    }
}
