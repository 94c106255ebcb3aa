//! What befalls residents between folds: eviction, expiry, the sweep after a clear, and the end.
//!
//! The other half of [`Fold`]: it takes entries out of store and index together, a bounded slice at a
//! time, and shows the counts. Nothing here looks at a chain or runs `Eq`. Layer: shard.

use super::Shard;
use super::entry::Validity;
use super::fold::Fold;
use super::graves::Remains;
use crate::removal::RemovalCause;
use crate::stats::Counts;
use crate::store::Slot;
use crate::sync::tally;

/// Timers that one turn looks at.
const EXPIRY_SLICE: u32 = 256;
/// Slots that one turn sweeps after a clear.
const SWEEP_SLICE: u32 = 1024;

impl<K, V> Fold<K, V> {
    /// Evicts until all shards together are within the capacity, or this shard has paid its part
    /// (`all_shares`: even below its share). Returns whether they still are over.
    pub(super) fn evict(&mut self, shard: &Shard<K, V>, generation: u64, all_shares: bool) -> bool {
        let mut freed = 0;
        loop {
            if freed > 0 {
                self.account(shard);
            }
            let excess = self.budget.book(self.store.weight());
            freed = 0;
            // For others one by one, because all of them are asked at once and one may be enough.
            while freed < if all_shares { excess.min(1) } else { excess } {
                let pays =
                    all_shares || self.budget.must_pay(self.store.weight(), self.store.len());
                let Some(slot) = self.store.victim().filter(|_| pays) else {
                    self.account(shard);
                    self.budget.book(self.store.weight());
                    return true;
                };
                freed += u64::from(self.store.weight_of(slot));
                self.take_out(shard, slot, RemovalCause::Capacity, generation);
            }
            if excess == 0 {
                return false;
            }
        }
    }

    /// Tells of what has left and shows the counts: before the capacity is given back, because another
    /// shard may answer a flush as soon as it sees that there is room.
    fn account(&mut self, shard: &Shard<K, V>) {
        self.departures.announce();
        self.publish_counts(shard);
    }

    /// Takes out what has expired, a bounded slice of it. Returns when it wants to be called again.
    pub(super) fn expire(&mut self, shard: &Shard<K, V>, generation: u64) -> Option<u64> {
        self.store.next_timer()?;
        let now = self.clock.now();
        let mut budget = EXPIRY_SLICE;
        while let Some(slot) = self.store.next_expired(now, &mut budget) {
            self.take_out(shard, slot, RemovalCause::Expired, generation);
        }
        if self.store.more_due() {
            Some(0)
        } else {
            self.store.next_timer().map(|at| at.saturating_sub(now))
        }
    }

    /// Takes out residents that were cleared, beginning at slot `from`: a bounded slice of them.
    /// Returns where to go on, or nothing when it is through.
    pub(super) fn sweep(
        &mut self,
        shard: &Shard<K, V>,
        from: Slot,
        generation: u64,
    ) -> Option<Slot> {
        let until = from.saturating_add(SWEEP_SLICE).min(self.store.slots());
        for slot in from..until {
            let cleared = self
                .store
                .at(slot)
                .is_some_and(|entry| entry.get().stamp().generation() < generation);
            if cleared {
                self.take_out(shard, slot, RemovalCause::Removed, generation);
            }
        }
        (until < self.store.slots()).then_some(until)
    }

    /// Takes a resident out of store and index.
    pub(super) fn take_out(
        &mut self,
        shard: &Shard<K, V>,
        slot: Slot,
        cause: RemovalCause,
        generation: u64,
    ) {
        let entry = self.store.remove(slot);
        self.writer.withdraw(&shard.index, entry);
        if !entry.get().take_by_shard() {
            entry.set_slot(None);
        } else if entry.get().stamp().generation() < generation
            && !entry.seen().has_expired(&self.clock)
        {
            self.departures.depart_cleared(entry);
        } else if entry.seen().has_expired(&self.clock) {
            self.departures.depart(entry, RemovalCause::Expired);
        } else {
            self.departures.depart(entry, cause);
        }
    }

    /// Every resident that is alive.
    pub(super) fn residents(&self, generation: u64) -> impl Iterator<Item = (&K, &V)> {
        let validity = Validity::new(&self.clock, generation);
        self.store.iter().filter_map(move |(_, entry)| entry.pair(&self.store, validity))
    }

    /// Whether a shard with these counts evicts its own entries while the cache is over.
    pub(super) fn must_pay(&self, counts: &Counts) -> bool {
        self.budget.must_pay(counts.weight, counts.len)
    }

    /// Shows readers the tick that they leave in what they read.
    pub(super) fn show_tick(&self, shard: &Shard<K, V>) {
        // Relaxed: recency is advice.
        shard.tick.store(self.store.tick(), tally::Ordering::Relaxed);
    }

    pub(super) fn publish_counts(&mut self, shard: &Shard<K, V>) {
        let counts = &mut self.departures.counts;
        counts.len = self.store.len();
        counts.weight = self.store.weight();
        counts.panics = self.departures.panics.total();
        shard.published.publish(counts);
    }

    /// Gives up a store that may be in any state: it is leaked, but the other shards do not wait for its
    /// part of the capacity, nor subscribers for its events.
    pub(super) fn give_up(mut self) {
        self.budget.book(0);
        self.departures.unsubscribe();
        std::mem::forget(self);
    }

    /// Frees every entry. The caller has seen to it that no reader is left.
    pub(super) fn raze(&mut self, shard: &Shard<K, V>) {
        self.departures.announce();
        self.budget.book(0);
        let residents: Vec<_> = self.store.iter().map(|(slot, _)| slot).collect();
        for slot in residents {
            let entry = self.store.remove(slot);
            self.writer.withdraw(&shard.index, entry);
            self.departures.retire(Remains::Entry(entry, None));
        }
        self.departures.bury_all();
    }
}
