//! The memory of entries and flights that a shard freed, for the threads that write to it and load: one ring for each form.
//!
//! A block comes here when what was in it could have been freed, so whoever takes it is its only owner.
//! Layer: shard.

use super::entry::{Bounded, Entry, Mortal};
use super::flight::Flight;
use crate::sync::spare::{Block, Spare};

/// Rings of blocks, of entries by the times that they have.
pub(crate) struct Blocks<K, V> {
    pub(super) endless: Spare<Entry<K, V>>,
    pub(super) mortal: Spare<Mortal<K, V>>,
    pub(super) bounded: Spare<Bounded<K, V>>,
    pub(super) flights: Spare<Flight<K, V>>,
}

/// The memory of one entry or flight.
pub(super) enum Freed<K, V> {
    Endless(Block<Entry<K, V>>),
    Mortal(Block<Mortal<K, V>>),
    Bounded(Block<Bounded<K, V>>),
    Flight(Block<Flight<K, V>>),
}

impl<K, V> Blocks<K, V> {
    /// For as many writes as may wait for a shard: between two batches of the graves hardly more come.
    pub(super) fn new(backlog: usize) -> Self {
        Self {
            endless: Spare::new(backlog),
            mortal: Spare::new(backlog),
            bounded: Spare::new(backlog),
            flights: Spare::new(backlog),
        }
    }

    /// Keeps the memory of what was freed. Shard thread only, as all below.
    pub(super) fn give(&self, freed: Freed<K, V>) {
        match freed {
            Freed::Endless(block) => self.endless.give(block),
            Freed::Mortal(block) => self.mortal.give(block),
            Freed::Bounded(block) => self.bounded.give(block),
            Freed::Flight(block) => self.flights.give(block),
        }
    }

    /// Lets writers have what was given.
    pub(super) fn tell(&self) {
        self.endless.tell();
        self.mortal.tell();
        self.bounded.tell();
        self.flights.tell();
    }

    /// Gives back what no writer took.
    pub(super) fn rest(&self) {
        self.endless.rest();
        self.mortal.rest();
        self.bounded.rest();
        self.flights.rest();
    }
}
