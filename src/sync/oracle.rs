//! What stands in for lanes, barriers and crossbeam-epoch under a model checker, loom or shuttle.
//!
//! It must not be kinder than the real thing: a grace period is over, and a deferred call runs, the moment the last
//! guard that was alive at its beginning has gone, which is the most eager scheme that the contract permits; and it
//! orders no more than that: what precedes a beginning before what follows a later pin, and what precedes
//! the end of a guard before what waited for it. Two pins order nothing. Book-keeping is plain memory: a model runs one
//! thread at a time and switches only at the checker's own operations. Layer: base.

use super::Ordering;
#[cfg(cache_loom)]
use loom::sync::atomic::AtomicU64;
#[cfg(cache_shuttle)]
use shuttle::sync::atomic::AtomicU64;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

type Call = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Epochs {
    next: u64,
    live: BTreeSet<u64>,
    deferred: Vec<(BTreeSet<u64>, Call)>,
    edges: Option<Arc<Edges>>,
}

/// What the steps of a guard order, by changes in one step, which always find the latest: so they need no companions (see
/// `sync/watched.rs`). They are also the points where the model tries other threads first.
struct Edges {
    begun: AtomicU64,
    gone: AtomicU64,
}

fn edges() -> Arc<Edges> {
    let edges = EPOCHS.with_borrow(|epochs| epochs.edges.clone());
    edges.expect("reset at the start of the execution")
}

/// Says that from now on somebody waits for all who are pinned, and gives those.
fn begin() -> BTreeSet<u64> {
    // Release: who is pinned later sees what was unlinked before [edge: epoch].
    edges().begun.fetch_add(1, Ordering::Release);
    EPOCHS.with_borrow(|epochs| epochs.live.clone())
}

// A model's threads are coroutines of one OS thread, so a thread-local of std is common to all of them.
thread_local! {
    static EPOCHS: RefCell<Epochs> = RefCell::default();
}

pub(super) fn reset() {
    let old = EPOCHS.with(RefCell::take);
    // Closures of an execution that has ended refer to its objects: they must not run, nor drop.
    old.deferred.into_iter().for_each(std::mem::forget);
    let edges = Edges { begun: AtomicU64::new(0), gone: AtomicU64::new(0) };
    EPOCHS.with_borrow_mut(|epochs| epochs.edges = Some(Arc::new(edges)));
}

/// A guard of the oracle.
pub(crate) struct Pinned {
    id: u64,
    not_send: std::marker::PhantomData<*mut ()>,
}

impl Pinned {
    pub(super) fn new() -> Self {
        // Acquire: see `begin` [edge: epoch].
        edges().begun.fetch_add(1, Ordering::Acquire);
        let id = EPOCHS.with_borrow_mut(|e| {
            e.next += 1;
            let id = e.next;
            e.live.insert(id);
            id
        });
        Self { id, not_send: std::marker::PhantomData }
    }

    pub(super) fn defer(&self, f: impl FnOnce() + Send + 'static) {
        let alive = begin();
        EPOCHS.with_borrow_mut(|e| e.deferred.push((alive, Box::new(f))));
    }

    pub(super) fn flush(&self) {}
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let edges = edges();
        // Release: what this guard read happens before what waited for it [edge: gone].
        edges.gone.fetch_add(1, Ordering::Release);
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
        if !due.is_empty() {
            // Acquire: what others read before, for whom we run the calls [edge: gone].
            edges.gone.fetch_add(0, Ordering::Acquire);
        }
        due.into_iter().for_each(|call| call());
    }
}

/// A grace period of the oracle.
pub(crate) struct Grace(BTreeSet<u64>);

impl Grace {
    pub(crate) fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn begin(&mut self) {
        self.0 = begin();
    }

    pub(crate) fn is_over(&mut self) -> bool {
        // Acquire: see `drop` [edge: gone].
        edges().gone.fetch_add(0, Ordering::Acquire);
        EPOCHS.with_borrow(|epochs| self.0.retain(|guard| epochs.live.contains(guard)));
        self.0.is_empty()
    }
}
