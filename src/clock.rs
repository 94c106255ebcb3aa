//! Time as the cache sees it: nanoseconds since the clock was made, from the system or by hand.
//!
//! Knows nothing of entries; layer: base.

use crate::sync::tally::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A deadline that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// Where a cache reads the time.
///
/// [`Clock::system`] is the default; tests use [`ManualClock`](crate::testing::ManualClock). Cheap to
/// clone; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { origin: Instant },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's monotonic clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System { origin: Instant::now() })
    }

    pub(crate) fn manual(nanos: Arc<AtomicU64>) -> Self {
        Self(Source::Manual(nanos))
    }

    /// Nanoseconds since the clock was made. Costs about as much as a hit: asked only for entries
    /// that can expire.
    pub(crate) fn now(&self) -> u64 {
        match &self.0 {
            Source::System { origin } => saturating_nanos(origin.elapsed()),
            // Relaxed: a test that needs an order between an advance and a read makes it itself.
            Source::Manual(nanos) => nanos.load(Ordering::Relaxed),
        }
    }

    /// Whether a sleeper cannot tell from its own clock when this one will show a given time.
    pub(crate) fn moves_by_hand(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }
}

/// The deadline `after` from `now`, clamped to the last moment before [`NEVER`].
pub(crate) fn deadline(now: u64, after: Duration) -> u64 {
    now.saturating_add(saturating_nanos(after)).min(NEVER - 1)
}

/// A duration in nanoseconds; 584 years and more are one.
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
