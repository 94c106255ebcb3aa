//! Grace periods of crossbeam-epoch: for threads that have no lane, and where the system has no barrier.
//!
//! A call that is deferred to the collector says that all have gone who were pinned at its deferral. Pinning now and
//! then runs deferred calls of other threads, so a destructor must never be deferred, or a reader would run it:
//! the call only raises a number. Layer: base.

use super::{AtomicU64, Ordering, reclaim};
use std::sync::Arc;

/// Waits for the readers that the collector knows.
pub(crate) struct Epochs {
    asked: u64,
    answered: Arc<AtomicU64>,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        Self { asked: 0, answered: Arc::new(AtomicU64::new(0)) }
    }

    /// Begins anew: from now on it waits for all that are pinned. What it was asked before is over.
    pub(crate) fn begin(&mut self) {
        self.asked += 1;
        let (asked, answered) = (self.asked, Arc::clone(&self.answered));
        let epoch = reclaim::pin_epoch();
        // Release: the shard that sees the number frees after all those readers [edge: ack].
        epoch.defer(move || answered.store(asked, Ordering::Release));
        epoch.flush();
    }

    /// Whether they have gone. If not, it helps the collector to find out.
    pub(crate) fn is_over(&self) -> bool {
        // Acquire: see `begin` [edge: ack].
        let over = self.answered.load(Ordering::Acquire) == self.asked;
        if !over {
            reclaim::pin_epoch().flush();
        }
        over
    }
}
