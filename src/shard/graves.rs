//! Who drops what, and when: everything that left the index or a chain is freed here, by the shard.
//!
//! What turns retire collects in an *open* batch. When the *sealed* one before it has been freed it is sealed in its
//! turn, and freed when a grace period is over that began with the seal. What is done with keys and values is the
//! caller's, who catches their panics. Invariant: graves (see `docs/concurrency.md`). Layer: shard.
#![expect(unsafe_code, reason = "one of the five files where it is allowed (`tests/tidy.rs`)")]

use super::blocks::{Blocks, Freed};
use super::entry::{Entry, EntryRef, Farewell, Kind, Op, vacate};
use super::flight::Flight;
use super::index::Table;
use crate::removal::RemovalCause;
use crate::scope::ScopeStamp;
use crate::sync::reclaim::Grace;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Room that a shard keeps in each of its lists while it rests, so that what comes now and then allocates nothing.
pub(super) const KEPT: usize = 32;

/// How many are freed at a time, at least: while a long row of destructors runs, writers may have to wait for room.
const SLICE: usize = 256;

/// How many are looked at before they are freed: as many lines as a processor fetches side by side.
const AHEAD: usize = 16;

/// What a batch holds.
pub(super) enum Remains<K, V> {
    /// An entry, and why it left; no cause if nobody is told.
    Entry(EntryRef<K, V>, Option<RemovalCause>),
    /// A flight, a farewell or a base that left its chain.
    Op(OpRef<K, V>),
    /// A table that was outgrown.
    Table(Box<Table<K, V>>),
}

/// What is freed when its last reader has gone.
pub(super) struct Graves<K, V> {
    open: VecDeque<Remains<K, V>>,
    sealed: VecDeque<Remains<K, V>>,
    /// Of the sealed batch.
    grace: Grace,
}

/// What is left of an entry.
pub(super) struct Departed<K, V> {
    pub(super) key: K,
    /// If it ever had one.
    pub(super) value: Option<V>,
    pub(super) stamp: ScopeStamp,
    /// Why it left, if anybody is told.
    pub(super) cause: Option<RemovalCause>,
}

impl<K, V> Graves<K, V> {
    pub(super) fn new() -> Self {
        Self { open: VecDeque::new(), sealed: VecDeque::new(), grace: Grace::new() }
    }

    /// Takes what no new reader can reach any more. Who is in the graves is touched by nobody else
    /// but readers that were pinned before.
    pub(super) fn retire(&mut self, remains: Remains<K, V>) {
        self.open.push_back(remains);
    }

    /// Whether something waits to be freed.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.sealed.is_empty()
    }

    /// Closes the open batch, if the one before has been freed: it is due when every guard that lives now has
    /// gone.
    pub(super) fn seal(&mut self) {
        if self.sealed.is_empty() && !self.open.is_empty() {
            std::mem::swap(&mut self.open, &mut self.sealed);
            self.grace.begin();
        }
    }

    /// Frees a slice of the sealed batch if it is due, in the order of its coming, giving each entry's parts to `departed` (which drops them, and
    /// must not unwind), and the memory of entries and loads to `blocks`. Whether more is due. The faster the next batch grows, the larger the slice.
    pub(super) fn bury(
        &mut self,
        blocks: &Blocks<K, V>,
        mut departed: impl FnMut(Departed<K, V>),
    ) -> bool {
        if self.sealed.is_empty() || !self.grace.is_over() {
            return false;
        }
        let slice = self.sealed.len().min(SLICE + self.open.len());
        let mut left = slice;
        while left > 0 {
            let few = left.min(AHEAD);
            read_ahead(self.sealed.iter().take(few));
            for remains in self.sealed.drain(..few) {
                free(remains, Some(blocks), &mut departed);
            }
            left -= few;
        }
        blocks.tell();
        !self.sealed.is_empty()
    }

    /// Gives back the memory that is kept for batches to come.
    pub(super) fn rest(&mut self) {
        self.open.shrink_to(KEPT);
        self.sealed.shrink_to(KEPT);
    }

    /// Frees everything at once. The caller has seen to it that no reader is left.
    pub(super) fn bury_all(&mut self, mut departed: impl FnMut(Departed<K, V>)) {
        for remains in self.sealed.drain(..).chain(self.open.drain(..)) {
            free(remains, None, &mut departed);
        }
    }
}

/// Any operation, in the hands of the shard that will retire it.
pub(super) struct OpRef<K, V> {
    pub(super) at: NonNull<Op>,
    operations: PhantomData<(K, V)>,
}

impl<K, V> OpRef<K, V> {
    pub(super) fn new(at: NonNull<Op>) -> Self {
        Self { at, operations: PhantomData }
    }
}

// SAFETY: [invariant: shard-frees] the operation holds keys, values and waiters, all of which may be
// sent if `K` and `V` may be shared and sent.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for OpRef<K, V> {}

/// Touches what is freed next. Giving each block back is an instruction that no later fetch overtakes, so the processor
/// would wait for one line after the other.
fn read_ahead<'a, K: 'a, V: 'a>(next: impl Iterator<Item = &'a Remains<K, V>>) {
    let stamps = next.filter_map(|remains| match remains {
        Remains::Entry(entry, _) => Some(entry.get().stamp()),
        Remains::Op(_) | Remains::Table(_) => None,
    });
    // The compiler must not find out that nobody needs the answer.
    std::hint::black_box(stamps.max());
}

fn free<K, V>(
    remains: Remains<K, V>,
    blocks: Option<&Blocks<K, V>>,
    departed: &mut impl FnMut(Departed<K, V>),
) {
    match remains {
        Remains::Entry(entry, cause) => {
            let stamp = entry.get().stamp();
            // SAFETY: [invariant: graves] retired once, and its last reader has gone.
            let (key, value, freed) = unsafe { Entry::unmake(entry.0) };
            if let Some(blocks) = blocks {
                blocks.give(freed);
            }
            departed(Departed { key, value, stamp, cause });
        }
        Remains::Op(op) => {
            let freed = free_op::<K, V>(op.at);
            if let Some((blocks, freed)) = blocks.zip(freed) {
                blocks.give(freed);
            }
        }
        Remains::Table(table) => drop(table),
    }
}

/// Ends an operation that is no entry, and gives its memory if that is of use.
fn free_op<K, V>(op: NonNull<Op>) -> Option<Freed<K, V>> {
    // SAFETY: [invariant: graves] retired once, and its last reader has gone.
    match unsafe { op.as_ref() }.kind() {
        Kind::Load => {
            // SAFETY: [invariant: op-header] the kind says what was settled there.
            let (flight, block) = unsafe { vacate(op.cast::<Flight<K, V>>()) };
            drop(flight);
            Some(Freed::Flight(block))
        }
        Kind::Farewell => {
            // SAFETY: [invariant: op-header] the kind says what was boxed.
            drop(unsafe { Box::from_raw(op.cast::<Farewell<K, V>>().as_ptr()) });
            None
        }
        Kind::Write => {
            debug_assert!(false, "entries are retired as entries");
            None
        }
    }
}
