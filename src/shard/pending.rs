//! The pending table: operations that every thread can read before the shard has processed them.
//!
//! A small table of slots; a slot is the head of a chain of operations, newest first.
//!
//! * **Submit** (any thread): link to the head that was seen, compare-and-swap the head.
//! * **Walk** (any thread, pinned): from the head down. The newest operation on a key decides.
//! * **Cut** (shard thread only): take folded operations out, oldest first, after their effect was
//!   published in the index. Only the shard rewrites links, so all but the head's are plain stores.
//!
//! An empty slot is not null but a version that is never used twice, and a head that stays after a fold is
//! covered by a fresh base, so a compare-and-swap succeeds only if nothing happened in the slot since
//! its head was read. A head also says which hashes may be in its chain ([`Head`]): a hot key that is
//! written in a storm hangs a long chain into the way of its neighbours' readers only if their hashes share one bit of 16. Invariants: read-your-writes, no-time-travel, versioned-slot (see
//! `docs/concurrency.md`). Layer: shard.
#![expect(unsafe_code, reason = "one of the five files where it is allowed (`tests/tidy.rs`)")]

use super::entry::{Entry, EntryRef, Farewell, Filter, Head, Kind, Link, Op, Seen};
use super::flight::Flight;
use super::graves::{KEPT, OpRef};
use crate::sync::reclaim::Pinned;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Slots of a shard; a power of two.
pub(crate) const SLOTS: usize = if cfg!(any(cache_loom, cache_shuttle)) { 1 } else { 1024 };

/// How many operations may hang in one slot before a submit must wait for the shard.
pub(crate) const DEPTH_LIMIT: u8 =
    if cfg!(any(cache_loom, cache_shuttle)) { 4 } else { Op::MAX_DEPTH - 1 };

const WORDS: usize = SLOTS.div_ceil(64);

/// The operations of one shard that are in flight.
pub(crate) struct Pending<K, V> {
    /// In place, so that a read reaches its head without another pointer.
    heads: [AtomicPtr<Op>; SLOTS],
    /// One bit for each slot that has something for the shard.
    dirty: [AtomicU64; WORDS],
    operations: PhantomData<(K, V)>,
}

/// Something that has an [`Op`] in it.
///
/// # Safety
///
/// The type is `repr(C)` and has an [`Op`] at `HEADER`.
pub(crate) unsafe trait Operation: Sized {
    /// How many bytes of it lie before its header.
    const HEADER: usize = 0;

    /// Frees an operation.
    ///
    /// # Safety
    ///
    /// It is as it was made, on the heap, and nobody else can reach it.
    unsafe fn free(at: NonNull<Self>) {
        // SAFETY: [invariant: draft] the caller guarantees it; operations are made as boxes, or in blocks, which are such.
        drop(unsafe { Box::from_raw(at.as_ptr()) });
    }
}

// SAFETY: [invariant: op-header] repr(C), and that is where the Op is.
unsafe impl<K, V> Operation for Entry<K, V> {
    const HEADER: usize = std::mem::offset_of!(Self, op);

    unsafe fn free(at: NonNull<Self>) {
        // SAFETY: [invariant: draft] the caller guarantees it.
        drop(unsafe { Self::unmake(at) });
    }
}
// SAFETY: [invariant: op-header] repr(C), Op first.
unsafe impl<K, V> Operation for Farewell<K, V> {}
// SAFETY: [invariant: op-header] repr(C), Op first.
unsafe impl<K, V> Operation for Flight<K, V> {}

/// An operation that is not yet shared. Freed if it never is.
pub(crate) struct Draft<T: Operation>(NonNull<T>);

impl<T: Operation> Draft<T> {
    pub(crate) fn new(operation: Box<T>) -> Self {
        Self(NonNull::from(Box::leak(operation)))
    }

    pub(crate) fn pointer(&self) -> NonNull<T> {
        self.0
    }

    /// The draft of an operation that was made elsewhere.
    ///
    /// # Safety
    ///
    /// It is as it was made and nobody else has it.
    pub(super) unsafe fn of(operation: NonNull<T>) -> Self {
        Self(operation)
    }

    /// The operation, in the hands of the caller.
    pub(super) fn into_raw(self) -> NonNull<T> {
        let operation = self.0;
        std::mem::forget(self);
        operation
    }
}

impl<T: Operation> Drop for Draft<T> {
    fn drop(&mut self) {
        // SAFETY: [invariant: draft] as it was made; a shared draft is forgotten.
        unsafe { T::free(self.0) };
    }
}

