//! The operations of a chain and the entry that the index publishes: one header, several bodies.
//!
//! Every operation begins with an [`Op`] header, so that a chain can hold them all behind one pointer
//! width; its `kind` says what follows. An [`Entry`] is written by its maker, shared by a successful
//! compare-and-swap, and from then on immutable but for the atomics in it and, while it is
//! [`State::Loading`], its value, which belongs to the one leader of the load.
//!
//! The `link` word of an entry has two lives that never overlap: the next older operation while the
//! entry hangs in a chain, and after it was cut out a mark that says so (low bits `11`), which holds
//! the entry's slot in the store. A walker that finds the mark stands on an operation that has left
//! the chain and begins again. Layer: shard.
#![expect(unsafe_code, reason = "one of the five files that the design marks")]

pub(crate) use super::link::Link;
use super::pending::Draft;
pub(crate) use super::state::{Expiry, ScopeStamp, State, Validity};
use crate::clock::{Clock, NEVER};
use crate::store::{Resident, Slot, Store};
use crate::sync::tally;
use crate::sync::{AtomicPtr, AtomicU8, Ordering};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// The idle deadline of an entry that was seen to have passed it.
const IDLED_OUT: u64 = 0;

/// What every operation in a pending chain begins with.
#[repr(C)]
pub(crate) struct Op {
    pub(super) link: AtomicPtr<Op>,
    /// The part of the key's hash that a shard needs.
    pub(super) hash: u32,
    pub(super) kind: Kind,
    /// How many operations that a fold can take hang from here on, this one included.
    pub(super) depth: tally::AtomicU8,
    /// Only of use in an entry; here because the header has room for it.
    state: AtomicU8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// An [`Entry`] that replaces what its key had.
    Write,
    /// A [`Flight`](super::flight::Flight): a load, running or finished.
    Load,
    /// A [`Farewell`]: an entry was removed and must be taken out.
    Removal,
    /// Nothing; stands between the head and unfinished loads after a fold, so that a head that was
    /// seen before never comes back.
    Base,
}

impl Op {
    pub(super) fn new(kind: Kind, hash: u32, state: State) -> Self {
        Self {
            link: AtomicPtr::new(std::ptr::null_mut()),
            hash,
            kind,
            depth: tally::AtomicU8::new(0),
            state: AtomicU8::new(state as u8),
        }
    }
}

/// A key and its value, as chains and the index point to them.
#[repr(C)]
pub(crate) struct Entry<K, V> {
    op: Op,
    /// The shard's tick of the latest read (recency), see `store::policy`.
    tick: tally::AtomicU32,
    scope: u32,
    generation: u64,
    /// When it expires whatever happens. Written before the entry is [`State::Live`].
    deadline: tally::AtomicU64,
    /// When it expires unless it is read before.
    idle: tally::AtomicU64,
    pub(crate) key: K,
    value: UnsafeCell<MaybeUninit<V>>,
}

// SAFETY: [invariant: published-immutable] an entry is shared only after it was made; its value is
// written by one leader before the release that makes it live and only read afterwards, so sharing
// needs `K` and `V` to be `Sync`, and freeing it on the shard thread needs them to be `Send`.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Entry<K, V> {}

/// An entry that was found under a pin, by the pointer that came from its making: a reference would
/// not do for who hands it on to be freed.
pub(crate) struct Seen<'g, K, V> {
    at: NonNull<Entry<K, V>>,
    pinned: PhantomData<&'g Entry<K, V>>,
}

impl<K, V> Clone for Seen<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Seen<'_, K, V> {}

impl<'g, K, V> Seen<'g, K, V> {
    /// # Safety
    ///
    /// The entry was reachable under a pin that lasts for `'g`.
    #[inline]
    pub(super) unsafe fn new(at: NonNull<Entry<K, V>>) -> Self {
        Self { at, pinned: PhantomData }
    }

    #[inline]
    pub(crate) fn entry(self) -> &'g Entry<K, V> {
        // SAFETY: [invariant: pinned-walk] what was reachable under the pin outlives it.
        unsafe { self.at.as_ref() }
    }

    /// The entry as a reader may have it: live, not cleared, not expired.
    #[inline]
    pub(crate) fn alive(self, validity: &Validity<'_>) -> Option<Live<'g, K, V>> {
        self.entry().is_alive(validity).then_some(Live(self))
    }
}

