//! The capacity that all shards of a cache share, and one shard's part in it. Layer: shard.
//!
//! Shards add and subtract what their entries weigh, once a fold, so the bound is one number for the
//! whole cache and no shard evicts while there is room. Who is over its share pays; see
//! [`Budget::due`]. What is over is seen by all, so who is to pay claims a part of it first, and nobody else
//! evicts for that.

use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// The most that all entries together may weigh, and what they weigh now.
pub(crate) struct Capacity {
    limit: u64,
    shards: u64,
    used: AtomicU64,
    /// What is used, without what shards have claimed and not evicted yet. Below zero for a moment, if entries leave by
    /// themselves meanwhile.
    planned: AtomicU64,
}

impl Capacity {
    pub(crate) fn new(limit: u64, shards: usize) -> Self {
        let (used, planned) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limit, shards: shards as u64, used, planned }
    }

    /// How much a plan is over. Weights are sums of 32-bit ones, so half of the numbers are for what is below zero.
    fn excess(&self, planned: u64) -> u64 {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        u64::try_from((planned as i64).saturating_sub(limit)).unwrap_or(0)
    }
}

/// How all shards together stand to the capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    /// They are within it.
    Holds,
    /// They are not yet: others have claimed all that is over.
    InHand,
    /// They are over it, and nobody has claimed that.
    Broken,
}

/// One shard's account.
pub(crate) struct Budget {
    common: Arc<Capacity>,
    booked: u64,
    /// Its part in what is planned.
    planned: u64,
}

impl Budget {
    pub(crate) fn new(common: Arc<Capacity>) -> Self {
        Self { common, booked: 0, planned: 0 }
    }

    pub(super) fn limit(&self) -> u64 {
        self.common.limit
    }

    /// Books what the shard's entries weigh now, all of it: nothing is claimed any more.
    pub(crate) fn book(&mut self, weight: u64) -> Bound {
        let used = self.use_now(weight);
        let change = weight.wrapping_sub(std::mem::replace(&mut self.planned, weight));
        if change != 0 {
            // Relaxed: arithmetic on one variable, which says who evicts and hands nothing on. Two's complement: less
            // wraps and subtracts.
            self.common.planned.fetch_add(change, Ordering::Relaxed);
        }
        if used <= self.common.limit {
            return Bound::Holds;
        }
        // Relaxed: as above.
        match self.common.excess(self.common.planned.load(Ordering::Relaxed)) {
            0 => Bound::InHand,
            _ => Bound::Broken,
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

    /// Claims what nobody has of what all shards together are over, but not more than `most`. Who claimed it evicts it, and
    /// books then.
    pub(crate) fn claim(&mut self, most: u64) -> u64 {
        let Self { common, planned: own, .. } = self;
        let claimed = |planned| common.excess(planned).min(most);
        // Relaxed: arithmetic on one variable, which says who evicts and hands nothing on.
        let before = common.planned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |planned| {
            (claimed(planned) > 0).then(|| planned.wrapping_sub(claimed(planned)))
        });
        let claimed = before.map_or(0, claimed);
        *own = own.wrapping_sub(claimed);
        claimed
    }

    /// How much a shard of this weight and length evicts of its own entries at most while the cache is over: what it
    /// has above its share, unless all of that is one entry that may well be heavier.
    pub(super) fn due(&self, weight: u64, entries: u64) -> u64 {
        if entries > 1 { weight.saturating_sub(self.common.limit / self.common.shards) } else { 0 }
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
    fn what_is_over_is_claimed_once() {
        let [mut one, mut other] = budgets(10);
        assert_eq!((one.book(9), other.book(6)), (Bound::Holds, Bound::Broken));
        assert_eq!((one.claim(4), other.claim(4), one.claim(4)), (4, 1, 0));
        assert_eq!(Budget::new(Arc::clone(&one.common)).book(0), Bound::InHand);
        assert_eq!((one.book(5), other.book(5)), (Bound::InHand, Bound::Holds));
    }

    #[test]
    fn what_was_claimed_in_vain_is_for_others() {
        let [mut one, mut other] = budgets(10);
        assert_eq!(one.book(13), Bound::Broken);
        assert_eq!((one.claim(3), other.claim(3)), (3, 0));
        assert_eq!(one.book(12), Bound::Broken);
        assert_eq!(other.claim(3), 2);
    }

    #[test]
    fn a_plan_may_be_below_zero_and_a_limit_beyond_all_numbers() {
        let [mut one, mut other] = budgets(2);
        assert_eq!((one.book(3), other.claim(1)), (Bound::Broken, 1));
        assert_eq!((one.book(0), one.claim(9)), (Bound::Holds, 0));
        assert_eq!(
            (other.book(0), one.book(2), one.book(3)),
            (Bound::Holds, Bound::Holds, Bound::Broken)
        );
        let [mut one, _] = budgets(u64::MAX);
        assert_eq!((one.book(5), one.claim(9)), (Bound::Holds, 0));
    }
}
