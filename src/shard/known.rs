//! What is kept of each scope that a shard knows, by the numbers of the scopes.
//!
//! The table that finds it holds places only: a hash table that things come into and leave may come to have twice the
//! room that it needs, for what leaves may leave a mark. The places lie in segments, which are given back one by one.
//! Layer: shard.

use crate::store::{Segments, Slot};
use crate::sync::map::Mix;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

pub(super) struct Known<T> {
    places: HashMap<u32, Slot, BuildHasherDefault<Mix>>,
    kept: Segments<Box<T>>,
}

impl<T> Known<T> {
    pub(super) fn new() -> Self {
        Self { places: HashMap::default(), kept: Segments::new() }
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.kept.get(*self.places.get(&number)?).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let place = *self.places.get(&number)?;
        Some(&mut self.kept[place])
    }

    /// Takes in a scope that is not known.
    pub(super) fn insert(&mut self, number: u32, of_it: T) {
        let place = self.kept.insert(Box::new(of_it));
        let before = self.places.insert(number, place);
        debug_assert!(before.is_none(), "it was known");
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let place = self.places.remove(&number)?;
        let (len, room) = (self.places.len(), self.places.capacity());
        if room > 64 && len < room / 8 {
            self.places.shrink_to(len * 2);
        }
        Some(*self.kept.remove(place).0)
    }
}
