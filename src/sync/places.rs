//! Which of its threads a model checker runs: what stands in for something here keeps a part for each. Layer: base.

use super::thread::current;
#[cfg(cache_loom)]
use loom::thread::ThreadId;
#[cfg(cache_shuttle)]
use shuttle::thread::ThreadId;
use std::cell::RefCell;

/// Enough for the threads of a model under loom; those of shuttle, which sees no orderings, share.
pub(super) const PLACES: usize = 4;

// A model's threads are coroutines of one OS thread, so a thread-local of std is common to all of them.
thread_local! {
    static THREADS: RefCell<Vec<ThreadId>> = RefCell::default();
}

/// The place of the current thread.
pub(super) fn own() -> usize {
    let me = current().id();
    let place = THREADS.with_borrow_mut(|threads| {
        threads.iter().position(|thread| *thread == me).unwrap_or_else(|| {
            threads.push(me);
            threads.len() - 1
        })
    });
    assert!(cfg!(cache_shuttle) || place < PLACES, "a model has no more threads");
    place % PLACES
}

/// Forgets the threads of the execution before.
pub(super) fn reset() {
    THREADS.with_borrow_mut(Vec::clear);
}