/// An entry that was seen live under its reader's pin: the proof that its value is there. It stays
/// readable as long as the pin, whatever becomes of the entry.
pub(crate) struct Live<'g, K, V>(Seen<'g, K, V>);

impl<K, V> Clone for Live<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Live<'_, K, V> {}

impl<'g, K, V> Live<'g, K, V> {
    #[inline]
    pub(crate) fn entry(self) -> &'g Entry<K, V> {
        self.0.entry()
    }

    /// The entry, for the shard to take out and free.
    pub(crate) fn hand_on(self) -> EntryRef<K, V> {
        EntryRef(self.0.at)
    }

    #[inline]
    pub(crate) fn value(self) -> &'g V {
        // SAFETY: [invariant: published-immutable] a `Live` is made only of an entry with a value.
        unsafe { self.0.entry().value_unchecked() }
    }
}

impl<K, V> Entry<K, V> {
    /// A write, ready to be submitted.
    pub(crate) fn write(
        hash: u32,
        stamp: ScopeStamp,
        expiry: Expiry,
        key: K,
        value: V,
    ) -> Box<Self> {
        Self::new(
            Op::new(Kind::Write, hash, State::Live),
            stamp,
            expiry,
            key,
            MaybeUninit::new(value),
        )
    }

    /// The entry that a load will fill. Its own `op` is in no chain until the fold has published it:
    /// the flight's is.
    pub(super) fn loading(hash: u32, stamp: ScopeStamp, key: K) -> Box<Self> {
        let op = Op::new(Kind::Write, hash, State::Loading);
        Self::new(op, stamp, Expiry::NEVER, key, MaybeUninit::uninit())
    }

    fn new(op: Op, stamp: ScopeStamp, expiry: Expiry, key: K, value: MaybeUninit<V>) -> Box<Self> {
        Box::new(Self {
            op,
            tick: tally::AtomicU32::new(0),
            scope: stamp.scope,
            generation: stamp.generation,
            deadline: tally::AtomicU64::new(expiry.deadline),
            idle: tally::AtomicU64::new(expiry.idle),
            key,
            value: UnsafeCell::new(value),
        })
    }

    /// Takes key and value back out of a write that was never submitted.
    pub(crate) fn take_back(draft: Draft<Self>) -> (K, V) {
        let (key, value) = draft.into_box().into_parts();
        (key, value.expect("a write was made with a value"))
    }

    #[inline]
    pub(crate) fn hash(&self) -> u32 {
        self.op.hash
    }

    pub(crate) fn stamp(&self) -> ScopeStamp {
        ScopeStamp { scope: self.scope, generation: self.generation }
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        // Acquire: whoever sees a load finished sees its value [edge: load-done]; whoever sees an
        // entry removed or gone sees what its taker did before [edge: entry-taken].
        State::of(self.op.state.load(Ordering::Acquire))
    }

    /// Whether a reader may have the value: live, not cleared, not expired.
    #[inline]
    fn is_alive(&self, validity: &Validity<'_>) -> bool {
        // Acquire: whoever sees the entry live sees its value [edge: load-done].
        State::answers(self.op.state.load(Ordering::Acquire))
            && self.generation >= validity.generation
            && !self.has_expired(validity.clock)
    }

    /// Whether a deadline has passed. Reads the clock only if there is one. That an entry was idle for
    /// too long is made final by whoever sees it first: no slower reader can extend its life after.
    #[inline]
    pub(super) fn has_expired(&self, clock: &Clock) -> bool {
        let first = self.expires_at();
        first != NEVER && self.has_expired_by(clock.now())
    }

    fn has_expired_by(&self, now: u64) -> bool {
        // Relaxed: the deadline was written before the entry was shared.
        if self.deadline.load(tally::Ordering::Relaxed) <= now {
            return true;
        }
        // Relaxed: one variable, which only grows until it is final.
        let final_if_over =
            self.idle.fetch_update(tally::Ordering::Relaxed, tally::Ordering::Relaxed, |idle| {
                (idle <= now).then_some(IDLED_OUT)
            });
        final_if_over.is_ok()
    }

