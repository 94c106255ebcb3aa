//! Entries that left before the eviction that ended them was settled: each is counted, and remembered until it is.
//!
//! A newer write, from after the eviction, takes the place of an entry that the eviction has ended; when
//! that write has gone in its turn, a slow one may come that was issued before the eviction. It is of the same key,
//! and was never seen: it must not be counted beside the first. Once the eviction is settled it is late in any
//! case. Invariant: counted-once (see `docs/concurrency.md`). Layer: shard.

use super::entry::{Entry, EntryRef};
use super::graves::KEPT;
use crate::scope::ScopeStamp;
use crate::sync::map::Mix;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Those of one shard, by their hashes.
pub(super) struct Foregone<K, V>(HashMap<u32, Vec<EntryRef<K, V>>, BuildHasherDefault<Mix>>);

impl<K, V> Foregone<K, V> {
    pub(super) fn new() -> Self {
        Self(HashMap::default())
    }

    /// Remembers an entry that has left chain, index and store.
    pub(super) fn keep(&mut self, entry: EntryRef<K, V>) {
        self.0.entry(entry.get().hash()).or_default().push(entry);
    }

    /// Whether one of this hash is accepted.
    pub(super) fn has(&self, hash: u32, is_it: impl Fn(&Entry<K, V>) -> bool) -> bool {
        self.0.get(&hash).is_some_and(|alike| alike.iter().any(|entry| is_it(entry.get())))
    }

    /// Forgets those that nothing unsettled has ended, and gives them back.
    pub(super) fn forget(
        &mut self,
        is_settled: impl Fn(ScopeStamp) -> bool,
    ) -> Vec<EntryRef<K, V>> {
        let mut forgotten = Vec::new();
        self.0.retain(|_, alike| {
            let (gone, rest) = alike.iter().partition(|entry| is_settled(entry.get().stamp()));
            *alike = rest;
            forgotten.extend::<Vec<_>>(gone);
            !alike.is_empty()
        });
        if self.0.capacity() > KEPT * 2 {
            self.0.shrink_to(KEPT);
        }
        forgotten
    }
}
