//! What a shard owes the world for entries that left: counts, the listener, events, and at last their
//! destruction.
//!
//! Runs all user code that concerns departed entries, each call in `catch_unwind`, on the shard
//! thread. Knows neither the store nor the index. Layer: shard.

use super::blocks::Blocks;
use super::entry::EntryRef;
use super::graves::{Departed, Graves, KEPT, Remains};
use super::index::Table;
use super::panics::Panics;
use super::streams::{Streams, Subscriber};
use crate::removal::{Removal, RemovalCause};
use crate::stats::Counts;
use crate::sync::map::Map;
use crate::sync::reclaim;
use crate::sync::tally::{AtomicU64, Ordering};
use std::sync::Arc;

/// Told of every entry that leaves.
pub(crate) type Listener<K, V> = Arc<dyn Fn(&K, &V, RemovalCause) + Send + Sync>;

/// Listeners of which each is told of some of the keys: those to which `of` gives its number.
pub(crate) struct Listeners<K, V> {
    of: fn(&K) -> u32,
    all: Map<u32, Listener<K, V>>,
    /// Not zero once there is one: a shard asks this before it looks for any.
    are_some: AtomicU64,
}

impl<K, V> Listeners<K, V> {
    pub(crate) fn new(of: fn(&K) -> u32) -> Self {
        Self { of, all: Map::new(), are_some: AtomicU64::new(0) }
    }

    /// Has a listener be told of what leaves that is written after this has returned; again is as once.
    /// The caller keeps it as long as the cache is there, so that the map never drops the last of one.
    pub(crate) fn add(&self, number: u32, listener: &Listener<K, V>) {
        if self.all.find(&number, |_, _| ()).is_none() {
            self.all.insert_new(number, Arc::clone(listener));
        }
        // Relaxed: whoever writes after this has returned brings it to the shard with the write.
        self.are_some.store(1, Ordering::Relaxed);
    }

    fn are_some(&self) -> bool {
        // Relaxed: as above.
        self.are_some.load(Ordering::Relaxed) != 0
    }

    fn find(&self, key: &K) -> Option<Listener<K, V>> {
        // Cloned: while it is looked at nothing that leaves a map is freed, and it may take its time.
        self.all.find(&(self.of)(key), |_, listener| Arc::clone(listener))
    }
}

/// The books of one shard.
pub(super) struct Departures<K, V> {
    pub(super) counts: Counts,
    /// Entries that left since the listener was last called.
    left: Vec<(EntryRef<K, V>, RemovalCause)>,
    graves: Graves<K, V>,
    listener: Option<Listener<K, V>>,
    listeners: Option<Arc<Listeners<K, V>>>,
    streams: Streams<K, V>,
    pub(super) panics: Panics,
    /// Whether the collector has had something since it was visited.
    is_owed_a_visit: bool,
}

/// It is visited as often before sleep: it frees a few calls at a time, those of two visits ago.
const VISITS: u32 = 8;

impl<K, V> Departures<K, V> {
    pub(super) fn new(
        listener: Option<Listener<K, V>>,
        listeners: Option<Arc<Listeners<K, V>>>,
    ) -> Self {
        Self {
            counts: Counts::default(),
            left: Vec::new(),
            graves: Graves::new(),
            listener,
            listeners,
            streams: Streams::default(),
            panics: Panics::default(),
            is_owed_a_visit: false,
        }
    }

    pub(super) fn subscribe(&mut self, subscriber: Subscriber<K, V>) {
        self.streams.add(subscriber, &self.panics);
    }

    /// Ends the streams of a scope that nobody reads any more.
    pub(super) fn forget_streams(&mut self, scope: u32) {
        self.streams.forget(scope, &self.panics);
    }

    /// Ends all streams.
    pub(super) fn unsubscribe(&mut self) {
        self.streams.end(&self.panics);
    }

    /// Books an entry that has left chain, index and store, and that the shard alone can retire.
    pub(super) fn depart(&mut self, entry: EntryRef<K, V>, cause: RemovalCause) {
        self.count(cause);
        self.tell(entry, cause);
    }

