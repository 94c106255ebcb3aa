//! The memory of entries that a shard freed, for the threads that write to it: one ring for each form.
//!
//! A block comes here when its entry could have been freed, so whoever takes it is its only owner.
//! Layer: shard.

use super::entry::{Bounded, Entry, Mortal};
use crate::sync::spare::{Block, Spare};

/// Rings of blocks, by the times that an entry has.
pub(crate) struct Blocks<K, V> {
    pub(super) endless: Spare<Entry<K, V>>,
    pub(super) mortal: Spare<Mortal<K, V>>,
    pub(super) bounded: Spare<Bounded<K, V>>,
}

/// The memory of one entry.
pub(super) enum Freed<K, V> {
    Endless(Block<Entry<K, V>>),
    Mortal(Block<Mortal<K, V>>),
    Bounded(Block<Bounded<K, V>>),
}

impl<K, V> Blocks<K, V> {
    /// For as many writes as may wait for a shard: between two batches of the graves hardly more come.
    pub(super) fn new(backlog: usize) -> Self {
        Self {
            endless: Spare::new(backlog),
            mortal: Spare::new(backlog),
            bounded: Spare::new(backlog),
        }
    }

    /// Keeps the memory of an entry that was freed. Shard thread only, as all below.
    pub(super) fn give(&self, freed: Freed<K, V>) {
        match freed {
            Freed::Endless(block) => self.endless.give(block),
            Freed::Mortal(block) => self.mortal.give(block),
            Freed::Bounded(block) => self.bounded.give(block),
        }
    }

    /// Lets writers have what was given.
    pub(super) fn tell(&self) {
        self.endless.tell();
        self.mortal.tell();
        self.bounded.tell();
    }

    /// Gives back what no writer took.
    pub(super) fn rest(&self) {
        self.endless.rest();
        self.mortal.rest();
        self.bounded.rest();
    }
}
