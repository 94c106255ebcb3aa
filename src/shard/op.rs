//! The header that every operation in a pending chain has, and the operation that is little more.
//!
//! Sixteen bytes: what a chain needs, and whatever small thing of an entry fits beside it. Layer: shard.

use super::entry::EntryRef;
use super::hash::FREE_BITS;
use super::state::State;
use crate::store::Tick;
use crate::sync::tally;
use crate::sync::{AtomicPtr, AtomicU8, Ordering};

/// What every operation in a pending chain has, at its beginning or, if it is an entry, at its end.
#[repr(C)]
pub(crate) struct Op {
    /// The part of the key's hash that a shard needs, and in the bits that it leaves free the form.
    name: u32,
    /// The shard's tick of the latest read (recency), see `store::policy`. Of use in an entry only.
    pub(super) tick: tally::AtomicU16,
    depth: AtomicU8,
    /// Of use in an entry only.
    pub(super) state: AtomicU8,
    /// Last, for readers of an entry that was published have no use for it.
    pub(super) link: AtomicPtr<Op>,
}

/// What a header belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An [`Entry`](super::entry::Entry) that replaces what its key had.
    Write,
    /// A [`Flight`](super::flight::Flight): a load, running or finished.
    Load,
    /// A [`Farewell`]: an entry was removed and must be taken out. Without an
    /// entry it stands between the head and unfinished loads after a fold, so that a head that was seen
    /// before never comes back.
    Farewell,
}

/// The forms of a header: its kind, and of a write which times its entry has.
const WRITE: u32 = 0;
const LOAD: u32 = 1;
const FAREWELL: u32 = 2;
const MORTAL: u32 = 0b100;
const BOUNDED: u32 = 0b101;

impl Op {
    /// The largest depth that a header can tell; what is deeper is told as this.
    pub(super) const MAX_DEPTH: u8 = u8::MAX;

    pub(super) fn new(kind: Kind, hash: u32, state: State) -> Self {
        let form = match kind {
            Kind::Write => WRITE,
            Kind::Load => LOAD,
            Kind::Farewell => FAREWELL,
        };
        debug_assert!(hash & FREE_BITS == 0, "a local hash leaves room for the form");
        Self {
            name: hash | form,
            tick: tally::AtomicU16::new(0),
            depth: AtomicU8::new(0),
            state: AtomicU8::new(state as u8),
            link: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// The header of an entry that was read in `tick`.
    pub(super) fn read_in(self, tick: Tick) -> Self {
        Self { tick: tally::AtomicU16::new(tick), ..self }
    }

    /// The header of an entry that can expire, from one that cannot. `bounded`: and has a deadline beside
    /// the time that readers move.
    pub(super) fn of_mortal(self, bounded: bool) -> Self {
        debug_assert!(self.name & FREE_BITS == WRITE, "only entries expire");
        Self { name: self.name | if bounded { BOUNDED } else { MORTAL }, ..self }
    }

    /// The local hash of the operation's key.
    #[inline]
    pub(super) fn hash(&self) -> u32 {
        self.name & !FREE_BITS
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        match self.name & FREE_BITS {
            LOAD => Kind::Load,
            FAREWELL => Kind::Farewell,
            _ => Kind::Write,
        }
    }

    /// Whether it is the header of an entry that can expire.
    #[inline]
    pub(super) fn is_mortal(&self) -> bool {
        self.name & MORTAL != 0
    }

    /// Whether it is the header of an entry that has a deadline beside the time that readers move.
    pub(super) fn is_bounded(&self) -> bool {
        self.name & FREE_BITS == BOUNDED
    }

    /// How many operations that a fold can take hang from here on, this one included. Who may wait for the
    /// shard is decided by it, so it is reset where a fold leaves an operation in its chain.
    pub(super) fn depth(&self) -> u8 {
        // Relaxed: published with the link; who reads a later one waits less.
        self.depth.load(Ordering::Relaxed)
    }

    /// Notes the depth. Only whoever may write the link calls it.
    pub(super) fn set_depth(&self, depth: u8) {
        // Relaxed: published with the link, or as above.
        self.depth.store(depth, Ordering::Relaxed);
    }
}

/// A removed entry that the shard must take out of chain, index and store: the other half of
/// [`Entry::take_by_remover`](super::entry::Entry::take_by_remover). Or the base of what stays in a chain, without an entry.
#[repr(C)]
pub(crate) struct Farewell<K, V> {
    op: Op,
    pub(super) entry: Option<EntryRef<K, V>>,
}

impl<K, V> Farewell<K, V> {
    pub(crate) fn new(entry: EntryRef<K, V>, hash: u32) -> Box<Self> {
        Box::new(Self { op: Op::new(Kind::Farewell, hash, State::Void), entry: Some(entry) })
    }

    pub(super) fn base() -> Box<Self> {
        Box::new(Self { op: Op::new(Kind::Farewell, 0, State::Void), entry: None })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Op};
    use crate::shard::entry::{Bounded, Entry, Mortal, State};
    use crate::shard::hash::KeyHash;

    #[test]
    fn the_form_leaves_the_hash_alone() {
        let hash = KeyHash(u64::MAX).local();
        for kind in [Kind::Write, Kind::Load, Kind::Farewell] {
            let op = Op::new(kind, hash, State::Void);
            let forms = (op.hash(), op.kind(), op.is_mortal(), op.is_bounded());
            assert_eq!(forms, (hash, kind, false, false));
        }
        for bounded in [false, true] {
            let op = Op::new(Kind::Write, hash, State::Live).of_mortal(bounded);
            let forms = (op.hash(), op.kind(), op.is_mortal(), op.is_bounded());
            assert_eq!(forms, (hash, Kind::Write, true, bounded));
        }
    }

    /// What a cached pair costs beside key and value, before index and store add theirs.
    #[test]
    fn an_entry_that_cannot_expire_adds_three_words_and_each_time_one_more() {
        let sizes = [
            size_of::<Entry<u64, u64>>(),
            size_of::<Mortal<u64, u64>>(),
            size_of::<Bounded<u64, u64>>(),
        ];
        assert_eq!(sizes, [16 + 3 * 8, 16 + 4 * 8, 16 + 5 * 8]);
    }
}
