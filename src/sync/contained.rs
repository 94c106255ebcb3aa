//! Panics of user code that end where they are caught. Layer: base.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many payloads of one panic are dropped, should each panic as it is: there need be no end of them.
const PAYLOADS: usize = 2;

/// What `f` returns, or nothing if it panicked.
pub(crate) fn contained<R>(f: impl FnOnce() -> R) -> Option<R> {
    let mut payload = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => return Some(result),
        Err(payload) => payload,
    };
    // The payload is the user's too: its destructor may panic in its turn, and that of what it panicked with.
    for _ in 0..PAYLOADS {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return None,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
    None
}
