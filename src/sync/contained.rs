//! Panics of user code that end where they are caught. Layer: base.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `f` returns, or nothing if it panicked.
pub(crate) fn contained<R>(f: impl FnOnce() -> R) -> Option<R> {
    let payload = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => return Some(result),
        Err(payload) => payload,
    };
    // The payload is the user's too: its destructor may panic in its turn.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    None
}