    /// The first of its deadlines.
    #[inline]
    pub(crate) fn expires_at(&self) -> u64 {
        // Relaxed: the deadline was written before the entry was shared.
        let deadline = self.deadline.load(tally::Ordering::Relaxed);
        // Relaxed: a reader that misses the latest extension misses an entry it might have had.
        deadline.min(self.idle.load(tally::Ordering::Relaxed))
    }

    /// The value, once there is one, whatever has become of the entry.
    pub(super) fn value(&self) -> Option<&V> {
        // SAFETY: [invariant: published-immutable] a state with a value is never left for one without.
        self.state().has_value().then(|| unsafe { self.value_unchecked() })
    }

    /// # Safety
    ///
    /// The entry has been in a state that has a value.
    #[inline]
    unsafe fn value_unchecked(&self) -> &V {
        // SAFETY: [invariant: published-immutable] nobody writes the cell once the state has a value.
        let cell = unsafe { &*self.value.get() };
        // SAFETY: [invariant: published-immutable] the caller guarantees that there is a value.
        unsafe { cell.assume_init_ref() }
    }

    /// Notes that the entry was read in `tick`. Hot entries stop writing: only the first read in a
    /// tick stores.
    #[inline]
    pub(crate) fn touch(&self, tick: u32) {
        // Relaxed: recency is advice, it orders nothing.
        if self.tick.load(tally::Ordering::Relaxed) != tick {
            // Relaxed: as above.
            self.tick.store(tick, tally::Ordering::Relaxed);
        }
    }

    /// Moves the idle deadline; called by readers of caches that have a time to idle.
    pub(crate) fn extend_idle(&self, idle: u64) {
        // Relaxed: see `has_expired_by`.
        let _ = self.idle.fetch_update(tally::Ordering::Relaxed, tally::Ordering::Relaxed, |now| {
            (now != IDLED_OUT && now < idle).then_some(idle)
        });
    }

    /// A remover's claim: `true` for exactly one caller, who must submit a [`Farewell`] for it.
    pub(crate) fn take_by_remover(&self) -> bool {
        self.change(State::Live, State::Removed)
    }

    /// The shard's claim, before it retires an entry: `false` if a remover came first, whose
    /// [`Farewell`] will retire it.
    pub(super) fn take_by_shard(&self) -> bool {
        self.change(State::Live, State::Gone)
    }

    /// The shard's claim on an entry that a newer one replaces: readers that are on their way to it may
    /// still have it. `false` if a remover came first.
    pub(super) fn replace_by_shard(&self) -> bool {
        self.change(State::Live, State::Replaced)
    }

    /// `false` if the load has ended meanwhile.
    pub(crate) fn supersede(&self) -> bool {
        self.change(State::Loading, State::Superseded)
    }

