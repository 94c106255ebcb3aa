//! The capacity that all shards of a cache share, and one shard's part in it. Layer: shard.
//!
//! Shards add and subtract what their entries weigh, once a fold, so the bound is one number for the
//! whole cache and no shard evicts while there is room. Who is over its share pays; see
//! [`Budget::must_pay`].

use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// The most that all entries together may weigh, and what they weigh now.
pub(crate) struct Capacity {
    limit: u64,
    shards: u64,
    used: AtomicU64,
}

impl Capacity {
    pub(crate) fn new(limit: u64, shards: usize) -> Self {
        Self { limit, shards: shards as u64, used: AtomicU64::new(0) }
    }
}

/// One shard's account.
pub(crate) struct Budget {
    common: Arc<Capacity>,
    booked: u64,
}

impl Budget {
    pub(crate) fn new(common: Arc<Capacity>) -> Self {
        Self { common, booked: 0 }
    }

    pub(super) fn limit(&self) -> u64 {
        self.common.limit
    }

    /// Books what the shard's entries weigh now; returns how much all shards together are over.
    pub(crate) fn book(&mut self, weight: u64) -> u64 {
        let change = weight.wrapping_sub(self.booked);
        if change == 0 {
            // Acquire: as below [edge: room].
            return self.common.used.load(Ordering::Acquire).saturating_sub(self.common.limit);
        }
        self.booked = weight;
        // AcqRel: whoever sees the room sees the counts of the shard that made it [edge: room]. The sum
        // is one variable: whoever makes it too large sees that in its own addition. Two's complement: a
        // smaller weight wraps and subtracts.
        let used = self.common.used.fetch_add(change, Ordering::AcqRel).wrapping_add(change);
        used.saturating_sub(self.common.limit)
    }

    /// Whether a shard of this weight and length evicts its own entries while the cache is over: it
    /// has more than its share, and not all of that is one entry that may well be heavier.
    pub(super) fn must_pay(&self, weight: u64, entries: u64) -> bool {
        entries > 1 && weight > self.common.limit / self.common.shards
    }
}
