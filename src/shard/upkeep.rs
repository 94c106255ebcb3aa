//! What befalls residents between folds: eviction, expiry, the sweep after an eviction of a scope, and the
//! end.
//!
//! The other half of [`Fold`]: it takes entries out of store and index together, a bounded slice at a
//! time, and shows the counts. Nothing here looks at a chain or runs `Eq`. Layer: shard.

use super::Shard;
use super::budget::Bound;
use super::command::Visitor;
use super::entry::{Entry, EntryRef};
use super::fold::Fold;
use super::foregone::End;
use super::graves::Remains;
use super::groups::Group;
use super::scopes::Age;
use crate::removal::RemovalCause;
use crate::scope::node::Node;
use crate::scope::{GLOBAL, ScopeStamp};
use crate::stats::Counts;
use crate::store::{Slot, Store};
use crate::sync::tally;
use std::sync::Arc;

/// Timers that one turn looks at.
const EXPIRY_SLICE: u32 = 256;
/// Entries that one turn takes out after evictions of scopes, and scopes and slots that it looks at. As many again it takes out
/// of groups that have ended.
pub(super) const SLICE: u32 = 1024;

/// What happens to an entry once it has left its chain. All but the first and the last are decided
/// together with taking the entry, so each entry departs once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the store.
    Resides(Slot),
    /// It leaves the cache.
    Departs(RemovalCause),
    /// It leaves because its scope was evicted while it was alive, and is counted.
    Evicted,
    /// It leaves because its group ended while it was alive, and is counted.
    Cleared,
    /// It was submitted after its scope had been evicted, or its group had ended.
    Late,
    /// So was this, and it was loaded: as of any load that was overtaken, nobody hears of it.
    Unpublished,
    /// It was not kept.
    Rejected,
    /// A remover took it first: its farewell will see to it.
    Taken,
}

impl<K, V> Fold<K, V> {
    /// Evicts until all shards together are within the capacity, or this shard has paid its part
    /// (`all_shares`: even below its share). First goes what the sweep under way would take next.
    pub(super) fn evict(&mut self, shard: &Shard<K, V>, all_shares: bool) -> Bound {
        loop {
            let bound = self.budget.book(self.store.weight());
            if bound != Bound::Broken {
                return bound;
            }
            let mut evicted = false;
            while all_shares || self.budget.must_pay(self.store.weight(), self.store.len()) {
                let Some(slot) = self.next_swept().or_else(|| self.store.victim()) else { break };
                if !self.budget.claim(u64::from(self.store.weight_of(slot))) {
                    break;
                }
                self.take_out(shard, slot, RemovalCause::Capacity);
                evicted = true;
            }
            if !evicted {
                return self.budget.book(self.store.weight());
            }
            self.account(shard);
        }
    }

    /// Evicts until no group has more entries here than it may.
    pub(super) fn thin_out(&mut self, shard: &Shard<K, V>) {
        loop {
            let Self { groups, store, .. } = self;
            let spare = |slot| store.at(slot).is_some_and(|entry| entry.forget_read(store.birth()));
            let Some(slot) = groups.victim(spare) else { return };
            self.take_out(shard, slot, RemovalCause::Capacity);
        }
    }

    /// Takes out residents of a group that has ended: a bounded slice of them. When it is through, how many
    /// live entries that were.
    pub(super) fn sweep_group(
        &mut self,
        shard: &Shard<K, V>,
        group: &Arc<Group<K, V>>,
    ) -> Result<u64, u64> {
        let mut count = self.groups.collect(group);
        let mut left = SLICE;
        while let Some(slot) = self.groups.first_of(group).filter(|_| left > 0) {
            left -= 1;
            // Also of an entry that an eviction has ended since: that one's command comes after this.
            let fate = self.take(slot, |_, _| Fate::Departs(RemovalCause::Scope));
            count += u64::from(fate == Fate::Departs(RemovalCause::Scope));
            self.see_out(shard, slot, fate);
        }
        if left == 0 {
            return Err(count);
        }
        self.groups.end(group);
        Ok(count)
    }

    /// Tells of what has left and shows the counts: before the capacity is given back, because another
    /// shard may answer a flush as soon as it sees that there is room.
    fn account(&mut self, shard: &Shard<K, V>) {
        self.departures.announce();
        self.publish_counts(shard);
    }

    /// Takes out what has expired, a bounded slice of it. Returns when it wants to be called again.
    pub(super) fn expire(&mut self, shard: &Shard<K, V>) -> Option<u64> {
        self.store.next_timer()?;
        let now = self.clock.now();
        let mut budget = EXPIRY_SLICE;
        while let Some(slot) = self.store.next_expired(now, &mut budget) {
            self.take_out(shard, slot, RemovalCause::Expired);
        }
        if self.store.more_due() {
            Some(0)
        } else {
            self.store.next_timer().map(|at| at.saturating_sub(now))
        }
    }