    fn change(&self, from: State, to: State) -> bool {
        self.op
            .state
            // AcqRel: exactly one taker wins, and it sees the value that it takes [edge: entry-taken].
            // Acquire on failure: the loser sees what the winner did before [edge: entry-taken].
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Ends the load with `value`. Gives it back if the load was superseded meanwhile: it must not be
    /// published then.
    ///
    /// # Safety
    ///
    /// The caller is the leader of this load and calls once.
    pub(super) unsafe fn finish(&self, value: V, expiry: Expiry) -> Result<(), V> {
        // Relaxed: published by the change below.
        self.deadline.store(expiry.deadline, tally::Ordering::Relaxed);
        // Relaxed: published by the change below.
        self.idle.store(expiry.idle, tally::Ordering::Relaxed);
        // SAFETY: [invariant: one-leader] while the state is Loading or Superseded only the leader
        // touches the cell, and the caller is the leader.
        let cell = unsafe { &mut *self.value.get() };
        cell.write(value);
        let live = self.op.state.compare_exchange(
            State::Loading as u8,
            State::Live as u8,
            // Release: a reader that sees Live sees the value and its deadlines [edge: load-done].
            Ordering::Release,
            // Relaxed: on failure nothing of the superseder is read.
            Ordering::Relaxed,
        );
        if live.is_ok() {
            return Ok(());
        }
        // SAFETY: [invariant: one-leader] written above; the state was Superseded, so nobody reads it.
        let value = unsafe { cell.assume_init_read() };
        self.abandon();
        Err(value)
    }

    /// Ends the load without a value. Only the leader calls it, once.
    pub(super) fn abandon(&self) {
        // Release: the fold that takes the flight out sees the leader's last steps [edge: load-done].
        self.op.state.store(State::Void as u8, Ordering::Release);
    }

    /// Takes key and value out of an entry that nobody else can reach any more. No value if it never
    /// had one.
    pub(super) fn into_parts(self) -> (K, Option<V>) {
        let has_value = self.state().has_value();
        let Self { key, value, .. } = self;
        // SAFETY: [invariant: published-immutable] the states above are entered only with a value.
        (key, has_value.then(|| unsafe { value.into_inner().assume_init() }))
    }
}

/// A removed entry that the shard must take out of chain, index and store: the other half of
/// [`Entry::take_by_remover`].
#[repr(C)]
pub(crate) struct Farewell<K, V> {
    op: Op,
    pub(super) entry: EntryRef<K, V>,
}

impl<K, V> Farewell<K, V> {
    pub(crate) fn new(entry: EntryRef<K, V>, hash: u32) -> Box<Self> {
        Box::new(Self { op: Op::new(Kind::Removal, hash, State::Void), entry })
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

/// A pointer to an entry that the holder keeps from being freed: by a pin, or by being the shard.
pub(crate) struct EntryRef<K, V>(pub(super) NonNull<Entry<K, V>>);

impl<K, V> Clone for EntryRef<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for EntryRef<K, V> {}
impl<K, V> PartialEq for EntryRef<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

// SAFETY: [invariant: published-immutable] a pointer to a shared entry may go wherever the entry may.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for EntryRef<K, V> {}

impl<K, V> EntryRef<K, V> {
    /// The entry, for the shard thread: everything it holds a reference to is freed by itself only.
    #[inline]
    pub(super) fn get(&self) -> &Entry<K, V> {
        // SAFETY: [invariant: graves] an EntryRef in the hands of the shard is freed by nobody else,
        // and the shard forgets its copies before it gives the entry to the graves.
        unsafe { self.0.as_ref() }
    }
}

impl<K, V> EntryRef<K, V> {
    /// Key and value of a live resident of `_owner`, for as long as that is not changed.
    pub(super) fn pair<'a>(
        self,
        _owner: &'a Store<Self>,
        validity: &Validity<'_>,
    ) -> Option<(&'a K, &'a V)> {
        // SAFETY: [invariant: graves] residents are retired by who changes the store, and it is borrowed.
        let entry = unsafe { &*self.0.as_ptr() };
        entry.is_alive(validity).then(|| entry.value()).flatten().map(|value| (&entry.key, value))
    }
}

impl<K, V> Resident for EntryRef<K, V> {
    fn stamp(&self) -> u32 {
        // Relaxed: recency is advice.
        self.get().tick.load(tally::Ordering::Relaxed)
    }

    fn deadline(&self) -> u64 {
        self.get().expires_at()
    }
}

impl<K, V> EntryRef<K, V> {
    /// Writes the second life of the link word. Shard thread only, after the entry was cut out.
    pub(super) fn set_slot(&self, slot: Option<Slot>) {
        // Release: a walker that stands here and finds the mark begins again and must then find what
        // the fold published before it cut [edge: chain].
        self.get().op.link.store(Link::cut(slot).0, Ordering::Release);
    }

    /// The entry's slot in the store, if it has one. Shard thread only.
    pub(super) fn slot(&self) -> Option<Slot> {
        // Relaxed: the shard wrote it itself.
        let link = Link(self.get().op.link.load(Ordering::Relaxed));
        if !link.is_cut() {
            return None;
        }
        Slot::try_from((link.0.addr() >> 2).checked_sub(1)?).ok()
    }

    /// Notes the tick in which the entry entered the store. Shard thread only.
    pub(super) fn set_tick(&self, tick: u32) {
        // Relaxed: recency is advice.
        self.get().tick.store(tick, tally::Ordering::Relaxed);
    }
}
