//! Who drops what, and when: everything that left the index or a chain is freed here, by the shard.
//!
//! Pinning now and then runs deferred calls of other threads, so a destructor must never be deferred:
//! a reader would run it. The shard collects what a turn retired in a *batch*, defers one tiny call
//! that acknowledges the batch's number, and when it sees the acknowledgement it frees the batch
//! itself; what is done with keys and values is its caller's, who catches their panics. Invariant: graves (see `docs/concurrency.md`). Layer:
//! shard.
#![expect(unsafe_code, reason = "one of the five files that the design marks")]

use super::entry::{Entry, EntryRef, Farewell, Kind, Op, OpRef};
use super::flight::Flight;
use super::index::Table;
use crate::removal::RemovalCause;
use crate::sync::reclaim::Guard;
use crate::sync::{AtomicU64, Ordering, raise};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;

/// Room that a shard keeps in each of its lists while it rests, so that what comes now and then allocates nothing.
pub(super) const KEPT: usize = 32;

/// What a batch holds.
pub(super) enum Remains<K, V> {
    /// An entry, and why it left; no cause if nobody ever saw it.
    Entry(EntryRef<K, V>, Option<RemovalCause>),
    /// A flight, a farewell or a base that left its chain.
    Op(OpRef<K, V>),
    /// A table that was outgrown.
    Table(Box<Table<K, V>>),
}

/// What is freed when its last reader has gone.
pub(super) struct Graves<K, V> {
    open: Vec<Remains<K, V>>,
    sealed: VecDeque<(u64, Vec<Remains<K, V>>)>,
    last_sealed: u64,
    acknowledged: Arc<AtomicU64>,
    spare: Vec<Vec<Remains<K, V>>>,
}

/// What is left of an entry: its key, its value if it ever had one, and why it left if anybody saw it.
pub(super) type Departed<K, V> = (K, Option<V>, Option<RemovalCause>);

impl<K, V> Graves<K, V> {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            sealed: VecDeque::new(),
            last_sealed: 0,
            acknowledged: Arc::new(AtomicU64::new(0)),
            spare: Vec::new(),
        }
    }

    /// Takes what no new reader can reach any more. Who is in the graves is touched by nobody else
    /// but readers that were pinned before.
    pub(super) fn retire(&mut self, remains: Remains<K, V>) {
        self.open.push(remains);
    }

    /// Whether something waits to be freed.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.sealed.is_empty()
    }

    /// Closes the open batch: it is due when every guard that lives now has gone.
    pub(super) fn seal(&mut self, pinned: &Guard) {
        if !self.open.is_empty() {
            self.last_sealed += 1;
            let number = self.last_sealed;
            let batch = std::mem::replace(&mut self.open, self.spare.pop().unwrap_or_default());
            self.sealed.push_back((number, batch));
            let acknowledged = Arc::clone(&self.acknowledged);
            // Release: the shard that sees the number frees after all those readers [edge: ack]. A
            // maximum, because deferred calls run in any order; a batch that was sealed earlier has
            // waited for fewer readers, so the highest number speaks for all below it.
            pinned.defer(move || {
                raise(&acknowledged, number, Ordering::Release);
            });
        }
        if !self.sealed.is_empty() {
            pinned.flush();
        }
    }

    /// Frees the oldest batch that is due, giving each entry's parts to `departed` (which drops them,
    /// and must not unwind). Returns whether there was one.
    pub(super) fn bury(&mut self, mut departed: impl FnMut(Departed<K, V>)) -> bool {
        // Acquire: see `seal` [edge: ack].
        let due = self.acknowledged.load(Ordering::Acquire);
        if self.sealed.front().is_none_or(|(number, _)| *number > due) {
            return false;
        }
        let Some((_, mut batch)) = self.sealed.pop_front() else { return false };
        for remains in batch.drain(..) {
            free(remains, &mut departed);
        }
        if self.spare.len() < 4 {
            self.spare.push(batch);
        }
        true
    }

    /// Gives back the memory that is kept for batches to come.
    pub(super) fn rest(&mut self) {
        self.spare.retain(|batch| batch.capacity() <= KEPT);
        self.open.shrink_to(KEPT);
        self.sealed.shrink_to(KEPT);
    }

    /// Frees everything at once. The caller has seen to it that no reader is left.
    pub(super) fn bury_all(&mut self, mut departed: impl FnMut(Departed<K, V>)) {
        let sealed = std::mem::take(&mut self.sealed).into_iter().flat_map(|(_, batch)| batch);
        for remains in sealed.chain(std::mem::take(&mut self.open)) {
            free(remains, &mut departed);
        }
    }
}

fn free<K, V>(remains: Remains<K, V>, departed: &mut impl FnMut(Departed<K, V>)) {
    match remains {
        Remains::Entry(entry, cause) => {
            // SAFETY: [invariant: graves] retired once, and its last reader has gone.
            let (key, value) = unsafe { Entry::unmake(entry.0) };
            departed((key, value, cause));
        }
        Remains::Op(op) => free_op::<K, V>(op.at),
        Remains::Table(table) => drop(table),
    }
}

fn free_op<K, V>(op: NonNull<Op>) {
    // SAFETY: [invariant: graves] retired once, and its last reader has gone.
    match unsafe { op.as_ref() }.kind() {
        Kind::Load => {
            // SAFETY: [invariant: op-header] the kind says what was boxed.
            drop(unsafe { Box::from_raw(op.cast::<Flight<K, V>>().as_ptr()) });
        }
        Kind::Farewell => {
            // SAFETY: [invariant: op-header] the kind says what was boxed.
            drop(unsafe { Box::from_raw(op.cast::<Farewell<K, V>>().as_ptr()) });
        }
        Kind::Write => debug_assert!(false, "entries are retired as entries"),
    }
}