    /// Takes out residents that the eviction of a scope ended, as many as `budget` allows. When it is through, how many
    /// live entries the eviction removed here.
    pub(super) fn sweep(
        &mut self,
        shard: &Shard<K, V>,
        node: &Arc<Node>,
        budget: &mut u32,
    ) -> Option<u64> {
        let mut sweep = self.scopes.sweep.unwrap_or_else(|| self.scopes.begin(node));
        if node.number() == GLOBAL {
            self.sweep_slots(shard, &mut sweep.slots, budget);
        }
        self.scopes.sweep = Some(sweep);
        while let Some(number) = sweep.at.filter(|_| *budget > 0) {
            *budget -= 1;
            if let Some(slot) = self.next_swept() {
                self.take_out(shard, slot, RemovalCause::Scope);
                continue;
            }
            sweep.count += self.scopes.collect(number);
            sweep.at = self.scopes.after(number, node.number());
            self.scopes.sweep = Some(sweep);
        }
        if sweep.at.is_some() || *budget == 0 {
            return None;
        }
        self.scopes.sweep = None;
        self.scopes.answer(node);
        Some(sweep.count)
    }

    /// The next resident that the sweep under way takes out of the scope that it stands on.
    fn next_swept(&self) -> Option<Slot> {
        let slot = self.scopes.first_of(self.scopes.sweep?.at?)?;
        self.store
            .at(slot)
            .is_some_and(|entry| self.scopes.is_settled(entry.get().stamp()))
            .then_some(slot)
    }

    /// Takes out what was ended among the next slots of all.
    fn sweep_slots(&mut self, shard: &Shard<K, V>, from: &mut Slot, budget: &mut u32) {
        // There may be fewer slots than there were when the last slice ended.
        let until = from.saturating_add(*budget).min(self.store.slots()).max(*from);
        for slot in *from..until {
            let entry = self.store.at(slot);
            if entry.is_some_and(|entry| self.scopes.is_settled(entry.get().stamp())) {
                self.take_out(shard, slot, RemovalCause::Scope);
            }
        }
        *budget -= until - std::mem::replace(from, until);
    }

    /// Takes a resident out of store and index.
    pub(super) fn take_out(&mut self, shard: &Shard<K, V>, slot: Slot, cause: RemovalCause) {
        let fate = self.take(slot, |fold, entry| {
            if fold.scopes.age(entry.stamp()) != Age::Current {
                Fate::Evicted
            } else if fold.groups.has_ended(&entry.key) {
                Fate::Cleared
            } else {
                Fate::Departs(cause)
            }
        });
        self.see_out(shard, slot, fate);
    }

    /// Claims a resident; what becomes of it if it was there to be claimed and has not expired, `fate` says.
    fn take(&self, slot: Slot, fate: impl FnOnce(&Self, &Entry<K, V>) -> Fate) -> Fate {
        let entry = self.store.at(slot).expect("a slot that is taken out is in use");
        if !entry.get().take_by_shard() {
            Fate::Taken
        } else if entry.seen().has_expired(&self.clock) {
            Fate::Departs(RemovalCause::Expired)
        } else {
            fate(self, entry.get())
        }
    }

    fn see_out(&mut self, shard: &Shard<K, V>, slot: Slot, fate: Fate) {
        let entry = self.expel(slot, fate == Fate::Departs(RemovalCause::Capacity));
        self.withdraw(shard, entry);
        self.see_off(entry, fate);
    }

    /// Carries out what was decided about an entry that has left its chain, index and store, or has
    /// come to stay.
    pub(super) fn see_off(&mut self, entry: EntryRef<K, V>, fate: Fate) {
        match fate {
            Fate::Resides(slot) => entry.set_slot(Some(slot)),
            Fate::Departs(cause) => self.departures.depart(entry, cause),
            Fate::Evicted => {
                self.scopes.owe(entry.get().stamp());
                self.forgo(entry, End::Evicted);
            }
            Fate::Cleared => {
                self.groups.owe(&entry.get().key);
                self.forgo(entry, End::Cleared);
            }
            Fate::Late => self.departures.depart(entry, RemovalCause::Scope),
            Fate::Unpublished => self.departures.retire(Remains::Entry(entry, None)),
            Fate::Rejected => self.departures.reject(entry),
            Fate::Taken => entry.set_slot(None),
        }
    }

    /// Counts what an eviction or a clear has ended, and keeps it in mind until that is settled.
    fn forgo(&mut self, entry: EntryRef<K, V>, end: End) {
        self.departures.count(RemovalCause::Scope);
        if self.is_settled(entry.get(), end) {
            self.departures.tell(entry, RemovalCause::Scope);
        } else {
            self.foregone.keep(entry, end);
        }
    }

    /// Lets go of what was kept in mind for an eviction or a clear that is settled.
    pub(super) fn let_go(&mut self) {
        let mut foregone = std::mem::take(&mut self.foregone);
        for entry in foregone.forget(|entry, end| self.is_settled(entry, end)) {
            self.departures.tell(entry, RemovalCause::Scope);
        }
        self.foregone = foregone;
    }

