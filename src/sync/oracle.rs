//! What stands in for crossbeam-epoch under a model checker, loom or shuttle.
//!
//! It must not be kinder than the real thing: it runs a deferred call the moment the last guard that
//! was alive at its `defer` has gone, which is the most eager scheme the real collector's contract
//! permits. Book-keeping is plain memory: a model runs one thread at a time and switches only at the
//! checker's own operations. The fences give the edges that the real pin, unpin and defer give.
//! Layer: base.

use super::{AtomicU64, Ordering};
#[cfg(cache_loom)]
use loom::sync::atomic::fence;
#[cfg(cache_shuttle)]
use shuttle::sync::atomic::fence;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

type Call = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Epochs {
    next: u64,
    live: BTreeSet<u64>,
    deferred: Vec<(BTreeSet<u64>, Call)>,
    /// Makes each pin, unpin and defer a point where the model tries other threads first: a fence alone
    /// is none, and what follows it would never be seen from before it.
    turn: Option<Arc<AtomicU64>>,
}

fn step() {
    let turn = EPOCHS.with_borrow(|epochs| epochs.turn.clone());
    // Relaxed: it orders nothing, the fences do.
    turn.expect("reset at the start of the execution").fetch_add(1, Ordering::Relaxed);
}

// A model's threads are coroutines of one OS thread, so a thread-local of std is common to all of them.
thread_local! {
    static EPOCHS: RefCell<Epochs> = RefCell::default();
}

pub(super) fn reset() {
    let old = EPOCHS.with(RefCell::take);
    // Closures of an execution that has ended refer to its objects: they must not run, nor drop.
    old.deferred.into_iter().for_each(std::mem::forget);
    EPOCHS.with_borrow_mut(|epochs| epochs.turn = Some(Arc::new(AtomicU64::new(0))));
}

/// A guard of the oracle.
pub(crate) struct Pinned {
    id: u64,
    not_send: std::marker::PhantomData<*mut ()>,
}

impl Pinned {
    pub(super) fn new() -> Self {
        step();
        let id = EPOCHS.with_borrow_mut(|e| {
            e.next += 1;
            let id = e.next;
            e.live.insert(id);
            id
        });
        // SeqCst: a pin after a retirement must see the unlinking that preceded it, as the fence in
        // the real pin guarantees [edge: epoch].
        fence(Ordering::SeqCst);
        Self { id, not_send: std::marker::PhantomData }
    }

    pub(super) fn defer(&self, f: impl FnOnce() + Send + 'static) {
        step();
        // SeqCst: see `new` [edge: epoch].
        fence(Ordering::SeqCst);
        EPOCHS.with_borrow_mut(|e| {
            let alive = e.live.clone();
            e.deferred.push((alive, Box::new(f)));
        });
    }

    pub(super) fn flush(&self) {}
}

impl Drop for Pinned {
    fn drop(&mut self) {
        step();
        // SeqCst: what this guard read happens before a deferred call that waited for it [edge: epoch].
        fence(Ordering::SeqCst);
        let due: Vec<Call> = EPOCHS.with_borrow_mut(|e| {
            e.live.remove(&self.id);
            for (alive, _) in &mut e.deferred {
                alive.remove(&self.id);
            }
            let (due, wait) =
                std::mem::take(&mut e.deferred).into_iter().partition(|(a, _)| a.is_empty());
            e.deferred = wait;
            let due: Vec<(BTreeSet<u64>, Call)> = due;
            due.into_iter().map(|(_, call)| call).collect()
        });
        due.into_iter().for_each(|call| call());
    }
}