    /// Counts an entry of which nobody is told yet.
    pub(super) fn count(&mut self, cause: RemovalCause) {
        match cause {
            RemovalCause::Replaced => {}
            RemovalCause::Removed | RemovalCause::Scope => self.counts.invalidations += 1,
            RemovalCause::Expired => self.counts.expirations += 1,
            RemovalCause::Capacity => self.counts.evictions += 1,
        }
    }

    /// Has all told of an entry that is counted.
    pub(super) fn tell(&mut self, entry: EntryRef<K, V>, cause: RemovalCause) {
        self.left.push((entry, cause));
    }

    /// Books a value that was not kept.
    pub(super) fn reject(&mut self, entry: EntryRef<K, V>) {
        self.counts.rejected += 1;
        self.left.push((entry, RemovalCause::Capacity));
    }

    /// Retires what nobody is told of.
    pub(super) fn retire(&mut self, remains: Remains<K, V>) {
        self.graves.retire(remains);
    }

    /// Retires a table of the index, if another has taken its place.
    pub(super) fn retire_table(&mut self, table: Option<Box<Table<K, V>>>) {
        if let Some(table) = table {
            self.graves.retire(Remains::Table(table));
        }
    }

    /// Tells the listener of all that left and hands it to the graves.
    pub(super) fn announce(&mut self) {
        // Taken out, because the listener may do anything but reach this list again in its call.
        let mut left = std::mem::take(&mut self.left);
        self.announce_parts(&left);
        for (entry, cause) in left.drain(..) {
            if let (Some(listener), Some(value)) = (&self.listener, entry.get().value()) {
                self.panics.catch(|| listener(&entry.get().key, value, cause));
            }
            self.graves.retire(Remains::Entry(entry, Some(cause)));
        }
        self.left = left;
    }

    /// Tells those listeners that are told of some keys only. Nothing is looked for where there are none.
    fn announce_parts(&self, left: &[(EntryRef<K, V>, RemovalCause)]) {
        let listeners = self.listeners.as_deref().filter(|listeners| listeners.are_some());
        let Some(listeners) = listeners else { return };
        for (entry, cause) in left {
            let entry = entry.get();
            if let (Some(listener), Some(value)) = (listeners.find(&entry.key), entry.value()) {
                self.panics.catch(|| listener(&entry.key, value, *cause));
            }
        }
    }

    /// Closes the batch of what was retired, if the one before has been freed.
    pub(super) fn seal(&mut self) {
        self.is_owed_a_visit |= !self.graves.is_empty();
        self.graves.seal();
    }

    /// Frees some of what is due, but for the memory of entries and loads: that goes to `blocks`. Runs destructors: not under a
    /// pin. Whether more is due.
    pub(super) fn bury(&mut self, blocks: &Blocks<K, V>) -> bool {
        let Self { graves, streams, counts, panics, .. } = self;
        graves.bury(blocks, |departed| drop_or_send(departed, streams, counts, panics))
    }

    /// Gives back what is kept for the next entries that leave.
    pub(super) fn rest(&mut self) {
        self.left.shrink_to(KEPT);
        self.graves.rest();
        if std::mem::take(&mut self.is_owed_a_visit) {
            (0..VISITS).for_each(|_| reclaim::tidy());
        }
    }

    /// Whether something is still to be freed.
    pub(super) fn has_graves(&self) -> bool {
        !self.graves.is_empty()
    }

    /// Frees everything. The caller has seen to it that no reader is left.
    pub(super) fn bury_all(&mut self) {
        let Self { graves, streams, counts, panics, .. } = self;
        graves.bury_all(|departed| drop_or_send(departed, streams, counts, panics));
        self.unsubscribe();
    }
}

/// The end of a key and a value: they go to the streams or are dropped here.
fn drop_or_send<K, V>(
    Departed { key, value, stamp, cause }: Departed<K, V>,
    streams: &mut Streams<K, V>,
    counts: &mut Counts,
    panics: &Panics,
) {
    let (value, cause) = match (value, cause) {
        (Some(value), Some(cause)) if streams.await_it(&key, stamp, panics) => (value, cause),
        (value, _) => {
            // One by one: a key whose destructor panics must not leak its value.
            panics.catch(|| drop(key));
            panics.catch(|| drop(value));
            return;
        }
    };
    let removal = Arc::new(Removal::new(key, value, cause));
    counts.events_dropped += streams.send(&removal, stamp, panics);
    panics.catch(|| drop(removal));
}