/// One step of a walk down a chain.
pub(crate) enum Step<'g, K, V> {
    Write(Seen<'g, K, V>),
    Load(&'g Flight<K, V>),
    /// An operation that decides nothing.
    Other,
    /// The chain ends: the index decides.
    End,
    /// The walker stands on an operation that has left the chain: begin again at the head.
    Restart,
}

/// What a walker that stands on an operation has come to.
///
/// # Safety
///
/// It was reached from a head under a pin that lasts for `'g`.
#[inline(always)]
unsafe fn met<'g, K, V>(op: NonNull<Op>) -> Step<'g, K, V> {
    // SAFETY: [invariant: pinned-walk] the caller guarantees that it outlives the pin.
    match unsafe { op.as_ref() }.kind() {
        Kind::Write => {
            // SAFETY: [invariant: op-header] the kind says what has this header.
            let entry = unsafe { entry_of(op) };
            // SAFETY: [invariant: pinned-walk] as its header.
            Step::Write(unsafe { Seen::new(entry) })
        }
        // SAFETY: [invariant: op-header] the kind says what begins with this header.
        Kind::Load => Step::Load(unsafe { op.cast::<Flight<K, V>>().as_ref() }),
        Kind::Farewell => Step::Other,
    }
}

/// The entry that has this header.
///
/// # Safety
///
/// It is that of an entry of this kind, by a pointer that came from the entry's.
unsafe fn entry_of<K, V>(op: NonNull<Op>) -> NonNull<Entry<K, V>> {
    // SAFETY: [invariant: op-header] the caller guarantees that there is an entry around it.
    unsafe { op.byte_sub(Entry::<K, V>::HEADER) }.cast()
}

/// An operation as it hangs in a chain, in the hands of the shard.
pub(super) struct Hanging<K, V> {
    pub(super) op: OpRef<K, V>,
    pub(super) kind: Kind,
    /// The entry that it writes, fills or removes; none for a base.
    pub(super) entry: Option<EntryRef<K, V>>,
}

impl<K, V> Hanging<K, V> {
    fn new(op: NonNull<Op>, kind: Kind) -> Self {
        let entry = match kind {
            // SAFETY: [invariant: op-header] the kind says what has this header.
            Kind::Write => Some(EntryRef(unsafe { entry_of(op) })),
            // SAFETY: [invariant: op-header] the kind says what begins with this header.
            Kind::Load => Some(unsafe { op.cast::<Flight<K, V>>().as_ref() }.entry),
            // SAFETY: [invariant: op-header] the kind says what begins with this header.
            Kind::Farewell => unsafe { op.cast::<Farewell<K, V>>().as_ref() }.entry,
        };
        Self { op: OpRef::new(op), kind, entry }
    }

    /// Whether it is there for the chain's sake only, and was never counted.
    pub(super) fn is_base(&self) -> bool {
        self.kind == Kind::Farewell && self.entry.is_none()
    }
}

/// What is met on the way ahead of a fold; kept for its memory.
pub(super) struct ReadAhead<K, V> {
    ops: Vec<OpRef<K, V>>,
    /// Of the operations that were met.
    pub(super) hashes: Vec<u32>,
    /// What they may replace.
    pub(super) residents: Vec<EntryRef<K, V>>,
}

impl<K, V> Default for ReadAhead<K, V> {
    fn default() -> Self {
        Self { ops: Vec::new(), hashes: Vec::new(), residents: Vec::new() }
    }
}

impl<K, V> ReadAhead<K, V> {
    /// Gives back what is kept for the next folds.
    pub(super) fn rest(&mut self) {
        let Self { ops, hashes, residents } = self;
        ops.shrink_to(KEPT);
        hashes.shrink_to(KEPT);
        residents.shrink_to(KEPT);
    }
}

/// A walk down the chain that hung in a slot when its head was read.
pub(crate) struct Walk<'g, K, V> {
    at: Link,
    guard: PhantomData<Pinned<'g>>,
    operations: PhantomData<(K, V)>,
}

