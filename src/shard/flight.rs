//! A load in flight and the callers that wait for it.
//!
//! A [`Flight`] hangs in the pending chain of its key from the claim until the fold after its end. One
//! caller, the *leader*, runs the loader and holds the [`LoadPermit`]; the others *join*: they leave a
//! waiter, and the leader answers each of them exactly once, whatever becomes of the load. The value
//! goes into the entry that was made with the claim; how the load ended is that entry's state.
//! Invariants: one-leader, no-lost-waiter (see `docs/concurrency.md`). Layer: shard.
#![expect(unsafe_code, reason = "one of the five files that the design marks")]

use super::entry::{Entry, EntryRef, Expiry, Kind, Op, ScopeStamp, Seen, State};
use super::pending::Draft;
use crate::sync::slot;
use crate::sync::{AtomicPtr, Ordering};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

/// How a load ended, as its waiters are told.
pub(crate) enum Outcome<V> {
    Loaded(V),
    /// The loader's error, an `Arc<E>` behind `Any`: callers of one key may have different error types.
    Failed(Arc<dyn Any + Send + Sync>),
    /// The leader gave up or was lost: look again, and lead if nobody else does.
    Retry,
}

/// A load in flight, as the chain holds it.
#[repr(C)]
pub(crate) struct Flight<K, V> {
    op: Op,
    /// The entry that the load fills.
    pub(super) entry: EntryRef<K, V>,
    /// A stack of waiters, or [`CLOSED`].
    waiters: AtomicPtr<Waiter<V>>,
}

struct Waiter<V> {
    next: *mut Waiter<V>,
    answer: slot::Sender<Outcome<V>>,
}

/// The top of a stack that takes no more waiters: the flight has ended.
const CLOSED: usize = 1;

/// What a waiter holds; a dropped sender means [`Outcome::Retry`].
pub(crate) type Ticket<V> = slot::Receiver<Outcome<V>>;

impl<K, V> Flight<K, V> {
    /// A load that is ready to be submitted, and the entry it will fill.
    pub(crate) fn draft(hash: u32, stamp: ScopeStamp, mortal: bool, key: K) -> Draft<Self> {
        let entry = Entry::loading(hash, stamp, mortal, key);
        Draft::new(Box::new(Self {
            op: Op::new(Kind::Load, hash, State::Void),
            entry: EntryRef(entry),
            waiters: AtomicPtr::new(std::ptr::null_mut()),
        }))
    }

    /// Takes the key out of a load that was never submitted.
    pub(crate) fn into_key(draft: Draft<Self>) -> K {
        // SAFETY: [invariant: draft] the flight was made as a box and shared with nobody.
        let flight = unsafe { Box::from_raw(draft.into_raw().as_ptr()) };
        // SAFETY: [invariant: draft] the entry was made with the flight and shared with nobody.
        unsafe { Entry::unmake(flight.entry.0) }.0
    }

    /// The key's hash, without a look at the entry.
    #[inline]
    pub(crate) fn hash(&self) -> u32 {
        self.op.hash
    }

    /// The entry that the load fills; reachable as long as the flight is.
    #[inline]
    pub(crate) fn entry(&self) -> &Entry<K, V> {
        self.entry.get()
    }

    /// The entry as a reader sees it who is pinned for as long as it holds the flight.
    pub(crate) fn seen(&self) -> Seen<'_, K, V> {
        // SAFETY: [invariant: pinned-walk] the flight was reached under the pin, and so was its entry.
        unsafe { Seen::new(self.entry.0) }
    }

    /// Registers a waiter, or says that the flight has ended: then its entry tells how.
    pub(crate) fn join(&self) -> Option<Ticket<V>> {
        let (answer, ticket) = slot::slot();
        let mut waiter = Box::new(Waiter { next: std::ptr::null_mut(), answer });
        // Acquire: if it says closed, the entry's state is read next [edge: flight-closed].
        let mut top = self.waiters.load(Ordering::Acquire);
        while top.addr() != CLOSED {
            waiter.next = top;
            let new = Box::into_raw(waiter);
            // Release: the leader that takes the stack finds the waiter [edge: waiter]. Acquire on
            // failure: as above [edge: flight-closed].
            match self.waiters.compare_exchange_weak(top, new, Ordering::Release, Ordering::Acquire)
            {
                Ok(_) => return Some(ticket),
                Err(now) => top = now,
            }
            // SAFETY: [invariant: draft] the exchange failed, so nobody has seen the waiter.
            waiter = unsafe { Box::from_raw(new) };
        }
        None
    }

    /// Ends the flight for waiters and gives those that came before, in no particular order.
    fn close(&self) -> Waiters<V> {
        let closed = std::ptr::without_provenance_mut(CLOSED);
        // AcqRel: takes the waiters with what they wrote [edge: waiter]; who finds the stack closed
        // finds the entry's final state [edge: flight-closed].
        Waiters(self.waiters.swap(closed, Ordering::AcqRel))
    }
}