    fn is_settled(&self, entry: &Entry<K, V>, end: End) -> bool {
        match end {
            End::Evicted => self.scopes.is_settled(entry.stamp()),
            End::Cleared => self.groups.is_settled(&entry.key),
        }
    }

    /// Brings a resident into the store.
    pub(super) fn admit(&mut self, entry: EntryRef<K, V>, weight: u32) -> Slot {
        let slot = self.store.insert(entry, weight);
        let Self { scopes, store, .. } = self;
        scopes.admit(slot, entry.get().stamp(), weight, |other| stamp_at(store, other));
        self.groups.admit(slot, &entry.get().key, weight);
        slot
    }

    /// Puts a resident in the place of an older one of its key.
    pub(super) fn exchange(&mut self, slot: Slot, entry: EntryRef<K, V>, weight: u32) {
        let old_weight = self.store.weight_of(slot);
        let old = self.store.replace(slot, entry, weight);
        let Self { scopes, store, .. } = self;
        let (old, new) = (old.get().stamp(), entry.get().stamp());
        let of = |other| stamp_at(store, other);
        scopes.exchange(slot, (old, old_weight), (new, weight), of);
        self.groups.renew(slot, &entry.get().key, (old_weight, weight));
    }

    /// Takes a resident out of the store; whether it is evicted for the capacity.
    pub(super) fn expel(&mut self, slot: Slot, evicted: bool) -> EntryRef<K, V> {
        let weight = self.store.weight_of(slot);
        let entry = self.store.remove(slot);
        self.scopes.expel(slot, entry.get().stamp(), weight, evicted);
        self.groups.expel(slot, &entry.get().key, weight, evicted);
        if let Some(segment) = self.store.vacated() {
            self.scopes.vacate(segment);
            self.groups.vacate(segment);
        }
        entry
    }

    /// Takes an entry out of the index.
    pub(super) fn withdraw(&mut self, shard: &Shard<K, V>, entry: EntryRef<K, V>) {
        let outsized = self.writer.withdraw(&shard.index, entry);
        self.departures.retire_table(outsized);
    }

    /// Goes on with the index's change of size, and says whether there is more of it.
    pub(super) fn rest_index(&mut self, shard: &Shard<K, V>) -> bool {
        let (outsized, more) = self.writer.rest(&shard.index);
        self.departures.retire_table(outsized);
        more
    }

    /// Shows `visitor` every resident of a scope that is alive.
    pub(super) fn visit(&self, node: &Arc<Node>, visitor: Visitor<K, V>) {
        let number = node.number();
        let pair = |entry: EntryRef<K, V>| {
            let is_there = entry.get().stamp() == node.now();
            is_there.then(|| entry.pair(&self.store, &self.clock)).flatten()
        };
        let slots = self.scopes.residents(number).filter_map(|slot| self.store.at(slot));
        self.departures.panics.catch(|| match number {
            GLOBAL => visitor(&mut self.store.iter().filter_map(|(_, entry)| pair(entry))),
            _ => visitor(&mut slots.filter_map(pair)),
        });
    }

    /// Whether a shard with these counts evicts its own entries while the cache is over.
    pub(super) fn must_pay(&self, counts: &Counts) -> bool {
        self.budget.must_pay(counts.weight, counts.len)
    }

    /// Shows readers the tick that they leave in what they read.
    pub(super) fn show_tick(&self, shard: &Shard<K, V>) {
        let tick = self.store.tick();
        // Relaxed: only this thread writes it.
        if shard.tick.load(tally::Ordering::Relaxed) != tick {
            // Relaxed: recency is advice. Only when it has changed, for it is beside what every read reads.
            shard.tick.store(tick, tally::Ordering::Relaxed);
        }
    }

    pub(super) fn publish_counts(&mut self, shard: &Shard<K, V>) {
        let counts = &mut self.departures.counts;
        counts.len = self.store.len();
        counts.weight = self.store.weight();
        counts.panics = self.departures.panics.total();
        shard.published.publish(counts);
        self.scopes.publish();
        self.groups.publish();
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
        for entry in self.foregone.forget(|_, _| true) {
            self.departures.tell(entry, RemovalCause::Scope);
        }
        self.departures.announce();
        self.budget.book(0);
        let residents: Vec<_> = self.store.iter().map(|(slot, _)| slot).collect();
        for slot in residents {
            let entry = self.expel(slot, false);
            self.withdraw(shard, entry);
            self.departures.retire(Remains::Entry(entry, None));
        }
        self.departures.bury_all();
    }
}

/// The stamp of a resident.
fn stamp_at<K, V>(store: &Store<EntryRef<K, V>>, slot: Slot) -> ScopeStamp {
    let entry = store.at(slot).expect("a slot on a roll is in use");
    entry.get().stamp()
}
