//! A value for each slot that costs nothing while every slot has the usual one.
//!
//! *Owns* the values of slots. *Does not know* which slots are occupied.
//!
//! *Invariant:* slots above all that ever had another value have no memory here and the usual value.

use super::Slot;

/// One `T` a slot, beside the nodes: what most stores need of no entry would cost all of them if it
/// were in the nodes.
pub(crate) struct Column<T> {
    usual: T,
    values: Vec<T>,
}

impl<T: Copy + PartialEq> Column<T> {
    /// A column in which every slot has the `usual` value. Allocates nothing.
    pub(crate) const fn new(usual: T) -> Self {
        Self { usual, values: Vec::new() }
    }

    pub(crate) fn get(&self, slot: Slot) -> T {
        self.values.get(slot as usize).copied().unwrap_or(self.usual)
    }

    pub(crate) fn set(&mut self, slot: Slot, value: T) {
        let at = slot as usize;
        if let Some(place) = self.values.get_mut(at) {
            *place = value;
        } else if value != self.usual {
            self.values.resize(at, self.usual);
            self.values.push(value);
        }
    }

    /// What the slots have that have memory.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }
}
