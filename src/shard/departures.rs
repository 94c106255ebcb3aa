//! What a shard owes the world for entries that left: counts, the listener, events, and at last their
//! destruction.
//!
//! Runs all user code that concerns departed entries, each call in `catch_unwind`, on the shard
//! thread. Knows neither the store nor the index. Layer: shard.

use super::entry::EntryRef;
use super::graves::{Departed, Graves, Remains};
use crate::removal::{Removal, RemovalCause};
use crate::stats::Counts;
use crate::sync::reclaim::Guard;
use crossbeam_channel::{Sender, TrySendError};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Told of every entry that leaves.
pub(crate) type Listener<K, V> = Arc<dyn Fn(&K, &V, RemovalCause) + Send + Sync>;

/// The books of one shard.
pub(super) struct Departures<K, V> {
    pub(super) counts: Counts,
    /// Entries that left since the listener was last called.
    left: Vec<(EntryRef<K, V>, RemovalCause)>,
    graves: Graves<K, V>,
    listener: Option<Listener<K, V>>,
    subscribers: Vec<Sender<Arc<Removal<K, V>>>>,
    pub(super) panics: Panics,
}

/// Counts panics of user code and keeps them from going further.
#[derive(Default)]
pub(super) struct Panics(Cell<u64>);

impl Panics {
    /// What `f` returns, or nothing if it panicked.
    pub(super) fn catch<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let result = catch_unwind(AssertUnwindSafe(f));
        result.map_err(|payload| self.count(payload)).ok()
    }

    fn count(&self, payload: Box<dyn std::any::Any + Send>) {
        self.0.set(self.0.get() + 1);
        // The payload is the user's too: its destructor may panic in its turn.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.get()
    }
}

impl<K, V> Departures<K, V> {
    pub(super) fn new(listener: Option<Listener<K, V>>) -> Self {
        Self {
            counts: Counts::default(),
            left: Vec::new(),
            graves: Graves::new(),
            listener,
            subscribers: Vec::new(),
            panics: Panics::default(),
        }
    }

    pub(super) fn subscribe(&mut self, subscriber: Sender<Arc<Removal<K, V>>>) {
        self.subscribers.push(subscriber);
    }

    /// Ends all streams. What nobody took out of one that was dropped goes with it.
    pub(super) fn unsubscribe(&mut self) {
        for subscriber in self.subscribers.drain(..) {
            self.panics.catch(|| drop(subscriber));
        }
    }

    /// Books an entry that has left chain, index and store, and that the shard alone can retire.
    pub(super) fn depart(&mut self, entry: EntryRef<K, V>, cause: RemovalCause) {
        match cause {
            RemovalCause::Replaced => {}
            RemovalCause::Removed | RemovalCause::Scope => self.counts.invalidations += 1,
            RemovalCause::Expired => self.counts.expirations += 1,
            RemovalCause::Capacity => self.counts.evictions += 1,
        }
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

    /// Tells the listener of all that left and hands it to the graves.
    pub(super) fn announce(&mut self) {
        // Taken out, because the listener may do anything but reach this list again in its call.
        let mut left = std::mem::take(&mut self.left);
        for (entry, cause) in left.drain(..) {
            if let (Some(listener), Some(value)) = (&self.listener, entry.get().value()) {
                self.panics.catch(|| listener(&entry.get().key, value, cause));
            }
            self.graves.retire(Remains::Entry(entry, Some(cause)));
        }
        self.left = left;
    }

    /// Closes the batch of what was retired since the last call.
    pub(super) fn seal(&mut self, pinned: &Guard) {
        self.graves.seal(pinned);
    }

    /// Frees what is due. Runs destructors: not under a pin.
    pub(super) fn bury(&mut self) {
        let Self { graves, subscribers, counts, panics, .. } = self;
        while graves.bury(|departed| drop_or_send(departed, subscribers, counts, panics)) {}
    }

    /// Whether something is still to be freed.
    pub(super) fn has_graves(&self) -> bool {
        !self.graves.is_empty()
    }

    /// Frees everything. The caller has seen to it that no reader is left.
    pub(super) fn bury_all(&mut self) {
        let Self { graves, subscribers, counts, panics, .. } = self;
        graves.bury_all(|departed| drop_or_send(departed, subscribers, counts, panics));
        self.unsubscribe();
    }
}

/// The end of a key and a value: they go to the subscribers or are dropped here.
fn drop_or_send<K, V>(
    (key, value, cause): Departed<K, V>,
    subscribers: &mut Vec<Sender<Arc<Removal<K, V>>>>,
    counts: &mut Counts,
    panics: &Panics,
) {
    let (value, cause) = match (value, cause) {
        (Some(value), Some(cause)) if !subscribers.is_empty() => (value, cause),
        (value, _) => {
            // One by one: a key whose destructor panics must not leak its value.
            panics.catch(|| drop(key));
            panics.catch(|| drop(value));
            return;
        }
    };
    let removal = Arc::new(Removal::new(key, value, cause));
    let mut at = 0;
    while let Some(subscriber) = subscribers.get(at) {
        match subscriber.try_send(Arc::clone(&removal)) {
            Ok(()) => at += 1,
            Err(TrySendError::Full(refused)) => {
                counts.events_dropped += 1;
                panics.catch(|| drop(refused));
                at += 1;
            }
            Err(TrySendError::Disconnected(_)) => {
                // Nobody listens: what was left in the stream goes with its last sender.
                let gone = subscribers.swap_remove(at);
                panics.catch(|| drop(gone));
            }
        }
    }
    panics.catch(|| drop(removal));
}
