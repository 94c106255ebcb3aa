//! Where panics of user code on a shard's thread end. Layer: shard.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
