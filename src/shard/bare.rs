//! The published half of a shard by itself: index and graves, without pending table, store and signal.
//!
//! What a fold does to them, step by step, for models on the real epoch collector: around a whole
//! shard those would not end. Compiled for them only. Layer: shard.

use super::blocks::Blocks;
use super::entry::{Entry, EntryRef, Expiry, Live, ScopeStamp};
use super::graves::{Graves, Remains};
use super::index::{IndexWriter, ReadIndex};
use crate::clock::Clock;
use crate::scope::GLOBAL;
use crate::sync::reclaim::{self, Pinned};
use std::sync::Arc;

/// What readers share.
pub(crate) struct Published<K, V>(Arc<ReadIndex<K, V>>);

/// What the shard thread alone has.
pub(crate) struct Owner<K, V> {
    index: Arc<ReadIndex<K, V>>,
    writer: IndexWriter<K, V>,
    graves: Graves<K, V>,
    blocks: Blocks<K, V>,
}

impl<K, V> Clone for Published<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq, V> Published<K, V> {
    pub(crate) fn find<'g>(
        &self,
        hash: u32,
        key: &K,
        clock: &Clock,
        pinned: Pinned<'g>,
    ) -> Option<Live<'g, K, V>> {
        self.0.find(hash, |entry| entry.key == *key, pinned)?.alive(clock)
    }
}

impl<K: Eq, V> Owner<K, V> {
    pub(crate) fn new() -> (Published<K, V>, Self) {
        let index = Arc::new(ReadIndex::new(None).expect("memory for one bucket"));
        let published = Published(Arc::clone(&index));
        let (graves, blocks) = (Graves::new(), Blocks::new(0));
        (published, Self { index, writer: IndexWriter::new(), graves, blocks })
    }

    /// Publishes a value in the place of the key's, if it has one.
    pub(crate) fn publish(&mut self, hash: u32, key: K, value: V) {
        let old = self.index.resident(&self.writer, hash, |entry| entry.key == key);
        let stamp = ScopeStamp::new(GLOBAL, 0);
        let entry = Entry::write((hash, stamp, 0), Expiry::NEVER, (key, value), &self.blocks);
        let new = EntryRef(entry.into_raw());
        match old {
            Some(old) => {
                old.get().replace_by_shard();
                self.writer.replace(&self.index, old, new);
                self.graves.retire(Remains::Entry(old, None));
            }
            None => {
                let outgrown = self.writer.publish(&self.index, new);
                outgrown.into_iter().for_each(|table| self.graves.retire(Remains::Table(table)));
            }
        }
    }

    /// Takes the key's value out.
    pub(crate) fn withdraw(&mut self, hash: u32, key: &K) {
        if let Some(old) = self.index.resident(&self.writer, hash, |entry| entry.key == *key) {
            let outsized = self.writer.withdraw(&self.index, old);
            outsized.into_iter().for_each(|table| self.graves.retire(Remains::Table(table)));
            old.get().take_by_shard();
            self.graves.retire(Remains::Entry(old, None));
        }
    }

    /// What ends a turn: frees what is due and closes the batch of what was retired since.
    pub(crate) fn turn(&mut self) {
        self.graves.bury(&self.blocks, drop);
        self.graves.seal();
    }

    /// Whether everything that was retired has been freed.
    pub(crate) fn has_buried_all(&self) -> bool {
        self.graves.is_empty()
    }
}
