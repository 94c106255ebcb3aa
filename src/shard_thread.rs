//! Whether the current thread is a shard's: such a thread must never wait for a shard. Layer: base.

use crate::sync::thread::thread_local;
use std::cell::Cell;

thread_local! {
    static IS_SHARD: Cell<bool> = Cell::default();
}

/// Marks the current thread as a shard's for the rest of its life.
pub(crate) fn enter() {
    IS_SHARD.with(|flag| flag.set(true));
}

/// Whether the current thread is a shard's. A thread that is past its thread-locals is not.
pub(crate) fn is_current() -> bool {
    IS_SHARD.try_with(Cell::get).unwrap_or(false)
}
