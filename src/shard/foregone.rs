//! Entries that left before the eviction or the clear that ended them was settled: each is counted, and remembered
//! until it is.
//!
//! A newer write, from after the eviction, takes the place of an entry that the eviction has ended, or it leaves for the
//! capacity; when the newer one has gone in its turn, a slow write may come that was issued before the eviction. It is of
//! the same key, and was never seen: it must not be counted beside the first. Once the eviction is settled it is late in any
//! case. Invariant: counted-once (see `docs/concurrency.md`). Layer: shard.

use super::entry::{Entry, EntryRef};
use super::graves::KEPT;
use crate::sync::map::Mix;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Those of one shard, by their hashes.
pub(super) struct Foregone<K, V>(HashMap<u32, Vec<Counted<K, V>>, BuildHasherDefault<Mix>>);

/// An entry that is counted.
struct Counted<K, V> {
    entry: EntryRef<K, V>,
    end: End,
}

/// For what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Evicted,
    Cleared,
}

impl<K, V> Default for Foregone<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K, V> Foregone<K, V> {
    /// Remembers an entry that has left chain, index and store.
    pub(super) fn keep(&mut self, entry: EntryRef<K, V>, end: End) {
        self.0.entry(entry.get().hash()).or_default().push(Counted { entry, end });
    }

    /// Whether one of this hash is accepted.
    pub(super) fn has(&self, hash: u32, is_it: impl Fn(&Entry<K, V>, End) -> bool) -> bool {
        let alike = self.0.get(&hash);
        alike.is_some_and(|alike| alike.iter().any(|kept| is_it(kept.entry.get(), kept.end)))
    }

    /// Forgets those whose end is settled, and gives them back.
    pub(super) fn forget(
        &mut self,
        is_settled: impl Fn(&Entry<K, V>, End) -> bool,
    ) -> Vec<EntryRef<K, V>> {
        let mut forgotten = Vec::new();
        self.0.retain(|_, alike| {
            alike.retain(|&Counted { entry, end }| {
                let is_settled = is_settled(entry.get(), end);
                if is_settled {
                    forgotten.push(entry);
                }
                !is_settled
            });
            !alike.is_empty()
        });
        if self.0.capacity() > KEPT * 2 {
            self.0.shrink_to(KEPT);
        }
        forgotten
    }
}
