//! The operations of a chain and the entry that the index publishes: one header, several bodies.
//!
//! Every operation has an [`Op`] header, so that a chain can hold them all behind one pointer
//! width; its kind says what it belongs to. An [`Entry`] is written by its maker, shared by a successful
//! compare-and-swap, and from then on immutable but for the atomics in it and, while it is
//! [`State::Loading`], its value, which belongs to the one leader of the load.
//!
//! The `link` word of an entry has two lives that never overlap: the next older operation while the
//! entry hangs in a chain, and after it was cut out a mark that says so (low bits `11`), which holds
//! the entry's slot in the store. A walker that finds the mark stands on an operation that has left
//! the chain and begins again. Layer: shard.
#![expect(unsafe_code, reason = "one of the five files where it is allowed (`tests/tidy.rs`)")]

use super::blocks::{Blocks, Freed};
pub(super) use super::link::Filter;
pub(crate) use super::link::{Head, Link};
pub(crate) use super::op::{Farewell, Kind, Op};
use super::pending::Draft;
pub(crate) use super::state::{Expiry, Span, State, Validity};
use crate::clock::{Clock, NEVER};
pub(crate) use crate::scope::ScopeStamp;
use crate::store::{Resident, Slot, Store, Tick};
use crate::sync::Ordering;
use crate::sync::spare::Block;
use crate::sync::tally;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// When an entry was due that was seen to have expired: for good.
const OVER: u64 = 0;

/// A key and its value. In this order: what a reader needs is oftener in one cache line if the link comes last.
#[repr(C)]
pub(crate) struct Entry<K, V> {
    value: UnsafeCell<MaybeUninit<V>>,
    pub(crate) key: K,
    stamp: ScopeStamp,
    pub(super) op: Op,
}

/// An entry that can expire. Only such carry a time: others are smaller by it.
#[repr(C)]
pub(super) struct Mortal<K, V> {
    entry: Entry<K, V>,
    /// When it expires as things stand: readers move it in caches with a time to idle, until one of them sees that
    /// it has passed.
    due: tally::AtomicU64,
}

/// An entry that has a deadline beside the time that readers move.
#[repr(C)]
pub(super) struct Bounded<K, V> {
    mortal: Mortal<K, V>,
    /// How far readers may move it. Written before the entry is [`State::Live`].
    deadline: tally::AtomicU64,
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

