//! What stands in for lanes, barriers and crossbeam-epoch under a model checker, loom or shuttle.
//!
//! It must not be kinder than the real thing: a grace period is over, and a deferred call runs, the moment the last
//! guard that was alive at its beginning has gone, which is the most eager scheme that the contract permits; and it
//! orders no more than that: what precedes a beginning before what follows a later pin, and what precedes
//! the end of a guard before what waited for it. Two pins order nothing. Book-keeping is plain memory: a model runs one
//! thread at a time and switches only at the checker's own operations. Layer: base.

use super::Ordering;
use super::places::{self, PLACES};
#[cfg(cache_loom)]
use loom::sync::atomic::AtomicU64;
#[cfg(cache_shuttle)]
use shuttle::sync::atomic::AtomicU64;
use std::cell::RefCell;
use std::sync::Arc;

type Call = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Epochs {
    next: u64,
    live: Vec<Name>,
    deferred: Vec<(Grace, Call)>,
    /// Each thread's are those of its place.
    edges: Option<Arc<[Edges; PLACES]>>,
}

/// What the steps of a thread's guards order, by changes in one step, which always find the latest: so they need no
/// companions (see `sync/watched.rs`). They are also the points where the model tries other threads first: each
/// thread has its own, for the order of two readers makes no difference.
#[derive(Default)]
struct Edges {
    begun: AtomicU64,
    gone: AtomicU64,
}

/// A guard: whose edges are its, and its number.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    thread: usize,
    number: u64,
}

fn edges() -> Arc<[Edges; PLACES]> {
    let edges = EPOCHS.with_borrow(|epochs| epochs.edges.clone());
    edges.expect("reset at the start of the execution")
}

// A model's threads are coroutines of one OS thread, so a thread-local of std is common to all of them.
thread_local! {
    static EPOCHS: RefCell<Epochs> = RefCell::default();
}

pub(super) fn reset() {
    let old = EPOCHS.with(RefCell::take);
    // Closures of an execution that has ended refer to its objects: they must not run, nor drop.
    old.deferred.into_iter().for_each(std::mem::forget);
    EPOCHS.with_borrow_mut(|epochs| epochs.edges = Some(Arc::default()));
}

/// A guard of the oracle.
pub(crate) struct Pinned {
    name: Name,
    not_send: std::marker::PhantomData<*mut ()>,
}

impl Pinned {
    pub(super) fn new() -> Self {
        let thread = places::own();
        // Acquire: see `Grace::begin` [edge: epoch].
        edges()[thread].begun.fetch_add(1, Ordering::Acquire);
        let name = EPOCHS.with_borrow_mut(|epochs| {
            epochs.next += 1;
            let name = Name { thread, number: epochs.next };
            epochs.live.push(name);
            name
        });
        Self { name, not_send: std::marker::PhantomData }
    }

    pub(super) fn defer(&self, f: impl FnOnce() + Send + 'static) {
        let mut grace = Grace::new();
        grace.begin();
        EPOCHS.with_borrow_mut(|epochs| epochs.deferred.push((grace, Box::new(f))));
    }

    pub(super) fn flush(&self) {}
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Release: what this guard read happens before what waited for it [edge: gone].
        edges()[self.name.thread].gone.fetch_add(1, Ordering::Release);
        let due: Vec<(Grace, Call)> = EPOCHS.with_borrow_mut(|epochs| {
            epochs.live.retain(|guard| *guard != self.name);
            let live = &epochs.live;
            let all = std::mem::take(&mut epochs.deferred).into_iter();
            let is_due =
                |(grace, _): &(Grace, Call)| grace.waits.iter().all(|guard| !live.contains(guard));
            let (due, wait) = all.partition(is_due);
            epochs.deferred = wait;
            due
        });
        for (mut grace, call) in due {
            assert!(grace.is_over(), "all have gone");
            call();
        }
    }
}

/// A grace period of the oracle.
pub(crate) struct Grace {
    waits: Vec<Name>,
    /// Whether it has begun and not yet asked those who had gone before.
    is_new: bool,
}

impl Grace {
    pub(crate) fn new() -> Self {
        Self { waits: Vec::new(), is_new: false }
    }

    pub(crate) fn begin(&mut self) {
        for edges in edges().iter() {
            // Release: who is pinned later sees what was unlinked before [edge: epoch].
            edges.begun.fetch_add(1, Ordering::Release);
        }
        self.waits = EPOCHS.with_borrow(|epochs| epochs.live.clone());
        self.is_new = true;
    }

    pub(crate) fn is_over(&mut self) -> bool {
        for (thread, edges) in edges().iter().enumerate() {
            if self.is_new || self.waits.iter().any(|guard| guard.thread == thread) {
                // Acquire: see `drop` [edge: gone].
                edges.gone.fetch_add(0, Ordering::Acquire);
                EPOCHS.with_borrow(|epochs| {
                    let stays =
                        |guard: &Name| guard.thread != thread || epochs.live.contains(guard);
                    self.waits.retain(stays);
                });
            }
        }
        self.is_new = false;
        self.waits.is_empty()
    }
}