impl<K, V> Pending<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            // Version zero is the shard's first: it hands out one and more.
            heads: std::array::from_fn(|_| AtomicPtr::new(Link::end(0).0)),
            dirty: std::array::from_fn(|_| AtomicU64::new(0)),
            operations: PhantomData,
        }
    }

    /// What the slot's head says now.
    #[inline]
    pub(crate) fn head(&self, slot: usize, _pinned: Pinned<'_>) -> Head {
        // Acquire: whoever sees an operation sees what its maker wrote, and whoever sees a slot emptied,
        // or a filter without his key, finds its operations in the index [edge: chain].
        Head(self.heads[slot].load(Ordering::Acquire))
    }

    /// Walks the chain below `head`, which came from [`Pending::head`] under the same pin.
    #[inline]
    pub(crate) fn walk<'g>(&self, head: Head, _pinned: Pinned<'g>) -> Walk<'g, K, V> {
        Walk { at: head.link(), guard: PhantomData, operations: PhantomData }
    }

    /// The newest operation below `head`, which came from [`Pending::head`] under the same pin, if it is a write.
    #[inline]
    pub(crate) fn newest_write<'g>(
        &self,
        head: Head,
        _pinned: Pinned<'g>,
    ) -> Option<Seen<'g, K, V>> {
        let op = head.link().operation()?;
        // SAFETY: [invariant: pinned-walk] reached from a head under the pin `'g`.
        match unsafe { met(op) } {
            Step::Write(newest) => Some(newest),
            _ => None,
        }
    }

    /// Shares `draft` if the slot's head is still `seen`: exactly if nothing has happened in the slot
    /// since. Gives the draft back with the head that is there instead.
    pub(crate) fn submit<T: Operation>(
        &self,
        slot: usize,
        draft: Draft<T>,
        seen: Head,
        pinned: Pinned<'_>,
    ) -> Result<(), (Draft<T>, Head)> {
        // SAFETY: [invariant: op-header] within the operation.
        let op = unsafe { draft.0.byte_add(T::HEADER) }.cast::<Op>();
        let filter = {
            // SAFETY: [invariant: op-header] a draft has an Op there and nobody else has it yet.
            let header = unsafe { op.as_ref() };
            let own = u8::from(header.kind() != Kind::Load);
            header.set_depth(self.depth(seen, pinned).saturating_add(own));
            // Relaxed: published by the exchange below.
            header.link.store(seen.link().0, Ordering::Relaxed);
            seen.filter().with(header.hash())
        };
        // Release: a reader that finds the operation finds it complete [edge: chain]. Acquire on
        // failure: the head that won is walked next [edge: chain].
        match self.heads[slot].compare_exchange(
            seen.0,
            Head::new(Link(op.as_ptr()), filter).0,
            Ordering::Release,
            Ordering::Acquire,
        ) {
            Ok(_) => {
                std::mem::forget(draft);
                Ok(())
            }
            Err(now) => Err((draft, Head(now))),
        }
    }

    /// Whether the chain below `head` is too long for another operation.
    pub(crate) fn is_deep(&self, head: Head, pinned: Pinned<'_>) -> bool {
        self.depth(head, pinned) >= DEPTH_LIMIT
    }

    fn depth(&self, head: Head, _pinned: Pinned<'_>) -> u8 {
        // SAFETY: [invariant: pinned-walk] the head was read under the caller's pin.
        head.link().operation().map_or(0, |op| unsafe { op.as_ref() }.depth())
    }

    /// Tells the shard that the slot has something for it. After every submit that can be folded and
    /// every end of a load.
    pub(crate) fn mark(&self, slot: usize) {
        // Release: the shard that takes the mark finds the operation [edge: mark]. A read-modify-write
        // even if the bit is set: it either comes before the shard's taking, and carries our operation
        // to it, or after, and marks anew; a plain look at the bit could do neither.
        self.dirty[slot / 64].fetch_or(1 << (slot % 64), Ordering::Release);
    }

    /// Takes the marks of 64 slots. Shard thread only.
    pub(super) fn take_marks(&self, word: usize) -> u64 {
        // Relaxed: a mark that is missed here is taken in the next turn, which its count demands.
        if self.dirty[word].load(Ordering::Relaxed) == 0 {
            return 0;
        }
        // Acquire: see `mark` [edge: mark].
        self.dirty[word].swap(0, Ordering::Acquire)
    }

    /// The slots of a word, as marks.
    pub(super) const fn all_of(word: usize) -> u64 {
        let slots = SLOTS - word * 64;
        if slots < 64 { (1 << slots) - 1 } else { u64::MAX }
    }

    pub(super) const fn words() -> usize {
        WORDS
    }

    /// Reads ahead in the marked slots of a word: all heads, then all that they point to, and so on, so that
    /// the processor fetches their lines side by side. Gives the hashes that it met. Shard thread only.
    pub(super) fn read_ahead(&self, word: usize, mut marks: u64, ahead: &mut ReadAhead<K, V>) {
        let ReadAhead { ops, hashes, .. } = ahead;
        hashes.clear();
        while marks != 0 {
            let slot = word * 64 + marks.trailing_zeros() as usize;
            // Acquire: the operations are read next [edge: chain].
            let head = Head(self.heads[slot].load(Ordering::Acquire));
            ops.extend(head.link().operation().map(OpRef::new));
            marks &= marks - 1;
        }
        while !ops.is_empty() {
            ops.retain_mut(|op| {
                // SAFETY: [invariant: shard-frees] only this thread takes operations out of a chain.
                let header = unsafe { op.at.as_ref() };
                hashes.push(header.hash());
                // Acquire: the operation below is read next [edge: chain].
                let below = Link(header.link.load(Ordering::Acquire)).operation();
                below.map(|below| *op = OpRef::new(below)).is_some()
            });
        }
    }

    /// Copies the chain of `slot` as it is now, newest first, into `chain`; gives its head. Shard thread
    /// only.
    pub(super) fn collect(&self, slot: usize, chain: &mut Vec<Hanging<K, V>>) -> Head {
        chain.clear();
        // Acquire: the operations are read next [edge: chain].
        let head = Head(self.heads[slot].load(Ordering::Acquire));
        let mut at = head.link();
        while let Some(op) = at.operation() {
            // SAFETY: [invariant: shard-frees] only this thread takes operations out of a chain.
            let header = unsafe { op.as_ref() };
            chain.push(Hanging::new(op, header.kind()));
            // Acquire: the operation below is read next; its submitter is not ours [edge: chain].
            at = Link(header.link.load(Ordering::Acquire));
        }
        head
    }

    /// Takes out of `chain` (what [`Pending::collect`] gave) all but what `keep` says, oldest first.
    ///
    /// `end` must be a version never used before. Shard thread only, after the effect of what is cut was
    /// published.
    pub(super) fn cut(
        &self,
        slot: usize,
        head: Head,
        chain: &[Hanging<K, V>],
        kept: &[bool],
        end: Link,
    ) {
        let mut below = end;
        let mut filter = Filter::default();
        let mut newest_kept = None;
        for (i, hanging) in chain.iter().enumerate().rev().filter(|(i, _)| kept[*i]) {
            // SAFETY: [invariant: shard-frees] the chain's operations are alive until we retire them.
            let header = unsafe { hanging.op.at.as_ref() };
            // Release: a reader that passes the gap must find in the index what was cut [edge: chain].
            header.link.store(below.0, Ordering::Release);
            // Only loads are kept, and they do not count.
            header.set_depth(0);
            filter = filter.with(header.hash());
            below = Link(hanging.op.at.as_ptr());
            newest_kept = Some(i);
        }
        if newest_kept != Some(0) {
            self.expose(slot, head, below, filter);
        }
    }

    /// Makes `below`, which has operations of the hashes in `filter`, what follows whatever has been
    /// submitted above `head` meanwhile.
    fn expose(&self, slot: usize, head: Head, below: Link, filter: Filter) {
        let cover = if below.is_end() { below } else { Self::base(below) };
        let covered = Head::new(cover, filter);
        // Release: whoever sees the slot without the operations finds them in the index [edge: chain].
        // Acquire on failure: the newer operations are walked next [edge: chain].
        let exposed = self.heads[slot].compare_exchange(
            head.0,
            covered.0,
            Ordering::Release,
            Ordering::Acquire,
        );
        let Err(newer) = exposed else { return };
        if let Some(base) = cover.operation() {
            // SAFETY: [invariant: draft] the base was made just now and nobody has seen it.
            unsafe { Farewell::<K, V>::free(base.cast()) };
        }
        let (mut at, top) = (Head(newer).link(), head.link());
        while let Some(op) = at.operation() {
            // SAFETY: [invariant: shard-frees] operations above `head` are in the chain and stay there.
            let header = unsafe { op.as_ref() };
            // Acquire: links above were written by their submitters [edge: chain].
            at = Link(header.link.load(Ordering::Acquire));
            if at == top {
                // Release: as above [edge: chain].
                header.link.store(below.0, Ordering::Release);
                return;
            }
        }
        debug_assert!(false, "the operations that were collected are still below the head");
    }

    fn base(below: Link) -> Link {
        let base = Draft::new(Farewell::<K, V>::base()).into_raw().cast::<Op>();
        // SAFETY: [invariant: op-header] made just now.
        let header = unsafe { base.as_ref() };
        // Relaxed: published by the exchange in `expose`.
        header.link.store(below.0, Ordering::Relaxed);
        Link(base.as_ptr())
    }
}

impl Link {
    /// The operation that the link points to, if it is no mark.
    #[inline]
    fn operation(self) -> Option<NonNull<Op>> {
        if self.is_end() || self.is_cut() { None } else { NonNull::new(self.0) }
    }
}

impl<'g, K, V> Walk<'g, K, V> {
    /// The next operation down the chain.
    #[inline]
    pub(crate) fn step(&mut self) -> Step<'g, K, V> {
        let Some(op) = self.at.operation() else {
            return if self.at.is_cut() { Step::Restart } else { Step::End };
        };
        // SAFETY: [invariant: pinned-walk] reached from a head under the pin `'g`; what is cut out
        // meanwhile is retired after our pin and freed after it ends.
        let header: &'g Op = unsafe { op.as_ref() };
        // Acquire: the operation below was written by another thread [edge: chain].
        self.at = Link(header.link.load(Ordering::Acquire));
        // SAFETY: [invariant: pinned-walk] as above.
        unsafe { met(op) }
    }
}