    /// The entry as a reader may have it whose scope's it is: live, not expired.
    #[inline]
    pub(crate) fn alive(self, clock: &Clock) -> Option<Live<'g, K, V>> {
        let entry = self.entry();
        // Acquire: whoever sees the entry live sees its value [edge: load-done].
        let alive = State::answers(entry.op.state.load(Ordering::Acquire))
            && !(entry.op.is_mortal() && self.has_expired(clock));
        alive.then_some(Live(self))
    }

    /// When it is due, if it can expire.
    fn due(self) -> Option<&'g tally::AtomicU64> {
        let mortal = self.entry().op.is_mortal().then(|| self.at.cast::<Mortal<K, V>>())?;
        // SAFETY: [invariant: mortal] the header says what was made, and `at` is what came from its
        // making; it outlives the pin [invariant: pinned-walk].
        Some(&unsafe { mortal.as_ref() }.due)
    }

    /// How far that may be moved, if not for ever.
    fn deadline(self) -> Option<&'g tally::AtomicU64> {
        let bounded = self.entry().op.is_bounded().then(|| self.at.cast::<Bounded<K, V>>())?;
        // SAFETY: [invariant: mortal] as in `due`.
        Some(&unsafe { bounded.as_ref() }.deadline)
    }

    /// Whether it has expired, for good: whoever sees it first makes it final, so that no slower reader
    /// can extend its life after. Reads the clock only if the entry can expire.
    #[cold]
    pub(super) fn has_expired(self, clock: &Clock) -> bool {
        let Some(due) = self.due() else { return false };
        // Relaxed: final once it is there.
        if due.load(tally::Ordering::Relaxed) == OVER {
            return true;
        }
        let now = clock.now();
        // Relaxed: one variable, which only grows until it is final.
        let expires = due.fetch_update(tally::Ordering::Relaxed, tally::Ordering::Relaxed, |due| {
            (due <= now).then_some(OVER)
        });
        expires.is_ok()
    }

    /// Ends the load with `value`. Gives it back if the load was superseded meanwhile: it must not be
    /// published then.
    ///
    /// # Safety
    ///
    /// The caller is the leader of this load and calls once.
    pub(super) unsafe fn finish(self, value: V, expiry: Expiry) -> Result<(), V> {
        let entry = self.entry();
        debug_assert!(entry.op.is_mortal() || expiry.first() == NEVER, "an immortal would expire");
        debug_assert!(entry.op.is_bounded() || expiry.span() != Span::Bounded, "no room for both");
        if let Some(due) = self.due() {
            // Relaxed: published by the change below.
            due.store(expiry.first(), tally::Ordering::Relaxed);
        }
        if let Some(deadline) = self.deadline() {
            // Relaxed: published by the change below.
            deadline.store(expiry.deadline, tally::Ordering::Relaxed);
        }
        // SAFETY: [invariant: one-leader] while the state is Loading or Superseded only the leader
        // touches the cell, and the caller is the leader.
        let cell = unsafe { &mut *entry.value.get() };
        cell.write(value);
        let live = entry.op.state.compare_exchange(
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
        entry.abandon();
        Err(value)
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

    /// Whether it has a time after which it does not answer.
    #[inline]
    pub(crate) fn can_expire(self) -> bool {
        self.entry().op.is_mortal()
    }

    /// Lets the entry live until `idle`, or its deadline; called by readers of caches that have a time
    /// to idle.
    pub(crate) fn extend_idle(self, idle: u64) {
        let Some(due) = self.0.due() else { return };
        // Relaxed: the deadline was written before the entry was live.
        let deadline = self.0.deadline().map_or(NEVER, |at| at.load(tally::Ordering::Relaxed));
        let until = idle.min(deadline);
        // Relaxed: see `has_expired`.
        let _ = due.fetch_update(tally::Ordering::Relaxed, tally::Ordering::Relaxed, |due| {
            (due != OVER && due < until).then_some(until)
        });
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
    /// A write, ready to be submitted; in the memory of an entry that was freed, if any. It passes for read in `tick`.
    pub(crate) fn write(
        (hash, stamp, tick): (u32, ScopeStamp, Tick),
        expiry: Expiry,
        (key, value): (K, V),
        blocks: &Blocks<K, V>,
    ) -> Draft<Self> {
        let op = Op::new(Kind::Write, hash, State::Live).read_in(tick);
        let pair = (key, MaybeUninit::new(value));
        let entry = Self::make((op, stamp), (expiry.span(), expiry), pair, blocks);
        // SAFETY: [invariant: draft] made just now and shared with nobody.
        unsafe { Draft::of(entry) }
    }

    /// An entry of its own. `span`: which times its value has, or will have.
    pub(super) fn make(
        (op, stamp): (Op, ScopeStamp),
        (span, expiry): (Span, Expiry),
        (key, value): (K, MaybeUninit<V>),
        blocks: &Blocks<K, V>,
    ) -> NonNull<Self> {
        let value = UnsafeCell::new(value);
        if span == Span::Endless {
            return settle(Self { op, stamp, key, value }, blocks.endless.take());
        }
        let op = op.of_mortal(span == Span::Bounded);
        let due = tally::AtomicU64::new(expiry.first());
        let mortal = Mortal { entry: Self { op, stamp, key, value }, due };
        if span == Span::Mortal {
            return settle(mortal, blocks.mortal.take()).cast();
        }
        let deadline = tally::AtomicU64::new(expiry.deadline);
        let bounded = Bounded { mortal, deadline };
        settle(bounded, blocks.bounded.take()).cast()
    }

    /// Ends an entry and gives what it held, and its memory. No value if it never had one.
    ///
    /// # Safety
    ///
    /// It came from `make` and nobody else can reach it any more.
    pub(super) unsafe fn unmake(at: NonNull<Self>) -> (K, Option<V>, Freed<K, V>) {
        // SAFETY: [invariant: mortal] the caller has the entry to itself.
        let op = &unsafe { at.as_ref() }.op;
        let (entry, freed) = if op.is_bounded() {
            // SAFETY: [invariant: mortal] the header says what was made.
            let (bounded, block) = unsafe { vacate(at.cast::<Bounded<K, V>>()) };
            (bounded.mortal.entry, Freed::Bounded(block))
        } else if op.is_mortal() {
            // SAFETY: [invariant: mortal] the header says what was made.
            let (mortal, block) = unsafe { vacate(at.cast::<Mortal<K, V>>()) };
            (mortal.entry, Freed::Mortal(block))
        } else {
            // SAFETY: [invariant: mortal] the header says what was made.
            let (entry, block) = unsafe { vacate(at) };
            (entry, Freed::Endless(block))
        };
        let has_value = entry.state().has_value();
        let Self { key, value, .. } = entry;
        // SAFETY: [invariant: published-immutable] the states above are entered only with a value.
        (key, has_value.then(|| unsafe { value.into_inner().assume_init() }), freed)
    }

    /// Takes key and value back out of a write that was never submitted.
    pub(crate) fn take_back(draft: Draft<Self>) -> (K, V) {
        // SAFETY: [invariant: draft] it was shared with nobody.
        let (key, value, _freed) = unsafe { Self::unmake(draft.into_raw()) };
        (key, value.expect("a write was made with a value"))
    }

    #[inline]
    pub(crate) fn hash(&self) -> u32 {
        self.op.hash()
    }

    #[inline]
    pub(crate) fn stamp(&self) -> ScopeStamp {
        self.stamp
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        // Acquire: whoever sees a load finished sees its value [edge: load-done]; whoever sees an
        // entry removed or gone sees what its taker did before [edge: entry-taken].
        State::of(self.op.state.load(Ordering::Acquire))
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
    pub(crate) fn touch(&self, tick: Tick) {
        // Relaxed: recency is advice, it orders nothing.
        if self.op.tick.load(tally::Ordering::Relaxed) != tick {
            // Relaxed: as above.
            self.op.tick.store(tick, tally::Ordering::Relaxed);
        }
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

    /// Keeps the value of a load from being published. `false` if the load has ended or somebody else was
    /// faster: then it may still be in flight, and only [`Entry::state`] says.
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

    /// The entry's slot in the store, if it has one. Shard thread only.
    pub(super) fn slot(&self) -> Option<Slot> {
        // Relaxed: the shard wrote it itself.
        let link = Link(self.op.link.load(Ordering::Relaxed));
        if !link.is_cut() {
            return None;
        }
        Slot::try_from((link.0.addr() >> 2).checked_sub(1)?).ok()
    }

    /// Ends the load without a value. Only the leader calls it, once.
    pub(super) fn abandon(&self) {
        // Release: the fold that takes the flight out sees the leader's last steps [edge: load-done].
        self.op.state.store(State::Void as u8, Ordering::Release);
    }
}

/// Puts something into a block, or into memory of its own.
pub(super) fn settle<T>(whole: T, block: Option<Block<T>>) -> NonNull<T> {
    let block = match block {
        Some(block) => Box::leak(block).write(whole),
        None => Box::leak(Box::new(whole)),
    };
    NonNull::from(block)
}

/// Takes something out of its memory, and the memory.
///
/// # Safety
///
/// It came from `settle` and the caller has it to itself.
pub(super) unsafe fn vacate<T>(at: NonNull<T>) -> (T, Block<T>) {
    // SAFETY: [invariant: mortal] `settle` leaked it as a box, perhaps as one of a `MaybeUninit`, which has its layout.
    let block = unsafe { Block::<T>::from_raw(at.as_ptr().cast()) };
    // SAFETY: [invariant: mortal] it is there, and moves out of memory that nobody reads any more.
    (unsafe { block.assume_init_read() }, block)
}

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

    /// The entry as a reader sees it, for the shard thread.
    pub(super) fn seen(&self) -> Seen<'_, K, V> {
        // SAFETY: [invariant: graves] as in `get`.
        unsafe { Seen::new(self.0) }
    }

    /// Key and value of a live resident of `_owner`, for as long as that is not changed.
    pub(super) fn pair<'a>(self, _owner: &'a Store<Self>, clock: &Clock) -> Option<(&'a K, &'a V)> {
        // SAFETY: [invariant: graves] residents are retired by who changes the store, and it is borrowed.
        let live = unsafe { Seen::new(self.0) }.alive(clock)?;
        Some((&live.entry().key, live.value()))
    }

    /// Writes the second life of the link word. Shard thread only, after the entry was cut out.
    pub(super) fn set_slot(&self, slot: Option<Slot>) {
        // Release: a walker that stands here and finds the mark begins again and must then find what
        // the fold published before it cut [edge: chain].
        self.get().op.link.store(Link::cut(slot).0, Ordering::Release);
    }

    /// Whether the entry or what it replaced was read, as an odd tick says, since this was last asked. Shard thread only.
    pub(super) fn forget_read(&self, birth: Tick) -> bool {
        let was_read = self.stamp() % 2 == 1;
        if was_read {
            self.set_tick(birth);
        }
        was_read
    }

    /// Notes that the entry replaces an older one. If that was read, this one passes for read in the tick in which it was
    /// issued, if that lasts: neither the shard nor the next reader writes what readers look at. Shard thread only.
    pub(super) fn succeed(&self, older: Self, (tick, birth): (Tick, Tick)) {
        if older.stamp() % 2 == 0 || self.stamp() != tick {
            self.set_tick(birth);
        }
    }

    /// Notes the tick in which the entry entered the store. Shard thread only.
    pub(super) fn set_tick(&self, tick: Tick) {
        // Relaxed: recency is advice.
        self.get().op.tick.store(tick, tally::Ordering::Relaxed);
    }
}

impl<K, V> Resident for EntryRef<K, V> {
    fn stamp(&self) -> Tick {
        // Relaxed: recency is advice.
        self.get().op.tick.load(tally::Ordering::Relaxed)
    }

    fn deadline(&self) -> u64 {
        let due = self.seen().due();
        // Relaxed: a reader's extension that is missed here is seen when the timer fires.
        due.map_or(NEVER, |due| due.load(tally::Ordering::Relaxed))
    }
}
