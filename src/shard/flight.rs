//! A load in flight and the callers that wait for it.
//!
//! A [`Flight`] hangs in the pending chain of its key from the claim until the fold after its end. One
//! caller, the *leader*, runs the loader and holds the [`LoadPermit`]; the others *join*: they leave a
//! waiter, and the leader answers each of them exactly once, whatever becomes of the load. The value
//! goes into the entry that was made with the claim; how the load ended is that entry's state. A leader
//! that waits for another load in its turn notes that in its [`Lead`], so that no circle of loads waits
//! for itself. Invariants: one-leader, no-lost-waiter, noted-waits (see `docs/concurrency.md`). Layer:
//! shard.
#![expect(unsafe_code, reason = "one of the five files where it is allowed (`tests/tidy.rs`)")]

use super::blocks::Blocks;
use super::entry::{
    Entry, EntryRef, Expiry, Kind, Op, ScopeStamp, Seen, Span, State, settle, vacate,
};
use super::pending::Draft;
use crate::scope::place::Place;
use crate::sync::reclaim::{self, Epoch};
use crate::sync::slot;
use crate::sync::{AtomicPtr, Ordering, contained, fence};
use std::any::Any;
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

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
    lead: Arc<Lead>,
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
    /// A load that is ready to be submitted, and the entry it will fill; in the memory of such that were freed, if any.
    pub(crate) fn draft(
        (hash, stamp): (u32, ScopeStamp),
        span: Span,
        key: K,
        blocks: &Blocks<K, V>,
    ) -> Draft<Self> {
        // The entry's own header is in no chain until the fold has published it: the flight's is.
        let op = Op::new(Kind::Write, hash, State::Loading);
        let unloaded = (key, MaybeUninit::uninit());
        let entry = Entry::make((op, stamp), (span, Expiry::NEVER), unloaded, blocks);
        let flight = Self {
            op: Op::new(Kind::Load, hash, State::Void),
            entry: EntryRef(entry),
            waiters: AtomicPtr::new(std::ptr::null_mut()),
            lead: Arc::new(Lead::new()),
        };
        // SAFETY: [invariant: draft] made just now and shared with nobody.
        unsafe { Draft::of(settle(flight, blocks.flights.take())) }
    }

    /// Takes the key out of a load that was never submitted.
    pub(crate) fn into_key(draft: Draft<Self>) -> K {
        // SAFETY: [invariant: draft] the flight was settled by `draft` and shared with nobody.
        let (flight, _block) = unsafe { vacate(draft.into_raw()) };
        // SAFETY: [invariant: draft] the entry was made with the flight and shared with nobody.
        unsafe { Entry::unmake(flight.entry.0) }.0
    }

    /// The key's hash, without a look at the entry.
    #[inline]
    pub(crate) fn hash(&self) -> u32 {
        self.op.hash()
    }

    /// The entry that the load fills; reachable as long as the flight is.
    #[inline]
    pub(crate) fn entry(&self) -> &Entry<K, V> {
        self.entry.get()
    }

    /// What tells this load from every other, and knows what its leader waits for.
    pub(crate) fn lead(&self) -> &Arc<Lead> {
        &self.lead
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
            contained(|| answer.send(Outcome::Retry));
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

    /// The load's own.
    pub(crate) fn lead(&self) -> Arc<Lead> {
        // SAFETY: [invariant: one-leader] an unfinished flight stays in its chain.
        Arc::clone(unsafe { self.flight.as_ref() }.lead())
    }

    /// Sees that the value is not published if its scope was evicted, or what it belongs to was cleared,
    /// after the load began.
    pub(crate) fn supersede_if_evicted(&self, place: impl Place) {
        // SAFETY: [invariant: one-leader] an unfinished flight stays in its chain.
        let flight = unsafe { self.flight.as_ref() };
        if place.has_ended() || !place.holds(flight.entry().stamp()) {
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

/// A load as other loads see it: what its leader waits for. Whoever is about to wait inside of a load
/// notes it here and then looks whether the waits lead back to a load that it is inside of.
///
/// Knows neither keys nor values, so circles through several caches are found too.
pub(crate) struct Lead {
    first: Wait,
}

/// One wait of a leader, or room for one: a list as long as a leader has waited for loads at a time.
struct Wait {
    on: AtomicPtr<Lead>,
    more: OnceLock<Box<Wait>>,
}

impl Lead {
    fn new() -> Self {
        Self { first: Wait::none() }
    }

    /// Notes that all loads that the caller is inside of, `own`, wait for `other`. Nothing, and nothing
    /// is noted, if `other` waits for one of them: then the caller must not wait.
    pub(crate) fn wait_for(own: &[Arc<Self>], other: &Arc<Self>) -> Option<Vec<Note>> {
        if own.is_empty() {
            return Some(Vec::new());
        }
        let notes = own.iter().map(|lead| Self::note(lead, other)).collect();
        // SeqCst: of those who close a circle at once, the one whose fence is the last finds the notes of
        // all others [edge: circle].
        fence(Ordering::SeqCst);
        (!other.comes_back_to(own, &reclaim::pin_epoch())).then_some(notes)
    }

    fn note(of: &Arc<Self>, other: &Arc<Self>) -> Note {
        let new = Arc::as_ptr(other).cast_mut();
        let mut wait = &of.first;
        let mut place = 0;
        // Release: a walker finds the lead complete [edge: circle]. Relaxed on failure: the place is
        // taken, by another task of the same loader.
        while wait
            .on
            .compare_exchange(std::ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            wait = wait.more.get_or_init(|| Box::new(Wait::none()));
            place += 1;
        }
        Note { of: Arc::clone(of), place, on: Some(Arc::clone(other)) }
    }

    /// Whether this one is of `own`, or waits for one of them, through however many others.
    fn comes_back_to(&self, own: &[Arc<Self>], pinned: &Epoch) -> bool {
        let mut met = HashSet::from([std::ptr::from_ref(self)]);
        let mut to_see = vec![self];
        while let Some(lead) = to_see.pop() {
            if own.iter().any(|own| std::ptr::eq(Arc::as_ptr(own), lead)) {
                return true;
            }
            to_see.extend(lead.waits_on(pinned).filter(|on| met.insert(std::ptr::from_ref(*on))));
        }
        false
    }

    fn waits_on<'g>(&'g self, _pinned: &'g Epoch) -> impl Iterator<Item = &'g Self> {
        self.waits().filter_map(|wait| {
            // Acquire: the lead is walked next [edge: circle].
            let on = wait.on.load(Ordering::Acquire);
            // SAFETY: [invariant: noted-waits] a note that is read under a pin outlives it.
            NonNull::new(on).map(|on| unsafe { on.as_ref() })
        })
    }

    fn waits(&self) -> impl Iterator<Item = &Wait> {
        std::iter::successors(Some(&self.first), |wait| wait.more.get().map(Box::as_ref))
    }
}

impl Drop for Lead {
    /// One by one: a leader may have waited for so many loads that a recursion would not return.
    fn drop(&mut self) {
        let mut next = self.first.more.take();
        while let Some(mut wait) = next {
            next = wait.more.take();
        }
    }
}

impl Wait {
    fn none() -> Self {
        Self { on: AtomicPtr::new(std::ptr::null_mut()), more: OnceLock::new() }
    }
}

/// While it lives, one load is known to wait for another.
pub(crate) struct Note {
    of: Arc<Lead>,
    place: usize,
    on: Option<Arc<Lead>>,
}

impl Drop for Note {
    fn drop(&mut self) {
        let Some(wait) = self.of.waits().nth(self.place) else { return };
        // Relaxed: who misses this sees a wait that is over, and at worst does not wait in its turn.
        wait.on.store(std::ptr::null_mut(), Ordering::Relaxed);
        let on = self.on.take();
        // Walkers that are pinned now may hold the pointer.
        reclaim::pin_epoch().defer(move || drop(on));
    }
}
