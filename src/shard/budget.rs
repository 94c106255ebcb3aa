//! The capacity that all shards of a cache share, and one shard's part in it. Layer: shard.
//!
//! Shards add and subtract what their entries weigh, once a fold, so the bound is one number for the
//! whole cache and no shard evicts while there is room. Who is over its share pays; see
//! [`Budget::must_pay`]. What is over is seen by all, so who is to pay claims each entry before it leaves, and nobody
//! else evicts for what that one makes room for.

use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// The most that all entries together may weigh, and what they weigh now.
pub(crate) struct Capacity {
    limit: u64,
    shards: u64,
    used: AtomicU64,
    /// What is used, without the entries that shards have claimed and not booked as gone yet.
    planned: AtomicU64,
}

impl Capacity {
    pub(crate) fn new(limit: u64, shards: usize) -> Self {
        let (used, planned) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limit, shards: shards as u64, used, planned }
    }
}

/// How all shards together stand to the capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    /// They are within it.
    Holds,
    /// They are not yet: others have claimed enough.
    InHand,
    /// They are over it, also without what is claimed.
    Broken,
}

/// One shard's account.
pub(crate) struct Budget {
    common: Arc<Capacity>,
    booked: u64,
    /// Its part in what is planned: what is booked, without what it has claimed since.
    planned: u64,
}

impl Budget {
    pub(crate) fn new(common: Arc<Capacity>) -> Self {
        Self { common, booked: 0, planned: 0 }
    }

    pub(super) fn limit(&self) -> u64 {
        self.common.limit
    }

    /// Books what the shard's entries weigh now.
    pub(crate) fn book(&mut self, weight: u64) -> Bound {
        // Planned is never above used, lest somebody evict for what has just left by itself.
        if weight < self.planned {
            self.plan(weight);
        }
        let used = self.use_now(weight);
        self.plan(weight);
        if used <= self.common.limit {
            return Bound::Holds;
        }
        // Relaxed: arithmetic on one variable, which says who evicts and hands nothing on.
        if self.common.planned.load(Ordering::Relaxed) <= self.common.limit {
            Bound::InHand
        } else {
            Bound::Broken
        }
    }

    fn plan(&mut self, weight: u64) {
        let change = weight.wrapping_sub(std::mem::replace(&mut self.planned, weight));
        if change != 0 {
            // Relaxed: as in `book`. Two's complement: less wraps and subtracts.
            self.common.planned.fetch_add(change, Ordering::Relaxed);
        }
    }

    /// What all shards together use.
    fn use_now(&mut self, weight: u64) -> u64 {
        let change = weight.wrapping_sub(self.booked);
        if change == 0 {
            // Acquire: as below [edge: room].
            return self.common.used.load(Ordering::Acquire);
        }
        self.booked = weight;
        // AcqRel: whoever sees the room sees the counts of the shard that made it [edge: room]. The sum
        // is one variable: whoever makes it too large sees that in its own addition. Two's complement: a
        // smaller weight wraps and subtracts.
        self.common.used.fetch_add(change, Ordering::AcqRel).wrapping_add(change)
    }

    /// Claims one of the shard's entries, of this weight, if all shards together are over without what is claimed
    /// already. Who claimed it evicts it, and then books.
    pub(crate) fn claim(&mut self, weight: u64) -> bool {
        let Capacity { planned, limit, .. } = &*self.common;
        let claim = |planned| (planned > *limit).then(|| planned - weight);
        // Relaxed: as in `book`.
        let claimed = planned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_ok();
        if claimed {
            self.planned -= weight;
        }
        claimed
    }

    /// Whether a shard of this weight and length evicts its own entries while the cache is over: it
    /// has more than its share, and not all of that is one entry that may well be heavier.
    pub(super) fn must_pay(&self, weight: u64, entries: u64) -> bool {
        entries > 1 && weight > self.common.limit / self.common.shards
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Budget, Capacity};
    use std::sync::Arc;

    fn budgets(limit: u64) -> [Budget; 2] {
        let capacity = Arc::new(Capacity::new(limit, 2));
        [Budget::new(Arc::clone(&capacity)), Budget::new(capacity)]
    }

    #[test]
    fn one_entry_is_claimed_for_what_one_entry_is_enough_for() {
        let [mut one, mut other] = budgets(10);
        assert_eq!((one.book(9), other.book(6)), (Bound::Holds, Bound::Broken));
        assert!(one.claim(3) && other.claim(6) && !one.claim(6), "9 - 3, 6 - 6");
        assert_eq!((one.book(6), other.book(0)), (Bound::InHand, Bound::Holds));
    }

    #[test]
    fn what_leaves_by_itself_is_nothing_to_evict_for() {
        let [mut one, mut other] = budgets(10);
        assert_eq!((one.book(9), other.book(6)), (Bound::Holds, Bound::Broken));
        assert_eq!((one.book(4), other.claim(1)), (Bound::Holds, false));
    }

    #[test]
    fn a_limit_may_be_beyond_all_weights() {
        let [mut one, _] = budgets(u64::MAX);
        assert_eq!((one.book(5), one.claim(5)), (Bound::Holds, false));
    }
}
