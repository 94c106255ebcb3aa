//! crossbeam-epoch itself under loom, in the place of the oracle.
//!
//! With `--cfg crossbeam_loom` its own atomics are loom's, so a model searches the collector together
//! with what relies on it. That multiplies the interleavings: it serves models of one reader and one
//! writer, the oracle all others. Layer: base.

use crossbeam_epoch::{Collector, Guard, LocalHandle};
use loom::thread::{ThreadId, current};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

loom::lazy_static! {
    static ref COLLECTOR: Collector = Collector::new();
}

// A model's threads are coroutines of one OS thread, so a thread-local of std is common to all of them.
// Loom's own would not do: loom lets a thread be joined before it has dropped them, and a participant
// that is halfway through leaving is pinned.
thread_local! {
    static PARTICIPANTS: RefCell<HashMap<ThreadId, Rc<LocalHandle>>> = RefCell::default();
}

/// A guard of the collector.
pub(crate) struct Pinned(Guard);

impl Pinned {
    pub(super) fn new() -> Self {
        let me = current().id();
        let known = PARTICIPANTS.with_borrow(|all| all.get(&me).cloned());
        let participant = known.unwrap_or_else(|| {
            let new = Rc::new(COLLECTOR.register());
            PARTICIPANTS.with_borrow_mut(|all| all.insert(me, Rc::clone(&new)));
            new
        });
        Self(participant.pin())
    }

    pub(super) fn defer(&self, f: impl FnOnce() + Send + 'static) {
        self.0.defer(f);
    }

    pub(super) fn flush(&self) {
        self.0.flush();
    }
}

/// Takes the current thread out of the collector: every thread of a model, before it ends.
pub(super) fn leave() {
    let me = current().id();
    drop(PARTICIPANTS.with_borrow_mut(|all| all.remove(&me)));
}

pub(super) fn reset() {
    // Participants of an execution that has failed refer to its objects: they must not leave it now.
    PARTICIPANTS.take().into_values().for_each(std::mem::forget);
}
