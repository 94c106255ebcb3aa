//! Where panics of user code on a shard's thread end. Layer: shard.

use crate::sync::contained;
use std::cell::Cell;

/// Counts panics of user code and keeps them from going further.
#[derive(Default)]
pub(super) struct Panics(Cell<u64>);

impl Panics {
    /// What `f` returns, or nothing if it panicked.
    pub(super) fn catch<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let result = contained(f);
        self.0.set(self.0.get() + u64::from(result.is_none()));
        result
    }

    pub(super) fn total(&self) -> u64 {
        self.0.get()
    }
}