impl<K, V> Drop for Flight<K, V> {
    /// Waiters of a leader that was leaked are told to look again.
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// Waiters whom nobody else will answer. Each that is not answered is told to retry.
pub(crate) struct Waiters<V>(*mut Waiter<V>);

// SAFETY: [invariant: no-lost-waiter] the stack was taken whole by one owner; what it holds is `Send`
// if `V` is.
unsafe impl<V: Send> Send for Waiters<V> {}

impl<V> Iterator for Waiters<V> {
    type Item = slot::Sender<Outcome<V>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_null() || self.0.addr() == CLOSED {
            return None;
        }
        // SAFETY: [invariant: no-lost-waiter] made by `Box::into_raw` in `join`; taken once, by `close`.
        let waiter = unsafe { Box::from_raw(self.0) };
        self.0 = waiter.next;
        Some(waiter.answer)
    }
}

impl<V> Drop for Waiters<V> {
    fn drop(&mut self) {
        self.for_each(|answer| {
            // A waiter that was cancelled does not want it. An answer runs a waker: one that panics must
            // not keep the others waiting, nor abort if we are unwinding already.
            let _ = catch_unwind(AssertUnwindSafe(|| answer.send(Outcome::Retry)));
        });
    }
}

/// The right, and the duty, to end one load. Exactly one exists for a flight; it must end in one of
/// the two ways below, and its owner sees to it on every path.
pub(crate) struct LoadPermit<K, V> {
    flight: NonNull<Flight<K, V>>,
}

// SAFETY: [invariant: one-leader] the permit is the only right to the cell of its entry; it moves with
// the task that leads.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for LoadPermit<K, V> {}
// SAFETY: [invariant: one-leader] shared references to the permit give nothing but an address.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for LoadPermit<K, V> {}

impl<K, V> LoadPermit<K, V> {
    /// The permit of a flight whose draft is about to be submitted; forget it if that fails.
    pub(crate) fn of(draft: &Draft<Flight<K, V>>) -> Self {
        Self { flight: draft.pointer() }
    }

    /// Tells this load from every other that is in flight.
    pub(crate) fn id(&self) -> usize {
        self.flight.addr().get()
    }

    /// Sees that the value is not published if the load began before `generation`.
    pub(crate) fn supersede_if_older(&self, generation: u64) {
        // SAFETY: [invariant: one-leader] an unfinished flight stays in its chain.
        let flight = unsafe { self.flight.as_ref() };
        if flight.entry().stamp().generation() < generation {
            flight.entry().supersede();
        }
    }

    /// Ends the load with `value`; if it was superseded meanwhile the value is dropped unpublished.
    /// The caller is pinned and answers the waiters.
    pub(crate) fn complete(self, value: V, expiry: Expiry) -> (Waiters<V>, Option<V>) {
        // SAFETY: [invariant: one-leader] an unfinished flight stays in its chain; the caller's pin
        // keeps it after its end.
        let flight = unsafe { self.flight.as_ref() };
        // SAFETY: [invariant: one-leader] we hold the only permit and give it up here.
        let unpublished = unsafe { flight.seen().finish(value, expiry) }.err();
        (flight.close(), unpublished)
    }

    /// Ends the load without a value. The caller is pinned and answers the waiters.
    pub(crate) fn abandon(self) -> Waiters<V> {
        // SAFETY: [invariant: one-leader] as in `complete`.
        let flight = unsafe { self.flight.as_ref() };
        flight.entry().abandon();
        flight.close()
    }
}
